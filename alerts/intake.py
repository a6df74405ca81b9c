"""How events come in: stored, judged and turned into deliveries in one transaction (asked by every event door).

What is answered as accepted is committed, together with everything that must follow from it.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import (
    F,
    Q,
    QuerySet,
)

from alerts import (
    catchup,
    conditions,
    eventtypes,
    keywatch,
    outbound,
    routing,
)
from alerts.conditions import Transition
from alerts.incoming import Incoming
from alerts.models import Condition, Notification, Ticket
from alerts.noise import Noise
from billing import synchronize
from integrations import effective, eventlog, outcomes
from integrations.models import Action, Delivery, Event, Lane, Status
from integrations.models.eventlog import (
    OUTBOUND,
    UNSETTLED,
    EventAction,
)
from portal import (
    background,
    chaos,
    clock,
    database,
    disabled,
)
from portal.access import Actor
from portal.clients import find_clients, uuid_of
from portal.models import Account, Client, Disabling
from portal.models.partners import client_number_of
from portal.texts import FieldError

logger = logging.getLogger(__name__)
MOST_TRIES = 4
TAKEN_IN_AT_ONCE = 500
LOOKED_UP_AT_ONCE = 5000
SEVERAL_WRITERS = {"40001", "40P01"}
"""SQLSTATEs of a lost race that PostgreSQL asks to repeat: serialization failure, deadlock."""


class Raced(Exception):
    """Somebody else stored one of our rows between our look and our write: look again."""


@dataclass
class Result:
    """What became of one event of a batch."""

    status: str
    event_id: uuid.UUID | None = None
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[FieldError] = field(default_factory=list)


def accept(batch: Sequence[Incoming], *, actor: Actor) -> list[Result]:
    """Store the events and all that follows from them; one result an event, in their order.

    A repeated (source, id) is a duplicate, with another body it is rejected (`id_reused`). Events of unknown clients
    are parked. Raises OperationalError when the database cannot store them: nothing was accepted then.
    """
    for attempt in range(MOST_TRIES):
        try:
            one_pass = Batch(batch, actor, careful=attempt > 0)
            one_pass.look()
            with database.writing():
                results = one_pass.store()
                chaos.point("before-accept-commit")
            chaos.point("after-accept-commit")
            return results
        except Raced:
            continue
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in SEVERAL_WRITERS or attempt == MOST_TRIES - 1:
                raise
    raise OperationalError("These events were changed by too many writers at once")


class Batch:
    """One pass over a batch. `careful` looks for known ids first; else conflicts show them."""

    def __init__(self, batch: Sequence[Incoming], actor: Actor, *, careful: bool) -> None:
        self.batch = batch
        self.actor = actor
        self.careful = careful
        self.scope = scope_of(actor)
        self.results: dict[int, Result] = {}
        self.events: dict[int, Event] = {}
        self.again: dict[int, int] = {}

    def look(self) -> None:
        """What can be done before the transaction, because others wait for it: clients, known ids, rows in memory."""
        clients = find_clients([incoming.client for incoming in self.batch], self.actor)
        self.results, fresh, self.again = self.sift()
        self.events = {
            place: event_of(self.batch[place], clients.get(self.batch[place].client), self.scope, self.actor)
            for place in fresh
        }

    def store(self) -> list[Result]:
        """Everything that follows, inside the transaction."""
        results, events, again = self.results, self.events, self.again
        assign_accounts([event for event in events.values() if event.client_id])
        judge([event for event in events.values() if event.client_id])
        volatile = keywatch.look([event for event in events.values() if event.client_id])
        rows = sorted(events.values(), key=lambda event: (event.source, event.source_id))
        if len(database.insert_new(rows)) != len(rows):
            raise Raced
        for place, event in events.items():
            warnings = warnings_for(self.batch[place], event)
            if event.pk in volatile:
                warnings = [*warnings, volatile[event.pk]]
            results[place] = Result(event.state, event.pk, warnings=warnings)
        for place, first in again.items():
            results[place] = repeated(self.batch[place], events[first].pk, events[first].body_hash)
        return [results[place] for place in range(len(self.batch))]

    def sift(self) -> tuple[dict[int, Result], list[int], dict[int, int]]:
        """Tell what is known already, what is new, and what repeats an earlier event of the same batch."""
        seen = self.known() if self.careful else {}
        results: dict[int, Result] = {}
        fresh: list[int] = []
        again: dict[int, int] = {}
        first: dict[tuple[str, str], int] = {}
        for place, incoming in enumerate(self.batch):
            key = (incoming.source, incoming.id)
            if key in seen:
                results[place] = repeated(incoming, *seen[key])
            elif key in first:
                again[place] = first[key]
            else:
                first[key] = place
                fresh.append(place)
        return results, fresh, again

    def known(self) -> dict[tuple[str, str], tuple[uuid.UUID, str]]:
        ids = {incoming.id for incoming in self.batch}
        sources = {incoming.source for incoming in self.batch}
        rows = Event.objects.filter(scope=self.scope, source__in=sources, source_id__in=ids)
        return {
            (source, source_id): (pk, body_hash)
            for source, source_id, pk, body_hash in rows.values_list("source", "source_id", "pk", "body_hash")
        }


def repeated(incoming: Incoming, event_id: uuid.UUID, body_hash: str) -> Result:
    if body_hash == incoming.body_hash:
        return Result("duplicate", event_id)
    reused = FieldError(
        "id",
        "id_reused",
        f"“{incoming.id}” was sent before with another body; give each event an id of its own.",
    )
    return Result("rejected", event_id, errors=[reused])


def scope_of(actor: Actor) -> uuid.UUID:
    """Within which (source, id) is unique: the sender's partner, or all vendor-wide senders."""
    partner_id = getattr(actor, "partner_id", None)
    return partner_id or clock.NIL_UUID


def event_of(incoming: Incoming, client: Client | None, scope: uuid.UUID, actor: Actor) -> Event:
    """The row of a new event; parked while its client is not known."""
    action = incoming.action or eventtypes.action_of(incoming.type, incoming.severity)
    key = incoming.condition_key or eventtypes.condition_key_of(
        incoming.type, incoming.account, incoming.data
    )
    return Event(
        partner_id=client.partner_id if client else getattr(actor, "partner_id", None),
        client=client,
        scope=scope,
        source=incoming.source,
        source_id=incoming.id,
        body_hash=incoming.body_hash,
        state=Event.State.ACCEPTED if client else Event.State.PARKED,
        type=incoming.type,
        severity=incoming.severity,
        action=action,
        client_reference=incoming.client,
        account_reference=incoming.account,
        condition_key=key,
        summary=incoming.summary,
        details=incoming.details,
        data=incoming.data,
        occurred_at=incoming.occurred_at,
        received_at=clock.now(),
        trace=[] if client else [parked_step(incoming.client)],
    )


def parked_step(reference: str) -> dict[str, str]:
    return {
        "step": "client",
        "text": f"No client “{reference}” is known; the event waits until there is one.",
    }


def warnings_for(incoming: Incoming, event: Event) -> list[FieldError]:
    if event.state != Event.State.PARKED:
        return incoming.warnings
    unknown = FieldError(
        "client",
        "unknown_client",
        f"No client “{incoming.client}” is known; the event is parked until there is one.",
    )
    return [*incoming.warnings, unknown]


def assign_accounts(events: Sequence[Event]) -> None:
    """Find or make the accounts that events name."""
    wanted = {
        (known_client(event).pk, event.account_reference): known_client(event)
        for event in events
        if event.account_reference
    }
    if not wanted:
        return
    known = accounts_of(wanted)
    missing = [key for key in sorted(wanted, key=str) if key not in known]
    if missing:
        database.insert_new(
            [
                Account(partner_id=wanted[client, key].partner_id, client_id=client, key=key)
                for client, key in missing
            ]
        )
        known = accounts_of(wanted)
    for event in events:
        if event.account_reference:
            event.account_id = known[known_client(event).pk, event.account_reference]


def known_client(event: Event) -> Client:
    """The client of an event that is not parked."""
    assert event.client is not None
    return event.client


def accounts_of(wanted: Iterable[tuple[uuid.UUID, str]]) -> dict[tuple[uuid.UUID, str], uuid.UUID]:
    keys = list(wanted)
    rows = _accounts({client for client, _ in keys}, {key for _, key in keys})
    return {(client, key): pk for client, key, pk in rows}


_accounts = database.Prepared(
    lambda clients, keys: Account.objects.filter(client__in=clients, key__in=keys).values_list(
        "client_id", "key", "pk"
    )
)


# --- Judging: conditions, rules, deliveries --------------------------------------------------------------------------


def judge(events: Sequence[Event]) -> None:
    """Move the conditions, ask the rules, store the deliveries, and write on each event what was decided and why."""
    if not events:
        return
    locked = lock_conditions(events)
    partners = {known_client(event).partner_id for event in events}
    rules = routing.Rules.of(partners)
    noise = Noise.of(partners, locked.values(), rules.trees)
    orders = Orders(ticketless(locked.values()))
    off = disabled.of(known_client(event).pk for event in events)
    for event in events:
        speaks = event.action != EventAction.NONE
        judge_one(
            event,
            locked[known_client(event).pk, event.condition_key] if speaks else None,
            rules,
            noise,
            orders,
            off,
        )
    # A condition that nothing but dropped events speak of is not kept.
    save_conditions([row for row in locked.values() if row.decided_at is not None])
    if not noise.store():
        raise Raced
    orders.store()


def judge_one(
    event: Event,
    condition: Condition | None,
    rules: routing.Rules,
    noise: Noise,
    orders: Orders,
    off: Mapping[uuid.UUID, Disabling],
) -> None:
    if noise.drops(event, known_client(event), condition):
        return
    transition = conditions.move(condition, event) if condition else Transition.NONE
    if condition is not None:
        event.trace.append(condition_step(condition, transition, event))
        noise.changed(condition, transition, event)
    answers = rules.ask(event, known_client(event))
    event.trace.extend(answer.as_json() for answer in answers)
    matched = catchup.silenced(event, off, [answer.notification for answer in answers if not answer.why_not])
    for notification in matched:
        noise.note_match(notification)
        if notification.action == Action.SYNCHRONIZE:
            orders.add(event, Action.SYNCHRONIZE, synchronize.subject_of(event.client_id), notification)
        elif notification.action in OUTBOUND:
            orders.add(event, notification.action, outbound.subject_of(notification, event), notification)
            if notification.action == Action.EMAIL:
                orders.rows[-1][1].due_at += outbound.GATHERED
    if condition is not None:
        order_ticket(event, condition, transition, matched, noise, orders)


def order_ticket(
    event: Event,
    condition: Condition,
    transition: Transition,
    matched: Sequence[Notification],
    noise: Noise,
    orders: Orders,
) -> None:
    """A ticket is asked for once an episode, by the first notification that wants one; its recovery follows.

    Unless something holds it back: then it is asked for when that is over (`alerts.release`).
    """
    wanting = next((rule for rule in matched if rule.action == Action.TICKET), None)
    subject = conditions.subject_of(condition.pk)
    if transition is Transition.RECOVERED:
        if not noise.recovered(event, condition) and condition.wants_ticket:
            orders.add(event, Action.TICKET, subject, None)
    elif transition in {Transition.OPENED, Transition.REPEATED} and wanting and not condition.wants_ticket:
        if noise.holds_back(event, condition, wanting):
            return
        condition.wants_ticket = True
        orders.fruitless.pop(condition.pk, None)
        orders.add(event, Action.TICKET, subject, wanting)
    elif transition is Transition.REPEATED and condition.wants_ticket:
        repeat_ticket(event, condition, wanting, orders)


def repeat_ticket(event: Event, condition: Condition, wanting: Notification | None, orders: Orders) -> None:
    """Folded into the ticket; or, when the former order came to nothing, a ticket is asked for again."""
    last = orders.fruitless.get(condition.pk)
    if last is None:
        text = f"Counted as repeat {condition.repeats} of the ticket."
    elif wanting is not None and event.received_at >= last.again_at:
        text = f"{last.text} A ticket is asked for again."
        del orders.fruitless[condition.pk]
        orders.add(event, Action.TICKET, conditions.subject_of(condition.pk), wanting)
    else:
        text = f"{last.text} Counted as repeat {condition.repeats}."
    event.trace.append({"step": "folded", "text": text})


def condition_step(condition: Condition, transition: Transition, event: Event) -> dict[str, object]:
    return {
        "step": "condition",
        "id": str(condition.pk),
        "key": condition.key,
        "key_from": eventtypes.origin_of(event),
        "episode": condition.episode,
        "transition": transition.name.lower(),
        "text": f"The event {transition.value}.",
    }


_locked = database.Prepared(
    lambda clients, keys: (
        Condition.objects.select_for_update(no_key=True)
        .filter(client__in=clients, key__in=keys)
        .order_by("pk")
    )
)


def lock_conditions(events: Sequence[Event]) -> dict[tuple[uuid.UUID, str], Condition]:
    """The conditions that events speak of, locked in one order; new ones are made in memory."""
    wanted = {
        (known_client(event).pk, event.condition_key): event
        for event in events
        if event.action != EventAction.NONE
    }
    if not wanted:
        return {}
    rows: list[Condition] = _locked(
        sorted({client for client, _ in wanted}), sorted({key for _, key in wanted})
    )
    locked = {(row.client_id, row.key): row for row in rows if (row.client_id, row.key) in wanted}
    for (client_id, key), event in wanted.items():
        if (client_id, key) not in locked:
            partner_id = known_client(event).partner_id
            locked[client_id, key] = Condition(
                partner_id=partner_id, client_id=client_id, account_id=event.account_id, key=key
            )
    return locked


MOVED = (
    "state",
    "episode",
    "wants_ticket",
    "repeats",
    "severity",
    "summary",
    "decided_at",
    "decided_by",
    "decided_ahead_at",
    "opened_by",
    "since",
)


def save_conditions(rows: Iterable[Condition]) -> None:
    """New ones are inserted; when somebody else was first, the whole batch is judged again."""
    rows = list(rows)
    new = sorted((row for row in rows if row._state.adding), key=lambda row: (str(row.client_id), row.key))
    if len(database.insert_new(new)) != len(new):
        raise Raced
    database.save_all([row for row in rows if not row._state.adding], MOVED)


@dataclass(frozen=True)
class Fruitless:
    """A failing condition without a ticket: what came of the last attempt, and from when a repeat may ask again."""

    text: str
    again_at: datetime


AGAIN_AFTER = {
    Status.SKIPPED: timedelta(minutes=5),
    Status.FAILED: timedelta(hours=1),
    Status.DONE: timedelta(0),
}
"""After a skip (observe mode, a client mapped to skip) things may be otherwise soon; a failure needs a person first.
What was done and is no more (the ticket was deleted, or its connection) is asked for again at once."""


def ticketless(rows: Iterable[Condition]) -> dict[uuid.UUID, Fruitless]:
    """Failing conditions for which a ticket was asked, but there is none and none is on its way; by condition.

    One query for a batch of repeats whose tickets are open, two more when some are not.
    """
    asked = {
        row.pk
        for row in rows
        if row.wants_ticket and row.state == Condition.State.FAILING and not row._state.adding
    }
    missing = asked - set(_with_ticket(sorted(asked))) if asked else set()
    if not missing:
        return {}
    newest: dict[uuid.UUID, Delivery] = {}
    orders = Delivery.objects.filter(subject__in=[conditions.subject_of(key) for key in missing]).order_by(
        "id"
    )
    for order in orders.only("subject", "status", "outcome", "created_at"):
        key = conditions.of_subject(order.subject)
        newest[key] = order
        if order.status in UNSETTLED or order.status == Status.HELD:
            missing.discard(key)
    return {
        key: fruitless(order)
        for key, order in newest.items()
        if key in missing and order.status in AGAIN_AFTER
    }


def fruitless(order: Delivery) -> Fruitless:
    """What is said of an order that is at rest and of which there is no ticket."""
    text = (
        "Its ticket is no longer there."
        if order.status == Status.DONE
        else f"No ticket is open: {order.outcome}"
    )
    return Fruitless(text, order.created_at + AGAIN_AFTER[Status(order.status)])


_with_ticket = database.Prepared(
    lambda conditions: (
        Ticket.objects.filter(condition__in=conditions)
        .filter(Q(closed_at=None) | Q(acknowledged_at__isnull=False, episode=F("condition__episode")))
        .exclude(psa_id="")
        .values_list("condition_id", flat=True)
    )
)


class Orders:
    """Deliveries to be stored at the end of a batch. `fruitless` are conditions whose last order came to nothing."""

    delivery_row: Any = Delivery

    def __init__(self, fruitless: dict[uuid.UUID, Fruitless]) -> None:
        self.fruitless = fruitless
        self.rows: list[tuple[Event, Delivery]] = []
        self.hooked: set[str] = set()

    def add(
        self,
        event: Event,
        action: str,
        subject: str,
        notification: object | None,
        *,
        at: datetime | None = None,
    ) -> None:
        """`at` is when it is asked for; default: when the event came. A webhook is told of an event once."""
        if action == Action.WEBHOOK and subject in self.hooked:
            text = f"The webhook of “{getattr(notification, 'name', '')}” gets this event already."
            event.trace.append({"step": "delivery", "text": text})
            return
        if action == Action.WEBHOOK:
            self.hooked.add(subject)
        delivery = self.delivery_row(
            partner_id=known_client(event).partner_id,
            event=event,
            client_id=known_client(event).pk,
            action=action,
            subject=subject,
            notification_id=getattr(notification, "pk", None),
            notification_name=getattr(notification, "name", "recovery"),
            notification_version=getattr(notification, "version", 0),
            priority=eventlog.priority_of(action, event.severity),
            due_at=at or event.received_at,
            created_at=at or event.received_at,
        )
        self.rows.append((event, delivery))

    def store(self) -> None:
        if not self.rows:
            return
        for_psas = [event for event, row in self.rows if row.action not in OUTBOUND]
        lanes = effective.lanes_of({event.client_id: known_client(event) for event in for_psas}.values())
        if syncs := [row for _, row in self.rows if row.action == Action.SYNCHRONIZE]:
            synchronize.put_into_window(syncs)
            synchronize.widen([row.subject for row in syncs])
        for _, row in self.rows:
            if row.action not in OUTBOUND:
                assign_lane(row, lanes[row.client_id])
        stored = eventlog.deliver([row for _, row in self.rows])
        if any(row.action in OUTBOUND for _, row in self.rows):
            background.enqueue("alerts.jobs.send_outbound")
        for event, row in self.rows:
            event.trace.append(delivery_step(row, row.pk in stored))


def assign_lane(row: Delivery, lane: Lane | None) -> None:
    row.lane = lane
    if lane is None:
        row.status, row.reason, row.outcome = Status.HELD, "no_psa", outcomes.NO_PSA


def delivery_step(row: Delivery, is_stored: bool) -> dict[str, str]:
    if not is_stored:
        return {"step": "delivery", "text": "Joined the synchronization of this client that already waits."}
    return {
        "step": "delivery",
        "id": str(row.pk),
        "action": row.action,
        "text": row.outcome or f"Handed over: {Action(row.action).label}.",
    }


# --- Parked events ----------------------------------------------------------------------------------------------------


def take_in_parked(parked: QuerySet[Event]) -> int:
    """Judge parked events whose client has come to be known; returns how many. Older ones first.

    One that cannot be taken in does not keep the others from it.
    """
    waiting = parked.filter(state=Event.State.PARKED)
    taken = 0
    for scope, references in known_references(waiting):
        theirs = waiting.filter(scope=scope, client_reference__in=references)
        for event in theirs.order_by("occurred_at", "id")[:TAKEN_IN_AT_ONCE]:
            try:
                taken += take_in(event)
            except Exception:
                logger.exception("The parked event %s could not be taken in; trying again", event.pk)
    return taken


def known_references(parked: QuerySet[Event]) -> Iterator[tuple[uuid.UUID, list[str]]]:
    """Of the clients that parked events name, those that are known by now, with the events' scope."""
    named: dict[uuid.UUID, list[str]] = defaultdict(list)
    for scope, reference in parked.order_by().values_list("scope", "client_reference").distinct():
        named[scope].append(reference)
    for scope, references in named.items():
        for start in range(0, len(references), LOOKED_UP_AT_ONCE):
            some = references[start : start + LOOKED_UP_AT_ONCE]
            clients = clients_within(scope)
            numbers = set(clients.filter(number__in=numbers_in(some)).values_list("number", flat=True))
            keys = set(clients.filter(pk__in=keys_in(some)).values_list("pk", flat=True))
            known = [one for one in some if client_number_of(one) in numbers or uuid_of(one) in keys]
            if known:
                yield scope, known


def numbers_in(references: Iterable[str]) -> list[int]:
    return [number for one in references if (number := client_number_of(one)) is not None]


def keys_in(references: Iterable[str]) -> list[uuid.UUID]:
    return [key for one in references if (key := uuid_of(one)) is not None]


def take_in(event: Event) -> int:
    """One parked event, when its client is known to whoever sent it."""
    for _ in range(MOST_TRIES):
        with contextlib.suppress(Raced):
            return take_in_once(event)
    return 0


def take_in_once(event: Event) -> int:
    with transaction.atomic():
        client = client_for(event)
        claimed = client and Event.objects.filter(pk=event.pk, state=Event.State.PARKED).update(
            state=Event.State.ACCEPTED
        )
        if not client or not claimed:
            return 0
        event.client, event.partner_id, event.state = client, client.partner_id, Event.State.ACCEPTED
        event.trace = [
            parked_step(event.client_reference),
            {"step": "client", "text": f"The client is known now: {client.name}."},
        ]
        assign_accounts([event])
        judge([event])
        event.save(update_fields=["client", "partner", "account", "trace"])
    return 1


def clients_within(scope: uuid.UUID) -> QuerySet[Client]:
    """The active clients that the sender of events may name."""
    clients = Client.objects.filter(is_active=True)
    return clients if scope == clock.NIL_UUID else clients.filter(partner_id=scope)


def client_for(event: Event) -> Client | None:
    """The client a parked event names, within what its sender may see."""
    number, key = client_number_of(event.client_reference), uuid_of(event.client_reference)
    clients = clients_within(event.scope)
    if number is not None:
        return clients.filter(number=number).first()
    return clients.filter(pk=key).first() if key else None
