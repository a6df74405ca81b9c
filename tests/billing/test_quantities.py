"""Aggregating and rounding: what a month of usage comes to."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Service, Usage
from billing.quantities import quantity_of, rounded
from billing.usage import Day, carried
from billing.wanted import plain
from portal import clock

FIRST = date(2026, 11, 1)
QUANTITIES = st.decimals(min_value=0, max_value=10**9, places=4)
DAYS = st.lists(QUANTITIES, min_size=1, max_size=31)


def days(values: list[Decimal]) -> list[Day]:
    return [
        Day(on=FIRST + timedelta(days=place), quantity=value, raw=value) for place, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("aggregation", "rounding", "expected"),
    [
        ("last", "up", "3"),
        ("last", "down", "2"),
        ("last", "none", "2.2000"),
        ("peak", "nearest", "8"),
        ("average", "none", "4.0333"),
        ("sum", "down", "12"),
    ],
)
def test_the_same_days_by_each_rule(aggregation: str, rounding: str, expected: str) -> None:
    service = Service(aggregation=aggregation, rounding=rounding)
    assert quantity_of(service, days([Decimal("2.1"), Decimal("7.8"), Decimal("2.2")])) == Decimal(expected)


@given(DAYS)
def test_no_aggregation_leaves_the_range_of_the_days(values: list[Decimal]) -> None:
    for aggregation in ("last", "peak", "average"):
        found = quantity_of(Service(aggregation=aggregation, rounding="none"), days(values))
        assert min(values) - Decimal("0.0001") <= found <= max(values) + Decimal("0.0001")


@given(QUANTITIES)
def test_rounding_moves_by_less_than_one_and_in_its_direction(value: Decimal) -> None:
    up, down, nearest = (rounded(value, name) for name in ("up", "down", "nearest"))
    assert down <= value <= up
    assert up - down in {Decimal(0), Decimal(1)}
    assert abs(nearest - value) <= Decimal("0.5")


@given(st.booleans(), QUANTITIES)
@pytest.mark.parity("S1-5")
def test_a_yes_no_service_bills_one_or_nothing(used: bool, value: Decimal) -> None:
    service = Service(aggregation="peak", rounding="none", is_yes_no=True)
    assert quantity_of(service, days([value if used else Decimal(0)])) == (1 if used and value else 0)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 100)), min_size=1, max_size=40)
)
def test_a_total_counts_each_account_once_with_its_newest_fresh_word(
    words: list[tuple[int, int, int]],
) -> None:
    accounts = [clock.new_id() for _ in range(4)]
    newest = {(account, day): quantity for account, day, quantity in words}
    rows = [
        Usage(
            account_id=accounts[account], measured_on=FIRST + timedelta(days=day), quantity=Decimal(quantity)
        )
        for (account, day), quantity in sorted(newest.items(), key=lambda item: item[0][1])
    ]
    last = carried(rows)[-1]
    expected = 0
    for account in range(4):
        known = [
            day
            for (one, day) in newest
            if one == account and FIRST + timedelta(days=day) >= last.on - timedelta(days=7)
        ]
        expected += newest[account, max(known)] if known else 0
    assert last.quantity == expected


TOTAL = None
A, B = clock.new_id(), clock.new_id()


@pytest.mark.parametrize(
    ("words", "quantity", "raw"),
    [
        ([(0, TOTAL, 10), (0, A, 4), (0, B, 6)], 10, 10),
        ([(0, TOTAL, 10), (1, A, 4), (1, B, 6)], 10, 10),
        ([(0, A, 4), (0, B, 6), (1, TOTAL, 12)], 12, 12),
        ([(0, A, 4), (0, B, 6), (1, TOTAL, 12), (2, A, 5)], 11, 5),
        ([(0, TOTAL, 10), (1, TOTAL, 0)], 0, 0),
        ([(0, TOTAL, 10), (0, A, 0)], 0, 0),
    ],
)
def test_a_clients_total_and_its_accounts_are_never_added_up(
    words: list[tuple[int, Any, int]], quantity: int, raw: int
) -> None:
    rows = [
        Usage(account_id=account, measured_on=FIRST + timedelta(days=day), quantity=Decimal(number))
        for day, account, number in words
    ]
    last = carried(rows)[-1]
    assert (last.quantity, last.raw) == (quantity, raw)


@given(QUANTITIES)
def test_a_number_is_shown_without_loss(value: Decimal) -> None:
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)
