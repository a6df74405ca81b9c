"""What Autotask says of its own fields: required or not, lengths, picklists (asked before writing and for pickers).

Queues, statuses, priorities, sources and issue types are no records but picklists of the ticket's fields: one call
tells all of them. The ids differ from database to database, so none but the system ones stands in our code.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from integrations.psa.autotask import filters
from integrations.psa.autotask.rest import Rest, Row, id_of, text_of, whole

# Reading it often is a known way to run into the limit of calls at once (seen), and it changes rarely.
KEPT_FOR = 6 * 3600.0
FRESH = 30.0


@dataclass(frozen=True, kw_only=True)
class Value:
    """One entry of a picklist. `parent` is the value of the parent field that it belongs to."""

    id: str
    label: str
    parent: str = ""
    is_active: bool = True
    is_default: bool = False
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    is_required: bool
    is_read_only: bool
    length: int
    values: tuple[Value, ...] | None

    def labelled(self, *labels: str) -> Value | None:
        """The active value with the first of these labels that there is."""
        for label in labels:
            for value in self.values or ():
                if value.is_active and value.label.strip().lower() == label.lower():
                    return value
        return None

    def default(self) -> Value | None:
        return next((value for value in self.values or () if value.is_default and value.is_active), None)


Fields = Mapping[str, Field]
Learned = TypeVar("Learned")


class Cache:
    """Of one connection, for all its threads; whoever finds it empty reads, the others wait for him."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, tuple[float, Any]] = {}

    def get(self, key: str, max_age: float, read: Callable[[], Learned]) -> Learned:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            read_at, kept = self._kept.get(key, (float("-inf"), None))
            if read_at + max_age <= time.monotonic():
                kept = read()
                self._kept[key] = (time.monotonic(), kept)
            learned: Learned = kept
            return learned


class Metadata:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._cache = rest.shared.common(("autotask", "metadata"), Cache)

    def fields(self, entity: str, *, max_age: float = KEPT_FOR) -> Fields:
        """By lower-case name: the case of names differs between Autotask's own pages."""
        return self._cache.get(entity, max_age, lambda: self._read(entity, "fields"))

    def own_fields(self, entity: str, *, max_age: float = KEPT_FOR) -> Fields:
        """User-defined fields, by lower-case name."""
        key = f"{entity} udf"
        return self._cache.get(key, max_age, lambda: self._read(entity, "userDefinedFields"))

    def picklist(self, entity: str, name: str, *, max_age: float = KEPT_FOR) -> tuple[Value, ...]:
        """Its active values in Autotask's order."""
        field = self.fields(entity, max_age=max_age).get(name.lower())
        active = [value for value in (field.values if field else None) or () if value.is_active]
        return tuple(sorted(active, key=lambda value: value.position))

    def category_defaults(self, category: int) -> Mapping[str, str]:
        """What a ticket category fills in by itself, by Autotask's names; nothing when it has no defaults."""

        def read() -> Mapping[str, str]:
            of_category = filters.equals("ticketCategoryID", category)
            rows = self._rest.all("TicketCategoryFieldDefaults", of_category)
            return {
                name: str(value) for row in rows for name, value in row.items() if value not in (None, "")
            }

        return self._cache.get(f"defaults of category {category}", KEPT_FOR, read)

    def _read(self, entity: str, what: str) -> Fields:
        rows = self._rest.ask(entity, f"/{entity}/entityInformation/{what}").get("fields")
        found = [_field(row) for row in rows or () if isinstance(row, dict)] if isinstance(rows, list) else []
        return {field.name.lower(): field for field in found if field.name}


def _field(row: Row) -> Field:
    values = row.get("picklistValues")
    return Field(
        name=text_of(row, "name"),
        is_required=row.get("isRequired") is True,
        is_read_only=row.get("isReadOnly") is True,
        length=whole(row.get("length")),
        values=tuple(_value(value) for value in values if isinstance(value, dict))
        if isinstance(values, list)
        else None,
    )


def _value(row: Mapping[str, Any]) -> Value:
    return Value(
        id=id_of(row, "value") or "",
        label=text_of(row, "label"),
        parent=id_of(row, "parentValue") or "",
        is_active=row.get("isActive") is not False,
        is_default=row.get("isDefaultValue") is True,
        position=whole(row.get("sortOrder")),
    )
