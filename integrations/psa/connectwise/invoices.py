"""Invoices of ConnectWise agreements: number, date and amount (asked by `Agreements.invoiced`).

Facts: ConnectWise REST 2026.4, `/finance/invoices`: an invoice names the agreement it is for (`applyToType`,
`applyToId`) and its amounts. Which additions are on it, and with how many units, no call tells.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import Rest, Row, number, text_of
from integrations.psa.port import InvoicedLine
from integrations.psa.texts import plain_number

_FIELDS = (
    "id,invoiceNumber,date,applyToType,applyToId,agreementAmount,subtotal,currency/currencyCode,currency/name"
)


def of_agreement(rest: Rest, agreement_id: str, first: date, last: date) -> list[InvoicedLine]:
    """Whole invoices dated in these days, without quantities."""
    since = datetime.combine(first, time(), UTC)
    wanted = conditions.both(
        conditions.equals("applyToId", number(agreement_id)), conditions.since("date", since)
    )
    rows = rest.all("/finance/invoices", conditions=wanted, fields=_FIELDS)
    found = [_invoice(row) for row in rows if row.get("applyToType") == "Agreement"]
    return [one for one in found if first.isoformat() <= one.starts_on <= last.isoformat()]


def _invoice(row: Row) -> InvoicedLine:
    currency = row.get("currency")
    currency = currency if isinstance(currency, dict) else {}
    amount = row.get("agreementAmount") if row.get("agreementAmount") is not None else row.get("subtotal")
    return InvoicedLine(
        invoice_id=text_of(row, "id"),
        number=text_of(row, "invoiceNumber"),
        starts_on=text_of(row, "date")[:10],
        amount=_amount(amount),
        currency=text_of(currency, "currencyCode") or text_of(currency, "name"),
    )


def _amount(value: Any) -> str | None:
    try:
        amount = Decimal(str(value)) if value is not None else None
    except InvalidOperation:
        return None
    return plain_number(amount) if amount is not None and amount.is_finite() else None
