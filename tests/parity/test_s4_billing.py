"""S4: usage on agreements, the catalogue of services, and what stands around it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts import setup
from alerts.models import Notification
from alerts.settingforms import TicketSettingsForm
from billing.models import CrossReference, MonthNumbers, Service
from billing.proof_world import Billed, billed
from integrations.models import Delivery
from portal import clock
from portal.models import Account, Organization
from tests import make
from tests.portal.test_pages import signed_in


@pytest.fixture
def shop(db: None, sandbox: Any) -> Billed:
    """A client with ten servers on its agreement."""
    return billed(sandbox)


TWELVE = {
    "Select Online Backup Storage": "GB",
    "Basic Online Backup Storage": "GB",
    "Online Backup # Servers": "servers",
    "Online Backup # Desktops": "desktops",
    "ShadowProtect BDR Storage": "GB",
    "BDR Servers": "servers",
    "BDR Desktops": "desktops",
    "Local Backup # Servers": "servers",
    "Local Backup # Desktops": "desktops",
    "Local Backup Storage": "GB",
    "Email Archiving # Mailboxes": "mailboxes",
    "Email Filtering # Mailboxes": "mailboxes",
}


@pytest.mark.parity("S4-5", "S4-6", "S4-7", "S4-18", "S4-19", "S4-21")
def test_the_twelve_services_are_there_from_the_start_and_local_storage_is_not_billed(db: None) -> None:
    make.catalogues()
    rows = {row.name: row for row in Service.objects.filter(name__in=TWELVE)}
    assert {name: row.unit for name, row in rows.items()} == TWELVE
    assert [row.name for row in rows.values() if not row.billed_by_default] == ["Local Backup Storage"]
    assert len({row.key for row in rows.values()}) == 12


@pytest.mark.parity("S4-8")
@pytest.mark.parametrize("kind", ["backup.succeeded", "backup.failed", "status.updated"])
def test_a_backup_or_a_status_update_synchronizes_within_a_minute(world: make.World, kind: str) -> None:
    Notification.objects.update(
        action="synchronize", severities=["info", "success", "warning", "error", "critical"]
    )
    make.api(world.token).post("/api/v1/events", make.event(type=kind, severity="info"))
    asked = Delivery.objects.get(action="synchronize")
    assert (asked.status, asked.client) == ("waiting", world.client)
    assert asked.due_at <= clock.now() + timedelta(seconds=60)


@pytest.mark.parity("S4-11")
def test_a_push_writes_no_price(shop: Billed) -> None:
    shop.by_hand(unitPrice=49.5, unitCost=12.25)
    shop.use(12)
    shop.sync()
    assert (shop.quantity(), shop.line()["unitPrice"], shop.line()["unitCost"]) == (12, 49.5, 12.25)
    writes = [row for row in shop.sandbox.control.requests() if row["method"] in ("PATCH", "PUT", "POST")]
    assert writes
    assert [row["body"] for row in writes if re.search("price|cost", row["body"], re.IGNORECASE)] == []


@pytest.mark.parity("S4-12")
def test_a_status_that_waits_for_an_answer_is_told_as_such(world: make.World) -> None:
    form = TicketSettingsForm(setup=setup.setup_of(world.organization))
    by_board = dict(form.fields["new_status"].choices[1:])  # type: ignore[attr-defined]
    told = [name for _, name in by_board["Backup"]]
    assert "New (NotResponded)" in told
    assert "In Progress" in told


@pytest.mark.parity("S4-16")
def test_a_key_that_is_used_twice_is_told(world: make.World) -> None:
    browser = signed_in(make.user(world.partner))
    branch = Organization.objects.create(
        partner=world.partner, parent=world.organization, name="Branch South"
    )
    page = lambda level: browser.get(  # noqa: E731
        reverse("credentials_of", args=["organization", level.pk])
    ).content.decode()
    assert "The same key is used" not in page(world.organization)
    make.connect(branch, world.sandbox)
    assert "The same key is used at Branch South as well" in page(world.organization)
    assert "The same key is used at Northwind MSP as well" in page(branch)
    stranger = make.partner("Tailspin IT")
    make.connect(make.clients.top_level(stranger), world.sandbox)
    assert "Tailspin" not in page(world.organization)


@pytest.mark.parity("S4-27")
def test_who_configures_is_called_partner_senior_manager(world: make.World) -> None:
    browser = signed_in(make.user(world.partner, email="boss@northwind.example"))
    page = browser.get(reverse("team")).content.decode()
    assert re.search(r"boss@northwind\.example</th><td>Partner Senior Manager", page)


@pytest.mark.parity("S4-40", "S4-41")
def test_a_clients_id_is_shown_wherever_it_is_and_can_be_copied(world: make.World, settings: Any) -> None:
    browser = signed_in(make.user(world.partner))
    Account.objects.create(partner=world.partner, client=world.client, key="SRV-01")
    for name, args in (
        ("clients", []),
        ("accounts", []),
        ("client", [world.client.pk]),
        ("client_settings", [world.client.pk]),
        ("client_report", [world.client.pk]),
    ):
        assert "EFS-19652" in browser.get(reverse(name, args=args)).content.decode(), name
    page = browser.get(reverse("client", args=[world.client.pk])).content.decode()
    assert 'data-copy="EFS-19652"' in page
    settings.MANAGED_ID_PREFIX = "BAK-"
    assert "BAK-19652" in browser.get(reverse("client", args=[world.client.pk])).content.decode()


@pytest.mark.parity("S4-49")
@pytest.mark.parametrize("is_ours", [True, False])
def test_the_invoice_text_of_a_line_is_ours_or_a_persons(shop: Billed, is_ours: bool) -> None:
    shop.by_hand(invoiceDescription="As agreed with Mr Ott")
    CrossReference.objects.update(updates_description=is_ours)
    shop.use(12)
    shop.sync()
    assert shop.quantity() == 12
    assert (shop.line()["invoiceDescription"] == "As agreed with Mr Ott") is not is_ours


@pytest.mark.parity("S4-51")
def test_a_push_that_fails_is_in_the_event_log_as_well_as_one_that_does_not(
    live_world: make.World, drain: Any
) -> None:
    make.billing(live_world)
    make.credulous(live_world)
    browser = signed_in(make.user(live_world.partner))
    word = {"client": 19652, "service": "online-backup-servers", "quantity": 7}
    word["measured_on"] = clock.now().date().isoformat()
    live_world.sandbox.control.role(agreements="None")
    make.api(live_world.token).post("/api/v1/usage", word)
    drain()
    failed = browser.get(reverse("event_log"), {"only_errors": "on"}).content.decode()
    assert "Synchronize with PSA" in failed
    live_world.sandbox.control.role(agreements="All")
    browser.post(reverse("reprocess", args=[Delivery.objects.get().pk]))
    drain()
    done = browser.get(reverse("event_log"), {"status": "done"}).content.decode()
    assert "Synchronize with PSA" in done


@pytest.mark.parity("S4-67")
def test_status_says_what_is_switched_on(world: make.World) -> None:
    browser: Browser = signed_in(make.user(world.partner))

    def modes() -> list[str]:
        page = browser.get(reverse("status")).content.decode()
        row = re.search(r'<th scope="row">Northwind MSP</th>((?:<td>.*?</td>)+)', page)
        assert row is not None
        return re.findall(r'class="pill[^>]*>(\w+)<', row[1])

    assert modes() == ["Live", "Live", "Off"]
    Organization.objects.update(tickets_mode="observe", statistics_mode="live")
    page = reverse("billing_settings", args=["organization", world.organization.pk])
    browser.post(page, {"is_enabled": "no", "statistics_mode": "live"})
    assert modes() == ["Observe", "Off", "Live"]


@pytest.mark.parity("S3-27")
def test_status_tells_the_last_and_the_next_synchronization(shop: Billed) -> None:
    browser = signed_in(make.user(shop.partner))
    shop.use(12)
    shop.sync()
    page = browser.get(reverse("status")).content.decode()
    row = page[page.index(f'href="{reverse("client_agreement", args=[shop.client.pk])}"') :]
    last, following = re.findall(r'<time datetime="([^"]+)"', row[: row.index("Synchronize now")])
    rest = datetime.fromisoformat(following) - datetime.fromisoformat(last)
    assert rest // timedelta(hours=1) == 12


@pytest.mark.parity("S4-70")
@pytest.mark.parametrize("path", ["/", "/nothing-here", "/accounts/login/"])
def test_support_and_service_status_stand_below_every_page(
    world: make.World, settings: Any, path: str
) -> None:
    settings.SUPPORT_TEXT, settings.STATUS_URL = "Call 555-0100", "https://status.vendor.example"
    browser = Browser() if "login" in path else signed_in(make.user(world.partner))
    page = browser.get(path).content.decode()
    assert "Call 555-0100" in page
    assert 'href="https://status.vendor.example"' in page


@pytest.mark.parity("S4-48")
def test_a_month_shows_gross_included_and_billable(world: make.World) -> None:
    numbers = MonthNumbers.objects.create(
        partner=world.partner,
        client=world.client,
        service=Service.objects.get(key="online-backup-servers"),
        month=clock.now().date().replace(day=1),
        place="bakery ott\tservers",
        measured=12,
        billable=7,
        pushed=7,
        written=12,
        included=5,
        units_at_risk=0,
        steps=[],
        kinds="",
        differs=False,
    )
    page = signed_in(make.user(world.partner)).get(reverse("reconciliation_row", args=[numbers.pk]))
    cells = re.findall(r'<td class="num">(\d+)</td>', page.content.decode())
    assert cells[:3] == ["12", "7", "7"], "measured, billable, pushed"
    assert "12, of which 5 are included" in page.content.decode()
