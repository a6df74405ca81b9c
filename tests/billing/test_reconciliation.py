"""Five numbers and the causes between them: they sum exactly, and each leak is named by what it is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import proof_months
from billing.causes import Cause, DoesNotSum, Kind, Step
from billing.models import CrossReference
from billing.proof_months import LEAKS, causes_of, counted
from billing.proof_world import Billed
from billing.reconciliation import Facts, Push, Reading, Reason, reconcile
from integrations.psa.port import InvoicedLine, LineState
from portal import clock

D = Decimal
FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)


# --- Pure -------------------------------------------------------------------------------------------------------------


def test_causes_that_do_not_sum_are_refused() -> None:
    cause = Cause(kind=Kind.ROUNDING, amount=D(1), text="rounded up")
    with pytest.raises(DoesNotSum, match="sum to 1, the difference is 2"):
        Step(name="billable", before=D(10), after=D(12), causes=(cause,))


def quantities(most: int = 200) -> st.SearchStrategy[Decimal]:
    return st.decimals(0, most, places=2, allow_nan=False, allow_infinity=False)


def reasons() -> st.SearchStrategy[Reason | None]:
    return st.none() | st.builds(Reason, kind=st.sampled_from(list(Kind)), text=st.just("because"))


def pushes() -> st.SearchStrategy[Push]:
    return st.builds(
        Push,
        quantity=quantities(),
        at=st.integers(-40, 40).map(lambda days: NOON + timedelta(days=days)),
        line_id=st.sampled_from(["1", "2", ""]),
        agreement_id=st.just("401"),
        included=st.none() | quantities(20),
        effective_on=st.sampled_from(["", "2026-10-01", "2026-11-01"]),
        is_undo=st.booleans(),
    )


def lines() -> st.SearchStrategy[LineState]:
    return st.builds(
        LineState,
        id=st.sampled_from(["1", "2", "3"]),
        product_id=st.sampled_from(["301", "302"]),
        product_name=st.just("Servers"),
        quantity=quantities().map(str),
        less_included=quantities(20).map(str),
        serial_number=st.sampled_from(["", "EFS-1"]),
        invoice_description=st.just(""),
        cancelled_on=st.sampled_from([None, "2026-10-10", "2026-12-01"]),
        unit_price=st.none() | quantities().map(str),
        agreement_status=st.sampled_from(["", "Active", "Cancelled"]),
        changed_by=st.sampled_from(["", "jsmith"]),
    )


def billed() -> st.SearchStrategy[InvoicedLine]:
    return st.builds(
        InvoicedLine,
        invoice_id=st.sampled_from(["", "9001"]),
        number=st.just("9001"),
        starts_on=st.sampled_from(["2026-10-01", "2026-10-15", "nonsense"]),
        ends_on=st.sampled_from(["", "2026-10-14", "2026-10-31"]),
        line_id=st.sampled_from(["1", "2", ""]),
        quantity=st.none() | quantities().map(str),
        amount=st.none() | quantities().map(str),
    )


def readings_() -> st.SearchStrategy[Reading | None]:
    return st.none() | st.builds(
        Reading,
        at=st.none() | st.integers(-40, 40).map(lambda days: NOON + timedelta(days=days)),
        lines=st.lists(lines(), max_size=4).map(tuple),
        invoiced=st.lists(billed(), max_size=4).map(tuple),
        trouble=st.sampled_from(["", "refused"]),
        invoices_trouble=st.sampled_from(["", "refused"]),
        lines_are_told=st.booleans(),
        is_past=st.booleans(),
    )


@given(
    st.builds(
        Facts,
        unit=st.just("servers"),
        first=st.just(FIRST),
        last=st.just(LAST),
        measured=st.none() | quantities(),
        rounded=quantities(),
        known_then=st.none() | quantities(),
        not_billable=reasons(),
        not_pushed=reasons(),
        stale=st.sampled_from(["", "old"]),
        pushed=st.none() | pushes(),
        later=st.none() | pushes(),
        doubted=st.none() | pushes(),
        others=st.lists(pushes(), max_size=3).map(tuple),
        reading=readings_(),
        product_id=st.sampled_from(["", "301"]),
        serial_number=st.just("EFS-1"),
        line_id=st.sampled_from(["", "1"]),
        agreement_over=st.sampled_from(["", "It ended."]),
        catalogue_price=st.none() | quantities(),
    )
)
def test_whatever_happened_the_causes_sum_exactly(facts: Facts) -> None:
    found = reconcile(facts)  # raises when a step does not sum
    for step in found.steps:
        assert sum((cause.amount for cause in step.causes), D(0)) == step.difference
    assert found.units_at_risk >= 0


def facts(**more: Any) -> Facts:
    usual: dict[str, Any] = {"unit": "servers", "first": FIRST, "last": LAST, "product_id": "301"}
    return Facts(**{**usual, **more})


def line(**more: Any) -> LineState:
    usual = {
        "id": "1",
        "product_id": "301",
        "product_name": "Servers",
        "quantity": "10",
        "less_included": "0",
        "serial_number": "",
        "invoice_description": "",
        "cancelled_on": None,
    }
    return LineState(**{**usual, **more})


def pushed(quantity: int, **more: Any) -> Push:
    return Push(quantity=D(quantity), at=NOON, line_id="1", agreement_id="401", **more)


@pytest.mark.parity("S4-48")
def test_what_is_included_is_taken_off_once_on_the_way() -> None:
    reading = Reading(
        at=NOON + timedelta(days=1), lines=(line(quantity="12", less_included="5"),), lines_are_told=False
    )
    found = reconcile(
        facts(
            measured=D("11.5"),
            rounded=D(12),
            known_then=D(12),
            pushed=pushed(12, included=D(5)),
            reading=reading,
        )
    )
    assert list(found.numbers.values())[:4] == [D("11.5"), D(7), D(7), D(7)]
    assert [(one.kind, one.amount) for one in found.causes] == [
        (Kind.ROUNDING, D("0.5")),
        (Kind.INCLUDED, D(-5)),
    ]
    assert found.units_at_risk == 0


def test_parts_of_a_period_are_billed_by_their_days() -> None:
    def part(begins: str, ends: str, units: str) -> InvoicedLine:
        return InvoicedLine(
            invoice_id="9", number="9", starts_on=begins, ends_on=ends, line_id="1", quantity=units
        )

    rows = (part("2026-10-01", "2026-10-10", "10"), part("2026-10-11", "2026-10-31", "13"))
    reading = Reading(at=NOON + timedelta(days=12), lines=(line(quantity="13"),), invoiced=rows)
    found = reconcile(
        facts(measured=D(13), rounded=D(13), known_then=D(13), pushed=pushed(13), reading=reading)
    )
    invoiced = ((D(100) + D(273)) / 31).quantize(D("0.0001"))
    assert found.numbers["invoiced"] == invoiced
    assert [(one.kind, one.amount) for one in found.causes] == [(Kind.PRORATION, invoiced - 13)]


def test_a_reading_of_before_our_push_is_not_taken_for_somebodys_change() -> None:
    reading = Reading(at=NOON - timedelta(days=1), lines=(line(quantity="4"),), lines_are_told=False)
    found = reconcile(
        facts(measured=D(10), rounded=D(10), known_then=D(10), pushed=pushed(10), reading=reading)
    )
    assert (found.numbers["in_agreement"], found.causes) == (D(10), [])


def test_the_decimals_that_a_psa_drops_are_rounding() -> None:
    push = Push(quantity=D("10.46"), at=NOON, line_id="1", agreement_id="401")
    found = reconcile(
        facts(measured=D("10.4567"), rounded=D("10.4567"), known_then=D("10.4567"), pushed=push)
    )
    assert [(one.kind, one.amount) for one in found.causes] == [(Kind.ROUNDING, D("0.0033"))]


def test_what_was_sent_without_an_answer_and_carried_out_is_nobodys_hand() -> None:
    reading = Reading(at=NOON + timedelta(days=1), lines=(line(quantity="12"),), lines_are_told=False)
    found = reconcile(
        facts(
            measured=D(12),
            rounded=D(12),
            known_then=D(10),
            pushed=pushed(10),
            doubted=pushed(12),
            reading=reading,
        )
    )
    assert [(one.kind, one.amount) for one in found.causes] == [(Kind.TIMING, D(-2)), (Kind.FAILED, D(2))]


def test_another_service_on_the_same_line_is_told() -> None:
    reading = Reading(at=NOON + timedelta(days=1), lines=(line(quantity="3"),), lines_are_told=False)
    found = reconcile(
        facts(
            measured=D(10),
            rounded=D(10),
            known_then=D(10),
            pushed=pushed(10),
            others=(pushed(3),),
            reading=reading,
        )
    )
    assert [(one.kind, one.amount) for one in found.causes] == [(Kind.SHARED_LINE, D(-7))]


def test_a_product_is_swapped_on_the_line() -> None:
    reading = Reading(at=NOON + timedelta(days=1), lines=(line(product_id="999", changed_by="jsmith"),))
    found = reconcile(
        facts(measured=D(10), rounded=D(10), known_then=D(10), pushed=pushed(10), reading=reading)
    )
    assert [(one.kind, one.amount) for one in found.causes] == [(Kind.PRODUCT_SWAPPED, D(-10))]
    assert "jsmith" in found.causes[0].text


# --- Ten leaks, made by hand ------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_named(name: str, shop: Billed) -> None:
    make_it, expected = LEAKS[name]
    shop.use(10)
    shop.sync()
    make_it(shop)
    row = counted(shop)
    assert causes_of(row) == {key: D(amount) for key, amount in expected.items()}
    assert str(Kind.UNEXPLAINED) not in row.kinds


@pytest.mark.django_db
def test_nothing_differs_when_all_went_well_and_prices_are_known(shop: Billed) -> None:
    shop.use(10)
    shop.sync()
    row = counted(shop)
    assert (row.measured, row.billable, row.pushed, row.in_agreement) == (10, 10, 10, 10)
    assert (row.differs, row.kinds, row.at_risk) == (False, "", 0)
    assert row.invoiced is None
    assert "not their lines" in row.not_invoiced
    assert row.unit_price == D(str(shop.line()["unitPrice"]))


@pytest.mark.django_db
def test_what_nobody_can_be_billed_for_is_money_at_the_catalogues_price(shop: Billed) -> None:
    shop.use(4)
    proof_months.unmapped(shop)
    row = counted(shop)
    assert row.units_at_risk == 12
    assert row.unit_price is not None
    assert row.at_risk == (12 * row.unit_price).quantize(D("0.01"))


def test_a_cross_reference_that_is_changed_later_is_no_swap_in_the_psa(shop: Billed) -> None:
    shop.use(12)
    shop.sync()
    other = shop.credentials.choices.get(kind="product", name="BDR-SERVER")
    CrossReference.objects.update(product=other, updated_at=clock.now())
    row = counted(shop)
    assert (row.in_agreement, causes_of(row)) == (12, {})
