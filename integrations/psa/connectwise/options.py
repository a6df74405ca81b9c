"""What pickers may offer: companies, boards, statuses, products, agreements (asked when choices are reloaded).

Each kind is one row in `LISTS`: where it is listed, which fields are needed, which rows count. Statuses, types,
subtypes and items belong to a board in ConnectWise; there is no global "Closed".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import Rest, Row, id_of, number, text_of
from integrations.psa.errors import NotFound, NotPermitted
from integrations.psa.port import ChoiceKind, Option


@dataclass(frozen=True, kw_only=True)
class Listing:
    path: str
    condition: str = ""
    fields: str = ""
    data: Callable[[Row], Mapping[str, Any]] = lambda row: {}
    name: Callable[[Row], str] = lambda row: text_of(row, "name")
    is_offered: Callable[[Row], bool] = lambda row: True


def _is_active(row: Row) -> bool:
    return row.get("inactiveFlag") is not True


def _status_data(row: Row) -> dict[str, Any]:
    return {"closed": row.get("closedStatus") is True, "default": row.get("defaultFlag") is True}


def _type_data(row: Row) -> dict[str, Any]:
    return {"default": row.get("defaultFlag") is True, "xref": text_of(row, "integrationXref")}


def _subtype_data(row: Row) -> dict[str, Any]:
    ids = row.get("typeAssociationIds")
    return {"type_ids": [str(item) for item in ids] if isinstance(ids, list) else []}


def _default_data(row: Row) -> dict[str, Any]:
    return {"default": row.get("defaultFlag") is True}


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
    "priority": Listing(path="/service/priorities", data=_default_data),
    "source": Listing(path="/service/sources", data=_default_data),
    "product": Listing(
        path="/procurement/catalog",
        condition=conditions.equals("inactiveFlag", False),
        fields="id,identifier,description,productClass,unitOfMeasure/name,inactiveFlag,integrationXRef",
        data=_product_data,
        name=lambda row: text_of(row, "identifier"),
        is_offered=_is_active,
    ),
    "agreement": Listing(
        path="/finance/agreements",
        condition=conditions.equals("cancelledFlag", False),
        fields="id,name,type/id,type/name,company/id,company/name,agreementStatus,cancelledFlag,billOneTimeFlag,"
        "billingCycle/name,endDate,noEndingDateFlag",
        data=_agreement_data,
    ),
}
_PER_BOARD = "{board}"


class Options:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def companies(self, like: str) -> list[Option]:
        """Those whose name or identifier contains the text, in any case; all without one."""
        if not like.strip():
            return self.choices("company", "")
        listing = LISTS["company"]
        text = like.strip()
        named = conditions.either(conditions.contains("name", text), conditions.contains("identifier", text))
        found = self._offered("company", listing, "", condition=conditions.both(listing.condition, named))
        return [option for option in found if _mentions(option, text)]

    def choices(self, kind: ChoiceKind, within: str) -> list[Option]:
        listing = LISTS[kind]
        if _PER_BOARD not in listing.path:
            return self._global(kind, listing, within)
        if within:
            return self._of_board(kind, listing, within)
        return [
            option
            for board in self.choices("board", "")
            for option in self._readable(kind, listing, board.id)
        ]

    def _global(self, kind: ChoiceKind, listing: Listing, within: str) -> list[Option]:
        if kind != "agreement" or not within:
            return self._offered(kind, listing, "")
        of_company = conditions.equals("company/id", number(within))
        found = self._offered(kind, listing, within, condition=conditions.both(listing.condition, of_company))
        return [option for option in found if option.data.get("company_id") in (None, within)]

    def _readable(self, kind: ChoiceKind, listing: Listing, board_id: str) -> list[Option]:
        """A single board may be closed to the API member, or vanish while we read: the others still count."""
        try:
            return self._of_board(kind, listing, board_id)
        except (NotPermitted, NotFound):
            return []

    def _of_board(self, kind: ChoiceKind, listing: Listing, board_id: str) -> list[Option]:
        path = listing.path.format(board=number(board_id))
        return self._offered(kind, listing, board_id, path=path)

    def _offered(
        self, kind: ChoiceKind, listing: Listing, within: str, *, path: str = "", condition: str = ""
    ) -> list[Option]:
        params = {"conditions": condition or listing.condition, "fields": listing.fields}
        rows = self._rest.all(
            path or listing.path, **{name: value for name, value in params.items() if value}
        )
        return [_option(kind, listing, row, within) for row in rows if listing.is_offered(row)]


def _option(kind: ChoiceKind, listing: Listing, row: Row, within: str) -> Option:
    data = listing.data(row)
    belongs_to = within or (str(data.get("company_id") or "") if kind == "agreement" else "")
    return Option(kind=kind, id=text_of(row, "id"), name=listing.name(row), within=belongs_to, data=data)


def _mentions(option: Option, text: str) -> bool:
    return (
        text.casefold() in option.name.casefold()
        or text.casefold() in str(option.data["identifier"]).casefold()
    )
