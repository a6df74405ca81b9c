from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.errors import NotPermitted, Unsettled
from integrations.psa.wanted import WantedProduct
from integrations.sandbox import Sandbox


def product(**changes: Any) -> WantedProduct:
    usual = {
        "identifier": "EFS-GB",
        "description": "Backup storage",
        "unit": "GB",
        "unit_price": Decimal("0.3"),
    }
    return WantedProduct(**{**usual, **changes})


def test_a_product_is_added_to_the_catalogue_once(psa: ConnectWisePsa) -> None:
    plan = psa.plan_product(product())
    assert psa.transport.writes == 0
    made = psa.apply(plan).items[0]
    again = psa.plan_product(product())
    assert (again.items, again.unchanged, again.found["id"]) == ((), ("EFS-GB",), made.record_id)
    assert made.record_id in {option.id for option in psa.choices("product")}


def test_an_existing_product_costs_one_read(psa: ConnectWisePsa) -> None:
    plan = psa.plan_product(product(identifier="OBS-GB"))
    assert (plan.items, plan.findings, plan.found["id"], psa.transport.reads) == ((), (), "301", 1)


@pytest.mark.parametrize("identifier", ["obs-gb", "OBS-Gb"])
def test_a_product_that_differs_in_case_is_not_made_again(identifier: str, psa: ConnectWisePsa) -> None:
    plan = psa.plan_product(product(identifier=identifier))
    assert (plan.items, plan.findings[0].code) == ((), "product_near")
    assert "OBS-GB" in plan.findings[0].text


def test_an_inactive_product_is_for_a_person(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.technician("edit", product=301, fields={"inactiveFlag": True})
    plan = psa.plan_product(product(identifier="OBS-GB"))
    assert (plan.items, plan.findings[0].code) == ((), "product_inactive")


def test_another_unit_is_told(psa: ConnectWisePsa) -> None:
    plan = psa.plan_product(product(identifier="OBS-SERVER"))
    assert (plan.items, plan.findings[0].code) == ((), "product_unit")


def test_what_is_missing_in_the_set_up_tables_is_named_at_once(psa: ConnectWisePsa) -> None:
    plan = psa.plan_product(product(category="Cloud", kind="Magic"))
    assert (plan.items, plan.findings[0].code) == ((), "product_setup")
    assert all(word in plan.findings[0].text for word in ("“Cloud”", "“Magic”", "Setup Tables"))


def test_a_product_without_a_price_says_so(psa: ConnectWisePsa) -> None:
    assert [one.code for one in psa.plan_product(product(unit_price=None)).findings] == ["price_open"]


def test_two_who_make_the_same_product_end_with_one(psa: ConnectWisePsa) -> None:
    early, late = psa.plan_product(product()), psa.plan_product(product())
    psa.apply(early)
    with pytest.raises(Unsettled):
        psa.apply(late)
    assert psa.plan_product(product()).items == ()


def test_the_right_to_add_products_is_named(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    plan = psa.plan_product(product())
    sandbox.control.role(product_catalog={"add": "None"})
    with pytest.raises(NotPermitted, match="Product Catalog") as caught:
        psa.apply(plan)
    assert "Add, Inquire" in caught.value.advice
