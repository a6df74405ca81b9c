"""Is a set-up that was written, wiped and applied the same again, and is everything wrong refused with its line?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from alerts.models import DropFilter, Notification, NotificationVersion, TicketSettings
from alerts.proving import configproof
from billing.models import BillingSettings
from integrations import choices, repointing
from integrations.connections import Entered
from integrations.models import Choice, CompanyLink, Credentials
from portal import clock, configuration, configworld, jobs
from portal.configuration import Moved, Plan, Refused
from portal.models import AuditEntry, Client, ConfigState, Membership, Organization, Partner, User
from tests import make
from tests.make import World

pytestmark = pytest.mark.django_db


def export(world: World) -> str:
    return configuration.export(world.partner).text


def plan(world: World, text: str, **more: Any) -> Plan:
    return configuration.plan(world.partner, text, by="test", **{"is_on_server": True, **more})


def apply(world: World, text: str, **more: Any) -> Plan:
    return configuration.apply(world.partner, text, by="test", **{"is_on_server": True, **more})


def faults(world: World, text: str, **more: Any) -> list[str]:
    """Of a document that both plan and apply refuse; nothing is changed by either."""
    before = export(world)
    planned = plan(world, text, **more)
    with pytest.raises(Refused) as refusal:
        apply(world, text, **more)
    assert [str(one) for one in refusal.value.plan.faults] == [str(one) for one in planned.faults]
    assert export(world) == before
    return [str(one) for one in planned.faults]


def paths(found: Plan) -> list[str]:
    return [str(one) for one in found.differences]


# --- The round trip ---------------------------------------------------------------------------------------------------


def test_a_rich_partner_comes_back_as_it_was() -> None:
    held, figure = configproof.configuration_as_code(count=9)
    assert held, figure


def test_what_was_exported_plans_nothing_with_prune_too(world: World) -> None:
    make.billing(world)
    found = plan(world, export(world), prune=True)
    assert (found.is_nothing, found.kept, found.findings) == (True, [], [])


def test_json_is_the_same_document(world: World) -> None:
    found = configuration.export(world.partner)
    assert plan(world, json.dumps(found.as_json()), prune=True).is_nothing


def test_no_secret_is_in_it(world: World) -> None:
    text = export(world)
    known = world.sandbox.dialect.credentials()
    assert known["private_key"] not in text
    assert world.credentials.secret_fingerprint not in text
    assert "secret: kept" in text


# --- Nothing is forgotten ---------------------------------------------------------------------------------------------


def test_every_field_of_every_model_is_configuration_or_is_said_not_to_be() -> None:
    for room in configworld.rooms():
        label = room.parts[0].read.__module__.split(".")[0]
        models = {model.__name__: model for model in apps.get_app_config(label).get_models()}
        assert set(models) == set(room.models), f"{label}: say in configparts.ROOM.models what they are"
        for name, said in room.models.items():
            if isinstance(said, str):
                continue
            fields = {field.name for field in models[name]._meta.concrete_fields}
            told = {*said, *room.facts[name]}
            assert fields - told == set(), f"{label}.{name}: configuration or fact?"


# --- What would change ------------------------------------------------------------------------------------------------


def test_each_value_is_planned_by_its_path_and_applied_once(world: World) -> None:
    text = """version: 1
organizations:
  Northwind MSP:
    ticket_settings: {notes_per_hour: 5}
clients:
  "19652": {name: Bakery Ott & Son, ticket_settings: {reopen_within_days: 3}}
drop_filters:
  Quiet: {phrases: [test]}
"""
    found = plan(world, text)
    assert [one for one in paths(found) if one.startswith("+ drop_filters")][:4] == [
        "+ drop_filters/Quiet/event_types: []",
        "+ drop_filters/Quiet/is_enabled: true",
        "+ drop_filters/Quiet/phrases: [test]",
        "+ drop_filters/Quiet/reason: “”",
    ]
    assert "~ clients/19652/name: Bakery Ott -> Bakery Ott & Son" in paths(found)
    assert "+ clients/19652/ticket_settings/reopen_within_days: 3" in paths(found)
    assert not DropFilter.objects.exists()
    apply(world, text)
    assert paths(apply(world, text)) == []
    assert TicketSettings.objects.get(client=world.client).reopen_within_days == 3
    assert TicketSettings.objects.get(organization=world.organization).board is not None
    assert [one.action for one in AuditEntry.objects.filter(action="config apply")] == ["config apply"]


def test_only_prune_removes_and_only_in_the_sections_that_are_there(world: World) -> None:
    text = "version: 1\nnotifications: {}\norganizations: {}\n"
    assert paths(plan(world, text)) == []
    assert [one.where for one in plan(world, text).kept] == [
        "notifications/Tickets",
        "organizations/Northwind MSP",
    ]
    apply(world, text, prune=True)
    assert not Notification.objects.exists()
    assert Organization.objects.exists()
    assert CompanyLink.objects.exists()
    assert TicketSettings.objects.exists()


def test_null_inherits_without_prune(world: World) -> None:
    key = world.organization.name
    text = f"version: 1\norganizations: {{{key}: {{ticket_settings: {{closing_status: null}}}}}}\n"
    apply(world, text)
    row = TicketSettings.objects.get(organization=world.organization)
    assert (row.closing_status, row.board is None) == (None, False)


@pytest.mark.parametrize("section", ["partner", "team", "mail_settings", "noise", "notifications", "clients"])
@pytest.mark.parametrize("prune", [False, True])
def test_a_section_with_nothing_below_it_wipes_nothing_unasked(
    world: World, section: str, *, prune: bool
) -> None:
    found = plan(world, f"version: 1\n{section}:\n", prune=prune)
    assert found.faults == []
    removed = {one.path[0] for one in found.differences if one.what == "removed"}
    assert removed == ({"notifications"} if prune and section == "notifications" else set())


@pytest.mark.parametrize("section", ["ticket_settings", "billing"])
def test_settings_of_a_level_with_nothing_below_them_stay_and_null_clears_them(
    world: World, section: str
) -> None:
    key = world.organization.name
    BillingSettings.objects.create(partner=world.partner, organization=world.organization, jump_units=7)
    text = f"version: 1\norganizations:\n  {key}:\n    {section}:{{}}\n      # jump_units: 7\n"
    assert paths(plan(world, text.format(""))) == []
    assert all(one.what == "removed" for one in plan(world, text.format(" null")).differences)
    assert plan(world, text.format(" null")).differences
    assert plan(world, text.format(""), prune=True).differences


def test_a_blank_section_of_a_client_is_filled_by_its_template(world: World) -> None:
    text = (
        "version: 1\nclient_templates: {small: {ticket_settings: {notes_per_hour: 2}}}\n"
        'clients: {"19652": {template: small, ticket_settings: }}\n'
    )
    apply(world, text)
    assert TicketSettings.objects.get(client=world.client).notes_per_hour == 2


def test_a_connection_with_nothing_below_it_stays(world: World) -> None:
    found = plan(world, "version: 1\norganizations: {Northwind MSP: {connection: }}\n", prune=True)
    assert "never removed" in found.kept[0].kept
    assert not any("connection" in one.path for one in found.differences)


def test_only_the_connection_in_effect_is_in_it(world: World) -> None:
    before = export(world)
    entered = Entered(
        kind="connectwise",
        site_url=world.sandbox.url,
        login_company="Another",
        public_key="a" * 16,
        secret="b" * 16,
    )
    draft = repointing.begin(world.credentials, entered, by=None)
    assert export(world) == before
    Credentials.objects.filter(pk=world.credentials.pk).update(standing="former", replaced_at=clock.now())
    Credentials.objects.filter(pk=draft.pk).update(standing="current")
    after = export(world)
    assert "login_company: Another" in after
    assert "companies:" not in after
    apply(world, after)
    assert Credentials.objects.get(pk=world.credentials.pk).login_company != "Another"


@pytest.mark.parametrize(
    "document",
    [
        {"version": 1, "drop_filters": {"\ud800": {"sources": ["a"]}}},
        {"version": 1, "\ud800": 1},
        {"version": 1, "client_templates": {"9" * 5000: {}}, "clients": {"19652": {"template": "x"}}},
    ],
)
def test_keys_that_nobody_would_write_are_refused_in_words(api: APIClient, document: Any) -> None:
    answer = api.generic("POST", "/api/v1/config/plan", json.dumps(document).encode(), "application/yaml")
    assert (answer.status_code, len(answer.json()["errors"])) == (200, 1)


def test_a_rename_keeps_what_is_renamed(world: World) -> None:
    before = Notification.objects.get()
    apply(
        world,
        "version: 1\nnotifications: {Better: {was: Tickets}}\norganizations: {Renamed: {}}\n",
        prune=False,
    )
    assert (Notification.objects.get().pk, Notification.objects.get().name) == (before.pk, "Better")
    assert Organization.objects.get().name == "Renamed"
    assert NotificationVersion.objects.filter(notification_id=before.pk).exists()
    assert plan(world, "version: 1\nnotifications: {Better: {was: Tickets}}\n").is_nothing


def test_templates_fill_what_clients_leave_out(world: World) -> None:
    text = """version: 1
client_templates:
  small: {organization: Northwind MSP, ticket_settings: {notes_per_hour: 2, reopen_within_days: 5}}
clients:
  "19652": {template: small, ticket_settings: {notes_per_hour: 9}}
  "19653": {template: small, name: Second}
"""
    apply(world, text)
    rows = {
        row.client.number: row for row in TicketSettings.objects.exclude(client=None).select_related("client")
    }
    assert [(rows[n].notes_per_hour, rows[n].reopen_within_days) for n in (19652, 19653)] == [(9, 5), (2, 5)]
    assert paths(apply(world, text)) == []
    assert "template" not in export(world).replace("_template", "")
    assert (
        "line 5 clients/19652/template: There is no template “tall”"
        in faults(world, text.replace('"19652": {template: small', '"19652": {template: tall'))[0]
    )


def test_a_plan_that_has_been_overtaken_is_not_applied(world: World) -> None:
    text = "version: 1\ndrop_filters: {Quiet: {phrases: [test]}}\n"
    found = plan(world, text)
    Client.objects.update(name="Somebody else")
    with pytest.raises(Moved):
        apply(world, text, expect=found.digest)
    assert not DropFilter.objects.exists()
    apply(world, text, expect=plan(world, text).digest)


# --- What is refused --------------------------------------------------------------------------------------------------


def test_everything_wrong_is_told_at_once_and_nothing_is_done(world: World) -> None:
    text = """version: 1
drop_filters:
  Everything: {}
  Fine: {phrases: [x]}
notifications:
  Nobody: {action: email, position: 5}
  Whose: {action: ticket, position: 6, client: "99999"}
webhooks:
  Bad: {url: "not a url"}
clients:
  "19652": {organization: Nowhere}
"""
    found = faults(world, text)
    assert found == ["line 11 clients/19652/organization: There is no organization “Nowhere”."]
    found = faults(world, text.replace('clients:\n  "19652": {organization: Nowhere}\n', ""))
    assert [line.split(":")[0] for line in found] == [
        "line 9 webhooks/Bad/url",
        "line 6 notifications/Nobody/recipients",
        "line 7 notifications/Whose/client",
        "line 3 drop_filters/Everything/phrases",
    ]
    assert not DropFilter.objects.exists()


def test_values_of_the_psa_are_found_by_name_or_refused_with_what_comes_near(world: World) -> None:
    text = export(world)
    other = text.replace(f'id: "{make.choice(world.credentials, "board", "Backup").psa_id}"', 'id: "99999"')
    assert other != text
    assert plan(world, other).is_nothing
    wrong = other.replace("name: Backup", "name: Bakcup")
    [fault] = [line for line in faults(world, wrong) if "/board" in line]
    assert "The PSA offers no board “Bakcup”" in fault
    assert "“Backup”" in fault
    assert fault.startswith("line ")


def test_what_the_psa_renamed_or_took_away_is_told_and_nothing_is_changed(world: World) -> None:
    text = export(world)
    board = make.choice(world.credentials, "board", "Backup")
    Choice.objects.filter(pk=board.pk).update(name="Backups")
    Choice.objects.filter(kind="status", name="New", within=board.psa_id).update(
        vanished_at="2026-01-02T00:00Z"
    )
    Choice.objects.filter(kind="company", psa_id="250").update(name="Ott Bakery")
    found = plan(world, text)
    assert found.is_nothing
    told = [str(one) for one in found.findings]
    assert any("ticket_settings/board: “Backup”" in one and "called “Backups”" in one for one in told)
    assert any("ticket_settings/new_status: “New” is not offered" in one for one in told)
    assert any("companies/organization:Northwind MSP" in one and "Ott Bakery" in one for one in told)


def test_a_token_gives_nobody_rights_and_no_secret_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PSA_SECRET_MAIN", "hidden")
    caller = make.api(make.token(world.partner, ("config:read", "config:write")))
    bodies = {
        "team": "version: 1\nteam: {evil@example.com: {role: partner_senior_manager}}",
        "partner": "version: 1\npartner: {time_zone: Europe/Paris}",
        "secret": "version: 1\nclients: {19652: {connection: {kind: connectwise, site_url: evil.example, "
        "login_company: x, public_key: y, secret: env:PSA_SECRET_MAIN}}}",
    }
    for body in bodies.values():
        answer = caller.post("/api/v1/config/apply", body, content_type="application/yaml")
        assert (answer.status_code, answer.json()["code"]) == (422, "document_refused"), answer.content
    assert not User.objects.filter(email="evil@example.com").exists()
    assert Credentials.objects.count() == 1
    text = bodies["secret"].replace("env:PSA_SECRET_MAIN", "env:SECRET_KEY")
    assert any("Write “kept” or a reference" in line for line in faults(world, text))


def test_the_last_manager_stays(world: World) -> None:
    person = make.user(world.partner)
    assert "last Partner Senior Manager" in faults(world, "version: 1\nteam: {}", prune=True)[0]
    apply(world, "version: 1\nteam: {other@example.com: {role: partner_senior_manager}}", prune=True)
    assert not Membership.objects.filter(user=person).exists()
    assert not User.objects.get(email="other@example.com").has_usable_password()


def test_a_number_that_another_partner_has_is_refused(world: World) -> None:
    other = make.partner("Rival")
    Client.objects.create(
        partner=other, organization=Organization.objects.create(partner=other, name="R"), name="x", number=7
    )
    text = 'version: 1\nclients: {"7": {name: Mine, organization: Northwind MSP}}'
    assert faults(world, text) == ["line 2 clients/7: Client id 7 is taken. Choose another."]
    assert Client.objects.get(number=7).partner == other


def test_what_would_come_out_otherwise_is_refused(world: World) -> None:
    text = "version: 1\ndrop_filters: {Quiet: {phrases: ['a   b']}}\n"
    assert "This would come out as [a b], not as [a   b]" in faults(world, text)[0]


def test_a_new_connection_is_read_before_the_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    known = world.sandbox.dialect.credentials()
    monkeypatch.setenv("PSA_SECRET_TWO", known["private_key"])
    text = f"""version: 1
clients:
  "19652":
    connection: {{kind: connectwise, site_url: "{world.sandbox.url}", login_company: {known["company"]},
      public_key: {known["public_key"]}, secret: env:PSA_SECRET_TWO}}
    ticket_settings: {{board: {{id: "", name: Backup}}}}
"""
    assert "This connection is new" in faults(world, text)[0]
    apply(world, text, only_first=True)
    choices.reload(Credentials.objects.get(client=world.client))
    # The board of the organization is another connection's: its statuses are not of this board.
    board = make.choice(Credentials.objects.get(client=world.client), "board", "Backup")
    apply(
        world,
        text.replace(
            "name: Backup}",
            'name: Backup}, new_status: {id: "", name: New}, closing_status: {id: "", name: Completed}',
        ),
    )
    assert TicketSettings.objects.get(client=world.client).board == board
    assert "env:" not in export(world)


# --- Doors ------------------------------------------------------------------------------------------------------------


def test_rest_exports_plans_and_applies(world: World, api: APIClient) -> None:
    got = api.get("/api/v1/config")
    assert got["Content-Type"].startswith("application/yaml")
    assert got.content.decode() == export(world)
    as_json = api.get("/api/v1/config", HTTP_ACCEPT="application/json")
    assert as_json["ETag"] == got["ETag"]
    body = "version: 1\ndrop_filters: {Quiet: {phrases: [test]}}\n"
    planned = api.post("/api/v1/config/plan", body, content_type="text/yaml")
    assert planned.status_code == 200
    assert planned["ETag"] == got["ETag"]
    assert planned.json()["differences"][0]["path"] == "drop_filters/Quiet/event_types"
    url = "/api/v1/config/apply"
    answer = api.post(url, body, content_type="text/yaml", HTTP_IF_MATCH='"other"')
    assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    answer = api.post(url, body, content_type="text/yaml", HTTP_IF_MATCH=planned["ETag"])
    assert (answer.status_code, answer["ETag"]) == (200, api.get("/api/v1/config")["ETag"])
    again = api.post(url, json.dumps(as_json.json()), content_type="application/json")
    assert again.json()["summary"] == "Nothing to change."
    wrong = api.post(url, "version: 1\ndrop_filters: {A: {}}\nnothing: x", content_type="application/yaml")
    assert (wrong.status_code, wrong["Content-Type"]) == (422, "application/problem+json")
    assert wrong.json()["errors"][0] == {
        "field": "nothing",
        "line": 3,
        "code": "unknown_field",
        "detail": wrong.json()["errors"][0]["detail"],
    }


@pytest.mark.parametrize(
    "body", ["", "x", "version: 2", "version: 1\n" + "a: [" * 40, "{}", "version: 1\nclients: []"]
)
def test_rest_refuses_what_is_no_document(api: APIClient, body: str) -> None:
    answer = api.post("/api/v1/config/apply", body, content_type="application/yaml")
    assert (answer.status_code, answer.json()["code"]) == (422, "document_refused")
    assert answer.json()["errors"]


def test_rest_needs_its_own_scope_and_shows_nobody_elses(world: World) -> None:
    weak = make.api(make.token(world.partner, ("settings:write", "config:read")))
    assert weak.post("/api/v1/config/apply", "version: 1", content_type="text/yaml").status_code == 403
    rival = make.api(make.token(make.partner("Rival")))
    assert "Bakery Ott" not in rival.get("/api/v1/config").content.decode()
    vendor = make.api(make.token(None))
    assert vendor.get("/api/v1/config").status_code == 400
    assert vendor.get("/api/v1/config").json()["code"] == "partner_needed"
    assert "Bakery Ott" in vendor.get(f"/api/v1/config?partner={world.partner.slug}").content.decode()


def test_the_page_shows_the_plan_and_applies_what_was_shown(world: World, tmp_path: Path) -> None:
    browser = Browser()
    browser.force_login(make.user(world.partner))
    file = tmp_path / "document.yaml"
    file.write_text(export(world).replace("name: Bakery Ott\n", "name: Bakery Ott & Söhne\n", 1))
    with file.open("rb") as sheet:
        shown = browser.post(reverse("configuration"), {"sheet": sheet})
    assert "clients/19652/name" in shown.content.decode()
    assert Client.objects.get().name == "Bakery Ott"
    form = {"document": shown.context["text"].replace("\n", "\r\n"), "expect": shown.context["plan"].digest}
    done = browser.post(reverse("configuration_apply"), form, follow=True)
    assert "Applied: 1 changed." in done.content.decode()
    assert Client.objects.get().name == "Bakery Ott & Söhne"
    assert (
        "Nothing was applied"
        in browser.post(reverse("configuration_apply"), form, follow=True).content.decode()
    )
    assert browser.get(reverse("configuration_export")).content.decode() == export(world)
    viewer = Browser()
    viewer.force_login(make.user(world.partner, role="partner_viewer"))
    assert viewer.get(reverse("configuration")).status_code == 200
    assert viewer.post(reverse("configuration_apply"), form).status_code == 403


def test_what_was_changed_by_hand_since_is_found_by_the_daily_look(world: World) -> None:
    apply(world, export(world))
    jobs.look_for_drift()
    state = ConfigState.objects.get()
    assert (state.drift["differences"], state.drift["errors"]) == ([], [])
    Client.objects.update(name="By hand")
    Choice.objects.filter(kind="board", name="Backup").update(vanished_at="2026-01-02T00:00Z")
    jobs.look_for_drift()
    drift = ConfigState.objects.get().drift
    assert [one["path"] for one in drift["differences"]] == ["clients/19652/name"]
    assert "not offered" in drift["findings"][0]["text"]
    assert Client.objects.get().name == "By hand"


def test_the_command_says_by_its_exit_code_whether_something_differs(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, slug = tmp_path / "a.yaml", world.partner.slug
    call_command("config", "export", "--partner", slug, "--output", str(file))
    call_command("config", "plan", str(file), "--partner", slug)
    Client.objects.update(name="Other")
    with pytest.raises(SystemExit) as ended:
        call_command("config", "plan", str(file), "--partner", slug)
    assert ended.value.code == 2
    call_command("config", "apply", str(file), "--partner", slug)
    assert "~ clients/19652/name: Other -> Bakery Ott" in capsys.readouterr().out
    assert Client.objects.get().name == "Bakery Ott"


# --- Any set-up -------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() == text
)
SEVERITIES = st.lists(st.sampled_from(["info", "warning", "error"]), min_size=1, unique=True)
ORGANIZATIONS = st.dictionaries(
    NAMES, st.fixed_dictionaries({}, optional={"tickets_mode": st.just("observe")}), max_size=4
)
CLIENTS = st.dictionaries(
    st.integers(1, 10**6).map(str),
    st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "is_active": st.booleans(),
            "billing": st.fixed_dictionaries(
                {"push_day": st.integers(1, 31)}, optional={"four_eyes": st.booleans()}
            ),
            "ticket_settings": st.fixed_dictionaries({"notes_per_hour": st.integers(0, 60)}),
            "disabled": st.fixed_dictionaries({}, optional={"reason": NAMES}),
            "address": st.fixed_dictionaries({"city": NAMES}),
        },
    ),
    max_size=5,
)
FILTERS = st.dictionaries(
    NAMES, st.fixed_dictionaries({"severities": SEVERITIES}, optional={"reason": NAMES}), max_size=4
)
RULES = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {"action": st.sampled_from(["ticket", "synchronize"]), "position": st.integers(0, 1000)},
        optional={"severities": SEVERITIES, "stops": st.booleans(), "min_minutes": st.integers(0, 100)},
    ),
    max_size=4,
)


@given(ORGANIZATIONS, CLIENTS, FILTERS, RULES, st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_applied_is_there_and_a_second_time_there_is_nothing_to_do(
    db: None, organizations: Any, clients: Any, filters: Any, rules: Any, prune: bool
) -> None:
    partner = Partner.objects.create(name="Any", slug=f"any-{configuration.clock.new_id().hex}")
    top = {"The top": {}}
    below = {
        name: {**value, "parent": "The top"} for name, value in organizations.items() if name != "The top"
    }
    homes = [*top, *below]
    for place, value in enumerate(clients.values()):
        value["organization"] = homes[place % len(homes)]
    Client.objects.all().delete()
    document = {
        "version": 1,
        "organizations": {**top, **below},
        "clients": clients,
        "drop_filters": filters,
        "notifications": rules,
    }
    text = json.dumps(document)
    configuration.apply(partner, text, by="any", is_on_server=True, prune=prune)
    for again in (text, configuration.export(partner).text):
        found = configuration.plan(partner, again, by="any", is_on_server=True, prune=prune)
        assert found.is_nothing, [str(one) for one in (*found.faults, *found.differences)]
    configproof.wipe(partner)
