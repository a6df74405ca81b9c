"""What the tab inside a PSA shows of a client's services, backups and last push (asked by the integrations room, by
name)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.http import HttpRequest
from django.template.loader import render_to_string

from billing import backupstatistics, quantities, usage
from billing.models import BilledLine, PushRun, Service
from billing.wanted import plain
from integrations.models import Credentials
from portal.models import Client

MOST_DEVICES = 25


@dataclass(frozen=True)
class Line:
    """A service: what is used by our count (None when nothing fresh is known), what its line was last known to say."""

    name: str
    used: str | None
    used_on: date | None
    billed: str | None


def panel(request: HttpRequest, client: Client, credentials: Credentials) -> str:
    """Read-only. Five queries."""
    today = usage.today_for(client)
    numbers = backupstatistics.numbers_for(client, today=today)
    runs = PushRun.objects.filter(client=client, credentials=credentials).exclude(state=PushRun.State.VOID)
    context = {
        "lines": lines_of(client, credentials, today),
        "numbers": numbers,
        "devices": numbers.devices[:MOST_DEVICES] if numbers else (),
        "more_devices": max(len(numbers.devices) - MOST_DEVICES, 0) if numbers else 0,
        "run": runs.order_by("-started_at", "-pk").first(),
    }
    return render_to_string("billing/tab_panel.html", context)


def lines_of(client: Client, credentials: Credentials, today: date) -> list[Line]:
    """Services that were used lately or stand on an agreement, by name."""
    services = {row.pk: row for row in Service.objects.all()}
    days = usage.days_of(client, list(services), today=today)
    billed = {
        row.service_id: row.quantity
        for row in BilledLine.objects.filter(client=client, credentials=credentials)
    }
    found = [
        line_of(service, days.get(pk, []), billed.get(pk), today)
        for pk, service in services.items()
        if days.get(pk) or pk in billed
    ]
    return sorted(found, key=lambda line: line.name)


def line_of(service: Service, days: list[usage.Day], billed: Decimal | None, today: date) -> Line:
    is_known = usage.is_fresh(days, today)
    return Line(
        name=service.name,
        used=plain(quantities.quantity_of(service, days)) if is_known else None,
        used_on=days[-1].on if days else None,
        billed=None if billed is None else plain(billed),
    )
