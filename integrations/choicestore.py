"""What differs between a PSA's list and our copy, and the writing of it (asked by reloading).

Rows are found again by the PSA's id: a rename changes the name, what is gone is marked and never deleted. Unchanged
rows are not written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from integrations.models import Choice, Credentials
from integrations.psa.port import Option
from portal import clock, database

NAME_LENGTH = 300
ID_LENGTH = 50
BATCH = 1000


@dataclass(frozen=True)
class Difference:
    """One thing that changed, as people are told: `what` is added, renamed, changed, gone or back."""

    what: str
    kind: str
    name: str
    before: str = ""

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "kind": self.kind, "name": self.name, "before": self.before}


@dataclass
class Changes:
    """What has to be written so that some rows of our copy say what the PSA says."""

    added: list[Choice] = field(default_factory=list)
    changed: list[Choice] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.added) + len(self.changed)

    def extend(self, others: Changes) -> None:
        self.added += others.added
        self.changed += others.changed
        self.differences += others.differences


def compare(credentials: Credentials, within: str, options: Sequence[Option]) -> Changes:
    """Options of one list beside our rows of the same ids. Writes nothing; one query, one more when rows differ."""
    wanted = {(one.kind, one.id): one for one in options if 0 < len(one.id) <= ID_LENGTH}
    rows = rows_of(credentials, within, {kind for kind, _ in wanted})
    rows = rows.filter(psa_id__in={psa_id for _, psa_id in wanted})
    known = {(kind, psa_id): digest for kind, psa_id, digest in rows.values_list("kind", "psa_id", "digest")}
    changes, now, differing = Changes(), clock.now(), {}
    for key, option in wanted.items():
        is_offered = option.data.get("inactive") is not True
        if key not in known:
            if is_offered:
                add(changes, credentials, within, option, now)
        elif known[key] != (digest_of(name_of(option), data_of(option)) if is_offered else ""):
            differing[key] = option
    for row in rows.filter(psa_id__in={psa_id for _, psa_id in differing}) if differing else ():
        if (row.kind, row.psa_id) in differing:
            follow(changes, row, differing[row.kind, row.psa_id], now)
    return changes


def rows_of(credentials: Credentials, within: str, kinds: Collection[str]) -> QuerySet[Any]:
    """All rows of one list, also those that have vanished."""
    rows: QuerySet[Any] = Choice.objects.filter(credentials=credentials, kind__in=kinds, within=within)
    return rows


def add(changes: Changes, credentials: Credentials, within: str, option: Option, now: datetime) -> None:
    name, data = name_of(option), data_of(option)
    row = Choice(
        partner_id=credentials.partner_id,
        credentials=credentials,
        kind=option.kind,
        within=within,
        psa_id=option.id,
        name=name,
        data=data,
        digest=digest_of(name, data),
        changed_at=now,
    )
    changes.added.append(row)
    changes.differences.append(Difference("added", row.kind, row.name))


def follow(changes: Changes, row: Choice, option: Option, now: datetime) -> None:
    """Take over name and data, or that it is not offered any more."""
    if option.data.get("inactive") is True:
        mark_gone(changes, row, now)
        return
    name, data = name_of(option), data_of(option)
    is_back, is_renamed = row.vanished_at is not None, row.name != name
    if is_back:
        changes.differences.append(Difference("back", row.kind, name))
    if is_renamed:
        changes.differences.append(Difference("renamed", row.kind, name, before=row.name))
    if not is_back and not is_renamed and row.data != data:
        changes.differences.append(Difference("changed", row.kind, name))
    row.name, row.data, row.digest = name, data, digest_of(name, data)
    row.vanished_at, row.changed_at = None, now
    changes.changed.append(row)


def mark_gone(changes: Changes, row: Choice, now: datetime) -> None:
    row.vanished_at, row.changed_at, row.digest = now, now, ""
    changes.changed.append(row)
    changes.differences.append(Difference("gone", row.kind, row.name))


def write(changes: Changes) -> None:
    """A handful of statements, however many rows. Mappings keep the name that somebody accepted (see companies)."""
    database.insert_new(changes.added)
    database.save_all(changes.changed, ["name", "data", "digest", "vanished_at", "changed_at"])


# --- What is missing after a list was read from end to end ------------------------------------------------------------


def missing(
    credentials: Credentials, kind: str, within: str, seen: Collection[str]
) -> tuple[QuerySet[Any], list[str], int]:
    """The rows of a kind that are offered so far, the ids of those that the PSA did not name any more, and how many
    there are in all."""
    offered = rows_of(credentials, within, [kind]).filter(vanished_at=None)
    gone, count = [], 0
    for psa_id in offered.values_list("psa_id", flat=True).iterator(chunk_size=BATCH):
        count += 1
        if psa_id not in seen:
            gone.append(psa_id)
    return offered, gone, count


def of_boards_gone(credentials: Credentials) -> tuple[QuerySet[Any], list[str]]:
    """What is still offered within boards that are not, and the ids of those boards."""
    boards = Choice.objects.filter(credentials=credentials, kind="board", vanished_at__isnull=False)
    rows = Choice.objects.filter(credentials=credentials, vanished_at=None).exclude(within="")
    return rows, list(boards.values_list("psa_id", flat=True))


def goings(rows: QuerySet[Any], field_name: str, values: Sequence[str]) -> Iterator[Changes]:
    """Mark those of the rows as gone whose field has one of these values, so many at a time that memory stays small."""
    for start in range(0, len(values), BATCH):
        changes, now = Changes(), clock.now()
        for row in rows.filter(**{f"{field_name}__in": values[start : start + BATCH]}):
            mark_gone(changes, row, now)
        yield changes


# --- Texts of others --------------------------------------------------------------------------------------------------


def name_of(option: Option) -> str:
    """Something to show in every case."""
    return cleaned(option.name).strip()[:NAME_LENGTH] or f"(no name, id {option.id})"


def data_of(option: Option) -> dict[str, Any]:
    data: dict[str, Any] = storable(option.data)
    return data


def digest_of(name: str, data: dict[str, Any]) -> str:
    text = json.dumps([name, data], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def storable(value: Any) -> Any:
    """The same without what no database takes."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, Mapping):
        return {cleaned(str(key)): storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [storable(one) for one in value]
    return value


def cleaned(text: str) -> str:
    """Without NUL characters and halves of surrogate pairs."""
    if text.isascii():
        return text.replace("\x00", "")
    return text.replace("\x00", "").encode(errors="ignore").decode()
