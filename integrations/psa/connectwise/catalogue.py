"""Products in the catalogue of ConnectWise: what cross-references point to (asked when a product should exist).

Facts: ConnectWise REST 2026.4, `/procurement/catalog`: the Product ID (`identifier`) is unique, a product needs a
subcategory and a type, both of which are set-up tables of the partner.
"""

from __future__ import annotations

from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.agreements import json_number
from integrations.psa.connectwise.rest import Rest, Row, number, text_of
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.wanted import WantedProduct

IDENTIFIER_LENGTH = 75
DESCRIPTION_LENGTH = 60
CUSTOMER_DESCRIPTION_LENGTH = 6000
PRODUCT_CLASS = "Agreement"
_FIELDS = "id,identifier,inactiveFlag,unitOfMeasure/name"
# What a new product refers to: its field, the list, and where a person makes one that is missing.
_REFERENCES = (
    ("subcategory", "/procurement/subcategories/", "Product Category > (category) > Subcategories"),
    ("type", "/procurement/types", "Product Type"),
    ("unitOfMeasure", "/procurement/unitOfMeasures", "Unit of Measure"),
)


class Catalogue:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def plan(self, wanted: WantedProduct) -> Plan:
        """One read when it exists; creating needs three more."""
        identifier = wanted.identifier.strip()[:IDENTIFIER_LENGTH]
        rows = self._rest.all(
            "/procurement/catalog", conditions=conditions.equals("identifier", identifier), fields=_FIELDS
        )
        exact = [row for row in rows if text_of(row, "identifier") == identifier]
        if exact:
            return _existing(wanted, exact[0])
        near = [row for row in rows if _squeezed(text_of(row, "identifier")) == _squeezed(identifier)]
        if near:
            return _told(
                wanted,
                "product_near",
                f"ConnectWise has “{text_of(near[0], 'identifier')}”, which differs from “{identifier}” only in case"
                " or blanks.",
                "Choose that product, or rename it in ConnectWise under Procurement > Products.",
            )
        return self._create(wanted, identifier)

    def _create(self, wanted: WantedProduct, identifier: str) -> Plan:
        names = {"subcategory": wanted.category, "type": wanted.kind, "unitOfMeasure": wanted.unit}
        references: dict[str, dict[str, int]] = {}
        missing = []
        for field, path, place in _REFERENCES:
            if row := self._named(path, names[field]):
                references[field] = {"id": number(text_of(row, "id"))}
            else:
                missing.append(f"“{names[field]}” under System > Setup Tables > {place}")
        if missing:
            text = f"ConnectWise lacks what the product {identifier} refers to: {'; '.join(missing)}."
            return _told(wanted, "product_setup", text, "Make it there, or make the product by hand.")
        item = _create_item(wanted, identifier, references)
        return Plan(subject=wanted.identifier, items=(item,), findings=_price_open(wanted, identifier))

    def _named(self, path: str, name: str) -> Row | None:
        """The active one of that name, in any case."""
        rows = self._rest.all(path, conditions=conditions.equals("name", name.strip()))
        same = [row for row in rows if text_of(row, "name").strip().casefold() == name.strip().casefold()]
        return next((row for row in same if row.get("inactiveFlag") is not True), None)


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()


def _existing(wanted: WantedProduct, row: Row) -> Plan:
    identifier = text_of(row, "identifier")
    if row.get("inactiveFlag") is True:
        text = f"The product {identifier} is inactive in ConnectWise."
        return _told(wanted, "product_inactive", text, "Clear Inactive under Procurement > Products.")
    uom = row.get("unitOfMeasure")
    unit = text_of(uom, "name") if isinstance(uom, dict) else ""
    findings = []
    if unit and unit.casefold() != wanted.unit.casefold():
        text = f"The product {identifier} is counted in {unit}, the service in {wanted.unit}."
        advice = "Check that one unit of the product is one unit of the service."
        findings.append(Finding(key=wanted.identifier, code="product_unit", text=text, advice=advice))
    return Plan(
        subject=wanted.identifier,
        unchanged=(wanted.identifier,),
        findings=tuple(findings),
        found={"id": text_of(row, "id"), "name": identifier, "unit": unit},
    )


def _price_open(wanted: WantedProduct, identifier: str) -> tuple[Finding, ...]:
    if wanted.unit_price is not None:
        return ()
    text = f"The product {identifier} is made with the price 0."
    advice = "Set its price under Procurement > Products before it is billed."
    return (Finding(key=wanted.identifier, code="price_open", text=text, advice=advice),)


def _told(wanted: WantedProduct, code: str, text: str, advice: str) -> Plan:
    finding = Finding(key=wanted.identifier, code=code, text=text, advice=advice)
    return Plan(subject=wanted.identifier, findings=(finding,))


def _create_item(wanted: WantedProduct, identifier: str, references: dict[str, dict[str, int]]) -> PlanItem:
    price = json_number(wanted.unit_price) if wanted.unit_price is not None else 0
    description = wanted.description.strip() or identifier
    body: dict[str, Any] = {
        "identifier": identifier,
        "description": description[:DESCRIPTION_LENGTH],
        "customerDescription": description[:CUSTOMER_DESCRIPTION_LENGTH],
        "productClass": PRODUCT_CLASS,
        "price": price,
        **references,
    }
    return PlanItem(
        key=wanted.identifier,
        action="create",
        record="product",
        record_id=None,
        before={},
        after={"identifier": identifier, "description": body["description"], "unit_price": str(price)},
        reason="The product is not in ConnectWise's catalogue yet.",
        request=Request(method="POST", path="/procurement/catalog", body=body),
    )
