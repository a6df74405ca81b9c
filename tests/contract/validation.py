"""Does one request and its answer agree with what the vendor documents? (asked by the recorder for every pair)"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

SHAPES = Path(__file__).parent / "shapes"
ROOTS = {
    "connectwise": re.compile(r"/v\d+_\w+/apis/3\.0(?=/)"),
    "autotask": re.compile(r"/ATServicesRest", re.I),
}
CONDITION_FIELDS = re.compile(r"([A-Za-z_]+(?:/[A-Za-z]+)*)\s*(?:!=|>=|<=|=|>|<|\blike\b|\bin\b)")
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]")

COMPARISONS = ("eq", "noteq", "gt", "gte", "lt", "lte", "beginswith", "endswith", "contains")
OPERATORS = frozenset((*COMPARISONS, "exist", "notexist", "in", "notin", "and", "or"))

Problems = Iterator[str]
Shape = Mapping[str, Any]


@lru_cache
def documented(kind: str) -> Document:
    return Document(kind, json.loads((SHAPES / f"{kind}.json").read_text()))


class Document:
    """What a vendor says of the operations that we use."""

    def __init__(self, kind: str, told: Mapping[str, Any]) -> None:
        self.kind = kind
        self._objects = told["objects"]
        self._refusal = told["refusal"]
        self._filterable = told.get("filterable", [])
        self._operations = [(_pattern(name), name, shape) for name, shape in told["operations"].items()]

    def problems(
        self, method: str, target: str, body: bytes, status: int, answer: bytes
    ) -> tuple[str, list[str]]:
        """The operation it is, and everything in which request and answer differ from its description."""
        path, _, query = target.partition("?")
        path = ROOTS[self.kind].sub("", path, count=1)
        if (
            self.kind == "autotask"
        ):  # the URL of a next page is Autotask's own affair (documented in words only)
            path = re.sub(r"/query/next.*", "/query", path, flags=re.IGNORECASE)
        match = next((row for row in self._operations if row[0].fullmatch(f"{method} {path}")), None)
        if match is None:
            return f"{method} {path}", [f"{method} {path} is not among the operations"]
        _, name, shape = match
        sent = json.loads(body) if body else None
        found = [
            *self._query_problems(shape, query),
            *self._request_problems(name, shape, sent),
            *self._answer_problems(shape, status, answer, is_part=_is_part(query, sent)),
        ]
        return name, [f"{name}: {problem}" for problem in found]

    # --- The request

    def _query_problems(self, shape: Shape, query: str) -> Problems:
        given = dict(parse_qsl(query, keep_blank_values=True))
        known = {name.lower() for name in shape["query"]}
        for name in given:
            if known and name.lower() not in known and self.kind == "connectwise":
                yield f"there is no query parameter {name}"
        row = self._row(shape)
        if self.kind != "connectwise" or row is None:
            return
        conditions = QUOTED.sub("", given.get("conditions", ""))
        filtered = [name for name in CONDITION_FIELDS.findall(conditions) if name not in self._filterable]
        asked = [*filtered, *filter(None, given.get("fields", "").split(","))]
        for field in asked:
            if self._field(row, field) is None:
                yield f"there is no field {field} to ask for"

    def _request_problems(self, name: str, shape: Shape, sent: Any) -> Problems:
        wanted = shape["body"]
        if wanted is None:
            if sent is not None:
                yield "it takes no body"
            return
        if sent is None:
            yield "it needs a body"
        elif name.startswith("PATCH") and self.kind == "connectwise":
            yield from self._patch_problems(shape, sent)
        elif name.endswith("/query"):
            yield from self._value_problems(wanted, sent, "body")
            yield from self._filter_problems(shape, sent)
        else:
            needs_all = not name.startswith("PATCH")
            yield from self._value_problems(wanted, sent, "body", is_sent=True, is_part=not needs_all)

    def _patch_problems(self, shape: Shape, sent: Any) -> Problems:
        row = self._row(shape) or {}
        for change in sent if isinstance(sent, list) else [None]:
            if not isinstance(change, dict) or set(change) != {"op", "path", "value"}:
                yield f"{change} is no patch operation"
                continue
            if change["op"] not in ("add", "replace", "remove"):
                yield f"there is no patch operation {change['op']}"
            field = self._field(row, change["path"])
            if field is None or change["path"] in self._objects[row["object"]]["read_only"]:
                yield f"{change['path']} cannot be changed"
            else:
                yield from self._value_problems(
                    field, change["value"], change["path"], is_sent=True, is_part=True
                )

    def _filter_problems(self, shape: Shape, sent: Any) -> Problems:
        row = self._row(shape)
        if row is None or not isinstance(sent, dict):
            yield "it is no query"
            return
        for field in sent.get("includeFields", []):
            if self._field(row, field) is None:
                yield f"there is no field {field} to ask for"
        yield from self._condition_problems(row, sent.get("filter", []))

    def _condition_problems(self, row: Shape, conditions: Any) -> Problems:
        if not isinstance(conditions, list) or not conditions:
            yield "a query needs a filter"
            return
        for one in conditions:
            operator = str(one.get("op", "")).lower()
            if operator not in OPERATORS:
                yield f"there is no operator {one.get('op')}"
            if operator in ("and", "or"):
                yield from self._condition_problems(row, one.get("items"))
            elif not one.get("udf") and self._field(row, str(one.get("field"))) is None:
                yield f"there is no field {one.get('field')} to filter by"

    # --- The answer

    def _answer_problems(self, shape: Shape, status: int, answer: bytes, *, is_part: bool) -> Problems:
        if status in (204, 401) and not answer:
            return
        try:
            data = json.loads(answer)
        except ValueError:
            yield f"its answer with {status} is no JSON"
            return
        if status >= 400:
            yield from self._value_problems(self._refusal, data, "refusal", is_part=True)
        elif str(status) not in shape["answers"]:
            yield f"it does not answer {status}"
        else:
            yield from self._value_problems(shape["answers"][str(status)], data, "answer", is_part=is_part)

    def _value_problems(
        self, shape: Shape, value: Any, where: str, *, is_sent: bool = False, is_part: bool = False
    ) -> Problems:
        if value is None:
            return
        if "object" in shape:
            yield from self._object_problems(shape["object"], value, where, is_sent=is_sent, is_part=is_part)
        elif "list" in shape:
            if not isinstance(value, list):
                yield f"{where} is no list"
                return
            for position, item in enumerate(value):
                place = f"{where}[{position}]"
                yield from self._value_problems(shape["list"], item, place, is_sent=is_sent, is_part=is_part)
        else:
            yield from _plain_problems(shape, value, where, is_sent=is_sent)

    def _object_problems(
        self, name: str, value: Any, where: str, *, is_sent: bool, is_part: bool
    ) -> Problems:
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        told = self._objects[name]
        is_top = where in ("body", "answer") or where.startswith("answer[")
        if is_top and not is_part:
            for field in told["required"]:
                if value.get(field) in (None, ""):
                    yield f"{where} lacks {field}"
        for field, one in value.items():
            if field not in told["fields"]:
                yield f"{where}.{field} does not exist"
            elif is_sent and is_top and field in told["read_only"] and field != "id":
                yield f"{where}.{field} cannot be written"
            else:
                place = f"{where}.{field}"
                yield from self._value_problems(
                    told["fields"][field], one, place, is_sent=is_sent, is_part=is_part
                )

    # --- Fields by their names

    def _row(self, shape: Shape) -> Shape | None:
        """What one record of the answer looks like."""
        answer: Shape = next(iter(shape["answers"].values()))
        answer = answer.get("list", answer)
        if "object" not in answer:
            return None
        fields = self._objects[answer["object"]]["fields"]
        if "items" in fields:
            return fields["items"]["list"]
        return answer

    def _field(self, row: Shape, path: str) -> Shape | None:
        """`board/name` of a ticket. Autotask does not look at upper and lower case."""
        found: Shape | None = row
        for name in path.split("/"):
            if found is None:
                return None
            if "object" not in found:
                return found if found.get("type") == "any" else None
            fields = self._objects[found["object"]]["fields"]
            if self.kind == "autotask":
                fields = {key.lower(): value for key, value in fields.items()}
                name = name.lower()
            found = fields.get(name)
        return found


def _plain_problems(shape: Shape, value: Any, where: str, *, is_sent: bool) -> Problems:
    kind = shape["type"]
    types: Mapping[str, tuple[type, ...]] = {
        "string": (str,),
        "moment": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    if kind == "any":
        return
    if not isinstance(value, types[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where} is {value!r} and should be of type {kind}"
        return
    if kind == "moment" and not _is_moment(value):
        yield f"{where} is no date and time: {value!r}"
    if is_sent and len(str(value)) > shape.get("longest", len(str(value))):
        yield f"{where} is longer than {shape['longest']}"
    if "one_of" in shape and value not in shape["one_of"]:
        yield f"{where} is {value!r}, none of {', '.join(shape['one_of'])}"


def _is_moment(value: str) -> bool:
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _pattern(name: str) -> re.Pattern[str]:
    """An id is a number; the login company is anything."""
    method, path = name.split(" ")
    text = re.sub(
        r"\\\{(\w+)\\\}", lambda found: r"\d+" if found[1] != "company" else r"[^/]+", re.escape(path)
    )
    return re.compile(f"{method} {text}", re.IGNORECASE)


def _is_part(query: str, sent: Any) -> bool:
    """Whether only some fields were asked for."""
    return "fields=" in query or (isinstance(sent, dict) and "filter" in sent)


__all__: Sequence[str] = ["Document", "documented"]
