"""The rows of the pretend Autotask: in memory, by entity and id, with what makes looking things up fast.

A stored record is never changed in place: writers put a new dict, so readers may serialize one after the lock is
gone. Fields without a value are not kept (50,000 tickets have some seventy fields each); names that begin with an
underscore are the sandbox's own and never leave it.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integrations.sandbox.index import Index
from integrations.sandbox.statefile import Line, StateFile

Record = dict[str, Any]
SNAPSHOT_ROWS = 1000

FIRST_IDS = {
    "Companies": 201,
    "Contacts": 3001,
    "CompanyLocations": 2001,
    "Tickets": 10001,
    "TicketNotes": 50001,
    "Contracts": 401,
    "ContractServices": 8001,
    "ContractServiceUnits": 90001,
    "ContractServiceBundles": 8501,
    "ContractServiceBundleUnits": 190001,
    "Services": 301,
    "ServiceBundles": 351,
    "Products": 501,
    "ConfigurationItems": 7001,
    "BillingItems": 60001,
    "BillingCodes": 29683401,
    "Resources": 29682901,
    "Roles": 29683436,
    "UserDefinedFieldDefinitions": 29682778,
}
INDEXED: dict[str, tuple[str, ...]] = {
    "Tickets": (
        "externalID",
        "ticketNumber",
        "companyID",
        "lastActivityDate",
        "lastTrackedModificationDateTime",
    ),
    "TicketNotes": ("ticketID", "lastActivityDate"),
    "TicketHistory": ("ticketID",),
    "TicketAdditionalConfigurationItems": ("ticketID",),
    "TicketCategoryFieldDefaults": ("ticketCategoryID",),
    "Companies": ("companyName", "companyNumber", "lastActivityDate"),
    "Contacts": ("companyID", "emailAddress", "externalID"),
    "CompanyLocations": ("companyID",),
    "Contracts": ("companyID", "contractNumber"),
    "ContractServices": ("contractID",),
    "ContractServiceUnits": ("contractServiceID", "contractID"),
    "ContractServiceAdjustments": ("contractID",),
    "ContractServiceBundles": ("contractID",),
    "ContractServiceBundleUnits": ("contractServiceBundleID", "contractID"),
    "ContractServiceBundleAdjustments": ("contractID",),
    "ContractCharges": ("contractID",),
    "TicketCharges": ("ticketID",),
    "ConfigurationItemBillingProductAssociations": ("configurationItemID",),
    "Services": ("name",),
    "BillingItems": ("contractID", "contractServiceID", "contractServicePeriodID"),
    "ConfigurationItems": ("companyID", "serialNumber", "referenceNumber"),
    "ConfigurationItemNotes": ("configurationItemID",),
    "Resources": ("userName",),
    "ResourceRoles": ("resourceID",),
    "ResourceRoleQueues": ("resourceID",),
    "ServiceBundleServices": ("serviceBundleID",),
    "UserDefinedFieldListItems": ("udfFieldId",),
    "picklists": ("of",),
}


class Table:
    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[int, Record] = {}
        self.ids: list[int] = []
        self.next_id = FIRST_IDS.get(name, 1)
        self.indexes = {field: Index() for field in INDEXED.get(name, ())}

    def copy(self) -> "Table":
        twin = Table(self.name)
        twin.rows, twin.ids, twin.next_id = dict(self.rows), list(self.ids), self.next_id
        twin.indexes = {field: index.copy() for field, index in self.indexes.items()}
        return twin

    def put(self, record: Record) -> None:
        row_id: int = record["id"]
        before = self.rows.get(row_id)
        if before is None:
            if row_id >= self.next_id:
                self.ids.append(row_id)
            else:
                insort(self.ids, row_id)
        self.rows[row_id] = record
        self.next_id = max(self.next_id, row_id + 1)
        self._index(row_id, before or {}, record)

    def delete(self, row_id: int) -> None:
        if record := self.rows.pop(row_id, None):
            self._index(row_id, record, {})
            del self.ids[bisect_left(self.ids, row_id)]

    def after(self, row_id: int) -> Iterator[Record]:
        """Rows with a greater id, in the order of their ids."""
        for later in self.ids[bisect_right(self.ids, row_id) :]:
            yield self.rows[later]

    def where(self, field: str, value: Any) -> list[Record]:
        """Rows with this value in an indexed field, in the order of their ids."""
        return [self.rows[row_id] for row_id in sorted(self.indexes[field].equal(value))]

    def _index(self, row_id: int, before: Record, after: Record) -> None:
        for field, index in self.indexes.items():
            old, new = before.get(field), after.get(field)
            if old == new:
                continue
            if old is not None:
                index.remove(old, row_id)
            if new is not None:
                index.add(new, row_id)


Tables = dict[str, Table]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a row, for whoever subscribed to it."""

    entity: str
    action: str
    before: Record
    after: Record
    person: int


class Store:
    """All tables, counters, the journal and, when asked, the file that keeps them. Hold `lock` around use."""

    def __init__(self, state: Path | None = None) -> None:
        self.lock = threading.RLock()
        self._file = StateFile(state) if state else None
        self._changes: list[Any] = []
        self.settings: Record = {}
        self.clear()

    def table(self, name: str) -> Table:
        found = self._tables.get(name)
        if found is None:
            found = self._tables[name] = Table(name)
        return found

    def get(self, table: str, row_id: int) -> Record | None:
        return self.table(table).rows.get(row_id)

    def all(self, table: str) -> Iterable[Record]:
        return self.table(table).rows.values()

    def where(self, table: str, field: str, value: Any) -> list[Record]:
        return self.table(table).where(field, value)

    def new_id(self, table: str) -> int:
        kept = self.table(table)
        kept.next_id += 1
        return kept.next_id - 1

    def count(self, name: str) -> int:
        """The next number of a counter, from 1."""
        self._counters[name] = self._counters.get(name, 0) + 1
        self._changes.append(["count", name, self._counters[name]])
        return self._counters[name]

    def put(self, table: str, record: Record) -> Record:
        kept = {name: value for name, value in record.items() if value is not None}
        self.table(table).put(kept)
        self._changes.append(["put", table, kept])
        return kept

    def delete(self, table: str, row_id: int) -> None:
        self.table(table).delete(row_id)
        self._changes.append(["delete", table, row_id])

    def set_settings(self, settings: Record) -> None:
        self.settings = settings
        self._changes.append(["settings", "", settings])

    def log(self, kind: str, record: Record, *, request: int | None, at: datetime) -> None:
        """Write a creation into the journal, which tells tests what the PSA really committed."""
        line = {"kind": kind, "id": record["id"], "externalID": record.get("externalID")}
        line |= {"time": at.astimezone(UTC).isoformat(), "request": request}
        if kind == "adjustment":
            names = ("contractID", "contractServiceID", "serviceID", "unitChange", "effectiveDate")
            line |= {name: record.get(name) for name in names}
        self.journal.append(line)
        self._changes.append(["journal", "", line])

    def commit(self) -> bool:
        """Keep what was put since the last commit; True when there was anything."""
        changes, self._changes = self._changes, []
        if changes and self._file:
            self._file.append({"changes": changes})
        return bool(changes)

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

    def copied_tables(self) -> Tables:
        return {name: table.copy() for name, table in self._tables.items()}

    def clear(self, tables: Tables | None = None) -> None:
        """Forget all rows; the state file is left to `rewrite`. Or begin with these tables, which are copied."""
        self._tables: Tables = {name: table.copy() for name, table in (tables or {}).items()}
        self._counters: dict[str, int] = {}
        self._changes = []
        self.settings = {}
        self.journal: list[Record] = []
        self.events: list[Event] = []

    def _replay(self, line: Line) -> None:
        for verb, name, value in line["changes"]:
            if verb == "put":
                self.table(name).put(value)
            elif verb == "delete":
                self.table(name).delete(value)
            elif verb == "journal":
                self.journal.append(value)
            elif verb == "count":
                self._counters[name] = value
            elif verb == "next":
                self.table(name).next_id = value
            else:
                self.settings = value

    def _snapshot(self) -> Iterator[Line]:
        changes: list[Any] = [["settings", "", self.settings]]
        for name, table in self._tables.items():
            for record in table.after(-1):
                changes.append(["put", name, record])
                if len(changes) >= SNAPSHOT_ROWS:
                    yield {"changes": changes}
                    changes = []
            changes.append(["next", name, table.next_id])
        changes += [["count", name, number] for name, number in self._counters.items()]
        changes += [["journal", "", line] for line in self.journal]
        yield {"changes": changes}
