"""Invoices of agreements, period by period, and what an invoice protects (ConnectWise REST 2026.4, /finance).

`POST /finance/agreements/{id}/invoice` bills the period that is due; a person posts the invoice. What the real PSA
refuses afterwards is not documented: by default an addition that was invoiced keeps its product and first day and
cannot be deleted, while its quantity may change and is taken by the next invoice; a posted invoice stays as it is.
"""

from calendar import monthrange
from datetime import date, timedelta
from typing import Any

from integrations.sandbox.connectwise.answers import Refused, field_error, invalid, not_found
from integrations.sandbox.connectwise.calls import Call, page_of
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.protecting import INVOICED_UNTIL, PERIOD, POSTED
from integrations.sandbox.connectwise.store import Record

Result = tuple[int, Any]
_MONTHS = {"Monthly": 1, "BiMonthly": 2, "Quarterly": 3, "SemiAnnual": 6, "Yearly": 12}
_WEEKS = {"Weekly": 1, "BiWeekly": 2}
_DAY = timedelta(days=1)
DUE_AFTER = timedelta(days=30)


def invoice_agreement(desk: Desk, call: Call) -> Result:
    """Answers the id of the new invoice alone."""
    return 201, bill(desk, _agreement(desk, call.ids[0]))["id"]


def bill(desk: Desk, agreement: Record) -> Record:
    """Make the invoice of the period that is due; raises `Refused` when there is nothing to bill any more."""
    if agreement["agreementStatus"] != "Active":
        raise _not_billable("Only active agreements can be invoiced.")
    first, last = due_period(desk, agreement)
    if first.isoformat() > agreement.get("endDate", "9999")[:10]:
        raise _not_billable("The agreement has ended.")
    billed = [one for one in desk.store.under("additions", agreement["id"]) if _is_billed(one, first, last)]
    if agreement.get("billOneTimeFlag") and invoices_of(desk, agreement["id"]):
        raise _not_billable("A one-time agreement is invoiced once.")
    amount = round(agreement.get("billAmount", 0.0) + sum(one["extPrice"] for one in billed), 2)
    row_id = desk.store.new_id("invoices")
    at = first.isoformat() + "T00:00:00Z"
    invoice = {
        "id": row_id,
        "invoiceNumber": str(row_id),
        "type": "Agreement",
        "status": desk.store.reference("billingStatuses", _status(desk, closed=False)),
        "company": agreement["company"],
        "billToCompany": agreement.get("billToCompany", agreement["company"]),
        "applyToType": "Agreement",
        "applyToId": agreement["id"],
        "agreement": desk.store.reference("agreements", agreement["id"]),
        "date": at,
        "dueDate": (first + DUE_AFTER).isoformat() + "T00:00:00Z",
        "agreementAmount": amount,
        "subtotal": amount,
        "total": amount,
        "salesTax": 0.0,
        "payments": 0.0,
        "credits": 0.0,
        "balance": amount,
        PERIOD: [first.isoformat(), last.isoformat()],
    }
    saved = desk.save_new("invoices", invoice)
    for addition in billed:
        desk.save("additions", {**addition, INVOICED_UNTIL: last.isoformat()})
    following = (last + _DAY).isoformat() + "T00:00:00Z"
    desk.save("agreements", {**agreement, "nextInvoiceDate": following})
    return saved


def post(desk: Desk, invoice: Record) -> Record:
    """What a person does to an invoice that is right: closed, and no longer to be changed."""
    closed = desk.store.reference("billingStatuses", _status(desk, closed=True))
    return desk.save("invoices", {**invoice, "status": closed, "closedBy": desk.actor, POSTED: True})


def unpost(desk: Desk, invoice: Record) -> Record:
    kept = {name: value for name, value in invoice.items() if name not in (POSTED, "closedBy")}
    opened = desk.store.reference("billingStatuses", _status(desk, closed=False))
    return desk.save("invoices", {**kept, "status": opened})


def void(desk: Desk, invoice: Record) -> None:
    """After an invoice is gone its period is due again, and its additions are free unless another holds them."""
    agreement = desk.store.get("agreements", invoice.get("applyToId") or 0)
    if agreement is None or PERIOD not in invoice:
        return
    left = [one for one in invoices_of(desk, agreement["id"]) if one["id"] != invoice["id"]]
    until = max((one[PERIOD][1] for one in left), default="")
    for addition in desk.store.under("additions", agreement["id"]):
        freed = {name: value for name, value in addition.items() if name != INVOICED_UNTIL}
        held = {INVOICED_UNTIL: until} if until and INVOICED_UNTIL in addition else {}
        desk.store.put("additions", {**freed, **held})
    first = min(invoice[PERIOD][0], agreement.get("nextInvoiceDate", "9999")[:10])
    desk.save("agreements", {**agreement, "nextInvoiceDate": first + "T00:00:00Z"})


def due_period(desk: Desk, agreement: Record) -> tuple[date, date]:
    """First and last day of the period that the next invoice is for."""
    start = agreement.get("nextInvoiceDate") or desk.now()[:8] + "01"
    first = date.fromisoformat(start[:10])
    cycle = desk.store.get("billingCycles", (agreement.get("billingCycle") or {}).get("id", 0)) or {}
    option = cycle.get("billingOptions", "Monthly")
    if option in _WEEKS:
        return first, first + timedelta(weeks=_WEEKS[option]) - _DAY
    return first, _months_after(first, _MONTHS.get(option, 1)) - _DAY


def invoices_of(desk: Desk, agreement_id: int) -> list[Record]:
    return [
        one for one in desk.store.all("invoices") if one.get("applyToId") == agreement_id and PERIOD in one
    ]


def recaps(desk: Desk, call: Call) -> Result:
    rows = page_of(list(desk.store.all("agreements")), call.wish)
    return 200, [_recap(desk, agreement) for agreement in rows]


def recap(desk: Desk, call: Call) -> Result:
    return 200, _recap(desk, _agreement(desk, call.ids[0]))


def _recap(desk: Desk, agreement: Record) -> Record:
    first, last = due_period(desk, agreement)
    due = [one for one in desk.store.under("additions", agreement["id"]) if _is_billed(one, first, last)]
    found: Record = {
        "id": agreement["id"],
        "name": agreement["name"],
        "companyName": agreement["company"]["name"],
        "agreementStatus": agreement["agreementStatus"],
        "adjustmentAmount": sum(
            one.get("amount", 0.0) for one in desk.store.under("adjustments", agreement["id"])
        ),
        "nextInvoiceDate": first.isoformat() + "T00:00:00Z",
        "nextInvoiceAmount": round(agreement.get("billAmount", 0.0) + sum(one["extPrice"] for one in due), 2),
    }
    if past := invoices_of(desk, agreement["id"]):
        last_one = past[-1]
        found |= {"lastInvoiceNumber": last_one["invoiceNumber"], "lastInvoiceDate": last_one["date"]}
        found["lastInvoiceAmount"] = f"{last_one['total']:.2f}"
    return found


def _agreement(desk: Desk, row_id: int) -> Record:
    found = desk.store.get("agreements", row_id)
    if found is None:
        raise not_found("agreement", row_id)
    return found


def _is_billed(addition: Record, first: date, last: date) -> bool:
    begins = addition.get("effectiveDate", "")[:10] <= last.isoformat()
    goes_on = addition.get("cancelledDate", "9999")[:10] > first.isoformat()
    return begins and goes_on and addition["billCustomer"] == "Billable"


def _status(desk: Desk, *, closed: bool) -> int:
    rows = desk.store.all("billingStatuses")
    return next(int(row["id"]) for row in rows if bool(row.get("closedFlag")) is closed)


def _not_billable(message: str) -> Refused:
    return invalid("agreement", [field_error("InvalidObject", message, "agreement", "id")])


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
