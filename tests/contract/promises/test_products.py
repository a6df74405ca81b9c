"""A product that should exist is looked for first, made once, and offered from then on."""

from __future__ import annotations

import contextlib

import pytest

from integrations.psa.errors import PsaError
from tests.contract.houses import House, Trouble

NAMES = (
    "EFS-GB",
    "EFS Backup per GB",
    "Größe & Co.",
    "100% Backup",
    "O'Neil's \"Storage\"",
    "<b>Backup</b>",
    "备份",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parity("S1-6", "S1-9")
def test_a_missing_product_is_made_once_and_found(name: str, house: House) -> None:
    before = house.writes()
    plan = house.psa.plan_product(house.product_wish(name))
    assert [(item.action, item.record) for item in plan.items] == [("create", "product")]
    assert house.writes() == before
    made = house.psa.apply(plan).items[0].record_id
    again = house.psa.plan_product(house.product_wish(name))
    assert (again.items, again.unchanged, again.found["id"]) == ((), (name,), made)
    offered = {one.id: one.name for one in house.psa.choices("product")}
    assert offered[made] == name


@pytest.mark.parametrize("what", ["lost answer", "late", "cut off", "garbled", "lost request", "trouble"])
def test_a_lost_answer_never_doubles_a_product(what: Trouble, house: House) -> None:
    wanted = house.product_wish()
    house.trouble(what, at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(house.psa.plan_product(wanted))
    assert caught.value.outcome_unknown
    house.settle()
    with contextlib.suppress(PsaError):
        house.psa.apply(house.psa.plan_product(wanted))
    assert house.psa.plan_product(wanted).items == ()
    assert [one.name for one in house.psa.choices("product")].count(wanted.identifier) == 1
