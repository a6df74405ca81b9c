"""The manual of backup statistics, usage on agreements and notifications, with mouse and keyboard: the set-up that is
done once, the one of each company, what happens then, and what to do when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests import make
from tests.browser.desk import Desk, picture, walks
from tests.integrations.sandbox.conftest import Caller

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

REPORTS = "/company/companies/250/managementSummaryReports"
INTEGRATIONS = "/company/managedDevicesIntegrations"


def administrator(desk: Desk) -> Caller:
    """Who sets the PSA up, without our adapter."""
    return Caller(desk.psa, desk.psa.dialect.credentials())


def entries(desk: Desk) -> list[dict[str, Any]]:
    """The management entries of the company, in the order that the PSA has them."""
    rows: list[dict[str, Any]] = administrator(desk)("GET", REPORTS, pageSize=100).json
    return sorted(rows, key=lambda row: int(row["id"]))


def enter_keys(desk: Desk) -> None:
    """My Partnership > PSA Credentials."""
    desk.menu("PSA Credentials")
    desk.open(f"Configure {desk.partner.name}")
    desk.pick("Configure using", "ConnectWise PSA")
    desk.fill_keys()
    desk.press("Save and test")
    desk.says("Connection Succeeded")
    desk.reload_options()
    desk.look("psa-credentials")


def map_the_customer(desk: Desk) -> None:
    """The vendor's customer 19652 is the company of that name; its managed ID is on every page of it."""
    desk.menu("Clients")
    desk.open(desk.company)
    desk.says("EFS-19652")
    desk.tab("Mapping")
    desk.pick("PSA company", desk.company)
    desk.press("Save Company Mapping")
    desk.says(f"{desk.company} is {desk.company} in the PSA.")


@walks("S4 connectwise")
def test_set_up_once_and_for_a_company_until_ticket_quantity_and_report_are_there(desk: Desk):
    page = desk.page
    desk.post("/clients", {"name": desk.company, "number": 19652})
    enter_keys(desk)

    desk.menu("Integration Setup")
    desk.open(f"Edit ticket settings of {desk.partner.name}")
    desk.pick("Service Board", "Backup")
    desk.pick("Initial Status", "New (NotResponded)")
    desk.pick("Closing Status", "Completed")
    desk.look("service-status")
    desk.press("Save Ticket Configuration")

    desk.menu("Cross-references")
    desk.open(f"Edit {desk.partner.name}")
    making = desk.part("Create in PSA")
    desk.pick("Service", "Local Backup # Servers", within=making)
    making.get_by_label("Product ID").fill("LOCAL-SERVER")
    desk.press("Preview", within=making)
    desk.look("new-product")
    desk.press("Create exactly this")
    desk.says("LOCAL-SERVER was made in the PSA")
    desk.choose_product(
        "Online Backup # Servers",
        "OBS-SERVER",
        Level="Online Backup",
        Type="Servers",
        Configuration_Type="Workstations and Servers",
        Agreement_Type="Backup Services",
    )
    desk.choose_product("Local Backup # Servers", "LOCAL-SERVER", Level="Local Backup", Type="Servers")
    desk.look("cross-references")
    desk.billing_settings(
        Update_Backup_Statistics="Yes",
        Update_Invoice_Descriptions="Yes",
        Mode="Approve",
        Billing_Enabled="Yes",
    )

    desk.menu("Partner Notifications")
    desk.open("Create a New Notification")
    page.get_by_label("Name").fill("Tickets for warnings and errors")
    desk.pick("Notification Action", "Open a PSA ticket")
    expect(page.get_by_role("group", name="Subscribe to All Event Types").get_by_label("Yes")).to_be_checked()
    desk.look("notification")
    desk.press("Create")
    desk.press("Add statistics + billing sync")
    desk.look("notifications")
    picture(page, "notifications")

    map_the_customer(desk)
    desk.tab("Report")
    desk.press("Verify now")
    desk.tab("Report")
    expect(desk.part("Set-up in the PSA")).to_contain_text("To be changed")
    desk.look("to-be-changed")
    set_the_psa_up(desk)
    desk.press("Verify now")
    desk.tab("Report")
    expect(desk.part("Set-up in the PSA")).not_to_contain_text("To be changed")
    desk.tab("Agreement")
    desk.choose_agreement(adds_lines=True)

    desk.usage("online-backup-servers", 4)
    desk.usage("local-backup-servers", 1)
    desk.backups()
    desk.backups(account="PC-07", kind="workstation", good=2, bad=0)
    desk.event()
    [ticket] = desk.tickets()
    assert (ticket["board"]["name"], ticket["status"]["name"]) == ("Backup", "New")
    assert [row["deviceType"] for row in entries(desk)] == ["WorkstationsAndServers", "BackupStats"]
    assert {row["groupIdentifier"] for row in entries(desk)} == {desk.client.managed_id}
    desk.tab("Report")
    desk.look("report")
    picture(page, "report")

    assert desk.quantities(desk.company)["OBS-SERVER"] == 2, "nothing is written before somebody says yes"
    desk.menu("Approvals")
    page.get_by_label(f"Tick {desk.company}").check()
    desk.look("approvals")
    picture(page, "approvals")
    desk.press("Approve selected")
    desk.says("1 plan was approved.")
    make.drain()
    found = desk.quantities(desk.company)
    assert (found["OBS-SERVER"], found["LOCAL-SERVER"]) == (4, 1)
    desk.menu("Runs")
    desk.look("runs")

    desk.recover()
    assert desk.tickets()[0]["closedFlag"]
    desk.menu("Account List")
    page.get_by_label("QuickSearch: account, client or client id").fill("SRV-01")
    desk.press("Search")
    desk.look("account-list")
    desk.open("Events of SRV-01")
    desk.open("Backup of SRV-01 failed")
    desk.look("event")
    picture(page, "event")


def set_the_psa_up(desk: Desk) -> None:
    """What the checklist says, done by the PSA's administrator."""
    call = administrator(desk)
    made = call(
        "POST",
        INTEGRATIONS,
        {
            "name": "Backup",
            "solution": "EFS Backup",
            "loginBy": "Global",
            "defaultBillingLevel": "Detail",
            "disableNewCrossReferencesFlag": True,
            "matchOnSerialNumberFlag": True,
        },
    )
    assert made.status == 201, made.body
    products = {
        row["identifier"]: row["id"] for row in call("GET", "/procurement/catalog", pageSize=100).json
    }
    kind = call("GET", "/finance/agreements/types").json[0]["id"]
    for level, product in (("Online Backup", "OBS-SERVER"), ("Local Backup", "LOCAL-SERVER")):
        line = {
            "vendorType": "Servers",
            "vendorLevel": level,
            "product": {"id": products[product]},
            "agreementType": {"id": kind},
        }
        answer = call("POST", f"{INTEGRATIONS}/{made.json['id']}/crossReferences", line)
        assert answer.status == 200, answer.body


@walks("S4-repair connectwise")
def test_refused_keys_a_moved_ticket_double_mails_and_a_broken_management_entry_are_mended(desk: Desk):
    page = desk.page
    desk.post("/clients", {"name": desk.company, "number": 19652})
    enter_keys(desk)
    map_the_customer(desk)
    desk.go_on()
    desk.press("Use these settings")
    desk.press("Open tickets for warnings and errors")
    desk.billing_settings(Update_Backup_Statistics="Yes")

    # A. Duplicate tickets
    desk.menu("Partner Notifications")
    desk.open("E-mail settings")
    page.get_by_label("Email Address", exact=True).fill("backupnotify@northwind.example")
    page.get_by_label("Confirm Email Address").fill("backupnotify@northwind.example")
    page.get_by_label("No Backup Notification").check()
    page.get_by_label("No Error Free Backup Notification").check()
    page.get_by_label("Addresses that your PSA makes tickets from").fill("support@northwind.example")
    desk.look("mail-settings")
    desk.press("Save Changes")
    expect(page.get_by_label("Enable External Ticketing Alerts")).not_to_be_checked()
    desk.event()
    [ticket] = desk.tickets()
    desk.psa.control.technician("move", ticket=ticket["id"], board=1)
    desk.event(summary="Backup of SRV-01 failed again")
    assert len(desk.tickets()) == 1, "a ticket that was moved is not opened a second time"
    desk.recover()
    assert desk.tickets()[0]["closedFlag"]

    # B. The synchronization does not work
    new_keys = desk.psa.control.rotate_keys()
    desk.event()
    assert [row["closedFlag"] for row in desk.tickets()] == [True]
    desk.menu("Event Log")
    desk.open("Advanced Search")
    page.get_by_label("Field").first.select_option(label="Notification Processed Error List")
    page.get_by_label("Operator").first.select_option("LIKE")
    page.get_by_label("Term").first.fill("?*")
    desk.press("Search")
    desk.look("advanced-search")
    desk.open("Backup of SRV-01 failed")
    desk.says("ConnectWise refused the sign-in.")
    desk.says("without a number yet")
    desk.says("Handed over: Open a PSA ticket.")
    desk.look("refused")
    desk.menu("PSA Credentials")
    desk.open(f"Edit {desk.partner.name}")
    desk.look("stopped")
    page.get_by_label("Public key (API key)").fill(new_keys["public_key"])
    page.get_by_label("Private key (API secret)").fill(f"  {new_keys['private_key']} ")
    desk.press("Save and test")
    desk.says("Connection Succeeded")
    make.drain()
    assert [row["closedFlag"] for row in desk.tickets()] == [True, False], "what waited went out by itself"

    # C. The management entries
    call = administrator(desk)
    solution = {"id": entries(desk)[0]["managementSolution"]["id"]}
    for kind in ("Servers", "Workstations"):
        extra = {
            "managementSolution": solution,
            "groupIdentifier": desk.client.managed_id,
            "deviceType": kind,
        }
        assert call("POST", REPORTS, extra).status == 201
    desk.backups()
    desk.tab("Report")
    desk.says("are not as they must be")
    expect(desk.part("Last updates")).to_contain_text("Nothing was written.")
    desk.look("management-entries")
    for row in entries(desk):
        if row["deviceType"] in ("Servers", "Workstations"):
            call("DELETE", f"{REPORTS}/{row['id']}")
    desk.press("Update now")
    make.drain()
    desk.tab("Report")
    desk.look("report")
    expect(page.get_by_text("are not as they must be")).to_have_count(0)
    told = {row["deviceType"]: row.get("successfulBackupJobs", 0) for row in entries(desk)}
    assert told["BackupStats"] == 3

    desk.menu("Event Log")
    page.get_by_role("link", name="Backup of SRV-01 failed", exact=True).first.click()
    desk.press("Reprocess Notification Open a PSA ticket")
    make.drain()
    assert len(desk.tickets()) == 2, "reprocessing opens no second ticket"
    desk.menu("Status")
    desk.look("status")
