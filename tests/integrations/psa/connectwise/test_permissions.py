from __future__ import annotations

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.port import Check, Feature, SignIn
from integrations.sandbox import Sandbox
from tests.integrations.psa.connectwise.conftest import Connect

EVERYTHING: list[Feature] = ["tickets", "closing", "billing", "statistics", "choices"]


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def needed(checks: list[Check]) -> str:
    return " ".join(check.name for check in checks if check.verdict != "not needed")


def test_all_is_well_after_fifteen_calls(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    checks = psa.check(EVERYTHING)
    assert {check.verdict for check in checks} == {"passed", "not needed"}
    assert "2026.4" in checks[1].detail
    assert all(check.detail for check in checks)
    assert psa.transport.reads == 15
    assert not [check for check in checks if check.breaks]


def test_a_check_writes_nothing(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    psa.check(EVERYTHING)
    assert {row["method"] for row in sandbox.control.requests()} == {"GET"}
    assert sandbox.control.journal() == []


def test_only_what_is_switched_on_is_checked(psa: ConnectWisePsa) -> None:
    assert "Agreements" not in needed(psa.check(["tickets", "choices"]))
    assert "Close" not in needed(psa.check(["tickets"]))
    assert "Ticket" not in needed(psa.check(["billing", "choices"]))


def test_what_only_observes_needs_to_read_and_no_more(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.role(
        service_tickets={"add": "None", "edit": "None"}, close_service_tickets="None", agreements="None"
    )
    features: list[Feature] = ["tickets", "closing", "choices"]
    assert "failed" in {check.verdict for check in psa.check(features)}
    checks = psa.check(features, observed=["tickets", "closing"])
    assert "failed" not in {check.verdict for check in checks}
    assert by_name(checks)["Service Desk > Service Tickets"].needs == ("Inquire: All",)
    assert by_name(checks)["Service Desk > Close Service Tickets"].verdict == "not needed"


@pytest.mark.parametrize(
    ("function", "right", "name", "word"),
    [
        ("company_maintenance", "inquire", "Companies > Company Maintenance", "Inquire"),
        ("service_tickets", "add", "Service Desk > Service Tickets", "Add"),
        ("service_tickets", "edit", "Service Desk > Service Tickets", "Edit"),
        ("close_service_tickets", "edit", "Service Desk > Close Service Tickets", "Edit"),
        ("agreements", "edit", "Finance > Agreements (Additions)", "Edit"),
        ("agreements", "inquire", "Finance > Agreements", "Inquire"),
        ("contacts", "inquire", "Companies > Contacts", "Inquire"),
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
    assert check.breaks


def test_rights_to_write_are_probable_when_connectwise_does_not_tell(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    sandbox.control.switches(my_security="forbidden")
    checks = by_name(psa.check(EVERYTHING))
    assert checks["Companies > Contacts"].verdict == "passed"
    assert checks["Companies > Company Maintenance"].verdict == "probably"
    assert checks["Service Desk > Service Tickets"].verdict == "probably"
    assert checks["Service Desk > Close Service Tickets"].verdict == "probably"
    assert checks["Service Desk > Close Service Tickets"].fix


def test_a_read_that_is_refused_fails_even_without_mysecurity(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.switches(my_security="missing")
    sandbox.control.role(agreements={"allow": ""})
    checks = by_name(psa.check(EVERYTHING))
    assert checks["Finance > Agreements"].verdict == "passed"
    assert checks["Finance > Agreements (Additions)"].verdict == "failed"
    assert checks["Finance > Agreements (Additions)"].breaks == ("billing",)
    assert "customize link and allow Additions" in checks["Finance > Agreements (Additions)"].fix


def test_a_list_that_is_closed_by_its_customize_link_is_named(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    allowed = "Service / Service Board, Service / Source, General / Management IT"
    sandbox.control.role(table_setup={"allow": allowed})
    checks = by_name(psa.check(["tickets", "choices"]))
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
    assert all(check.needs and check.fix for check in checks[2:])
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


def test_without_mysecurity_an_empty_list_proves_nothing(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    """None there, or none for this member: with a level of My the list is empty as well."""
    sandbox.control.switches(my_security="forbidden")
    sandbox.control.role(company_maintenance={"inquire": "My"})
    assert by_name(psa.check(["choices"]))["Companies > Company Maintenance"].verdict == "probably"


@pytest.mark.parametrize("fault", ["status_429", "status_500", "html_503"])
def test_trouble_that_passes_is_no_verdict_on_a_right(
    fault: str, psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    sandbox.control.fault(fault, path="service/priorities")
    check = by_name(psa.check(["tickets", "choices"]))["System > Table Setup (Service / Priority)"]
    assert (check.verdict, check.breaks) == ("skipped", ())


def test_what_is_granted_and_not_needed_is_named_once(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    """Delete on the catalogue, all of Table Setup, and functions that we never touch."""
    sandbox.control.role(product_catalog="All")
    checks = psa.check(EVERYTHING)
    assert by_name(checks)["Procurement > Product Catalog"].excess == ("Add: All", "Edit: All", "Delete: All")
    tables = [
        check.excess for check in checks if check.area.startswith("System > Table Setup") and check.excess
    ]
    assert tables == [("Add: All", "Edit: All")]
    others = by_name(checks)["Rights nobody needs"]
    assert (others.verdict, others.kind) == ("not needed", "excess")
    assert "Companies > Configurations (Add, Edit, Inquire)" in others.excess
    assert "Service Desk > Merge Tickets" in others.detail


def test_a_role_that_fits_has_no_excess(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    """The minimal role itself, set as the work order says: all is well, and nothing is too much."""
    everything = dict.fromkeys(sandbox.control.role(), "None")
    sandbox.control.role(**everything)
    inquire = {"inquire": "All"}
    sandbox.control.role(
        company_maintenance=inquire | {"edit": "All"},
        contacts=inquire,
        service_tickets=inquire | {"add": "All", "edit": "All"},
        close_service_tickets=inquire | {"edit": "All"},
        table_setup=inquire,
        agreements=inquire | {"add": "All", "edit": "All"},
        product_catalog=inquire,
    )
    checks = psa.check(EVERYTHING)
    assert {check.verdict for check in checks if check.needs or check.kind != "right"} == {"passed"}
    assert not [check for check in checks if check.excess]


def test_a_low_member_level_and_the_admin_role_are_warned_of_and_stop_nothing(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    sandbox.control.switches(member_level="Branch (Level 2)", role_name="Admin")
    checks = by_name(psa.check(["tickets"]))
    level, role = checks["Level of the API member"], checks["Role of the API member"]
    assert (level.verdict, level.kind, role.verdict, role.kind) == ("probably", "advice") * 2
    assert "Branch (Level 2)" in level.detail
    assert "Corporate (Level 1)" in level.fix


def test_what_this_connectwise_does_not_have_is_not_called_forbidden(psa: ConnectWisePsa) -> None:
    """A list that is not there (404) says nothing about a right."""
    assert by_name(psa.check(["inbound"]))["System > Callbacks"].verdict in ("probably", "passed")


@pytest.mark.parametrize(
    ("feature", "path", "name"),
    [
        ("inbound", "system/callbacks", "System > Callbacks"),
        ("hosted_tab", "connectwisehostedscreens", "System > Table Setup (General / Manage Hosted API)"),
        (
            "cross_references",
            "managedDevicesIntegrations",
            "System > Table Setup (Company / Managed Devices Integration)",
        ),
    ],
)
def test_what_no_mode_speaks_of_is_probed_where_it_is_asked_for(
    feature: Feature, path: str, name: str, psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    assert by_name(psa.check(["tickets"]))[name].verdict == "not needed"
    sandbox.control.fault("status_403", path=path)
    check = by_name(psa.check([feature]))[name]
    assert (check.verdict, check.breaks) == ("failed", (feature,))


def test_a_slow_connectwise_is_not_waited_for_line_by_line(
    psa: ConnectWisePsa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.psa.rights.LONGEST", 0.0)
    checks = psa.check(EVERYTHING)
    assert {check.verdict for check in checks} == {"skipped"}
    assert psa.transport.reads == 0
