"""Which PSA product is a service, here (asked by pushes, previews and pages)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing.decisions import Decider, Refused
from billing.models import CrossReference, Service
from integrations.models import Choice
from portal import clock
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
    if wish.product is not None and wish.product.partner_id != level.partner_id:
        raise Refused("unknown_product", "This partner's PSA has no such product.")
    if wish.product is not None and wish.product.kind != "product":
        raise Refused("unknown_product", f"{wish.product.name} is no product.")
    refuse_doubled(level, service, wish)
    of_level: dict[str, Any] = {
        "client": level if isinstance(level, Client) else None,
        "organization": level if isinstance(level, Organization) else None,
    }
    row, _ = CrossReference.objects.update_or_create(
        service=service,
        **of_level,
        defaults={
            "partner_id": level.partner_id,
            **{name: getattr(wish, name) for name in Wish.__dataclass_fields__},
            "updated_at": clock.now(),
            "updated_by": by.user,
        },
    )
    return row


def own_wish(level: Level, service: Service) -> Wish:
    """What a level says of a service itself, for doors that change a part of it."""
    row = CrossReference.objects.filter(**of(level), service=service).select_related("product").first()
    if row is None:
        return Wish(product=None)
    return Wish(**{name: getattr(row, name) for name in Wish.__dataclass_fields__})


def refuse_doubled(level: Level, service: Service, wish: Wish) -> None:
    """Level, type and configuration type are unique together at a level: the PSA tells services apart by them."""
    if not (wish.level or wish.type):
        return
    others = CrossReference.objects.filter(**of(level), level=wish.level, type=wish.type)
    other = others.filter(configuration_type=wish.configuration_type).exclude(service=service).first()
    if other is not None:
        what = " / ".join(part for part in (wish.level, wish.type, wish.configuration_type) if part)
        raise Refused(
            "words_taken", f"{what} is {other.service.name} here already; they tell services apart."
        )


def reset(level: Level, service: Service) -> bool:
    """Inherit again."""
    return bool(CrossReference.objects.filter(**of(level), service=service).delete()[0])


def of(level: Level) -> dict[str, Level]:
    return {"client" if isinstance(level, Client) else "organization": level}
