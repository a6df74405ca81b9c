"""How is the whole installation: partners in trouble, queues, processes, growth (asked by staff's board)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django_q.models import Failure, OrmQ, Schedule

from alerts.models import DailyFigures
from integrations.models import Delivery, Lane, Status
from integrations.models.connections import Kind
from portal import clock
from portal.models import Client, Heartbeat, Partner

MOST = 50
SILENT = timedelta(seconds=60)
GROWTH = 14
MOST_QUEUED = 1000
OVERDUE = timedelta(minutes=10)


@dataclass(frozen=True)
class Trouble:
    """A cause, and the partners whose connections it stops."""

    cause: str
    lanes: Sequence[Lane]
    count: int


@dataclass(frozen=True)
class Beat:
    name: str
    beat_at: datetime
    is_alive: bool


@dataclass(frozen=True)
class Day:
    """All partners together. What has not been counted yet is missing."""

    day: date
    events: int
    deliveries: int
    opened: int
    closed: int


@dataclass(frozen=True)
class Board:
    troubles: Sequence[Trouble]
    queues: Sequence[Lane]
    beats: Sequence[Beat]
    queued: int
    oldest_failure: Sequence[Any]
    overdue: Sequence[Any]
    days: Sequence[Day]
    partners: int
    new_partners: int
    clients: int


def of_all() -> Board:
    """A fixed number of queries; every one is over lanes, processes or counted days, none over all deliveries."""
    now = clock.now()
    return Board(
        troubles=troubles(),
        queues=list(queues(now)),
        beats=[
            Beat(row.name, row.beat_at, now - row.beat_at < SILENT)
            for row in Heartbeat.objects.order_by("-beat_at")[:MOST]
        ],
        queued=len(OrmQ.objects.order_by().values_list("pk")[: MOST_QUEUED + 1]),
        oldest_failure=list(Failure.objects.order_by("-stopped").values("func", "stopped")[:5]),
        overdue=list(
            Schedule.objects.filter(next_run__lt=now - OVERDUE)
            .order_by("next_run")
            .values("name", "next_run")
        ),
        days=growth(),
        partners=Partner.objects.filter(is_active=True).aggregate(count=Count("pk"))["count"],
        new_partners=Partner.objects.filter(created_at__gt=now - timedelta(days=30)).aggregate(
            count=Count("pk")
        )["count"],
        clients=Client.objects.filter(is_active=True).aggregate(count=Count("pk"))["count"],
    )


def troubles() -> list[Trouble]:
    """Stopped, paused, not permitted or failing the test; each lane under its first cause, most lanes first."""
    wrong = ~Q(breaker="") | ~Q(blocked={}) | Q(is_paused=True) | Q(credentials__test_passed=False)
    lanes = Lane.objects.filter(wrong).exclude(credentials__kind=Kind.NONE)
    lanes = lanes.select_related("partner", "credentials__organization", "credentials__client")
    by_cause: dict[str, list[Lane]] = {}
    for lane in lanes.defer("credentials__secret").order_by("breaker_since", "pk")[: MOST * 10]:
        by_cause.setdefault(cause_of(lane), []).append(lane)
    found = [Trouble(cause, rows[:MOST], len(rows)) for cause, rows in by_cause.items()]
    return sorted(found, key=lambda one: -one.count)


def cause_of(lane: Lane) -> str:
    if lane.breaker:
        return {"sign_in_refused": "Keys refused", "unreachable": "No answer"}.get(
            lane.breaker, lane.breaker.replace("_", " ").capitalize()
        )
    if lane.is_paused:
        return "Paused"
    return f"Not permitted: {', '.join(sorted(lane.blocked))}" if lane.blocked else "Test failed"


def queues(now: datetime) -> QuerySet[Any]:
    """The lanes whose oldest due delivery waits longest. Each lane is looked up by its own index."""
    due = Delivery.objects.filter(lane=OuterRef("pk"), status=Status.WAITING, due_at__lte=now)
    waiting = due.order_by().values("lane").annotate(count=Count("pk")).values("count")
    rows = Lane.objects.annotate(oldest=Subquery(due.order_by("due_at").values("due_at")[:1]))
    rows = rows.filter(oldest__isnull=False).annotate(waiting=Coalesce(Subquery(waiting), 0))
    rows = rows.select_related("partner", "credentials__organization", "credentials__client")
    return rows.defer("credentials__secret").order_by(F("oldest").asc())[:20]


def growth() -> list[Day]:
    since = (clock.now() - timedelta(days=GROWTH)).date()
    sums = {name: Sum(name) for name in ("events", "deliveries", "opened", "closed")}
    rows: Any = DailyFigures.objects.filter(day__gt=since).values("day").annotate(**sums).order_by("-day")
    return [Day(row["day"], row["events"], row["deliveries"], row["opened"], row["closed"]) for row in rows]


def partners_of(keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Partner]:
    return {row.pk: row for row in Partner.objects.filter(pk__in=keys)}
