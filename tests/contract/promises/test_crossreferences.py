"""A PSA's own cross-references are kept in step where it has a table of them; what people put there stays."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from integrations.psa.errors import Misconfigured, NotPermitted, PsaError
from integrations.psa.plan import Plan
from integrations.psa.reportsetup import WantedReference, WantedSetup
from tests.contract.houses import House, SandboxHouse, Trouble
from tests.devicestable import DevicesTable

STORAGE = WantedReference(
    service="Storage",
    vendor_type="Storage",
    vendor_level="Basic",
    product_id="301",
    product_name="OBS-GB",
    configuration_type="Backup Stats",
)
SERVERS = WantedReference(
    service="Servers",
    vendor_type="Servers",
    vendor_level="BDR",
    product_id="305",
    product_name="BDR-SERVER",
    configuration_type="Workstations and Servers",
    agreement_type="Backup Services",
)
at_connectwise = pytest.mark.parametrize("house", ["connectwise"], indirect=True)


@pytest.fixture
def table(house: House) -> DevicesTable:
    assert isinstance(house, SandboxHouse)
    return DevicesTable(house.sandbox)


def planned(house: House, *wanted: WantedReference) -> Plan:
    return house.psa.plan_references(WantedSetup(solution="EFS Backup", references=wanted))


@pytest.mark.parametrize("house", ["autotask"], indirect=True)
def test_a_psa_without_such_a_table_says_so(house: House) -> None:
    assert not house.ability("cross_references")
    with pytest.raises(Misconfigured, match="no table of cross-references"):
        planned(house, STORAGE)


@at_connectwise
@pytest.mark.parity("S4-26")
def test_what_is_missing_is_made_what_differs_is_changed_and_then_there_is_nothing_to_do(
    house: House, table: DevicesTable
) -> None:
    mine = table.add("Storage", "basic", 304)
    foreign = table.add("Firewalls", "Gold", 303, agreement="Backup Services")
    before = house.writes()
    plan = planned(house, STORAGE, SERVERS)
    assert [(item.action, item.key, item.record_id) for item in plan.items] == [
        ("update", "Storage / Basic / Backup Stats", str(mine)),
        ("create", "Servers / BDR / Workstations and Servers / Backup Services", None),
    ]
    assert plan.items[0].before == {"level": "basic", "product": "BDR-GB"}
    assert plan.items[0].after == {"level": "Basic", "product": "OBS-GB"}
    assert [(one.code, one.key) for one in plan.findings] == [("reference_only_there", f"line {foreign}")]
    assert "Firewalls" in plan.findings[0].text
    assert house.writes() == before
    house.psa.apply(plan)
    assert table.lines() == [
        ("Storage", "Basic", 301, "Backup Stats", ""),
        ("Firewalls", "Gold", 303, "Backup Stats", "Backup Services"),
        ("Servers", "BDR", 305, "Workstations and Servers", "Backup Services"),
    ]
    again = planned(house, STORAGE, SERVERS)
    assert (again.items, len(again.unchanged), len(again.findings)) == ((), 2, 1)


@at_connectwise
@pytest.mark.parametrize("what", ["lost answer", "late", "cut off", "garbled", "lost request", "trouble"])
def test_a_lost_answer_never_doubles_a_line(what: Trouble, house: House, table: DevicesTable) -> None:
    house.trouble(what, at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(planned(house, STORAGE))
    assert caught.value.outcome_unknown
    house.settle()
    with contextlib.suppress(PsaError):
        house.psa.apply(planned(house, STORAGE))
    assert planned(house, STORAGE).items == ()
    assert len(table.lines()) == 1


@at_connectwise
def test_what_is_left_empty_here_is_left_as_it_is_there(house: House, table: DevicesTable) -> None:
    table.add(agreement="Backup Services")
    assert planned(house, replace(STORAGE, configuration_type="")).items == ()


@at_connectwise
def test_lines_that_differ_by_agreement_type_only_are_told_apart(house: House, table: DevicesTable) -> None:
    """A second agreement type is a second line, and nobody's line is bent to be it."""
    first, second = (name for name in sorted(table.agreement_types)[:2])
    table.add(agreement=first)
    plan = planned(
        house,
        replace(STORAGE, agreement_type=first),
        replace(STORAGE, agreement_type=second, product_id="304"),
    )
    assert [(item.action, item.after["agreement_type"]) for item in plan.items] == [("create", second)]
    alone = planned(house, replace(STORAGE, agreement_type=second))
    assert [(item.action, item.after) for item in alone.items] == [("update", {"agreement_type": second})]


@at_connectwise
@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("reference_unclear", replace(STORAGE, product_id="304")),
        ("reference_inactive", replace(STORAGE, vendor_level="Select")),
        ("reference_incomplete", replace(STORAGE, vendor_level="New", configuration_type="")),
        ("reference_setup", replace(STORAGE, vendor_level="New", configuration_type="Spaceship")),
    ],
)
def test_what_a_person_has_to_decide_is_told_and_not_written(
    code: str, wanted: WantedReference, house: House, table: DevicesTable
) -> None:
    table.add(product=302)
    table.add(product=303)
    table.add(level="Select", inactiveFlag=True)
    plan = planned(house, wanted)
    told = [one for one in plan.findings if one.key == wanted.words]
    assert ([one.code for one in told], plan.items) == ([code], ())
    assert told[0].advice


@at_connectwise
def test_without_an_integration_for_the_solution_its_making_is_described(house: House) -> None:
    [told] = planned(house, STORAGE).findings
    assert (told.code, "New Item" in told.advice) == ("integration", True)


@at_connectwise
@pytest.mark.parametrize(("right", "lacks"), [("add", "Add"), ("inquire", "Inquire")])
def test_the_right_to_the_table_is_named(right: str, lacks: str, house: House, table: DevicesTable) -> None:
    assert isinstance(house, SandboxHouse)
    plan = planned(house, STORAGE)
    house.sandbox.control.role(table_setup={right: "None"})
    with pytest.raises(NotPermitted, match="Company / Managed Devices Integration") as caught:
        house.psa.apply(plan) if right == "add" else planned(house, STORAGE)
    assert lacks in caught.value.advice
    check = next(
        one for one in house.psa.check(["cross_references"]) if "Managed Devices Integration" in one.name
    )
    assert (check.verdict, check.breaks) == ("failed", ("cross_references",))
    assert "Company / Managed Devices Integration" in check.fix
