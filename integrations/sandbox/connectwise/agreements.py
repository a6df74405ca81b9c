"""What agreements and their additions compute for themselves (ConnectWise REST 2026.4, /finance)."""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.protecting import refuse_change_of_addition
from integrations.sandbox.connectwise.store import Record


def finish_addition(desk: Desk, record: Record, before: Record | None) -> Record:
    """Prices and texts default to the product's; what is billed is what exceeds the included units."""
    refuse_change_of_addition(desk, record, before)
    product = desk.store.get("catalog", record["product"]["id"]) or {}
    agreement = desk.store.get("agreements", record["agreementId"]) or {}
    defaults: Record = {
        "quantity": 1.0 if before is None else 0.0,
        "lessIncluded": 0.0,
        "unitPrice": product.get("price", 0.0),
        "unitCost": product.get("cost", 0.0),
        "effectiveDate": desk.midnight(),
        "taxableFlag": False,
        "description": product.get("description", ""),
        "invoiceDescription": product.get("customerDescription", ""),
        "uom": product.get("unitOfMeasure", {}).get("name", ""),
        "prorateCurrentPeriodFlag": False,
        "agreementStatus": agreement.get("agreementStatus", "Active"),
    }
    full = {**defaults, **record}
    return {**full, **_amounts(desk, full)}


def _amounts(desk: Desk, addition: Record) -> Record:
    included = addition["lessIncluded"] if desk.settings.switches.billed_quantity == "difference" else 0.0
    billed = max(addition["quantity"] - included, 0.0)
    charged = billed if addition["billCustomer"] == "Billable" else 0.0
    price = round(charged * addition["unitPrice"], 2)
    cost = round(addition["quantity"] * addition["unitCost"], 2)
    return {"billedQuantity": billed, "extPrice": price, "extCost": cost, "margin": round(price - cost, 2)}


def finish_agreement(desk: Desk, record: Record, before: Record | None) -> Record:
    """Billing rules default to the type's; the status follows from cancellation and dates."""
    kind = desk.store.get("agreementTypes", record["type"]["id"]) or {}
    taken = ("billOneTimeFlag", "billingCycle", "invoicingCycle", "prorateFlag", "sla")
    defaults: Record = {
        "startDate": desk.midnight(),
        "noEndingDateFlag": "endDate" not in record,
        "cancelledFlag": False,
        "billAmount": 0.0,
        "periodType": "Current",
        **{name: kind[name] for name in taken if name in kind},
    }
    full = {**defaults, **record} if before is None else {"billAmount": 0.0, "cancelledFlag": False, **record}
    return {**full, "agreementStatus": _status_of(full, desk.now()[:10])}


def _status_of(agreement: Record, today: str) -> str:
    if agreement["cancelledFlag"] and agreement.get("dateCancelled", "")[:10] <= today:
        return "Cancelled"
    return "Expired" if agreement.get("endDate", "9999")[:10] < today else "Active"


def after_agreement(desk: Desk, record: Record, given: Mapping[str, Any]) -> None:
    """Additions show the status of their agreement."""
    for addition in desk.store.under("additions", record["id"]):
        if addition.get("agreementStatus") != record["agreementStatus"]:
            desk.save("additions", {**addition, "agreementStatus": record["agreementStatus"]})
