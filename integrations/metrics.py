"""How the installation does, as numbers for Prometheus (asked by `/metrics`).

Read from the rows, so every web process tells the same; a fixed number of queries, however many partners there are.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Min, Q
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from integrations.models import CallBudget, Delivery, Event, Lane, Status
from integrations.models.eventlog import UNSETTLED
from portal import clock
from portal.models import Heartbeat

MODULES = {"ticket": "tickets", "synchronize": "billing", "email": "email", "webhook": "webhook"}
"""A delivery's action -> the label `module`."""
SHOWN = (*UNSETTLED, Status.HELD, Status.FAILED)
LATELY = timedelta(minutes=1)
Source = Callable[[datetime], Iterator[Metric]]


def text() -> bytes:
    """All of it, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reader())
    return generate_latest(registry)


class _Reader:
    """Asked once a scrape."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = clock.now()
        for source in SOURCES:
            yield from source(now)


def gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"psa_portal_{name}", help_text, labels=labels)


def seconds(now: datetime, since: datetime | None) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


def outbox(now: datetime) -> Iterator[Metric]:
    """What is on its way or wants a person, by module.

    Two queries, lane by lane and without one: the index that dispatchers use begins with the lane.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for where in (Q(lane__in=Lane.objects.values("pk")), Q(lane__isnull=True)):
        found = Delivery.objects.filter(where, status__in=SHOWN).order_by().values("action", "status")
        for row in found.annotate(
            count=Count("pk"), oldest=Min("created_at"), due=Min("due_at", filter=Q(due_at__lte=now))
        ):
            merge(rows.setdefault((row["action"], row["status"]), {}), row)
    counts = gauge("deliveries", "Deliveries that are not at rest, by module and status.", "module", "status")
    ages = gauge("queue_age_seconds", "Age of the oldest delivery on its way, by module.", "module")
    late = gauge(
        "queue_overdue_seconds", "For how long the longest-due delivery has been due, by module.", "module"
    )
    for action, module in MODULES.items():
        for status in SHOWN:
            counts.add_metric([module, str(status)], rows.get((action, status), {}).get("count", 0))
        on_their_way = [rows[action, status] for status in UNSETTLED if (action, status) in rows]
        ages.add_metric([module], max((seconds(now, row["oldest"]) for row in on_their_way), default=0))
        late.add_metric([module], max((seconds(now, row["due"]) for row in on_their_way), default=0))
    yield from (counts, ages, late)


def merge(into: dict[str, Any], row: Mapping[str, Any]) -> None:
    into["count"] = into.get("count", 0) + row["count"]
    for name in ("oldest", "due"):
        times = [at for at in (into.get(name), row[name]) if at]
        into[name] = min(times) if times else None


def lanes(now: datetime) -> Iterator[Metric]:
    """Connections by what stops them."""
    rows = (
        Lane.objects.order_by()
        .values("breaker", "is_paused")
        .annotate(count=Count("pk"), since=Min("breaker_since"))
    )
    counts: dict[str, int] = dict.fromkeys(("open", "paused", "unreachable", "sign_in_refused"), 0)
    longest = 0.0
    for row in rows:
        state = row["breaker"] or ("paused" if row["is_paused"] else "open")
        counts[state] = counts.get(state, 0) + row["count"]
        if row["breaker"]:
            longest = max(longest, seconds(now, row["since"]))
    states = gauge("lanes", "Connections by state: open, paused, or what tripped the breaker.", "state")
    for state, count in sorted(counts.items()):
        states.add_metric([state], count)
    tripped = gauge("lane_longest_trip_seconds", "For how long the longest-tripped breaker has been so.")
    tripped.add_metric([], longest)
    yield from (states, tripped)


def budgets(now: datetime) -> Iterator[Metric]:
    """Calls left in the running hour at PSAs that count them: at the tightest, and by partner when that is allowed."""
    rows = CallBudget.objects.filter(most__gt=0).annotate(left=F("most") - F("used"))
    if settings.METRICS_NAME_PARTNERS:
        each = gauge("psa_calls_left", "Calls left in the hour.", "partner", "kind", "account")
        for row in rows.select_related("partner"):
            each.add_metric([row.partner.slug, row.kind, row.account], row.left)
        yield each
    least = gauge(
        "psa_calls_left_least", "Calls left in the hour at the tightest PSA account, by kind.", "kind"
    )
    for found in rows.order_by().values("kind").annotate(least=Min("left")):
        least.add_metric([found["kind"]], found["least"])
    yield least


def heartbeats(now: datetime) -> Iterator[Metric]:
    """Since when the freshest process of each kind is silent."""
    freshest: dict[str, datetime] = {}
    for name, at in Heartbeat.objects.values_list("name", "beat_at"):
        kind = name.partition(":")[0]
        freshest[kind] = max(at, freshest.get(kind, at))
    ages = gauge("heartbeat_age_seconds", "Since the last sign of life of any process of a kind.", "kind")
    for kind, at in sorted(freshest.items()):
        ages.add_metric([kind], seconds(now, at))
    yield ages


def events(now: datetime) -> Iterator[Metric]:
    """Events of the last minute: their ids grow with time, so this reads the end of an index only."""
    since = now - LATELY
    states = (
        Event.objects.filter(pk__gte=first_id_at(since), received_at__gte=since).order_by().values("state")
    )
    rates = gauge("events_last_minute", "Events taken in within the last 60 seconds, by state.", "state")
    for row in states.annotate(count=Count("pk")).order_by("state"):
        rates.add_metric([row["state"]], row["count"])
    yield rates


def first_id_at(moment: datetime) -> uuid.UUID:
    """No id that clock.new_id made from that moment on is smaller."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


SOURCES: tuple[Source, ...] = (outbox, lanes, budgets, heartbeats, events)
