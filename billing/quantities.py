"""From measured days to the quantity on an agreement line (asked by pushes and previews; no database)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from billing.models import Service
from billing.usage import Day

WHOLE = Decimal(1)
MOST = Decimal(10) ** 14 - 1
"""Of quantities and prices. A column holds eighteen digits, four of them decimals; SQLite keeps numbers as floats, and
what is above comes back as one more digit than fits.
"""


def percentile(quantities: Sequence[Decimal], percent: int) -> Decimal:
    """Nearest rank: the smallest that so many percent of the days do not exceed; with few days, the highest."""
    in_order = sorted(quantities)
    rank = -(-len(in_order) * percent // 100)
    return in_order[max(rank, 1) - 1]


ROUNDINGS = {
    Service.Rounding.UP: ROUND_CEILING,
    Service.Rounding.DOWN: ROUND_FLOOR,
    Service.Rounding.NEAREST: ROUND_HALF_UP,
}
AGGREGATIONS: Mapping[str, Callable[[Sequence[Day]], Decimal]] = {
    Service.Aggregation.LAST: lambda days: days[-1].quantity,
    Service.Aggregation.PEAK: lambda days: max(day.quantity for day in days),
    Service.Aggregation.AVERAGE: lambda days: sum((day.quantity for day in days), Decimal(0)) / len(days),
    Service.Aggregation.PERCENTILE: lambda days: percentile([day.quantity for day in days], 95),
    Service.Aggregation.SUM: lambda days: sum((day.raw for day in days), Decimal(0)),
}


def quantity_of(service: Service, days: Sequence[Day]) -> Decimal:
    """Aggregated, then rounded. `days` is not empty: what nobody measured has no quantity, not zero."""
    quantity = AGGREGATIONS[service.aggregation](days)
    if service.is_yes_no:
        return WHOLE if quantity else Decimal(0)
    return rounded(quantity, service.rounding, service.step)


def rounded(quantity: Decimal, rounding: str, step: int = 1) -> Decimal:
    """`step` counts for the rounding of that name alone: 12 in steps of 5 are 15."""
    if rounding == Service.Rounding.STEP:
        return (quantity / step).quantize(WHOLE, rounding=ROUND_CEILING) * step
    if rounding == Service.Rounding.NONE:
        return quantity.quantize(Decimal("0.0001"))
    return quantity.quantize(WHOLE, rounding=ROUNDINGS[Service.Rounding(rounding)])
