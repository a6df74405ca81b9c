"""S2: two PSAs, and what Autotask needs. What other tests hold already is marked there."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from alerts import setup
from alerts.models import Notification, Ticket
from alerts.settingforms import TicketSettingsForm
from integrations import connections, doctor
from integrations.models import Credentials
from integrations.psa.autotask.rest import tracking_identifier
from portal.models import Organization
from tests import make
from tests.portal.test_pages import signed_in


@pytest.mark.parity("S2-4")
@pytest.mark.parametrize("scope", ["partner", "organization", "client"])
def test_a_failed_drive_opens_a_ticket_at_every_level(live_world: make.World, drain: Any, scope: str) -> None:
    narrowed = {"organization": live_world.organization, "client": live_world.client}
    Notification.objects.update(
        all_event_types=False,
        event_types=["hardware.drive_failed"],
        **({scope: narrowed[scope]} if scope in narrowed else {}),
    )
    api = make.api(live_world.token)
    api.post("/api/v1/events", make.event())
    drive = {"type": "hardware.drive_failed", "summary": "Drive 3 failed", "data": {"drive": "3"}}
    api.post("/api/v1/events", make.event(**drive))
    drain()
    assert Ticket.objects.get().summary == "Drive 3 failed"
    assert Ticket.objects.get().state == "open"


@pytest.mark.parity("S2-36")
def test_a_partners_own_tracking_identifier_goes_before_the_deployments(autotask: make.World) -> None:
    row = autotask.credentials
    assert tracking_identifier(connections.sign_in_of(row)) == row.login_company
    ours = connections.Entered(
        kind="autotask",
        site_url=row.site_url,
        login_company="",
        public_key=row.public_key,
        secret=autotask.sandbox.dialect.credentials()["secret"],
    )
    saved = connections.save_credentials(autotask.organization, ours, by=None, current=row)
    assert tracking_identifier(connections.sign_in_of(saved)) == "SANDBOXTRACKINGIDENTIFIER01"


@pytest.mark.parity("S2-37")
def test_what_protected_data_needs_is_on_the_work_order_once_statistics_are_on(autotask: make.World) -> None:
    row = autotask.credentials
    asked = lambda: {line.name: line.needs for line in doctor.work_order(row).grants}  # noqa: E731
    assert "Protected data" not in asked()
    Organization.objects.update(statistics_mode="live")
    assert asked()["Protected data"] == ("View Protected Data", "Edit Protected Data")
    said = lambda: next(line for line in doctor.examine(row) if line.name == "Protected data")  # noqa: E731
    assert said().verdict == "passed"
    store = autotask.sandbox.dialect.store
    field = next(one for one in store.all("UserDefinedFieldDefinitions") if one["name"] == "Protected GB")
    device = next(iter(store.all("ConfigurationItems")))
    with store.lock:
        store.put("UserDefinedFieldDefinitions", {**field, "isProtected": True})
        store.put("ConfigurationItems", {**device, "_udfs": {**device.get("_udfs", {}), "Protected GB": "5"}})
    assert said().verdict == "failed"
    assert "tick View and Edit Protected Data for the API user" in said().fix


@pytest.mark.parity("S2-38")
def test_the_company_of_a_client_may_be_typed_by_its_id(autotask: make.World) -> None:
    browser = signed_in(make.user(autotask.partner))
    link = autotask.client.company_links.get()
    other = autotask.credentials.choices.filter(kind="company").exclude(psa_id=link.psa_company_id).first()
    key = autotask.client.pk
    typed = {f"company-{key}": other.psa_id, f"was-{key}": link.psa_company_id}
    browser.post(reverse("mapping", args=[autotask.credentials.pk]), typed)
    link.refresh_from_db()
    assert (link.psa_company_id, link.psa_company_name) == (other.psa_id, other.name)


@pytest.mark.parity("S2-39")
def test_the_queue_is_picked_by_its_name(autotask: make.World) -> None:
    with connections.psa_for(autotask.credentials) as psa:
        queues = {option.name: option.id for option in psa.choices("board")}
    browser = signed_in(make.user(autotask.partner))
    page = browser.get(reverse("setup_of", args=[autotask.organization.pk])).content.decode()
    assert "Queue" in page
    assert len(queues) >= 2
    assert [name for name in queues if f">{name}</option>" not in page] == []
    name, key = next(iter(queues.items()))
    chosen = autotask.credentials.choices.get(kind="board", psa_id=key)
    setup.change_ticket_settings(autotask.organization, {"board": chosen})
    assert setup.setup_of(autotask.client).board == chosen
    assert str(chosen) == name


@pytest.mark.parity("S2-41")
def test_autotask_has_settings_under_its_own_names(autotask: make.World) -> None:
    form = TicketSettingsForm(setup=setup.setup_of(autotask.client))
    assert {field.label for field in form.fields.values()} >= {
        "Queue",
        "Status New",
        "Status Complete",
        "Ticket Category",
        "Ticket Type",
        "Issue Type",
        "Sub-issue Type",
        "Priority",
        "Source",
        "Contact",
        "Contract",
        "Due in (hours)",
        "Automatic Ticket Closure",
    }
    row = Credentials.objects.get(pk=autotask.credentials.pk)
    assert (row.kind, bool(row.public_key), bool(row.secret_fingerprint)) == ("autotask", True, True)


@pytest.mark.parity("S2-42")
def test_a_client_at_autotask_goes_back_to_the_defaults(autotask: make.World) -> None:
    browser = signed_in(make.user(autotask.partner))
    page = reverse("client_settings", args=[autotask.client.pk])
    browser.post(page, {"automatic_closure": "no"})
    assert setup.setup_of(autotask.client).in_effect["automatic_closure"].value is False
    browser.post(reverse("client_settings_reset", args=[autotask.client.pk]))
    assert setup.setup_of(autotask.client).in_effect["automatic_closure"].value is True
