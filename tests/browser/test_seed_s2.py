"""The manual of two PSAs, with mouse and keyboard: once at each of them."""

from __future__ import annotations

import pytest

from tests.browser.desk import Desk, picture, walks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@walks("S2 connectwise", "S2 autotask")
def test_advanced_tickets_a_test_and_a_drop_filter_at_either_psa(desk: Desk):
    page, is_autotask = desk.page, desk.kind == "autotask"
    desk.connect()
    desk.map_client()
    desk.open("Choose others", within=desk.step("Say how tickets look"))
    desk.pick("Queue" if is_autotask else "Service Board", "Backup")
    desk.pick("Status New" if is_autotask else "Initial Status", "New")
    desk.pick("Status Complete" if is_autotask else "Closing Status", "Complete")
    if is_autotask:
        desk.pick("Priority", "High")
    else:
        desk.pick("Priority of critical", "Priority 1")
    page.get_by_label("Notes per hour, at most").fill("4")
    if is_autotask:
        picture(page, "autotask-tickets")
    desk.press("Save Ticket Configuration")
    desk.press("Preview the texts")
    desk.look("texts")
    desk.steps()
    desk.done("Say how tickets look")
    desk.press("Open tickets for warnings and errors")
    desk.test_ticket()

    desk.menu("PSA Credentials")
    desk.open(f"Edit {desk.partner.name}")
    desk.says("PSA, site and login company are locked")
    desk.press("Test It")
    desk.says("Connection Succeeded")
    desk.look("tested-again")
    desk.open("Change connection…")
    desk.look("change-connection")

    desk.menu("Partner Notifications")
    desk.open("Drop filters")
    desk.open("New drop filter")
    page.get_by_label("Name").fill("Agents that come and go")
    page.get_by_label("Summary contains one of").fill("connection lost\nconnection restored")
    desk.look("drop-filter")
    desk.press("Save")
    desk.event(id="dropped", summary="SRV-01: connection lost")
    assert desk.tickets() == []
    desk.event()
    assert len(desk.tickets()) == 1
    desk.menu("Event Log")
    desk.open("SRV-01: connection lost")
    desk.says("Agents that come and go")
    desk.look("dropped")
