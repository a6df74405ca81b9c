"""A manager compares cross-references with ConnectWise's own table and writes what is shown, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from billing.models import CrossReference, Service
from tests import make
from tests.browser.desk import findings, keep, sign_in
from tests.devicestable import DevicesTable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WANTED = (
    ("basic-online-backup-storage", "OBS-GB", "Basic", "Storage", "Backup Stats"),
    ("bdr-servers", "BDR-SERVER", "BDR", "Servers", "Workstations and Servers"),
    ("email-filtering-mailboxes", "EMAIL-FILTER", "Filter", "Mailboxes", "Spaceship"),
)


def test_a_comparison_is_looked_at_confirmed_and_told_line_by_line(
    page: Page, live_world: make.World, manager: Any, complaints: list[str]
) -> None:
    table = DevicesTable(live_world.sandbox)
    table.add("Storage", "basic", 304)
    table.add("Firewalls", "Gold", 303)
    for key, product, level, kind, configuration in WANTED:
        CrossReference.objects.create(
            partner=live_world.partner,
            organization=live_world.organization,
            service=Service.objects.get(key=key),
            product=live_world.credentials.choices.get(kind="product", name=product),
            level=level,
            type=kind,
            configuration_type=configuration,
        )
    sign_in(page, manager.email)
    page.goto("/partnership/cross-references")
    page.get_by_role("button", name="Compare with ConnectWise").click()
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="BDR Servers")).to_contain_text("Create")
    expect(rows.filter(has_text="Basic Online Backup Storage")).to_contain_text("Update")
    expect(rows.filter(has_text="Spaceship")).to_contain_text("has no active configuration type")
    expect(rows.filter(has_text="Firewalls")).to_contain_text("Only in ConnectWise")
    panel = page.get_by_role("region", name="Line by line")
    assert panel.evaluate("one => one.scrollWidth <= one.clientWidth"), "nothing is cut off"
    keep(page, "cross-references-compared")
    assert findings(page) == []
    page.set_viewport_size({"width": 360, "height": 760})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 860})
    page.get_by_role("button", name="Write exactly this").click()
    told = page.get_by_role("region", name="What was written")
    expect(told.get_by_text("Done").first).to_be_visible()
    keep(page, "cross-references-written")
    assert findings(page) == []
    assert [line[:3] for line in table.lines()] == [
        ("Storage", "Basic", 301),
        ("Firewalls", "Gold", 303),
        ("Servers", "BDR", 305),
    ]
    page.get_by_role("button", name="Compare with ConnectWise").click()
    expect(page.get_by_text("There is nothing to write.")).to_be_visible()
    assert complaints == []
