from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.options import recurring
from integrations.psa.port import ChoiceKind
from integrations.sandbox import Sandbox


@pytest.mark.parametrize(
    ("kind", "within", "name"),
    [
        ("company", "", "Bakery Ott"),
        ("board", "", "Backup"),
        ("status", "2", "Completed"),
        ("type", "2", "Backup Failure"),
        ("subtype", "2", "Quota"),
        ("item", "2", "Investigate"),
        ("priority", "", "Priority 3 - Normal"),
        ("source", "", "Backup Vendor"),
        ("product", "", "OBS-GB"),
        ("agreement", "250", "Backup Services - Bakery Ott"),
    ],
)
def test_each_kind_of_choice_is_listed(kind: ChoiceKind, within: str, name: str, psa: ConnectWisePsa) -> None:
    found = [option for option in psa.choices(kind, within) if option.name == name]
    assert len(found) == 1
    assert (found[0].kind, found[0].within) == (kind, within)


def test_a_status_tells_whether_it_closes(psa: ConnectWisePsa) -> None:
    closed = {option.name: option.data["closed"] for option in psa.choices("status", "2")}
    assert closed["Completed"] is True
    assert closed["New"] is False
    assert [option.name for option in psa.choices("status", "2") if option.data["default"]] == ["New"]


def test_without_a_board_the_statuses_of_all_boards_are_listed(psa: ConnectWisePsa) -> None:
    assert {option.within for option in psa.choices("status")} == {"1", "2", "3"}


def test_a_board_that_may_not_be_read_is_left_out(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.fault("status_403", path="boards/1/types")
    assert {option.within for option in psa.choices("type")} == {"2", "3"}


def test_an_agreement_says_whether_usage_can_be_billed_on_it(psa: ConnectWisePsa) -> None:
    found = {option.name: option.data for option in psa.choices("agreement")}
    assert found["Backup Services - Bakery Ott"]["recurring"] is True
    assert found["Project - Summit Accounting"]["recurring"] is False
    assert "one time" in found["Project - Summit Accounting"]["reason"]


@pytest.mark.parametrize(
    ("row", "is_recurring", "word"),
    [
        ({"agreementStatus": "Active", "billingCycle": {"name": "Monthly"}}, True, ""),
        ({}, True, ""),
        ({"billOneTimeFlag": True}, False, "one time"),
        ({"billingCycle": {"name": "Not Recurring"}}, False, "Not Recurring"),
        ({"billingCycle": {"name": "One-Time"}}, False, "One-Time"),
        ({"cancelledFlag": True}, False, "cancelled"),
        ({"agreementStatus": "Expired"}, False, "expired"),
        ({"agreementStatus": "Inactive"}, False, "inactive"),
    ],
)
def test_what_counts_as_recurring(row: dict[str, Any], is_recurring: bool, word: str) -> None:
    found, reason = recurring(row)
    assert found is is_recurring
    assert word in reason


def test_a_product_is_shown_with_its_description_and_unit(psa: ConnectWisePsa) -> None:
    product = next(option for option in psa.choices("product") if option.name == "OBS-GB")
    assert product.data["description"] == "Online Backup Storage (GB)"
    assert product.data["uom"] == "GB"


@pytest.mark.parametrize("like", ["bakery", "OTT", "BakeryO", "ry Ot"])
def test_companies_are_found_by_a_part_of_name_or_identifier(like: str, psa: ConnectWisePsa) -> None:
    assert [option.name for option in psa.companies(like)] == ["Bakery Ott"]


@pytest.mark.parametrize(
    "like", ['x" or id>0 or name="', "x' or id>0 or name='", "%", "*", "[a-z]", "\\", "\"'%", "%%%%"]
)
def test_no_text_widens_the_search(like: str, psa: ConnectWisePsa) -> None:
    assert psa.companies(like) == []


def test_a_name_with_both_quotes_is_found(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.technician("rename", company=250, name='The "Baker\'s" Shop')
    assert [option.id for option in psa.companies('"Baker\'s"')] == ["250"]


def test_without_a_text_all_companies_are_listed(psa: ConnectWisePsa) -> None:
    assert len(psa.companies("  ")) == 12


def test_a_contact_is_shown_with_company_and_mail(psa: ConnectWisePsa) -> None:
    found = psa.choices("contact", "250")
    assert [(one.name, one.within, one.data["email"]) for one in found] == [
        ("Hanna Ott", "250", "hanna.ott@bakeryott.example")
    ]
    assert len(psa.choices("contact")) == 12


def test_a_site_shows_the_address_that_is_taken_over(psa: ConnectWisePsa) -> None:
    assert [(one.name, one.data["city"]) for one in psa.choices("site", "250")] == [("Main", "Freiburg")]
    assert psa.choices("site") == []


def test_what_was_changed_since_is_told_with_what_has_to_go(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    sandbox.control.technician("rename", company=250, name="Bakery Ott & Sons")
    sandbox.control.technician("edit", product=301, fields={"inactiveFlag": True})
    sandbox.control.technician("cancel", agreement=401)
    companies = psa.choices("company", changed_since=since)
    assert [(one.name, one.data.get("inactive")) for one in companies] == [("Bakery Ott & Sons", None)]
    gone = [*psa.choices("product", changed_since=since), *psa.choices("agreement", changed_since=since)]
    assert [(one.kind, one.id, one.data["inactive"]) for one in gone] == [
        ("product", "301", True),
        ("agreement", "401", True),
    ]
    assert psa.choices("contact", changed_since=since) == []


def test_kinds_that_cannot_tell_what_changed_answer_everything(psa: ConnectWisePsa) -> None:
    every = psa.choices("status", "2")
    assert psa.choices("status", "2", changed_since=datetime.now(UTC)) == every
