"""Contracts of Autotask and their services: what a customer is billed (asked for previews and pushes).

Units of a service cannot be set. They stand in read-only rows, one for each period and for each change within one, and
are changed by adjustments: "from this day on so many more or fewer". An adjustment is not idempotent, cannot be read
back or deleted, and answers nothing. So:

* a plan compares with the units of the day the change would take effect, and asks for the difference;
* `adjust` reads the units once more, immediately before it writes, and refuses when they are not the plan's `before`;
* what is on its way is noted on the shared connection before it is sent; after an unknown outcome nothing more is sent
  for that service until the call can no longer be carried out, and then only when the units tell what became of it.

Facts and their sources: docs/psa/autotask.md, "Contracts".
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.options import contract_problem, contract_types, day_of
from integrations.psa.autotask.rest import Rest, Row, number, text_of, whole
from integrations.psa.errors import PsaError, Unsettled
from integrations.psa.plan import AppliedItem, Finding, Plan, PlanItem, Request
from integrations.psa.port import LineState
from integrations.psa.wanted import WantedLine, WantedLines

INVOICE_DESCRIPTION_LENGTH = 1_000
LINE = "agreement line"
ABSENT = "absent"  # `before` of a service that the contract does not have yet
# A call may run for about five minutes before Autotask ends it (seen): until then it may still be carried out.
SETTLED_AFTER = 360.0
DOUBT_KEPT_FOR = 24 * 3600.0
_SERVICE_FIELDS = ("id", "contractID", "serviceID", "unitPrice", "invoiceDescription", "internalDescription")
_UNIT_FIELDS = (
    "id",
    "contractID",
    "contractServiceID",
    "serviceID",
    "startDate",
    "endDate",
    "units",
    "approveAndPostDate",
)


@dataclass(frozen=True, kw_only=True)
class Period:
    """One row of ContractServiceUnits: so many units from one day to another, both included."""

    line_id: str
    service_id: str
    starts: date
    ends: date
    units: int
    is_posted: bool


@dataclass(frozen=True, kw_only=True)
class Change:
    """From when a change of a line can take effect, and how many units it has from that day on."""

    on: date
    units: int
    is_after_posted: bool = False


@dataclass(frozen=True, kw_only=True)
class Problem:
    code: str
    text: str
    advice: str


def period_of(row: Row) -> Period | None:
    starts, ends = day_of(row, "startDate"), day_of(row, "endDate")
    if starts is None or ends is None:
        return None
    return Period(
        line_id=text_of(row, "contractServiceID"),
        service_id=text_of(row, "serviceID"),
        starts=starts,
        ends=ends,
        units=whole(row.get("units")),
        is_posted=bool(text_of(row, "approveAndPostDate")),
    )


def period_on(periods: Sequence[Period], day: date) -> Period | None:
    """The row that holds on that day: of several, the one that began last. Rows of the future do not count."""
    holding = [period for period in periods if period.starts <= day <= period.ends]
    return max(holding, key=lambda period: period.starts, default=None)


def change_on(periods: Sequence[Period], today: date, last_day: date | None) -> Change | Problem:
    """When a change can take effect: today, or after what is approved and posted already."""
    if not periods:
        return Change(on=today, units=0)
    current = period_on(periods, today)
    if current is None:
        return _not_running(periods, today)
    if unclear := _unclear(periods, current, today):
        return unclear
    return (
        _after_posted(periods, current, last_day)
        if current.is_posted
        else Change(on=today, units=current.units)
    )


def units_from(periods: Sequence[Period], day: date) -> int | Problem:
    """How many units there are from that day on, as long as that day can still be changed."""
    current = period_on(periods, day)
    if current is None:
        before = period_on(periods, day - timedelta(days=1))
        return before.units if before else _not_running(periods, day)
    if current.is_posted:
        return Problem(code="period_posted", text="Its period has been approved and posted.", advice="")
    return _unclear(periods, current, day) or current.units


def _unclear(periods: Sequence[Period], current: Period, day: date) -> Problem | None:
    rivals = {period.units for period in periods if period.starts == current.starts and period.ends >= day}
    if len(rivals) == 1:
        return None
    return Problem(
        code="units_unclear",
        text=f"Autotask shows {len(rivals)} different numbers of units from {current.starts} on.",
        advice="Look at the service's periods in the contract.",
    )


def _after_posted(periods: Sequence[Period], current: Period, last_day: date | None) -> Change | Problem:
    later = sorted(
        (period for period in periods if period.starts > current.starts), key=lambda period: period.starts
    )
    for period in later:
        if not period.is_posted:
            return Change(on=period.starts, units=period.units, is_after_posted=True)
        current = period
    following = current.ends + timedelta(days=1)
    if last_day and following > last_day:
        return Problem(
            code="period_posted",
            text="The contract's last period is approved and posted already.",
            advice="Un-post it in Autotask, or extend the contract.",
        )
    return Change(on=following, units=current.units, is_after_posted=True)


def _not_running(periods: Sequence[Period], today: date) -> Problem:
    if all(period.starts > today for period in periods):
        first = min(period.starts for period in periods)
        return Problem(
            code="line_out_of_range",
            text=f"The service begins on {first}.",
            advice="It is pushed from that day on.",
        )
    last = max(period.ends for period in periods)
    return Problem(
        code="line_cancelled",
        text=f"The service has no units today; its last period ended on {last}.",
        advice="Add the service to the contract again in Autotask, or choose the contract that follows it.",
    )


class Contracts:
    def __init__(self, rest: Rest, metadata: Metadata, clock: Callable[[], float] = time.time) -> None:
        self._rest = rest
        self._metadata = metadata
        self._clock = clock

    # --- Reading ------------------------------------------------------------------------------------------------

    def lines(self, contract_id: str) -> list[LineState]:
        """Three reads: services, their units, their names."""
        lines, periods = self._read(contract_id)
        names = self._names(lines)
        today = self._today()
        return [
            replace(_line_state(row, periods.get(text_of(row, "id"), []), today), product_name=name)
            for row, name in ((row, names.get(text_of(row, "serviceID"), "")) for row in lines)
        ]

    def _read(self, contract_id: str) -> tuple[list[Row], dict[str, list[Period]]]:
        of_contract = filters.equals("contractID", number(contract_id, "agreement"))
        lines = self._rest.all("ContractServices", of_contract, fields=_SERVICE_FIELDS)
        return lines, by_line(self._rest.all("ContractServiceUnits", of_contract, fields=_UNIT_FIELDS), lines)

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
        planner = _Planner(self, wanted, lines, periods, today, day_of(contract, "endDate"))
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

    # --- Writing ------------------------------------------------------------------------------------------------

    def adjust(self, item: PlanItem) -> AppliedItem:
        """One read, one write, one read. Sent only when the units are what the plan was made for."""
        body = item.request.body
        line_id, units = self._units_now(body)
        before, after = item.before["quantity"], item.after["quantity"]
        if units == after:
            self.settle(body)
            return _adjusted(item, line_id, after)
        if units != before:
            raise Unsettled(
                f"Autotask shows {units} units of this service, the plan was made for {before}; nothing was sent.",
                advice="It is planned anew by itself.",
            )
        if doubt := self.doubt(body):
            raise doubt
        self._send(item, before, after)
        return _adjusted(item, *self._proven(body, after))

    def _send(self, item: PlanItem, before: str, after: str) -> None:
        """From the first byte on there is a doubt; a clear answer ends it, no answer leaves it."""
        try:
            self._rest.write(
                item.request.method,
                item.request.path,
                item.request.body,
                entity="ContractServiceAdjustments",
                names_record=False,
                before_send=lambda: self._note_doubt(item.request.body, before, after),
            )
        except PsaError as error:
            if not error.outcome_unknown:
                self.settle(item.request.body)
            raise

    def _proven(self, body: Mapping[str, Any], after: str) -> tuple[str, str]:
        """The answer says nothing at all, so what the units say is what is kept."""
        try:
            line_id, units = self._units_now(body)
        except PsaError as error:
            error.outcome_unknown = True
            raise
        if units != after:
            unsettled = Unsettled(
                f"Autotask took the change and shows {units} units in place of {after}.",
                advice="Look at the service in the contract: somebody may have changed it at the same moment.",
            )
            unsettled.outcome_unknown = True
            raise unsettled
        self.settle(body)
        return line_id, units

    def _units_now(self, body: Mapping[str, Any]) -> tuple[str, str]:
        """The line and its units on the day of the change; "absent" when the contract does not have the service."""
        conditions = [filters.equals("contractID", body["contractID"])]
        if "contractServiceID" in body:
            conditions.append(filters.equals("contractServiceID", body["contractServiceID"]))
        else:
            conditions.append(filters.equals("serviceID", body["serviceID"]))
        rows = self._rest.all("ContractServiceUnits", *conditions, fields=_UNIT_FIELDS)
        periods = [period for row in rows if (period := period_of(row))]
        if not periods:
            return str(body.get("contractServiceID", "")), "0" if "contractServiceID" in body else ABSENT
        units = units_from(periods, date.fromisoformat(body["effectiveDate"]))
        if isinstance(units, Problem):
            raise Unsettled(
                f"The service is not what it was when the plan was made: {units.text} Nothing was sent.",
                advice="It is planned anew by itself.",
            )
        return periods[0].line_id, str(units)

    # --- What is on its way -------------------------------------------------------------------------------------

    def doubt(self, body: Mapping[str, Any]) -> Unsettled | None:
        """Set while an earlier change of the same service may still be carried out."""
        kept = self.doubted(body)
        left = kept["at"] + SETTLED_AFTER - self._clock() if kept else 0.0
        if left <= 0:
            return None
        return Unsettled(
            f"An earlier change of this service got no answer and may still be carried out for {left:.0f} seconds.",
            advice="Nothing is sent until that is sure; then the units are read and planned anew by themselves.",
        )

    def doubted(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        text = self._rest.shared.facts.get(_doubt_key(body))
        try:
            kept: dict[str, Any] = json.loads(text) if text else {}
            is_recent = kept and kept["at"] + DOUBT_KEPT_FOR > self._clock()
        except (ValueError, KeyError, TypeError):
            return None
        return kept if is_recent else None

    def _note_doubt(self, body: Mapping[str, Any], before: str, after: str) -> None:
        kept = {"before": before, "after": after, "on": body["effectiveDate"], "at": self._clock()}
        self._rest.shared.facts[_doubt_key(body)] = json.dumps(kept)

    def settle(self, body: Mapping[str, Any]) -> None:
        self._rest.shared.facts.pop(_doubt_key(body), None)


def _doubt_key(body: Mapping[str, Any]) -> tuple[str, ...]:
    """By line, or by service while the contract does not have it yet."""
    which = (
        f"line {body['contractServiceID']}" if "contractServiceID" in body else f"service {body['serviceID']}"
    )
    return ("units", str(body["contractID"]), which)


def by_line(rows: Sequence[Row], lines: Sequence[Row]) -> dict[str, list[Period]]:
    """Periods by contract service. Rows that name none belong to the only line of their service."""
    of_service: dict[str, list[str]] = {}
    for line in lines:
        of_service.setdefault(text_of(line, "serviceID"), []).append(text_of(line, "id"))
    found: dict[str, list[Period]] = {}
    for row in rows:
        period = period_of(row)
        if period is None:
            continue
        owners = [period.line_id] if period.line_id else of_service.get(period.service_id, [])
        if len(owners) == 1:
            found.setdefault(owners[0], []).append(period)
    return found


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
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


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
        contracts: Contracts,
        wanted: WantedLines,
        lines: Sequence[Row],
        periods: Mapping[str, list[Period]],
        today: date,
        last_day: date | None,
    ) -> None:
        self._contracts = contracts
        self._wanted = wanted
        self._lines = lines
        self._periods = periods
        self._today = today
        self._last_day = last_day
        self._claims = Counter(text_of(row, "id") for line in wanted.lines for row in self._matches(line))

    def planned(self, line: WantedLine) -> Outcome:
        if problem := _uncountable(line.quantity):
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
            return (), (_finding(line, _claimed_twice(matches[0])),)
        return self._update(line, matches[0])

    def _matches(self, line: WantedLine) -> list[Row]:
        name, value = ("id", line.line_id) if line.line_id else ("serviceID", line.product_id)
        return [row for row in self._lines if text_of(row, name) == value]

    def _update(self, line: WantedLine, row: Row) -> Outcome:
        line_id = text_of(row, "id")
        change = change_on(self._periods.get(line_id, []), self._today, self._last_day)
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
        doubted = self._contracts.doubted(body)
        if wanted == change.units:
            if doubted and self._contracts.doubt(body) is None:
                self._contracts.settle(body)
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
        if waiting := self._contracts.doubt(body):
            return _finding(line, Problem(code="units_unsettled", text=waiting.text, advice=waiting.advice))
        if str(units) in (doubted.get("before"), doubted.get("after")):
            self._contracts.settle(body)
            return None
        text = (
            f"A change of {line.product_name} from {doubted.get('before')} to {doubted.get('after')} units got no answer,"
            f" and Autotask now shows {units}: whether it was made cannot be told."
        )
        advice = "Look at the contract's notes for the change, set the units by hand, and synchronize again tomorrow."
        return _finding(line, Problem(code="units_in_doubt", text=text, advice=advice))

    def _description(self, line: WantedLine, row: Row) -> str | None:
        if line.invoice_description is None:
            return None
        text = line.invoice_description[:INVOICE_DESCRIPTION_LENGTH]
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
        if not line.quantity:
            return (), ()
        body = {
            "contractID": number(self._wanted.agreement_id),
            "serviceID": number(line.product_id, "product"),
        }
        if doubted := self._contracts.doubted(body):
            if waiting := self._contracts.doubt(body):
                return (), (
                    _finding(line, Problem(code="units_unsettled", text=waiting.text, advice=waiting.advice)),
                )
            if doubted.get("before") == ABSENT:
                self._contracts.settle(body)
        return (self._create(line, body),), ()

    def _create(self, line: WantedLine, body: dict[str, Any]) -> PlanItem:
        """An adjustment of a service that the contract lacks adds it, at the catalogue's price (documented)."""
        day = self._today.isoformat()
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


def _uncountable(quantity: Decimal) -> Problem | None:
    if not quantity.is_finite() or quantity != quantity.to_integral_value():
        return Problem(
            code="fraction",
            text=f"Autotask counts whole units; {quantity} is none.",
            advice="Let the service be rounded to whole units.",
        )
    if quantity < 0 or quantity > 2**31 - 1:
        return Problem(
            code="quantity_out_of_range",
            text=f"{quantity} units cannot be billed.",
            advice="Look at the reported usage.",
        )
    return None


def _finding(line: WantedLine, problem: Problem) -> Finding:
    return Finding(key=line.key, code=problem.code, text=problem.text, advice=problem.advice)


def _later(line: WantedLine, change: Change) -> Finding:
    return Finding(
        key=line.key,
        code="period_posted",
        text=f"The current period is approved and posted; {line.product_name} changes on {change.on}.",
        advice="Un-post the period in Autotask if it has to be corrected.",
    )


def _claimed_twice(row: Row) -> Problem:
    """Two services on one line would adjust each other's units for ever: that is for a person."""
    return Problem(
        code="ambiguous_line",
        text=f"Contract service {text_of(row, 'id')} is meant by more than one service.",
        advice="Give each service its own line, or add the services up under one cross-reference.",
    )


def _adjusted(item: PlanItem, line_id: str, units: str) -> AppliedItem:
    answer = {"quantity": units, "effective_on": item.after.get("effective_on", "")}
    return AppliedItem(key=item.key, action=item.action, record_id=item.record_id or line_id, answer=answer)
