from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from integrations.psa.autotask import AutotaskPsa
from integrations.psa.port import Check, SignIn
from integrations.sandbox import Sandbox
from tests.integrations.psa.autotask.conftest import Connect

EVERY = ("tickets", "closing", "billing", "statistics", "choices")


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_good_connection_fails_nowhere_and_writes_nothing(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    checks = psa.check(EVERY)
    assert {check.verdict for check in checks} == {"passed", "probably", "not needed"}
    assert sandbox.control.journal() == []
    assert psa.transport.writes == 0


def test_only_what_is_switched_on_is_probed(psa: AutotaskPsa) -> None:
    names = " ".join(check.name for check in psa.check(("tickets",)) if check.verdict != "not needed")
    assert "Tickets" in names
    assert "Contracts" not in names


def test_the_cost_is_known(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    """Zone, version, threshold, entity information; nine entities; the fields of devices and some of their values."""
    before = sandbox.log.newest(1)[0].number
    psa.check(EVERY)
    calls = sandbox.log.since(before)
    assert len(calls) == 15
    assert {call.path.rsplit("/", 1)[-1] for call in calls if call.method != "GET"} == {"query"}


def test_where_levels_differ_autotask_speaks_of_this_user_and_writing_is_sure(
    psa: AutotaskPsa, sandbox: Sandbox
) -> None:
    assert by_name(psa.check(EVERY))["Service Desk > Tickets (Tickets)"].verdict == "probably"
    sandbox.control.role(billing_items="None")
    check = by_name(psa.check(EVERY))["Service Desk > Tickets (Tickets)"]
    assert (check.verdict, check.needs) == (
        "passed",
        ("View (Query): All", "Add (Create): All", "Edit (Update): All"),
    )


def test_a_restricted_level_is_warned_of(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    everyone = len(psa.companies())
    sandbox.control.role(companies={"query": "Restricted"})
    check = by_name(psa.check(EVERY))["CRM > Organizations (Companies)"]
    assert check.verdict == "probably"
    assert "other lines of business" in check.detail
    assert 0 < len(psa.companies()) < everyone


def test_a_module_that_is_switched_off_fails_although_the_level_allows(
    psa: AutotaskPsa, sandbox: Sandbox
) -> None:
    sandbox.control.switches(modules_off="contract_services")
    check = by_name(psa.check(EVERY))["Contracts (ContractServiceAdjustments)"]
    assert check.verdict == "failed"
    assert "switched off" in check.detail
    assert check.breaks == ("billing",)


def test_rights_that_nothing_uses_are_named(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.role(billing_items={"update": "None"})
    checks = by_name(psa.check(("tickets", "choices")))
    assert checks["Contracts (ContractServices)"].verdict == "not needed"
    assert "Edit (Update): All" in checks["Contracts (ContractServices)"].excess
    others = checks["Rights nobody needs"]
    assert "Product (Create, Update)" in others.excess
    assert not any("BillingItem" in name for name in others.excess)
    assert "cannot be edited; copy it" in others.fix


def test_calls_from_autotask_are_probed_where_they_are_asked_for(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    name = "Web Services API > Webhooks (TicketWebhooks)"
    assert by_name(psa.check(("tickets",)))[name].verdict == "not needed"
    sandbox.control.role(webhooks={"create": "None"})
    check = by_name(psa.check(("inbound",)))[name]
    assert (check.verdict, check.breaks) == ("failed", ("inbound",))


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ({"tickets": {"create": "None"}}, "Service Desk > Tickets (Tickets)"),
        ({"tickets": {"update": "None"}}, "Service Desk > Tickets (Tickets)"),
        ({"contracts": {"query": "None"}}, "Contracts (Contracts)"),
        ({"contract_services": {"create": "None"}}, "Contracts (ContractServiceAdjustments)"),
        ({"services": {"query": "None"}}, "Admin > Products & Services (Services)"),
        ({"configuration_items": {"update": "None"}}, "Inventory > Configuration Items (ConfigurationItems)"),
    ],
)
@pytest.mark.parametrize("status", [500, 403])
def test_a_missing_right_fails_with_its_click_path(
    psa: AutotaskPsa, sandbox: Sandbox, role: dict[str, Any], name: str, status: int
) -> None:
    sandbox.control.switches(permission_status=status)
    sandbox.control.role(**role)
    check = by_name(psa.check(EVERY))[name]
    assert check.verdict == "failed"
    assert "In Autotask, Admin >" in check.fix


def test_where_autotask_tells_only_the_nature_of_things_reading_is_still_proven(
    psa: AutotaskPsa, sandbox: Sandbox
) -> None:
    sandbox.control.switches(access_follows_user=False)
    sandbox.control.role(contracts="None")
    assert by_name(psa.check(EVERY))["Contracts (Contracts)"].verdict == "failed"


def test_a_refused_sign_in_skips_the_rest_and_tells_all_causes(connected: Connect, sign_in: SignIn) -> None:
    checks = connected(keys=replace(sign_in, secret="wrong")).check(EVERY)
    assert [check.verdict for check in checks[:3]] == ["passed", "failed", "skipped"]
    assert "API User (system)" in checks[1].fix
    assert {check.verdict for check in checks[2:]} == {"skipped"}


def test_hidden_fields_of_ours_fail_with_the_place_to_tick(
    psa: AutotaskPsa, sandbox: Sandbox, monkeypatch: Any
) -> None:
    sandbox.control.technician("edit", configurationItem=item(sandbox), fields={"userDefinedFields": KEY})
    assert by_name(psa.check(("statistics",)))["Protected data"].verdict == "passed"
    monkeypatch.setattr("integrations.psa.autotask.permissions.NAMES", ("Recovery Key",))
    check = by_name(psa.check(("statistics",)))["Protected data"]
    assert check.verdict == "failed"
    assert "Protected Data Permissions" in check.fix


KEY = [{"name": "Recovery Key", "value": "abc"}]


def item(sandbox: Sandbox) -> int:
    return int(sandbox.control.get("items")[0]["id"])


def test_a_busy_autotask_is_a_warning(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.switches(slow_seconds=0.0, slower_seconds=0.0)
    sandbox.control.post("usage", {"used": 6_000})
    assert by_name(psa.check(("tickets",)))["Calls left"].verdict == "probably"


# --- Pickers ----------------------------------------------------------------------------------------------------------


def test_all_pickers_of_tickets_cost_one_call(connected: Connect) -> None:
    psa = connected()
    for kind in ("board", "status", "type", "subtype", "item", "priority", "source", "category"):
        assert psa.choices(kind)  # type: ignore[arg-type]
    assert psa.transport.reads == 2  # and the zone


def test_inactive_values_are_not_offered(psa: AutotaskPsa) -> None:
    assert "Projects (old)" not in [option.name for option in psa.choices("board")]
    assert "Retired" not in [option.name for option in psa.choices("category")]


def test_only_complete_closes(psa: AutotaskPsa) -> None:
    statuses = psa.choices("status", within="8")
    assert [option.name for option in statuses if option.data["closed"]] == ["Complete"]
    assert {option.within for option in statuses} == {"8"}


def test_sub_issue_types_name_their_issue_type(psa: AutotaskPsa) -> None:
    server = next(option for option in psa.choices("subtype") if option.name == "Server")
    assert server.data["type_ids"] == ["10"]


def test_hidden_contracts_say_why(psa: AutotaskPsa) -> None:
    reasons = {option.name.split(" - ")[0]: option.data["reason"] for option in psa.choices("agreement")}
    assert reasons["Backup Services"] == ""
    assert "not Recurring Service" in reasons["Project"]
    assert "not active" in reasons["Managed Services"]
    assert "ended on" in reasons["Last Year"]


def test_contacts_and_contracts_of_one_company(psa: AutotaskPsa) -> None:
    assert [option.name for option in psa.choices("contact", within="201")] == ["Hanna Ott"]
    assert [option.within for option in psa.choices("agreement", within="201")] == ["201"]
    assert psa.choices("solution") == []
