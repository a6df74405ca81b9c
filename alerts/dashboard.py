"""What needs a person now, and what to do next (asked by the dashboard)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from alerts import outages
from alerts.models import Condition, KeyShape, Notification, Outage, Ticket, TicketSettings
from integrations.models import Action, CompanyLink, Credentials, Delivery, Event, Lane, Status
from integrations.models.connections import Kind, Standing
from portal import clock
from portal.models import Partner

MOST = 1000
MOST_NOTICES = 5
RECENT = timedelta(days=7)
Rows = Callable[[Any], QuerySet[Any]]


@dataclass(frozen=True)
class Count:
    """A number that is not worth counting beyond a thousand."""

    number: int

    def __str__(self) -> str:
        return f"{MOST:,}+" if self.number > MOST else f"{self.number:,}"

    def __bool__(self) -> bool:
        return self.number > 0


@dataclass(frozen=True)
class Figures:
    """How things stand; deliveries of the last seven days."""

    open_tickets: Count
    failing: Count
    waiting: Count
    failed: Count
    held: Count
    parked: Count


@dataclass(frozen=True)
class Step:
    """One step of setting a partner up."""

    title: str
    url_name: str
    is_done: bool


def first_id_at(moment: datetime) -> uuid.UUID:
    """The smallest id of a row made at that moment: the primary key finds what is recent of all partners."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def count(rows: QuerySet[Any]) -> Count:
    return Count(rows.order_by()[: MOST + 1].count())


def figures(rows: Rows) -> Figures:
    """`rows` gives the rows of a model that the page may show."""
    since = clock.now() - RECENT
    recent = rows(Delivery).filter(created_at__gt=since, pk__gte=first_id_at(since))
    return Figures(
        open_tickets=count(rows(Ticket).filter(state=Ticket.State.OPEN)),
        failing=count(rows(Condition).filter(state=Condition.State.FAILING)),
        waiting=count(recent.filter(status__in=[Status.WAITING, Status.RUNNING, Status.UNKNOWN])),
        failed=count(recent.filter(status=Status.FAILED)),
        held=count(recent.filter(status=Status.HELD)),
        parked=count(rows(Event).filter(client=None, state=Event.State.PARKED)),
    )


def troubled_lanes(rows: Rows, most: int = 20) -> list[Lane]:
    """Connections that need somebody: stopped, not permitted, paused, or with a failed test."""
    trouble = ~Q(breaker="") | ~Q(blocked={}) | Q(is_paused=True) | Q(credentials__test_passed=False)
    found = rows(Lane).filter(trouble).exclude(credentials__kind=Kind.NONE)
    found = found.exclude(credentials__standing=Standing.DRAFT)
    found = found.select_related("partner", "credentials__organization", "credentials__client")
    return list(found.defer("credentials__secret").order_by("breaker_since", "pk")[:most])


@dataclass(frozen=True)
class Notice:
    """Something that a person should look at, and where."""

    text: str
    url: str


def notices(rows: Rows) -> list[Notice]:
    """Tickets in the wrong company, keys that do not stay the same, and outages of the last seven days."""
    found = []
    tickets = rows(Ticket).filter(closed_at=None).exclude(moved_to_company="")
    for ticket in tickets.select_related("condition__client").order_by("-pk")[:MOST_NOTICES]:
        client = ticket.condition.client
        found.append(
            Notice(
                f"Ticket {ticket} of {client.name} was given to another company in the PSA. If that is the right one,"
                " map the client to it.",
                reverse("client_mapping", args=[client.pk]),
            )
        )
    if suspected := count(rows(KeyShape).exclude(suspicion="")):
        text = f"{suspected} condition keys seem to change with every event, so that no recovery finds them."
        found.append(Notice(text, reverse("key_shapes")))
    recent = rows(Outage).filter(since__gt=clock.now() - RECENT, settled_at__isnull=False, passed__gt=0)
    for outage in recent.select_related("credentials").order_by("-since")[:MOST_NOTICES]:
        found.append(Notice(outages.summary_of(outage), reverse("event_log")))
    return found


def steps(partner: Partner) -> list[Step]:
    """The way from an empty portal to the first ticket."""
    connected = Credentials.objects.filter(partner=partner, standing=Standing.CURRENT).exclude(kind=Kind.NONE)
    rules = Notification.objects.filter(partner=partner, is_enabled=True)
    return [
        Step("Enter PSA Credentials", "credentials", connected.exists()),
        Step("Test the connection", "credentials", connected.filter(test_passed=True).exists()),
        Step("Choose how tickets look", "setup", TicketSettings.objects.filter(partner=partner).exists()),
        Step(
            "Create a notification that opens tickets",
            "notifications",
            rules.filter(action=Action.TICKET).exists(),
        ),
        Step(
            "Map a client to its PSA company",
            "company_mapping",
            CompanyLink.objects.filter(partner=partner).exists(),
        ),
        Step("Have a first event", "event_log", Event.objects.filter(partner=partner).exists()),
    ]
