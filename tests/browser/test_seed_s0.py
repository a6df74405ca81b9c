"""The manual of tickets for an organization and for each client, with mouse and keyboard."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from integrations.models import Credentials
from portal import clock
from portal.models import Client
from tests.browser.desk import Desk, picture, walks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@walks("S0 connectwise")
def test_tickets_for_all_clients_from_the_dashboard_to_the_closed_ticket(desk: Desk):
    page = desk.page
    desk.open("Enter PSA Credentials")
    desk.open(f"Configure {desk.partner.name}")
    desk.pick("Configure using", "ConnectWise PSA")
    desk.says("The private key is shown only now")
    desk.fill_keys()
    desk.look("psa-tool")
    desk.press("Save and test")
    desk.says("Connection Succeeded")
    desk.look("tested")
    desk.open("Work order")
    desk.says("Service Tickets")
    desk.look("work-order")
    page.go_back()
    desk.reload_options()
    desk.look("options")

    desk.menu("Integration Setup")
    desk.open(f"Edit ticket settings of {desk.partner.name}")
    desk.pick("Service Board", "Service Desk")
    desk.pick("Service Type", "Incident")
    desk.pick("Initial Status", "New")
    desk.pick("Ticket Priority", "Priority 3")
    desk.pick("Automatic Ticket Closure", "Yes")
    desk.pick("Closing Status", "Completed")
    desk.look("advanced-settings")
    desk.press("Save Ticket Configuration")
    desk.says(f"Tickets of {desk.partner.name} look so from now on.")

    desk.menu("Company Mapping")
    desk.open(desk.partner.name, within=page.get_by_role("main"))
    desk.open("PSA companies without a client")
    desk.make_client(desk.company)
    desk.menu("Company Mapping")
    desk.open(desk.partner.name, within=page.get_by_role("main"))
    desk.open("Catch-all company")
    desk.pick("PSA company", "Pier Nine")
    desk.press("Save")
    desk.says("Now: Pier Nine Logistics")
    desk.look("catch-all")
    desk.menu("Partner Notifications")
    desk.press("Add tickets for problems")
    desk.look("notifications")

    desk.event()
    [ticket] = desk.tickets()
    assert (ticket["company"]["name"], ticket["board"]["name"]) == ("Bakery Ott", "Service Desk")
    assert (ticket["type"]["name"], ticket["priority"]["name"]) == ("Incident", "Priority 3 - Normal")
    desk.tab("Activity")
    desk.says(f"#{ticket['id']}")
    desk.look("activity")
    desk.recover()
    [ticket] = desk.tickets()
    assert (ticket["status"]["name"], ticket["closedFlag"]) == ("Completed", True)
    page.reload()
    desk.says("closed")


@walks("S0-client connectwise")
def test_a_client_has_settings_an_address_and_a_pause_of_its_own_until_it_is_reset(desk: Desk):
    page = desk.page
    desk.connect()
    desk.map_client()
    desk.press("Use these settings")
    desk.done("Say how tickets look")
    desk.press("Open tickets for warnings and errors")

    desk.tab("Settings")
    desk.pick("Contact", "Hanna Ott")
    desk.pick("Service Board", "Backup")
    desk.pick("Initial Status", "New")
    desk.pick("Closing Status", "Closed")
    desk.pick("Service Type", "Backup Failure")
    desk.pick("Service Subtype", "Server")
    desk.pick("Service Item", "Repair")
    desk.pick("Ticket Priority", "Priority 2")
    desk.look("client-settings")
    picture(page, "client-settings")
    desk.press("Save Ticket Configuration")
    desk.says("Tickets of Bakery Ott look so from now on.")
    address = desk.part("Address")
    desk.press("Read from the PSA company", within=address)
    desk.says("The address was read from the PSA company.")
    desk.unfold("Type another")
    for label, text in (
        ("Address Line 1", "12 Mill Lane"),
        ("Address Line 2", "Back entrance"),
        ("City", "Springfield"),
        ("State", "OR"),
        ("Zip", "97477"),
    ):
        address.get_by_label(label).fill(text)
    desk.press("Save Address")
    expect(desk.part("Address")).to_contain_text("12 Mill Lane")
    desk.look("address")
    desk.press("Open and close a test ticket")
    expect(desk.part("Test ticket")).to_contain_text("Passed")

    desk.unfold("Disable for a while")
    pause = desk.part("Disable the PSA for this client")
    until = clock.now() + timedelta(days=1)
    pause.get_by_label("Until").fill(until.strftime("%Y-%m-%dT%H:%M"))
    pause.get_by_label("Reason").fill("The server room moves")
    desk.press("Disable", within=pause)
    desk.says("The server room moves")
    desk.look("disabled")
    desk.event()
    assert desk.tickets() == []
    desk.tab("Settings")
    desk.press("Enable again")
    desk.open("Open tickets for what is still failing: 1")
    desk.look("catch-up")
    desk.press("Open 1 ticket")
    desk.says("1 ticket will be opened.")
    desk.recover(account="nobody")  # drains
    [ticket] = desk.tickets()
    named = {
        name: ticket[name]["name"] for name in ("board", "type", "subType", "item", "priority", "contact")
    }
    assert named == {
        "board": "Backup",
        "type": "Backup Failure",
        "subType": "Server",
        "item": "Repair",
        "priority": "Priority 2 - Quick Response",
        "contact": "Hanna Ott",
    }
    assert (ticket["addressLine1"], ticket["city"], ticket["zip"]) == ("12 Mill Lane", "Springfield", "97477")
    desk.recover()
    assert desk.tickets()[0]["status"]["name"] == "Closed"

    desk.tab("Settings")
    desk.open("Reset to organization-wide defaults…")
    desk.look("reset")
    desk.press("Reset to organization-wide defaults")
    desk.says("All ticket settings come from")
    desk.open("Settings in effect, and their history")
    page.get_by_role("button", name="Undo").first.click()
    desk.says("Undone:")
    desk.look("undone")


@walks("S0-alone connectwise")
def test_just_one_client_has_a_psa_and_its_organization_none(desk: Desk):
    page = desk.page
    desk.post("/clients", {"name": desk.company})
    desk.tab("Settings")
    desk.says("No PSA is in effect for this client.")
    desk.look("no-psa")
    desk.open("Use credentials of its own")
    desk.fill_keys()
    desk.press("Save and test")
    desk.says("Connection Succeeded")
    desk.reload_options()
    desk.look("own-credentials")
    desk.tab("Mapping")
    desk.pick("PSA company", desk.company)
    desk.press("Save Company Mapping")
    desk.says(f"{desk.company} is {desk.company} in the PSA.")
    desk.look("mapped")
    desk.tab("Settings")
    desk.pick("Service Board", "Alerts")
    desk.pick("Initial Status", "New")
    desk.pick("Closing Status", "Completed")
    desk.press("Save Ticket Configuration")
    desk.tab("Activity")
    desk.open("Create Alert")
    page.get_by_label("Name").fill("Alerts of Bakery Ott")
    desk.pick("Notification Action", "Open a PSA ticket")
    desk.press("Create")
    desk.event()
    [ticket] = desk.tickets()
    assert (ticket["company"]["name"], ticket["board"]["name"]) == (desk.company, "Alerts")
    desk.recover()
    assert desk.tickets()[0]["closedFlag"]
    desk.menu("Event Log")
    desk.look("event-log")
    assert Credentials.objects.get().client == Client.objects.get()
