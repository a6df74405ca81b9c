"""Units of a contract's service over time, and from when they can be changed (asked by plans and adjustments).

They stand in read-only rows, one for each period of the contract and for each change within one. What is approved and
posted stays; rows of the future do not say what holds today. Facts and their sources: docs/psa/autotask.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from integrations.psa.autotask.options import day_of
from integrations.psa.autotask.rest import Row, text_of, whole

FIELDS = (
    "id",
    "contractID",
    "contractServiceID",
    "serviceID",
    "startDate",
    "endDate",
    "units",
    "approveAndPostDate",
)


MONTH = timedelta(days=30)  # from its first to its last day


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


def change_on(
    periods: Sequence[Period],
    today: date,
    first_day: date | None,
    last_day: date | None,
    asked: date | None = None,
) -> Change | Problem:
    """When a change can take effect: in the current period, or after what is approved and posted already.

    `asked` is an earlier day that somebody has seen and approved; it holds while it lies in the current period.
    """
    day = asked if asked and asked <= today else today
    if not periods:
        return Change(on=day, units=0)
    current = period_on(periods, today)
    if current is None:
        return _not_running(periods, today)
    if unclear := _unclear(periods, current, today):
        return unclear
    if current.is_posted:
        return _after_posted(periods, current, last_day)
    day = day if day >= current.starts else today
    return Change(on=_effective_in(current, day, first_day), units=current.units)


def _effective_in(current: Period, day: date, first_day: date | None) -> date:
    """From the first day of a month's period: usage counts for the whole of it, nothing is prorated, and the next
    change of the month finds a day that may be changed again. Within longer periods, and those that were cut by a
    change already, from `day`: prorated."""
    is_short = current.ends - current.starts <= MONTH
    return current.starts if is_short and _begins_period(current.starts, first_day) else day


def _begins_period(day: date, first_day: date | None) -> bool:
    """Periods step by months from the contract's first day; the 31st becomes the last day of shorter months."""
    if first_day is None:
        return False
    is_last_of_month = (day + timedelta(days=1)).month != day.month
    return day.day == first_day.day or (is_last_of_month and first_day.day > day.day)


def units_from(periods: Sequence[Period], effective_on: date, today: date) -> int | Problem:
    """How many units there are now, or on the day of a change to come, as long as that day can still be changed.

    A change may take effect earlier in the running period; somebody else's may have cut that period since.
    """
    start = period_on(periods, effective_on)
    if start and start.is_posted:
        return Problem(code="period_posted", text="Its period has been approved and posted.", advice="")
    day = max(effective_on, today)
    current = period_on(periods, day)
    if current is None:
        before = period_on(periods, day - timedelta(days=1))
        return before.units if before else _not_running(periods, day)
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


def uncountable(quantity: Decimal) -> Problem | None:
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
