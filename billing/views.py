"""Pages of this room: what a client uses and what its agreement says, and the Status page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from billing import quantities, statusboard, synchronize, terms, usage, wanted
from billing.crossreferences import CrossReferences
from billing.models import AgreementLink, CrossReference, PushRun, SynchronizeWindow
from billing.setupviews import agreement_context
from integrations import effective
from integrations.models import Credentials, Lane
from integrations.models.connections import Kind, Standing
from integrations.models.eventlog import UNSETTLED
from portal import clock, inheritance, pages
from portal.models import Client, Heartbeat, Organization
from portal.pages import PageRequest

RUNS = 10
LANES = 100
SILENCE = timedelta(seconds=60)
MODULES = {"tickets": "live", "billing": "live", "statistics": "off"}
"""What each does where nobody says otherwise."""
PROCESSES = {"dispatcher": "Dispatcher", "worker": "Worker", "web": "Web"}


# --- Agreement of a client -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ServiceLine:
    """One service of a client: what was measured, what would be pushed, and why not."""

    reference: CrossReference
    newest: usage.Day | None
    quantity: Decimal | None
    why_not: str


@require_safe
@pages.page
def client_agreement(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = pages.get_row(request, Client, pk, "organization")
    connection = effective.credentials_for(
        client, inheritance.Tree.of(client.partner_id), effective.by_level(client.partner_id)
    )
    links = AgreementLink.objects.filter(client=client, credentials=connection)
    links = links.select_related("agreement", "service")
    runs = PushRun.objects.filter(client=client).prefetch_related("items__service")
    context = {
        "client": client,
        "connection": connection,
        "links": links,
        "lines": service_lines(client, connection, {row.service_id: row for row in links}),
        "runs": runs.order_by("-started_at", "-id")[:RUNS],
        "window": SynchronizeWindow.objects.filter(client=client).first() or SynchronizeWindow(client=client),
        "now": clock.now(),
        **agreement_context(client),
    }
    return pages.show(request, "billing/client_agreement.html", context, partner=client.partner)


def service_lines(
    client: Client, connection: Credentials | None, links: dict[Any, AgreementLink]
) -> list[ServiceLine]:
    references = CrossReferences.of(client.partner_id).for_client(client)
    today = usage.today_for(client)
    days = usage.days_of(client, [row.service_id for row in references], today=today)
    return [service_line(row, connection, links, days.get(row.service_id, []), today) for row in references]


def service_line(
    row: CrossReference,
    connection: Credentials | None,
    links: dict[Any, AgreementLink],
    days: list[usage.Day],
    today: date,
) -> ServiceLine:
    quantity = quantities.quantity_of(row.service, days) if days else None
    return ServiceLine(
        row, days[-1] if days else None, quantity, why_not(row, connection, links, days, today)
    )


def why_not(
    row: CrossReference,
    connection: Credentials | None,
    links: dict[Any, AgreementLink],
    days: list[usage.Day],
    today: date,
) -> str:
    if connection is None:
        return "No PSA connection is configured for this client."
    withheld = wanted.why_withheld(row, connection, links, days, today)
    return withheld.text if withheld else ""


@require_POST
@pages.page
def synchronize_client(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Synchronize now: the 12 h window does not hold who presses the button."""
    client = pages.get_row(request, Client, pk)
    pages.require_manager(request, client.partner)
    if synchronize.request(client, cause="button", by=request.user, at_once=True):
        messages.success(request, f"{client} is synchronized now; the Event Log shows what comes of it.")
    else:
        messages.info(
            request, f"A synchronization of {client} waits already; it goes as soon as the connection allows."
        )
    return redirect("client_agreement", pk)


# --- Status ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """The newest sign of life of one kind of process."""

    title: str
    beat_at: datetime | None
    is_alive: bool


@require_safe
@pages.page
def status(request: PageRequest) -> HttpResponse:
    lanes = pages.rows(request, Lane).filter(credentials__standing=Standing.CURRENT)
    lanes = lanes.exclude(credentials__kind=Kind.NONE)
    lanes = lanes.select_related("partner", "credentials__organization", "credentials__client")
    lanes = lanes.defer("credentials__secret").order_by("partner__name", "pk")[:LANES]
    windows = pages.rows(request, SynchronizeWindow).select_related("client", "partner")
    shown = list(lanes)
    context = {
        "lanes": with_waiting(shown),
        "modules": statusboard.modules(partial(pages.rows, request), shown, request.partner),
        "processes": processes(),
        "switched_on": switched_on(request.partner.pk) if request.partner else [],
        "windows": windows.order_by("-last_success_at")[: pages.PAGE_SIZE],
        "now": clock.now(),
    }
    return pages.show(request, "billing/status.html", context)


def with_waiting(lanes: list[Lane]) -> list[tuple[Lane, int]]:
    """Each lane with how many deliveries are on their way over it; one more query for all."""
    on_their_way = Count("deliveries", filter=Q(deliveries__status__in=UNSETTLED))
    counted = Lane.objects.filter(pk__in=[lane.pk for lane in lanes]).annotate(waiting=on_their_way)
    numbers = dict(counted.values_list("pk", "waiting"))
    return [(lane, numbers.get(lane.pk, 0)) for lane in lanes]


def switched_on(partner_id: uuid.UUID) -> list[tuple[Organization, list[str]]]:
    """Each organization with what tickets, billing and statistics may do there; billing may be switched off."""
    found = terms.TermsOf.of(partner_id)
    lines = []
    for node in found.tree.by_id.values():
        path = found.tree.upwards(node.pk)
        own = {level.pk: level for level in path}
        modes = {
            module: inheritance.resolve(f"{module}_mode", path, own, default=mode).value
            for module, mode in MODULES.items()
        }
        if not found.at(list(path))["is_enabled"].value:
            modes["billing"] = "off"
        lines.append((node, list(modes.values())))
    return lines


def processes() -> list[Process]:
    """By kind; host names are the operator's business."""
    newest: dict[str, datetime] = {}
    for name, beat_at in Heartbeat.objects.values_list("name", "beat_at"):
        kind = name.partition(":")[0]
        newest[kind] = max(beat_at, newest.get(kind, beat_at))
    kinds: dict[str, datetime | None] = {"dispatcher": None, **newest}
    now = clock.now()
    return [
        Process(PROCESSES.get(kind, kind.capitalize()), at, at is not None and now - at < SILENCE)
        for kind, at in kinds.items()
    ]
