"""S0: tickets for an organization and for each client. What other tests hold already is marked there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts import addresses, setup
from alerts.models import ClientAddress, Ticket, TicketSettings
from alerts.settingforms import TicketSettingsForm
from integrations import choices, connections, doctor, effective
from integrations.models import Credentials, Event
from portal import clients, inheritance
from portal.models import Organization
from tests import make
from tests.integrations.test_choices import edit
from tests.portal.test_pages import signed_in


def text_of(browser: Browser, name: str, *args: Any) -> str:
    return browser.get(reverse(name, args=args)).content.decode()


@pytest.mark.parity("S0-1")
def test_ticket_and_event_lead_to_each_other(live_world: make.World, drain: Any) -> None:
    make.api(live_world.token).post("/api/v1/events", make.event())
    drain()
    ticket, event = Ticket.objects.get(), Event.objects.get()
    sent = [
        row
        for row in live_world.sandbox.control.requests()
        if row["method"] == "POST" and row["path"].endswith("/service/tickets")
    ]
    assert [f"/events/{event.pk}" in str(row) for row in sent] == [True]
    page = text_of(signed_in(make.user(live_world.partner)), "event", event.pk)
    assert f'href="{ticket.url}"'.replace("&", "&amp;") in page


@pytest.mark.parity("S0-6")
def test_a_client_may_have_a_psa_while_its_organization_has_none(world: make.World) -> None:
    TicketSettings.objects.all().delete()
    Credentials.objects.all().delete()
    own = make.connect(world.client, world.sandbox)
    sister = clients.add_client(world.partner, name="Sister")
    tree, rows = inheritance.Tree.of(world.partner.pk), effective.by_level(world.partner.pk)
    assert effective.credentials_for(world.client, tree, rows) == own
    assert effective.credentials_for(sister, tree, rows) is None


@pytest.mark.parity("S0-8", "S1-14", "S2-20", "S2-40", "S3-18", "S4-28")
def test_two_clicks_lead_from_the_menu_to_the_form_of_an_organization(either: make.World) -> None:
    browser = signed_in(make.user(either.partner))
    branch = Organization.objects.create(
        partner=either.partner, parent=either.organization, name="Branch South"
    )
    menu = text_of(browser, "dashboard")
    assert "My Partnership" in menu
    assert f'href="{reverse("credentials")}"' in menu
    listed = text_of(browser, "credentials")
    kind = either.credentials.get_kind_display()
    for node, word in ((either.organization, "Edit"), (branch, "Configure")):
        page = reverse("credentials_of", args=["organization", node.pk])
        assert re.search(rf'href="{page}">{word}<', listed)
    form = text_of(browser, "credentials_of", "organization", either.organization.pk)
    assert "Configure using" in form
    assert re.search(rf"<option[^>]*selected[^>]*>{kind}</option>", form)


@pytest.mark.parity("S0-9", "S1-16", "S2-1", "S2-21")
def test_the_psa_is_chosen_from_a_list(world: make.World, browser: Browser) -> None:
    form = text_of(browser, "credentials_of", "organization", world.organization.pk)
    offered = re.findall(r"<option value=\"(\w+)\"[^>]*>([^<]+)</option>", form)
    assert offered == [("connectwise", "ConnectWise PSA"), ("autotask", "Autotask PSA"), ("none", "No PSA")]


@pytest.mark.parity("S0-12")
def test_of_a_private_key_is_shown_who_set_it_when_and_its_fingerprint(
    world: make.World, browser: Browser
) -> None:
    row, secret = world.credentials, world.sandbox.dialect.credentials()["private_key"]
    typed = {
        "kind": "connectwise",
        "site_url": row.site_url,
        "login_company": row.login_company,
        "public_key": row.public_key,
        "secret": secret,
    }
    browser.post(reverse("credentials_of", args=["organization", world.organization.pk]), typed)
    row.refresh_from_db()
    page = text_of(browser, "credentials_of", "organization", world.organization.pk)
    told = re.search(
        r"Set on <time[^>]*>[^<]*</time> by ([^,]+), ends in <code>(\w+)</code>, fingerprint <code>(\w+)<",
        page,
    )
    assert told is not None
    assert told.groups() == ("manager@northwind.example", secret[-4:], row.secret_fingerprint)
    assert secret not in page


@pytest.mark.parity("S0-13", "S3-20")
def test_a_clients_company_typed_as_login_company_is_told(world: make.World, browser: Browser) -> None:
    row = world.credentials
    Credentials.objects.filter(pk=row.pk).update(login_company="BakeryOtt", version=row.version + 1)
    checks = doctor.examine(Credentials.objects.get(pk=row.pk))
    assert checks[0].verdict == "failed"
    assert "does not know the login company “BakeryOtt”" in checks[0].detail
    form = text_of(browser, "credentials_of", "organization", world.organization.pk)
    assert "not a client’s company record" in form


@pytest.mark.parity("S0-17")
def test_an_inactive_board_is_not_offered(world: make.World) -> None:
    boards = lambda: {row.name for row in setup.setup_of(world.organization).offered["board"]}  # noqa: E731
    assert boards() == {"Alerts", "Backup", "Service Desk"}
    edit(world.sandbox, "boards", 3, inactiveFlag=True)
    choices.reload(world.credentials)
    assert boards() == {"Backup", "Service Desk"}


@pytest.mark.parity("S0-18", "S0-36", "S2-17")
def test_a_type_belongs_to_its_board(world: make.World) -> None:
    backup = make.choice(world.credentials, "board", "Backup")
    types = world.credentials.choices.filter(kind="type")
    own, strange = types.filter(within=backup.psa_id).first(), types.exclude(within=backup.psa_id).first()
    with pytest.raises(setup.ValidationError, match="is not of the board Backup"):
        setup.change_ticket_settings(world.client, {"type": strange})
    setup.change_ticket_settings(world.client, {"type": own})
    assert TicketSettings.objects.get(client=world.client).type == own


@pytest.mark.parity("S0-23")
def test_save_and_test_does_both(world: make.World, browser: Browser) -> None:
    row = world.credentials
    typed = {
        "kind": "connectwise",
        "site_url": row.site_url,
        "login_company": row.login_company,
        "public_key": row.public_key,
        "secret": "",
    }
    page = reverse("credentials_of", args=["organization", world.organization.pk])
    assert "Press Test It" in browser.post(page, typed, follow=True).content.decode()
    row.refresh_from_db()
    assert row.test_asked_at is None
    assert "It is being tested" in browser.post(page, {**typed, "test": "1"}, follow=True).content.decode()
    row.refresh_from_db()
    assert row.test_asked_at is not None


@pytest.mark.parity("S0-24", "S2-25", "S2-33")
def test_a_clients_settings_hold_its_psa_switch_tickets_and_reset(
    world: make.World, browser: Browser
) -> None:
    found = browser.get(reverse("clients"), {"q": "bakery"}).content.decode()
    assert reverse("client", args=[world.client.pk]) in found
    assert reverse("client_settings", args=[world.client.pk]) in text_of(browser, "client", world.client.pk)
    setup.change_ticket_settings(world.client, {"automatic_closure": False})
    page = text_of(browser, "client_settings", world.client.pk)
    assert "PSA Tool" in page
    assert "Use credentials of its own" in page
    for name in ("client_disable", "client_settings_reset"):
        assert reverse(name, args=[world.client.pk]) in page
    for label in ("Ticket Priority", "Automatic Ticket Closure"):
        assert label in page
    make.connect(world.client, world.sandbox)
    page = text_of(browser, "client_settings", world.client.pk)
    assert re.search(rf'{reverse("credentials_of", args=["client", world.client.pk])}">Edit<', page)


@pytest.mark.parity("S0-29", "S4-17")
def test_that_a_private_key_is_shown_once_is_said_before_it_is_made(
    browser: Browser, world: make.World
) -> None:
    branch = Organization.objects.create(partner=world.partner, parent=world.organization, name="South")
    page = text_of(browser, "credentials_of", "organization", branch.pk)
    assert "The private key is shown" in page
    assert "Make a second key, save it here, then delete the old one" in page


@pytest.mark.parity("S0-30", "S1-17", "S2-12", "S2-23")
def test_site_login_company_and_keys_stand_on_one_page(browser: Browser, world: make.World) -> None:
    page = text_of(browser, "credentials_of", "organization", world.organization.pk)
    for label in (
        "Site URL",
        "Login company (MSP company ID)",
        "Public key (API key)",
        "Private key (API secret)",
    ):
        assert f">{label}" in page
    assert ">Save</button>" in page


@pytest.mark.parity("S0-22", "S0-34", "S0-35", "S2-15", "S2-16")
def test_territory_and_identifier_of_the_company_are_location_and_id_number(
    world: make.World, browser: Browser
) -> None:
    edit(world.sandbox, "companies", 250, territory={"id": 38, "name": "East"})
    site = next(row for row in world.sandbox.dialect.store.all("sites") if row["company"]["id"] == 250)
    lines = {"addressLine1": "4 Mill Lane", "addressLine2": "Yard", "zip": "79098"}
    edit(world.sandbox, "sites", site["id"], **lines, stateReference={"id": 1, "identifier": "BW"})
    choices.reload(world.credentials)
    addresses.fill(world.credentials)
    row = ClientAddress.objects.get(client=world.client)
    assert (row.location, row.id_number) == ("East", "BakeryOtt")
    page = text_of(browser, "client_settings", world.client.pk)
    assert [
        label for label in ("Address Line 1", "Address Line 2", "City", "State", "Zip") if label not in page
    ] == []
    told = (row.address_line_1, row.address_line_2, row.city, row.state, row.zip)
    assert told == ("4 Mill Lane", "Yard", "Freiburg", "BW", "79098")
    assert "<dt>Location</dt><dd>East</dd>" in page
    assert "<dt>ID Number</dt><dd>BakeryOtt</dd>" in page


@pytest.mark.parity("S0-37", "S2-19")
def test_priorities_are_those_of_the_psa(either: make.World) -> None:
    with connections.psa_for(either.credentials) as psa:
        told = {option.name for option in psa.choices("priority")}
    assert told
    assert {row.name for row in setup.setup_of(either.organization).offered["priority"]} == told


@pytest.mark.parity("S0-38", "S4-13")
def test_why_a_board_is_missing_and_which_have_no_status_that_waits_for_an_answer(world: make.World) -> None:
    def told() -> str:
        form = TicketSettingsForm(setup=setup.setup_of(world.organization))
        return str(form.fields["board"].help_text)

    assert "One is missing? Look at its Location" in told()
    assert "Without a status NotResponded" not in told()
    desk = make.choice(world.credentials, "board", "Service Desk")
    world.credentials.choices.filter(kind="status", within=desk.psa_id, data__xref="NotResponded").delete()
    assert told().endswith("Without a status NotResponded: Service Desk.")
