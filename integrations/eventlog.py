"""What was told to whom because of what, and telling it again (asked by intake, pages, API and admin)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from integrations import effective, wake
from integrations.models import Delivery, Lane, Status
from integrations.models.eventlog import UNSETTLED
from portal import background, clock, database

AT_REST = (Status.DONE, Status.SKIPPED, Status.HELD, Status.FAILED)
REPROCESS_AT_ONCE = 500
PRIORITIES = {"ticket": 10, "synchronize": 50}


def deliver(rows: Sequence[Delivery]) -> set[uuid.UUID]:
    """Store deliveries inside the caller's transaction and wake the dispatchers on commit.

    Returns the ids that went in: a second synchronization waiting for the same client is refused by the database.
    """
    for row in rows:
        row.priority = PRIORITIES[row.action]
    stored = database.insert_new(rows)
    if any(row.pk in stored and row.status == Status.WAITING for row in rows):
        wake.ring()
    return stored


def reprocess(deliveries: QuerySet[Delivery]) -> int:
    """Try these again now, from the search step on; returns how many. What is on its way already is left alone.

    Harmless to repeat: an attempt computes what should be true, so a second ticket cannot come of it.
    """
    now = clock.now()
    with transaction.atomic():
        find_lanes(deliveries)
        on_its_way = Delivery.objects.filter(subject=OuterRef("subject"), status__in=UNSETTLED).exclude(
            pk=OuterRef("pk")
        )
        chosen = list(
            Delivery.objects.filter(pk__in=deliveries.values("pk"), status__in=AT_REST, lane__isnull=False)
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
        count += waiting_due_now(deliveries)
        wake.ring()
    return count


def find_lanes(deliveries: QuerySet[Delivery]) -> None:
    """Give held deliveries the lane of the connection that is in effect for their client now."""
    rows = list(Delivery.objects.filter(pk__in=deliveries.values("pk"), lane=None).select_related("client"))
    lanes = effective.lanes_of({row.client_id: row.client for row in rows}.values())
    for client_id, lane in lanes.items():
        if lane is not None:
            Delivery.objects.filter(pk__in=[row.pk for row in rows if row.client_id == client_id]).update(
                lane=lane
            )


def waiting_due_now(deliveries: QuerySet[Delivery]) -> int:
    """What waits for a later moment (a retry, the 12 h window) is due now."""
    waiting = Delivery.objects.filter(pk__in=deliveries.values("pk"), status=Status.WAITING)
    return waiting.filter(due_at__gt=clock.now()).update(due_at=clock.now(), reason="reprocess")


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
