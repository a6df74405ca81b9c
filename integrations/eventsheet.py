"""The event log as a CSV file, a line for each delivery (asked by the event log's page)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from integrations import eventsearch
from integrations.eventsearch import EventFilter, Place
from integrations.models import Action, Delivery
from portal import sheets

MOST_EVENTS = 10_000
MOST_LOOKED_AT = 1_000_000
STEP = 20_000
PIECE = 1_000

EVENT = (
    "received_at",
    "occurred_at",
    "severity",
    "client__number",
    "client__name",
    "client_reference",
    "account_reference",
    "type",
    "source",
    "source_id",
    "summary",
    "pk",
)
DELIVERY = (
    "event_id",
    "action",
    "notification_name",
    "status",
    "attempts",
    "outcome",
    "error_text",
    "advice",
)
HEADING = (
    "Received",
    "Occurred",
    "Severity",
    "Client Id",
    "Client",
    "Account",
    "Event Type",
    "Source",
    "Source’s Id",
    "Event Information",
    "Event Id",
    "Notification Action",
    "Notification",
    "Notification Status",
    "Attempts",
    "Outcome",
    "Error",
    "Advice",
)


def export(mine: QuerySet[Any], wanted: EventFilter) -> Iterator[str]:
    """The file's lines, newest event first; the last says when not everything is in it. Times are in the time zone
    that is current now, not while the lines are taken.

    At most `MOST_EVENTS` events, looked for among `MOST_LOOKED_AT`; two queries a thousand events.
    """
    zone = timezone.get_current_timezone()
    rows = eventsearch.search(mine, wanted)
    return _lines(mine, rows, lambda at: at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"))


def _lines(mine: QuerySet[Any], rows: QuerySet[Any], shown: Any) -> Iterator[str]:
    yield sheets.BEGINNING + sheets.line_of(HEADING)
    left, seen = MOST_EVENTS, None
    for _ in range(MOST_LOOKED_AT // STEP):
        end = eventsearch.nth(mine, seen, "received_at", STEP)
        for events in pieces(rows.filter(between(seen, end)), left):
            left -= len(events)
            yield "".join(lines_of(events, shown))
        if end is None and left:
            return
        if not left:
            break
        seen = end
    told = (
        f"{MOST_EVENTS:,} events are in this file"
        if not left
        else f"{MOST_LOOKED_AT:,} events were looked at"
    )
    yield sheets.line_of([f"Not everything: {told}. Narrow the search, for example by Received."])


def between(start: Place | None, end: Place | None) -> Q:
    found = start.older("received_at") if start else Q()
    return found & end.not_older("received_at") if end else found


def pieces(rows: QuerySet[Any], most: int) -> Iterator[list[tuple[Any, ...]]]:
    """At most so many rows, newest first, a thousand at a time."""
    seen: Place | None = None
    while most > 0:
        these = rows.filter(seen.older("received_at")) if seen else rows
        taken = list(these.order_by("-received_at", "-pk").values_list(*EVENT)[: min(PIECE, most)])
        if taken:
            yield taken
        if len(taken) < PIECE:
            return
        most -= len(taken)
        seen = Place(taken[-1][0], taken[-1][-1])


def lines_of(events: list[tuple[Any, ...]], shown: Any) -> Iterator[str]:
    deliveries: dict[uuid.UUID, list[tuple[Any, ...]]] = defaultdict(list)
    found = Delivery.objects.filter(event__in=[row[-1] for row in events]).order_by("created_at", "id")
    for key, *rest in found.values_list(*DELIVERY):
        deliveries[key].append(tuple(rest))
    for row in events:
        for delivery in deliveries.get(row[-1], [()]):
            yield sheets.line_of([*event_cells(row, shown), *delivery_cells(delivery)])


def event_cells(row: tuple[Any, ...], shown: Any) -> list[str]:
    received, occurred, severity, number, name, reference, *rest = row
    return [
        shown(received),
        shown(occurred),
        severity,
        "" if number is None else str(number),
        name or reference,
        *map(str, rest),
    ]


def delivery_cells(row: tuple[Any, ...]) -> list[str]:
    if not row:
        return []
    action, *rest = row
    return [str(Action(action).label), *map(str, rest)]


def file_name(now: datetime) -> str:
    return f"event-log-{now:%Y-%m-%d-%H%M}.csv"
