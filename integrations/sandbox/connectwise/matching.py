"""Which records does a condition mean? The tree of `conditions` becomes a test of one record, checked against the
fields and kinds the record has, and a set of candidate ids where an index can give one.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import ge, gt, le, lt
from typing import Any

from integrations.sandbox.connectwise.conditions import (
    BadConditions,
    Both,
    Comparison,
    Either,
    Moment,
    Node,
    Value,
    parsed,
)
from integrations.sandbox.connectwise.shapes import Shape
from integrations.sandbox.connectwise.store import Record, Table
from integrations.sandbox.index import Index

Test = Callable[[Record], bool]
_INFO = {"lastupdated": "lastUpdated", "updatedby": "updatedBy", "dateentered": "dateEntered"}
_INFO["enteredby"] = "enteredBy"
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, slots=True)
class Comparing:
    """How texts compare. SQL Server ignores case; that ConnectWise does too is unsure, so both are switches."""

    case_sensitive: bool = False
    escapes: bool = False
    underscore_is_wildcard: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """Where in a record a path points, and what lies there."""

    keys: tuple[str, ...]
    kind: str

    def values(self, record: Record) -> list[Any]:
        """Usually one; several when the path leads through a list."""
        found: list[Any] = [record]
        for key in self.keys:
            found = [one.get(key) for one in found if isinstance(one, dict)]
            found = [each for one in found for each in (one if isinstance(one, list) else [one])]
        return found or [None]


def column(shape: Shape, path: str) -> Column:
    """The column of `status/id` or `_info/lastUpdated`; `lastUpdated` alone is known too (developer guide)."""
    first, *rest = path.split("/")
    by_lower = {name.lower(): field for name, field in shape.fields.items()}
    field = by_lower.get(first.lower())
    if field is None:
        name = _INFO.get((rest[0] if first.lower() == "_info" and rest else first).lower())
        if name is None:
            raise BadConditions(f"{shape.resource} has no field {path!r}")
        return Column(("_info", name), "date" if name in ("lastUpdated", "dateEntered") else "text")
    if not rest:
        kind = "text" if field.kind == "choice" else field.kind
        return Column((field.name,), kind)
    if (
        field.kind not in ("reference", "list")
        or len(rest) > 2
        or (field.kind == "reference" and len(rest) > 1)
    ):
        raise BadConditions(f"{shape.resource} has no field {path!r}")
    name = "Sort" if field.name == "status" and rest[0].lower() == "sort" else rest[0]
    if field.kind == "list":
        return Column((field.name, *rest), "any")
    return Column((field.name, name), "int" if name.lower() in ("id", "sort") else "text")


def condition_test(text: str, shape: Shape, how: Comparing) -> tuple[Node, Test]:
    """The condition and the test it amounts to; raises `BadConditions`."""
    node = parsed(text, escapes=how.escapes)
    return node, _test(node, shape, how)


def candidates(node: Node, table: Table) -> Iterable[int] | None:
    """Ids that are enough to look at, or None when every row has to be."""
    if isinstance(node, Both):
        found = [ids for part in node.parts if (ids := candidates(part, table)) is not None]
        return min(found, key=lambda ids: len(list(ids))) if found else None
    if isinstance(node, Either):
        parts = [candidates(part, table) for part in node.parts]
        return None if None in parts else {row_id for ids in parts if ids is not None for row_id in ids}
    return _candidates_of(node, table)


def _candidates_of(node: Comparison, table: Table) -> Iterable[int] | None:
    if node.negated:
        return None
    path = node.path.lower()
    if path == "id" and node.operator in ("=", "in"):
        values = node.value if isinstance(node.value, tuple) else (node.value,)
        return [value for value in values if isinstance(value, int)]
    index = _index_of(path, table)
    if index is None:
        return None
    if node.operator in ("=", "in"):
        values = node.value if isinstance(node.value, tuple) else (node.value,)
        if None in values:
            return None
        return {row_id for value in values for row_id in index.equal(_as_stored(value))}
    if node.operator in (">", ">=") and isinstance(node.value, Moment):
        return index.since(node.value.text)
    if node.operator != "like" or not isinstance(node.value, str):
        return None
    prefix = re.split(r"[%*_\[]", node.value)[0]
    return index.beginning(prefix) if prefix else None


def _index_of(path: str, table: Table) -> Index | None:
    """`lastUpdated` is known without its `_info` too."""
    for known, index in table.indexes.items():
        if path in (known.lower(), known.lower().removeprefix("_info/")):
            return index
    return None


def _as_stored(value: Value) -> Any:
    """Records keep their date-times with a Z."""
    return f"{value.text}Z" if isinstance(value, Moment) else value


def _test(node: Node, shape: Shape, how: Comparing) -> Test:
    if isinstance(node, Comparison):
        return _comparison(node, column(shape, node.path), how)
    tests = [_test(part, shape, how) for part in node.parts]
    if isinstance(node, Both):
        return lambda record: all(test(record) for test in tests)
    return lambda record: any(test(record) for test in tests)


def _comparison(node: Comparison, where: Column, how: Comparing) -> Test:
    for value in node.value if isinstance(node.value, tuple) else (node.value,):
        _check_kind(node, where, value)
    accepts = _accepts(node, how)
    wants = not node.negated
    if len(where.keys) == 1 and where.kind != "list":
        key = where.keys[0]
        return lambda record: _known(record.get(key), node) and accepts(record.get(key)) is wants
    return lambda record: any(_known(one, node) and accepts(one) is wants for one in where.values(record))


def _known(value: Any, node: Comparison) -> bool:
    """As in SQL, a field without a value satisfies nothing but a question about null."""
    return value is not None or node.value is None


def _check_kind(node: Comparison, where: Column, value: Value) -> None:
    if value is None:
        if node.operator not in ("=", "!="):
            raise BadConditions(f"{node.path}: null goes with = and != only")
        return
    if where.kind in ("any", "list"):
        return
    if where.kind == "reference":
        raise BadConditions(f"{node.path} is a reference; compare {node.path}/id")
    if node.operator in ("contains", "like") and where.kind != "text":
        raise BadConditions(f"{node.path}: {node.operator} is for text")
    given = _literal_kind(value)
    wanted = {"int": "number", "number": "number", "bool": "boolean", "date": "date-time"}.get(
        where.kind, "string"
    )
    if given != wanted:
        raise BadConditions(f"{node.path}: Expected a {wanted} value, not a {given}")


def _literal_kind(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Moment):
        return "date-time"
    return "string" if isinstance(value, str) else "number"


def _accepts(node: Comparison, how: Comparing) -> Callable[[Any], bool]:
    fold = partial(_comparable, case_sensitive=how.case_sensitive)
    if node.operator == "in":
        values = {fold(value) for value in node.value} if isinstance(node.value, tuple) else set()
        return lambda one: fold(one) in values
    if node.operator == "like":
        pattern = like_pattern(str(node.value), how)
        return lambda one: pattern.fullmatch(str(one)) is not None
    wanted = fold(node.value)
    if node.operator == "contains":
        return lambda one: wanted in fold(str(one))
    if node.operator == "=":
        return lambda one: bool(fold(one) == wanted)
    if node.operator == "!=":
        return lambda one: bool(fold(one) != wanted)
    return partial(_ordered, _ORDERS[node.operator], fold, wanted)


def _ordered(compare: Callable[[Any, Any], bool], fold: Callable[[Any], Any], wanted: Any, one: Any) -> bool:
    try:
        return compare(fold(one), wanted)
    except TypeError:
        return False


def _comparable(value: Any, *, case_sensitive: bool) -> Any:
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, str):
        if value.endswith("Z") and len(value) == 20 and value[10] == "T":
            return value[:-1]
        return value if case_sensitive else value.casefold()
    return value


def like_pattern(text: str, how: Comparing) -> re.Pattern[str]:
    """`%` and `*` stand for anything, `[ab]` for one of those characters."""
    parts = []
    for piece in re.findall(r"\[[^\]]+\]|.", text, re.DOTALL):
        if piece in ("%", "*"):
            parts.append(".*")
        elif piece == "_" and how.underscore_is_wildcard:
            parts.append(".")
        elif len(piece) > 1:
            parts.append(_one_of(piece[1:-1]))
        else:
            parts.append(re.escape(piece))
    flags = re.DOTALL if how.case_sensitive else re.DOTALL | re.IGNORECASE
    return re.compile("".join(parts), flags)


def _one_of(characters: str) -> str:
    negated = characters.startswith("^") and len(characters) > 1
    inside = re.sub(r"([\\\[\]^])", r"\\\1", characters[1:] if negated else characters)
    try:
        re.compile(f"[{inside}]")
    except re.error:
        inside = re.escape(characters)
    return f"[{'^' if negated else ''}{inside}]"
