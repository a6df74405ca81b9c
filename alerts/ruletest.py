"""What would happen with an event, without doing it (asked by the Test page and REST).

The very code that judges events judges this one, in a transaction that is taken back: what it says is what would be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from alerts import filters, incoming, intake, windows
from alerts.incoming import Incoming
from alerts.models import DropFilter, MaintenanceWindow
from integrations.models import Event
from portal import clock, database
from portal.access import Actor
from portal.clients import find_clients
from portal.inheritance import Tree
from portal.texts import FieldError


@dataclass
class Verdict:
    """What each thing says. `errors` are those of an event that cannot be read."""

    errors: list[FieldError] = field(default_factory=list)
    filters: list[tuple[DropFilter, str]] = field(default_factory=list)
    windows: list[tuple[MaintenanceWindow, str]] = field(default_factory=list)
    trace: list[dict[str, Any]] = field(default_factory=list)
    event: Event | None = None


def try_document(document: Any, *, actor: Actor, partner_id: Any = None) -> Verdict:
    """An event as a source would send it to `POST /api/v1/events`; `source` and `id` may be left out."""
    if isinstance(document, dict):
        document = {"source": "test", "id": f"test-{clock.new_id()}", **document}
    read = incoming.read(document)
    if not isinstance(read, Incoming):
        return Verdict(errors=list(read))
    client = find_clients([read.client], actor).get(read.client)
    if client is None or (partner_id is not None and client.partner_id != partner_id):
        unknown = FieldError(
            "client", "unknown_client", f"No client “{read.client}” is known: the event is parked."
        )
        return Verdict(errors=[unknown])
    return judged(intake.event_of(read, client, intake.scope_of(actor), actor))


def try_event(stored: Event) -> Verdict:
    """An event of the log, as if it came again now."""
    if stored.client is None:
        unknown = FieldError("client", "unknown_client", f"No client “{stored.client_reference}” is known.")
        return Verdict(errors=[unknown])
    values = {
        one.attname: getattr(stored, one.attname)
        for one in Event._meta.concrete_fields
        if one.attname not in {"id", "trace"}
    }
    event = Event(**{**values, "source_id": f"test-{clock.new_id()}"})
    event.client = stored.client
    event.occurred_at = event.received_at = clock.now()
    return judged(event)


def judged(event: Event) -> Verdict:
    """Judge it in a transaction that is taken back."""
    verdict = Verdict(event=event)
    client = intake.known_client(event)
    tree = Tree.of(client.partner_id)
    levels = filters.organizations_above(client, tree)
    now = clock.now()
    with transaction.atomic():
        if event.account_reference and event.account_id is None:
            intake.assign_accounts([event])
        for row in DropFilter.objects.filter(partner=client.partner_id).order_by("created_at"):
            verdict.filters.append((row, filters.why_not(row, event, client, levels, now)))
        zone = ZoneInfo(client.partner.time_zone)
        for window in MaintenanceWindow.objects.filter(partner=client.partner_id).exclude(over_at__lte=now):
            verdict.windows.append((window, why_not_in(window, event, levels, zone)))
        intake.judge([event])
        database.insert_new([event])
        transaction.set_rollback(True)
    verdict.trace = event.trace
    return verdict


def why_not_in(window: MaintenanceWindow, event: Event, levels: list[Any], zone: ZoneInfo) -> str:
    """Why a window says nothing about an event; empty when the event falls into it."""
    if not windows.is_in_scope(window, intake.known_client(event), event.account_id, levels):
        return "It is for another client, organization or account."
    return "" if windows.current(window, clock.now(), zone) else "It is not on now."
