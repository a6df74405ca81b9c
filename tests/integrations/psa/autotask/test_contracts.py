from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.psa.autotask import AutotaskPsa
from integrations.psa.autotask.periods import Change, Period, change_on
from integrations.psa.errors import Misconfigured, PsaError, Rejected, Unsettled
from integrations.psa.wanted import WantedDevice, WantedProduct, WantedReport
from integrations.sandbox import Sandbox
from tests.integrations.psa.autotask.conftest import Connect, line, lines

CONTRACT = "401"  # Bakery Ott's: 301 (GB) 250, 302 (server) 2, 303 (desktop) 10
ADJUSTMENTS = "ServiceAdjustments$"


def units(psa: AutotaskPsa, product: str = "301") -> str:
    return next(found.quantity for found in psa.lines(CONTRACT) if found.product_id == product)


def adjusted(sandbox: Sandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.control.get("adjustments", contract=CONTRACT)
    return found


class Clock:
    """Time of the adapter; the sandbox keeps the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def test_lines_show_what_is_billed_now(psa: AutotaskPsa) -> None:
    found = psa.lines(CONTRACT)
    assert psa.transport.reads == 3
    assert [(each.product_id, each.quantity) for each in found] == [
        ("301", "250"),
        ("302", "2"),
        ("303", "10"),
    ]
    assert (found[0].unit_price, found[0].product_name) == ("0.25", "Online Backup Storage (GB)")


def test_only_what_differs_is_adjusted_by_the_difference(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    psa.plan_lines(lines(CONTRACT))  # learns the contract types
    psa.transport.reads = 0
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 240), line("server", "302", 2)))
    assert (psa.transport.reads, psa.transport.writes) == (3, 0)
    assert plan.unchanged == ("server",)
    assert plan.items[0].request.body["unitChange"] == -10
    applied = psa.apply(plan)
    assert (psa.transport.reads, psa.transport.writes) == (5, 1)
    assert applied.items[0].answer["quantity"] == "240"
    assert [row["unitChange"] for row in adjusted(sandbox)] == [-10]
    assert psa.plan_lines(lines(CONTRACT, line("gb", "301", 240))).unchanged == ("gb",)


def test_a_month_can_be_pushed_again_and_again(psa: AutotaskPsa) -> None:
    for quantity in (260, 255, 0, 270):
        psa.apply(psa.plan_lines(lines(CONTRACT, line("gb", "301", quantity))))
        assert units(psa) == str(quantity)


def test_the_same_plan_twice_changes_nothing_twice(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    psa.apply(plan)
    psa.apply(plan)
    assert units(psa) == "251"
    assert len(adjusted(sandbox)) == 1


def test_units_that_changed_since_the_plan_stop_the_write(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    sandbox.control.technician("adjustment", contract=401, line=8001, change=7)
    with pytest.raises(Unsettled) as caught:
        psa.apply(plan)
    assert not caught.value.outcome_unknown
    assert psa.transport.writes == 0


def test_a_period_posted_since_the_plan_stops_the_write(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    sandbox.control.technician("post", contract=401)
    with pytest.raises(Unsettled):
        psa.apply(plan)
    assert psa.transport.writes == 0


@pytest.mark.parametrize("fault", ["commit_then_drop", "status_500", "truncated_json", "html_200"])
def test_a_change_that_was_made_without_an_answer_is_not_made_again(
    connected: Connect, sandbox: Sandbox, fault: str
) -> None:
    psa = connected()
    wanted = lines(CONTRACT, line("gb", "301", 251))
    options = {"commit": True} if fault in ("status_500", "html_200") else {}
    sandbox.control.fault(fault, method="POST", path=ADJUSTMENTS, times=1, **options)
    plan = psa.plan_lines(wanted)
    with pytest.raises(PsaError) as caught:
        psa.apply(plan)
    assert caught.value.outcome_unknown
    psa.apply(plan)
    assert psa.plan_lines(wanted).unchanged == ("gb",)
    assert len(adjusted(sandbox)) == 1


def test_a_change_that_lands_late_is_never_doubled(connected: Connect, sandbox: Sandbox) -> None:
    clock = Clock()
    psa = connected(clock=clock)
    wanted = lines(CONTRACT, line("gb", "301", 251))
    sandbox.control.fault("late_commit", method="POST", path=ADJUSTMENTS, times=1, delay=1.0)
    plan = psa.plan_lines(wanted)
    with pytest.raises(PsaError):
        psa.apply(plan)
    again = connected(clock=clock)  # another thread of the same connection
    assert [finding.code for finding in again.plan_lines(wanted).findings] == ["units_unsettled"]
    with pytest.raises(Unsettled):
        again.apply(plan)
    sandbox.settle()
    assert again.plan_lines(wanted).unchanged == ("gb",)
    assert units(again) == "251"
    assert len(adjusted(sandbox)) == 1


def test_a_change_that_was_never_made_is_made_when_that_is_sure(connected: Connect, sandbox: Sandbox) -> None:
    clock = Clock()
    psa = connected(clock=clock)
    wanted = lines(CONTRACT, line("gb", "301", 251))
    sandbox.control.fault("drop", method="POST", path=ADJUSTMENTS, times=1)
    with pytest.raises(PsaError):
        psa.apply(psa.plan_lines(wanted))
    assert psa.plan_lines(wanted).items == ()
    clock.ahead = 400.0
    psa.apply(psa.plan_lines(wanted))
    assert units(psa) == "251"


def test_units_that_are_neither_before_nor_after_are_for_a_person(
    connected: Connect, sandbox: Sandbox
) -> None:
    clock = Clock()
    psa = connected(clock=clock)
    wanted = lines(CONTRACT, line("gb", "301", 251))
    sandbox.control.fault("drop", method="POST", path=ADJUSTMENTS, times=1)
    with pytest.raises(PsaError):
        psa.apply(psa.plan_lines(wanted))
    sandbox.control.technician("adjustment", contract=401, line=8001, change=9)
    clock.ahead = 400.0
    plan = psa.plan_lines(wanted)
    assert (plan.items, [finding.code for finding in plan.findings]) == ((), ["units_in_doubt"])


def test_what_is_in_doubt_survives_with_the_connections_facts(connected: Connect, sandbox: Sandbox) -> None:
    psa = connected()
    sandbox.control.fault("drop", method="POST", path=ADJUSTMENTS, times=1)
    with pytest.raises(PsaError):
        psa.apply(psa.plan_lines(lines(CONTRACT, line("gb", "301", 251))))
    kept = json.loads(psa.transport.shared.facts["units", "401", "line 8001"])
    assert (kept["before"], kept["after"]) == ("250", "251")


def test_a_write_that_was_called_back_leaves_no_doubt(psa: AutotaskPsa) -> None:
    def stop() -> None:
        raise InterruptedError("the lease is gone")

    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    psa.transport.before_write = stop
    with pytest.raises(InterruptedError):
        psa.apply(plan)
    psa.transport.before_write = None
    psa.apply(plan)
    assert units(psa) == "251"


def test_half_a_push_tells_what_was_done(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251), line("server", "302", 3)))
    match = {"method": "POST", "path": ADJUSTMENTS, "body": '"contractServiceID": 8002'}
    sandbox.control.post("faults", {"fault": "drop", "match": match, "times": 1})
    with pytest.raises(PsaError) as caught:
        psa.apply(plan)
    assert [item.key for item in caught.value.applied] == ["gb"]


@pytest.mark.parametrize("quantity", ["2.5", "-1", "NaN"])
def test_only_whole_units_are_ever_sent(psa: AutotaskPsa, quantity: str) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", quantity)))
    assert plan.items == ()
    assert plan.findings[0].code in ("fraction", "quantity_out_of_range")


def test_after_a_posted_period_the_next_one_is_changed(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.technician("post", contract=401)
    wanted = lines(CONTRACT, line("gb", "301", 251))
    plan = psa.plan_lines(wanted)
    assert [finding.code for finding in plan.findings] == ["period_posted"]
    assert plan.items[0].before["effective_on"] > datetime.now(UTC).date().isoformat()
    psa.apply(plan)
    assert psa.plan_lines(wanted).unchanged == ("gb",)
    assert units(psa) == "250"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": 0}, "contract_inactive"),
        ({"contractType": 1}, "contract_not_recurring"),
        ({"endDate": "2026-01-31"}, "contract_out_of_range"),
        ({"startDate": "2027-06-01"}, "contract_out_of_range"),
    ],
)
def test_a_contract_that_cannot_be_billed_is_found_before_writing(
    psa: AutotaskPsa, sandbox: Sandbox, change: dict[str, Any], code: str
) -> None:
    sandbox.control.technician("edit", contract=401, fields=change)
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    assert (plan.items, [finding.code for finding in plan.findings]) == ((), [code])


def test_a_missing_service_is_told_or_added(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    assert psa.plan_lines(lines(CONTRACT, line("filter", "308", 24))).findings[0].code == "line_missing"
    plan = psa.plan_lines(lines(CONTRACT, line("filter", "308", 24, create_if_missing=True)))
    sandbox.control.fault("commit_then_drop", method="POST", path=ADJUSTMENTS, times=1)
    with pytest.raises(PsaError):
        psa.apply(plan)
    applied = psa.apply(plan)
    assert applied.items[0].record_id
    assert units(psa, "308") == "24"
    assert len(adjusted(sandbox)) == 1


def test_a_service_that_is_there_twice_is_for_a_person(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("a", "301", 5), line("b", "301", 6)))
    assert {finding.code for finding in plan.findings} == {"ambiguous_line"}
    assert plan.items == ()


def test_the_invoice_text_is_written_beside_the_units(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    wanted = lines(CONTRACT, line("gb", "301", 251, invoice_description="251 GB\nSRV-01: 251 GB"))
    assert [item.key for item in psa.apply(psa.plan_lines(wanted)).items] == ["gb", "gb:description"]
    assert psa.lines(CONTRACT)[0].invoice_description.startswith("251 GB")
    only_text = lines(CONTRACT, line("gb", "301", 251, invoice_description="251 GB"))
    assert [item.key for item in psa.apply(psa.plan_lines(only_text)).items] == ["gb"]
    assert psa.plan_lines(only_text).unchanged == ("gb",)


def test_a_second_change_of_a_cut_period_on_one_day_is_told(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    """The sandbox begins with the reading that such a change is refused; then it is made tomorrow."""
    today = datetime.now(UTC).date()
    if today.day == 1:
        pytest.skip("on the first day of a period there is nothing to cut")
    sandbox.control.technician("adjustment", contract=401, line=8001, change=1, date=today.isoformat())
    with pytest.raises(Rejected, match="one change a day"):
        psa.apply(psa.plan_lines(lines(CONTRACT, line("gb", "301", 300))))
    assert units(psa) == "251"


# --- Devices and catalogue --------------------------------------------------------------------------------------------


def report(*devices: WantedDevice) -> WantedReport:
    return WantedReport(
        company_id="201",
        managed_id="EFS-19652",
        solution="Backup",
        successful_jobs=30,
        failed_jobs=1,
        devices=devices,
    )


APPLIANCE = WantedDevice(
    serial_number="sn19652",
    name="SRV-01",
    successful_jobs=30,
    failed_jobs=1,
    last_backup_at=datetime(2026, 11, 20, 22, 5, tzinfo=UTC),
    used_gb=Decimal("412.50"),
)


def test_statistics_go_to_the_device_with_the_serial_number(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    psa.apply(psa.plan_report(report(APPLIANCE)))
    kept = sandbox.control.get("items", company="201")[0]["_udfs"]
    assert (kept["Successful Backups"], kept["Failed Backups"]) == ("30", "1")
    assert kept["Protected GB"] == "412.5"
    again = psa.plan_report(report(APPLIANCE))
    assert (again.items, again.unchanged) == ((), ("device:sn19652",))


def test_a_device_that_is_not_there_is_told(psa: AutotaskPsa) -> None:
    plan = psa.plan_report(report(WantedDevice(serial_number="SN-0", name="SRV-09")))
    assert (plan.items, plan.findings[0].code) == ((), "device_unmatched")


def test_a_service_is_added_to_the_catalogue_once(psa: AutotaskPsa) -> None:
    wanted = WantedProduct(
        identifier="EFS Backup per GB",
        description="Backup",
        category="Recurring Backup",
        unit_price=Decimal("0.3"),
    )
    made = psa.apply(psa.plan_product(wanted)).items[0]
    assert psa.plan_product(wanted).unchanged == ("EFS Backup per GB",)
    assert any(option.id == made.record_id for option in psa.choices("product"))


def test_a_service_without_a_billing_code_is_for_a_person(psa: AutotaskPsa) -> None:
    plan = psa.plan_product(
        WantedProduct(identifier="EFS New", description="New", category="Nothing like it")
    )
    assert (plan.items, plan.findings[0].code) == ((), "billing_code")


def test_a_right_that_is_missing_for_billing_is_named(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    plan = psa.plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    sandbox.control.role(contract_services={"create": "None"})
    with pytest.raises(PsaError, match="Contracts") as caught:
        psa.apply(plan)
    assert caught.value.needs_a_person
    assert not isinstance(caught.value, Misconfigured)
    sandbox.control.role(contract_services="All")
    assert psa.plan_lines(lines(CONTRACT, line("gb", "301", 251))).findings == ()


def test_a_year_ahead_nothing_is_out_of_step(connected: Connect) -> None:
    """A contract that is over by the adapter's clock, although the PSA still shows rows."""
    clock = Clock()
    clock.ahead = timedelta(days=900).total_seconds()
    plan = connected(clock=clock).plan_lines(lines(CONTRACT, line("gb", "301", 251)))
    assert plan.findings[0].code == "contract_out_of_range"


def test_a_plan_of_yesterday_is_the_same_plan_today(connected: Connect, sandbox: Sandbox) -> None:
    """What was approved in the evening is sent in the morning, counting from the day that was shown."""
    clock = Clock()
    psa = connected(clock=clock)
    wanted = line("filter", "308", 24, create_if_missing=True)
    first = psa.plan_lines(lines(CONTRACT, wanted))
    clock.ahead = 24 * 3600.0
    assert psa.plan_lines(lines(CONTRACT, wanted)).digest != first.digest
    shown = date.fromisoformat(first.items[0].after["effective_on"])
    again = psa.plan_lines(lines(CONTRACT, replace(wanted, effective_on=shown)))
    assert again.digest == first.digest
    psa.apply(again)
    assert units(psa, "308") == "24"


def test_a_day_that_was_shown_holds_within_its_period_alone() -> None:
    today = date(2026, 11, 21)

    def change(asked: date | None, starts: date) -> date:
        cut = Period(
            line_id="1", service_id="2", starts=starts, ends=date(2026, 11, 30), units=5, is_posted=False
        )
        found = change_on([cut], today, date(2026, 1, 1), None, asked)
        assert isinstance(found, Change)
        return found.on

    assert change(None, date(2026, 11, 10)) == today
    assert change(date(2026, 11, 20), date(2026, 11, 10)) == date(2026, 11, 20)
    assert change(date(2026, 11, 5), date(2026, 11, 10)) == today
    assert change(date(2026, 11, 25), date(2026, 11, 10)) == today
    assert change(date(2026, 11, 20), date(2026, 11, 1)) == date(2026, 11, 1)
