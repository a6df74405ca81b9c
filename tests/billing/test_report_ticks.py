"""What no API verifies is ticked by a person: who and when; and the tick box Update Backup Statistics."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from billing import reportorders, reportsetup
from billing.decisions import Decider
from billing.models import ReportSetup, ReportTick
from billing.proof_world import Billed
from portal.models import AuditEntry
from tests import make

SEEN, UNSEEN = "Login By", "Managed Devices Integration"


@pytest.fixture
def setup(shop: Billed) -> ReportSetup:
    lines = [
        {"name": SEEN, "verdict": "failed", "detail": "It is Local.", "fix": "Choose it.", "colour": "red"},
        {"name": UNSEEN, "verdict": "skipped", "detail": "Not permitted.", "fix": "", "colour": "unknown"},
    ]
    made: ReportSetup = ReportSetup.objects.create(
        partner=shop.partner, credentials=shop.credentials, lines=lines
    )
    return made


def post(browser: Any, shop: Billed, **data: str) -> str:
    url = reverse("tick_report_setup", args=[shop.credentials.pk])
    answer = browser.post(url, {"client": str(shop.client.pk), **data}, follow=True)
    return str(answer.content.decode())


def test_s4_25_a_line_is_ticked_and_unticked_by_a_person_and_audited(
    shop: Billed, setup: ReportSetup, client: Any
) -> None:
    person = make.user(shop.partner)
    client.force_login(person)
    page = post(client, shop, line=UNSEEN)
    assert "Ticked by hand" in page
    assert person.email in page
    tick = ReportTick.objects.get()
    assert (tick.ticked_by, tick.ticked_as) == (person, person.email)
    assert AuditEntry.objects.filter(actor__contains=person.email).exists()
    assert "Ticked by hand" not in post(client, shop, line=UNSEEN, untick="yes")
    assert not ReportTick.objects.exists()


def test_s4_26_what_the_api_tells_cannot_be_ticked_away(shop: Billed, setup: ReportSetup) -> None:
    boss = Decider("boss@example.com")
    assert not reportsetup.tick(shop.credentials, SEEN, by=boss)
    assert reportsetup.tick(shop.credentials, UNSEEN, by=boss)
    setup.lines = [{**line, "colour": "red"} for line in setup.lines]
    setup.save()
    assert [tick for _, _, tick in reportsetup.lines_with_ticks(setup)] == [None, None]


def test_only_a_manager_ticks_and_only_of_their_own_partner(
    shop: Billed, setup: ReportSetup, client: Any
) -> None:
    client.force_login(make.user(make.partner("Southwind MSP")))
    answer = client.post(reverse("tick_report_setup", args=[shop.credentials.pk]), {"line": UNSEEN})
    assert answer.status_code == 404
    client.force_login(make.user(shop.partner, role="partner_viewer"))
    answer = client.post(reverse("tick_report_setup", args=[shop.credentials.pk]), {"line": UNSEEN})
    assert answer.status_code in (403, 404)
    assert not ReportTick.objects.exists()


def test_s4_30_update_backup_statistics_is_ticked_on_the_billing_settings(shop: Billed, client: Any) -> None:
    client.force_login(make.user(shop.partner))
    url = reverse("billing_settings", args=["organization", shop.organization.pk])
    assert reportorders.mode_for(shop.client) == reportorders.OFF
    assert "Update Backup Statistics" in client.get(url).content.decode()
    client.post(url, {"statistics_mode": "live"})
    assert reportorders.mode_for(shop.client) == "live"
    client.post(url, {"statistics_mode": ""})
    assert reportorders.mode_for(shop.client) == reportorders.OFF
