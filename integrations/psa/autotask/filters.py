"""Filters of Autotask queries, made of allowed fields and typed values only (asked by all reads with a filter).

A filter is JSON, so nothing needs escaping; what has to be guarded is the name of the field: an unknown operator is
known to be ignored in silence, which answers every row there is (seen), and an unknown field is an error.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

Operator = Literal["eq", "gt", "gte", "lte", "in", "beginsWith", "contains"]
Value = int | bool | str | datetime | date | Sequence[int]

MAX_STRING = 255  # the longest text that we search in (title of a ticket)
MOST_AT_ONCE = 200  # an `in` list counts as OR conditions, of which 500 are allowed

# What may stand in a filter, by entity. Names: the REST document of June 2026.
FIELDS: Mapping[str, frozenset[str]] = {
    "Tickets": frozenset(
        {
            "id",
            "externalID",
            "createDate",
            "ticketNumber",
            "lastActivityDate",
            "lastTrackedModificationDateTime",
        }
    ),
    "TicketNotes": frozenset({"id", "ticketID"}),
    "TicketWebhooks": frozenset({"id"}),
    "TicketWebhookFields": frozenset({"id", "webhookID"}),
    "TicketWebhookExcludedResources": frozenset({"id", "webhookID"}),
    "TicketCategoryFieldDefaults": frozenset({"id", "ticketCategoryID"}),
    "Companies": frozenset({"id", "isActive", "companyName", "companyNumber", "lastTrackedModifiedDateTime"}),
    "Contacts": frozenset({"id", "isActive", "companyID", "lastModifiedDate"}),
    "CompanyLocations": frozenset({"id", "companyID"}),
    "Contracts": frozenset({"id", "companyID", "endDate", "lastModifiedDateTime"}),
    "ContractServices": frozenset({"id", "contractID", "serviceID"}),
    "ContractServiceUnits": frozenset({"id", "contractID", "contractServiceID", "serviceID"}),
    "Services": frozenset({"id", "isActive", "name", "lastModifiedDate"}),
    "BillingItems": frozenset({"id", "contractID", "itemDate"}),
    "BillingCodes": frozenset({"id", "isActive"}),
    "ConfigurationItems": frozenset({"id", "companyID", "isActive", "serialNumber"}),
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One comparison, or several of which one must hold."""

    op: Operator = "eq"
    field: str = ""
    value: Value = 0
    any_of: tuple[Condition, ...] = ()


def equals(field: str, value: int | bool | str) -> Condition:
    """For strings the answer may hold more (case is not told): compare again, exactly."""
    return Condition(field=field, value=value)


def above(field: str, number: int) -> Condition:
    return Condition(op="gt", field=field, value=number)


def since(field: str, moment: datetime | date) -> Condition:
    return Condition(op="gte", field=field, value=moment)


def until(field: str, day: date) -> Condition:
    return Condition(op="lte", field=field, value=day)


def one_of(field: str, numbers: Iterable[int]) -> Condition:
    return Condition(op="in", field=field, value=tuple(numbers))


def starts_with(field: str, text: str) -> Condition:
    return Condition(op="beginsWith", field=field, value=text)


def contains(field: str, text: str) -> Condition:
    return Condition(op="contains", field=field, value=text)


def either(*conditions: Condition) -> Condition:
    return Condition(any_of=conditions)


ANY = Condition(op="gte", field="id", value=0)


def as_json(entity: str, conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """The `filter` of a query. A list means "and"; an empty one is refused by Autotask, so it becomes "any id"."""
    return [_as_json(entity, condition) for condition in conditions or (ANY,)]


def _as_json(entity: str, condition: Condition) -> dict[str, Any]:
    if condition.any_of:
        return {"op": "or", "items": [_as_json(entity, one) for one in condition.any_of]}
    if condition.field not in FIELDS.get(entity, ()):
        raise ValueError(f"not a field that {entity} is searched by: {condition.field!r}")
    return {"op": condition.op, "field": condition.field, "value": _literal(condition.value)}


def _literal(value: Value) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _cleaned(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int):
        return int(value)
    numbers = [int(number) for number in value]
    if len(numbers) > MOST_AT_ONCE:
        raise ValueError("too many ids for one query")
    return numbers


def _cleaned(text: str) -> str:
    """Without control and format characters and lone surrogates, not longer than any field."""
    return "".join(
        letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )[:MAX_STRING]
