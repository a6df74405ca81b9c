"""An agreement says what was used: changed once, never doubled, and what is unclear is for a person."""

from __future__ import annotations

import contextlib
from datetime import date
from decimal import Decimal

import pytest

from integrations.psa.errors import PsaError
from tests.contract.houses import House, Trouble
from tests.contract.texts import texts

TEXTS = texts(45, seed=5)
QUANTITIES = (0, 1, 2, 10, 99, 100, 249, 251, 262, 300, 512, 999, 1_000, 4_096, 12_345, 100_000)


def test_lines_show_what_is_billed(house: House) -> None:
    lines = house.psa.lines(house.agreement)
    assert [(line.product_id, Decimal(line.quantity)) for line in lines] == [
        ("301", Decimal(250)),
        ("302", Decimal(2)),
        ("303", Decimal(10)),
    ]
    assert len({line.id for line in lines}) == 3


def test_an_unchanged_quantity_needs_nothing(house: House) -> None:
    before = house.writes()
    plan = house.psa.plan_lines(house.lines(house.line("250")))
    assert (plan.items, plan.unchanged, plan.findings) == ((), ("storage",), ())
    house.psa.apply(plan)
    assert house.writes() == before


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_changed_quantity_is_one_item_with_before_and_after(quantity: int, house: House) -> None:
    wanted = house.lines(house.line(quantity))
    plan = house.psa.plan_lines(wanted)
    assert [(item.key, item.action, item.record) for item in plan.items] == [
        ("storage", "update", "agreement line")
    ]
    assert Decimal(plan.items[0].before["quantity"]) == 250
    assert Decimal(plan.items[0].after["quantity"]) == quantity
    applied = house.psa.apply(plan)
    assert Decimal(str(applied.items[0].answer["quantity"])) == quantity
    assert house.quantity() == quantity
    assert house.psa.plan_lines(wanted).unchanged == ("storage",)
    assert house.quantity("302") == 2


def test_an_invoice_text_is_written_when_it_differs(house: House) -> None:
    text = "250 GB for SRV-01 – “files”"
    plan = house.psa.plan_lines(house.lines(house.line(250, invoice_description=text)))
    assert len(plan.items) == 1
    assert plan.items[0].after == {"invoice_description": text}
    house.psa.apply(plan)
    assert house.psa.lines(house.agreement)[0].invoice_description == text
    assert house.psa.plan_lines(house.lines(house.line(250, invoice_description=text))).items == ()


@pytest.mark.parametrize("text", TEXTS, ids=[f"text{number}" for number in range(len(TEXTS))])
def test_any_invoice_text_is_written_once(text: str, house: House) -> None:
    wanted = house.lines(house.line(250, invoice_description=text))
    house.psa.apply(house.psa.plan_lines(wanted))
    kept = house.psa.lines(house.agreement)[0].invoice_description
    assert 0 < len(kept) <= house.ability("invoice_description_length")
    assert house.psa.plan_lines(wanted).unchanged == ("storage",)


def test_a_fraction_is_written_exactly_or_asked_about(house: House) -> None:
    plan = house.psa.plan_lines(house.lines(house.line("262.5")))
    if house.ability("fractional_quantities"):
        house.psa.apply(plan)
        assert house.quantity() == Decimal("262.5")
    else:
        assert plan.items == ()
        assert len(plan.findings) == 1


def test_a_missing_line_is_a_finding(house: House) -> None:
    plan = house.psa.plan_lines(house.lines(house.line(5, product_id=house.missing_product)))
    assert plan.items == ()
    assert [(finding.key, finding.code) for finding in plan.findings] == [("storage", "line_missing")]
    assert plan.findings[0].text


@pytest.mark.parametrize("quantity", [1, 5, 40])
@pytest.mark.parity("S3-1")
def test_a_missing_line_is_created_when_that_is_wished(quantity: int, house: House) -> None:
    missing = house.line(quantity, product_id=house.missing_product, create_if_missing=True)
    plan = house.psa.plan_lines(house.lines(missing))
    assert [item.action for item in plan.items] == ["create"]
    assert house.psa.apply(plan).items[0].record_id
    assert house.quantity(house.missing_product) == quantity
    assert house.psa.plan_lines(house.lines(missing)).unchanged == ("storage",)


@pytest.mark.parametrize("first", [5, 250])
def test_two_wishes_for_one_line_are_for_a_person(first: int, house: House) -> None:
    plan = house.psa.plan_lines(house.lines(house.line(first), house.line(6, key="more")))
    assert plan.items == ()
    assert [finding.code for finding in plan.findings] == ["ambiguous_line", "ambiguous_line"]


def test_two_wishes_for_one_new_line_are_for_a_person(house: House) -> None:
    product = {"product_id": house.missing_product, "create_if_missing": True}
    plan = house.psa.plan_lines(house.lines(house.line(5, **product), house.line(6, key="more", **product)))
    assert plan.items == ()
    assert [finding.code for finding in plan.findings] == ["ambiguous_line", "ambiguous_line"]


def test_two_lines_for_one_wish_are_for_a_person(house: House) -> None:
    house.second_line()
    plan = house.psa.plan_lines(house.lines(house.line(9, serial_number="EFS-77")))
    assert plan.items == ()
    assert [finding.code for finding in plan.findings] == ["ambiguous_line"]


def test_a_chosen_line_is_the_one(house: House) -> None:
    chosen = house.psa.lines(house.agreement)[2]
    plan = house.psa.plan_lines(house.lines(house.line(11, product_id="303", line_id=chosen.id)))
    assert [item.record_id for item in plan.items] == [chosen.id]


@pytest.mark.parametrize("quantity", [0, 251, 777])
@pytest.mark.parametrize("what", ["lost answer", "lost request", "late", "cut off", "trouble", "page"])
def test_a_lost_answer_never_doubles_a_change(what: Trouble, quantity: int, house: House) -> None:
    wanted = house.lines(house.line(quantity))
    house.trouble(what, at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(house.psa.plan_lines(wanted))
    assert caught.value.outcome_unknown
    assert house.quantity() in (250, quantity)
    for _ in range(2):  # at once, and when the late one has landed
        with contextlib.suppress(PsaError):
            house.psa.apply(house.psa.plan_lines(wanted))
        house.settle()
        assert house.quantity() in (250, quantity)
    house.wait_out()
    with contextlib.suppress(PsaError):
        house.psa.apply(house.psa.plan_lines(wanted))
    assert house.quantity() == quantity


def test_what_was_invoiced_is_told_as_far_as_the_psa_tells_it(house: House) -> None:
    first, last = date(2020, 1, 1), date(2100, 1, 1)
    before = house.psa.invoiced(house.agreement, first, last)
    house.bill()
    new = [one for one in house.psa.invoiced(house.agreement, first, last) if one not in before]
    assert new
    assert all(one.invoice_id and one.number and one.starts_on and one.amount for one in new)
    if not house.ability("invoice_lines"):
        assert all(one.quantity is None and not one.line_id for one in new)
        return
    known = {line.id: Decimal(line.quantity) for line in house.psa.lines(house.agreement)}
    last_told = {one.line_id: Decimal(one.quantity or 0) for one in new}
    assert {key: last_told[key] for key in known} == known


def test_nothing_was_invoiced_for_days_without_an_invoice(house: House) -> None:
    house.bill()
    assert house.psa.invoiced(house.agreement, date(2019, 1, 1), date(2019, 1, 31)) == []
