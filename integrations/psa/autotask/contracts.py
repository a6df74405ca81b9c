"""Contracts of Autotask and their services: what a customer is billed (asked for previews and pushes).

A plan compares with the units of the day that a change can take effect, and asks for the difference; how that is
written without ever doubling it stands in `adjustments.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.psa.autotask import billingitems, filters
from integrations.psa.autotask.adjustments import ABSENT, Adjustments
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.options import contract_problem, contract_types, day_of
from integrations.psa.autotask.periods import FIELDS as UNIT_FIELDS
from integrations.psa.autotask.periods import (
    Change,
    Period,
    Problem,
    by_line,
    change_on,
    period_on,
    uncountable,
)
from integrations.psa.autotask.rest import Rest, Row, number, text_of, whole
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import InvoicedLine, LineState
from integrations.psa.texts import cut_text, plain_number
from integrations.psa.wanted import WantedLine, WantedLines

INVOICE_DESCRIPTION_LENGTH = 1_000
LINE = "agreement line"
_SERVICE_FIELDS = ("id", "contractID", "serviceID", "unitPrice", "invoiceDescription", "internalDescription")


class Contracts:
    def __init__(
        self, rest: Rest, metadata: Metadata, adjustments: Adjustments, clock: Callable[[], float] = time.time
    ) -> None:
        self._rest = rest
        self._metadata = metadata
        self._adjustments = adjustments
        self._clock = clock

    # --- Reading ------------------------------------------------------------------------------------------------

    def lines(self, contract_id: str, *, on: date | None = None) -> list[LineState]:
        """Three reads: services, their units, their names. Units of past days stay readable."""
        lines, periods = self._read(contract_id)
        names = self._names(lines)
        today = on or self._today()
        return [
            replace(_line_state(row, periods.get(text_of(row, "id"), []), today), product_name=name)
            for row, name in ((row, names.get(text_of(row, "serviceID"), "")) for row in lines)
        ]

    def invoiced(self, contract_id: str, first: date, last: date) -> list[InvoicedLine]:
        return billingitems.of_contract(self._rest, contract_id, first, last)

    def _read(self, contract_id: str) -> tuple[list[Row], dict[str, list[Period]]]:
        of_contract = filters.equals("contractID", number(contract_id, "agreement"))
        lines = self._rest.all("ContractServices", of_contract, fields=_SERVICE_FIELDS)
        return lines, by_line(self._rest.all("ContractServiceUnits", of_contract, fields=UNIT_FIELDS), lines)

    def _names(self, lines: Sequence[Row]) -> dict[str, str]:
        ids = sorted({whole(row.get("serviceID")) for row in lines})
        names: dict[str, str] = {}
        for start in range(0, len(ids), filters.MOST_AT_ONCE):
            some = filters.one_of("id", ids[start : start + filters.MOST_AT_ONCE])
            for row in self._rest.all("Services", some, fields=("id", "name")):
                names[text_of(row, "id")] = text_of(row, "name")
        return names

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    # --- Planning -----------------------------------------------------------------------------------------------

    def plan(self, wanted: WantedLines) -> Plan:
        """Three reads, however many lines: the contract, its services, their units."""
        today = self._today()
        contract = self._rest.get("Contracts", wanted.agreement_id)
        if problem := contract_problem(contract, self._types(), today):
            return _unusable(wanted, *problem)
        lines, periods = self._read(wanted.agreement_id)
        planner = _Planner(self._adjustments, wanted, lines, periods, today, contract)
        outcomes = [planner.planned(line) for line in wanted.lines]
        return Plan(
            subject=wanted.agreement_id,
            items=tuple(item for group, _ in outcomes for item in group),
            unchanged=tuple(
                line.key
                for line, (group, told) in zip(wanted.lines, outcomes, strict=True)
                if not group and not told
            ),
            findings=tuple(finding for _, told in outcomes for finding in told),
            found={
                "lines": [
                    _as_json(_line_state(row, periods.get(text_of(row, "id"), []), today)) for row in lines
                ]
            },
        )

    def _types(self) -> Mapping[str, str]:
        return contract_types(self._metadata)


def _line_state(row: Row, periods: Sequence[Period], today: date) -> LineState:
    current = period_on(periods, today)
    is_over = bool(periods) and all(period.ends < today for period in periods)
    return LineState(
        id=text_of(row, "id"),
        product_id=text_of(row, "serviceID"),
        product_name="",
        quantity=str(current.units if current else 0),
        less_included="0",
        serial_number="",
        invoice_description=text_of(row, "invoiceDescription"),
        cancelled_on=max(period.ends for period in periods).isoformat() if is_over else None,
        unit_price=_price(row.get("unitPrice")),
    )


def _price(value: Any) -> str | None:
    """The price of one unit. That of a unit row is for all its units together (seen), so it is not used."""
    try:
        amount = Decimal(str(value)) if value is not None else None
    except InvalidOperation:
        return None
    if amount is None or not amount.is_finite():
        return None
    return plain_number(amount)


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


def _unusable(wanted: WantedLines, code: str, reason: str) -> Plan:
    findings = tuple(
        Finding(
            key=line.key,
            code=code,
            text=f"{wanted.agreement_name} cannot be billed on. {reason}",
            advice="Choose an active contract of the type Recurring Service, or correct this one in Autotask.",
        )
        for line in wanted.lines
    )
    return Plan(subject=wanted.agreement_id, findings=findings)


Outcome = tuple[tuple[PlanItem, ...], tuple[Finding, ...]]


class _Planner:
    """What to do about each wanted line of one contract, as it was read."""

    def __init__(
        self,
        adjustments: Adjustments,
        wanted: WantedLines,
        lines: Sequence[Row],
        periods: Mapping[str, list[Period]],
        today: date,
        contract: Row,
    ) -> None:
        self._adjustments = adjustments
        self._wanted = wanted
        self._lines = lines
        self._periods = periods
        self._today = today
        self._first_day, self._last_day = day_of(contract, "startDate"), day_of(contract, "endDate")
        self._claims = Counter(text_of(row, "id") for line in wanted.lines for row in self._matches(line))
        self._creations = Counter(line.product_id for line in wanted.lines if not self._matches(line))

    def planned(self, line: WantedLine) -> Outcome:
        if problem := uncountable(line.quantity):
            return (), (_finding(line, problem),)
        matches = self._matches(line)
        if len(matches) > 1:
            ids = ", ".join(text_of(row, "id") for row in matches)
            text = f"{self._wanted.agreement_name} has {line.product_name} {len(matches)} times (services {ids})."
            advice = "Choose the contract service that this one is billed on."
            return (), (_finding(line, Problem(code="ambiguous_line", text=text, advice=advice)),)
        if not matches:
            return self._missing(line)
        if self._claims[text_of(matches[0], "id")] > 1:
            return (), (_finding(line, _claimed_twice(f"Contract service {text_of(matches[0], 'id')}")),)
        return self._update(line, matches[0])

    def _matches(self, line: WantedLine) -> list[Row]:
        name, value = ("id", line.line_id) if line.line_id else ("serviceID", line.product_id)
        return [row for row in self._lines if text_of(row, name) == value]

    def _update(self, line: WantedLine, row: Row) -> Outcome:
        line_id = text_of(row, "id")
        change = change_on(
            self._periods.get(line_id, []), self._today, self._first_day, self._last_day, line.effective_on
        )
        text = self._description(line, row)
        items = () if text is None else (self._describe(line, row, text),)
        if isinstance(change, Problem):
            return (), (_finding(line, change),)
        body = {"contractID": number(self._wanted.agreement_id), "contractServiceID": number(line_id)}
        return self._adjustment(line, line_id, body, change, items)

    def _adjustment(
        self,
        line: WantedLine,
        line_id: str,
        body: dict[str, Any],
        change: Change,
        items: tuple[PlanItem, ...],
    ) -> Outcome:
        wanted = int(line.quantity)
        doubted = self._adjustments.doubted(body)
        if wanted == change.units:
            if doubted and self._adjustments.doubt(body) is None:
                self._adjustments.settle(body)
            return items, ()
        if doubted and (finding := self._in_doubt(line, body, doubted, change.units)):
            return (), (finding,)
        request = {**body, "effectiveDate": change.on.isoformat(), "unitChange": wanted - change.units}
        item = PlanItem(
            key=line.key,
            action="update",
            record=LINE,
            record_id=line_id,
            before={"quantity": str(change.units), "effective_on": change.on.isoformat()},
            after={"quantity": str(wanted), "effective_on": change.on.isoformat()},
            reason=f"{line.product_name} on {self._wanted.agreement_name} differs from the usage.",
            request=Request(method="POST", path=_adjustments(self._wanted.agreement_id), body=request),
        )
        told = (_later(line, change),) if change.is_after_posted else ()
        return (item, *(replace(other, key=f"{line.key}:description") for other in items)), told

    def _in_doubt(
        self, line: WantedLine, body: Mapping[str, Any], doubted: Mapping[str, Any], units: int
    ) -> Finding | None:
        """None: the units tell what became of the earlier change, and it can no longer be carried out."""
        if waiting := self._adjustments.doubt(body):
            return _finding(line, Problem(code="units_unsettled", text=waiting.text, advice=waiting.advice))
        if str(units) in (doubted.get("before"), doubted.get("after")):
            self._adjustments.settle(body)
            return None
        text = (
            f"A change of {line.product_name} from {doubted.get('before')} to {doubted.get('after')} units got no"
            f" answer, and Autotask now shows {units}: whether it was made cannot be told."
        )
        advice = "Look at the contract's notes for the change, set the units by hand, and synchronize again tomorrow."
        return _finding(line, Problem(code="units_in_doubt", text=text, advice=advice))

    def _description(self, line: WantedLine, row: Row) -> str | None:
        if line.invoice_description is None:
            return None
        text = cut_text(line.invoice_description, INVOICE_DESCRIPTION_LENGTH)
        return text if text != text_of(row, "invoiceDescription") else None

    def _describe(self, line: WantedLine, row: Row, text: str) -> PlanItem:
        """A second write, repeatable without harm."""
        line_id = text_of(row, "id")
        return PlanItem(
            key=line.key,
            action="update",
            record=LINE,
            record_id=line_id,
            before={"invoice_description": text_of(row, "invoiceDescription")},
            after={"invoice_description": text},
            reason=f"The invoice text of {line.product_name} tells the usage.",
            request=Request(
                method="PATCH",
                path=f"/Contracts/{number(self._wanted.agreement_id)}/Services",
                body={"id": number(line_id), "invoiceDescription": text},
            ),
        )

    def _missing(self, line: WantedLine) -> Outcome:
        if line.line_id or not line.create_if_missing:
            text = f"{self._wanted.agreement_name} has no service {line.product_name}."
            advice = "Add the service to the contract in Autotask, or allow that missing lines are created."
            return (), (_finding(line, Problem(code="line_missing", text=text, advice=advice)),)
        if self._creations[line.product_id] > 1:
            return (), (_finding(line, _claimed_twice(f"New service {line.product_name}")),)
        if not line.quantity:
            return (), ()
        body = {
            "contractID": number(self._wanted.agreement_id),
            "serviceID": number(line.product_id, "product"),
        }
        if doubted := self._adjustments.doubted(body):
            if waiting := self._adjustments.doubt(body):
                return (), (
                    _finding(line, Problem(code="units_unsettled", text=waiting.text, advice=waiting.advice)),
                )
            if doubted.get("before") == ABSENT:
                self._adjustments.settle(body)
        return (self._create(line, body),), ()

    def _create(self, line: WantedLine, body: dict[str, Any]) -> PlanItem:
        """An adjustment of a service that the contract lacks adds it, at the catalogue's price (documented)."""
        asked = line.effective_on
        day = (asked if asked and asked <= self._today else self._today).isoformat()
        return PlanItem(
            key=line.key,
            action="create",
            record=LINE,
            record_id=None,
            before={"quantity": ABSENT},
            after={
                "product_id": line.product_id,
                "product_name": line.product_name,
                "quantity": str(int(line.quantity)),
                "effective_on": day,
            },
            reason=f"{line.product_name} is used and not yet on {self._wanted.agreement_name}.",
            request=Request(
                method="POST",
                path=_adjustments(self._wanted.agreement_id),
                body={**body, "effectiveDate": day, "unitChange": int(line.quantity)},
            ),
        )


def _adjustments(contract_id: str) -> str:
    return f"/Contracts/{number(contract_id)}/ServiceAdjustments"


def _finding(line: WantedLine, problem: Problem) -> Finding:
    return Finding(key=line.key, code=problem.code, text=problem.text, advice=problem.advice)


def _later(line: WantedLine, change: Change) -> Finding:
    return Finding(
        key=line.key,
        code="period_posted",
        text=f"The current period is approved and posted; {line.product_name} changes on {change.on}.",
        advice="Un-post the period in Autotask if it has to be corrected.",
    )


def _claimed_twice(what: str) -> Problem:
    """Two services on one line would adjust each other's units for ever: that is for a person."""
    return Problem(
        code="ambiguous_line",
        text=f"{what} is meant by more than one service.",
        advice="Give each service its own line, or add the services up under one cross-reference.",
    )
