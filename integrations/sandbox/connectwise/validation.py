"""Is what a client sent fit to be stored? Bodies are checked against a shape, converted, references looked up.

The server coerces as the real one does for its clients: numbers and flags may come as strings, an empty string clears
a field. Date-times with fractions are refused (ConnectWise REST 2026.4, section "Updating" of the developer guide).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid, missing, not_found_in, too_long
from integrations.sandbox.connectwise.kinds import KINDS
from integrations.sandbox.connectwise.shapes import Field, Shape
from integrations.sandbox.connectwise.store import Record, Store

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Unfit(ValueError):
    """One value cannot be stored; carries the error object for the answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


@dataclass(slots=True)
class Checking:
    """One body against one shape. Collects every mistake, so that the answer names all of them.

    `as_server` lets fields be set that only the server sets, for the technician of the control door.
    """

    store: Store
    shape: Shape
    before: Record | None
    as_server: bool = False
    values: Record = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def take(self, given: Mapping[str, Any]) -> None:
        known = [(one, given[name]) for name, one in self.shape.fields.items() if name in given]
        for one, raw in sorted(known, key=lambda pair: pair[0].within is not None):
            if one.name == "id" or (one.by_server and not self.as_server):
                continue
            try:
                self.values[one.name] = self._converted(one, raw)
            except Unfit as problem:
                self.errors.append(problem.error)

    def finish(self, *, creating: bool) -> Record:
        """The whole record as it will be, without the fields that are never returned; raises `Refused`."""
        merged = {**(self.before or {}), **self.values}
        failed = {error["field"].partition("/")[0] for error in self.errors}
        for one in self.shape.fields.values():
            asked = creating or one.name in self.values
            if one.required and asked and merged.get(one.name) is None and one.name not in failed:
                self.errors.append(missing(self.shape.resource, one.name))
        if self.errors:
            raise invalid(self.shape.resource, self.errors)
        hidden = {one.name for one in self.shape.fields.values() if one.not_returned}
        return {name: value for name, value in merged.items() if value is not None and name not in hidden}

    def _converted(self, one: Field, raw: Any) -> Any:
        if raw is None or raw == "":
            return None
        if one.kind == "reference":
            return self._reference(one, raw)
        if one.kind == "text":
            return self._text(one, raw)
        if one.kind == "choice":
            return self._choice(one, raw)
        return _CONVERT.get(one.kind, _as_it_is)(raw, self.shape.resource, one.name)

    def _text(self, one: Field, raw: Any) -> str:
        if isinstance(raw, (dict, list)):
            raise self._wrong(one, "a string")
        text = raw if isinstance(raw, str) else str(raw)
        if one.longest is not None and len(text) > one.longest:
            raise Unfit(too_long(self.shape.resource, one.name, one.longest))
        return text

    def _choice(self, one: Field, raw: Any) -> str:
        for choice in one.choices:
            if isinstance(raw, str) and raw.lower() == choice.lower():
                return choice
        raise self._wrong(one, "one of " + ", ".join(one.choices))

    def _reference(self, one: Field, raw: Any) -> Record | None:
        if not isinstance(raw, dict):
            raise self._wrong(one, "a reference")
        if raw.get("id") in (None, "", 0) and not any(raw.get(name) for name in ("identifier", "name")):
            return None
        if one.table is None:
            return {name: value for name, value in raw.items() if not isinstance(value, (dict, list))}
        row_id = self._row_id(one, one.table, raw)
        return self.store.reference(one.table, row_id)

    def _row_id(self, one: Field, table: str, raw: Record) -> int:
        parent = self._parent_id(one)
        key = next(name for name in ("id", "identifier", "name") if raw.get(name) not in (None, "", 0))
        wanted = str(raw[key]).casefold()
        if key == "id":
            found = self.store.get(table, int(wanted)) if wanted.isdigit() else None
            rows = [found] if found else []
        else:
            rows = list(self.store.under(table, parent) if parent is not None else self.store.all(table))
        for row in rows:
            named = self.store.reference(table, row["id"]) if key == "name" else row
            if str(named.get(key)).casefold() == wanted and self._belongs(table, row, parent):
                found_id: int = row["id"]
                return found_id
        raise Unfit(
            not_found_in(
                self.shape.resource, f"{one.name}/{key}", self._unknown(one, table, raw[key], parent)
            )
        )

    def _belongs(self, table: str, row: Record, parent: int | None) -> bool:
        return parent is None or self.store.table(table).parent_of(row) == parent

    def _parent_id(self, one: Field) -> int | None:
        """The id that `board` has, for a status: as sent now, else as it was."""
        if one.within is None:
            return None
        parent = {**(self.before or {}), **self.values}.get(one.within)
        return parent.get("id") if isinstance(parent, dict) else None

    def _unknown(self, one: Field, table: str, value: Any, parent: int | None) -> str:
        shown = KINDS[table].shown_as or KINDS[table].journal.capitalize()
        if parent is None or one.within is None:
            return f"{shown} {value} not found"
        around = "Service Board" if one.within == "board" else one.within.capitalize()
        return f"{shown} {value} not found for {around} {parent}"

    def _wrong(self, one: Field, wanted: str) -> Unfit:
        return Unfit(_wrong_value(self.shape.resource, one.name, wanted))


def _wrong_value(resource: str, name: str, wanted: str) -> dict[str, Any]:
    return field_error("InvalidField", f"The field {name} must be {wanted}.", resource, name)


def _as_it_is(raw: Any, resource: str, name: str) -> Any:
    return raw


def _integer(raw: Any, resource: str, name: str) -> int:
    number = _number(raw, resource, name)
    if number != int(number):
        raise Unfit(_wrong_value(resource, name, "a whole number"))
    return int(number)


def _number(raw: Any, resource: str, name: str) -> float:
    if isinstance(raw, (str, int, float)) and not isinstance(raw, bool):
        try:
            number = float(raw)
        except ValueError:
            number = float("nan")
        if abs(number) < 1e15:
            return number
    raise Unfit(_wrong_value(resource, name, "a number"))


def _flag(raw: Any, resource: str, name: str) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    raise Unfit(_wrong_value(resource, name, "true or false"))


def _date(raw: Any, resource: str, name: str) -> str:
    if isinstance(raw, str) and _DATE_TIME.fullmatch(raw):
        try:
            datetime.fromisoformat(raw)
        except ValueError:
            pass
        else:
            return raw
    message = f"The field {name} must be a date-time like yyyy-MM-ddTHH:mm:ssZ."
    raise Unfit(field_error("UnsupportedFormat", message, resource, name))


def _list(raw: Any, resource: str, name: str) -> list[Any]:
    if not isinstance(raw, list):
        raise Unfit(_wrong_value(resource, name, "an array"))
    return raw


_CONVERT: dict[str, Callable[[Any, str, str], Any]] = {
    "int": _integer,
    "number": _number,
    "bool": _flag,
    "date": _date,
    "list": _list,
}
