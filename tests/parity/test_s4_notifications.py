"""S4: notifications of a partner, and what people do to their tickets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import Notification, Ticket, WebhookEndpoint
from integrations.models import Delivery, Event
from tests import make
from tests.portal.test_pages import signed_in


@pytest.fixture
def browser(live_world: make.World) -> Browser:
    Notification.objects.all().delete()
    return signed_in(make.user(live_world.partner, email="manager@northwind.example"))


def create(browser: Browser, **fields: Any) -> Notification:
    """Create a New Notification, as the form is sent with what is ticked at first."""
    page = browser.get(reverse("notification_new")).content.decode()
    usual = {
        "name": f"Rule {Notification.objects.count() + 1}",
        "action": "ticket",
        "severities": re.findall(r'name="severities" value="(\w+)"[^>]*checked', page),
        "all_event_types": re.findall(r'name="all_event_types" value="(\w+)"[^>]*checked', page)[0],
        "is_enabled": "on",
    }
    answer = browser.post(reverse("notification_new"), {**usual, **fields})
    assert answer.status_code == 302, answer.content.decode()
    return Notification.objects.latest("created_at")


def send(world: make.World, severity: str, account: str, **fields: Any) -> Event:
    made = make.event(severity=severity, account=account, action="trigger", **fields)
    make.api(world.token).post("/api/v1/events", made)
    return Event.objects.get(source_id=made["id"])


def led_to(event: Event) -> list[str]:
    return list(event.deliveries.order_by("id").values_list("notification_name", flat=True))


@pytest.mark.parity("S4-33")
def test_a_notification_is_created_under_my_partnership_and_from_then_on_decides(
    live_world: make.World, browser: Browser
) -> None:
    assert led_to(send(live_world, "error", "A")) == []
    listed = browser.get(reverse("notifications")).content.decode()
    assert "Partner Notifications" in listed
    assert f'href="{reverse("notification_new")}">Create a New Notification<' in listed
    create(browser, name="Tickets for trouble")
    assert led_to(send(live_world, "error", "B")) == ["Tickets for trouble"]


@pytest.mark.parity("S1-32", "S4-34")
def test_each_action_of_the_list_leads_to_a_delivery_of_its_own(
    live_world: make.World, browser: Browser
) -> None:
    page = browser.get(reverse("notification_new")).content.decode()
    select = page[page.index('name="action"') :]
    actions = re.findall(r'<option value="(\w+)"[^>]*>([^<]+)</option>', select[: select.index("</select>")])
    assert actions == [
        ("ticket", "Open a PSA ticket"),
        ("synchronize", "Synchronize with PSA"),
        ("email", "E-mail"),
        ("webhook", "Webhook"),
    ]
    browser.post(reverse("webhook_new"), {"name": "Chat", "url": "https://chat.example/hook"})
    hook = WebhookEndpoint.objects.get()
    more = {"email": {"recipients": "ops@example.com"}, "webhook": {"webhook": str(hook.pk)}}
    for action, _ in actions:
        create(browser, action=action, **more.get(action, {}))
    event = send(live_world, "error", "A")
    told = Delivery.objects.filter(event=event).values_list("action", flat=True)
    assert sorted(told) == ["email", "synchronize", "ticket", "webhook"]


@pytest.mark.parity("S4-35")
def test_severities_are_chosen_and_begin_with_warning_and_error(
    live_world: make.World, browser: Browser
) -> None:
    usual = create(browser)
    assert {"warning", "error"} <= set(usual.severities)
    assert not {"info", "success"} & set(usual.severities)
    create(browser, name="All of it", severities=["info", "success", "warning", "error", "critical"])
    for severity in ("info", "success", "warning", "error", "critical"):
        expected = usual.name if severity in usual.severities else "All of it"
        assert led_to(send(live_world, severity, severity)) == [expected]
    Notification.objects.filter(pk=usual.pk).delete()
    Notification.objects.update(severities=["critical"])
    assert led_to(send(live_world, "error", "Z")) == []


@pytest.mark.parity("S4-36")
def test_without_a_choice_it_is_about_all_event_types_and_with_one_about_those(
    live_world: make.World, browser: Browser
) -> None:
    assert create(browser).all_event_types is True
    Notification.objects.all().delete()
    create(browser, all_event_types="no", event_types=["storage.threshold"])
    assert led_to(send(live_world, "error", "A")) == []
    assert len(led_to(send(live_world, "error", "B", type="storage.threshold"))) == 1


@pytest.mark.parity("S4-37")
def test_order_switch_copy_and_trying_out_on_the_pages(live_world: make.World, browser: Browser) -> None:
    first, second = create(browser, name="First"), create(browser, name="Second")
    assert led_to(send(live_world, "error", "A")) == ["First"]
    browser.post(reverse("notification_move", args=[second.pk]), {"way": "up"})
    assert led_to(send(live_world, "error", "B")) == ["Second"]
    browser.post(reverse("notification_switch", args=[second.pk]))
    event = send(live_world, "error", "C")
    assert led_to(event) == ["First"]
    browser.post(reverse("notification_copy", args=[first.pk]))
    copy = Notification.objects.get(name="First (copy)")
    assert (copy.is_enabled, copy.severities, copy.action) == (False, first.severities, first.action)
    tried = browser.get(reverse("rule_test"), {"event": str(event.pk)}).content.decode()
    assert "First" in tried
    assert Event.objects.count() == 3


@pytest.mark.parity("S4-38")
def test_the_preset_synchronizes_a_client_on_whatever_event(live_world: make.World, browser: Browser) -> None:
    listed = browser.get(reverse("notifications")).content.decode()
    assert "Add statistics + billing sync" in listed
    browser.post(reverse("notification_preset"))
    rule = Notification.objects.get()
    assert (rule.action, rule.all_event_types, len(rule.severities)) == ("synchronize", True, 5)
    event = send(live_world, "success", "A", type="backup.succeeded")
    assert list(event.deliveries.values_list("action", "client")) == [("synchronize", live_world.client.pk)]
    assert "Add statistics + billing sync" not in browser.get(reverse("notifications")).content.decode()


@pytest.mark.parity("S4-63")
@pytest.mark.parametrize("movement", ["move", "child", "merge"])
def test_a_ticket_that_was_moved_merged_or_made_a_child_is_not_doubled(
    live_world: make.World, drain: Any, movement: str
) -> None:
    api, control = make.api(live_world.token), live_world.sandbox.control
    api.post("/api/v1/events", make.event())
    drain()
    ticket = int(Ticket.objects.get().psa_id)
    other = int(control.technician("create", fields={"summary": "The big one"})["id"])
    more = {"move": {"board": 1}, "child": {"parent": other}, "merge": {"into": other}}[movement]
    control.technician(movement, ticket=ticket, **more)
    api.post("/api/v1/events", make.event())
    drain()
    assert Ticket.objects.count() == 1
    api.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
    drain()
    made = [row for row in control.journal(kind="ticket") if row["externalXRef"]]
    assert len(made) == 1
    row = Ticket.objects.get()
    assert row.state == "closed" or row.left_at is not None, "closed, or left to the people who work on it"
