"""What Autotask has approved and posted of a contract, and what of that is on an invoice (asked by `Contracts`).

Facts: Autotask REST v1.0, `BillingItems`: made by approve-and-post alone, one for each period of a contract service
and one more for each change within it; `invoiceID` is set when it is invoiced. docs/psa/autotask.md tells the sources.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.options import day_of
from integrations.psa.autotask.periods import FIELDS as UNIT_FIELDS
from integrations.psa.autotask.periods import period_of
from integrations.psa.autotask.rest import Rest, Row, number, text_of
from integrations.psa.port import InvoicedLine
from integrations.psa.texts import plain_number

_FIELDS = (
    "id",
    "contractID",
    "contractServiceID",
    "contractServicePeriodID",
    "quantity",
    "totalAmount",
    "extendedPrice",
    "invoiceID",
    "itemDate",
)


def of_contract(rest: Rest, contract_id: str, first: date, last: date) -> list[InvoicedLine]:
    """Two reads: billing items of these days, and the units they stand for, which say until when."""
    of_it = filters.equals("contractID", number(contract_id, "agreement"))
    items = rest.all(
        "BillingItems",
        of_it,
        filters.since("itemDate", first),
        filters.until("itemDate", last),
        fields=_FIELDS,
    )
    items = [row for row in items if text_of(row, "contractServiceID")]
    if not items:
        return []
    units = rest.all("ContractServiceUnits", of_it, fields=UNIT_FIELDS)
    ends = {text_of(row, "id"): period.ends for row in units if (period := period_of(row))}
    return [_line(row, ends.get(text_of(row, "contractServicePeriodID"))) for row in items]


def _line(row: Row, ends: date | None) -> InvoicedLine:
    price = row.get("totalAmount") if row.get("totalAmount") is not None else row.get("extendedPrice")
    starts = day_of(row, "itemDate")
    return InvoicedLine(
        invoice_id=text_of(row, "invoiceID"),
        number=text_of(row, "invoiceID"),
        starts_on=starts.isoformat() if starts else "",
        ends_on=ends.isoformat() if ends else "",
        line_id=text_of(row, "contractServiceID"),
        quantity=_plain(row.get("quantity")),
        amount=_plain(price),
    )


def _plain(value: Any) -> str | None:
    try:
        amount = Decimal(str(value)) if value is not None else None
    except InvalidOperation:
        return None
    return plain_number(amount) if amount is not None and amount.is_finite() else None
