"""When is a client's report updated (asked by statistics, synchronizations, people and the sweep).

Within 60 s of new numbers, at most once in 12 h; only a success starts the 12 h. One update of a client waits at a
time, and sends what is true when it runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from billing import backupstatistics
from billing.backupstatistics import Told
from billing.models import BackupStatistics, ReportRun, ReportWindow
from integrations import effective, eventlog, outcomes, wake
from integrations.models import Action, Delivery, Event, Status
from integrations.models.eventlog import EventAction, Severity
from portal import clock, database, inheritance
from portal.models import Client, Organization, User

PREFIX = "report:"
MOST_DUE = 1000
MOST_LOOKS = 5
HELD_FOR_SETUP = ("no_psa", "no_company")
CAUSES = {
    "statistics": "New backup statistics were received.",
    "synchronize": "The client is synchronized.",
    "due": "Backup statistics wait to be sent.",
    "button": "Somebody pressed Update Backup Statistics.",
    "approved": "An update of the report was approved.",
}


OFF = "off"
"""As long as nobody ticked Update Backup Statistics for the client or above."""


def mode_for(client: Client) -> str:
    """live, approve, observe or off."""
    return modes_of([client])[client.pk]


def modes_of(clients: Iterable[Client]) -> dict[uuid.UUID, str]:
    """By client; one query a partner."""
    trees: dict[uuid.UUID, inheritance.Tree] = {}
    modes: dict[uuid.UUID, str] = {}
    for client in clients:
        if client.partner_id not in trees:
            trees[client.partner_id] = inheritance.Tree.of(client.partner_id)
        found = inheritance.mode_of(client, "statistics", trees[client.partner_id])
        modes[client.pk] = found.value if found.source is not None else OFF
    return modes


def switched_on(clients: Sequence[Client]) -> list[Client]:
    modes = modes_of(clients)
    return [client for client in clients if modes[client.pk] != OFF]


def subject_of(client_id: uuid.UUID | None) -> str:
    return f"{PREFIX}{client_id}"


def take_in(words: Sequence[Told]) -> int:
    """Add to the ledger and ask for the updates; returns how many clients have something new."""
    clients = backupstatistics.record(
        words, then=lambda changed: ask(switched_on(changed), cause="statistics")
    )
    return len(clients)


def ask(
    clients: Iterable[Client], *, cause: str, by: User | None = None, at_once: bool = False
) -> list[Delivery]:
    """One event and one delivery a client, unless one waits already. `at_once` does not mind the 12 h.

    When the caller's transaction is committed, each client has an update that starts after the commit: what waits is
    locked against being started, and where another transaction's went in first, that one is looked at again.
    """
    asked: list[Delivery] = []
    left = list(clients)
    with transaction.atomic():
        if at_once:
            hurry(left)
        for _ in range(MOST_LOOKS):
            waiting = waiting_clients(left)
            rows = [order(client, cause, by) for client in left if client.pk not in waiting]
            stored = store(rows, at_once=at_once)
            asked += [row for row in rows if row.pk in stored]
            left = [row.client for row in rows if row.pk not in stored]
            if not left:
                return asked
    raise IntegrityError(
        "Updates of these clients' reports came and went faster than they could be asked for"
    )


def approve(client: Client, *, digest: str, by: User) -> bool:
    """Of the client's newest run, if it still is this proposal. The update then goes at once."""
    with transaction.atomic():
        newest = ReportRun.objects.filter(client=client).select_for_update(no_key=True).first()
        if newest is None or newest.digest != digest or newest.state != ReportRun.State.PROPOSED:
            return False
        newest.approved_by = by.email
        newest.save(update_fields=["approved_by"])
        ask([client], cause="approved", by=by, at_once=True)
    return True


def beside(synchronizations: Sequence[Delivery]) -> list[Delivery]:
    """What synchronizes a client updates its report too, where there are statistics of it."""
    by_client = {row.client_id: row for row in synchronizations}
    told = BackupStatistics.objects.filter(client=OuterRef("pk"), is_current=True)
    clients = Client.objects.filter(Exists(told), pk__in=list(by_client)).select_related("partner")
    asked: list[Delivery] = []
    for client in switched_on(list(clients)):
        cause = by_client[client.pk]
        since = Delivery.objects.filter(subject=subject_of(client.pk), created_at__gte=cause.created_at)
        if not since.exists():
            is_button = cause.notification_id is None and cause.notification_name == "button"
            asked += ask([client], cause="synchronize", at_once=is_button)
    return asked


def ask_due() -> int:
    """For clients whose newest statistics no success knows, unless it was tried in the last 12 h."""
    since = clock.now() - timedelta(seconds=settings.SYNCHRONIZE_WINDOW)
    oldest = clock.now() - timedelta(days=settings.USAGE_FRESH_DAYS)
    told = BackupStatistics.objects.filter(client=OuterRef("pk"), is_current=True, recorded_at__gt=oldest)
    known = ReportWindow.objects.filter(
        client=OuterRef("client"), last_success_at__gte=OuterRef("recorded_at")
    )
    tried = Delivery.objects.filter(
        client=OuterRef("pk"),
        action=Action.SYNCHRONIZE,
        subject__startswith=PREFIX,
        created_at__gt=since,
    )
    due = Client.objects.filter(Exists(told.filter(~Exists(known))), ~Exists(tried), is_active=True)
    on_somewhere = Organization.objects.filter(statistics_mode__isnull=False).values("partner")
    due = due.filter(Q(statistics_mode__isnull=False) | Q(partner__in=on_somewhere))
    return len(ask(switched_on(list(due.select_related("partner")[:MOST_DUE])), cause="due"))


def store(rows: Sequence[Delivery], *, at_once: bool) -> set[uuid.UUID]:
    now = clock.now()
    lanes = effective.lanes_of([row.client for row in rows])
    windows = ReportWindow.objects.filter(client__in=[row.client_id for row in rows])
    next_at = {} if at_once else dict(windows.values_list("client_id", "next_at"))
    for row in rows:
        row.lane = lanes[row.client_id]
        if row.lane is None:
            row.status, row.reason, row.outcome = Status.HELD, "no_psa", outcomes.NO_PSA
        elif (moment := next_at.get(row.client_id)) and moment > now:
            row.due_at, row.reason = moment, "synchronize_window"
    stored = eventlog.deliver(rows)
    events = [row.event for row in rows if row.pk in stored]
    for event in events:
        event.received_at = event.occurred_at = now
    database.insert_new(events)
    return stored


def order(client: Client, cause: str, by: User | None) -> Delivery:
    event = Event(
        partner_id=client.partner_id,
        client=client,
        scope=client.partner_id,
        source="portal",
        source_id=str(clock.new_id()),
        body_hash="",
        type="portal.statistics",
        severity=Severity.INFO,
        action=EventAction.NONE,
        client_reference=str(client.number),
        summary=CAUSES[cause] + (f" ({by.email})" if by else ""),
        occurred_at=clock.now(),
        trace=[{"step": "delivery", "text": "An update of the management report was asked for."}],
    )
    return Delivery(
        partner_id=client.partner_id,
        event=event,
        client=client,
        action=Action.SYNCHRONIZE,
        subject=subject_of(client.pk),
        notification_name="update backup statistics",
    )


def hurry(clients: Sequence[Client]) -> None:
    """What waits for the end of a window goes now."""
    subjects = [subject_of(client.pk) for client in clients]
    rows = Delivery.objects.filter(subject__in=subjects, status=Status.WAITING, due_at__gt=clock.now())
    if rows.update(due_at=clock.now(), reason=""):
        wake.ring()


def waiting_clients(clients: Sequence[Client]) -> set[uuid.UUID]:
    """Clients of whom an update waits, or is held for set-up; those are tried again first."""
    subjects = [subject_of(client.pk) for client in clients]
    held = Delivery.objects.filter(status=Status.HELD, reason__in=HELD_FOR_SETUP, subject__in=subjects)
    if held.exists():
        eventlog.reprocess(held)
    waiting = Q(status=Status.WAITING) | Q(status=Status.HELD, reason__in=HELD_FOR_SETUP)
    rows = Delivery.objects.filter(waiting, subject__in=subjects).order_by("pk")
    return set(rows.select_for_update(no_key=True).values_list("client_id", flat=True))


def give_way(delivery: Delivery) -> None:
    """When a newer update of the same client waits, it does what this one could not, and no later."""
    newer = Delivery.objects.filter(subject=delivery.subject, status=Status.WAITING).exclude(pk=delivery.pk)
    newer.filter(due_at__gt=delivery.due_at).update(due_at=delivery.due_at, reason="")
    if newer.exists():
        delivery.status, delivery.reason = Status.SKIPPED, "superseded"
        delivery.outcome = f"{delivery.outcome} A newer update of this client waits and takes over.".strip()
        delivery.finished_at = clock.now()


def forget_proposals(delivery: Delivery) -> None:
    """Older ones of the same client that wait for approval: newer numbers are known."""
    held = Delivery.objects.filter(subject=delivery.subject, status=Status.HELD, reason="needs_approval")
    older = held.filter(created_at__lte=delivery.created_at).exclude(pk=delivery.pk)
    older.update(status=Status.SKIPPED, reason="superseded", finished_at=clock.now())


def succeeded(client: Client, *, as_of: datetime) -> None:
    """Starts the client's 12 h. `as_of` is the moment before the numbers were read."""
    ReportWindow.objects.update_or_create(
        client=client,
        defaults={
            "partner_id": client.partner_id,
            "last_success_at": as_of,
            "next_at": clock.now() + timedelta(seconds=settings.SYNCHRONIZE_WINDOW),
        },
    )
