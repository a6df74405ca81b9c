"""/metrics: who may read it, and that its numbers are those of the rows."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from integrations.models import CallBudget, Delivery, Lane
from portal import clock, heartbeat
from tests import make
from tests.portal.test_pages import happened

pytestmark = pytest.mark.django_db
NEAR = ("127.0.0.0/8",)


@pytest.fixture
def near(settings: Any) -> None:
    settings.METRICS_NETWORKS = NEAR


def numbers(client: Any) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.content.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


# --- Who --------------------------------------------------------------------------------------------------------------


def test_it_is_not_there_unless_the_operator_says_for_whom(client):
    assert client.get("/metrics").status_code == 404


def test_a_token_opens_it_and_a_wrong_one_does_not(client, settings):
    settings.METRICS_TOKEN = "watching-" + "x" * 30
    assert (
        client.get("/metrics", headers={"Authorization": f"Bearer {settings.METRICS_TOKEN}"}).status_code
        == 200
    )
    for given in ("Bearer watching", "Bearer ", "", f"Basic {settings.METRICS_TOKEN}", "Bearer é"):
        assert client.get("/metrics", headers={"Authorization": given}).status_code == 404


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_what_came_through_a_proxy_on_the_same_host_is_not_near(client, near, header):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={header: "203.0.113.7"}).status_code == 404
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.7").status_code == 404


def test_nobody_changes_anything_there(client, near):
    assert client.post("/metrics").status_code == 405


# --- What -------------------------------------------------------------------------------------------------------------


def test_the_queue_is_told_by_module_and_status(client, near, world):
    event = happened(world)
    common = {"partner": world.partner, "event": event, "client": world.client}
    lane = world.credentials.lane
    Delivery.objects.all().delete()
    Delivery.objects.create(**common, lane=lane, action="ticket", subject="ticket:1", status="failed")
    Delivery.objects.create(**common, lane=lane, action="synchronize", subject="sync:1", status="waiting")
    Delivery.objects.create(**common, action="webhook", subject="webhook:1", status="waiting")
    Delivery.objects.filter(action="webhook").update(created_at=clock.now() - timedelta(minutes=10))
    Delivery.objects.filter(action="synchronize").update(
        created_at=clock.now() - timedelta(hours=2), due_at=clock.now() + timedelta(hours=1)
    )
    told = numbers(client)
    assert told['psa_portal_deliveries{module="tickets",status="failed"}'] == 1
    assert told['psa_portal_deliveries{module="billing",status="waiting"}'] == 1
    assert told['psa_portal_deliveries{module="webhook",status="waiting"}'] == 1
    assert told['psa_portal_queue_age_seconds{module="tickets"}'] == 0
    assert 600 <= told['psa_portal_queue_age_seconds{module="webhook"}'] < 660
    assert told['psa_portal_queue_overdue_seconds{module="billing"}'] == 0


def test_a_tripped_breaker_shows_what_tripped_it(client, near, world):
    assert numbers(client)['psa_portal_lanes{state="open"}'] == 1
    Lane.objects.update(breaker="unreachable", breaker_since=clock.now() - timedelta(hours=1))
    told = numbers(client)
    assert told['psa_portal_lanes{state="open"}'] == 0
    assert told['psa_portal_lanes{state="unreachable"}'] == 1
    assert 3600 <= told["psa_portal_lane_longest_trip_seconds"] < 3660


def test_calls_left_name_no_partner_unless_told_to(client, near, settings):
    for name, used in (("Northwind", 100), ("Tailspin", 4_000)):
        CallBudget.objects.create(
            partner=make.partner(name), kind="autotask", account=name, used=used, most=5_000
        )
    told = numbers(client)
    assert told['psa_portal_psa_calls_left_least{kind="autotask"}'] == 1_000
    assert "northwind" not in client.get("/metrics").content.decode().lower()
    settings.METRICS_NAME_PARTNERS = True
    assert re.search(r'partner="northwind[^"]*"} 4900', client.get("/metrics").content.decode())


def test_events_of_the_last_minute_and_signs_of_life(client, near, world, api):
    api.post("/api/v1/events", {"events": [make.event() for _ in range(3)]})
    heartbeat.beat("dispatcher")
    told = numbers(client)
    assert told['psa_portal_events_last_minute{state="accepted"}'] == 3
    assert told['psa_portal_heartbeat_age_seconds{kind="dispatcher"}'] < 60


def test_an_event_of_earlier_is_not_of_the_last_minute(client, near, world, api, monkeypatch):
    api.post("/api/v1/events", make.event())
    later = clock.now() + timedelta(seconds=90)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert not [name for name in numbers(client) if "events_last_minute" in name]


def test_more_partners_ask_nothing_more(client, near, django_assert_num_queries):
    for number in range(5):
        CallBudget.objects.create(partner=make.partner(), kind="autotask", account=str(number), most=5_000)
    with django_assert_num_queries(6):
        client.get("/metrics")
