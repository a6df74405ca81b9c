"""Which events does a person look for (asked by the event log's page and by "reprocess all that match")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from integrations.models import Delivery, Event
from portal.models.partners import client_number_of

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
    """What was asked for; empty means "any"."""

    text: str = ""
    severity: str = ""
    status: str = ""
    has_errors: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.severity or self.status or self.has_errors)


def search(rows: QuerySet[Any], wanted: EventFilter) -> QuerySet[Any]:
    """The events among `rows` that match."""
    if wanted.text:
        rows = rows.filter(mentions(wanted.text))
    if wanted.severity:
        rows = rows.filter(severity=wanted.severity)
    deliveries = Delivery.objects.filter(event=OuterRef("pk"))
    if wanted.status:
        rows = rows.filter(Exists(deliveries.filter(status=wanted.status)))
    if wanted.has_errors:
        rows = rows.filter(Exists(deliveries.exclude(error_text="")))
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
