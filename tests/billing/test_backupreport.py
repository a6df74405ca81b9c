"""From a word about a device's backups to the PSA's management report, and what holds it back."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some

from billing import backupstatistics, reportorders, reportsetup
from billing.models import BackupStatistics, ReportRun, ReportSetup, ReportWindow
from integrations import eventlog
from integrations.models import Delivery, Status
from integrations.sandbox import running_sandbox
from portal import clock
from portal.models import Account
from tests import make
from tests.integrations.sandbox.conftest import Caller

FIRST, SECOND = "WorkstationsAndServers", "BackupStats"
TODAY = date(2026, 11, 21)


@pytest.fixture
def world(live_world: make.World) -> make.World:
    switch_on(live_world)
    return live_world


def switch_on(world: make.World, mode: str = "live") -> None:
    world.organization.statistics_mode = mode
    world.organization.save()


def word(**more: Any) -> dict[str, Any]:
    usual = {"client": 19652, "account": "SRV-01", "kind": "server", "successful": 3, "failed": 1}
    return {**usual, "measured_on": clock.now().date().isoformat(), **more}


def send(world: make.World, *words: dict[str, Any]) -> list[str]:
    answer = make.api(world.token).post("/api/v1/statistics", {"statistics": list(words)})
    assert answer.status_code == 202, answer.content
    return [row["status"] for row in answer.json()["results"]]


def entries(world: make.World) -> list[dict[str, Any]]:
    path = "/company/companies/250/managementSummaryReports"
    found: list[dict[str, Any]] = caller(world)("GET", path, pageSize=100).json
    return found


def caller(world: make.World) -> Caller:
    return Caller(world.sandbox, world.sandbox.dialect.credentials())


def counters(entry: dict[str, Any]) -> tuple[Any, ...]:
    names = ("totalServers", "totalWorkstations", "successfulBackupJobs", "failedBackupJobs")
    return tuple(entry.get(name, 0) for name in names)


# --- ConnectWise ------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S4-4", "S4-41", "S4-42", "S4-43", "S4-44", "S4-50")
def test_statistics_reach_both_entries_in_their_order_under_the_managed_id_s4_41_s4_42_s4_43_s4_44(
    world: make.World, drain: Any
) -> None:
    before = entries(world)
    assert [row["deviceType"] for row in before] == [SECOND], (
        "an administrator made one, and the wrong one first"
    )
    words = [word(), word(account="PC-07", kind="workstation", successful=2, failed=0)]
    assert send(world, *words) == ["accepted", "accepted"]
    drain()
    after = sorted(entries(world), key=lambda row: row["id"])
    assert [(row["deviceType"], row["groupIdentifier"], "agreement" in row) for row in after] == [
        (FIRST, "EFS-19652", False),
        (SECOND, "EFS-19652", False),
    ]
    assert [counters(row) for row in after] == [(1, 1, 0, 0), (0, 0, 5, 1)]
    run = ReportRun.objects.get()
    assert (run.state, run.numbers["successful_jobs"], run.broken) == ("done", 5, "")
    changed = {item["key"]: item["before"] for item in run.plan["items"]}
    assert changed["workstations_and_servers"]["device_type"] == SECOND


def test_a_device_is_found_by_its_serial_number_and_told_its_own_numbers(
    world: make.World, drain: Any
) -> None:
    send(world, word(serial_number="SRV-01-19652", storage_gb="412.5", last_backup_at="2026-11-20T22:05:00Z"))
    drain()
    rows = caller(world)("GET", "/company/configurations", conditions='serialNumber="SRV-01-19652"').json
    assert (rows[0]["backupSuccesses"], rows[0]["backupFailed"], rows[0]["backupBillableSpaceGb"]) == (
        3,
        1,
        412.5,
    )


def test_what_is_unchanged_is_not_written(world: make.World, drain: Any) -> None:
    send(world, word())
    drain()
    writes = world.sandbox.control.counts()["writes"]
    reportorders.ask([world.client], cause="button", at_once=True)
    drain()
    assert world.sandbox.control.counts()["writes"] == writes
    assert ReportRun.objects.first().state == "unchanged"


def test_the_last_word_of_a_day_wins_and_a_repeat_is_no_news(world: make.World, drain: Any) -> None:
    send(world, word(), word(successful=7))
    assert BackupStatistics.objects.get().successful_jobs == 7
    drain()
    send(world, word(successful=7))
    assert not Delivery.objects.filter(status=Status.WAITING).exists()
    send(world, word(successful=8))
    assert list(BackupStatistics.objects.order_by("pk").values_list("successful_jobs", "is_current")) == [
        (7, False),
        (8, True),
    ]


@pytest.mark.parity("S4-9", "S4-46")
def test_twelve_hours_count_from_a_success_and_reprocess_ignores_them_s4_46(
    world: make.World, drain: Any
) -> None:
    world.sandbox.control.fault("status_500", path="managementSummaryReports", times=1)
    send(world, word())
    drain()
    assert ReportWindow.objects.get().next_at > clock.now() + timedelta(hours=11)
    send(world, word(successful=9))
    waiting = Delivery.objects.get(status=Status.WAITING)
    assert waiting.reason == "synchronize_window"
    eventlog.reprocess(Delivery.objects.filter(pk=waiting.pk))
    drain()
    assert counters(max(entries(world), key=lambda row: row["id"]))[2] == 9


@pytest.mark.parity("S4-38")
def test_what_synchronizes_a_client_updates_its_report_too_s4_38(
    world: make.World, drain: Any, client: Any
) -> None:
    send(world, word())
    drain()
    ReportRun.objects.all().delete()
    client.force_login(make.user(world.partner))
    client.post(reverse("synchronize", args=[world.client.pk]))
    drain()
    assert ReportRun.objects.get().state == "unchanged"


@pytest.mark.parity("S4-30")
def test_nothing_is_sent_until_somebody_ticks_update_backup_statistics_s4_30(
    live_world: make.World, drain: Any
) -> None:
    before = entries(live_world)
    send(live_world, word())
    drain()
    assert (entries(live_world), Delivery.objects.count(), reportorders.ask_due()) == (before, 0, 0)
    switch_on(live_world)
    assert reportorders.ask_due() == 1
    drain()
    assert ReportRun.objects.get().state == "done"
    assert reportorders.ask_due() == 0


def test_observe_keeps_the_plan_and_writes_nothing(world: make.World, drain: Any) -> None:
    switch_on(world, "observe")
    before = entries(world)
    send(world, word())
    drain()
    assert entries(world) == before
    run = ReportRun.objects.get()
    assert (run.state, len(run.plan["items"])) == ("observed", 2)


def test_a_stale_word_is_not_sent_and_unknown_is_not_zero(world: make.World, drain: Any) -> None:
    before = entries(world)
    old = (clock.now() - timedelta(days=9)).date().isoformat()
    send(world, word(measured_on=old))
    drain()
    assert entries(world) == before
    assert Delivery.objects.get().reason == "no_statistics"


@pytest.mark.parity("S4-39", "S4-44", "S4-69")
def test_what_an_administrator_broke_is_one_error_with_the_steps_that_repair_it_s4_69(
    world: make.World, drain: Any
) -> None:
    path = "/company/companies/250/managementSummaryReports"
    solution = entries(world)[0]["managementSolution"]
    for kind in ("Servers", "Workstations"):
        extra = {
            "managementSolution": {"id": solution["id"]},
            "groupIdentifier": "EFS-19652",
            "deviceType": kind,
        }
        assert caller(world)("POST", path, extra).status == 201
    send(world, word())
    drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == (Status.FAILED, "managed_id")
    assert "EFS-19652 has 3 management entries" in delivery.error_text
    assert "first Workstations and Servers, then Backup Stats, both without an agreement" in delivery.advice
    assert not ReportWindow.objects.exists(), "only a success starts the 12 h"
    for row in entries(world)[1:]:
        caller(world)("DELETE", f"{path}/{row['id']}")
    eventlog.reprocess(Delivery.objects.all())
    drain()
    assert Delivery.objects.get().status == Status.DONE


def test_a_right_that_only_statistics_need_does_not_hold_back_billing(world: make.World, drain: Any) -> None:
    make.billing(world)
    world.sandbox.control.role(table_setup={"allow": "Service / Service Board"})
    send(world, word())
    drain()
    assert Delivery.objects.get().reason == "not_permitted"
    world.credentials.lane.refresh_from_db()
    assert world.credentials.lane.blocked == {}


def test_a_lost_answer_leaves_doubt_and_never_a_third_entry(world: make.World, drain: Any) -> None:
    fault = {"path": "managementSummaryReports", "method": "POST", "times": 1}
    world.sandbox.control.fault("commit_then_drop", **fault)
    send(world, word())
    drain()
    assert ReportRun.objects.get().state == "in_doubt"
    assert Delivery.objects.get().status in (Status.WAITING, Status.UNKNOWN)
    Delivery.objects.update(due_at=clock.now())
    drain()
    assert (ReportRun.objects.count(), Delivery.objects.get().reason) == (1, "unsettled")
    ReportRun.objects.update(finished_at=clock.now() - timedelta(hours=1))
    Delivery.objects.update(due_at=clock.now())
    drain()
    assert Delivery.objects.get().status == Status.DONE
    assert sorted(row["deviceType"] for row in entries(world)) == [SECOND, FIRST]


# --- The set-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S4-24", "S4-25", "S4-26")
def test_the_checklist_tells_line_by_line_what_to_change_s4_24_s4_25_s4_26(world: make.World) -> None:
    reference = make.billing(world)
    reference.type, reference.level = "Servers", "Online Backup"
    reference.save()
    setup = reportsetup.verify(str(world.credentials.pk))
    assert [(line["name"], line["colour"]) for line in setup.lines] == [
        ("Management IT Solution", "green"),
        ("Managed Devices Integration", "red"),
    ]
    call = caller(world)
    made = call(
        "POST",
        "/company/managedDevicesIntegrations",
        {"name": "EFS", "solution": "EFS Backup", "loginBy": "Global", "defaultBillingLevel": "Summary"},
    )
    assert made.status == 201, made.body
    setup = reportsetup.verify(str(world.credentials.pk))
    colours = {line["name"]: line["colour"] for line in setup.lines}
    assert colours == {
        "Management IT Solution": "green",
        "Managed Devices Integration": "green",
        "Login By": "green",
        "Disable Newly Discovered Cross-References": "red",
        "Billing Level": "red",
        "Match on Serial Number": "red",
        f"Cross-Reference {reference.service.name}": "red",
    }
    fixes = " ".join(line["fix"] for line in setup.lines)
    assert "choose Billing Level Detailed" in fixes
    assert "Type Servers, Level Online Backup" in fixes
    world.sandbox.control.role(table_setup="None")
    setup = reportsetup.verify(str(world.credentials.pk))
    assert {line["colour"] for line in setup.lines} == {"unknown"}


# --- Autotask ---------------------------------------------------------------------------------------------------------


def test_at_autotask_the_numbers_go_to_the_devices_own_fields(transactional_db: None, drain: Any) -> None:
    with running_sandbox(kind="autotask") as sandbox:
        world = make.autotask_world(sandbox)
        switch_on(world)
        send(world, word(serial_number="SN19652", storage_gb=100))
        drain()
        run = ReportRun.objects.get()
        assert run.state == "done", run.error_text
        setup = reportsetup.verify(str(world.credentials.pk))
        assert {line["colour"] for line in setup.lines} == {"green"}
        reportorders.ask([world.client], cause="button", at_once=True)
        drain()
        assert ReportRun.objects.first().state == "unchanged"
        assert [row["method"] for row in sandbox.control.requests()].count("PATCH") == 1


# --- Doors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"client": 1}, "client", "unknown_client"),
        ({"account": None}, "account", "required"),
        ({"successful": -1}, "successful", "not_a_count"),
        ({"failed": True}, "failed", "not_a_count"),
        ({"measured_on": "21.11.2026"}, "measured_on", "not_a_day"),
        ({"last_backup_at": "2026-11-20T22:05:00"}, "last_backup_at", "not_a_time"),
        ({"storage_gb": "many"}, "storage_gb", "not_a_quantity"),
        ({"kind": "toaster"}, "kind", "not_a_kind"),
        ({"protected": "yes"}, "protected", "not_a_flag"),
    ],
)
def test_a_wrong_item_is_told_and_the_good_ones_are_kept(
    world: make.World, wrong: dict[str, Any], field: str, code: str
) -> None:
    answer = make.api(world.token).post("/api/v1/statistics", {"statistics": [word(**wrong), word()]}).json()
    assert [row["status"] for row in answer["results"]] == ["rejected", "accepted"]
    assert [(error["field"], error["code"]) for error in answer["results"][0]["errors"]] == [(field, code)]
    assert BackupStatistics.objects.count() == 1


@pytest.mark.parity("S4-45", "S4-57")
def test_the_page_shows_what_the_report_will_show_and_a_proposal_is_approved_once_s4_45(
    world: make.World, drain: Any, client: Any
) -> None:
    switch_on(world, "approve")
    send(world, word())
    drain()
    client.force_login(make.user(world.partner))
    page = client.get(reverse("client_report", args=[world.client.pk])).content.decode()
    assert "What the report will show" in page
    assert "Approve and update" in page
    assert ReportRun.objects.get().state == "proposed"
    url = reverse("approve_report", args=[world.client.pk])
    client.post(url, {"digest": "other"})
    assert ReportRun.objects.get().approved_by == ""
    client.post(url, {"digest": ReportRun.objects.get().digest})
    drain()
    assert ReportRun.objects.first().state == "done"
    assert [row["deviceType"] for row in sorted(entries(world), key=lambda row: row["id"])] == [FIRST, SECOND]
    assert not Delivery.objects.filter(status=Status.HELD).exists()
    told = make.api(world.token).get(f"/api/v1/clients/{world.client.pk}/report").json()
    assert (told["mode"], told["numbers"]["servers"], told["last_update"]["state"]) == ("approve", 1, "done")


def test_the_button_verifies_the_set_up(world: make.World, client: Any) -> None:
    client.force_login(make.user(world.partner))
    client.post(reverse("verify_report_setup", args=[world.credentials.pk]), {"client": world.client.pk})
    assert ReportSetup.objects.get().verified_at is not None


def test_a_batch_takes_as_many_queries_as_one_item(world: make.World) -> None:
    def queries(count: int, day: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            send(world, *(word(account=f"PC-{number}", measured_on=day) for number in range(count)))
        return len(seen)

    send(world, word())  # an update waits from now on
    days = [(clock.now() - timedelta(days=ago)).date().isoformat() for ago in (1, 2)]
    assert queries(40, days[0]) <= queries(1, days[1]) + 1


# --- The sums ---------------------------------------------------------------------------------------------------------

WORDS = some.lists(
    some.tuples(
        some.sampled_from(["SRV-01", "SRV-02", "PC-07"]),
        some.integers(0, 45),
        some.integers(0, 9),
        some.integers(0, 9),
        some.booleans(),
    ),
    max_size=25,
)


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORDS)
def test_sums_are_of_the_newest_words_month_and_protected_by_newest_fresh_words(
    told: list[tuple[str, int, int, int, bool]],
) -> None:
    """The model: a day's word by account, the later one over the earlier; months and freshness by hand."""
    latest: dict[tuple[str, date], tuple[int, int, bool]] = {}
    for name, age, good, bad, protected in told:
        latest[name, TODAY - timedelta(days=age)] = (good, bad, protected)
    accounts = {name: Account(key=name) for name in ("SRV-01", "SRV-02", "PC-07")}
    rows = [
        BackupStatistics(
            account=accounts[name],
            measured_on=day,
            successful_jobs=good,
            failed_jobs=bad,
            is_protected=protected,
            device_kind="server" if name.startswith("SRV") else "workstation",
            used_gb=Decimal(good),
        )
        for (name, day), (good, bad, protected) in sorted(latest.items(), key=lambda item: item[0][1])
    ]
    numbers = backupstatistics.summed(rows, today=TODAY)
    days = [day for _, day in latest]
    if not days or max(days) < TODAY - timedelta(days=7):
        assert numbers is None
        return
    month = max(days).replace(day=1)
    of_month = [facts for (_, day), facts in latest.items() if day >= month]
    assert numbers is not None
    assert numbers.successful_jobs == sum(good for good, _, _ in of_month)
    assert numbers.failed_jobs == sum(bad for _, bad, _ in of_month)
    newest = {name: max(day for one, day in latest if one == name) for name, _ in latest}
    counted = [
        name for name, day in newest.items() if day >= TODAY - timedelta(days=7) and latest[name, day][2]
    ]
    assert numbers.servers == sum(name.startswith("SRV") for name in counted)
    assert numbers.workstations == counted.count("PC-07")
    by_name = {device.name: device for device in numbers.devices}
    assert sum(device.successful_jobs for device in by_name.values()) == numbers.successful_jobs
