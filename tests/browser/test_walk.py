"""A manager sets the portal up and looks after a failed ticket, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from alerts.models import Notification
from integrations.models import Credentials, Delivery
from portal import clients
from tests import make
from tests.browser.desk import keep, sign_in
from tests.portal.test_pages import delivered, happened

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_from_nothing_to_a_tested_connection(
    page: Page, sandbox: Any, complaints: list[str], transactional_db: None
):
    make.catalogues()
    msp = make.partner("Fresh MSP")
    clients.top_level(msp)
    make.user(msp, email="owner@fresh.example")
    known = sandbox.dialect.credentials()
    sign_in(page, "owner@fresh.example")
    keep(page, "walk-1-dashboard")
    page.get_by_role("link", name="Enter PSA Credentials").click()
    page.get_by_role("link", name="Configure Fresh MSP").click()
    page.get_by_label("Site URL").fill(sandbox.url)
    page.get_by_label("Login company (MSP company ID)").fill(known["company"])
    page.get_by_label("Public key (API key)").fill(known["public_key"])
    page.get_by_label("Private key (API secret)").fill(known["private_key"])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Calls go to")).to_be_visible()
    page.get_by_role("button", name="Test It").click()
    expect(page.get_by_text("Connection Succeeded")).to_be_visible()
    page.get_by_role("button", name="Reload Options from PSA").click()
    expect(page.get_by_role("rowheader", name="Companies")).to_be_visible()
    expect(page.get_by_text("Read · everything")).to_be_visible()
    keep(page, "walk-2-credentials")
    assert known["private_key"] not in page.content()
    assert Credentials.objects.get().test_passed
    assert complaints == []


def test_a_key_that_cannot_be_right_is_refused_where_it_was_typed(
    page: Page, live_world: make.World, manager: Any
):
    sign_in(page, manager.email)
    page.goto(f"/partnership/credentials/organization/{live_world.organization.pk}")
    page.get_by_label("Private key (API secret)").fill("with a blank in it")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#id_secret_error")).to_contain_text("blank")
    keep(page, "walk-3-refused")


def test_a_notification_is_created_and_copied(
    page: Page, live_world: make.World, manager: Any, complaints: list[str]
):
    sign_in(page, manager.email)
    page.get_by_role("link", name="Partner Notifications").click()
    page.get_by_role("link", name="Create a New Notification").click()
    page.get_by_label("Name").fill("Tickets for everything bad")
    page.get_by_label("Critical").check()
    expect(page.get_by_role("group", name="Event types", exact=True)).to_be_hidden()
    page.get_by_role("group", name="Subscribe to All Event Types").get_by_label("No").check()
    page.get_by_label("backup.failed").check()
    keep(page, "walk-4-notification")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Copy Tickets for everything bad").click()
    expect(page.get_by_role("link", name="Tickets for everything bad (copy)", exact=True)).to_be_visible()
    keep(page, "walk-5-notifications")
    made = Notification.objects.get(name="Tickets for everything bad")
    assert (made.severities, made.event_types) == (["warning", "error", "critical"], ["backup.failed"])
    assert complaints == []


def test_only_the_statuses_of_the_chosen_board_are_offered(page: Page, live_world: make.World, manager: Any):
    sign_in(page, manager.email)
    page.goto(f"/clients/{live_world.client.pk}/settings")
    boards = live_world.credentials.choices.filter(kind="board").exclude(name="Backup")
    other = boards.order_by("name").first()
    page.get_by_label("Service Board").select_option(label=other.name)
    groups = page.locator("#id_closing_status optgroup").evaluate_all("all => all.map(group => group.label)")
    assert groups == [other.name]
    keep(page, "walk-6-ticket-settings")


def test_a_failed_ticket_is_found_understood_and_reprocessed(
    page: Page, live_world: make.World, manager: Any, complaints: list[str]
):
    text = "ConnectWise refused the ticket: this API member may not add tickets on board Service."
    event = happened(live_world)
    failed = delivered(event, live_world, error_text=text, advice="Grant Service Desk > Add, then reprocess.")
    sign_in(page, manager.email)
    page.get_by_role("link", name="Event Log").first.click()
    page.get_by_label("Errors only").check()
    page.get_by_role("button", name="Search").click()
    keep(page, "walk-7-event-log")
    page.get_by_role("link", name="Backup of SRV-FILE01 failed").click()
    expect(page.get_by_text("Grant Service Desk")).to_be_visible()
    keep(page, "walk-8-event")
    page.get_by_role("button", name="Reprocess").click()
    expect(page.get_by_text("1 delivery will be tried again.")).to_be_visible()
    make.drain()
    page.reload()
    expect(page.get_by_text("Done")).to_be_visible()
    keep(page, "walk-9-reprocessed")
    assert Delivery.objects.get(pk=failed.pk).status == "done"
    assert complaints == []


def test_the_pages_work_without_scripts(
    chromium: Any, live_server: Any, live_world: make.World, manager: Any
):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, manager.email)
    page.get_by_role("link", name="Clients").click()
    page.get_by_role("link", name="Bakery Ott").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_label("Automatic Ticket Closure").select_option("no")
    page.get_by_role("button", name="Save Ticket Configuration").click()
    expect(page.get_by_text("set here")).to_be_visible()
    page.goto(f"/partnership/credentials/organization/{live_world.organization.pk}")
    page.get_by_role("button", name="Test It").click()
    expect(page.get_by_text("Connection Succeeded")).to_be_visible()
    context.close()


def test_the_doctor_names_cause_and_fix_and_hands_out_a_work_order(
    page: Page, live_world: make.World, manager: Any, complaints: list[str]
):
    live_world.sandbox.control.role(close_service_tickets="None", table_setup={"allow": "Service / Source"})
    sign_in(page, manager.email)
    page.goto(f"/partnership/credentials/organization/{live_world.organization.pk}")
    page.get_by_label("Tab inside the PSA").check()
    page.get_by_role("button", name="Test It").click()
    expect(
        page.get_by_text("Closing tickets, Choices and company mapping, Tab inside the PSA.")
    ).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Close Service Tickets").first).to_contain_text(
        "Failed"
    )
    expect(page.get_by_label("Tab inside the PSA")).to_be_checked()
    keep(page, "walk-doctor-report")
    page.get_by_role("link", name="Work order").click()
    expect(page.get_by_text("open its customize link and allow Service / Priority").first).to_be_visible()
    keep(page, "walk-doctor-work-order")
    assert complaints == []
