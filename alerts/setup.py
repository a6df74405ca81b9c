"""How tickets shall look at a level: what can be picked, what is refused, the saving (asked by the set-up pages)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts.models import TicketSettings
from alerts.ticketsettings import CHOICES, FIELDS, SettingsOf
from integrations import choices, connections, effective
from integrations.models import Choice, Credentials
from integrations.models.connections import Kind
from portal import clock, inheritance
from portal.inheritance import Effective
from portal.models import Client, Organization

Level = Client | Organization

# field -> the PSA's kind of record
KINDS = {
    "board": "board",
    "new_status": "status",
    "closing_status": "status",
    "type": "type",
    "subtype": "subtype",
    "priority": "priority",
    "source": "source",
}
OF_A_BOARD = ("new_status", "closing_status", "type", "subtype")


@dataclass(frozen=True)
class Setup:
    """The ticket settings of one level, with what is inherited and what can be picked."""

    level: Level
    row: TicketSettings | None
    connection: Credentials | None
    in_effect: Mapping[str, Effective[Any]]
    inherited: Mapping[str, Effective[Any]]
    offered: Mapping[str, list[Choice]] = field(default_factory=dict)
    age: choices.Age | None = None

    @property
    def board(self) -> Choice | None:
        return self.in_effect["board"].value


def setup_of(level: Level) -> Setup:
    """Works while the PSA is down: everything comes from our copy of its options."""
    found = SettingsOf.of(level.partner_id)
    above = levels_of(level, found.tree)[1:]
    connection = connection_of(level, found.tree)
    return Setup(
        level=level,
        row=found.rows.get(level.pk),
        connection=connection,
        in_effect={name: found.value(name, level) for name in FIELDS},
        inherited={
            name: inheritance.resolve(name, above, found.rows, default=default_of(name)) for name in FIELDS
        },
        offered=offered_by(connection) if connection else {},
        age=choices.age_of(connection, *set(KINDS.values())) if connection else None,
    )


def default_of(name: str) -> bool | None:
    return True if name == "automatic_closure" else None


def levels_of(level: Level, tree: inheritance.Tree) -> list[Level]:
    """The level and those above it, nearest first."""
    return tree.levels_of(level) if isinstance(level, Client) else list(tree.upwards(level.pk))


def connection_of(level: Level, tree: inheritance.Tree) -> Credentials | None:
    """The connection whose options are picked from."""
    row = inheritance.nearest(levels_of(level, tree), effective.by_level(level.partner_id))
    return None if row is None or row.kind == Kind.NONE else row


def offered_by(connection: Credentials) -> dict[str, list[Choice]]:
    """What each field may be, by name; a closing status must close, an initial one must not."""
    by_kind: dict[str, list[Choice]] = {kind: [] for kind in KINDS.values()}
    for row in connection.choices.filter(kind__in=by_kind, vanished_at=None).order_by("name"):
        by_kind[row.kind].append(row)
    return {name: [row for row in by_kind[kind] if fits(name, row)] for name, kind in KINDS.items()}


def fits(name: str, choice: Choice) -> bool:
    if name == "closing_status":
        return choice.data.get("closed") is True
    return name != "new_status" or choice.data.get("closed") is not True


def save_ticket_settings(level: Level, values: Mapping[str, Any]) -> TicketSettings | None:
    """Store what a level says itself; with nothing to say it inherits everything.

    Raises ValidationError, by field, for combinations that the PSA would refuse.
    """
    refuse_misfits(level, values)
    if all(values.get(name) is None for name in FIELDS):
        reset(level)
        return None
    with transaction.atomic():
        row, _ = TicketSettings.objects.update_or_create(
            defaults={
                "partner_id": level.partner_id,
                "updated_at": clock.now(),
                **{name: values.get(name) for name in FIELDS},
            },
            client=level if isinstance(level, Client) else None,
            organization=level if isinstance(level, Organization) else None,
        )
    return row


def reset(level: Level) -> None:
    """Back to what is inherited."""
    TicketSettings.objects.filter(**connections.level_of(level)).delete()


def refuse_misfits(level: Level, values: Mapping[str, Any]) -> None:
    """Statuses and types belong to a board: they must be of the one in effect, those that are inherited as well."""
    inherited = setup_of(level).inherited
    board = values.get("board") or inherited["board"].value
    refusals = {name: text for name in CHOICES if (text := misfit(name, values.get(name), board))}
    for name in OF_A_BOARD:
        from_above = inherited[name].value
        if values.get(name) is None and values.get("board") and misfit(name, from_above, board):
            refusals[name] = f"The inherited “{from_above}” is not of the board {board}; choose one that is."
    if refusals:
        raise ValidationError(refusals)


def misfit(name: str, choice: Choice | None, board: Choice | None) -> str:
    """Why a choice cannot be used, as a sentence; empty when it can."""
    if choice is None:
        return ""
    if choice.kind != KINDS[name] or not fits(name, choice):
        return {
            "closing_status": f"“{choice.name}” does not close a ticket; choose a closed status.",
            "new_status": f"“{choice.name}” is a closed status; a new ticket must be open.",
        }.get(name, f"“{choice.name}” is not offered here.")
    if name not in OF_A_BOARD:
        return ""
    if board is None:
        return "Choose a service board first: this belongs to a board."
    if choice.within != board.psa_id or choice.credentials_id != board.credentials_id:
        return f"“{choice.name}” is not of the board {board.name}."
    return ""
