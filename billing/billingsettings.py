"""Billing settings of a level: what it says itself (asked by pages and REST)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing import hands
from billing.crossreferences import CrossReferences
from billing.decisions import Decider, Refused
from billing.models import BillingSettings
from billing.terms import DEFAULTS
from portal import clock, database
from portal.inheritance import level_id
from portal.models import Client, Organization

Level = Client | Organization


def own(level: Level) -> BillingSettings | None:
    return BillingSettings.objects.filter(**_of(level)).first()


def save(level: Level, values: Mapping[str, Any], *, by: Decider) -> BillingSettings:
    """Store what a level says; None inherits. `values` may have the `MODES` besides. Raises Refused.

    Whoever saves has changed the settings, also when every value inherits: four eyes count on that.
    """
    [row] = save_many([(level, values)], by=by)
    if isinstance(row, Refused):
        raise row
    return row


def save_many(
    asked: Sequence[tuple[Level, Mapping[str, Any]]], *, by: Decider
) -> list[BillingSettings | Refused]:
    """What several levels say, in their order; what the values leave out stays as it is. A few queries in all."""
    results: list[BillingSettings | Refused] = []
    references = {
        key: CrossReferences.of(key)
        for key in {
            level.partner_id
            for level, values in asked
            if values.get("is_enabled") and isinstance(level, Client)
        }
    }
    touched: dict[uuid.UUID, BillingSettings] = {}
    modes: dict[tuple[type[Level], str, str | None], list[uuid.UUID]] = {}
    with transaction.atomic():
        known = own_rows([level for level, _ in asked])
        for level, values in asked:
            if values.get("is_enabled") and isinstance(level, Client):
                rows = references[level.partner_id].for_client(level)
                if rows and not any(row.is_billed for row in rows):
                    text = "Tick at least one product first: with none, nothing is billed."
                    results.append(Refused("nothing_ticked", text))
                    continue
            row = known.get(level.pk) or BillingSettings(partner_id=level.partner_id, **_of(level))
            named = {name: values[name] for name in DEFAULTS if name in values}
            if any(getattr(row, name) != named[name] for name in SCHEDULED if name in named):
                row.scheduled_at = clock.now()
            for name, value in named.items():
                setattr(row, name, value)
            row.updated_at, row.updated_by = clock.now(), by.author
            known[level.pk] = touched[row.pk] = row
            results.append(row)
            for name in MODES:
                if name in values:
                    modes.setdefault((type(level), name, values[name] or None), []).append(level.pk)
        new = [row for row in touched.values() if row._state.adding]
        raced = {row.pk for row in new} - database.insert_new(new)
        BillingSettings.objects.bulk_update(
            [row for row in touched.values() if not row._state.adding],
            [*DEFAULTS, "scheduled_at", "updated_at", "updated_by"],
            batch_size=500,
        )
        hands.note(touched.values(), by.author)
        for (model, name, mode), keys in modes.items():
            model.objects.filter(pk__in=keys).update(**{name: mode})
    return [RACED if isinstance(row, BillingSettings) and row.pk in raced else row for row in results]


MODES = ("billing_mode", "statistics_mode")
SCHEDULED = ("schedule", "push_day", "days_before_invoice")
RACED = Refused("changed", "Somebody else set this at the same moment; look at it and send it again.")


def own_rows(levels: Iterable[Level]) -> dict[uuid.UUID, BillingSettings]:
    """What these levels say themselves, by level, locked."""
    keys = {level.pk for level in levels}
    rows = BillingSettings.objects.filter(Q(client__in=keys) | Q(organization__in=keys)).order_by("pk")
    return {level_id(row): row for row in rows.select_for_update(no_key=True)}


def _of(level: Level) -> dict[str, Any]:
    return {"client" if isinstance(level, Client) else "organization": level}
