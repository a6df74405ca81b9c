"""Rules: their order, stop, catch-all, wordings, and the test that writes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.test import Client as Browser
from rest_framework.test import APIClient

from alerts import filters, notifications, ruletest, windows
from alerts.models import Condition, DropFilter, Hold, MaintenanceWindow, Notification, NotificationVersion
from alerts.notifications import Entered
from integrations.models import Delivery, Event
from portal import clients, clock
from portal.models import User
from tests import make
from tests.alerts.test_noise import Clock, Site, orders, texts, window


@pytest.fixture
def time_stands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def site(db: None, time_stands: Clock) -> Site:
    return Site()


@pytest.fixture
def api(site: Site) -> APIClient:
    return make.api(make.token(site.partner))


@pytest.fixture
def manager(site: Site) -> Browser:
    caller = Browser()
    sign_in(caller, site)
    return caller


def sign_in(caller: Browser, site: Site) -> None:
    person = User.objects.filter(memberships__partner=site.partner).first() or make.user(site.partner)
    caller.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")


def rule(site: Site, name: str, **more: Any) -> Notification:
    return notifications.save_notification(
        site.partner, Entered(**{"name": name, "action": "ticket", **more})
    )


@pytest.mark.parity("S4-37")
def test_d1_rules_are_asked_in_order_and_the_first_that_wants_a_ticket_decides(site: Site) -> None:
    second = rule(site, "Second")
    site.fail("A")
    assert notifications.move(second, up=True)
    assert not notifications.move(second, up=True)
    site.fail("B")
    assert orders() == ["Tickets", "Second"]


def test_d1_a_rule_that_stops_ends_the_asking_and_a_catch_all_gets_the_rest(site: Site) -> None:
    Notification.objects.all().delete()
    rule(site, "Backups", all_event_types=False, event_types=["backup.failed"], stops=True)
    rule(site, "All warnings", severities=["warning"])
    rule(site, "Rest", catch_all=True)
    assert "“Backups” matched before, and stops there" in texts(site.fail("A"))
    site.fail("B", type="x.failed", severity="warning")
    site.fail("C", type="x.failed")
    assert orders() == ["Backups", "All warnings", "Rest"]


@pytest.mark.parity("S4-36")
def test_s4_36_subscribe_to_all_event_types_is_the_default(site: Site, manager: Browser) -> None:
    page = manager.get("/partnership/notifications/new").content.decode()
    assert 'value="yes"' in page
    assert rule(site, "New").all_event_types


@pytest.mark.parity("S1-31")
def test_s1_31_create_alert_on_a_clients_activity_begins_a_rule_for_that_client(
    site: Site, manager: Browser
) -> None:
    activity = manager.get(f"/clients/{site.client.pk}/activity").content.decode()
    assert "Create Alert" in activity
    page = manager.get("/partnership/notifications/new?client=19652").content.decode()
    assert 'value="19652"' in page


def test_each_wording_is_kept_with_who_and_when(site: Site, manager: Browser) -> None:
    row = rule(site, "First words")
    changed = Entered(name="Second words", action="ticket", severities=["critical"])
    notifications.save_notification(site.partner, changed, by="anna@example.com", current=row)
    notifications.switch(row, is_enabled=False)
    kept = NotificationVersion.objects.filter(notification_id=row.pk).order_by("version")
    assert [(one.version, one.document["name"], one.document["is_enabled"]) for one in kept] == [
        (1, "First words", True),
        (2, "Second words", True),
        (3, "Second words", False),
    ]
    page = manager.get(f"/partnership/notifications/{row.pk}/versions").content.decode()
    assert "anna@example.com" in page
    assert "First words" in page


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"action": "email"}, "recipients"),
        ({"action": "email", "recipients": ["nobody"]}, "recipients"),
        ({"action": "email", "members": ["0198-not-one-of-ours"]}, "members"),
        ({"action": "webhook"}, "webhook"),
        ({"min_minutes": 100_000}, "min_minutes"),
    ],
)
def test_a_rule_that_could_not_do_what_it_says_is_refused(
    site: Site, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        rule(site, "R", **values)
    assert list(refusal.value.message_dict) == [field]


def test_a_rule_that_never_matched_for_30_days_is_flagged(site: Site, time_stands: Clock) -> None:
    Notification.objects.update(created_at=clock.now())
    time_stands.pass_minutes(31 * 24 * 60)
    manager = Browser()
    sign_in(manager, site)
    assert "Never matched for 30 days" in manager.get("/partnership/notifications").content.decode()
    site.fail()
    assert "Never matched for 30 days" not in manager.get("/partnership/notifications").content.decode()


# --- The test ---------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S4-37")
def test_d7_the_test_says_what_each_thing_says_and_writes_nothing(site: Site) -> None:
    window(site)
    filters.save_filter(site.partner, filters.Entered(name="Agents", phrases=["agent"]))
    tables = (Event, Condition, Delivery, Hold, NotificationVersion)
    before = [list(model.objects.values()) for model in tables]
    document = make.event(type="backup.failed", summary="Backup failed")
    verdict = ruletest.try_document(document, actor=site.actor)
    assert [why for _, why in verdict.filters] == ["None of its phrases is in the summary."]
    assert [why for _, why in verdict.windows] == [""]
    said = [step["text"] for step in verdict.trace]
    assert any("No ticket yet: In the maintenance window “Patch night”" in text for text in said)
    assert [list(model.objects.values()) for model in tables] == before
    Notification.objects.get().refresh_from_db()
    assert Notification.objects.get().matched_at is None


@pytest.mark.parity("S4-37")
def test_d7_an_event_of_the_log_is_tried_as_if_it_came_now(site: Site, manager: Browser) -> None:
    event = site.fail()
    page = manager.get(f"/partnership/notifications/test?event={event.pk}").content.decode()
    assert "Counted as repeat" in page or "repeats what is known" in page
    assert Event.objects.count() == 1


# --- Doors ------------------------------------------------------------------------------------------------------------


def test_rules_filters_and_windows_over_rest(site: Site, api: APIClient, time_stands: Clock) -> None:
    made = api.post(
        "/api/v1/notifications",
        {"name": "Over REST", "action": "ticket", "client": "EFS-19652"},
        format="json",
    )
    assert (made.status_code, made.json()["client"]) == (201, "EFS-19652")
    one = f"/api/v1/notifications/{made.json()['id']}"
    assert api.put(one, {"name": "Renamed", "action": "ticket"}, format="json").json()["version"] == 2
    assert api.post(f"{one}/move", {"way": "up"}, format="json").status_code == 200
    assert [row["version"] for row in api.get(f"{one}/versions").json()["results"]] == [2, 1]
    assert api.delete(one).status_code == 204
    refused = api.post("/api/v1/drop-filters", {"name": "All"}, format="json")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "phrases")
    made = api.post("/api/v1/drop-filters", {"name": "Lost", "phrases": ["lost"]}, format="json")
    assert made.status_code == 201
    assert DropFilter.objects.get().created_by.startswith("token psap_")
    now = clock.now()
    body = {
        "name": "Tonight",
        "first_on": str(now.date()),
        "starts_at": "11:00",
        "ends_at": "13:00",
        "client": "19652",
    }
    made = api.post("/api/v1/maintenance-windows", body, format="json")
    assert made.json()["on_until"] == "2026-03-02T13:00:00+00:00"
    one = f"/api/v1/maintenance-windows/{made.json()['id']}"
    site.fail()
    assert [row["kind"] for row in api.get("/api/v1/held").json()["results"]] == ["window"]
    assert api.post(f"{one}/extend", {"minutes": 30}, format="json").status_code == 200
    assert api.post(f"{one}/end").json()["on_until"] is None
    assert api.post(f"{one}/end").status_code == 409
    assert MaintenanceWindow.objects.get().changed_end == now
    put = api.put("/api/v1/noise-settings", {"flap_changes": 5, "durations": {"a.b": 3}}, format="json")
    assert (put.status_code, put.json()["flap_changes"]) == (200, 5)
    tried = api.post("/api/v1/notifications/test", make.event(summary="line lost"), format="json").json()
    assert tried["filters"][0]["why_not"] == ""


def test_another_partners_client_is_not_known(site: Site, api: APIClient) -> None:
    clients.add_client(make.partner("Rival"), name="Theirs", number=77)
    answer = api.post(
        "/api/v1/notifications", {"name": "N", "action": "ticket", "client": "77"}, format="json"
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "client")


@pytest.mark.parity("S4-59")
def test_the_pages_make_and_change_them(site: Site, manager: Browser) -> None:
    new = {"name": "Lost", "phrases": "connection lost\nrestored", "is_enabled": "on"}
    assert manager.post("/partnership/filters/new", new).status_code == 302
    assert DropFilter.objects.get().phrases == ["connection lost", "restored"]
    assert (
        "would drop every event" in manager.post("/partnership/filters/new", {"name": "x"}).content.decode()
    )
    site.fail(summary="Connection LOST")
    eaten = manager.get(f"/partnership/filters/{DropFilter.objects.get().pk}/eaten").content.decode()
    assert "Connection LOST" in eaten
    night = {
        "name": "Night",
        "first_on": "2026-03-02",
        "starts_at": "11:00",
        "ends_at": "14:00",
        "repeats": "weekly",
        "weekdays": ["0"],
        "client": "19652",
    }
    assert manager.post("/partnership/windows/new", night).status_code == 302
    site.fail()
    assert "maintenance window" in manager.get("/held").content.decode().lower()
    row = MaintenanceWindow.objects.get()
    assert manager.post(f"/partnership/windows/{row.pk}/end").status_code == 302
    assert manager.post("/partnership/noise/preset").status_code == 302
    storm = {"flap_minutes": "60", "storm_minutes": "10", "storm_client_tickets": "7", "durations": "a.b 5"}
    assert manager.post("/partnership/noise", storm).status_code == 302
    assert site.partner.pk
    mail = {"address": "a@b.example", "confirm_address": "c@b.example", "no_backup": "on"}
    assert "differ" in manager.post("/partnership/mail-settings", mail).content.decode()
    mail["confirm_address"] = "a@b.example"
    assert manager.post("/partnership/mail-settings", mail).status_code == 302
    shown = manager.post("/partnership/webhooks/new", {"name": "W", "url": "https://h.example/x"})
    assert "whsec_" in shown.content.decode()
    assert "whsec_" not in manager.get("/partnership/webhooks").content.decode()
    expected = {"client": "19652", "event_type": "backup.succeeded", "every_hours": "24", "tolerance": "2"}
    assert manager.post("/partnership/expectations/new", expected).status_code == 302
    for page in (
        "filters",
        "windows",
        "noise",
        "webhooks",
        "mail-settings",
        "expectations",
        "notifications/test",
    ):
        assert manager.get(f"/partnership/{page}").status_code == 200, page
    assert windows.current(row, clock.now() + timedelta(days=7), ZoneInfo("UTC")) is not None
