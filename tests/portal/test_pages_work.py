"""What the pages do: credentials, notifications, ticket settings, mapping, the event log, and steady lists."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts import setup
from alerts.models import Notification, SettingChange, TicketSettings
from billing.models import SynchronizeWindow
from integrations import wake
from integrations.models import BulkReprocess, CompanyLink, Credentials, Delivery, Event
from portal import clients, clock
from portal.models import Account, Organization
from tests import make
from tests.portal.test_pages import Scene, delivered, happened, signed_in
from tests.portal.test_pages import scene as scene_fixture

pytestmark = pytest.mark.django_db
scene = scene_fixture


@pytest.fixture
def browser(scene: Scene) -> Any:
    return signed_in(scene.manager)


# --- PSA Credentials -------------------------------------------------------------------------------------------------


@pytest.fixture
def branch(scene: Scene) -> Organization:
    return Organization.objects.create(
        partner=scene.world.partner, parent=scene.world.organization, name="Branch South"
    )


def credentials_page(level: Organization) -> str:
    return reverse("credentials_of", args=["organization", level.pk])


def typed(**fields: str) -> dict[str, str]:
    return {
        "kind": "connectwise",
        "site_url": "https://www.na.myconnectwise.net/v4_6_release/",
        "login_company": "northwind",
        "public_key": "AbCdEf0123456789",
        "secret": "s3cr3tPrivateKey99",
        **fields,
    }


@pytest.mark.parity("S0-10", "S0-12", "S2-31")
def test_the_saved_site_is_shown_as_it_will_be_called(browser, branch):
    answer = browser.post(credentials_page(branch), typed(), follow=True)
    text = answer.content.decode()
    assert "Calls go to https://api-na.myconnectwise.net" in text
    assert "s3cr3tPrivateKey99" not in text
    assert "ends in" in text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"site_url": "psa.example.com:9999"}, "may not be called"),
        ({"site_url": "not a site"}, "blank"),
        ({"secret": ""}, "private key is missing"),
        ({"secret": "with a blank"}, "blank"),
        ({"secret": "gAAAAABmnotakey"}, "encrypted text"),
        ({"login_company": ""}, "empty"),
    ],
    ids=["port", "no site", "no key", "blank in key", "token", "no company"],
)
@pytest.mark.parity("S4-14")
def test_what_cannot_be_right_is_refused_beside_its_field(browser, branch, fields, sentence, settings):
    settings.PSA_ALLOWED_PORTS = (443,)
    text = browser.post(credentials_page(branch), typed(**fields)).content.decode()
    errors = " ".join(re.findall(r'field-errors".*?</ul>', text, re.DOTALL))
    assert sentence in errors
    assert not Credentials.objects.filter(organization=branch).exists()


@pytest.mark.parity("S0-9", "S0-11", "S0-12")
def test_a_refused_form_keeps_what_was_typed_but_never_the_key(browser, branch):
    text = browser.post(credentials_page(branch), typed(login_company="")).content.decode()
    assert 'value="AbCdEf0123456789"' in text
    assert "s3cr3tPrivateKey99" not in text


def test_a_changed_site_asks_for_the_key_again(browser, scene):
    company = scene.world.credentials.login_company
    fields = typed(secret="", site_url="psa.elsewhere.example", login_company=company, is_same_psa="on")
    text = browser.post(credentials_page(scene.world.organization), fields).content.decode()
    assert "must be typed again" in text


@pytest.mark.parity("S1-13")
def test_a_level_without_credentials_says_what_it_inherits(browser, branch):
    assert "is inherited from Northwind MSP" in browser.get(credentials_page(branch)).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parity("S2-29", "S2-30", "S3-21")
def test_test_it_shows_each_check(live_world):
    browser = signed_in(make.user(live_world.partner))
    browser.post(reverse("test_it", args=[live_world.credentials.pk]))
    text = browser.get(credentials_page(live_world.organization)).content.decode()
    assert "Connection Succeeded" in text
    assert "Reach the site" in text
    assert "hx-get" not in text


@pytest.mark.parity("S2-30")
def test_a_running_test_is_polled_with_and_without_scripts(browser, scene):
    Credentials.objects.update(test_asked_at=clock.now(), tested_at=None)
    text = browser.get(credentials_page(scene.world.organization)).content.decode()
    assert f'hx-get="/connections/{scene.world.credentials.pk}/test/progress"' in text
    assert '<noscript><meta http-equiv="refresh"' in text


def test_a_test_that_nobody_does_is_told(browser, scene):
    Credentials.objects.update(test_asked_at=clock.now() - clock.spread(300), tested_at=None)
    assert (
        "worker seems not to run" in browser.get(credentials_page(scene.world.organization)).content.decode()
    )


def test_a_verdict_from_before_a_change_is_not_shown(browser, scene):
    Credentials.objects.update(tested_at=clock.now(), test_passed=None)
    text = browser.get(credentials_page(scene.world.organization)).content.decode()
    assert "Changed since the last test" in text
    assert "Connection failed" not in text


def test_a_key_that_cannot_be_read_any_more_is_typed_again(browser, scene, branch):
    """Somebody copied the encrypted text into another row: worth nothing there, and said so."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_credentials SET secret = %s", ["gAAAAABnot-ours"])
    page = credentials_page(scene.world.organization)
    assert browser.get(page).status_code == 200
    fields = typed(secret="", site_url=scene.world.sandbox.url, is_same_psa="on")
    assert "cannot be read any more" in browser.post(page, fields).content.decode()
    assert browser.post(page, typed(site_url=scene.world.sandbox.url, is_same_psa="on")).status_code == 302


# --- Partner Notifications -------------------------------------------------------------------------------------------


def rule(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Tickets for errors",
        "action": "ticket",
        "severities": ["warning", "error"],
        "all_event_types": "yes",
        "is_enabled": "on",
        **fields,
    }


@pytest.mark.parity("S4-35")
def test_a_new_notification_begins_with_the_usual_answers(browser):
    text = browser.get(reverse("notification_new")).content.decode()
    ticked = re.findall(r'name="severities" value="(\w+)"[^>]*checked', text)
    assert ticked == ["warning", "error", "critical"]
    assert re.search(r'name="all_event_types" value="yes"[^>]*checked', text)


@pytest.mark.parity("S4-33")
def test_a_notification_is_created(browser, scene):
    browser.post(reverse("notification_new"), rule(client="EFS-19652"))
    made = Notification.objects.get(name="Tickets for errors")
    assert (made.client, made.severities, made.version) == (scene.world.client, ["warning", "error"], 1)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"severities": []}, "at least one severity"),
        ({"all_event_types": "no"}, "at least one event type"),
        ({"client": "30001"}, "has no client"),
        ({"client": "nonsense"}, "has no client"),
        ({"name": ""}, "required"),
        ({"action": "shout"}, "valid choice"),
    ],
    ids=["no severity", "no type", "another partner's client", "no client", "no name", "no such action"],
)
@pytest.mark.parity("S4-34")
def test_a_notification_that_could_never_work_is_refused(browser, fields, sentence):
    before = Notification.objects.count()
    assert sentence in browser.post(reverse("notification_new"), rule(**fields)).content.decode()
    assert Notification.objects.count() == before


def test_a_notification_has_one_scope_at_most(browser, scene):
    fields = rule(client="19652", organization=str(scene.world.organization.pk))
    assert "not both" in browser.post(reverse("notification_new"), fields).content.decode()


@pytest.mark.parity("S4-37")
def test_each_change_raises_the_version(browser, scene):
    browser.post(reverse("notification", args=[scene.notification.pk]), rule(name="Tickets, louder"))
    browser.post(reverse("notification_switch", args=[scene.notification.pk]))
    scene.notification.refresh_from_db()
    assert (scene.notification.name, scene.notification.version) == ("Tickets, louder", 3)
    assert not scene.notification.is_enabled


@pytest.mark.parity("S4-37")
def test_a_copy_is_switched_off(browser, scene):
    browser.post(reverse("notification_copy", args=[scene.notification.pk]))
    assert not Notification.objects.get(name="Tickets (copy)").is_enabled


def test_deleting_asks_first(browser, scene):
    page = reverse("notification_delete", args=[scene.notification.pk])
    assert "?" in browser.get(page).content.decode()
    assert Notification.objects.filter(pk=scene.notification.pk).exists()
    browser.post(page)
    assert not Notification.objects.filter(pk=scene.notification.pk).exists()


@pytest.mark.parity("S4-38")
def test_the_preset_synchronizes_on_everything(browser, scene):
    browser.post(reverse("notification_preset"))
    made = Notification.objects.get(partner=scene.world.partner, action="synchronize")
    assert (made.all_event_types, set(made.severities)) == (
        True,
        {"info", "success", "warning", "error", "critical"},
    )


# --- Ticket settings -------------------------------------------------------------------------------------------------


def status(scene: Scene, name: str, board: str = "Backup") -> str:
    row = make.choice(scene.world.credentials, "board", board)
    return str(make.choice(scene.world.credentials, "status", name, row.psa_id).pk)


def settings_page(scene: Scene) -> str:
    return reverse("client_settings", args=[scene.world.client.pk])


@pytest.mark.parity("S0-7")
def test_a_client_overrides_one_field_and_inherits_the_rest(browser, scene):
    browser.post(settings_page(scene), {"automatic_closure": "no"})
    found = setup.setup_of(scene.world.client)
    assert (found.in_effect["automatic_closure"].value, found.in_effect["board"].value.name) == (
        False,
        "Backup",
    )
    text = browser.get(settings_page(scene)).content.decode()
    assert "set here" in text
    assert "from Northwind MSP" in text


@pytest.mark.parity("S3-24")
def test_a_closing_status_must_close(browser, scene):
    text = browser.post(settings_page(scene), {"closing_status": status(scene, "New")}).content.decode()
    assert "valid choice" in text
    assert not TicketSettings.objects.filter(client=scene.world.client).exists()


@pytest.mark.parity("S3-24")
def test_a_status_of_another_board_is_refused(browser, scene):
    boards = scene.world.credentials.choices.filter(kind="board").exclude(name="Backup")
    stranger = scene.world.credentials.choices.filter(
        kind="status", within__in=boards.values("psa_id"), data__closed=True
    ).first()
    text = browser.post(settings_page(scene), {"closing_status": str(stranger.pk)}).content.decode()
    assert "is not of the board Backup" in text


def test_another_board_needs_statuses_of_its_own(browser, scene):
    board = scene.world.credentials.choices.filter(kind="board").exclude(name="Backup").first()
    text = browser.post(settings_page(scene), {"board": str(board.pk)}).content.decode()
    assert f"The inherited “New” is not of the board {board}; choose one that is." in text
    assert not TicketSettings.objects.filter(client=scene.world.client).exists()


def test_reset_goes_back_to_the_organization(browser, scene):
    browser.post(settings_page(scene), {"automatic_closure": "no"})
    browser.post(reverse("client_settings_reset", args=[scene.world.client.pk]))
    assert setup.setup_of(scene.world.client).in_effect["automatic_closure"].value is True


def test_saying_nothing_is_the_same_as_inheriting(browser, scene):
    browser.post(settings_page(scene), {"automatic_closure": "no"})
    browser.post(settings_page(scene), {})
    assert not TicketSettings.objects.filter(client=scene.world.client).exists()


def test_the_pickers_work_while_the_psa_is_down(browser, scene, settings):
    settings.PSA_ALLOWED_NETWORKS = ()
    text = browser.get(settings_page(scene)).content.decode()
    assert "Options read from ConnectWise PSA" in text
    assert ">Backup<" in text


@pytest.mark.parity("S2-28")
def test_the_settings_in_effect_tell_who_set_them_and_can_be_taken_back(browser, scene):
    browser.post(settings_page(scene), {"due_in_hours": "4"})
    page = reverse("settings_in_effect", args=["client", scene.world.client.pk])
    text = browser.get(page).content.decode()
    assert scene.manager.email in text
    assert "inherited → 4" in text
    change = str(SettingChange.objects.get().change)
    browser.post(reverse("settings_undo", args=["client", scene.world.client.pk]), {"change": change})
    assert not TicketSettings.objects.filter(client=scene.world.client).exists()


@pytest.mark.parity("S0-26", "S2-27")
def test_a_reset_shows_first_what_changes(browser, scene):
    browser.post(settings_page(scene), {"due_in_hours": "4"})
    page = reverse("client_settings_reset", args=[scene.world.client.pk])
    text = browser.get(page).content.decode()
    assert "Due in (hours)" in text
    assert TicketSettings.objects.filter(client=scene.world.client).exists()


def test_texts_are_previewed_with_the_newest_problem_and_not_saved(browser, scene):
    page = reverse("settings_preview", args=["client", scene.world.client.pk])
    text = browser.post(page, {"summary_template": "[{severity}] {client}: {summary}"}).content.decode()
    assert "[error] Bakery Ott: Backup of SRV-FILE01 failed" in text
    text = browser.post(page, {"summary_template": "{nobody} {summary}"}).content.decode()
    assert "There is no placeholder {nobody}" in text
    assert not TicketSettings.objects.filter(client=scene.world.client).exists()


def test_an_unknown_placeholder_is_refused_beside_its_field(browser, scene):
    text = browser.post(settings_page(scene), {"body_template": "{nobody}"}).content.decode()
    assert "There is no placeholder {nobody}" in text
    assert "{event_url}" in text


@pytest.mark.parity("S2-2")
def test_an_account_has_settings_of_its_own(browser, scene):
    account = Account.objects.create(partner=scene.world.partner, client=scene.world.client, key="SRV-77")
    page = reverse("account_settings", args=[account.pk])
    browser.post(page, {"automatic_closure": "no"})
    assert TicketSettings.objects.get(account=account).automatic_closure is False
    assert "SRV-77" in browser.get(settings_page(scene)).content.decode()


@pytest.mark.parity("S2-26")
def test_a_client_is_disabled_and_enabled_on_its_settings_page(browser, scene):
    client = scene.world.client
    browser.post(reverse("client_disable", args=[client.pk]), {"reason": "moving house"})
    assert "moving house" in browser.get(settings_page(scene)).content.decode()
    answer = browser.post(
        reverse("client_disable", args=[client.pk]), {"until": "2020-01-01T08:00"}, follow=True
    )
    assert "This moment is over" in answer.content.decode()
    browser.post(reverse("client_enable", args=[client.pk]))
    assert "moving house" not in browser.get(settings_page(scene)).content.decode()


@pytest.mark.parity("S2-32")
def test_the_site_is_locked_while_values_of_its_psa_are_in_use(browser, scene):
    world = scene.world
    page = credentials_page(world.organization)
    keys = {"login_company": world.credentials.login_company, "public_key": world.credentials.public_key}
    text = browser.get(page).content.decode()
    assert "Advanced Settings are in use" in text
    text = browser.post(page, typed(**keys)).content.decode()
    assert "So this is locked" in text
    same = browser.post(page, typed(**keys, is_same_psa="on"))
    assert same.status_code == 302
    refused = browser.post(page, typed(**keys, kind="autotask", is_same_psa="on")).content.decode()
    assert "So this is locked" in refused


@pytest.mark.parity("S0-11", "S4-17")
def test_keys_are_renewed_although_the_site_is_locked(browser, scene):
    world = scene.world
    answer = browser.post(
        credentials_page(world.organization),
        typed(
            site_url=world.credentials.site_url,
            login_company=world.credentials.login_company,
            public_key="NewPublicKey12345",
        ),
    )
    assert answer.status_code == 302
    world.credentials.refresh_from_db()
    assert world.credentials.public_key == "NewPublicKey12345"


# --- Clients and mapping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["bakery", "19652", "EFS-19652"])
@pytest.mark.parity("S2-25")
def test_a_client_is_found_by_name_number_and_managed_id(browser, text):
    assert "Bakery Ott" in browser.get(reverse("clients"), {"q": text}).content.decode()


def test_a_client_that_is_not_there_is_said_so(browser):
    assert "No client matches" in browser.get(reverse("clients"), {"q": "zebra"}).content.decode()


def test_clients_are_paged_by_name_without_gaps_or_repeats(browser, scene):
    for number in range(120):
        clients.add_client(scene.world.partner, name=f"Client {number % 7} same name")
    seen: list[str] = []
    page = reverse("clients")
    for _ in range(5):
        text = browser.get(page).content.decode()
        seen += re.findall(r'<th scope="row"><a href="/clients/([0-9a-f-]{36})"', text)
        following = re.search(r'href="(\?[^"]*before=[^"]+)"[^>]*rel="next"', text)
        if following is None:
            break
        page = reverse("clients") + following[1].replace("&amp;", "&")
    assert (len(seen), len(set(seen))) == (121, 121)


@pytest.mark.parity("S0-14", "S1-20", "S1-26", "S2-13")
def test_a_client_is_mapped_to_a_company_of_the_psa(browser, scene):
    company = scene.world.credentials.choices.filter(kind="company").exclude(psa_id="250").first()
    browser.post(reverse("client_mapping", args=[scene.world.client.pk]), {"company": company.psa_id})
    link = CompanyLink.objects.get(client=scene.world.client)
    assert (link.psa_company_id, link.psa_company_name) == (company.psa_id, company.name)


def test_skipping_a_client_is_a_choice_of_its_own(browser, scene):
    page = reverse("client_mapping", args=[scene.world.client.pk])
    browser.post(page, {"company": "-"})
    assert CompanyLink.objects.get(client=scene.world.client).psa_company_id == ""
    assert "<strong>skipped</strong>" in browser.get(page).content.decode()


def test_choosing_nothing_is_refused(browser, scene):
    text = browser.post(
        reverse("client_mapping", args=[scene.world.client.pk]), {"company": ""}
    ).content.decode()
    assert "This field is required" in text


# --- Event Log -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [{"q": "SRV-FILE01"}, {"q": "backup.failed"}, {"q": "bakery"}, {"q": "EFS-19652"}, {"status": "failed"},
     {"severity": "error"}, {"only_errors": "on"}],
    ids=str,
)  # fmt: skip
def test_an_event_is_found(browser, scene, query):
    assert str(scene.event.pk) in browser.get(reverse("event_log"), query).content.decode()


@pytest.mark.parametrize("query", [{"q": "zebra"}, {"status": "held"}, {"severity": "info"}], ids=str)
def test_an_event_that_does_not_match_is_not_shown(browser, scene, query):
    text = browser.get(reverse("event_log"), query).content.decode()
    assert str(scene.event.pk) not in text
    assert "No event matches" in text


@pytest.mark.parity("S4-54")
def test_an_event_tells_why_what_was_sent_and_what_to_do(browser, scene):
    text = browser.get(reverse("event", args=[scene.event.pk])).content.decode()
    told = (
        "ConnectWise refused the ticket.",
        "Grant the right.",
        "Matched",
        "/service/tickets",
        "#4471",
        "Reprocess",
    )
    assert [part for part in told if part not in text] == []


def test_what_a_source_wrote_is_only_text(browser, scene):
    event = happened(scene.world, summary="<script>alert(1)</script>", details="<img src=x>")
    text = browser.get(reverse("event", args=[event.pk])).content.decode()
    assert "<script>alert" not in text
    assert "<img src=x>" not in text


def test_a_link_to_the_psa_is_a_web_address_or_no_link(browser, scene):
    scene.event.client.conditions.first().tickets.update(url="javascript:alert(1)")
    assert "javascript:" not in browser.get(reverse("event", args=[scene.event.pk])).content.decode()


@pytest.mark.parity("S4-55")
def test_reprocess_puts_a_delivery_back(browser, scene, monkeypatch, tmp_path):
    monkeypatch.setattr(wake, "SOCKETS", tmp_path)
    text = browser.post(reverse("reprocess", args=[scene.delivery.pk]), follow=True).content.decode()
    scene.delivery.refresh_from_db()
    assert (scene.delivery.status, scene.delivery.search_first) == ("waiting", True)
    assert "1 delivery will be tried again." in text


def test_ticked_events_are_reprocessed_together(browser, scene):
    second = happened(scene.world, condition_key="backup:SRV-2")
    other = delivered(second, scene.world)
    answer = browser.post(
        reverse("reprocess_selected"),
        {"event": [str(scene.event.pk), str(second.pk), "nonsense"]},
        follow=True,
    )
    other.refresh_from_db()
    assert other.status == "waiting"
    assert "2 deliveries will be tried again." in answer.content.decode()


def test_another_partners_event_in_a_ticked_list_is_left_alone(scene):
    signed_in(scene.stranger).post(reverse("reprocess_selected"), {"event": [str(scene.event.pk)]})
    scene.delivery.refresh_from_db()
    assert scene.delivery.status == "failed"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parity("S4-55")
def test_all_that_match_a_search_are_reprocessed(live_world):
    event = happened(live_world)
    failed = delivered(event, live_world, error_text="Refused.")
    fine = delivered(happened(live_world, condition_key="backup:2"), live_world, status="done")
    browser = signed_in(make.user(live_world.partner))
    browser.post(reverse("reprocess_selected"), {"matching": "1", "only_errors": "on"})
    browser.post(reverse("change_bulk", args=[BulkReprocess.objects.get().pk]))
    assert [Delivery.objects.get(pk=row.pk).status for row in (failed, fine)] == ["waiting", "done"]


def test_without_a_search_nothing_matches_all(browser, scene):
    browser.post(reverse("reprocess_selected"), {"matching": "1"})
    scene.delivery.refresh_from_db()
    assert scene.delivery.status == "failed"


def test_parked_events_show_the_client_they_named(browser, scene):
    happened(scene.world, client=None, client_reference="29999", state=Event.State.PARKED)
    assert "29999" in browser.get(reverse("parked_events")).content.decode()


def test_old_events_are_reached_page_by_page(browser, scene):
    now = clock.now()
    for number in range(60):
        happened(scene.world, received_at=now - clock.spread(600 + number, by=0))
    first = browser.get(reverse("event_log")).content.decode()
    following = re.search(r'href="(\?before=[^"]+)"', first)
    second = browser.get(reverse("event_log") + following[1]).content.decode()
    ids = [set(re.findall(r'href="/events/([0-9a-f-]{36})"', text)) for text in (first, second)]
    assert ([len(found) for found in ids], ids[0] & ids[1]) == ([50, 11], set())


# --- Status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S3-27")
def test_synchronize_now_asks_for_the_client_at_once(browser, scene):
    SynchronizeWindow.objects.update(next_at=clock.now() + clock.spread(3600))
    text = browser.post(reverse("synchronize", args=[scene.world.client.pk]), follow=True).content.decode()
    assert Delivery.objects.get(action="synchronize").reason == ""
    assert "is synchronized now" in text


@pytest.mark.parity("S3-27")
def test_status_says_what_stopped_and_until_when_a_client_rests(browser, scene):
    lane = scene.world.credentials.lane
    lane.breaker, lane.breaker_text, lane.breaker_since = (
        "sign_in_refused",
        "The keys were refused.",
        clock.now(),
    )
    lane.save()
    SynchronizeWindow.objects.update(next_at=clock.now() + clock.spread(3600))
    text = browser.get(reverse("status")).content.decode()
    assert "The keys were refused." in text
    assert "Stopped" in text


@pytest.mark.parity("S0-2")
def test_the_dashboard_leads_an_empty_partner_to_the_first_step():
    newcomer = make.user(make.partner("Fresh MSP"))
    assert "Next step: Enter PSA Credentials" in signed_in(newcomer).get("/").content.decode()


# --- Lists stay quick ------------------------------------------------------------------------------------------------


def queries_of(browser: Any, page: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert browser.get(page).status_code == 200
    counting = [row["sql"] for row in queries if "COUNT(*)" in row["sql"] and "LIMIT" not in row["sql"]]
    assert counting == []
    return len(queries)


@pytest.mark.parametrize(
    "name", ["dashboard", "clients", "event_log", "parked_events", "tickets", "conditions", "status", "setup"]
)
def test_the_number_of_queries_does_not_grow_with_the_rows(browser, scene, name):
    before = queries_of(browser, reverse(name))
    for number in range(5):
        client = clients.add_client(scene.world.partner, name=f"Client {number}")
        event = happened(scene.world, client=client, condition_key=f"backup:{number}")
        delivered(event, scene.world)
        happened(scene.world, client=None, state=Event.State.PARKED)
        Organization.objects.create(
            partner=scene.world.partner, parent=scene.world.organization, name=f"Branch {number}"
        )
    assert queries_of(browser, reverse(name)) == before
