"""Which PSA product is a service, here (asked by pushes, previews and pages)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from billing.models import CrossReference
from portal.inheritance import Tree, level_id, nearest
from portal.models import Client


@dataclass(frozen=True)
class CrossReferences:
    """All cross-references of a partner, read once."""

    by_service: Mapping[uuid.UUID, Mapping[uuid.UUID, CrossReference]]
    tree: Tree

    @classmethod
    def of(cls, partner_id: uuid.UUID) -> CrossReferences:
        """Two queries."""
        found: dict[uuid.UUID, dict[uuid.UUID, CrossReference]] = {}
        for row in CrossReference.objects.filter(partner_id=partner_id).select_related("service", "product"):
            found.setdefault(row.service_id, {})[level_id(row)] = row
        return cls(found, Tree.of(partner_id))

    def for_client(self, client: Client) -> list[CrossReference]:
        """The cross-reference in effect for each service that has one, ticked or not."""
        levels = self.tree.levels_of(client)
        rows = [nearest(levels, by_level) for by_level in self.by_service.values()]
        return [row for row in rows if row is not None]
