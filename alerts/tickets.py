"""What should a condition's ticket be now, and make the PSA say so (asked by the dispatcher).

Each attempt computes from the facts of its moment: is the condition failing, does anybody want a ticket, what do we
know of the one we opened. Our key travels inside the ticket; after an outcome that is not known we search for it and
create again only when two searches, well apart, found nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction

from alerts import catchup, conditions, wantedticket
from alerts.models import Condition, Ticket
from alerts.ticketsettings import SettingsOf
from integrations import companies, connections, effective, eventlog, outcomes
from integrations.dispatcher import Task
from integrations.models import Credentials, Delivery, Event, Lane, Status
from integrations.models.connections import Kind
from integrations.outcomes import Outcome
from integrations.psa.errors import NotFound, PsaError, SignInRefused, Throttled, Unreachable
from integrations.psa.plan import AppliedItem, Plan
from integrations.psa.port import Psa, TicketState
from integrations.psa.wanted import WantedTicket
from portal import chaos, clock, database, disabled, inheritance
from portal.models import Client, Disabling

logger = logging.getLogger(__name__)
SWEPT = timedelta(hours=24)
Step = Literal["create", "look", "close"]


@dataclass
class Facts:
    """What is known of one delivery's subject at the moment of the claim."""

    delivery: Delivery
    condition: Condition
    ticket: Ticket | None

    @property
    def is_wanted(self) -> bool:
        return self.condition.state == Condition.State.FAILING and self.condition.wants_ticket


@dataclass
class TicketTask:
    """One attempt about one ticket. Runs in a thread, without the database."""

    delivery: Delivery
    ticket: Ticket
    wanted: WantedTicket
    step: Step
    search: bool
    writes: bool = True
    misses_needed: int = field(default_factory=lambda: len(settings.SEARCH_DELAYS))

    def run(self, psa: Psa) -> Outcome:
        if self.search and not self.ticket.psa_id:
            return self.find(psa)
        if self.step == "look":
            return self.look(psa)
        return self.write(psa, self.wanted)

    # --- The search step ----------------------------------------------------------------------------------------

    def find(self, psa: Psa) -> Outcome:
        """Look for our key. Found: adopt. Not found: once more later, because the PSA may commit late."""
        chaos.point("before-search")
        found = psa.find_tickets(self.wanted.external_ref)
        chaos.point("searched")
        if found:
            return self.adopt(psa, found[0])
        self.delivery.search_first = False
        misses = self.ticket.misses + 1
        if misses < self.misses_needed:
            text = "Not found at the PSA yet; it may appear late, so it is searched for once more."
            return Outcome(
                status=Status.UNKNOWN,
                reason="outcome_unknown",
                text=text,
                again_in=settings.SEARCH_DELAYS[misses],
                facts={"misses": misses},
            )
        return self.surely_not_created()

    def surely_not_created(self) -> Outcome:
        """Kept before anything is sent: the next attempt creates (or lets be) knowing that there is none.

        The second create follows at once, later ones after the usual pauses; a PSA that fails each of them is not asked
        for ever.
        """
        text = "Searched for and not found: it was not created."
        failures = self.delivery.attempts - 1  # this attempt is a step, not a failure
        pauses = settings.RETRY_DELAYS
        if failures > len(pauses) + 1:
            gave_up = f"{text} The PSA failed {failures} times; reprocess it when the PSA is well."
            return Outcome(status=Status.FAILED, reason="gave_up", text=gave_up, facts={"is_unsent": True})
        return Outcome(
            status=Status.WAITING,
            reason="surely_not_created",
            text=text,
            again_in=pauses[min(failures, len(pauses)) - 1] if failures > 1 else 0,
            facts={"is_unsent": True},
        )

    def adopt(self, psa: Psa, found: TicketState) -> Outcome:
        facts: dict[str, Any] = {
            "psa_id": found.id,
            "number": found.number,
            "url": found.url,
            "is_closed": found.is_closed,
        }
        if self.step != "close" or found.is_closed:
            return outcomes.done(f"Ticket {found.number} was found by our key and adopted.", **facts)
        outcome = self.write(psa, closing(self.wanted, found.id))
        outcome.facts = {**facts, **outcome.facts}
        return outcome

    # --- The ticket is known ------------------------------------------------------------------------------------

    def look(self, psa: Psa) -> Outcome:
        """The condition fails again while its ticket is open with us: is it, at the PSA?"""
        try:
            state = psa.ticket(self.ticket.psa_id)
        except NotFound:
            return self.again_with_new("The ticket was deleted in the PSA; a new one is opened.")
        if state.is_closed:
            return self.again_with_new(f"Ticket {state.number} was closed in the PSA; a new one is opened.")
        return outcomes.skipped("folded", f"Ticket {state.number} is open already.")

    def again_with_new(self, text: str) -> Outcome:
        return Outcome(
            status=Status.WAITING, reason="ticket_gone", text=text, again_in=0, facts={"is_gone": True}
        )

    def write(self, psa: Psa, wanted: WantedTicket) -> Outcome:
        try:
            plan = psa.plan_ticket(wanted)
        except NotFound:
            return outcomes.skipped("ticket_gone", "The ticket is no longer in the PSA.", is_closed=True)
        chaos.point("planned")
        if not plan.items:
            return outcomes.skipped(
                "already_closed", "The ticket is closed already.", plan=plan, is_closed=True
            )
        if not self.writes:
            return outcomes.skipped(
                "observe", "Observe mode: planned, not written.", plan=plan, is_unsent=True
            )
        try:
            chaos.point(f"before-{self.step}")
            applied = psa.apply(plan)
            chaos.point(f"after-{self.step}")
        except PsaError as error:
            outcome = self.failed(error)
            outcome.plan = plan
            return outcome
        return self.succeeded(applied.items[-1], plan)

    def failed(self, error: PsaError) -> Outcome:
        if self.step == "create" and not self.ticket.psa_id:
            if error.outcome_unknown:
                return outcomes.unknown(error, again_in=settings.SEARCH_DELAYS[0], is_sent=True)
            outcome = outcomes.of_error(error, attempts=self.delivery.attempts)
            outcome.facts["is_unsent"] = True
            return outcome
        if isinstance(error, NotFound):
            return outcomes.skipped("ticket_gone", "The ticket is no longer in the PSA.", is_closed=True)
        outcome = outcomes.of_error(error, attempts=self.delivery.attempts)
        outcome.facts["is_sent" if error.outcome_unknown else "is_unsent"] = True
        return outcome

    def succeeded(self, item: AppliedItem, plan: Plan) -> Outcome:
        number = str(item.answer.get("number") or self.ticket.number or item.record_id)
        if self.step == "close":
            merged = next((finding.text for finding in plan.findings if finding.code == "merged"), "")
            text = merged or f"Ticket {number} is closed."
            return outcomes.done(text, plan=plan, is_closed=True, number=number)
        url = str(item.answer.get("url", ""))
        text = f"Ticket {number} is open."
        return outcomes.done(text, plan=plan, is_closed=False, psa_id=item.record_id, number=number, url=url)


def closing(wanted: WantedTicket, psa_id: str) -> WantedTicket:
    values = {**vars(wanted), "known_id": psa_id, "state": "closed"}
    return WantedTicket(**values)


class Tickets:
    """The dispatcher's handler for the action *open a ticket*."""

    # --- Before: facts, in bulk, and the intent -----------------------------------------------------------------

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        """About ten queries a batch, whatever its size."""
        facts = facts_of(deliveries)
        known = {fact.delivery.pk for fact in facts}
        answers: list[Task | tuple[Delivery, Outcome]] = [
            (delivery, outcomes.skipped("condition_gone", "The condition no longer exists."))
            for delivery in deliveries
            if delivery.pk not in known
        ]
        if not facts:
            return answers
        circumstances = Circumstances.of(facts)
        for fact in facts:
            answer = decide(fact, circumstances)
            answers.append((fact.delivery, answer) if isinstance(answer, Outcome) else answer)
        circumstances.store_intents()
        return answers

    # --- After: what came of it, in bulk ------------------------------------------------------------------------

    def record(self, results: Sequence[tuple[Delivery, Outcome]]) -> None:
        about = {condition_of(delivery) for delivery, outcome in results if outcome.facts}
        rows = Ticket.objects.select_for_update(no_key=True).filter(condition__in=about, closed_at=None)
        tickets = {row.condition_id: row for row in rows.order_by("pk")} if about else {}
        changed = []
        for delivery, outcome in results:
            ticket = tickets.get(condition_of(delivery))
            if ticket is not None and outcome.facts:
                note(ticket, outcome)
                changed.append(ticket)
        database.save_all(
            changed, ["state", "psa_id", "number", "url", "opened_at", "closed_at", "sent_at", "misses"]
        )


def note(ticket: Ticket, outcome: Outcome) -> None:
    """What an attempt learned, on the ticket's row."""
    facts, now = outcome.facts, clock.now()
    ticket.misses = facts.get("misses", 0)
    if psa_id := facts.get("psa_id"):
        ticket.psa_id, ticket.number, ticket.url = psa_id, facts["number"], facts["url"]
        ticket.state, ticket.opened_at = Ticket.State.OPEN, ticket.opened_at or now
    if facts.get("is_sent"):
        ticket.sent_at = now
    elif psa_id or facts.get("is_unsent"):
        ticket.sent_at = None
    if number := facts.get("number"):
        ticket.number = number
    if facts.get("is_closed"):
        ticket.state, ticket.closed_at = Ticket.State.CLOSED, now
    if facts.get("is_gone"):
        ticket.state, ticket.closed_at = Ticket.State.GONE, now


def condition_of(delivery: Delivery) -> uuid.UUID:
    return conditions.of_subject(delivery.subject)


def open_tickets(condition_ids: set[uuid.UUID]) -> dict[uuid.UUID, Ticket]:
    return {row.condition_id: row for row in _open_tickets(condition_ids)}


_open_tickets = database.Prepared(
    lambda conditions: Ticket.objects.filter(condition__in=conditions, closed_at=None)
)
_conditions = database.Prepared(
    lambda keys: Condition.objects.filter(pk__in=keys).select_related("client", "account")
)
_events = database.Prepared(lambda keys: Event.objects.filter(pk__in=keys))
_generations = database.Prepared(
    lambda conditions: Ticket.objects.filter(condition__in=conditions).values_list(
        "condition_id", "generation"
    )
)


def facts_of(deliveries: Sequence[Delivery]) -> list[Facts]:
    by_condition = {condition_of(delivery): delivery for delivery in deliveries}
    rows: list[Condition] = _conditions(by_condition)
    tickets = open_tickets(set(by_condition))
    return [Facts(by_condition[row.pk], row, tickets.get(row.pk)) for row in rows]


class Circumstances:
    """Everything around a batch's tickets, looked up once: connection, companies, settings, modes, opening events."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.lanes: dict[uuid.UUID, Lane | None] = {}
        self.companies: dict[tuple[uuid.UUID, uuid.UUID], str] = {}
        self.catch_all: str | None = None
        self.disabled: Mapping[uuid.UUID, Disabling] = {}
        self.settings: dict[uuid.UUID, SettingsOf] = {}
        self.events: dict[uuid.UUID, Event] = {}
        self.generations: dict[uuid.UUID, int] = {}
        self.new: list[Ticket] = []
        self.touched: list[Ticket] = []

    @classmethod
    def of(cls, facts: Sequence[Facts]) -> Circumstances:
        """All facts are of one lane, hence of one connection and one partner."""
        lane = facts[0].delivery.lane
        assert lane is not None  # a running delivery has one, a constraint says
        self = cls(lane.credentials)
        clients = {fact.condition.client_id for fact in facts}
        self.lanes = effective.lanes_of(
            {fact.condition.client_id: fact.condition.client for fact in facts}.values()
        )
        self.disabled = disabled.of(clients)
        self.companies = companies.links_of(clients, [self.credentials.pk])
        if len(self.companies) < len(clients) and (found := companies.catch_all_of(self.credentials)):
            self.catch_all = found.psa_company_id
        partner, accounts = (
            self.credentials.partner_id,
            {key for fact in facts if (key := fact.condition.account_id)},
        )
        self.settings = {partner: SettingsOf.of(partner, clients=clients, accounts=accounts)}
        opening = [fact for fact in facts if fact.is_wanted and not (fact.ticket and fact.ticket.psa_id)]
        self.events = {event.pk: event for event in _events({fact.condition.opened_by for fact in opening})}
        fresh = [fact.condition.pk for fact in opening if fact.ticket is None]
        for condition, generation in _generations(fresh):
            self.generations[condition] = max(generation, self.generations.get(condition, 0))
        return self

    def company_of(self, client: Client) -> str | None:
        """Empty for an explicit skip, None when nobody has decided and there is no catch-all company."""
        return self.companies.get((client.pk, self.credentials.pk), self.catch_all)

    def is_caught(self, client: Client) -> bool:
        """In the catch-all company a ticket begins with the client's name."""
        return self.catch_all is not None and (client.pk, self.credentials.pk) not in self.companies

    def new_ticket(self, condition: Condition) -> Ticket:
        """The intent to open a ticket, stored before anything is sent."""
        generation = self.generations.get(condition.pk, 0) + 1
        ticket = Ticket(
            partner_id=condition.partner_id,
            condition=condition,
            credentials=self.credentials,
            generation=generation,
            external_ref=f"{settings.INSTALLATION}:{condition.pk.hex}:{generation}",
            summary=condition.summary,
            sent_at=clock.now(),
        )
        self.new.append(ticket)
        return ticket

    def store_intents(self) -> None:
        touched = {ticket.pk: ticket for ticket in self.touched}
        database.save_all(list(touched.values()), ["sent_at", "misses", "state", "closed_at", "credentials"])
        Ticket.objects.bulk_create(self.new)


def decide(fact: Facts, around: Circumstances) -> Outcome | TicketTask:
    """What this attempt has to do and where, or why nothing."""
    if stop := around.disabled.get(fact.condition.client_id):
        return catchup.held(stop)
    if not fact.is_wanted:
        return decide_closing(fact, around)
    client = fact.condition.client
    if (way := way_to_the_right_connection(fact, around)) is not None:
        return way
    company = around.company_of(client)
    if company is None:
        return outcomes.held(
            companies.WAITS,
            f"{client.name} is not mapped to a PSA company. Map it; the ticket is then opened.",
        )
    if not company:
        return outcomes.skipped("client_skipped", f"{client.name} is mapped to “skip”.")
    if fact.ticket is not None and fact.ticket.psa_id:
        if (wait := still_closing(fact.ticket)) > 0:
            text = (
                "It was being closed when it was needed again; whether it was is looked at when that is sure."
            )
            return Outcome(status=Status.WAITING, reason="still_closing", text=text, again_in=wait)
        return task_for(fact, around, company, fact.ticket, step="look", search=False)
    return decide_opening(fact, around, company)


def still_closing(ticket: Ticket) -> float:
    """For how many seconds yet a close that was sent, and not answered, may still be carried out."""
    if ticket.sent_at is None:
        return 0
    unsure = timedelta(seconds=settings.PSA_DEADLINE + sum(settings.SEARCH_DELAYS))
    return (ticket.sent_at + unsure - clock.now()).total_seconds()


def way_to_the_right_connection(fact: Facts, around: Circumstances) -> Outcome | None:
    """A ticket is wanted: None when this is the connection for it.

    That is the one in effect for the client; but while the ticket of the same condition may be open at another one that
    can be reached, it is looked at there. One that cannot be reached any more is left behind.
    """
    ticket, here = fact.ticket, around.credentials
    may_be_there = ticket is not None and bool(ticket.psa_id or ticket.sent_at)
    if ticket is not None and may_be_there and ticket.credentials_id == here.pk:
        return None
    if ticket is not None and may_be_there and is_reachable(there := connection_of(ticket)):
        return outcomes.elsewhere(there.lane, eventlog.AT_ITS_TICKET)
    lane = around.lanes[fact.condition.client_id]
    if lane is None:
        return outcomes.without_psa()
    if lane.pk != here.lane.pk:
        return outcomes.elsewhere(lane)
    if may_be_there:
        leave_behind(fact, around)
    elif ticket is not None and ticket.credentials_id != here.pk:
        ticket.credentials = here
        around.touched.append(ticket)
    return None


def connection_of(ticket: Ticket) -> Credentials:
    """Without its secret, which is nobody's business here."""
    found: Credentials = (
        Credentials.objects.select_related("lane").defer("secret").get(pk=ticket.credentials_id)
    )
    return found


def is_reachable(credentials: Credentials) -> bool:
    return credentials.kind != Kind.NONE and not credentials.lane.breaker and not credentials.lane.is_paused


def leave_behind(fact: Facts, around: Circumstances) -> None:
    """The client has another connection now; the ticket at the former one is closed by hand, if at all."""
    ticket = fact.ticket
    assert ticket is not None
    logger.warning("Ticket %s stays open at a former connection", ticket.number or ticket.external_ref)
    ticket.state, ticket.closed_at = Ticket.State.GONE, clock.now()
    around.touched.append(ticket)
    around.generations[fact.condition.pk] = ticket.generation
    fact.ticket = None


def decide_opening(fact: Facts, around: Circumstances, company: str) -> TicketTask:
    ticket = fact.ticket
    is_maybe_there = ticket is not None and ticket.sent_at is not None
    if ticket is None:
        ticket = around.new_ticket(fact.condition)
    elif not is_maybe_there:
        ticket.sent_at, ticket.misses = clock.now(), 0
        around.touched.append(ticket)
    search = is_maybe_there or fact.delivery.search_first
    task = task_for(fact, around, company, ticket, step="create", search=search)
    if not is_maybe_there:
        task.misses_needed = 1
    return task


def decide_closing(fact: Facts, around: Circumstances) -> Outcome | TicketTask:
    ticket = fact.ticket
    if ticket is None:
        return outcomes.skipped("nothing_to_close", "There is no open ticket for this condition.")
    if not ticket.psa_id and ticket.sent_at is None:
        ticket.state, ticket.closed_at = Ticket.State.GONE, clock.now()
        around.touched.append(ticket)
        return outcomes.skipped("recovered_first", "All was well again before a ticket had to be opened.")
    if ticket.credentials_id != around.credentials.pk:
        if (there := connection_of(ticket)).kind != Kind.NONE:
            return outcomes.elsewhere(there.lane, eventlog.AT_ITS_TICKET)
        leave_behind(fact, around)
        name = ticket.number or ticket.external_ref
        return outcomes.skipped(
            "ticket_left",
            f"Ticket {name} is in a PSA that is not connected any more; close it there by hand.",
        )
    settings_of = around.settings[ticket.partner_id]
    if not settings_of.value("automatic_closure", fact.condition.client).value:
        return outcomes.skipped("closure_off", "Automatic ticket closure is off; the ticket stays open.")
    if ticket.psa_id:
        ticket.sent_at = clock.now()
        around.touched.append(ticket)
    company = around.companies.get((fact.condition.client_id, ticket.credentials_id), "")
    return task_for(fact, around, company, ticket, step="close", search=not ticket.psa_id)


def task_for(
    fact: Facts, around: Circumstances, company: str, ticket: Ticket, *, step: Step, search: bool
) -> TicketTask:
    settings_of = around.settings[ticket.partner_id]
    mode = inheritance.mode_of(fact.condition.client, "tickets", settings_of.tree)
    event = around.events.get(fact.condition.opened_by or clock.NIL_UUID)
    return TicketTask(
        delivery=fact.delivery,
        ticket=ticket,
        wanted=wantedticket.wanted_ticket(
            fact.condition,
            event,
            settings=settings_of,
            credentials=around.credentials,
            company=company,
            external_ref=ticket.external_ref,
            state="closed" if step == "close" else "open",
            known_id=ticket.psa_id or None,
            created_at=ticket.created_at,
            is_caught=around.is_caught(fact.condition.client),
        ),
        step=step,
        search=search,
        writes=mode.value != "observe",
    )


# --- The sweep -----------------------------------------------------------------------------------------------------


def sweep(credentials: Credentials) -> int:
    """Adopt tickets that carry our key but that we do not know (a lost answer, a restored backup); close doubles.

    Returns how many tickets were put right.
    """
    with connections.psa_for(credentials) as psa:
        chaos.point("before-sweep")
        found = psa.recent_tickets(f"{settings.INSTALLATION}:", since=clock.now() - SWEPT)
        chaos.point("sweep-listed")
        by_ref: dict[str, list[TicketState]] = defaultdict(list)
        for state in found:
            by_ref[state.external_ref].append(state)
        rows = Ticket.objects.filter(credentials=credentials, external_ref__in=by_ref)
        tree = inheritance.Tree.of(credentials.partner_id)
        superfluous: list[tuple[TicketState | None, TicketState]] = []
        righted = 0
        off = disabled.of(rows.values_list("condition__client", flat=True))
        for row in rows.select_related("condition__client"):
            kept, others = judge_twins(row, by_ref[row.external_ref])
            righted += kept is not None and kept.id != row.psa_id and adopt_orphan(row, kept)
            mode = inheritance.mode_of(row.condition.client, "tickets", tree).value
            if mode != "observe" and row.condition.client_id not in off:
                superfluous += [(kept, state) for state in others]
        righted += sum(close_superfluous(psa, kept, state) for kept, state in superfluous)
    chaos.point("swept")
    return righted


def judge_twins(row: Ticket, states: Sequence[TicketState]) -> tuple[TicketState | None, list[TicketState]]:
    """Of all PSA tickets with one key: the one that is kept and known, and those that should not be open.

    A row that was closed keeps what it knows: whatever else turns up with its key came too late.
    """
    own = next((state for state in states if state.id == row.psa_id), None)
    if row.psa_id and own is None:
        return None, []  # the one we know is older than what was asked for: no judgement
    kept = own if row.closed_at is not None else kept_of(own, states)
    return kept, [state for state in states if not state.is_closed and state is not kept]


def kept_of(own: TicketState | None, states: Sequence[TicketState]) -> TicketState:
    """Of the tickets of an open row: the one it knows, else the oldest; but an open one before closed ones."""
    still_open = [state for state in states if not state.is_closed]
    if own is not None and (own in still_open or not still_open):
        return own
    return (still_open or list(states))[0]


def close_superfluous(psa: Psa, kept: TicketState | None, state: TicketState) -> bool:
    """Close a ticket that should not be, with a note that says why; False when the PSA refuses just this one.

    Raises what says that the next one would fare no better.
    """
    logger.error(
        "Ticket %s carries the key %s, which needs no further ticket", state.number, state.external_ref
    )
    because = (
        f"ticket {kept.number} is about the same problem" if kept else "its problem was over when it appeared"
    )
    wanted = WantedTicket(
        external_ref=state.external_ref,
        state="closed",
        company_id=state.company_id or "",
        summary=state.summary,
        known_id=state.id,
        note=f"Closed by PSA Portal: {because}.",
    )
    try:
        psa.apply(psa.plan_ticket(wanted))
    except (Unreachable, Throttled, SignInRefused):
        raise
    except PsaError as error:
        logger.error("Ticket %s could not be closed, close it by hand: %s", state.number, error.text)
        return False
    return True


def adopt_orphan(row: Ticket, state: TicketState) -> bool:
    """Give a ticket row the PSA ticket that was opened for it; then let its condition be looked at again."""
    with transaction.atomic():
        adopted = Ticket.objects.filter(pk=row.pk, psa_id=row.psa_id, closed_at=None).update(
            psa_id=state.id,
            number=state.number,
            url=state.url,
            state=Ticket.State.OPEN,
            opened_at=clock.now(),
        )
        if adopted:
            newest = Delivery.objects.filter(subject=conditions.subject_of(row.condition_id)).order_by("-id")[
                :1
            ]
            eventlog.reprocess(Delivery.objects.filter(pk__in=newest.values("pk")))
            chaos.point("before-adopt")
    return bool(adopted)
