"""The rows of the pretend ConnectWise: in memory, by table and id, with what makes looking things up fast.

A stored record is never changed in place: writers put a new dict, so readers may serialize one after the lock is
gone, and records may share the small dicts that refer to others (50,000 tickets would weigh three times as much).
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integrations.sandbox.connectwise.kinds import BASE, KINDS, Kind
from integrations.sandbox.index import Index
from integrations.sandbox.statefile import Line, StateFile

Record = dict[str, Any]
SNAPSHOT_ROWS = 1000


def public(record: Record) -> Record:
    """The record without the fields that only the pretend PSA knows of."""
    return {name: value for name, value in record.items() if name == "_info" or not name.startswith("_")}


class Table:
    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self.kind = kind
        self.rows: dict[int, Record] = {}
        self.ids: list[int] = []
        self.next_id = kind.first_id
        self.indexes = {path: Index() for path in kind.indexed}
        self._by_parent: dict[int, dict[int, None]] = {}

    def put(self, record: Record) -> None:
        row_id: int = record["id"]
        before = self.rows.get(row_id)
        if before is not None:
            self._unlist(before)
        elif row_id >= self.next_id:
            self.ids.append(row_id)
        else:
            insort(self.ids, row_id)
        self.rows[row_id] = record
        self.next_id = max(self.next_id, row_id + 1)
        if (parent := self.parent_of(record)) is not None:
            self._by_parent.setdefault(parent, {})[row_id] = None
        self._index(row_id, before or {}, record)

    def delete(self, row_id: int) -> None:
        if record := self.rows.pop(row_id, None):
            self._unlist(record)
            self._index(row_id, record, {})
            del self.ids[bisect_left(self.ids, row_id)]

    def after(self, row_id: int) -> Iterator[Record]:
        """Rows with a greater id, in the order of their ids."""
        for later in self.ids[bisect_right(self.ids, row_id) :]:
            yield self.rows[later]

    def under(self, parent_id: int) -> list[Record]:
        return [self.rows[row_id] for row_id in sorted(self._by_parent.get(parent_id, ()))]

    def parent_of(self, record: Record) -> int | None:
        value = _at(record, self.kind.parent) if self.kind.parent else None
        return value if isinstance(value, int) else None

    def _unlist(self, record: Record) -> None:
        if (parent := self.parent_of(record)) is not None:
            self._by_parent.get(parent, {}).pop(record["id"], None)

    def _index(self, row_id: int, before: Record, after: Record) -> None:
        for path, index in self.indexes.items():
            old, new = _at(before, path), _at(after, path)
            if old == new:
                continue
            if old is not None:
                index.remove(old, row_id)
            if new is not None:
                index.add(new, row_id)


def _at(record: Record, path: str) -> Any:
    """The value at `company/id`."""
    field, _, rest = path.partition("/")
    value = record.get(field)
    if rest:
        return value.get(rest) if isinstance(value, dict) else None
    return value


class Store:
    """All tables, the journal of creations and, when asked, the file that keeps both. Hold `lock` around use."""

    def __init__(self, state: Path | None = None) -> None:
        self.lock = threading.RLock()
        self._file = StateFile(state) if state else None
        self._changes: list[Any] = []
        self.tell: Callable[[list[Any]], None] = lambda changes: None
        self.settings: Record = {}
        self.clear()

    def table(self, name: str) -> Table:
        return self._tables[name]

    def get(self, table: str, row_id: int) -> Record | None:
        return self._tables[table].rows.get(row_id)

    def all(self, table: str) -> Iterable[Record]:
        return self._tables[table].rows.values()

    def under(self, table: str, parent_id: int) -> list[Record]:
        return self._tables[table].under(parent_id)

    def new_id(self, table: str) -> int:
        found = self._tables[table].next_id
        self._tables[table].next_id += 1
        return found

    def put(self, table: str, record: Record) -> Record:
        self._tables[table].put(record)
        self._references.pop((table, record["id"]), None)
        self._changes.append(["put", table, record])
        return record

    def delete(self, table: str, row_id: int) -> None:
        self._tables[table].delete(row_id)
        self._references.pop((table, row_id), None)
        self._changes.append(["delete", table, row_id])

    def set_settings(self, settings: Record) -> None:
        self.settings = settings
        self._changes.append(["settings", "", settings])

    def created(self, table: str, record: Record, *, request: int | None, at: datetime) -> None:
        """Write a creation into the journal, which tells tests what the PSA really committed."""
        line = {"kind": KINDS[table].journal, "id": record["id"], "externalXRef": record.get("externalXRef")}
        line |= {"time": at.astimezone(UTC).isoformat(), "request": request}
        self.journal.append(line)
        self._changes.append(["journal", "", line])

    def commit(self) -> bool:
        """Keep what was put since the last commit; True when there was anything."""
        changes, self._changes = self._changes, []
        if changes and self._file:
            self._file.append({"changes": changes})
        if changes:
            self.tell(changes)
        return bool(changes)

    def reference(self, table: str, row_id: int) -> Record:
        """`{id, name, ..., _info}` for a row that exists; one dict for everyone who refers to it."""
        key = (table, row_id)
        if key not in self._references:
            self._references[key] = self._reference(self._tables[table], self._tables[table].rows[row_id])
        return self._references[key]

    def load(self) -> bool:
        """Take over what the state file holds; False when there is none yet."""
        found = False
        for line in self._file.lines() if self._file else ():
            found = True
            self._replay(line)
        self._changes = []
        if found:
            self.rewrite()
        return found

    def rewrite(self) -> None:
        """Write the state file anew from what is in memory."""
        self._changes = []
        if self._file:
            self._file.rewrite(self._snapshot())

    def close(self) -> None:
        if self._file:
            self._file.close()

    def clear(self) -> None:
        """Forget all rows; the state file is left to `rewrite`."""
        self._tables = {name: Table(name, kind) for name, kind in KINDS.items()}
        self._references: dict[tuple[str, int], Record] = {}
        self._changes = []
        self.settings = {}
        self.journal: list[Record] = []

    def _reference(self, table: Table, record: Record) -> Record:
        found: Record = {"id": record["id"]}
        found |= {name: record[name] for name in table.kind.label if name in record}
        if table.name in ("contacts", "members"):
            found["name"] = f"{record.get('firstName', '')} {record.get('lastName', '')}".strip()
        elif table.name == "statuses":
            found["Sort"] = record.get("sortOrder", 0)
        elif table.name == "priorities":
            found["sort"] = record.get("sortOrder", 0)
        elif table.name == "solutions":
            found["setupName"] = record.get("managementSolutionName") or record["name"]
        elif table.name in ("communicationTypes", "configurationStatuses"):
            found["name"] = record["description"]
        elif table.name == "agreements":
            found["type"] = record["type"].get("name")
        href = table.kind.href.format(id=record["id"], parent=table.parent_of(record))
        found["_info"] = {f"{table.kind.info or table.kind.journal}_href": BASE + href}
        return found

    def _replay(self, line: Line) -> None:
        for verb, table, value in line["changes"]:
            if table and table not in self._tables:  # a file of a version that had another table
                continue
            if verb == "put":
                self._tables[table].put(value)
            elif verb == "delete":
                self._tables[table].delete(value)
            elif verb == "journal":
                self.journal.append(value)
            elif verb == "next":
                self._tables[table].next_id = value
            else:
                self.settings = value

    def _snapshot(self) -> Iterator[Line]:
        changes: list[Any] = [["settings", "", self.settings]]
        for name, table in self._tables.items():
            for record in table.after(0):
                changes.append(["put", name, record])
                if len(changes) >= SNAPSHOT_ROWS:
                    yield {"changes": changes}
                    changes = []
            changes.append(["next", name, table.next_id])
        changes += [["journal", "", line] for line in self.journal]
        yield {"changes": changes}
