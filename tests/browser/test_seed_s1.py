"""The manual of alerts and billing that are switched on one by one, with mouse and keyboard."""

from __future__ import annotations

import pytest

from tests.browser.desk import Desk, walks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@walks("S1 connectwise")
def test_usage_goes_on_an_agreement_and_an_alert_goes_to_the_psa(desk: Desk):
    page = desk.page
    desk.connect()
    desk.map_client()
    desk.press("Use these settings")
    desk.done("Say how tickets look")
    desk.menu("Cross-references")
    desk.open(f"Edit {desk.partner.name}")
    for service, product in (
        ("Number of accounts", "ACCOUNT"),
        ("Total storage", "TOTAL-GB"),
        ("File Server Enablement", "FSE"),
    ):
        desk.choose_product(service, product)
    desk.look("products")
    desk.billing_settings(Billing_Enabled="Yes", Push_Date="On the last day of the month")
    desk.steps()
    desk.done("Cross-references: services and products")
    desk.open(f"Agreement of {desk.company}")
    desk.choose_agreement(adds_lines=True)
    desk.usage("accounts", 7)
    desk.usage("total-storage", 310)
    desk.usage("file-server-enablement", 1)
    desk.steps()
    desk.done("Agreements")
    desk.preview()
    assert desk.push().state == "done"
    assert desk.pushed() == {"accounts": "7", "total-storage": "310", "file-server-enablement": "1"}

    desk.tab("Activity")
    desk.open("Create Alert")
    page.get_by_label("Name").fill("Alerts of Bakery Ott")
    desk.pick("Notification Action", "Open a PSA ticket")
    desk.look("alert")
    desk.press("Create")
    desk.event()
    [ticket] = desk.tickets()
    assert ticket["company"]["name"] == desk.company
    desk.menu("Event Log")
    desk.look("event-log")
    desk.says("Backup of SRV-01 failed")
