"""When is a client synchronized (asked by usage, notifications, push days and "Synchronize now").

Within 60 s of a cause, at most once in 12 h; only a success starts the 12 h. At most one synchronization of a client
waits at a time, and it will push what is true when it runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, TruncDate

from billing import schedule
from billing.models import AgreementLink, PushBatch, SynchronizeOrder, SynchronizeWindow, Usage
from integrations import effective, eventlog, outcomes, wake
from integrations.models import Action, Delivery, Event, Status
from integrations.models.eventlog import EventAction, Severity
from portal import clock, database, disabled, onebyone
from portal.models import Client, Partner, User

MOST_DUE = 1000
MOST_LOOKS = 5
CAUSES = {
    "usage": "New usage was received.",
    "due": "Usage waits to be pushed.",
    "push_day": "Push day has come.",
    "button": "Somebody pressed Synchronize.",
    "approved": "A plan was approved.",
    "answered": "A question about a quantity was answered.",
    "undo": "A push is to be undone.",
    "rejected": "An undo was rejected.",
    "settings": "Billing settings were changed.",
}


NARROW = ("approved", "answered", "undo", "rejected")
"""Somebody decided about one thing: that is carried out, and nothing else goes before its push day."""
DECIDED = ("approved", "rejected")
"""Whoever did this looked at what another asked for; what is planned anew because of it was not asked for by them."""


def subject_of(client_id: uuid.UUID | None) -> str:
    return f"sync:{client_id}"


def put_into_window(deliveries: Sequence[Delivery]) -> None:
    """Set when each may run: now, or when the client's 12 h are over."""
    if not deliveries:
        return
    rows = SynchronizeWindow.objects.filter(client__in={row.client_id for row in deliveries})
    next_at = dict(rows.values_list("client_id", "next_at"))
    for row in deliveries:
        moment = next_at.get(row.client_id)
        if moment is not None and moment > row.due_at:
            row.due_at, row.reason = moment, "synchronize_window"


def request(client: Client, *, cause: str, by: User | None = None, at_once: bool = False) -> Delivery | None:
    """Ask for one client; see `request_many`."""
    found = request_many([client], cause=cause, by=by, at_once=at_once)
    return found[0] if found else None


def request_many(
    clients: Iterable[Client],
    *,
    cause: str,
    by: User | None = None,
    at_once: bool = False,
    batch: PushBatch | None = None,
) -> list[Delivery]:
    """The portal notices a cause: one event and one delivery a client, unless one waits already.

    `at_once` is for people who press the button: the 12 h window does not hold them.

    When the caller's transaction is committed, each client has a synchronization that starts after the commit, hence
    pushes what the transaction stored: what waits is locked against being started, and where another transaction's
    went in first, that one is looked at again.
    """
    asked: list[Delivery] = []
    left = list(clients)
    asker = None if cause in DECIDED else by
    with transaction.atomic():
        if at_once:
            hurry(left)
        if batch is not None or asker is not None or cause not in (*NARROW, "usage"):
            adopt(left, cause, batch, asker)
        for _ in range(MOST_LOOKS):
            waiting = waiting_clients(left)
            rows = [order(client, cause, by) for client in left if client.pk not in waiting]
            stored = store(rows, at_once=at_once)
            keep_orders([row for row in rows if row.pk in stored], cause, batch, asker)
            asked += [row for row in rows if row.pk in stored]
            left = [row.client for row in rows if row.pk not in stored]
            if not left:
                return asked
    raise IntegrityError(
        "Synchronizations of these clients came and went faster than they could be asked for"
    )


def store(rows: Sequence[Delivery], *, at_once: bool) -> set[uuid.UUID]:
    now = clock.now()
    lanes = effective.lanes_of([row.client for row in rows])
    for row in rows:
        row.lane = lanes[row.client_id]
        if row.lane is None:
            row.status, row.reason, row.outcome = Status.HELD, "no_psa", outcomes.NO_PSA
    if not at_once:
        put_into_window(rows)
    stored = eventlog.deliver(rows)
    events = [row.event for row in rows if row.pk in stored]
    for event in events:
        event.received_at = event.occurred_at = now
    database.insert_new(events)
    return stored


def request_due() -> int:
    """Ask for every client with an agreement and fresh usage that its last success did not know, unless it was tried in
    the last 12 h: whatever went wrong meanwhile, no usage stays behind. Returns how many were asked for.

    Not known was what was told later, and what was told of a day that had not begun yet where the partner is.
    """
    zones = Partner.objects.order_by("time_zone").values_list("time_zone", flat=True).distinct()
    return onebyone.each(zones, request_due_in, what="Synchronizations that are due")


def request_due_in(zone: str) -> int:
    since = clock.now() - timedelta(seconds=settings.SYNCHRONIZE_WINDOW)
    oldest = clock.now() - timedelta(days=settings.USAGE_FRESH_DAYS)
    last_success = SynchronizeWindow.objects.filter(client=OuterRef("client")).values("last_success_at")
    current = Usage.objects.filter(client=OuterRef("pk"), is_current=True)
    told_later = Q(recorded_at__gt=Coalesce(Subquery(last_success), oldest))
    last_day = TruncDate(Subquery(last_success), tzinfo=ZoneInfo(zone))
    begun_later = Q(measured_on__gt=last_day, measured_on__lte=clock.today_in(zone))
    unpushed = current.filter(told_later | begun_later, recorded_at__gt=oldest)
    tried = Delivery.objects.filter(client=OuterRef("pk"), action=Action.SYNCHRONIZE, created_at__gt=since)
    billed = AgreementLink.objects.filter(client=OuterRef("pk"))
    due = Client.objects.filter(Exists(billed), Exists(unpushed), ~Exists(tried), is_active=True)
    due = due.filter(partner__time_zone=zone).select_related("partner").order_by("pk")
    return len(request_many(first_continuous(due), cause="due"))


def first_continuous(due: QuerySet[Client]) -> list[Client]:
    """At most MOST_DUE and one page more; clients with a push day, who stay due until it comes, take nobody's place."""
    found: list[Client] = []
    page = list(due[:MOST_DUE])
    while page:
        found += schedule.continuous(page)
        if len(found) >= MOST_DUE:
            break
        page = list(due.filter(pk__gt=page[-1].pk)[:MOST_DUE])
    return found


def hurry(clients: Sequence[Client]) -> None:
    """What waits for the end of a window goes now."""
    subjects = [subject_of(client.pk) for client in clients]
    rows = Delivery.objects.filter(subject__in=subjects, status=Status.WAITING, due_at__gt=clock.now())
    if rows.update(due_at=clock.now(), reason=""):
        wake.ring()


def adopt(clients: Sequence[Client], cause: str, batch: PushBatch | None, by: User | None) -> None:
    """Synchronizations that wait already belong to the batch that asks for them now, and to the first person who does:
    with four eyes, theirs is not the second pair. They go as far as the farthest of what asked for them.
    """
    subjects = [subject_of(client.pk) for client in clients]
    waiting = Delivery.objects.filter(subject__in=subjects, status=Status.WAITING)
    if cause not in NARROW:
        widen(subjects)
    if batch is None and by is None:
        return
    known = {row.delivery_id: row for row in SynchronizeOrder.objects.filter(delivery__in=waiting)}
    for row in known.values():
        row.asked_by, row.batch = row.asked_by or by, batch or row.batch
    SynchronizeOrder.objects.bulk_update(list(known.values()), ["asked_by", "batch"], batch_size=500)
    new = waiting.exclude(pk__in=known).values_list("pk", "partner_id")
    database.insert_new(
        [
            SynchronizeOrder(delivery_id=pk, partner_id=partner, batch=batch, asked_by=by)
            for pk, partner in new
        ]
    )


def widen(subjects: Collection[str]) -> None:
    """What waits only to carry out a decision now pushes everything."""
    narrow = SynchronizeOrder.objects.filter(is_narrow=True)
    narrow.filter(delivery__subject__in=subjects, delivery__status=Status.WAITING).update(is_narrow=False)


def keep_orders(rows: Sequence[Delivery], cause: str, batch: PushBatch | None, by: User | None) -> None:
    """Beside new synchronizations, where there is anything to say."""
    if batch is not None or by is not None or cause in NARROW:
        SynchronizeOrder.objects.bulk_create(
            [
                SynchronizeOrder(
                    partner_id=row.partner_id,
                    delivery=row,
                    asked_by=by,
                    batch=batch,
                    is_narrow=cause in NARROW,
                )
                for row in rows
            ]
        )


HELD_FOR_SETUP = ("no_psa", "no_company", "no_agreement", disabled.REASON)
"""Reasons that end when the set-up is completed or the client enabled; such a delivery then goes out by itself."""


def waiting_clients(clients: Sequence[Client]) -> set[uuid.UUID]:
    """Clients of which a synchronization waits, or is held for set-up; those are tried again first."""
    subjects = [subject_of(client.pk) for client in clients]
    held = Delivery.objects.filter(status=Status.HELD, reason__in=HELD_FOR_SETUP, subject__in=subjects)
    if held.exists():
        eventlog.reprocess(held)
    waiting = Q(status=Status.WAITING) | Q(status=Status.HELD, reason__in=HELD_FOR_SETUP)
    rows = Delivery.objects.filter(waiting, subject__in=subjects).order_by("pk")
    rows = rows.select_for_update(no_key=True)  # none of them starts before our commit
    return set(rows.values_list("client_id", flat=True))


def take_over(delivery: Delivery) -> bool:
    """A newer synchronization of the same client waits: it will do what this one could not, and no later than this
    one would have tried again, whatever held it. False: there is none.
    """
    waiting = Delivery.objects.filter(subject=delivery.subject, status=Status.WAITING)
    newer = waiting.exclude(pk=delivery.pk).first()
    if newer is None:
        return False
    if newer.due_at > delivery.due_at:
        waiting.filter(pk=newer.pk).update(due_at=delivery.due_at, reason="")
    inherit(newer, order_of(delivery))
    return True


def inherit(newer: Delivery, older: SynchronizeOrder) -> None:
    """The newer one goes as far as the older would have, for the same person and batch."""
    own = order_of(newer)
    if own._state.adding and older._state.adding:
        return
    own.is_narrow = own.is_narrow and older.is_narrow
    own.asked_by_id, own.batch_id = older.asked_by_id or own.asked_by_id, own.batch_id or older.batch_id
    own.save()


def order(client: Client, cause: str, by: User | None) -> Delivery:
    event = Event(
        partner_id=client.partner_id,
        client=client,
        scope=client.partner_id,
        source="portal",
        source_id=str(clock.new_id()),
        body_hash="",
        type=f"portal.{cause}",
        severity=Severity.INFO,
        action=EventAction.NONE,
        client_reference=str(client.number),
        summary=CAUSES[cause] + (f" ({by.email})" if by else ""),
        occurred_at=clock.now(),
        trace=[{"step": "delivery", "text": "Synchronization was asked for."}],
    )
    return Delivery(
        partner_id=client.partner_id,
        event=event,
        client=client,
        action=Action.SYNCHRONIZE,
        subject=subject_of(client.pk),
        notification_name=cause.replace("_", " "),
    )


def order_of(delivery: Delivery) -> SynchronizeOrder:
    """What was asked for with it; one that is not stored where nothing was said."""
    found = SynchronizeOrder.objects.filter(delivery=delivery).first()
    return found or SynchronizeOrder(partner_id=delivery.partner_id, delivery=delivery)


def succeeded(client: Client, *, as_of: datetime) -> None:
    """Starts the client's 12 h. `as_of` is the moment before usage was read: what was told later is not pushed yet."""
    now = clock.now()
    SynchronizeWindow.objects.update_or_create(
        client=client,
        defaults={
            "partner_id": client.partner_id,
            "last_success_at": as_of,
            "next_at": now + timedelta(seconds=settings.SYNCHRONIZE_WINDOW),
        },
    )
