"""Is what a client sent fit to be stored? Bodies are checked against a shape, converted, references looked up.

Field names come in any case; unknown and read-only ones are passed over in silence, as the real service does
(Autotask REST v1.0, updates). Every mistake is collected, so that the answer names all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from integrations.sandbox.autotask import udfs
from integrations.sandbox.autotask.answers import (
    Refused,
    missing,
    no_such_choice,
    no_such_reference,
    too_long,
)
from integrations.sandbox.autotask.desk import MIDNIGHT, Desk, stored_time
from integrations.sandbox.autotask.fields import Field, Shape
from integrations.sandbox.autotask.picklists import find_value
from integrations.sandbox.autotask.shapes import SHAPES
from integrations.sandbox.autotask.store import Record

_LARGEST = {"int": 2**31 - 1, "pick": 2**31 - 1, "long": 2**63 - 1, "reference": 2**63 - 1}
_TYPES = {"int": "Int32", "pick": "Int32", "long": "Int64", "reference": "Int64", "bool": "Boolean"}


class Unfit(ValueError):
    """One value cannot be stored; the text says why."""


@dataclass(slots=True)
class Checking:
    """One body against one shape; `before` is the record it changes."""

    desk: Desk
    shape: Shape
    before: Record | None
    values: Record = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def take(self, given: Mapping[str, Any]) -> None:
        known = [(one, raw) for name, raw in given.items() if (one := self.shape.by_lower.get(name.lower()))]
        for one, raw in sorted(known, key=lambda pair: pair[0].parent is not None):
            if not self._ignores(one):
                self._take_one(one, raw)
        raw_udfs = next((raw for name, raw in given.items() if name.lower() == "userdefinedfields"), None)
        if self.shape.has_udfs and raw_udfs is not None:
            self._take_udfs(raw_udfs)

    def fill(self, defaults: Mapping[str, Any]) -> None:
        """Values for what the body left out; they have been checked where they come from."""
        for name, value in defaults.items():
            if value is not None and self.values.get(name) is None:
                self.values[name] = value

    def finish(self) -> Record:
        """The whole record as it will be; raises `Refused`."""
        merged = {**(self.before or {}), **self.values}
        creating = self.before is None
        for one in self.shape.fields.values():
            asked = creating or one.name in self.values
            if one.required and asked and merged.get(one.name) is None:
                self.errors.append(missing(one.name))
        if self.errors:
            suffix = "; on record number [1]." if creating else ""
            raise Refused(*(error + suffix for error in dict.fromkeys(self.errors)))
        return {name: value for name, value in merged.items() if value is not None}

    def _ignores(self, one: Field) -> bool:
        if one.name == "id":
            return True
        if self.desk.is_technician:
            return False
        return one.read_only or (one.fixed and self.before is not None)

    def _take_one(self, one: Field, raw: Any) -> None:
        try:
            self.values[one.name] = self._converted(one, raw)
        except Unfit as problem:
            self.errors.append(str(problem))

    def _take_udfs(self, raw: Any) -> None:
        values, errors = udfs.taken(
            self.desk.store,
            self.shape.entity,
            raw,
            may_see_protected=self.desk.is_technician or self.desk.switches.protected_udfs_visible,
        )
        merged = {**(self.before or {}).get("_udfs", {}), **values}
        self.values["_udfs"] = {name: value for name, value in merged.items() if value is not None}
        self.errors.extend(errors)

    def _converted(self, one: Field, raw: Any) -> Any:
        if raw is None or (raw == "" and one.kind != "text"):
            return None
        value = CONVERT[one.kind](raw, one)
        if one.kind == "pick":
            self._check_choice(one, value)
        elif one.kind == "reference":
            self._check_reference(one, value)
        return value

    def _was(self, one: Field) -> Any:
        return (self.before or {}).get(one.name)

    def _check_choice(self, one: Field, value: int) -> None:
        row = find_value(self.desk.store, one.picklist or "", value)
        if row is None:
            raise Unfit(no_such_choice(value, one.name))
        if value == self._was(one) or self.desk.is_technician:
            return
        if not row["isActive"] and self.desk.switches.inactive_values == "reject":
            raise Unfit(no_such_choice(value, one.name))

    def _check_reference(self, one: Field, value: int) -> None:
        row = self.desk.store.get(one.entity or "", value)
        if row is not None and (value == self._was(one) or self.desk.is_technician):
            return
        inactive = row is not None and row.get("isActive", 1) in (False, 0)
        if row is None or (inactive and self.desk.switches.inactive_references == "reject"):
            raise Unfit(no_such_reference(one.name, SHAPES[one.entity or ""].singular))


def object_of(body: Any) -> Record:
    if not isinstance(body, dict):
        raise Refused("The request body must be an object.")
    return body


def stored_moment(raw: str) -> str:
    """A date-time as it is kept; without a zone it is UTC already."""
    at = datetime.fromisoformat(raw.strip())
    return stored_time(at.replace(tzinfo=UTC) if at.tzinfo is None else at)


def stored_day_of(raw: str) -> str:
    """Cut to its day as written: a time or a zone does not move it."""
    return datetime.fromisoformat(raw.strip()).date().isoformat() + MIDNIGHT


def _text(raw: Any, one: Field) -> str | None:
    if isinstance(raw, (dict, list)):
        raise Unfit(_unexpected(raw, one))
    text = str(raw).lower() if isinstance(raw, bool) else str(raw)
    if one.longest is not None and len(text) > one.longest:
        raise Unfit(too_long(one.name, one.longest))
    return text or None


def _integer(raw: Any, one: Field) -> int:
    number = _number(raw, one)
    if number != int(number) or abs(number) > _LARGEST[one.kind]:
        raise Unfit(f"Input string '{raw}' is not a valid integer. Path '{one.name}'. ")
    return (
        int(raw)
        if isinstance(raw, (int, str)) and not isinstance(raw, bool) and _digits(raw)
        else int(number)
    )


def _digits(raw: Any) -> bool:
    return isinstance(raw, int) or str(raw).strip().lstrip("-").isdigit()


def _number(raw: Any, one: Field) -> float:
    if isinstance(raw, (str, int, float)) and not isinstance(raw, bool):
        try:
            number = float(raw)
        except (ValueError, OverflowError):
            number = float("nan")
        if abs(number) < 1e18:
            return number
    raise Unfit(_unexpected(raw, one))


def _flag(raw: Any, one: Field) -> bool:
    if isinstance(raw, (bool, int)):
        return bool(raw)
    if isinstance(raw, str) and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    raise Unfit(_unexpected(raw, one))


def _date(raw: Any, one: Field) -> str:
    try:
        return stored_moment(raw)
    except (AttributeError, ValueError, OverflowError) as error:
        raise Unfit(f"Could not convert string to DateTime: {raw}. Path '{one.name}'. ") from error


def _day(raw: Any, one: Field) -> str:
    _date(raw, one)
    return stored_day_of(raw)


def _unexpected(raw: Any, one: Field) -> str:
    wanted = _TYPES.get(one.kind, "Decimal" if one.is_number else "String")
    return f"Error converting value \"{raw}\" to type 'System.{wanted}'. Path '{one.name}'. "


CONVERT: dict[str, Callable[[Any, Field], Any]] = {
    "int": _integer,
    "long": _integer,
    "pick": _integer,
    "reference": _integer,
    "double": _number,
    "decimal": _number,
    "bool": _flag,
    "text": _text,
    "date": _date,
    "day": _day,
}
