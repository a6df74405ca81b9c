"""The admin: every model of ours, for staff only, logs read-only, secrets nowhere, buttons that call operations."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import Notification
from integrations.models import Event
from portal import clients, tokens
from portal.models import ApiToken, Membership, User
from portal.tenancy import TenantModel
from tests import make
from tests.portal.test_pages import Scene, delivered, happened, signed_in
from tests.portal.test_pages import scene as scene_fixture

pytestmark = pytest.mark.django_db
scene = scene_fixture

ROOMS = ("portal", "integrations", "billing", "alerts")
OURS = [model for room in ROOMS for model in apps.get_app_config(room).get_models()]
LOGS = (
    "Event", "Delivery", "Usage", "PushRun", "PushItem", "Condition", "Ticket", "Choice", "Heartbeat",
    "Credentials", "TicketSettings", "CompanyLink", "CompanySuggestion",
    "CatchAllCompany", "SynchronizeWindow", "BillingSettings", "PushDay", "PushBatch", "Question", "BilledLine",
    "SettingChange", "ClientAddress", "TicketTest", "GuidedSetup", "DailyFigures", "MonthlyUsage", "Disabling",
    "StepRemark",
)  # fmt: skip


@pytest.fixture
def browser(scene: Scene) -> Any:
    return signed_in(scene.staff)


def page(model: Any, what: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_of_ours_has_a_list_that_can_be_searched(model, browser):
    answer = browser.get(page(model, "changelist"), {"q": "Bakery"})
    assert answer.status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_row_opens_without_its_secrets(model, browser, scene):
    row = model._default_manager.first()
    if row is None:
        return
    text = browser.get(page(model, "change", row.pk)).content.decode()
    assert scene.world.sandbox.dialect.credentials()["private_key"] not in text
    assert "gAAAA" not in text


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_partners_people_do_not_get_in(model, scene):
    assert signed_in(scene.manager).get(page(model, "changelist"), follow=True).status_code == 403


def test_staff_sign_in_where_everybody_does(client):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/")


@pytest.mark.parametrize(
    "model", [model for model in OURS if issubclass(model, TenantModel)], ids=lambda m: m.__name__
)
def test_partners_rows_show_and_filter_by_their_partner(model, browser, scene):
    answer = browser.get(page(model, "changelist"), {"partner": str(scene.world.partner.pk)})
    assert "partner" in answer.context["cl"].list_display
    assert all(row.partner_id == scene.world.partner.pk for row in answer.context["cl"].result_list)


@pytest.mark.parametrize(
    "model", [model for model in OURS if model.__name__ in LOGS], ids=lambda m: m.__name__
)
def test_what_the_portal_writes_is_not_changed_by_hand(model, scene, rf):
    request = rf.get("/")
    request.user = scene.staff
    page_of = admin.site._registry[model]
    rights = (
        page_of.has_add_permission(request),
        page_of.has_change_permission(request),
        page_of.has_delete_permission(request),
    )
    assert rights == (False, False, False)


@pytest.mark.parametrize("name", ["Event", "Delivery", "Client", "Condition", "Ticket"])
def test_lists_are_not_counted_and_do_not_ask_more_for_more_rows(name, browser, scene):
    model = next(model for model in OURS if model.__name__ == name)
    browser.get(page(model, "changelist"))
    before = queries_of(browser, model)
    for number in range(4):
        client = clients.add_client(scene.world.partner, name=f"Client {number}")
        delivered(happened(scene.world, client=client, condition_key=f"disk:{number}"), scene.world)
    assert len(queries_of(browser, model)) == len(before)
    if name in {"Event", "Delivery"}:
        assert [sql for sql in before if "COUNT(*)" in sql] == []


def queries_of(browser: Any, model: Any) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        browser.get(page(model, "changelist"))
    return [row["sql"] for row in queries]


def act(browser: Any, model: Any, action: str, *rows: Any) -> str:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return browser.post(page(model, "changelist"), chosen, follow=True).content.decode()


def test_selected_deliveries_are_reprocessed(browser, scene):
    assert "1 delivery will be tried again." in act(
        browser, type(scene.delivery), "reprocess", scene.delivery
    )


def test_selected_events_reprocess_what_hangs_on_them(browser, scene):
    act(browser, Event, "reprocess", scene.event)
    scene.delivery.refresh_from_db()
    assert scene.delivery.status == "waiting"


def test_staff_without_the_right_see_the_log_and_no_buttons(scene):
    reader = make.user(is_staff=True)
    reader.user_permissions.add(*permissions("view_delivery"))
    text = signed_in(reader).get(page(type(scene.delivery), "changelist")).content.decode()
    assert 'value="reprocess"' not in text
    act(signed_in(reader), type(scene.delivery), "reprocess", scene.delivery)
    scene.delivery.refresh_from_db()
    assert scene.delivery.status == "failed"


def permissions(*names: str) -> list[Any]:
    return list(apps.get_model("auth", "Permission").objects.filter(codename__in=names))


def test_a_lane_is_paused_and_resumed(browser, scene):
    lane = scene.world.credentials.lane
    act(browser, type(lane), "pause", lane)
    lane.refresh_from_db()
    assert lane.is_paused
    act(browser, type(lane), "resume", lane)
    lane.refresh_from_db()
    assert not lane.is_paused


def test_only_the_limits_of_a_lane_can_be_typed(browser, scene):
    lane = scene.world.credentials.lane
    browser.post(
        page(type(lane), "change", lane.pk), {"calls_per_minute": "60", "concurrency": "2", "fence": "99"}
    )
    lane.refresh_from_db()
    assert (lane.calls_per_minute, lane.concurrency, lane.fence) == (60, 2, 0)


def test_connections_are_tested_and_reloaded_from_the_list(browser, scene):
    credentials = scene.world.credentials
    assert "are being tested" in act(browser, type(credentials), "test_it", credentials)
    assert "are being read" in act(browser, type(credentials), "reload_options", credentials)
    credentials.refresh_from_db()
    assert credentials.test_asked_at is not None


def test_a_new_token_is_shown_once(browser, scene):
    fields = {"name": "Backup product", "partner": str(scene.world.partner.pk), "scopes": ["events:write"]}
    text = browser.post(page(ApiToken, "add"), fields, follow=True).content.decode()
    shown = re.search(r"psap_[\w-]{40,}", text)
    assert shown is not None
    assert tokens.find_token(shown[0]) == ApiToken.objects.get(name="Backup product")
    assert shown[0] not in browser.get(page(ApiToken, "changelist")).content.decode()


def test_a_revoked_token_opens_nothing(browser, scene):
    token, text = tokens.issue_token("old", partner=scene.world.partner, scopes=["events:read"])
    act(browser, ApiToken, "revoke", token)
    assert tokens.find_token(text) is None


def test_a_notification_changed_by_staff_gets_a_new_version(browser, scene):
    fields = {
        "partner": str(scene.world.partner.pk),
        "name": "Tickets, by staff",
        "action": "ticket",
        "severities": ["error"],
        "all_event_types": "on",
        "event_types": "[]",
        "is_enabled": "on",
        "position": "10",
    }
    browser.post(page(Notification, "change", scene.notification.pk), fields)
    changed = Notification.objects.get(pk=scene.notification.pk)
    assert (changed.name, changed.version) == ("Tickets, by staff", 2)


def test_a_row_cannot_mix_partners(browser, scene):
    foreign = scene.stranger.memberships.get().partner
    fields = {"partner": str(foreign.pk), "client": str(scene.world.client.pk), "key": "SRV-9"}
    model = apps.get_model("portal", "Account")
    assert "another partner" in browser.post(page(model, "add"), fields).content.decode()


def test_a_person_is_made_by_e_mail_address(browser):
    fields = {
        "email": "new@northwind.example",
        "password1": "a quiet horse 7",
        "password2": "a quiet horse 7",
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
    }
    browser.post(page(User, "add"), fields)
    assert User.objects.get(email="new@northwind.example").check_password("a quiet horse 7")
    assert Membership.objects.filter(user__email="new@northwind.example").count() == 0


def test_staff_who_may_change_people_give_nobody_rights_and_leave_staff_alone(scene):
    clerk = make.user(is_staff=True)
    clerk.user_permissions.add(*permissions("view_user", "change_user", "delete_user", "add_user"))
    clerk.user_permissions.add(*permissions("change_group", "add_group"))
    desk = signed_in(clerk)
    boss, person = make.user(is_staff=True, is_superuser=True), make.user(scene.world.partner)
    fields = {
        "email": "renamed@northwind.example",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "user_permissions": [str(one.pk) for one in permissions("delete_user")],
        "memberships-TOTAL_FORMS": "0",
        "memberships-INITIAL_FORMS": "0",
    }
    assert desk.post(page(User, "change", person.pk), fields).status_code == 302
    person.refresh_from_db()
    assert (person.email, person.is_staff, person.is_superuser) == ("renamed@northwind.example", False, False)
    assert not person.user_permissions.exists()
    for above in (boss, clerk):
        assert desk.post(page(User, "change", above.pk), fields).status_code == 403
        assert (
            desk.post(
                reverse("admin:auth_user_password_change", args=[above.pk]), {"password1": "x"}
            ).status_code
            == 403
        )
        assert desk.post(page(User, "delete", above.pk), {"post": "yes"}).status_code == 403
    assert desk.post(page(Group, "add"), {"name": "All"}).status_code == 403
    assert not Group.objects.exists()


@pytest.mark.parametrize("name", ["success", "failure", "schedule", "ormq"])
def test_the_workers_tables_are_only_read(name, browser):
    assert browser.get(f"/admin/django_q/{name}/").status_code == 200
    assert browser.get(f"/admin/django_q/{name}/add/").status_code == 403
