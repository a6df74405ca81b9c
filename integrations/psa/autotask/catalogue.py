"""Services in the catalogue of Autotask: what cross-references point to (asked when a product should exist)."""

from __future__ import annotations

from integrations.psa.autotask import filters
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.rest import Rest, Row, number, text_of
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.wanted import WantedProduct

NAME_LENGTH = 150
DESCRIPTION_LENGTH = 400


class Catalogue:
    def __init__(self, rest: Rest, metadata: Metadata) -> None:
        self._rest = rest
        self._metadata = metadata

    def plan(self, wanted: WantedProduct) -> Plan:
        """One read when it exists; creating needs the billing codes as well."""
        rows = self._rest.all(
            "Services",
            filters.equals("name", wanted.identifier[:NAME_LENGTH]),
            fields=("id", "name", "isActive"),
        )
        same = [
            row
            for row in rows
            if text_of(row, "name").casefold() == wanted.identifier[:NAME_LENGTH].casefold()
        ]
        active = [row for row in same if row.get("isActive") is not False]
        if active:
            found = {"id": text_of(active[0], "id"), "name": text_of(active[0], "name")}
            return Plan(subject=wanted.identifier, unchanged=(wanted.identifier,), found=found)
        if same:
            text = f"The service {wanted.identifier} is inactive in Autotask."
            return _told(
                wanted, "product_inactive", text, "Activate it under Admin > Products & Services > Services."
            )
        return self._create(wanted)

    def _create(self, wanted: WantedProduct) -> Plan:
        period = self._period()
        codes = self._billing_codes(wanted.category)
        if period is None or len(codes) != 1:
            return _told(wanted, "billing_code", *_no_code(wanted, codes, has_period=period is not None))
        price = wanted.unit_price
        reminder = Finding(
            key=wanted.identifier,
            code="price_open",
            text=f"The service {wanted.identifier} is made with the price 0.",
            advice="Set its price under Admin > Products & Services > Services before it is billed.",
        )
        item = _create_item(wanted, text_of(codes[0], "id"), period)
        return Plan(
            subject=wanted.identifier, items=(item,), findings=() if price is not None else (reminder,)
        )

    def _period(self) -> str | None:
        field = self._metadata.fields("Services").get("periodtype")
        chosen = (field.labelled("Monthly", "Month") or field.default()) if field else None
        return chosen.id if chosen else None

    def _billing_codes(self, name: str) -> list[Row]:
        rows = self._rest.all(
            "BillingCodes", filters.equals("isActive", True), fields=("id", "name", "isActive")
        )
        return [row for row in rows if text_of(row, "name").strip().casefold() == name.strip().casefold()]


def _no_code(wanted: WantedProduct, codes: list[Row], *, has_period: bool) -> tuple[str, str]:
    if not has_period:
        return "Autotask offers no monthly period for services.", "Make the service by hand in Autotask."
    found = f"{len(codes)} billing codes are" if codes else "No billing code is"
    return (
        f"{found} named “{wanted.category}”; a service needs one.",
        "Under Admin > Features & Settings > Finance > Billing Codes make one recurring service code of that name.",
    )


def _told(wanted: WantedProduct, code: str, text: str, advice: str) -> Plan:
    return Plan(
        subject=wanted.identifier,
        findings=(Finding(key=wanted.identifier, code=code, text=text, advice=advice),),
    )


def _create_item(wanted: WantedProduct, code_id: str, period: str) -> PlanItem:
    body = {
        "name": wanted.identifier[:NAME_LENGTH],
        "description": wanted.description[:DESCRIPTION_LENGTH],
        "unitPrice": float(wanted.unit_price or 0),
        "periodType": number(period, "period"),
        "billingCodeID": number(code_id, "billing_code"),
        "isActive": True,
    }
    return PlanItem(
        key=wanted.identifier,
        action="create",
        record="product",
        record_id=None,
        before={},
        after={
            "identifier": wanted.identifier,
            "description": body["description"],
            "unit_price": str(body["unitPrice"]),
        },
        reason="The service is not in Autotask's catalogue yet.",
        request=Request(method="POST", path="/Services", body=body),
    )
