"""Who set which ticket setting, when, and what it was before (asked by the set-up pages, REST and the undo)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Max, Q

from alerts.models import SettingChange, TicketSettings
from alerts.models.settings import Level
from alerts.ticketsettings import FIELDS
from integrations.models import Choice, Credentials
from portal import clock

KEPT_FOR_UNDO = timedelta(days=30)
Kept = Mapping[str, Any] | None


def own_values(row: TicketSettings | None) -> dict[str, Any]:
    """What a level says itself, by field; None where it inherits."""
    return {name: getattr(row, name) if row is not None else None for name in FIELDS}


def as_kept(value: Any) -> Kept:
    if value is None:
        return None
    if isinstance(value, Choice):
        return {"id": str(value.pk), "name": value.name, "psa_id": value.psa_id}
    return {"value": value}


def is_same(one: Kept, other: Kept) -> bool:
    """A choice that was renamed meanwhile is the same."""
    if one is None or other is None or "value" in one or "value" in other:
        return one == other
    return bool(one["id"] == other["id"])


def value_of(kept: Kept, known: Mapping[str, Choice]) -> Any:
    """The value that was kept. Raises KeyError for a choice that is not there any more."""
    if kept is None:
        return None
    return kept["value"] if "value" in kept else known[kept["id"]]


def choices_of(kept: Iterable[Kept], partner_id: uuid.UUID) -> dict[str, Choice]:
    """The choices that are named, by id as text. One query."""
    keys = {one["id"] for one in kept if one and "id" in one}
    return {str(row.pk): row for row in Choice.objects.filter(pk__in=keys, partner_id=partner_id)}


def keep(
    level: Level,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    by: str,
    origin: str,
    change: uuid.UUID,
    undoes: uuid.UUID | None = None,
) -> list[SettingChange]:
    """Write down what differs, in the caller's transaction."""
    now = clock.now()
    rows = [
        SettingChange(
            partner_id=level.partner_id,
            level_id=level.pk,
            level_name=str(level)[:200],
            field=name,
            old=as_kept(before[name]),
            new=as_kept(after[name]),
            change=change,
            origin=origin,
            undoes=undoes,
            changed_at=now,
            changed_by=by[:254],
        )
        for name in FIELDS
        if not is_same(as_kept(before[name]), as_kept(after[name]))
    ]
    SettingChange.objects.bulk_create(rows)
    return rows


def repointed(former: Credentials, matched: Mapping[uuid.UUID, Choice | None], *, by: str) -> None:
    """The choices of a connection are about to become those of another: write down what each level said."""
    change = clock.new_id()
    rows = TicketSettings.objects.filter(partner=former.partner_id)
    for row in rows.select_related("organization", "client", "account"):
        before = own_values(row)
        after = {
            name: matched[value.pk] if isinstance(value, Choice) and value.pk in matched else value
            for name, value in before.items()
        }
        level = row.account or row.client or row.organization
        assert level is not None  # held by a constraint
        keep(level, before, after, by=by, origin=SettingChange.Origin.REPOINTED, change=change)


def authors(levels: Sequence[Level]) -> dict[tuple[uuid.UUID, str], SettingChange]:
    """The newest change of each field at each of these levels. Two queries."""
    of_levels = SettingChange.objects.filter(level_id__in=[level.pk for level in levels])
    newest = of_levels.order_by().values_list("level_id", "field").annotate(at=Max("changed_at"))
    wanted = set(newest)
    if not wanted:
        return {}
    rows = of_levels.filter(changed_at__in={at for _, _, at in wanted}).order_by("pk")
    return {
        (row.level_id, row.field): row for row in rows if (row.level_id, row.field, row.changed_at) in wanted
    }


# --- What was changed together ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """Everything that was saved at once."""

    rows: Sequence[SettingChange]
    undone_by: SettingChange | None = None

    @property
    def first(self) -> SettingChange:
        return self.rows[0]

    @property
    def may_be_undone(self) -> bool:
        return self.undone_by is None and clock.now() - self.first.changed_at <= KEPT_FOR_UNDO


def changes_of(level: Level, most: int = 20) -> list[Change]:
    """The newest changes of a level, newest first. Three queries."""
    of_level = SettingChange.objects.filter(level_id=level.pk)
    newest = of_level.order_by().values_list("change").annotate(at=Max("changed_at")).order_by("-at")[:most]
    keys = [key for key, _ in newest]
    return grouped(of_level.filter(change__in=keys))


def grouped(rows: Any) -> list[Change]:
    groups: dict[uuid.UUID, list[SettingChange]] = {}
    for row in rows.order_by("-changed_at", "pk"):
        groups.setdefault(row.change, []).append(row)
    undone = {row.undoes: row for row in SettingChange.objects.filter(undoes__in=groups)}
    return [Change(members, undone.get(key)) for key, members in groups.items()]


def newer_than(row: SettingChange) -> SettingChange | None:
    """The latest change of the same field after this one."""
    later = Q(changed_at__gt=row.changed_at) | Q(changed_at=row.changed_at, pk__gt=row.pk)
    found: SettingChange | None = (
        SettingChange.objects.filter(later, level_id=row.level_id, field=row.field)
        .order_by("-changed_at", "-pk")
        .first()
    )
    return found


def told(kept: Kept) -> str:
    """For people."""
    if kept is None:
        return "inherited"
    value = kept.get("value", kept.get("name"))
    return {True: "Yes", False: "No"}.get(value, str(value)) if isinstance(value, bool) else str(value)
