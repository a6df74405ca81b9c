"""Tools that already speak CloudEvents, PagerDuty or Alertmanager open and close our conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from alerts import dialects, incoming
from alerts.dialects import Malformed
from alerts.models import Condition
from integrations.models import Event
from portal import clock, ratelimits
from portal.models import ApiToken, Client
from tests import make

pytestmark = pytest.mark.django_db
PAGER = "/api/v1/compat/pagerduty/v2/enqueue"
MANAGER = "/api/v1/compat/alertmanager"


@pytest.fixture
def client() -> Client:
    make.catalogues()
    partner = make.partner()
    return make.clients.add_client(partner, name="Bakery Otto", number=19652)


@pytest.fixture
def token(client: Client) -> str:
    return make.token(client.partner)


def page(token: str, action: str = "trigger", **more: Any) -> dict[str, Any]:
    payload = {"summary": "Disk full", "source": "SRV-01", "severity": "critical", "class": "disk.full"}
    return {
        "routing_key": token,
        "event_action": action,
        "dedup_key": "disk-SRV-01",
        "payload": payload,
        **more,
    }


def states() -> dict[str, str]:
    return dict(Condition.objects.values_list("key", "state"))


# --- PagerDuty --------------------------------------------------------------------------------------------------------


def test_a_page_opens_a_condition_and_its_resolve_ends_it(client, token):
    answer = APIClient().post(PAGER, page(f"{token}:19652"), format="json")
    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "disk-SRV-01"}
    event = Event.objects.get()
    assert (event.client, event.type, event.severity, event.account_reference) == (
        client,
        "disk.full",
        "critical",
        "SRV-01",
    )
    assert states() == {"disk-SRV-01": "failing"}
    bare = {"routing_key": token, "event_action": "resolve", "dedup_key": "disk-SRV-01"}
    assert APIClient().post(PAGER, bare, format="json").status_code == 202
    assert states() == {"disk-SRV-01": "fine"}


def test_an_acknowledge_is_noted_and_changes_nothing(client, token):
    APIClient().post(PAGER, page(f"{token}:19652"), format="json")
    APIClient().post(PAGER, page(f"{token}:19652", "acknowledge"), format="json")
    assert states() == {"disk-SRV-01": "failing"}
    assert Event.objects.filter(type="acknowledged", action="none").count() == 1


def test_without_a_dedup_key_one_is_made_and_told(client, token):
    sent = page(f"{token}:19652")
    del sent["dedup_key"]
    told = APIClient().post(PAGER, sent, format="json").json()["dedup_key"]
    assert states() == {told: "failing"}


def test_a_call_with_a_moment_that_is_repeated_is_one_event(client, token):
    sent = page(f"{token}:19652")
    sent["payload"]["timestamp"] = clock.now().isoformat()
    for _ in range(3):
        assert APIClient().post(PAGER, sent, format="json").status_code == 202
    assert Event.objects.count() == 1


def test_a_resolve_of_what_is_not_open_is_taken_kindly(client, token):
    sent = {"routing_key": token, "event_action": "resolve", "dedup_key": "never"}
    answer = APIClient().post(PAGER, sent, format="json")
    assert (answer.status_code, Event.objects.count()) == (202, 0)


def test_another_partners_dedup_key_is_not_resolved(client, token):
    APIClient().post(PAGER, page(f"{token}:19652"), format="json")
    other = make.token(make.partner("Other MSP"))
    sent = {"routing_key": other, "event_action": "resolve", "dedup_key": "disk-SRV-01"}
    APIClient().post(PAGER, sent, format="json")
    assert states() == {"disk-SRV-01": "failing"}


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"routing_key": "psap_wrong"}, 401, "must be a token of ours"),
        ({"routing_key": 7}, 401, "must be a token of ours"),
        ({"event_action": "explode"}, 400, "trigger, acknowledge or resolve"),
        ({"payload": "text"}, 400, "“payload” must be an object"),
        ({"payload": {"severity": "critical", "group": "19652"}}, 400, "“summary” is missing"),
        ({"payload": {"summary": "x", "severity": ["critical"], "group": "19652"}}, 400, "“severity” must be one of"),
        ({"dedup_key": {}}, 400, "“dedup_key” must be text"),
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_page_is_refused_in_pagerdutys_form(client, token, change, status, words):
    answer = APIClient().post(PAGER, {**page(f"{token}:19652"), **change}, format="json")
    assert answer.status_code == status
    assert words in str(answer.json())
    assert Event.objects.count() == 0


def test_pages_are_counted_like_every_other_request_of_the_token(client, token, monkeypatch):
    monkeypatch.setattr(ratelimits, "_ours", {})
    ApiToken.objects.update(requests_a_minute=2)
    answers = [APIClient().post(PAGER, page(f"{token}:19652"), format="json") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2]["Retry-After"]


def test_a_token_without_the_scope_pages_nobody(client):
    reader = make.token(client.partner, ("events:read",))
    assert APIClient().post(PAGER, page(reader), format="json").status_code == 403


# --- Alertmanager -----------------------------------------------------------------------------------------------------


def alerts(*changes: dict[str, Any]) -> dict[str, Any]:
    one = {
        "status": "firing",
        "labels": {
            "alertname": "DiskFull",
            "instance": "SRV-01",
            "severity": "critical",
            "client": "EFS-19652",
        },
        "annotations": {"summary": "Disk of SRV-01 is full", "description": "98 %"},
        "startsAt": clock.now().isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c1",
    }
    return {"version": "4", "status": "firing", "alerts": [{**one, **change} for change in changes or ({},)]}


def test_an_alert_opens_and_its_resolution_closes(client, token):
    api = make.api(token)
    firing = alerts()
    assert api.post(MANAGER, firing, format="json").json()["results"][0]["status"] == "accepted"
    assert api.post(MANAGER, firing, format="json").json()["results"][0]["status"] == "duplicate"
    event = Event.objects.get()
    assert (event.type, event.summary, event.account_reference) == (
        "DiskFull",
        "Disk of SRV-01 is full",
        "SRV-01",
    )
    assert states() == {"alertmanager:c1": "failing"}
    over = {"status": "resolved", "endsAt": clock.now().isoformat()}
    api.post(MANAGER, alerts(over), format="json")
    assert states() == {"alertmanager:c1": "fine"}


def test_the_good_alerts_of_a_call_are_taken_and_the_others_told(client, token):
    nobody = {"fingerprint": "c2", "labels": {"alertname": "X"}}
    wordy = {"fingerprint": "c3", "annotations": {"summary": "x" * 501}}
    answer = make.api(token).post(MANAGER, alerts({}, nobody, wordy), format="json")
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected", "rejected"]
    assert results[1]["errors"][0]["field"] == "client"
    assert results[2]["errors"][0]["field"] == "summary"


def test_the_address_may_name_the_client(client, token):
    nobody = {"fingerprint": "c2", "labels": {"alertname": "X"}}
    answer = make.api(token).post(f"{MANAGER}?client=19652", alerts(nobody), format="json")
    assert answer.json()["results"][0]["status"] == "accepted"


def test_a_call_of_which_nothing_could_be_taken_is_told_as_such(client, token):
    answer = make.api(token).post(MANAGER, alerts({"labels": {}}), format="json")
    assert answer.status_code == 422
    assert make.api(token).post(MANAGER, {"alerts": "none"}, format="json").status_code == 400


# --- CloudEvents ------------------------------------------------------------------------------------------------------


def cloud(**more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "a-7",
        "source": "/backup/7",
        "type": "backup.failed",
        "subject": "SRV-01",
        "time": clock.now().isoformat(),
        "client": "19652",
        "data": {"severity": "error", "summary": "Backup of SRV-01 failed", "job": 7},
        **more,
    }


def send(token: str, body: Any, media_type: str) -> Any:
    api = APIClient(headers={"authorization": f"Bearer {token}"})
    return api.post("/api/v1/events", json.dumps(body), content_type=media_type)


def test_a_cloud_event_is_an_event(client, token):
    answer = send(token, cloud(), dialects.CLOUD_EVENT)
    assert answer.json()["results"][0]["status"] == "accepted"
    event = Event.objects.get()
    assert (event.source, event.source_id) == ("/backup/7", "a-7")
    assert (event.account_reference, event.data) == ("SRV-01", {"job": 7})
    assert send(token, cloud(id="a-8"), "application/cloudevents+json; charset=utf-8").status_code == 202


def test_a_batch_of_cloud_events_has_a_result_each(client, token):
    batch = [cloud(id="1"), cloud(id="2", specversion="0.3"), "text", cloud(id="3", data=None)]
    results = send(token, batch, dialects.CLOUD_EVENTS).json()["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected", "rejected", "rejected"]
    assert results[1]["errors"][0]["field"] == "specversion"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["trigger", "resolve", "firing"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["alerts", "labels", "annotations", "payload", "data", "event_action", "severity", "client",
                         "summary", "startsAt", "source", "id", "custom_details", "status"]), inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


@given(message=anything)
@settings(max_examples=300, deadline=None)
def test_whatever_a_tool_sends_is_read_or_refused(message):
    items = [dialects.of_cloud_event(message)]
    for translate in (
        lambda: dialects.of_alertmanager(message, client=""),
        lambda: [dialects.of_pagerduty(message, client="", key="k")] if isinstance(message, dict) else [],
    ):
        try:
            items += translate()
        except Malformed:
            continue
    for item in items:
        assert incoming.read(item) is not None
