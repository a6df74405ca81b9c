"""What differs between a PSA's list and our copy, and the writing of it (asked by reloading).

Rows are found again by the PSA's id: a rename changes the name, what is gone is marked and never deleted. Unchanged
rows are not written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from integrations.models import Choice, CompanyLink, Credentials
from integrations.psa.port import Option
from portal import clock, database

NAME_LENGTH = 300
ID_LENGTH = 50
BATCH = 1000


@dataclass(frozen=True)
class Difference:
    """One thing that changed, as people are told: `what` is added, renamed, gone or back."""

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

    def __bool__(self) -> bool:
        return bool(self.added or self.changed)


def compare(credentials: Credentials, kind: str, within: str, options: Sequence[Option]) -> Changes:
    """Options of one list beside our rows of the same ids. One query; writes nothing."""
    wanted = {option.id: option for option in options if 0 < len(option.id) <= ID_LENGTH}
    known = {row.psa_id: row for row in rows_of(credentials, kind, within).filter(psa_id__in=wanted)}
    changes, now = Changes(), clock.now()
    for psa_id, option in wanted.items():
        row = known.get(psa_id)
        if option.data.get("inactive") is True:
            if row is not None and row.vanished_at is None:
                mark_gone(changes, row, now)
        elif row is None:
            add(changes, credentials, within, option, now)
        else:
            follow(changes, row, option, now)
    return changes


def rows_of(credentials: Credentials, kind: str, within: str) -> QuerySet[Any]:
    """All rows of one list, also those that have vanished."""
    rows: QuerySet[Any] = Choice.objects.filter(credentials=credentials, kind=kind, within=within)
    return rows


def add(changes: Changes, credentials: Credentials, within: str, option: Option, now: datetime) -> None:
    row = Choice(
        partner_id=credentials.partner_id,
        credentials=credentials,
        kind=option.kind,
        within=within,
        psa_id=option.id,
        name=name_of(option),
        data=storable(dict(option.data)),
        changed_at=now,
    )
    changes.added.append(row)
    changes.differences.append(Difference("added", row.kind, row.name))


def follow(changes: Changes, row: Choice, option: Option, now: datetime) -> None:
    """Take over name and data where they differ."""
    name, data = name_of(option), storable(dict(option.data))
    if (row.name, row.data, row.vanished_at) == (name, data, None):
        return
    if row.vanished_at is not None:
        changes.differences.append(Difference("back", row.kind, name))
    if row.name != name:
        changes.differences.append(Difference("renamed", row.kind, name, before=row.name))
    row.name, row.data, row.vanished_at, row.changed_at = name, data, None, now
    changes.changed.append(row)


def mark_gone(changes: Changes, row: Choice, now: datetime) -> None:
    row.vanished_at = row.changed_at = now
    changes.changed.append(row)
    changes.differences.append(Difference("gone", row.kind, row.name))


def write(changes: Changes) -> None:
    """A handful of statements, however many rows. Company links follow a renamed company."""
    database.insert_new(changes.added)
    database.save_all(changes.changed, ["name", "data", "vanished_at", "changed_at"])
    rename_links([row for row in changes.changed if row.kind == "company" and row.vanished_at is None])


def rename_links(companies: Sequence[Choice]) -> None:
    if not companies:
        return
    names = {row.psa_id: row.name for row in companies}
    links = CompanyLink.objects.filter(credentials=companies[0].credentials, psa_company_id__in=names)
    stale = [link for link in links if link.psa_company_name != names[link.psa_company_id]]
    for link in stale:
        link.psa_company_name = names[link.psa_company_id]
    database.save_all(stale, ["psa_company_name"])


# --- What is missing after a list was read from end to end ------------------------------------------------------------


def missing(credentials: Credentials, kind: str, within: str, seen: Collection[str]) -> tuple[list[Any], int]:
    """Keys of the rows that the PSA did not name any more, and how many rows were offered so far."""
    offered = rows_of(credentials, kind, within).filter(vanished_at=None).values_list("pk", "psa_id")
    gone, count = [], 0
    for key, psa_id in offered.iterator(chunk_size=BATCH):
        count += 1
        if psa_id not in seen:
            gone.append(key)
    return gone, count


def of_boards_gone(credentials: Credentials) -> list[Any]:
    """Keys of what is still offered within boards that are not."""
    boards = Choice.objects.filter(credentials=credentials, kind="board", vanished_at__isnull=False)
    rows = Choice.objects.filter(credentials=credentials, vanished_at=None).exclude(within="")
    return list(rows.filter(within__in=boards.values("psa_id")).values_list("pk", flat=True))


def goings(keys: Sequence[Any]) -> Iterator[Changes]:
    """Mark these rows as gone, so many at a time that memory stays small."""
    for start in range(0, len(keys), BATCH):
        changes, now = Changes(), clock.now()
        for row in Choice.objects.filter(pk__in=keys[start : start + BATCH], vanished_at=None):
            mark_gone(changes, row, now)
        yield changes


# --- Texts of others --------------------------------------------------------------------------------------------------


def name_of(option: Option) -> str:
    """Something to show in every case."""
    return cleaned(option.name).strip()[:NAME_LENGTH] or f"(no name, id {option.id})"


def storable(value: Any) -> Any:
    """The same without what no database takes."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, dict):
        return {cleaned(str(key)): storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [storable(one) for one in value]
    return value


def cleaned(text: str) -> str:
    """Without NUL characters and halves of surrogate pairs."""
    if text.isascii():
        return text.replace("\x00", "")
    return text.replace("\x00", "").encode(errors="ignore").decode()
