"""What pickers may offer: companies, queues, statuses, services, contracts (asked when choices are reloaded).

What is a picklist in Autotask costs one call for all of them; the rest is one row in `LISTS`. Statuses and issue types
belong to no queue, so they are the same within each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.filters import Condition
from integrations.psa.autotask.metadata import FRESH, Metadata, Value
from integrations.psa.autotask.rest import Rest, Row, id_of, number, text_of
from integrations.psa.errors import NotPermitted, Rejected
from integrations.psa.port import ChoiceKind, Option

COMPLETE = "5"  # a system status: the one that closes a ticket, in every database (seen)
RECURRING_SERVICE = "7"
ACTIVE_CONTRACT = "1"
ENDED_CONTRACTS = timedelta(days=366)  # older ones are not even shown as hidden

# Kinds that are picklists of a ticket, and the field they belong to.
PICKLISTS: Mapping[ChoiceKind, str] = {
    "board": "queueID",
    "status": "status",
    "type": "issueType",
    "subtype": "subIssueType",
    "item": "ticketType",
    "priority": "priority",
    "source": "source",
    "category": "ticketCategory",
}
_OF_COMPANY = ("contact", "site")
_PER_BOARD = ("status", "type", "subtype", "item")


@dataclass(frozen=True, kw_only=True)
class Listing:
    entity: str
    fields: tuple[str, ...]
    name: Callable[[Row], str]
    data: Callable[[Row], Mapping[str, Any]]
    conditions: tuple[Condition, ...] = ()
    changed: str = ""
    is_offered: Callable[[Row], bool] = lambda row: row.get("isActive") not in (False, 0)


def _company_data(row: Row) -> dict[str, Any]:
    website = text_of(row, "webAddress")
    found = {"identifier": text_of(row, "companyNumber"), "status": "", "territory": ""}
    return {**found, "website": website} if website else found


def _product_data(row: Row) -> dict[str, Any]:
    return {
        "identifier": text_of(row, "sku") or text_of(row, "name"),
        "description": text_of(row, "description"),
        "uom": "",
        "product_class": "",
        "xref": text_of(row, "externalID"),
        "price": text_of(row, "unitPrice"),
    }


def _contact_name(row: Row) -> str:
    return f"{text_of(row, 'firstName')} {text_of(row, 'lastName')}".strip()


_ADDRESS = {
    "address_line_1": "address1",
    "address_line_2": "address2",
    "city": "city",
    "state": "state",
    "zip": "postalCode",
}
LISTS: Mapping[ChoiceKind, Listing] = {
    "company": Listing(
        entity="Companies",
        fields=("id", "companyName", "companyNumber", "webAddress", "isActive"),
        conditions=(filters.equals("isActive", True),),
        changed="lastTrackedModifiedDateTime",
        name=lambda row: text_of(row, "companyName"),
        data=_company_data,
    ),
    "product": Listing(
        entity="Services",
        fields=("id", "name", "description", "sku", "externalID", "isActive", "unitPrice"),
        conditions=(filters.equals("isActive", True),),
        changed="lastModifiedDate",
        name=lambda row: text_of(row, "name"),
        data=_product_data,
    ),
    "contact": Listing(
        entity="Contacts",
        fields=("id", "firstName", "lastName", "emailAddress", "companyID", "isActive"),
        conditions=(filters.equals("isActive", 1),),  # a number here, unlike elsewhere (documented)
        changed="lastModifiedDate",
        name=_contact_name,
        data=lambda row: {"company_id": id_of(row, "companyID"), "email": text_of(row, "emailAddress")},
    ),
    "site": Listing(
        entity="CompanyLocations",
        fields=("id", "name", "companyID", "isActive", "isPrimary", *_ADDRESS.values()),
        name=lambda row: text_of(row, "name"),
        data=lambda row: {
            "default": row.get("isPrimary") is True,
            **{ours: text_of(row, theirs) for ours, theirs in _ADDRESS.items()},
        },
    ),
}
CONTRACT_FIELDS = (
    "id",
    "contractName",
    "contractNumber",
    "companyID",
    "contractType",
    "status",
    "startDate",
    "endDate",
    "isDefaultContract",
)


CONTRACT_CHANGED = "lastModifiedDateTime"
INCREMENTAL: frozenset[ChoiceKind] = frozenset(
    [*(kind for kind, listing in LISTS.items() if listing.changed), "agreement"]
)


class Options:
    def __init__(self, rest: Rest, metadata: Metadata) -> None:
        self._rest = rest
        self._metadata = metadata

    def companies(self, like: str) -> list[Option]:
        """Those whose name or number contains the text, in any case; all without one."""
        text = like.strip()
        if not text:
            return list(self.each("company", ""))
        named = filters.either(filters.contains("companyName", text), filters.contains("companyNumber", text))
        return [option for option in self._listed("company", named) if _mentions(option, text)]

    def each(self, kind: ChoiceKind, within: str, changed_since: datetime | None = None) -> Iterable[Option]:
        """Lists are read page by page, while they are taken."""
        if kind in PICKLISTS:
            values = self._metadata.picklist("Tickets", PICKLISTS[kind], max_age=FRESH)
            belongs_to = within if kind in _PER_BOARD else ""
            return [_of_picklist(kind, value, belongs_to) for value in values]
        if kind == "agreement":
            return self._contracts(within, changed_since)
        if kind not in LISTS:
            return []
        if kind == "site" and not within:
            return []
        if kind in _OF_COMPANY and within:
            of_company = filters.equals("companyID", number(within, "company"))
            return self._listed(kind, of_company, within=within, changed_since=changed_since)
        return self._listed(kind, changed_since=changed_since)

    def _listed(
        self,
        kind: ChoiceKind,
        *more: Condition,
        within: str = "",
        changed_since: datetime | None = None,
    ) -> Iterator[Option]:
        """With `changed_since` what was changed, offered or not: so it is told what has to go."""
        listing = LISTS[kind]
        if changed_since and listing.changed:
            changed = filters.since(listing.changed, changed_since)
            listing = replace(listing, conditions=(changed,), is_offered=lambda row: True)
        rows = self._rest.each(listing.entity, *listing.conditions, *more, fields=listing.fields)
        return (
            Option(
                kind=kind,
                id=text_of(row, "id"),
                name=listing.name(row),
                within=within
                or (str(listing.data(row).get("company_id") or "") if kind == "contact" else ""),
                data={**listing.data(row), **({} if LISTS[kind].is_offered(row) else {"inactive": True})},
            )
            for row in rows
            if listing.is_offered(row)
        )

    def _contracts(self, within: str, changed_since: datetime | None) -> Iterator[Option]:
        """Those that cannot be billed on are told with the reason, so that a page can show why they are hidden."""
        today = datetime.now(UTC).date()
        if changed_since:
            conditions = [filters.since(CONTRACT_CHANGED, changed_since)]
        else:
            conditions = [filters.since("endDate", today - ENDED_CONTRACTS)]
        if within:
            conditions.append(filters.equals("companyID", number(within, "company")))
        rows = self._rest.each("Contracts", *conditions, fields=CONTRACT_FIELDS)
        names = contract_types(self._metadata)
        return (
            _contract(row, names, today) for row in rows if not within or id_of(row, "companyID") == within
        )


def contract_types(metadata: Metadata) -> Mapping[str, str]:
    """Labels of contract types by value; nothing when they may not be read, then the usual number has to do."""
    try:
        return {value.id: value.label for value in metadata.picklist("Contracts", "contractType")}
    except (NotPermitted, Rejected):
        return {}


def _of_picklist(kind: ChoiceKind, value: Value, within: str) -> Option:
    data: dict[str, Any] = {"default": value.is_default}
    if kind == "status":
        data["closed"] = value.id == COMPLETE
    if kind == "subtype":
        data["type_ids"] = [value.parent] if value.parent else []
    return Option(kind=kind, id=value.id, name=value.label, within=within, data=data)


def _contract(row: Row, types: Mapping[str, str], today: date) -> Option:
    problem = contract_problem(row, types, today)
    company = id_of(row, "companyID")
    kind = id_of(row, "contractType") or ""
    data = {
        "company_id": company,
        "type": types.get(kind, kind),
        "type_id": kind,
        "cancelled": problem is not None and problem[0] == "contract_inactive",
        "recurring": problem is None,
        "reason": problem[1] if problem else "",
        "ends_on": text_of(row, "endDate")[:10],
        "default": row.get("isDefaultContract") is True,
        "identifier": text_of(row, "contractNumber"),
    }
    return Option(
        kind="agreement",
        id=text_of(row, "id"),
        name=text_of(row, "contractName"),
        within=company or "",
        data=data,
    )


def contract_problem(row: Row, types: Mapping[str, str], on: date) -> tuple[str, str] | None:
    """Why usage cannot be billed on this contract on that day: a stable code and a sentence, or None.

    Autotask goes on billing an inactive contract, and it is not told whether it refuses changes of one: so we look.
    """
    kind, status = id_of(row, "contractType"), id_of(row, "status")
    recurring = {key for key, label in types.items() if label.strip().lower() == "recurring service"}
    if kind not in (recurring or {RECURRING_SERVICE}):
        return "contract_not_recurring", f"Its type is {types.get(kind or '', kind)}, not Recurring Service."
    if status != ACTIVE_CONTRACT:
        return "contract_inactive", "The contract is not active."
    starts, ends = day_of(row, "startDate"), day_of(row, "endDate")
    if starts and on < starts:
        return "contract_out_of_range", f"The contract begins on {starts}."
    if ends and on > ends:
        return "contract_out_of_range", f"The contract ended on {ends}."
    return None


def day_of(row: Row, name: str) -> date | None:
    """A date-only field: cut, never shifted to another zone (documented)."""
    try:
        return date.fromisoformat(text_of(row, name)[:10])
    except ValueError:
        return None


def _mentions(option: Option, text: str) -> bool:
    wanted = text.casefold()
    return wanted in option.name.casefold() or wanted in str(option.data["identifier"]).casefold()
