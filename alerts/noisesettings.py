"""How a partner wants noise to be handled, changed (asked by its page, REST and the admin)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts.models import Hold, NoiseSettings
from alerts.models.noise import HoldKind
from portal import background, clock
from portal.models import Partner

FIELDS = (
    "durations",
    "flap_changes",
    "flap_minutes",
    "parent_types",
    "storm_client_tickets",
    "storm_partner_tickets",
    "storm_minutes",
    "storm_client",
    "tickets_after_storm",
)
RECOMMENDED: Mapping[str, Any] = {
    "durations": {"appliance.offline": 10},
    "flap_changes": 6,
    "flap_minutes": 60,
    "parent_types": ["appliance.offline"],
    "storm_client_tickets": 20,
    "storm_partner_tickets": 100,
    "storm_minutes": 10,
    "tickets_after_storm": True,
}


def save_noise(partner: Partner, values: Mapping[str, Any]) -> NoiseSettings:
    """Store what is given; what is held by duration, outage or storm is judged anew at once.

    Raises ValidationError, by field.
    """
    refuse(partner, values)
    with transaction.atomic():
        row, _ = NoiseSettings.objects.update_or_create(
            defaults={**{name: values[name] for name in FIELDS if name in values}, "updated_at": clock.now()},
            partner=partner,
        )
        kinds = [HoldKind.DURATION, HoldKind.PARENT]
        if Hold.objects.filter(partner=partner, kind__in=kinds).update(until=clock.now()):
            background.enqueue("alerts.jobs.release_due")
    return row


def refuse(partner: Partner, values: Mapping[str, Any]) -> None:
    durations = values.get("durations") or {}
    if not isinstance(durations, dict) or not all(
        isinstance(minutes, int) and 0 <= minutes <= 10_080 for minutes in durations.values()
    ):
        raise ValidationError({"durations": "Map event types to minutes from 0 to 10080."})
    client = values.get("storm_client")
    if client is not None and client.partner_id != partner.pk:
        raise ValidationError({"storm_client": "This client belongs to another partner."})
