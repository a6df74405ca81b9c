"""Which tables does the pretend ConnectWise keep, under which parent, and how is a row of one referred to?"""

from dataclasses import dataclass

BASE = "cw://base"
"""Stands for `{scheme}://{host}/{codebase}/apis/3.0` in stored records; put in when an answer leaves."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`journal` names a row in messages and in the journal; `label` are the fields a reference carries."""

    journal: str
    href: str
    label: tuple[str, ...] = ("name",)
    info: str | None = None
    parent: str | None = None
    first_id: int = 1
    shown_as: str | None = None
    indexed: str | None = None


_BOARD = "/service/boards/{parent}"

KINDS = {
    "companies": Kind("company", "/company/companies/{id}", ("identifier", "name"), first_id=250),
    "sites": Kind("site", "/company/companies/{parent}/sites/{id}", parent="company/id", first_id=1000),
    "contacts": Kind("contact", "/company/contacts/{id}", parent="company/id", first_id=2000),
    "members": Kind("member", "/system/members/{id}", ("identifier", "name"), first_id=101),
    "boards": Kind("board", "/service/boards/{id}", shown_as="Service Board"),
    "statuses": Kind("status", _BOARD + "/statuses/{id}", parent="board/id", shown_as="Service Status"),
    "types": Kind("type", _BOARD + "/types/{id}", parent="board/id", shown_as="Service Type"),
    "subtypes": Kind("subType", _BOARD + "/subtypes/{id}", parent="board/id", shown_as="Service SubType"),
    "items": Kind("item", _BOARD + "/items/{id}", parent="board/id", shown_as="Service Item"),
    "teams": Kind("team", _BOARD + "/teams/{id}", parent="boardId", shown_as="Service Team"),
    "associations": Kind("association", _BOARD + "/typeSubTypeItemAssociations/{id}", parent="board/id"),
    "priorities": Kind("priority", "/service/priorities/{id}"),
    "sources": Kind("source", "/service/sources/{id}"),
    "tickets": Kind("ticket", "/service/tickets/{id}", ("summary",), first_id=10001, indexed="externalXRef"),
    "notes": Kind("note", "/service/tickets/{parent}/notes/{id}", (), parent="ticketId", first_id=50001),
    "catalog": Kind("product", "/procurement/catalog/{id}", ("identifier",), info="catalog", first_id=301),
    "agreementTypes": Kind("agreementType", "/finance/agreements/types/{id}", info="type"),
    "agreements": Kind("agreement", "/finance/agreements/{id}", first_id=401),
    "additions": Kind(
        "addition", "/finance/agreements/{parent}/additions/{id}", (), parent="agreementId", first_id=3001
    ),
    "configurations": Kind(
        "configuration", "/company/configurations/{id}", parent="company/id", first_id=7001
    ),
    "subcategories": Kind("subCategory", "/procurement/subcategories/{id}"),
    "productTypes": Kind("productType", "/procurement/types/{id}"),
    "units": Kind("unitOfMeasure", "/procurement/unitOfMeasures/{id}"),
    "solutions": Kind("solution", "/company/managementItSolutions/{id}", info="managementItSolution"),
    "callbacks": Kind("callback", "/system/callbacks/{id}", ()),
    "reports": Kind(
        "managementSummaryReport",
        "/company/companies/{parent}/managementSummaryReports/{id}",
        (),
        parent="company/id",
    ),
}
