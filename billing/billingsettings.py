"""Billing settings of a level: what it says itself (asked by pages)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from billing.crossreferences import CrossReferences
from billing.decisions import Decider, Refused
from billing.models import BillingSettings
from billing.terms import DEFAULTS
from portal import clock
from portal.models import Client, Organization

Level = Client | Organization


def own(level: Level) -> BillingSettings | None:
    return BillingSettings.objects.filter(**_of(level)).first()


def save(level: Level, values: Mapping[str, Any], *, by: Decider) -> BillingSettings:
    """Store what a level says; None inherits. `values` may have `billing_mode` besides. Raises Refused.

    Whoever saves has changed the settings, also when every value inherits: four eyes count on that.
    """
    if values.get("is_enabled") and isinstance(level, Client):
        rows = CrossReferences.of(level.partner_id).for_client(level)
        if rows and not any(row.is_billed for row in rows):
            raise Refused("nothing_ticked", "Tick at least one product first: with none, nothing is billed.")
    before = own(level)
    named = {name: values[name] for name in DEFAULTS if name in values}
    moved = any(
        getattr(before, name, None) != named.get(name)
        for name in ("schedule", "push_day", "days_before_invoice")
        if name in named
    )
    with transaction.atomic():
        row, _ = BillingSettings.objects.update_or_create(
            **_of(level),
            defaults={
                "partner_id": level.partner_id,
                **named,
                "updated_at": clock.now(),
                "updated_by": by.user,
                **({"scheduled_at": clock.now()} if moved else {}),
            },
        )
        if "billing_mode" in values:
            type(level).objects.filter(pk=level.pk).update(billing_mode=values["billing_mode"] or None)
    return row


def _of(level: Level) -> dict[str, Any]:
    return {"client" if isinstance(level, Client) else "organization": level}
