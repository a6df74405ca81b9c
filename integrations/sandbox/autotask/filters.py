"""Which records does a query's filter mean? A list of conditions becomes a test of one record, and a set of ids that
are enough to look at where an index can give one (Autotask REST v1.0, Basic and Advanced Query Features).

    filter     := [condition, ...]                              all of them
    condition  := {op, field, value, udf?} | {op: "and"|"or", items: [condition, ...]}
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from integrations.sandbox.autotask.answers import Refused, unknown_field
from integrations.sandbox.autotask.fields import Field, Shape
from integrations.sandbox.autotask.settings import Switches
from integrations.sandbox.autotask.store import Record, Store, Table
from integrations.sandbox.autotask.udfs import NUMBER, find_definition
from integrations.sandbox.autotask.validation import stored_day_of, stored_moment

Test = Callable[[Record], bool]
MOST_ORS = 500
MOST_NESTING = 30
GROUPS = ("and", "or")
PRESENCE = ("exist", "notexist")
MANY = ("in", "notin")
PATTERNS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "beginswith": str.startswith,
    "endswith": str.endswith,
}
ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
OPERATORS = frozenset(("eq", "noteq", *PRESENCE, *MANY, *PATTERNS, *ORDERS))
_ONLY_BY_TICKET = "TicketHistory can be queried by ticketID only."


@dataclass(frozen=True, slots=True)
class Condition:
    """`value` is already as records keep it; `key` is where the record has it."""

    operator: str
    field: Field | None
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    operator: str
    parts: tuple["Node", ...]


Node = Condition | Group


class Filter:
    """The filter of one query, read against the shape of its entity."""

    def __init__(self, raw: Any, shape: Shape, store: Store, switches: Switches) -> None:
        if not isinstance(raw, list) or not raw:
            raise Refused("The query must contain a filter.")
        self._shape = shape
        self._store = store
        self._switches = switches
        self._udfs = 0
        self.node = Group("and", tuple(self._nodes(raw, 0)))
        if _ors(self.node, in_counts=switches.in_counts_as_or) > MOST_ORS:
            raise Refused(f"Queries are limited to {MOST_ORS} or fewer 'OR' conditions.")
        self.test = _test(self.node, fold=not switches.case_sensitive)

    def _nodes(self, raw: Iterable[Any], depth: int) -> Iterable[Node]:
        if depth > MOST_NESTING:
            raise Refused("The filter is nested too deeply.")
        for one in raw:
            node = self._node(one, depth)
            if node is not None:
                yield node

    def _node(self, raw: Any, depth: int) -> Node | None:
        if not isinstance(raw, Mapping):
            raise Refused("Every condition of the filter must be an object.")
        given = {str(name).lower(): value for name, value in raw.items()}
        operator = str(given.get("op", "")).lower()
        if operator in GROUPS:
            items = given.get("items")
            return Group(operator, tuple(self._nodes(items if isinstance(items, list) else [], depth + 1)))
        if operator not in OPERATORS:
            if self._switches.unknown_operator == "reject":
                raise Refused(f"The operator {given.get('op')} is not valid.")
            return None
        if given.get("udf") is True:
            return self._udf_condition(operator, given)
        return self._condition(operator, given)

    def _condition(self, operator: str, given: Mapping[str, Any]) -> Condition:
        name = str(given.get("field"))
        field = self._shape.by_lower.get(name.lower())
        if field is None:
            raise unknown_field(name, self._shape.singular)
        if not field.queryable:
            if self._shape.entity == "TicketHistory":
                raise Refused(_ONLY_BY_TICKET)
            raise Refused(f"The field {field.name} of the {self._shape.singular} Entity cannot be queried.")
        value = given.get("value")
        if operator in PRESENCE:
            return Condition(operator, field, field.name, None)
        if operator in MANY:
            if not isinstance(value, list):
                raise Refused(f"The operator {operator} needs a list of values for {field.name}.")
            return Condition(operator, field, field.name, tuple(_literal(field, one) for one in value))
        if operator in PATTERNS:
            return Condition(operator, field, field.name, "" if value is None else str(value))
        return Condition(operator, field, field.name, _literal(field, value))

    def _udf_condition(self, operator: str, given: Mapping[str, Any]) -> Condition:
        self._udfs += 1
        if self._udfs > 1:
            raise Refused("A query may contain only one user-defined field.")
        name = str(given.get("field"))
        definition = find_definition(self._store, self._shape.entity, name)
        if definition is None:
            raise unknown_field(name, self._shape.singular)
        kind = "double" if definition["dataType"] == NUMBER and operator not in PATTERNS else "text"
        field = Field(definition["name"], kind)
        value = given.get("value")
        if isinstance(value, list):
            literal: Any = tuple(_literal(field, one) for one in value)
        else:
            literal = None if operator in PRESENCE else _literal(field, value)
        return Condition(operator, None, definition["name"], literal)


def _literal(field: Field, value: Any) -> Any:
    """What a record would hold; raises `Refused` in the words of the database behind the service."""
    if field.kind == "bool":
        if isinstance(value, bool):
            return value
        raise Refused(f"The value of the Boolean field {field.name} must be true or false.")
    if value is None:
        return None
    if field.is_number:
        return _number(value)
    if field.kind in ("date", "day"):
        try:
            moment = stored_moment(str(value))
        except (ValueError, OverflowError) as error:
            raise Refused(
                "Conversion failed when converting date and/or time from character string."
            ) from error
        return stored_day_of(str(value)) if field.kind == "day" else moment
    return str(value)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        message = f"Conversion failed when converting varchar value '{value}' to data type int."
        raise Refused(message) from error
    return int(number) if number == number and abs(number) < 1e18 and number == int(number) else number


def _ors(node: Node, *, in_counts: bool) -> int:
    """How many OR conditions the database would see."""
    if isinstance(node, Condition):
        return len(node.value) if node.operator == "in" and in_counts else 0
    own = len(node.parts) if node.operator == "or" else 0
    return own + sum(_ors(part, in_counts=in_counts) for part in node.parts)


def candidates(node: Node, table: Table) -> set[int] | None:
    """Ids that are enough to look at, or None when every row has to be."""
    if isinstance(node, Condition):
        return _candidates_of(node, table)
    found = [candidates(part, table) for part in node.parts]
    if node.operator == "or":
        return None if None in found else {row_id for ids in found if ids is not None for row_id in ids}
    known = [ids for ids in found if ids is not None]
    return min(known, key=len) if known else None


def lowest_id(node: Node) -> int:
    """The id from which on rows can match, for the paging that asks for `id gt` the last one."""
    if isinstance(node, Condition):
        if node.field is None or node.key != "id" or not isinstance(node.value, int):
            return -1
        return {"gt": node.value, "gte": node.value - 1}.get(node.operator, -1)
    if node.operator == "or":
        return -1
    return max((lowest_id(part) for part in node.parts), default=-1)


def _candidates_of(node: Condition, table: Table) -> set[int] | None:
    if node.field is None:
        return None
    if node.key == "id" and node.operator in ("eq", "in"):
        values = node.value if isinstance(node.value, tuple) else (node.value,)
        return {value for value in values if isinstance(value, int)}
    index = table.indexes.get(node.key)
    if index is None or node.value is None:
        return None
    if node.operator == "eq":
        return index.equal(node.value)
    if node.operator == "in":
        return {row_id for value in node.value for row_id in index.equal(value)}
    if node.operator == "beginswith" and node.value and not node.field.is_number:
        return index.beginning(node.value)
    return index.since(node.value) if node.operator in ("gt", "gte") else None


def _test(node: Node, *, fold: bool) -> Test:
    if isinstance(node, Condition):
        return _condition_test(node, fold=fold)
    tests = [_test(part, fold=fold) for part in node.parts]
    if len(tests) == 1:
        return tests[0]
    if node.operator == "and" or not tests:
        return lambda record: all(test(record) for test in tests)
    return lambda record: any(test(record) for test in tests)


def _condition_test(node: Condition, *, fold: bool) -> Test:
    key = node.key
    if node.field is None:
        accepts = _accepts(node, fold=fold)
        numeric = isinstance(node.value, (int, float))
        return lambda record: accepts(_udf_value(record, key, numeric=numeric))
    accepts = _accepts(node, fold=fold)
    return lambda record: accepts(record.get(key))


def _udf_value(record: Record, name: str, *, numeric: bool) -> Any:
    value = record.get("_udfs", {}).get(name)
    return float(value) if numeric and value is not None else value


def _accepts(node: Condition, *, fold: bool) -> Callable[[Any], bool]:
    """As in SQL, a field without a value satisfies nothing but `notExist`."""
    operator, wanted = node.operator, node.value
    if operator == "exist":
        return lambda value: value is not None
    if operator == "notexist":
        return lambda value: value is None
    if fold and isinstance(wanted, str):
        wanted = wanted.casefold()
    if operator in MANY:
        values = {_folded(one, fold=fold) for one in wanted}
        inside = operator == "in"
        return lambda value: value is not None and (_folded(value, fold=fold) in values) is inside
    if operator in PATTERNS:
        matches = PATTERNS[operator]
        return lambda value: value is not None and matches(str(_folded(value, fold=fold)), wanted)
    if operator in ("eq", "noteq"):
        same = operator == "eq"
        return lambda value: value is not None and (_folded(value, fold=fold) == wanted) is same
    compare = ORDERS[operator]
    return lambda value: (
        value is not None and wanted is not None and compare(_folded(value, fold=fold), wanted)
    )


def _folded(value: Any, *, fold: bool) -> Any:
    return value.casefold() if fold and isinstance(value, str) else value
