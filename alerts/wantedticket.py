"""How a condition's ticket should look in the PSA (asked by ticket decisions)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from alerts.models import Condition, Ticket
from integrations.models import Event
from integrations.psa.wanted import WantedTicket
from portal import clock

if TYPE_CHECKING:
    from alerts.circumstances import Circumstances, Facts
    from alerts.ticketattempts import Step


def wanted_ticket(
    fact: Facts, around: Circumstances, company: str, ticket: Ticket, step: Step
) -> WantedTicket:
    condition = fact.condition
    settings_of = around.settings[ticket.partner_id]

    def chosen(name: str) -> str | None:
        return settings_of.psa_id(name, condition.client, around.credentials)

    return WantedTicket(
        external_ref=ticket.external_ref,
        state="closed" if step == "close" else "open",
        company_id=company,
        summary=around.summary_of(condition),
        description=description(condition, around.events.get(condition.opened_by or clock.NIL_UUID)),
        known_id=ticket.psa_id or None,
        board_id=chosen("board"),
        status_id=chosen("new_status"),
        closing_status_id=chosen("closing_status"),
        type_id=chosen("type"),
        subtype_id=chosen("subtype"),
        priority_id=chosen("priority"),
        source_id=chosen("source"),
    )


def description(condition: Condition, event: Event | None) -> str:
    """The ticket's first text: what the technician needs, and the way back to the event."""
    lines = [f"Client: {condition.client.name} ({condition.client.managed_id})"]
    if condition.account is not None:
        lines.append(f"Account: {condition.account}")
    if event is not None:
        lines += [
            f"Event: {event.type}, {event.severity}, {event.occurred_at:%Y-%m-%d %H:%M} UTC, from {event.source}",
            f"Event log: {settings.PORTAL_URL}/events/{event.pk}",
        ]
        if event.details:
            lines += ["", event.details]
    return "\n".join(lines)
