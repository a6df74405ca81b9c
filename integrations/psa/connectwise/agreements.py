"""Agreements of ConnectWise and their additions: what a customer is billed (asked for previews and pushes).

Facts: ConnectWise REST 2026.4, `/finance/agreements/{id}/additions`: no bulk call, PATCH sets absolute numbers,
nothing keeps several additions of one product apart but their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from integrations.psa.connectwise import invoices
from integrations.psa.connectwise.rest import Rest, Row, info_of, number, setting_reference, text_of
from integrations.psa.connectwise.tickets import moment
from integrations.psa.errors import Misconfigured
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import InvoicedLine, LineState
from integrations.psa.texts import cut_text, plain_number
from integrations.psa.wanted import WantedLine, WantedLines

INVOICE_DESCRIPTION_LENGTH = 6000
SERIAL_NUMBER_LENGTH = 50
_ROUNDING = Decimal("0.01")
_MOST_DIGITS = 30
_FIELDS = (
    "id,product/id,product/identifier,quantity,lessIncluded,unitPrice,serialNumber,invoiceDescription,"
    "description,effectiveDate,cancelledDate,agreementStatus,_info/lastUpdated,_info/updatedBy"
)
OVER = {"Cancelled", "Expired", "Inactive"}


def decimal_text(value: Any) -> str:
    """Amounts come as floats; their shortest text is the number that was meant."""
    try:
        amount = Decimal(str(value if value is not None else 0))
    except InvalidOperation:
        amount = Decimal(0)
    is_sane = amount.is_finite() and abs(amount.adjusted()) <= _MOST_DIGITS
    return plain_number(amount if is_sane else Decimal(0))


def line_state(row: Row) -> LineState:
    product = row.get("product")
    product = product if isinstance(product, dict) else {}
    info = info_of(row)
    return LineState(
        id=text_of(row, "id"),
        product_id=text_of(product, "id"),
        product_name=text_of(product, "identifier") or text_of(row, "description"),
        quantity=decimal_text(row.get("quantity")),
        less_included=decimal_text(row.get("lessIncluded")),
        serial_number=text_of(row, "serialNumber"),
        invoice_description=text_of(row, "invoiceDescription"),
        cancelled_on=text_of(row, "cancelledDate")[:10] or None,
        agreement_status=text_of(row, "agreementStatus"),
        unit_price=decimal_text(row["unitPrice"]) if row.get("unitPrice") is not None else None,
        changed_by=text_of(info, "updatedBy"),
        changed_at=text_of(info, "lastUpdated"),
    )


def is_over(line: LineState, now: datetime) -> bool:
    """Cancelled in the past. A line that ends today is over: it is not billed from today on."""
    ends = moment(line.cancelled_on) if line.cancelled_on else None
    return ends is not None and ends <= now


class Agreements:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def lines(self, agreement_id: str, *, on: date | None = None) -> list[LineState]:
        """As they are now: ConnectWise keeps no former quantities, so `on` is not used."""
        rows = self._rest.all(_additions(agreement_id), fields=_FIELDS)
        return [line_state(row) for row in rows]

    def invoiced(self, agreement_id: str, first: date, last: date) -> list[InvoicedLine]:
        return invoices.of_agreement(self._rest, agreement_id, first, last)

    def plan(self, wanted: WantedLines, now: datetime | None = None) -> Plan:
        """One read for each page of lines, which tell whether their agreement is over."""
        wanted = replace(wanted, lines=tuple(kept(line) for line in wanted.lines))
        lines = self.lines(wanted.agreement_id)
        current = [line for line in lines if not is_over(line, now or datetime.now(UTC))]
        claims = Counter(_claim(line, current) for line in wanted.lines)
        outcomes = [
            _planned(line, wanted, current, lines)
            if claims[_claim(line, current)] == 1
            else _claimed_twice(line, wanted)
            for line in wanted.lines
        ]
        if over := {line.agreement_status for line in lines} & OVER:
            reason = f"The agreement is {min(over).lower()}."
            outcomes = [
                _not_billable(outcome, wanted, reason) if isinstance(outcome, PlanItem) else outcome
                for outcome in outcomes
            ]
        return Plan.of(wanted.agreement_id, outcomes, {"lines": [_as_json(line) for line in lines]})


def kept(line: WantedLine) -> WantedLine:
    """With the quantity as ConnectWise keeps it; else it would differ, and be written, every time."""
    return replace(line, quantity=line.quantity.quantize(_ROUNDING, rounding=ROUND_HALF_UP))


def _not_billable(item: PlanItem, agreement: WantedLines, reason: str) -> Finding:
    return Finding(
        key=item.key,
        code="agreement_over",
        text=f"{agreement.agreement_name} cannot be billed on. {reason}",
        advice="Choose an active agreement that recurs, or correct this one in ConnectWise.",
    )


def _additions(agreement_id: str) -> str:
    return f"/finance/agreements/{number(agreement_id)}/additions"


def _as_json(line: LineState) -> dict[str, Any]:
    return {
        "id": line.id,
        "product_id": line.product_id,
        "product_name": line.product_name,
        "quantity": line.quantity,
        "less_included": line.less_included,
        "serial_number": line.serial_number,
        "cancelled_on": line.cancelled_on,
    }


def _planned(
    wanted: WantedLine, agreement: WantedLines, current: Sequence[LineState], every: Iterable[LineState]
) -> PlanItem | Finding | str:
    """What to do about one line: write, ask a person, or nothing (its key)."""
    matches = _matches(wanted, current)
    if len(matches) > 1:
        return _ambiguous(wanted, matches)
    if matches:
        return _update(wanted, agreement, matches[0]) or wanted.key
    if wanted.create_if_missing and not wanted.line_id:
        return _create(wanted, agreement)
    return _missing(wanted, agreement, every)


def _claim(wanted: WantedLine, current: Sequence[LineState]) -> tuple[str, ...]:
    """What a service lays claim to: the lines it may mean, else the new line it would get.

    Two services with one claim would overwrite each other's quantity for ever, also when one of them happens to find
    its own number there just now, or would each create a line that nobody can tell from the other's afterwards.
    """
    lines = [line.id for line in _matches(wanted, current)]
    if lines:
        return ("lines", *lines)
    if wanted.create_if_missing and not wanted.line_id:
        return ("new", wanted.product_id, wanted.serial_number)
    return ("none", wanted.key)


def _claimed_twice(wanted: WantedLine, agreement: WantedLines) -> Finding:
    return Finding(
        key=wanted.key,
        code="ambiguous_line",
        text=f"The line for {wanted.product_name} on {agreement.agreement_name} is meant by more than one service.",
        advice="Give each service its own line, or add the services up under one cross-reference.",
    )


def _matches(wanted: WantedLine, current: Sequence[LineState]) -> list[LineState]:
    if wanted.line_id:
        return [line for line in current if line.id == wanted.line_id]
    same_product = [line for line in current if line.product_id == wanted.product_id]
    exact = [line for line in same_product if line.serial_number == wanted.serial_number]
    return exact or same_product


def _update(wanted: WantedLine, agreement: WantedLines, line: LineState) -> PlanItem | None:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    changes: list[dict[str, Any]] = []
    if Decimal(line.quantity) != wanted.quantity:
        before["quantity"], after["quantity"] = line.quantity, plain_number(wanted.quantity)
        changes.append({"op": "replace", "path": "quantity", "value": json_number(wanted.quantity)})
    text = (
        None
        if wanted.invoice_description is None
        else cut_text(wanted.invoice_description, INVOICE_DESCRIPTION_LENGTH)
    )
    if text is not None and text != line.invoice_description:
        before["invoice_description"], after["invoice_description"] = line.invoice_description, text
        changes.append({"op": "replace", "path": "invoiceDescription", "value": text})
    if wanted.ends_on is not None and line.cancelled_on is None:
        before["cancelled_on"], after["cancelled_on"] = None, wanted.ends_on.isoformat()
        day = f"{wanted.ends_on.isoformat()}T00:00:00Z"
        changes.append({"op": "replace", "path": "cancelledDate", "value": day})
    if not changes:
        return None
    return PlanItem(
        key=wanted.key,
        action="update",
        record="agreement line",
        record_id=line.id,
        before=before,
        after=after,
        reason=f"{line.product_name or wanted.product_name} on {agreement.agreement_name} differs from the usage.",
        request=Request(
            method="PATCH", path=f"{_additions(agreement.agreement_id)}/{number(line.id)}", body=changes
        ),
    )


def _create(wanted: WantedLine, agreement: WantedLines) -> PlanItem:
    body = {
        "product": setting_reference("product", wanted.product_id),
        "quantity": json_number(wanted.quantity),
        "billCustomer": "Billable",
        **({"serialNumber": wanted.serial_number[:SERIAL_NUMBER_LENGTH]} if wanted.serial_number else {}),
        **(
            {"invoiceDescription": cut_text(wanted.invoice_description, INVOICE_DESCRIPTION_LENGTH)}
            if wanted.invoice_description
            else {}
        ),
    }
    return PlanItem(
        key=wanted.key,
        action="create",
        record="agreement line",
        record_id=None,
        before={},
        after={
            "product_id": wanted.product_id,
            "product_name": wanted.product_name,
            "quantity": plain_number(wanted.quantity),
            "serial_number": wanted.serial_number,
        },
        reason=f"{wanted.product_name} is used and not yet on {agreement.agreement_name}.",
        request=Request(method="POST", path=_additions(agreement.agreement_id), body=body),
    )


def json_number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _ambiguous(wanted: WantedLine, matches: Sequence[LineState]) -> Finding:
    ids = ", ".join(line.id for line in matches)
    return Finding(
        key=wanted.key,
        code="ambiguous_line",
        text=f"{len(matches)} agreement lines have the product {wanted.product_name} (lines {ids}).",
        advice="Choose the line that this service is billed on.",
    )


def _missing(wanted: WantedLine, agreement: WantedLines, every: Iterable[LineState]) -> Finding:
    gone = [line for line in every if line.id == wanted.line_id or line.product_id == wanted.product_id]
    was = (
        f" It had one that was cancelled on {gone[0].cancelled_on}." if gone and gone[0].cancelled_on else ""
    )
    return Finding(
        key=wanted.key,
        code="line_missing",
        text=f"{agreement.agreement_name} has no line for {wanted.product_name}.{was}",
        advice="Add the product to the agreement in ConnectWise, or allow that missing lines are created.",
    )


def changed(row: Row) -> dict[str, Any]:
    line = line_state(row)
    return {
        "quantity": line.quantity,
        "invoice_description": line.invoice_description,
        "product_id": line.product_id,
    }


def require_taken(row: Row, after: Any) -> None:
    """A PATCH may answer 200 and change nothing (nested paths do), so the answer is compared."""
    wanted = after.get("quantity")
    if wanted is None or "quantity" not in row:
        return
    if abs(Decimal(decimal_text(row["quantity"])) - Decimal(wanted)) > _ROUNDING:
        raise Misconfigured(
            f"ConnectWise kept the quantity {decimal_text(row['quantity'])} in place of {wanted}.",
            field="agreement",
            advice="Look at the agreement line in ConnectWise: a rule or an approval may hold it.",
        )
