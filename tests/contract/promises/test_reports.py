"""What the month's report must show is planned without a write, written once, and never doubled."""

from __future__ import annotations

import contextlib

import pytest

from integrations.psa.errors import PsaError
from integrations.psa.reportsetup import WantedReference, WantedSetup
from tests.contract.houses import House, Trouble

COUNTS = (0, 1, 7, 30, 999, 100_000)


def test_planning_a_report_writes_nothing(house: House) -> None:
    before = house.writes()
    plan = house.psa.plan_report(house.report())
    assert plan.items
    assert all(item.reason and item.after for item in plan.items)
    assert house.writes() == before


def test_a_report_that_was_written_needs_nothing_more(house: House) -> None:
    applied = house.psa.apply(house.psa.plan_report(house.report()))
    assert all(item.record_id for item in applied.items)
    before = house.writes()
    again = house.psa.plan_report(house.report())
    assert (again.items, again.findings) == ((), ())
    assert f"device:{house.serial}" in again.unchanged
    house.psa.apply(again)
    assert house.writes() == before


@pytest.mark.parametrize("count", COUNTS)
def test_counters_are_absolute(count: int, house: House) -> None:
    house.psa.apply(house.psa.plan_report(house.report()))
    changed = house.report(house.device(failed_jobs=count), failed_jobs=count)
    for _ in range(2):
        house.psa.apply(house.psa.plan_report(changed))
    assert house.psa.plan_report(changed).items == ()
    back = house.psa.plan_report(house.report())
    assert bool(back.items) == (count != 1)


def test_an_unknown_device_is_a_finding_and_keeps_nothing_else_back(house: House) -> None:
    stray = house.device(serial_number="SN-0", name="SRV-09")
    plan = house.psa.plan_report(house.report(house.device(), stray))
    assert [(one.key, one.code) for one in plan.findings] == [("device:SN-0", "device_unmatched")]
    assert plan.findings[0].advice
    assert f"device:{house.serial}" in {item.key for item in plan.items}


@pytest.mark.parametrize(
    "what", ["lost answer", "lost request", "late", "cut off", "trouble", "page", "garbled"]
)
def test_a_lost_answer_never_doubles_an_entry(what: Trouble, house: House) -> None:
    """Each write of the report in turn loses its answer; the next plan is made from what the PSA shows by then."""
    wanted = house.report()
    for _ in range(4):
        house.trouble(what, at="apply")
        with contextlib.suppress(PsaError):
            house.psa.apply(house.psa.plan_report(wanted))
        house.settle()
    house.heal()
    house.psa.apply(house.psa.plan_report(wanted))
    after = house.psa.plan_report(wanted)
    assert (after.items, after.findings) == ((), ())


def test_the_set_up_of_the_report_is_read_and_every_red_line_tells_what_to_do(house: House) -> None:
    before = house.writes()
    reference = WantedReference(
        service="Servers", vendor_type="Servers", vendor_level="Backup", product_id="301", product_name="A"
    )
    for solution in ("EFS Backup", "Nobody's Backup"):
        lines = house.psa.check_report_setup(WantedSetup(solution=solution, references=(reference,)))
        assert lines
        assert all(line.fix for line in lines if line.verdict == "failed")
    assert house.writes() == before


def test_a_report_that_may_not_be_read_raises_and_plans_nothing(house: House) -> None:
    house.forbid("plan_report")
    with pytest.raises(PsaError) as caught:
        house.psa.plan_report(house.report())
    assert caught.value.needs_a_person
    assert not caught.value.outcome_unknown
