"""What pickers may offer: companies, boards, statuses, products, agreements (asked when choices are reloaded).

Each kind is one row in `LISTS`: where it is listed, which fields are needed, which rows count. Statuses, types,
subtypes, items and teams belong to a board in ConnectWise; there is no global "Closed". Sites belong to a company.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import Rest, Row, id_of, number, text_of
from integrations.psa.errors import NotFound, NotPermitted
from integrations.psa.port import ChoiceKind, Option


@dataclass(frozen=True, kw_only=True)
class Listing:
    """`condition` keeps to what is offered, and `is_offered` looks again. `of_company` is the field that `within`
    narrows by; `changed` the one that tells when a row was changed, where that can be asked for."""

    path: str
    condition: str = ""
    fields: str = ""
    of_company: str = ""
    changed: str = ""
    data: Callable[[Row], Mapping[str, Any]] = lambda row: {}
    name: Callable[[Row], str] = lambda row: text_of(row, "name")
    is_offered: Callable[[Row], bool] = lambda row: True


def _is_active(row: Row) -> bool:
    return row.get("inactiveFlag") is not True


def _status_data(row: Row) -> dict[str, Any]:
    """`xref` is the part that the status plays in ConnectWise's own goals, such as `NotResponded`."""
    return {
        "closed": row.get("closedStatus") is True,
        "default": row.get("defaultFlag") is True,
        "xref": text_of(row, "escalationStatus"),
    }


def _type_data(row: Row) -> dict[str, Any]:
    return {"default": row.get("defaultFlag") is True, "xref": text_of(row, "integrationXref")}


def _subtype_data(row: Row) -> dict[str, Any]:
    ids = row.get("typeAssociationIds")
    return {"type_ids": [str(item) for item in ids] if isinstance(ids, list) else []}


def _default_data(row: Row) -> dict[str, Any]:
    return {"default": row.get("defaultFlag") is True}


def _contact_data(row: Row) -> dict[str, Any]:
    ways = row.get("communicationItems")
    mails = [
        way
        for way in (ways if isinstance(ways, list) else [])
        if isinstance(way, dict) and way.get("communicationType") == "Email" and text_of(way, "value")
    ]
    mails.sort(key=lambda way: way.get("defaultFlag") is not True)
    return {
        "company_id": id_of(row, "company"),
        "email": text_of(mails[0], "value") if mails else "",
        **_default_data(row),
    }


def _contact_name(row: Row) -> str:
    return (
        f"{text_of(row, 'firstName')} {text_of(row, 'lastName')}".strip() or f"Contact {text_of(row, 'id')}"
    )


def _site_data(row: Row) -> dict[str, Any]:
    state = row.get("stateReference")
    return {
        "default": row.get("primaryAddressFlag") is True,
        "address_line_1": text_of(row, "addressLine1"),
        "address_line_2": text_of(row, "addressLine2"),
        "city": text_of(row, "city"),
        "state": text_of(state, "identifier") if isinstance(state, dict) else "",
        "zip": text_of(row, "zip"),
    }


def _company_data(row: Row) -> dict[str, Any]:
    status = row.get("status")
    return {
        "identifier": text_of(row, "identifier"),
        "status": text_of(status, "name") if isinstance(status, dict) else "",
        "territory": text_of(row["territory"], "name") if isinstance(row.get("territory"), dict) else "",
        **({"website": website} if (website := text_of(row, "website")) else {}),
    }


def _product_data(row: Row) -> dict[str, Any]:
    uom = row.get("unitOfMeasure")
    return {
        "identifier": text_of(row, "identifier"),
        "description": text_of(row, "description"),
        "uom": text_of(uom, "name") if isinstance(uom, dict) else "",
        "product_class": text_of(row, "productClass"),
        "xref": text_of(row, "integrationXRef"),
        "price": text_of(row, "price"),
    }


def _agreement_data(row: Row) -> dict[str, Any]:
    is_recurring, reason = recurring(row)
    kind = row.get("type")
    return {
        "company_id": id_of(row, "company"),
        "type": text_of(kind, "name") if isinstance(kind, dict) else "",
        "type_id": id_of(row, "type"),
        "cancelled": row.get("cancelledFlag") is True or text_of(row, "agreementStatus") == "Cancelled",
        "recurring": is_recurring,
        "reason": reason,
        "ends_on": "" if row.get("noEndingDateFlag") else text_of(row, "endDate")[:10],
        "next_invoice_on": text_of(row, "nextInvoiceDate")[:10],
        "parent_id": id_of(row, "parentAgreement") or "",
        "status": text_of(row, "agreementStatus"),
    }


def recurring(row: Row) -> tuple[bool, str]:
    """Whether usage can be billed on it each period, and if not, why. The billing cycle's name tells the rest."""
    status = text_of(row, "agreementStatus")
    if row.get("cancelledFlag") is True or status in ("Cancelled", "Expired", "Inactive"):
        return False, f"The agreement is {(status or 'Cancelled').lower()}."
    if row.get("billOneTimeFlag") is True:
        return False, "The agreement is billed one time only."
    cycle = row.get("billingCycle")
    name = text_of(cycle, "name") if isinstance(cycle, dict) else ""
    if name.replace("-", "").replace(" ", "").lower() in ("notrecurring", "nonrecurring", "onetime"):
        return False, f"Its billing cycle is “{name}”."
    return True, ""


LISTS: Mapping[ChoiceKind, Listing] = {
    "company": Listing(
        path="/company/companies",
        condition=conditions.equals("deletedFlag", False),
        fields="id,identifier,name,status/name,territory/name,website,deletedFlag",
        changed="lastUpdated",
        data=_company_data,
        is_offered=lambda row: row.get("deletedFlag") is not True,
    ),
    "board": Listing(
        path="/service/boards",
        condition=conditions.both(
            conditions.equals("inactiveFlag", False), conditions.equals("projectFlag", False)
        ),
        fields="id,name,inactiveFlag,projectFlag",
        is_offered=lambda row: _is_active(row) and row.get("projectFlag") is not True,
    ),
    "status": Listing(
        path="/service/boards/{board}/statuses",
        data=_status_data,
        is_offered=lambda row: row.get("inactive") is not True,
    ),
    "type": Listing(path="/service/boards/{board}/types", data=_type_data, is_offered=_is_active),
    "subtype": Listing(path="/service/boards/{board}/subtypes", data=_subtype_data, is_offered=_is_active),
    "item": Listing(path="/service/boards/{board}/items", is_offered=_is_active),
    "team": Listing(path="/service/boards/{board}/teams", data=_default_data),
    "priority": Listing(path="/service/priorities", data=_default_data),
    "source": Listing(path="/service/sources", data=_default_data),
    "product": Listing(
        path="/procurement/catalog",
        condition=conditions.equals("inactiveFlag", False),
        fields="id,identifier,description,productClass,unitOfMeasure/name,inactiveFlag,integrationXRef,price",
        changed="lastUpdated",
        data=_product_data,
        name=lambda row: text_of(row, "identifier"),
        is_offered=_is_active,
    ),
    "agreement": Listing(
        path="/finance/agreements",
        fields="id,name,type/id,type/name,company/id,company/name,agreementStatus,cancelledFlag,billOneTimeFlag,"
        "billingCycle/name,endDate,noEndingDateFlag,nextInvoiceDate,parentAgreement/id",
        of_company="company/id",
        changed="lastUpdated",
        data=_agreement_data,
    ),
    "contact": Listing(
        path="/company/contacts",
        condition=conditions.equals("inactiveFlag", False),
        fields="id,firstName,lastName,company/id,communicationItems,defaultFlag,inactiveFlag",
        of_company="company/id",
        changed="lastUpdated",
        data=_contact_data,
        name=_contact_name,
        is_offered=_is_active,
    ),
    "site": Listing(path="/company/companies/{company}/sites", data=_site_data, is_offered=_is_active),
    "solution": Listing(
        path="/company/managementItSolutions",
        data=lambda row: {"setup_name": text_of(row, "managementSolutionName")},
        is_offered=lambda row: row.get("managementItSolutionType") == "Custom",
    ),
}
# Which type, subtype and item go together on a board: one call tells both lists below, and what fits what.
ASSOCIATIONS = "/service/boards/{board}/typeSubTypeItemAssociations"
_ASSOCIATED: Mapping[ChoiceKind, str] = {"subtype": "subType", "item": "item"}
CANCELLED_AGREEMENTS = timedelta(days=366)  # older ones are not even shown as hidden
FRESH = 30.0  # seconds; long enough to read both lists of a board, too short to be out of date
INCREMENTAL = frozenset(kind for kind, listing in LISTS.items() if listing.changed)
_PER_BOARD, _PER_COMPANY = "{board}", "{company}"


class Options:
    def __init__(self, rest: Rest, clock: Callable[[], float] = time.monotonic) -> None:
        self._rest = rest
        self._clock = clock
        self._associations: dict[str, tuple[float, list[Row]]] = {}

    def companies(self, like: str) -> list[Option]:
        """Those whose name or identifier contains the text, in any case; all without one."""
        if not like.strip():
            return list(self.each("company", ""))
        listing = LISTS["company"]
        text = like.strip()
        named = conditions.either(conditions.contains("name", text), conditions.contains("identifier", text))
        found = self._offered("company", listing, "", condition=conditions.both(listing.condition, named))
        return [option for option in found if _mentions(option, text)]

    def each(self, kind: ChoiceKind, within: str, changed_since: datetime | None = None) -> Iterable[Option]:
        """Lists are read page by page, while they are taken."""
        if kind not in LISTS:
            return []
        listing = LISTS[kind]
        if changed_since and listing.changed:
            return self._changed(kind, listing, within, changed_since)
        if _PER_COMPANY in listing.path:
            return self._of_company(kind, listing, within) if within else []
        if _PER_BOARD not in listing.path:
            return self._global(kind, listing, within)
        if within:
            return self._of_board(kind, listing, within)
        return [
            option for board in self.each("board", "") for option in self._readable(kind, listing, board.id)
        ]

    def _changed(
        self, kind: ChoiceKind, listing: Listing, within: str, changed_since: datetime
    ) -> Iterable[Option]:
        """Whatever was changed, offered or not: so it is told what has to go."""
        since = conditions.since(listing.changed, changed_since)
        return self._global(kind, replace(listing, condition=since, is_offered=lambda row: True), within)

    def _global(self, kind: ChoiceKind, listing: Listing, within: str) -> Iterable[Option]:
        if not listing.of_company or not within:
            return self._offered(kind, listing, "")
        of_company = conditions.equals(listing.of_company, number(within))
        found = self._offered(kind, listing, within, condition=conditions.both(listing.condition, of_company))
        return (option for option in found if option.data.get("company_id") in (None, within))

    def _of_company(self, kind: ChoiceKind, listing: Listing, company_id: str) -> Iterable[Option]:
        path = listing.path.format(company=number(company_id))
        return self._offered(kind, listing, company_id, path=path)

    def _readable(self, kind: ChoiceKind, listing: Listing, board_id: str) -> list[Option]:
        """A single board may be closed to the API member, or vanish while we read: the others still count."""
        try:
            return list(self._of_board(kind, listing, board_id))
        except (NotPermitted, NotFound):
            return []

    def _of_board(self, kind: ChoiceKind, listing: Listing, board_id: str) -> Iterable[Option]:
        """Subtypes and items come with what they go together with; from their own lists where nothing is told."""
        if kind in _ASSOCIATED and (found := _associated(kind, self._associated_rows(board_id), board_id)):
            return found
        path = listing.path.format(board=number(board_id))
        return self._offered(kind, listing, board_id, path=path)

    def _associated_rows(self, board_id: str) -> list[Row]:
        read_at, rows = self._associations.get(board_id, (-FRESH, []))
        if self._clock() - read_at >= FRESH:
            try:
                rows = self._rest.all(ASSOCIATIONS.format(board=number(board_id)))
            except (NotPermitted, NotFound):
                rows = []
            self._associations[board_id] = self._clock(), rows
        return rows

    def _offered(
        self, kind: ChoiceKind, listing: Listing, within: str, *, path: str = "", condition: str = ""
    ) -> Iterator[Option]:
        if kind == "agreement" and not listing.condition:
            condition = conditions.both(condition, _not_long_cancelled())
        params = {"conditions": condition or listing.condition, "fields": listing.fields}
        rows = self._rest.each(
            path or listing.path, **{name: value for name, value in params.items() if value}
        )
        return (_option(kind, listing, row, within) for row in rows if listing.is_offered(row))


def _not_long_cancelled() -> str:
    """What was cancelled lately is told with the reason, so that a page can show why it is hidden."""
    recently = conditions.since("dateCancelled", datetime.now(UTC) - CANCELLED_AGREEMENTS)
    return conditions.either(conditions.equals("cancelledFlag", False), recently)


def _option(kind: ChoiceKind, listing: Listing, row: Row, within: str) -> Option:
    data = dict(listing.data(row))
    if not LISTS[kind].is_offered(row):
        data["inactive"] = True
    belongs_to = within or (str(data.get("company_id") or "") if listing.of_company else "")
    return Option(kind=kind, id=text_of(row, "id"), name=listing.name(row), within=belongs_to, data=data)


def _associated(kind: ChoiceKind, rows: Sequence[Row], board_id: str) -> list[Option]:
    """Each once, in the order of ids. `pairs` are the types and subtypes that an item may stand with."""
    names: dict[str, str] = {}
    types: dict[str, list[str]] = {}
    pairs: dict[str, list[list[str]]] = {}
    for row in rows:
        reference = row.get(_ASSOCIATED[kind])
        found = id_of(row, _ASSOCIATED[kind])
        if found is None or not isinstance(reference, dict):
            continue
        names[found] = text_of(reference, "name")
        kind_id, subtype_id = id_of(row, "type") or "", id_of(row, "subType") or ""
        if kind_id and kind_id not in types.setdefault(found, []):
            types[found].append(kind_id)
        if [kind_id, subtype_id] not in pairs.setdefault(found, []):
            pairs[found].append([kind_id, subtype_id])
    return [
        Option(
            kind=kind,
            id=found,
            name=names[found],
            within=board_id,
            data={"type_ids": types.get(found, []), **({"pairs": pairs[found]} if kind == "item" else {})},
        )
        for found in sorted(names, key=lambda one: (len(one), one))
    ]


def _mentions(option: Option, text: str) -> bool:
    return (
        text.casefold() in option.name.casefold()
        or text.casefold() in str(option.data["identifier"]).casefold()
    )
