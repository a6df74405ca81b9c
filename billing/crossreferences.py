"""Which PSA product is a service, here (asked by pushes, previews and pages)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing import hands
from billing.decisions import Decider, Refused
from billing.models import CrossReference, Service
from integrations.models import Choice
from portal import clock, database
from portal.inheritance import Tree, level_id, nearest
from portal.models import Client, Organization


@dataclass(frozen=True)
class CrossReferences:
    """All cross-references of a partner, read once."""

    by_service: Mapping[uuid.UUID, Mapping[uuid.UUID, CrossReference]]
    tree: Tree

    @classmethod
    def of(cls, partner_id: uuid.UUID) -> CrossReferences:
        """Two queries."""
        found: dict[uuid.UUID, dict[uuid.UUID, CrossReference]] = {}
        for row in CrossReference.objects.filter(partner_id=partner_id).select_related(
            "service", "product", "updated_by"
        ):
            found.setdefault(row.service_id, {})[level_id(row)] = row
        return cls(found, Tree.of(partner_id))

    def for_client(self, client: Client) -> list[CrossReference]:
        """The cross-reference in effect for each service that has one, ticked or not."""
        levels = self.tree.levels_of(client)
        rows = [nearest(levels, by_level) for by_level in self.by_service.values()]
        return [row for row in rows if row is not None]


# --- Setting --------------------------------------------------------------------------------------------------------

Level = Client | Organization
UNITS_ALIKE = {"each", "ea", "unit", "units", "pcs", "piece", ""}
"""Units of measure that fit every count."""
_STORAGE = {"gb", "tb", "mb", "gib", "tib"}
PLANS = {
    "basic": "Basic",
    "select": "Select",
    "bdr": "BDR",
    "local": "Local",
    "archiving": "Archive",
    "filtering": "Filter",
}
TYPES = ("Storage", "Servers", "Desktops", "Mailboxes", "Accounts", "Enablement")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a level shall say of one service. `product` None leaves it without one."""

    product: Choice | None
    is_billed: bool = True
    level: str = ""
    type: str = ""
    configuration_type: str = ""
    agreement_type: str = ""
    updates_description: bool = True
    jump_percent: int | None = None
    jump_units: int | None = None


def proposed_words(service: Service) -> dict[str, str]:
    """Level, type and configuration type that we propose, by the parts of the service's name."""
    parts = re.split(r"\W+", service.name.lower())
    kind = next((word for word in TYPES if word.lower() in parts), "")
    return {
        "level": next((plan for word, plan in PLANS.items() if word in parts), ""),
        "type": kind,
        "configuration_type": "Backup Stats"
        if kind == "Storage"
        else "Workstations and Servers"
        if kind
        else "",
    }


def unit_mismatch(service: Service, product: Choice) -> str:
    """A warning when one unit of the product can hardly be one unit of the service; empty when all is well."""
    uom = str(product.data.get("uom") or "").strip()
    if uom.lower() in UNITS_ALIKE or uom.lower() == service.unit.lower():
        return ""
    if (uom.lower() in _STORAGE) == (service.unit.lower() in _STORAGE) and uom.lower() not in _STORAGE:
        return ""
    return f"The product {product.name} is counted in {uom}, the service {service.name} in {service.unit}."


def save(level: Level, service: Service, wish: Wish, *, by: Decider) -> CrossReference:
    """Store what a level says of a service. Raises Refused."""
    values = {name: getattr(wish, name) for name in Wish.__dataclass_fields__}
    [row] = save_many([(level, service, values)], by=by)
    if isinstance(row, Refused):
        raise row
    return row


def save_many(
    asked: Sequence[tuple[Level, Service, Mapping[str, Any]]], *, by: Decider
) -> list[CrossReference | Refused]:
    """What levels say of services, in their order; what the values leave out stays as it is. A few queries in all."""
    results: list[CrossReference | Refused] = []
    with transaction.atomic():
        known = own_rows([level for level, _, _ in asked])
        taken = {(level, *words_of(row)): row.service for (level, _), row in known.items()}
        touched: dict[uuid.UUID, CrossReference] = {}
        for level, service, values in asked:
            row = known.get((level.pk, service.pk))
            row = row or CrossReference(partner_id=level.partner_id, service=service, **of(level))
            before, wish = words_of(row), replace(wish_of(row), **values)
            other = taken.get((level.pk, wish.level, wish.type, wish.configuration_type))
            if no := refusal(level, service, wish, other):
                results.append(no)
                continue
            for name in Wish.__dataclass_fields__:
                setattr(row, name, getattr(wish, name))
            row.updated_at, row.updated_by = clock.now(), by.author
            if taken.get((level.pk, *before)) == service:
                del taken[level.pk, *before]
            taken[level.pk, *words_of(row)] = service
            known[level.pk, service.pk] = touched[row.pk] = row
            results.append(row)
        new = [row for row in touched.values() if row._state.adding]
        stored = database.insert_new(new)
        CrossReference.objects.bulk_update(
            [row for row in touched.values() if not row._state.adding],
            [*Wish.__dataclass_fields__, "updated_at", "updated_by"],
            batch_size=500,
        )
        hands.note(touched.values(), by.author)
    raced = {row.pk for row in new} - stored
    return [RACED if isinstance(row, CrossReference) and row.pk in raced else row for row in results]


RACED = Refused("changed", "Somebody else set this at the same moment; look at it and send it again.")


def own_rows(levels: Iterable[Level]) -> dict[tuple[uuid.UUID, uuid.UUID], CrossReference]:
    """What these levels say themselves, by level and service, locked."""
    keys = {level.pk for level in levels}
    rows = CrossReference.objects.filter(Q(client__in=keys) | Q(organization__in=keys))
    rows = rows.select_related("service", "product").order_by("pk")
    return {(level_id(row), row.service_id): row for row in rows.select_for_update(no_key=True, of=("self",))}


def words_of(row: CrossReference) -> tuple[str, str, str]:
    return row.level, row.type, row.configuration_type


def wish_of(row: CrossReference) -> Wish:
    return Wish(**{name: getattr(row, name) for name in Wish.__dataclass_fields__})


def own_wish(level: Level, service: Service) -> Wish:
    """What a level says of a service itself, for doors that change a part of it."""
    row = CrossReference.objects.filter(**of(level), service=service).select_related("product").first()
    return Wish(product=None) if row is None else wish_of(row)


def refusal(level: Level, service: Service, wish: Wish, other: Service | None) -> Refused | None:
    """Level, type and configuration type are unique together at a level: the PSA tells services apart by them."""
    if wish.product is not None and wish.product.partner_id != level.partner_id:
        return Refused("unknown_product", "This partner's PSA has no such product.")
    if wish.product is not None and wish.product.kind != "product":
        return Refused("unknown_product", f"{wish.product.name} is no product.")
    if (wish.level or wish.type) and other is not None and other != service:
        what = " / ".join(part for part in (wish.level, wish.type, wish.configuration_type) if part)
        return Refused("words_taken", f"{what} is {other.name} here already; they tell services apart.")
    return None


def reset(level: Level, service: Service, *, by: Decider) -> bool:
    """Inherit again."""
    with transaction.atomic():
        hands.note([CrossReference(partner_id=level.partner_id, service=service, **of(level))], by.author)
        return bool(CrossReference.objects.filter(**of(level), service=service).delete()[0])


def of(level: Level) -> dict[str, Level]:
    return {"client" if isinstance(level, Client) else "organization": level}
