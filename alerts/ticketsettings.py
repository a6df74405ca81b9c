"""How a client's tickets should look, and where each value comes from (asked by tickets and the settings pages)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from alerts.models import TicketSettings
from integrations.models import Choice, Credentials
from portal import database
from portal.inheritance import Effective, Tree, level_id, resolve
from portal.models import Client, Organization

CHOICES = ("board", "new_status", "closing_status", "type", "subtype", "priority", "source")
FIELDS = (*CHOICES, "automatic_closure")


_rows = database.Prepared(
    lambda partner: TicketSettings.objects.filter(partner_id=partner).select_related(*CHOICES)
)


@dataclass(frozen=True)
class SettingsOf:
    """All ticket settings of a partner, read once."""

    rows: Mapping[uuid.UUID, TicketSettings]
    tree: Tree

    @classmethod
    def of(cls, partner_id: uuid.UUID) -> SettingsOf:
        """Two queries."""
        rows = _rows(partner_id)
        return cls({level_id(row): row for row in rows}, Tree.of(partner_id))

    def value(self, field: str, level: Client | Organization) -> Effective[object]:
        """The value in effect at a level and its source; automatic closure is on unless somebody says no."""
        levels = self.tree.levels_of(level) if isinstance(level, Client) else self.tree.upwards(level.pk)
        return resolve(field, levels, self.rows, default=True if field == "automatic_closure" else None)

    def psa_id(self, field: str, client: Client, credentials: Credentials) -> str | None:
        """The PSA's id of the choice in effect; None when it belongs to another connection than the client's."""
        choice = self.value(field, client).value
        if not isinstance(choice, Choice) or choice.credentials_id != credentials.pk:
            return None
        return choice.psa_id
