"""What an agreement addition computes for itself (ConnectWise REST 2026.4, /finance/agreements/{id}/additions)."""

from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record


def finish_addition(desk: Desk, record: Record, before: Record | None) -> Record:
    """Prices and texts default to the product's; what is billed is what exceeds the included units."""
    product = desk.store.get("catalog", record["product"]["id"]) or {}
    agreement = desk.store.get("agreements", record["agreementId"]) or {}
    defaults: Record = {
        "quantity": 1.0 if before is None else 0.0,
        "lessIncluded": 0.0,
        "unitPrice": product.get("price", 0.0),
        "unitCost": product.get("cost", 0.0),
        "effectiveDate": desk.now()[:10] + "T00:00:00Z",
        "taxableFlag": False,
        "description": product.get("description", ""),
        "invoiceDescription": product.get("customerDescription", ""),
        "uom": product.get("unitOfMeasure", {}).get("name", ""),
        "prorateCurrentPeriodFlag": False,
        "agreementStatus": agreement.get("agreementStatus", "Active"),
    }
    full = {**defaults, **record}
    return {**full, **_amounts(full)}


def _amounts(addition: Record) -> Record:
    billed = max(addition["quantity"] - addition["lessIncluded"], 0.0)
    charged = billed if addition["billCustomer"] == "Billable" else 0.0
    price = round(charged * addition["unitPrice"], 2)
    cost = round(addition["quantity"] * addition["unitCost"], 2)
    return {"billedQuantity": billed, "extPrice": price, "extCost": cost, "margin": round(price - cost, 2)}
