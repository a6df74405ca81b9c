"""The manual of subscriptions on agreements, tickets and a tab in ConnectWise, with mouse and keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from integrations import hosted
from integrations.models import CompanyLink
from portal.models import Client
from tests import make
from tests.browser.desk import Desk, keep, picture, walks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@walks("S3 connectwise")
def test_from_the_work_order_to_tickets_quantities_and_the_tab_of_the_mapped_company(
    desk: Desk, chromium: Browser, live_server: Any, settings: Any
):
    settings.PORTAL_URL = live_server.url
    page = desk.page
    for name in ("Bakery Ott", "Summit Tax and Accounting", "Our own lab"):
        desk.post("/clients", {"name": name})
    desk.connect()
    desk.open("Work order for the PSA’s administrator")
    desk.says("Close Service Tickets")
    desk.look("work-order")
    picture(page, "work-order", at=desk.part("First"))

    desk.steps()
    desk.open("Company Mapping", within=desk.step("Map clients to PSA companies"))
    page.get_by_label("PSA company of Bakery Ott").fill("BakeryOtt")
    page.get_by_label("PSA company of Summit Tax and Accounting").fill("Summit Accounting")
    desk.press("Save Company Mapping")
    desk.says("What waited for it goes out now.")
    page.get_by_label("Tick Our own lab").check()
    desk.press("Skip")
    desk.look("skip")
    desk.press("Skip 1 client")
    expect(page.get_by_role("status")).to_have_text("1 skipped.")
    desk.look("mapping")
    picture(page, "mapping", at=page.get_by_role("navigation", name="Show"))
    desk.steps()
    desk.done("Map clients to PSA companies")

    desk.open("Choose others", within=desk.step("Say how tickets look"))
    desk.pick("Service Board", "Alerts")
    desk.pick("Source", "Backup Vendor")
    desk.pick("Initial Status", "In Progress")
    desk.pick("Closing Status", "Completed")
    desk.look("ticket-integration")
    desk.press("Save Ticket Configuration")
    desk.steps()
    desk.done("Say how tickets look")
    desk.press("Open tickets for warnings and errors")
    desk.done("A first notification")
    desk.test_ticket()

    desk.open("Cross-references", within=desk.step("Cross-references: services and products"))
    for service, product in (("Number of accounts", "ACCOUNT"), ("Online Backup # Servers", "OBS-SERVER")):
        desk.choose_product(service, product)
    desk.look("cross-references")
    desk.billing_settings(Billing_Enabled="Yes")
    desk.tab("Agreement", client="Summit Tax and Accounting")
    desk.unfold("1 agreement hidden: not billable repeatedly")
    desk.says("Project - Summit Accounting")
    desk.choose_agreement()
    desk.tab("Agreement")
    desk.choose_agreement()
    summit = Client.objects.get(name="Summit Tax and Accounting")
    desk.usage("online-backup-servers", 3)
    desk.usage("accounts", 8, client=summit)
    desk.steps()
    desk.done("Agreements")
    desk.press("Ask for a preview")
    desk.done("A first preview")
    desk.look("steps-done")
    picture(page, "guided-set-up")

    desk.tab("Agreement")
    desk.press("Synchronize now")
    desk.says("A synchronization of Bakery Ott waits already")
    desk.tab("Agreement", client=summit.name)
    desk.press("Synchronize now")
    desk.event()
    desk.menu("Status")
    desk.press("Synchronize now : Bakery Ott")
    desk.says("Bakery Ott is synchronized now")
    make.drain()
    page.reload()
    expect(desk.part("Last pushes")).to_contain_text("Online Backup # Servers")
    desk.look("pushes")
    desk.menu("Status")
    desk.look("status")
    assert desk.quantities("Bakery Ott")["OBS-SERVER"] == 3
    assert desk.quantities("Summit Accounting")["ACCOUNT"] == 8

    [ticket] = desk.tickets()
    named = [ticket[name]["name"] for name in ("company", "board", "status", "source")]
    assert named == ["Bakery Ott", "Alerts", "In Progress", "Backup Vendor"]
    desk.recover()
    assert desk.tickets()[0]["status"]["name"] == "Completed"

    desk.menu("PSA Credentials")
    desk.open(f"Edit {desk.partner.name}")
    page.get_by_label("Tab inside the PSA").check()
    desk.press("Test It")
    desk.says("Tab inside the PSA.")
    desk.open("Set up the tab")
    desk.press("Preview registering")
    desk.look("tab-preview")
    desk.press("Register the tab")
    expect(desk.part("State")).to_contain_text("Registered")
    desk.look("tab")
    look_at_the_tab(desk, chromium)
    assert CompanyLink.objects.filter(psa_company_id="").count() == 1


def look_at_the_tab(desk: Desk, chromium: Browser) -> None:
    """As a member of the PSA, who has never heard of the portal, at the page of a mapped company."""
    [row] = hosted.HostedTab.objects.all()
    context = chromium.new_context(base_url=desk.psa.url, viewport={"width": 1100, "height": 900})
    member = context.new_page()
    for company, heading in ((253, "Summit Tax and Accounting"), (250, "Bakery Ott")):
        member.goto(f"/hosted/{row.registered_id}?id={company}&member=mreyes")
        frame = member.frame_locator("#hosted")
        expect(frame.get_by_role("heading", name=heading)).to_be_visible()
    keep(member, "S3-connectwise-tab-in-connectwise")
    picture(member, "tab-in-connectwise", of=member.locator("#hosted"))
    context.close()
