from __future__ import annotations

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.port import Check, Feature, SignIn
from integrations.sandbox import Sandbox
from tests.integrations.psa.connectwise.conftest import Connect

EVERYTHING: list[Feature] = ["tickets", "closing", "billing", "statistics"]


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_all_is_well(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    checks = psa.check(EVERYTHING)
    assert {check.verdict for check in checks} == {"passed"}
    assert "2026.4" in checks[1].detail
    assert all(check.detail for check in checks)


def test_a_check_writes_nothing(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    psa.check(EVERYTHING)
    assert {row["method"] for row in sandbox.control.requests()} == {"GET"}
    assert sandbox.control.journal() == []


def test_only_what_is_switched_on_is_checked(psa: ConnectWisePsa) -> None:
    assert not [
        check for check in psa.check(["tickets"]) if "Agreements" in check.name or "Close" in check.name
    ]
    assert not [check for check in psa.check(["billing"]) if "Ticket" in check.name]


@pytest.mark.parametrize(
    ("function", "right", "name", "word"),
    [
        ("company_maintenance", "inquire", "Companies > Company Maintenance", "Inquire"),
        ("service_tickets", "add", "Service Desk > Service Tickets", "Add"),
        ("service_tickets", "edit", "Service Desk > Service Tickets", "Edit"),
        ("close_service_tickets", "edit", "Service Desk > Close Service Tickets", "Edit"),
        ("agreements", "edit", "Finance > Agreements", "Edit"),
        ("product_catalog", "inquire", "Procurement > Product Catalog", "Inquire"),
        (
            "table_setup",
            "inquire",
            "System > Table Setup (Service / Service Board)",
            "Service / Service Board",
        ),
        ("table_setup", "inquire", "System > Table Setup (Service / Priority)", "Service / Priority"),
    ],
)
@pytest.mark.parametrize("level", ["None", "My"])
def test_a_missing_right_is_named_with_its_click_path(
    level: str, function: str, right: str, name: str, word: str, psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    sandbox.control.role(**{function: {right: level}})
    check = by_name(psa.check(EVERYTHING))[name]
    assert check.verdict == "failed"
    assert "System > Security Roles" in check.fix
    assert word in check.fix


def test_rights_to_write_are_probable_when_connectwise_does_not_tell(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    sandbox.control.fault("status_403", path="mysecurity")
    checks = by_name(psa.check(EVERYTHING))
    assert checks["Companies > Company Maintenance"].verdict == "passed"
    assert checks["Service Desk > Service Tickets"].verdict == "probably"
    assert checks["Service Desk > Close Service Tickets"].verdict == "probably"
    assert checks["Service Desk > Close Service Tickets"].fix


def test_a_read_that_is_refused_fails_even_without_mysecurity(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.fault("status_403", path="mysecurity")
    sandbox.control.role(agreements="None")
    check = by_name(psa.check(EVERYTHING))["Finance > Agreements"]
    assert check.verdict == "failed"
    assert "Additions" in check.fix or "Agreements" in check.fix


def test_a_list_that_is_closed_by_its_customize_link_is_named(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.fault("status_403", path="service/priorities")
    checks = by_name(psa.check(["tickets"]))
    assert checks["System > Table Setup (Service / Priority)"].verdict == "failed"
    assert "Service / Priority" in checks["System > Table Setup (Service / Priority)"].fix
    assert "Service / Service Board" not in checks["System > Table Setup (Service / Priority)"].fix
    assert checks["System > Table Setup (Service / Service Board)"].verdict == "passed"


def test_a_wrong_key_ends_the_ladder_at_its_second_rung(connected: Connect, sandbox: Sandbox) -> None:
    psa = connected()
    sandbox.control.rotate_keys()
    checks = psa.check(["tickets"])
    assert [check.verdict for check in checks[:2]] == ["passed", "failed"]
    assert {check.verdict for check in checks[2:]} == {"skipped"}
    assert "API Keys" in checks[1].fix


def test_a_site_that_does_not_answer_ends_it_at_the_first(connected: Connect) -> None:
    away = SignIn(site="http://127.0.0.1:9", login_company="cirrus", public_key="p", secret="s")
    checks = connected(sign_in=away).check(["tickets"])
    assert checks[0].verdict == "failed"
    assert {check.verdict for check in checks[1:]} == {"skipped"}


def test_an_empty_list_is_passed_with_a_remark(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    for ticket in sandbox.control.tickets():
        sandbox.control.technician("delete", ticket=ticket["id"])
    check = by_name(psa.check(["tickets"]))["Service Desk > Service Tickets"]
    assert check.verdict == "passed"
    assert "empty" in check.detail


def test_being_told_to_slow_down_is_no_verdict(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.fault("status_429", path="service/priorities", retry_after=1)
    checks = by_name(psa.check(["tickets"]))
    assert checks["System > Table Setup (Service / Priority)"].verdict == "skipped"
