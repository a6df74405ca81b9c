"""Back to what is inherited, and back again: reset with a preview, undo within 30 days (asked by pages and REST)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts import settinghistory, setup
from alerts.models import SettingChange, TicketSettings
from alerts.models.settings import Level
from alerts.settinghistory import KEPT_FOR_UNDO, own_values
from portal import clock
from portal.inheritance import Effective
from portal.models import Account, Client, Organization


@dataclass(frozen=True)
class Difference:
    """What a reset does to one field."""

    label: str
    now: Any
    then: Effective[Any]
    nothing: str


def preview(level: Level) -> list[Difference]:
    """What changes when a level is reset; empty when it says nothing itself."""
    found = setup.setup_of(level)
    return [
        Difference(found.label(name), own, found.inherited[name], setup.nothing_of(name))
        for name, own in own_values(found.row).items()
        if own is not None
    ]


def reset(level: Level, *, by: str = "") -> bool:
    """Back to what is inherited; False when there was nothing to reset."""
    had_own = TicketSettings.objects.filter(**setup.of_level(level)).exists()
    setup.write(level, {}, by=by, origin=SettingChange.Origin.RESET)
    return had_own


class NotUndone(Exception):
    """The undo is refused; the text says why."""


@dataclass(frozen=True)
class Undone:
    """What an undo did, and which fields it left because they were changed again since."""

    fields: Sequence[str]
    left: Sequence[str]


def undo(rows: Sequence[SettingChange], *, by: str = "") -> Undone:
    """Put back what one change (its rows, of one partner) replaced, field by field. Raises NotUndone.

    A field that was changed again since is left as it is, and told.
    """
    if not rows:
        raise NotUndone("There is no such change.")
    if clock.now() - rows[0].changed_at > KEPT_FOR_UNDO:
        raise NotUndone("This change is older than 30 days; set the values by hand.")
    left: list[str] = []
    fields: list[str] = []
    change = clock.new_id()
    with transaction.atomic():
        for level, theirs in by_level(rows):
            done = undo_at(level, theirs, by=by, change=change, left=left)
            fields += [f"{setup.LABELS[name]}" for name in done]
        if not fields:
            raise NotUndone("Nothing is left to undo: " + "; ".join(left) + ".")
    return Undone(fields, left)


def by_level(rows: Sequence[SettingChange]) -> list[tuple[Level, list[SettingChange]]]:
    groups: dict[uuid.UUID, list[SettingChange]] = {}
    for row in rows:
        groups.setdefault(row.level_id, []).append(row)
    return [(level, groups[key]) for key in sorted(groups) if (level := level_with(key, rows[0].partner_id))]


def level_with(key: uuid.UUID, partner_id: uuid.UUID | None = None) -> Level | None:
    """The organization, client or account with this id."""
    mine = {"partner_id": partner_id} if partner_id else {}
    for model, related in ((Client, "organization"), (Organization, "parent"), (Account, "client")):
        found: Level | None = model.objects.select_related("partner", related).filter(pk=key, **mine).first()
        if found is not None:
            return found
    return None


def undo_at(
    level: Level, rows: Sequence[SettingChange], *, by: str, change: uuid.UUID, left: list[str]
) -> list[str]:
    row = TicketSettings.objects.filter(**setup.of_level(level)).first()
    values = own_values(row)
    known = settinghistory.choices_of([one.old for one in rows], level.partner_id)
    done = []
    for one in rows:
        name = setup.LABELS[one.field]
        if not settinghistory.is_same(settinghistory.as_kept(values[one.field]), one.new):
            later = settinghistory.newer_than(one)
            who = f" by {later.changed_by or 'an operator'} on {later.changed_at:%Y-%m-%d}" if later else ""
            left.append(f"{name} was changed again{who}")
            continue
        try:
            values[one.field] = settinghistory.value_of(one.old, known)
        except KeyError:
            left.append(f"{name}: “{settinghistory.told(one.old)}” is not there any more")
            continue
        done.append(one.field)
    if not done:
        return []
    try:
        setup.refuse_misfits(level, values)
    except ValidationError as refusal:
        raise NotUndone("The former values do not fit any more: " + " ".join(refusal.messages)) from refusal
    setup.write(
        level, values, by=by, origin=SettingChange.Origin.UNDONE, change=change, undoes=rows[0].change
    )
    return done
