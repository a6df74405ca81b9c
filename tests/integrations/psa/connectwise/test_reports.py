from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.errors import NotPermitted, Unsettled
from integrations.psa.plan import Plan
from integrations.psa.wanted import WantedDevice, WantedReport
from integrations.sandbox import Sandbox

# Company 250 of the sandbox has the managed ID EFS-19652 with one entry (Backup Stats), company 257 has none.
Entries = list[tuple[str, str]]


def report(**changes: Any) -> WantedReport:
    usual: dict[str, Any] = {
        "company_id": "250",
        "managed_id": "EFS-19652",
        "solution": "EFS Backup",
        "successful_jobs": 30,
        "failed_jobs": 2,
        "servers": 2,
        "workstations": 5,
    }
    return WantedReport(**{**usual, **changes})


def entries(psa: ConnectWisePsa, wanted: WantedReport) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = psa.plan_report(wanted).found["entries"]
    return found


def arrange(psa: ConnectWisePsa, wanted: WantedReport, *kinds: str, **more: Any) -> None:
    """Entries that a person made by hand, in this order, for a company without any."""
    for kind in kinds:
        body = {
            "managementSolution": {"id": 1},
            "groupIdentifier": wanted.managed_id,
            "deviceType": kind,
            **more,
        }
        psa._rest.write("POST", f"/company/companies/{wanted.company_id}/managementSummaryReports", body)


def test_both_entries_are_made_in_the_order_that_the_report_needs(psa: ConnectWisePsa) -> None:
    wanted = report(company_id="257", managed_id="EFS-19715")
    plan = psa.plan_report(wanted)
    assert psa.transport.writes == 0
    psa.apply(plan)
    assert [(one["device_type"], one["managed_id"]) for one in entries(psa, wanted)] == [
        ("WorkstationsAndServers", "EFS-19715"),
        ("BackupStats", "EFS-19715"),
    ]
    assert psa.plan_report(wanted).unchanged == ("workstations_and_servers", "backup_stats")


def test_a_lone_backup_stats_entry_becomes_the_first_of_two(psa: ConnectWisePsa) -> None:
    psa.apply(psa.plan_report(report()))
    first, second = entries(psa, report())
    assert (first["id"], first["device_type"], first["servers"], first["machines"]) == (
        "1",
        "WorkstationsAndServers",
        2,
        7,
    )
    assert (second["device_type"], second["successful_jobs"], second["failed_jobs"]) == ("BackupStats", 30, 2)


def test_only_counters_that_differ_are_written(psa: ConnectWisePsa) -> None:
    psa.apply(psa.plan_report(report()))
    plan = psa.plan_report(report(successful_jobs=31))
    assert [(item.key, item.before, item.after) for item in plan.items] == [
        ("backup_stats", {"successful_jobs": 30}, {"successful_jobs": 31})
    ]


def test_counters_of_a_former_kind_are_cleared(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    fields = {"successfulBackupJobs": 99, "failedBackupJobs": 9}
    sandbox.control.technician("edit", managementSummaryReport=1, fields=fields)
    psa.apply(psa.plan_report(report()))
    assert (entries(psa, report())[0]["successful_jobs"], entries(psa, report())[0]["failed_jobs"]) == (0, 0)


@pytest.mark.parametrize("stops_after", [0, 1, 2, 3])
def test_entries_in_the_wrong_order_are_turned_round_even_when_interrupted(
    stops_after: int, psa: ConnectWisePsa
) -> None:
    wanted = report(company_id="257", managed_id="EFS-19715")
    arrange(psa, wanted, "BackupStats", "WorkstationsAndServers")
    plan = psa.plan_report(wanted)
    assert [item.key for item in plan.items] == [
        "backup_stats:aside",
        "backup_stats",
        "workstations_and_servers",
    ]
    psa.apply(Plan(subject=plan.subject, items=plan.items[:stops_after]))
    psa.apply(psa.plan_report(wanted))
    found = entries(psa, wanted)
    assert [one["device_type"] for one in found] == ["WorkstationsAndServers", "BackupStats"]
    assert (found[0]["servers"], found[1]["successful_jobs"]) == (2, 30)
    assert psa.plan_report(wanted).items == ()


def test_more_than_two_entries_are_for_a_person(psa: ConnectWisePsa) -> None:
    wanted = report(company_id="257", managed_id="EFS-19715")
    arrange(psa, wanted, "WorkstationsAndServers", "BackupStats", "Servers")
    plan = psa.plan_report(wanted)
    assert (plan.items, [one.code for one in plan.findings]) == ((), ["report_ambiguous"])
    assert "Managed Devices Integration" in plan.findings[0].advice


def test_an_agreement_on_an_entry_and_a_foreign_managed_id_are_told(psa: ConnectWisePsa) -> None:
    wanted = report(company_id="257", managed_id="EFS-19715")
    arrange(psa, wanted, "WorkstationsAndServers", agreement={"id": 401})
    arrange(psa, report(company_id="257", managed_id="EFS19715"), "BackupStats")
    plan = psa.plan_report(wanted)
    assert {one.code for one in plan.findings} == {"report_agreement", "managed_id_other"}
    assert "EFS19715" in " ".join(one.text for one in plan.findings)


def test_a_managed_id_in_other_letters_is_corrected(psa: ConnectWisePsa) -> None:
    wanted = report(company_id="257", managed_id="EFS-19715")
    arrange(psa, report(company_id="257", managed_id="efs-19715 "), "WorkstationsAndServers", "BackupStats")
    psa.apply(psa.plan_report(wanted))
    assert {one["managed_id"] for one in entries(psa, wanted)} == {"EFS-19715"}


def test_without_the_solution_a_person_is_told_how_to_make_it(psa: ConnectWisePsa) -> None:
    plan = psa.plan_report(report(solution="Other Backup"))
    assert (plan.items, plan.findings[0].code) == ((), "solution_missing")
    assert "Management IT" in plan.findings[0].advice
    assert "Other Backup" in plan.findings[0].advice


def test_two_who_make_the_same_entry_end_with_one(psa: ConnectWisePsa) -> None:
    wanted = report(company_id="257", managed_id="EFS-19715")
    early, late = psa.plan_report(wanted), psa.plan_report(wanted)
    psa.apply(early)
    with pytest.raises(Unsettled, match="meanwhile"):
        psa.apply(late)
    assert len(entries(psa, wanted)) == 2
    assert psa.plan_report(wanted).items == ()


def test_an_answer_with_other_numbers_is_not_believed(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    psa.apply(psa.plan_report(report()))
    plan = psa.plan_report(report(failed_jobs=7))
    request = plan.items[0].request
    emptied = [{**change, "path": "diskCleanups"} for change in request.body]
    object.__setattr__(request, "body", emptied)
    with pytest.raises(Unsettled, match="failed_jobs"):
        psa.apply(plan)


def test_the_right_that_is_missing_is_named(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    plan = psa.plan_report(report())
    sandbox.control.role(company_maintenance={"edit": "None"})
    with pytest.raises(NotPermitted, match="Company Maintenance") as caught:
        psa.apply(plan)
    assert "Add, Edit, Inquire" in caught.value.advice


# --- Devices ----------------------------------------------------------------------------------------------------------

SERVER = WantedDevice(
    serial_number="srv-01-19652 ",
    name="SRV-01",
    successful_jobs=12,
    failed_jobs=1,
    last_backup_at=datetime(2026, 11, 20, 22, 5, tzinfo=UTC),
    used_gb=Decimal("412.50"),
)


def test_a_device_with_the_serial_number_carries_the_counters_of_the_month(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    wanted = report(devices=(SERVER,), month=date(2026, 11, 1))
    psa.apply(psa.plan_report(wanted))
    row = psa._rest.get("/company/configurations/7001")
    assert (row["backupSuccesses"], row["backupFailed"], row["backupBillableSpaceGb"]) == (12, 1, 412.5)
    assert (row["backupYear"], row["backupMonth"], row["lastBackupDate"]) == (
        2026,
        11,
        "2026-11-20T22:05:00Z",
    )
    assert "device:srv-01-19652 " in psa.plan_report(wanted).unchanged


def test_a_device_that_is_not_there_or_there_twice_is_told(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.technician("edit", configuration=7002, fields={"serialNumber": "SRV-01-19652"})
    stray = WantedDevice(serial_number="SN-0", name="SRV-09")
    plan = psa.plan_report(report(devices=(SERVER, stray)))
    assert {one.code for one in plan.findings} == {"device_ambiguous", "device_unmatched"}
    assert not [item for item in plan.items if item.record == "configuration"]


def test_a_device_of_another_company_is_not_touched(psa: ConnectWisePsa) -> None:
    plan = psa.plan_report(report(company_id="251", managed_id="EFS-19653", devices=(SERVER,)))
    assert [one.code for one in plan.findings] == ["device_unmatched"]
