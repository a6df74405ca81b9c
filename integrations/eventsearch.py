"""Which events does a person look for (asked by the event log's page, its REST door and bulk reprocess).

A search never looks at more than `LOOKED_AT` events for one page, however rare what it looks for: it says how far back
it looked, and the next page goes on from there. So a page's time follows from that number, not from the log's length.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from integrations import eventgrammar
from integrations.eventgrammar import Condition
from integrations.models import Delivery, Event
from portal.models.partners import client_number_of
from portal.pages import PAGE_SIZE, Page

LOOKED_AT = 50_000
"""How many of the newest events are looked at for one page, at most."""

# What a row of the list shows of its deliveries; plans and exchanges stay in the database.
SHORT = (
    "event_id",
    "action",
    "status",
    "reason",
    "notification_name",
    "outcome",
    "error_text",
    "due_at",
    "partner_id",
)


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """What was asked for; empty means "any". All of it has to be met."""

    text: str = ""
    severity: str = ""
    status: str = ""
    has_errors: bool = False
    conditions: tuple[Condition, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.severity or self.status or self.has_errors or self.conditions)

    def as_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "severity": self.severity,
            "status": self.status,
            "has_errors": self.has_errors,
            "conditions": [condition.as_json() for condition in self.conditions],
        }

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> EventFilter:
        conditions = tuple(Condition(**one) for one in stored.get("conditions", []))
        return cls(**{**stored, "conditions": conditions})

    def __str__(self) -> str:
        parts = [f"“{self.text}”"] if self.text else []
        parts += [f"severity {self.severity}"] if self.severity else []
        parts += [f"notifications {self.status}"] if self.status else []
        parts += ["errors only"] if self.has_errors else []
        return " and ".join([*parts, *map(str, self.conditions)]) or "all events"


def search(rows: QuerySet[Any], wanted: EventFilter) -> QuerySet[Any]:
    """The events among `rows` that match. Raises `eventgrammar.NotUnderstood`."""
    if wanted.text:
        rows = rows.filter(mentions(wanted.text))
    if wanted.severity:
        rows = rows.filter(severity=wanted.severity)
    deliveries = Delivery.objects.filter(event=OuterRef("pk"))
    if wanted.status:
        rows = rows.filter(Exists(deliveries.filter(status=wanted.status)))
    if wanted.has_errors:
        rows = rows.filter(Exists(deliveries.exclude(error_text="")))
    if wanted.conditions:
        rows = rows.filter(eventgrammar.all_of(wanted.conditions))
    return rows


def mentions(text: str) -> Q:
    """Quick search: summary, type, the source's id, or the client by name, client id or managed ID."""
    found = Q(summary__icontains=text) | Q(type__icontains=text) | Q(source_id__icontains=text)
    found |= Q(client__name__icontains=text)
    number = client_number_of(text)
    return found | Q(client__number=number) if number is not None else found


def for_list(rows: QuerySet[Any]) -> QuerySet[Any]:
    """With what a list shows of client, partner and deliveries, in a fixed number of queries."""
    deliveries = Delivery.objects.only(*SHORT).order_by("created_at", "id")
    return (
        rows.select_related("client", "partner")
        .defer("details", "data", "trace")
        .prefetch_related(Prefetch("deliveries", queryset=deliveries))
    )


def deliveries_of(events: QuerySet[Any] | Iterable[Event]) -> QuerySet[Any]:
    return Delivery.objects.filter(event__in=events)


# --- Looking no further than needed -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Looked(Page):
    """A page of what was found. `back_to` is set when the search stopped there before the page was full."""

    back_to: datetime | None = None


@dataclass(frozen=True)
class Place:
    """A place in the log: the value of the column it is ordered by, and the event's id."""

    value: Any
    id: uuid.UUID

    def older(self, by: str) -> Q:
        """Written so that an index on `by` gives just these rows: “older, or as old and smaller” would read all."""
        return Q(**{f"{by}__lte": self.value}) & (Q(**{f"{by}__lt": self.value}) | Q(pk__lt=self.id))

    def not_older(self, by: str) -> Q:
        return Q(**{f"{by}__gte": self.value}) & (Q(**{f"{by}__gt": self.value}) | Q(pk__gte=self.id))


def look(
    mine: QuerySet[Any],
    wanted: EventFilter,
    *,
    by: str,
    before: uuid.UUID | None = None,
    size: int = PAGE_SIZE,
) -> Looked:
    """The newest events among `mine` that match and are older than `before`, ordered by `by` and the id.

    At most six queries: two places, the ids, the events, their deliveries, and how far back that was.
    """
    start = place_of(mine, by, before)
    end = None if wanted.is_empty else nth(mine, start, by, LOOKED_AT)
    ids = found_between(search(mine, wanted), start, end, by, size + 1)
    rows = in_order(ids[:size])
    if len(ids) > size:
        return Looked(rows, ids[size - 1], start is None)
    if end is None:
        return Looked(rows, None, start is None)
    told = mine.filter(pk=end.id).values_list("received_at", flat=True)
    back_to = end.value if by == "received_at" else told.first()
    return Looked(rows, end.id, start is None, back_to)


def newest(mine: QuerySet[Any], *, by: str, count: int) -> list[Any]:
    """The newest so many, as a list shows them."""
    return in_order(found_between(mine, None, None, by, count))


def place_of(mine: QuerySet[Any], by: str, before: uuid.UUID | None) -> Place | None:
    row = mine.filter(pk=before).values_list(by, "pk").first() if before else None
    return Place(*row) if row else None


def nth(mine: QuerySet[Any], start: Place | None, by: str, count: int) -> Place | None:
    """The place `count` events further back; None when there are not so many."""
    rows = mine.filter(start.older(by)) if start else mine
    row = rows.order_by(f"-{by}", "-pk").values_list(by, "pk")[count - 1 : count].first()
    return Place(*row) if row else None


def found_between(
    rows: QuerySet[Any], start: Place | None, end: Place | None, by: str, count: int
) -> list[uuid.UUID]:
    """Ids of at most `count` rows that are older than `start` and not older than `end`.

    Ids alone, so that no join tempts a database to sort the whole log.
    """
    if start is not None:
        rows = rows.filter(start.older(by))
    if end is not None:
        rows = rows.filter(end.not_older(by))
    return list(rows.order_by(f"-{by}", "-pk").values_list("pk", flat=True)[:count])


def in_order(ids: list[uuid.UUID]) -> list[Any]:
    """These events as a list shows them, in the order of their ids."""
    rows = {row.pk: row for row in for_list(Event.objects.filter(pk__in=ids))} if ids else {}
    return [rows[key] for key in ids if key in rows]


def walk(
    mine: QuerySet[Any], wanted: EventFilter, start: Place, *, step: int
) -> tuple[list[uuid.UUID], Place | None]:
    """The ids of what matches among the next `step` events by time received, and where to go on; None at the end."""
    by = "received_at"
    end = nth(mine, start, by, step)
    rows = search(mine, wanted).filter(start.older(by))
    if end is not None:
        rows = rows.filter(end.not_older(by))
    return list(rows.order_by("-received_at", "-pk").values_list("pk", flat=True)), end
