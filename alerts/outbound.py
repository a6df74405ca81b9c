"""What a delivery that goes past the PSAs is about, and who gets it (asked by intake and the senders)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from alerts.models import Notification
from integrations.models import Action, Event
from portal.models import User

GATHERED = timedelta(seconds=30)
"""So long e-mails of one notification are gathered into one."""


def subject_of(rule: Notification, event: Event) -> str:
    """One a receiver and event, so that the same thing is never on its way twice."""
    if rule.action == Action.WEBHOOK and rule.webhook_id:
        return f"{prefix_of(rule.webhook_id)}{event.pk.hex}"
    return f"email:{rule.pk.hex}:{event.pk.hex}"


def prefix_of(endpoint_id: uuid.UUID) -> str:
    """How the subjects of an endpoint's deliveries begin."""
    return f"webhook:{endpoint_id.hex}:"


def addresses_of(rule: Notification) -> list[str]:
    """The addresses a rule names, and those of its people who are still members of its partner."""
    people = User.objects.filter(
        pk__in=uuids(rule.members), is_active=True, memberships__partner=rule.partner_id
    ).values_list("email", flat=True)
    return sorted({str(address).strip().lower() for address in [*rule.recipients, *people] if address})


def uuids(texts: Iterable[str]) -> list[Any]:
    """Ids of people as they are stored."""
    return [text for text in texts if text]


def payload_of(event: Event) -> dict[str, Any]:
    """What a webhook is told of an event: the fields of `GET /api/v1/events/{id}` that a machine needs."""
    assert event.client is not None
    return {
        "type": event.type,
        "timestamp": event.occurred_at.isoformat(),
        "data": {
            "id": str(event.pk),
            "severity": event.severity,
            "action": event.action,
            "client": event.client.managed_id,
            "client_name": event.client.name,
            "account": event.account_reference,
            "condition_key": event.condition_key,
            "summary": event.summary,
            "details": event.details,
            "source": event.source,
            "received_at": event.received_at.isoformat(),
        },
    }
