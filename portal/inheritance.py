"""Which value applies here, and where does it come from (asked by every setting that inherits).

Null means "inherit". Levels are given from the nearest (account, client) to the farthest (top-level organization).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from portal import database
from portal.models import Account, Client, Organization

Level = Account | Client | Organization
T = TypeVar("T")


@dataclass(frozen=True)
class Effective(Generic[T]):
    """A value in effect. `source` is the level it was set at, None when it is the built-in default."""

    value: T
    source: Level | None

    @property
    def is_default(self) -> bool:
        return self.source is None


_nodes = database.Prepared(lambda partner: Organization.objects.filter(partner_id=partner))


@dataclass(frozen=True)
class Tree:
    """One partner's organizations, read once; answers who inherits from whom without further queries."""

    by_id: Mapping[uuid.UUID, Organization]

    @classmethod
    def of(cls, partner_id: uuid.UUID) -> Tree:
        return cls({node.pk: node for node in _nodes(partner_id)})

    def upwards(self, organization_id: uuid.UUID) -> list[Organization]:
        """The organization, its parent, ... up to the top. A cycle (which no door allows) ends the walk."""
        path: list[Organization] = []
        node = self.by_id.get(organization_id)
        while node is not None and node not in path:
            path.append(node)
            node = self.by_id.get(node.parent_id) if node.parent_id else None
        return path

    def levels_of(self, client: Client) -> list[Any]:
        """The levels whose settings apply to a client, nearest first."""
        return [client, *self.upwards(client.organization_id)]


def resolve(
    field: str,
    levels: Sequence[Level],
    settings_of: Mapping[uuid.UUID, Any],
    *,
    default: Any = None,
) -> Effective[Any]:
    """The first non-null `field` on the way up. `settings_of` maps a level's id to its row of settings."""
    for level in levels:
        row = settings_of.get(level.pk)
        value = getattr(row, field, None) if row is not None else None
        if value is not None:
            return Effective(value, level)
    return Effective(default, None)


def nearest(levels: Iterable[Level], rows_of: Mapping[uuid.UUID, T]) -> T | None:
    """The row of the nearest level that has one, for settings that are inherited as a whole."""
    return next((rows_of[level.pk] for level in levels if level.pk in rows_of), None)


def level_id(row: Any) -> uuid.UUID:
    """The level a row of settings belongs to: it has an account, a client or an organization, a constraint says."""
    found: uuid.UUID = getattr(row, "account_id", None) or row.client_id or row.organization_id
    return found


def mode_of(client: Client, module: str, tree: Tree) -> Effective[str]:
    """The mode of a module (`tickets`, `billing`, `statistics`) for a client; live when nobody says otherwise."""
    levels = tree.levels_of(client)
    return resolve(f"{module}_mode", levels, {level.pk: level for level in levels}, default="live")
