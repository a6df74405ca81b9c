from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.options import Options, recurring
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


def test_a_boards_children_cost_three_calls_and_say_what_fits_what(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    types = {one.name: one.id for one in psa.choices("type", "2")}
    psa.choices("status", "2")
    subtypes = {one.name: one for one in psa.choices("subtype", "2")}
    items = {one.name: one for one in psa.choices("item", "2")}
    assert psa.transport.reads == 3
    assert subtypes["Quota"].data["type_ids"] == [types["Storage"]]
    assert [types["Storage"], subtypes["Quota"].id] in items["Repair"].data["pairs"]
    assert [types["Storage"], subtypes["Server"].id] not in items["Repair"].data["pairs"]


def test_children_are_read_from_their_own_lists_where_the_associations_are_closed(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    expected = [(one.id, one.name, one.data["type_ids"]) for one in psa.choices("subtype", "2")]
    psa.options = Options(psa._rest)
    sandbox.control.fault("status_403", path="typeSubTypeItemAssociations")
    assert [(one.id, one.name, one.data["type_ids"]) for one in psa.choices("subtype", "2")] == expected
    assert {one.name for one in psa.choices("item", "2")} == {"Investigate", "Repair"}


def test_associations_are_asked_for_again_after_half_a_minute(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    now = 100.0
    psa.options = Options(psa._rest, clock=lambda: now)
    psa.choices("subtype", "2")
    row = next(one for one in psa.choices("subtype", "2") if one.name == "Quota")
    sandbox.control.technician("rename", subType=int(row.id), name="Space")
    now += 31
    assert "Space" in {one.name for one in psa.choices("subtype", "2")}


def test_an_agreement_says_whether_usage_can_be_billed_on_it(psa: ConnectWisePsa) -> None:
    found = {option.name: option.data for option in psa.choices("agreement")}
    assert found["Backup Services - Bakery Ott"]["recurring"] is True
    assert found["Project - Summit Accounting"]["recurring"] is False
    assert "one time" in found["Project - Summit Accounting"]["reason"]


def test_a_hidden_agreement_is_told_with_the_reason_for_a_year(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    lately = f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%d}"
    sandbox.control.technician("cancel", agreement=401, date=lately)
    sandbox.control.technician("cancel", agreement=402, date="2020-01-31")
    for found in (
        psa.choices("agreement"),
        psa.choices("agreement", "250") + psa.choices("agreement", "251"),
    ):
        shown = {option.id: option.data for option in found}
        assert (shown["401"]["recurring"], shown["401"]["cancelled"]) == (False, True)
        assert "cancelled" in shown["401"]["reason"]
        assert "402" not in shown


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
    assert [(one.id, one.data["inactive"]) for one in psa.choices("product", changed_since=since)] == [
        ("301", True)
    ]
    agreement = psa.choices("agreement", changed_since=since)[0]
    assert (agreement.id, agreement.data["reason"]) == ("401", "The agreement is cancelled.")
    assert psa.choices("contact", changed_since=since) == []


def test_kinds_that_cannot_tell_what_changed_answer_everything(psa: ConnectWisePsa) -> None:
    every = psa.choices("status", "2")
    assert psa.choices("status", "2", changed_since=datetime.now(UTC)) == every
