"""Who drains a connection, how wide, and when not (asked by the dispatcher and by pages that show health).

A lane is held by one dispatcher at a time: a lease in the database with a fence that grows with each holder. All
writes about a lane's deliveries happen in a transaction that holds the lane's row and has checked the fence.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce, Now

from integrations.models import Action, Delivery, Lane, Status
from integrations.models.eventlog import IN_FLIGHT
from integrations.psa.errors import NotPermitted, PsaError, SignInRefused, Throttled
from portal import chaos, clock, database

STRAIGHT_FAILURES = 5
CLAIMABLE = (Status.WAITING, Status.UNKNOWN)


class LeaseLost(Exception):
    """This dispatcher may no longer write for the lane; its result is dropped, the new holder searches."""


def due(now: datetime) -> Any:
    """Condition: the lane has deliveries that may be tried now."""
    waiting = Delivery.objects.filter(lane=OuterRef("pk"), status__in=CLAIMABLE, due_at__lte=now)
    return Exists(waiting)


def open_now(now: datetime) -> Q:
    """Condition: neither paused nor shut by the breaker (or a probe is due)."""
    return Q(is_paused=False) & (Q(open_until=None) | Q(open_until__lte=now))


def find_free(now: datetime, most: int) -> list[Lane]:
    """Lanes that nobody holds and that have due work, or deliveries that a dead holder left running."""
    return _free(now, most=most)


def free(now: datetime, most: int) -> Any:
    unheld = Q(holder=None) | Q(held_until__lt=now)
    abandoned = Q(Exists(Delivery.objects.filter(lane=OuterRef("pk"), status=Status.RUNNING)))
    with_work = open_now(now) & Q(due(now))
    lanes = Lane.objects.filter(unheld & (with_work | abandoned)).select_related("credentials", "partner")
    # One secret that cannot be read must not keep the others' lanes from being found.
    return lanes.defer("credentials__secret").order_by("held_until", "pk")[:most]


_free = database.Prepared(free)


def ready(ours: Iterable[uuid.UUID], now: datetime) -> list[uuid.UUID]:
    """Which of our lanes have due work and may be used, in random order, so that none is always first."""
    return _ready(ours, now)


_ready = database.Prepared(
    lambda ours, now: (
        Lane.objects.filter(pk__in=ours)
        .filter(open_now(now))
        .filter(due(now))
        .order_by("?")
        .values_list("pk", flat=True)
    )
)


def take(lane: Lane, holder: uuid.UUID) -> bool:
    """Become the lane's holder. Deliveries that the former holder left running become `unknown`: it may have written.

    One winner: a conditional update of a row whose fence nobody else has moved. Leases run in the database's time,
    because the clocks of hosts differ.
    """
    with transaction.atomic():
        won = (
            Lane.objects.filter(pk=lane.pk, fence=lane.fence)
            .filter(Q(holder=None) | Q(held_until__lt=Now()))
            .update(holder=holder, held_until=lease_end(), fence=F("fence") + 1)
        )
        if not won:
            return False
        lane.fence += 1
        Delivery.objects.filter(lane=lane, status=Status.RUNNING).update(
            status=Status.UNKNOWN,
            reason="dispatcher_lost",
            attempts=F("attempts") - 1,  # the PSA did not fail, we did
            due_at=clock.now() + timedelta(seconds=settings.SEARCH_DELAYS[0]),
        )
        chaos.point("before-take-commit")
    chaos.point("taken")
    return True


def renew(holder: uuid.UUID, lanes: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Prolong the leases of these lanes; returns those that are still ours."""
    ours = Lane.objects.filter(pk__in=lanes, holder=holder)
    ours.update(held_until=lease_end())
    return set(ours.values_list("pk", flat=True))


def lease_end() -> Any:
    return Now() + timedelta(seconds=settings.LANE_LEASE)


def let_go(holder: uuid.UUID, lanes: Collection[uuid.UUID]) -> None:
    """Give lanes back (nothing of ours is running there)."""
    Lane.objects.filter(pk__in=lanes, holder=holder).update(holder=None, held_until=None)


def locked(lanes: Iterable[tuple[uuid.UUID, int]]) -> dict[uuid.UUID, Lane]:
    """Lock the lanes whose fence is still the given one, until the transaction ends; the others are lost to us."""
    fences = dict(lanes)
    return {lane.pk: lane for lane in _locked(fences) if lane.fence == fences[lane.pk]}


_locked = database.Prepared(
    lambda lanes: (
        Lane.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk__in=lanes)
        .order_by("pk")
        .select_related("credentials")
        .defer("credentials__secret")
    )
)


def claim(lane: Lane, most: int) -> list[Delivery]:
    """Up to `most` deliveries of a locked lane, one a subject, set to running. Tickets go before reports.

    While the breaker is half open just one goes through, as a probe.
    """
    now = clock.now()
    most = 1 if lane.breaker else most
    blocked = tuple(blocked_actions(lane, now))
    candidates: list[Delivery] = [
        row for status in CLAIMABLE for row in _candidates(lane.pk, status, now, but=blocked, most=most * 2)
    ]
    first_of_each = {delivery.subject: delivery for delivery in reversed(candidates)}
    chosen = sorted(first_of_each.values(), key=lambda delivery: (delivery.priority, delivery.pk))[:most]
    if chosen:
        Delivery.objects.filter(pk__in=[delivery.pk for delivery in chosen]).update(
            status=Status.RUNNING, fence=lane.fence, attempts=F("attempts") + 1, started_at=now
        )
    for delivery in chosen:
        delivery.status, delivery.fence, delivery.started_at = Status.RUNNING, lane.fence, now
        delivery.lane = lane
        delivery.attempts += 1
    return chosen


def put_aside(delivery_id: uuid.UUID, text: str) -> None:
    """A delivery that cannot even be begun fails, so that those behind it go on; Reprocess tries it again."""
    Delivery.objects.filter(pk=delivery_id, status__in=CLAIMABLE).update(
        status=Status.FAILED,
        reason="bug",
        error_kind="bug",
        error_text=text,
        outcome="",
        finished_at=clock.now(),
    )


def candidates(lane: uuid.UUID, status: str, now: datetime, *, but: tuple[str, ...], most: int) -> Any:
    """Due deliveries of a lane whose subject is not on its way already, the next ones first, read in index order."""
    in_flight = Delivery.objects.filter(subject=OuterRef("subject"), status__in=IN_FLIGHT).exclude(
        pk=OuterRef("pk")
    )
    rows = Delivery.objects.filter(lane=lane, status=status).exclude(action__in=but)
    # Coalesce keeps the planner from reading by due_at and sorting the whole backlog: `delivery_next` has the order.
    rows = rows.annotate(due=Coalesce("due_at", "due_at")).filter(due__lte=now).exclude(Exists(in_flight))
    return rows.order_by("priority", "id").select_related("client")[:most]


_candidates = database.Prepared(candidates)


def blocked_actions(lane: Lane, now: datetime) -> list[str]:
    """Actions that the PSA does not permit at present, but for those whose next probe is due; and all but tickets
    while the hour's calls are kept for tickets."""
    blocked = [action for action, block in lane.blocked.items() if block["probe_at"] > now.isoformat()]
    if lane.reports_open_at and lane.reports_open_at > now:
        blocked.append(Action.SYNCHRONIZE.value)
    return blocked


def after_success(lane: Lane, action: str) -> bool:
    """Shut nothing any more: the PSA answered. True when that changed something."""
    was_open = bool(lane.breaker or lane.failures or action in lane.blocked)
    if lane.breaker:  # else it is a pause that the PSA asked for, and this answer was on its way before
        lane.open_until = None
    lane.breaker = lane.breaker_text = ""
    lane.breaker_since = None
    lane.failures = lane.probes = 0
    lane.blocked.pop(action, None)
    return was_open


def after_error(lane: Lane, action: str, error: PsaError) -> bool:
    """Count a failure against the lane; True when the breaker has just opened, so that the partner is told once."""
    now = clock.now()
    if isinstance(error, Throttled):
        throttle(lane, now + timedelta(seconds=error.retry_after), error.importance)
        return False
    if isinstance(error, NotPermitted):
        return block(lane, action, error, now)
    if isinstance(error, SignInRefused) or error.kind == "address_refused":
        return shut(lane, error, now)
    if error.kind != "unreachable":
        after_success(lane, action)  # refused, but reachable and signed in
        return False
    lane.failures += 1
    if lane.breaker or lane.failures >= STRAIGHT_FAILURES:
        return shut(lane, error, now)
    return False


def throttle(lane: Lane, until: datetime, importance: str) -> None:
    """The whole lane waits; when only reports have to, tickets go on; a note waits for itself."""
    if importance == "report":
        lane.reports_open_at = until
    elif importance != "note":
        lane.open_until = until


def shut(lane: Lane, error: PsaError, now: datetime) -> bool:
    """Open the breaker, or keep it open for a longer while after a failed probe."""
    newly = not lane.breaker
    lane.breaker, lane.breaker_text = error.kind, error.text
    lane.breaker_since = lane.breaker_since or now
    lane.open_until = now + next_probe(lane.probes)
    lane.probes += 1
    return newly


def block(lane: Lane, action: str, error: NotPermitted, now: datetime) -> bool:
    """Hold one action back: the API member lacks a right that the other actions do not need."""
    former = lane.blocked.get(action, {})
    probes = former.get("probes", 0)
    lane.blocked[action] = {
        "since": former.get("since", now.isoformat()),
        "module": error.module,
        "text": error.text,
        "advice": error.advice,
        "probes": probes + 1,
        "probe_at": (now + next_probe(probes)).isoformat(),
    }
    return not former


def next_probe(probes: int) -> timedelta:
    delays = settings.BREAKER_PROBES
    return clock.spread(delays[min(probes, len(delays) - 1)])


def resume(lane: Lane) -> None:
    """Somebody repaired the connection: everything that waits is due now."""
    now = clock.now()
    with transaction.atomic():
        Lane.objects.filter(pk=lane.pk).update(
            breaker="", breaker_text="", breaker_since=None, open_until=None, failures=0, probes=0, blocked={}
        )
        Delivery.objects.filter(lane=lane, status=Status.WAITING, due_at__gt=now).exclude(
            reason="synchronize_window"
        ).update(due_at=now)
