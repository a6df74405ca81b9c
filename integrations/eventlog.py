"""What was told to whom because of what, and telling it again (asked by intake, pages, API and admin)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from integrations import effective, outcomes, wake
from integrations.models import Delivery, Lane, Status
from integrations.models.eventlog import OUTBOUND, UNSETTLED
from portal import background, clock, database
from portal.models import Client

AT_REST = (Status.DONE, Status.SKIPPED, Status.HELD, Status.FAILED)
REPROCESS_AT_ONCE = 500
LOOKS_AT_A_RACE = 5
AT_ITS_TICKET = "at_its_ticket"
"""Reason of a delivery that waits at a connection which is not in effect any more, because its ticket is there."""
PRIORITIES = {"ticket": 10, "synchronize": 50, "email": 60, "webhook": 60}
URGENT = {"critical": 6, "error": 8}


def priority_of(action: str, severity: str) -> int:
    """Which of what waits goes first: the smaller number. Among tickets the worst go first."""
    return URGENT.get(severity, PRIORITIES["ticket"]) if action == "ticket" else PRIORITIES[action]


def deliver(rows: Sequence[Delivery]) -> set[uuid.UUID]:
    """Store deliveries inside the caller's transaction and wake the dispatchers on commit.

    Returns the ids that went in: a second synchronization waiting for the same client is refused by the database.
    """
    for row in rows:
        row.priority = min(row.priority, PRIORITIES[row.action])
    stored = database.insert_new(rows)
    if any(row.pk in stored and row.status == Status.WAITING and row.lane_id for row in rows):
        wake.ring()
    return stored


def reprocess(deliveries: QuerySet[Delivery]) -> int:
    """Try these again now, from the search step on; returns how many. What is on its way already is left alone.

    Harmless to repeat: an attempt computes what should be true, so a second ticket cannot come of it. When somebody
    else puts another delivery of the same subject back at the same moment, one of the two is enough: the database
    refuses ours, and the next look finds theirs on its way.
    """
    keys = list(deliveries.order_by("id").values_list("pk", flat=True))
    return sum(
        reprocess_these(keys[start : start + REPROCESS_AT_ONCE])
        for start in range(0, len(keys), REPROCESS_AT_ONCE)
    )


class Verdict(models.TextChoices):
    """What would become of a delivery that is reprocessed."""

    AGAIN = "again", "Tried again, beginning with a search for what may be there already"
    SOONER = "sooner", "Waits for a later moment; tried now instead"
    ON_ITS_WAY = "on_its_way", "On its way already, or another of the same subject is; left alone"
    OLDER = "older", "Another delivery of the same subject, reprocessed as well, does the same"
    NO_PSA = "no_psa", "No PSA connection is in effect for its client; nothing can be told"


def foresee(deliveries: QuerySet[Delivery]) -> dict[uuid.UUID, Verdict]:
    """What `reprocess` would do to each of these now; nothing is written. Three queries and those of `effective`."""
    now = clock.now()
    busy = Delivery.objects.filter(
        partner=OuterRef("partner"), subject=OuterRef("subject"), status__in=UNSETTLED
    ).exclude(pk=OuterRef("pk"))
    rows = list(
        deliveries.annotate(is_busy=Exists(busy))
        .order_by("id")
        .values_list("pk", "partner_id", "subject", "status", "due_at", "client_id", "action", "is_busy")
    )
    clients = list(Client.objects.filter(pk__in={row[5] for row in rows}))
    lanes = effective.lanes_of(clients)
    newest = {(row[1], row[2]): row[0] for row in rows if row[3] in AT_REST}
    found: dict[uuid.UUID, Verdict] = {}
    for key, partner, subject, status, due_at, client, action, is_busy in rows:
        if status == Status.WAITING and due_at > now:
            found[key] = Verdict.SOONER
        elif status not in AT_REST or is_busy:
            found[key] = Verdict.ON_ITS_WAY
        elif action not in OUTBOUND and lanes.get(client) is None:
            found[key] = Verdict.NO_PSA
        else:
            found[key] = Verdict.AGAIN if newest[partner, subject] == key else Verdict.OLDER
    return found


def reprocess_these(keys: Sequence[uuid.UUID]) -> int:
    """As `reprocess`, for a bounded number of deliveries."""
    for attempt in range(1, LOOKS_AT_A_RACE + 1):
        try:
            with transaction.atomic():
                return _put_back(Delivery.objects.filter(pk__in=keys))
        except IntegrityError:
            if attempt == LOOKS_AT_A_RACE:
                raise
    raise AssertionError("unreachable")


def _put_back(deliveries: QuerySet[Delivery]) -> int:
    now = clock.now()
    find_lanes(deliveries.exclude(action__in=OUTBOUND))
    on_its_way = Delivery.objects.filter(
        partner=OuterRef("partner"), subject=OuterRef("subject"), status__in=UNSETTLED
    ).exclude(pk=OuterRef("pk"))
    chosen = list(
        deliveries.filter(Q(lane__isnull=False) | Q(action__in=OUTBOUND), status__in=AT_REST)
        .exclude(Exists(on_its_way))
        .order_by("id")
        .values_list("pk", "partner_id", "subject")
    )
    newest_of_each = {(partner, subject): pk for pk, partner, subject in chosen}
    count = Delivery.objects.filter(pk__in=newest_of_each.values(), status__in=AT_REST).update(
        status=Status.WAITING,
        reason="reprocess",
        due_at=now,
        attempts=0,
        search_first=True,
        finished_at=None,
    )
    # What waits for a later moment (a retry, the 12 h window) is due now.
    count += deliveries.filter(status=Status.WAITING, due_at__gt=now).update(due_at=now, reason="reprocess")
    wake.ring()
    return count


def find_lanes(deliveries: QuerySet[Delivery]) -> None:
    """Give these the lane of the connection that is in effect for their client now, if they are not on their way."""
    clients = list(Client.objects.filter(pk__in=deliveries.order_by().values("client")))
    for client_id, lane in effective.lanes_of(clients).items():
        if lane is not None:
            resting = deliveries.filter(client=client_id, status__in=AT_REST)
            resting.filter(Q(lane=None) | ~Q(lane=lane)).update(lane=lane)
    follow_connections(clients)


def follow_connections(clients: Sequence[Client]) -> int:
    """What waits for these clients goes to the lane of the connection in effect now, or is held when there is none.

    An attempt does so by itself; this is for lanes whose attempts are stopped. Deliveries that an attempt has sent to
    the connection that has their ticket stay. Returns how many went elsewhere.
    """
    moved = 0
    with transaction.atomic():
        waiting = Delivery.objects.filter(client__in=clients, status=Status.WAITING).exclude(
            Q(reason=AT_ITS_TICKET) | Q(action__in=OUTBOUND)
        )
        # Claims hold the lane's row: nobody takes up what is being moved.
        theirs = waiting.order_by().values_list("lane", flat=True).distinct()
        list(Lane.objects.select_for_update(no_key=True).filter(pk__in=list(theirs)).order_by("pk"))
        for client_id, lane in effective.lanes_of(clients).items():
            rows = waiting.filter(client=client_id)
            if lane is not None:
                moved += rows.filter(Q(lane=None) | ~Q(lane=lane)).update(lane=lane, due_at=clock.now())
            else:
                moved += rows.update(
                    status=Status.HELD,
                    reason="no_psa",
                    lane=None,
                    outcome=outcomes.NO_PSA,
                    finished_at=clock.now(),
                )
    if moved:
        wake.ring()
    return moved


def look_over() -> int:
    """What stands at a connection that is stopped or gone, or is held for want of one, goes where it belongs by now.

    Harmless at any time. Returns how many deliveries went on.
    """
    stopped = list(
        Lane.objects.filter(~Q(breaker="") | Q(is_paused=True) | ~Q(blocked={})).values_list("pk", flat=True)
    )
    of_psas = Delivery.objects.exclude(action__in=OUTBOUND)
    at_stopped = of_psas.filter(Q(lane=None) | Q(lane__in=stopped), status=Status.WAITING)
    moved = 0
    for clients in in_pieces(at_stopped):
        moved += follow_connections(clients)
    # The ticket rows of a connection that was deleted went with it: there is nothing left to search for.
    of_psas.filter(status=Status.UNKNOWN, lane=None).update(status=Status.HELD, reason="no_psa")
    without = of_psas.filter(status=Status.HELD, lane=None, reason="no_psa")
    for clients in in_pieces(without):
        with_psa = [client for client, lane in effective.lanes_of(clients).items() if lane is not None]
        if with_psa:
            moved += reprocess(without.filter(client__in=with_psa))
    return moved


def in_pieces(deliveries: QuerySet[Delivery]) -> Iterator[list[Client]]:
    """The clients of these deliveries."""
    keys = list(deliveries.order_by().values_list("client", flat=True).distinct())
    for start in range(0, len(keys), REPROCESS_AT_ONCE):
        yield list(Client.objects.filter(pk__in=keys[start : start + REPROCESS_AT_ONCE]))


def reprocess_many(deliveries: QuerySet[Delivery]) -> int:
    """As `reprocess`, in the worker and in pieces; returns how many were handed over."""
    keys = list(deliveries.order_by("id").values_list("pk", flat=True))
    for start in range(0, len(keys), REPROCESS_AT_ONCE):
        background.enqueue(
            "integrations.jobs.reprocess", *(str(key) for key in keys[start : start + REPROCESS_AT_ONCE])
        )
    return len(keys)


def release(
    partner_id: uuid.UUID,
    *,
    reasons: Collection[str],
    clients: Collection[uuid.UUID] | None = None,
    lane: Lane | None = None,
    action: str = "",
) -> int:
    """What was held because something was missing waits again: the missing thing has come.

    More than a few hundred go through the worker, in pieces.
    """
    rows = Delivery.objects.filter(partner_id=partner_id, status=Status.HELD, reason__in=reasons)
    if clients is not None:
        rows = rows.filter(client__in=clients)
    if lane is not None:
        rows = rows.filter(lane=lane)
    if action:
        rows = rows.filter(action=action)
    if rows[REPROCESS_AT_ONCE:].exists():
        return reprocess_many(rows)
    return reprocess(rows)
