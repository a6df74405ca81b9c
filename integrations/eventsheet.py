"""The event log as a CSV or XLSX file, a line for each delivery (asked by the event log's page)."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO, Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from integrations import eventsearch
from integrations.eventsearch import EventFilter, Place
from integrations.models import Action, Delivery
from portal import memory, sheets, workbooks

MOST_EVENTS = 10_000
MOST_LOOKED_AT = 1_000_000
STEP = 20_000
PIECE = 5_000

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
    """The CSV file's lines; see `rows_of`. Two queries for each `PIECE`."""
    found = rows_of(mine, wanted)
    return ((sheets.BEGINNING if at == 0 else "") + sheets.lines_of(piece) for at, piece in enumerate(found))


def export_xlsx(mine: QuerySet[Any], wanted: EventFilter) -> IO[bytes]:
    """The same as an XLSX file, at its beginning."""
    return workbooks.made((cells for piece in rows_of(mine, wanted) for cells in piece), name="Event Log")


def rows_of(mine: QuerySet[Any], wanted: EventFilter) -> Iterator[list[Sequence[str]]]:
    """The heading, then the lines in pieces, newest event first; the last says when not everything is in it. Times are
    in the time zone that is current now, not while the lines are taken.

    At most `MOST_EVENTS` events, looked for among `MOST_LOOKED_AT`.
    """
    zone = timezone.get_current_timezone()
    rows = eventsearch.search(mine, wanted)
    return _rows(mine, rows, lambda at: at.astimezone(zone).isoformat(" ", "seconds")[:19])


def _rows(mine: QuerySet[Any], rows: QuerySet[Any], shown: Any) -> Iterator[list[Sequence[str]]]:
    yield [HEADING]
    left, seen = MOST_EVENTS, None
    for _ in range(MOST_LOOKED_AT // STEP):
        end = eventsearch.nth(mine, seen, "received_at", STEP)
        for events, same in pieces(rows.filter(between(seen, end)), left):
            left -= len(events)
            with memory.uncollected():
                lines: list[Sequence[str]] = list(lines_of(events, same, shown))
            yield lines
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
    yield [[f"Not everything: {told}. Narrow the search, for example by Received."]]


def between(start: Place | None, end: Place | None) -> Q:
    found = start.older("received_at") if start else Q()
    return found & end.not_older("received_at") if end else found


def pieces(rows: QuerySet[Any], most: int) -> Iterator[tuple[list[tuple[Any, ...]], QuerySet[Any]]]:
    """At most so many rows, newest first, `PIECE` at a time; and what finds the same rows again."""
    seen: Place | None = None
    while most > 0:
        these = rows.filter(seen.older("received_at")) if seen else rows
        these = these.order_by("-received_at", "-pk")[: min(PIECE, most)]
        with memory.uncollected():
            taken = list(these.values_list(*EVENT))
        if taken:
            yield taken, these
        if len(taken) < PIECE:
            return
        most -= len(taken)
        seen = Place(taken[-1][0], taken[-1][-1])


def lines_of(events: list[tuple[Any, ...]], same: QuerySet[Any], shown: Any) -> Iterator[list[str]]:
    """The database looks for the `same` events again, which costs less than to be told thousands of ids."""
    deliveries: dict[uuid.UUID, list[tuple[Any, ...]]] = defaultdict(list)
    found = Delivery.objects.filter(event__in=same.values("pk")).order_by("created_at", "id")
    for key, *rest in found.values_list(*DELIVERY):
        deliveries[key].append(tuple(rest))
    for row in events:
        for delivery in deliveries.get(row[-1], [()]):
            yield [*event_cells(row, shown), *delivery_cells(delivery)]


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


def file_name(now: datetime, kind: str = "csv") -> str:
    return f"event-log-{now:%Y-%m-%d-%H%M}.{kind}"
