"""What is agreed about billing a client: mode, push date, guards (asked by pushes, push days and pages).

Each value is set at a client or an organization and holds for everything below, or is one of `DEFAULTS`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from billing.crossreferences import CrossReferences
from billing.models import AgreementLink, BillingSettings, CrossReference, Schedule
from portal.inheritance import Effective, Tree, level_id, mode_of, resolve
from portal.models import Client, Organization, User

DEFAULT_DESCRIPTION = "{service}: {quantity} {unit} ({counted}, {month})\n{accounts}"
"""Without the day: else every line would be written every day, changed or not."""
DEFAULTS: Mapping[str, Any] = {
    "is_enabled": True,
    "schedule": Schedule.CONTINUOUS,
    "push_day": 1,
    "days_before_invoice": 3,
    "jump_percent": 50,
    "jump_least": 5,
    "jump_units": None,
    "invoice_window_days": 1,
    "fleet_clients": 10,
    "four_eyes": False,
    "updates_descriptions": True,
    "description_template": DEFAULT_DESCRIPTION,
}
"""`jump_units` None: no absolute limit. `invoice_window_days` 1: the day of the invoice itself; 0: never."""


@dataclass(frozen=True)
class Terms:
    """The billing settings in effect for one client."""

    mode: str
    values: Mapping[str, Effective[Any]]

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value


@dataclass(frozen=True)
class TermsOf:
    """All billing settings of a partner, read once. Two queries."""

    rows: Mapping[uuid.UUID, BillingSettings]
    tree: Tree

    @classmethod
    def of(cls, partner_id: uuid.UUID) -> TermsOf:
        rows = BillingSettings.objects.filter(partner_id=partner_id).select_related("updated_by")
        return cls({level_id(row): row for row in rows}, Tree.of(partner_id))

    def at(self, levels: Sequence[Client | Organization]) -> dict[str, Effective[Any]]:
        return {name: resolve(name, levels, self.rows, default=value) for name, value in DEFAULTS.items()}

    def for_client(self, client: Client) -> Terms:
        return Terms(mode_of(client, "billing", self.tree).value, self.at(self.tree.levels_of(client)))

    def rows_above(self, client: Client) -> list[BillingSettings]:
        return [self.rows[level.pk] for level in self.tree.levels_of(client) if level.pk in self.rows]


def for_client(client: Client) -> Terms:
    return TermsOf.of(client.partner_id).for_client(client)


def changed_last_by(client: Client, found: TermsOf, links: Sequence[AgreementLink]) -> User | None:
    """Who last changed a setting that this client's plan depends on; their yes is no second pair of eyes."""
    references = CrossReferences.of(client.partner_id).for_client(client)
    rows: list[BillingSettings | CrossReference | AgreementLink] = [
        *found.rows_above(client),
        *references,
        *links,
    ]
    signed = [row for row in rows if row.updated_by_id is not None]
    newest = max(signed, key=lambda row: row.updated_at, default=None)
    return cast(User, newest.updated_by) if newest is not None else None
