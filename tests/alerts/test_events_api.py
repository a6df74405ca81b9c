"""What the REST door says to good, bad and hostile events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from alerts import intake
from alerts.models import Condition
from integrations.models import Delivery, Event
from portal import clients, clock
from portal.models import ApiToken
from tests import make

BAD = {
    "no source": ({"source": None}, "source", "required"),
    "blank id": ({"id": "  "}, "id", "required"),
    "number for text": ({"summary": 7}, "summary", "not_text"),
    "object for text": ({"type": {"a": 1}}, "type", "not_text"),
    "unknown severity": ({"severity": "fatal"}, "severity", "unknown_value"),
    "unknown action": ({"action": "open"}, "action", "unknown_value"),
    "long summary": ({"summary": "x" * 501}, "summary", "too_long"),
    "65 KiB of details": ({"details": "x" * (65 * 1024)}, "details", "too_long"),
    "64 KiB of two-byte letters": ({"details": "ü" * (33 * 1024)}, "details", "too_long"),
    "NUL in the summary": ({"summary": "disk\x00full"}, "summary", "bad_character"),
    "NUL in details": ({"details": "\x00"}, "details", "bad_character"),
    "NUL in data": ({"data": {"a": ["\x00"]}}, "data", "bad_data"),
    "lone surrogate": ({"summary": "\ud83d"}, "summary", "bad_character"),
    "lone surrogate in data": ({"data": {"k": "\udc00"}}, "data", "bad_data"),
    "unparsable date": ({"occurred_at": "yesterday"}, "occurred_at", "not_a_moment"),
    "impossible date": ({"occurred_at": "2026-02-30T00:00:00Z"}, "occurred_at", "not_a_moment"),
    "far future": ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at", "in_the_future"),
    "far past": ({"occurred_at": "1970-01-01T00:00:00Z"}, "occurred_at", "too_old"),
    "year 1 east of Greenwich": ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at", "not_a_moment"),
    "list for data": ({"data": [1]}, "data", "bad_data"),
    "deep data": ({"data": {"a": json.loads("[" * 30 + "]" * 30)}}, "data", "bad_data"),
    "fat data": ({"data": {"a": "x" * 70_000}}, "data", "bad_data"),
}


def post(api: APIClient, body: Any) -> Any:
    return api.post("/api/v1/events", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_event_gets_its_own_error_and_its_neighbours_are_accepted(
    name: str, world: make.World, api: APIClient
) -> None:
    change, field, code = BAD[name]
    answer = post(api, {"events": [make.event(), make.event(**change), make.event()]})
    assert answer.status_code == 202, answer.content
    first, bad, last = answer.json()["results"]
    assert (first["status"], bad["status"], last["status"]) == ("accepted", "rejected", "accepted")
    assert [(error["field"], error["code"]) for error in bad["errors"]] == [(field, code)]
    assert bad["errors"][0]["detail"].endswith(".")
    assert Event.objects.count() == 2


def test_four_byte_letters_and_exactly_64_kib_are_kept(world: make.World, api: APIClient) -> None:
    body = make.event(summary="🔥 server room", details="x" * 65536, data={"emoji": "🧯", "n": 10**30})
    assert post(api, body).json()["results"][0]["status"] == "accepted"
    event = Event.objects.get()
    assert event.summary == "🔥 server room"
    assert len(event.details) == 65536


@pytest.mark.parametrize("body", ["text", 7, None, [], {"events": []}, {"events": {}}, {"events": [[]]}])
def test_a_body_of_another_shape_is_refused_with_a_sentence(
    body: Any, world: make.World, api: APIClient
) -> None:
    answer = post(api, body)
    assert answer.status_code in {202, 400}
    if answer.status_code == 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] in {"invalid_request", "empty_batch", "invalid_json"}
    else:
        assert answer.json()["results"][0]["status"] == "rejected"


@pytest.mark.parametrize("raw", [b"{", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_refused_and_never_a_500(raw: bytes, world: make.World, api: APIClient) -> None:
    answer = api.post("/api/v1/events", raw, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_json"


def test_more_than_a_thousand_events_are_told_to_come_in_parts(world: make.World, api: APIClient) -> None:
    answer = post(api, {"events": [{}] * 1001})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_events")


def test_a_repeat_is_a_duplicate_and_another_body_under_the_same_id_is_rejected(
    world: make.World, api: APIClient
) -> None:
    event = make.event()
    first = post(api, event).json()["results"][0]
    second = post(api, event).json()["results"][0]
    other = post(api, {**event, "summary": "Something else"}).json()["results"][0]
    assert (second["status"], second["id"]) == ("duplicate", first["id"])
    assert (other["status"], other["errors"][0]["code"]) == ("rejected", "id_reused")
    assert Event.objects.count() == 1


def test_repeats_within_one_batch_are_told_apart(world: make.World, api: APIClient) -> None:
    event = make.event()
    results = post(api, {"events": [event, event, {**event, "summary": "Other"}]}).json()["results"]
    assert [row["status"] for row in results] == ["accepted", "duplicate", "rejected"]


@pytest.mark.parity("S1-33")
def test_an_event_of_an_unknown_client_is_parked_and_taken_in_when_the_client_comes(
    world: make.World, api: APIClient
) -> None:
    result = post(api, make.event(client="EFS-777")).json()["results"][0]
    assert result["status"] == "parked"
    assert result["warnings"][0]["code"] == "unknown_client"
    listed = api.get("/api/v1/events?status=parked").json()["results"]
    assert [row["id"] for row in listed] == [result["id"]]
    clients.add_client(world.partner, name="Newcomer", number=777)
    assert intake.take_in_parked(Event.objects.all()) == 1
    event = Event.objects.get()
    assert (event.state, event.client.number) == ("accepted", 777)
    assert event.deliveries.count() == 1


def test_another_partners_client_looks_like_an_unknown_one(world: make.World, api: APIClient) -> None:
    other = clients.add_client(make.partner("Rival"), name="Their client", number=4711)
    unknown = post(api, make.event(client="4712")).json()["results"][0]
    for reference in ("4711", "EFS-4711", str(other.pk)):
        theirs = post(api, make.event(client=reference)).json()["results"][0]
        assert theirs["status"] == unknown["status"] == "parked"
        assert theirs["warnings"][0]["detail"].replace(reference, "4712") == unknown["warnings"][0]["detail"]
    assert not Event.objects.filter(client=other).exists()


def test_two_partners_may_use_the_same_source_and_id(world: make.World, api: APIClient) -> None:
    rival = make.partner("Rival")
    clients.add_client(rival, name="Their client", number=4711)
    event = make.event()
    assert post(api, event).json()["results"][0]["status"] == "accepted"
    theirs = post(make.api(make.token(rival)), {**event, "client": "4711"}).json()["results"][0]
    assert theirs["status"] == "accepted"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Bearer psap_" + "x" * 43, "Basic abc"])
def test_without_a_good_token_nothing_is_accepted(header: str, world: make.World) -> None:
    caller = APIClient(headers={"Authorization": header}) if header else APIClient()
    answer = post(caller, make.event())
    assert answer.status_code == 401
    assert answer.json()["code"] in {"no_token", "invalid_token"}
    assert "Bearer" in answer["WWW-Authenticate"]
    assert not Event.objects.exists()


def test_a_token_without_the_scope_is_told_which_one(world: make.World) -> None:
    answer = post(make.api(make.token(world.partner, ("events:read",))), make.event())
    assert (answer.status_code, answer.json()["scope"]) == (403, "events:write")


def test_expired_and_revoked_tokens_and_those_of_a_stopped_partner_are_refused(
    world: make.World, api: APIClient
) -> None:
    ApiToken.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    assert post(api, make.event()).status_code == 401
    ApiToken.objects.update(expires_at=None, revoked_at=clock.now())
    assert post(api, make.event()).status_code == 401
    ApiToken.objects.update(revoked_at=None)
    world.partner.is_active = False
    world.partner.save()
    assert post(api, make.event()).status_code == 401


def test_the_trace_says_why_there_was_no_ticket(world: make.World, api: APIClient) -> None:
    url = post(api, make.event(severity="info", action="trigger")).json()["results"][0]["url"]
    trace = api.get(url).json()["trace"]
    rule = next(step for step in trace if step["step"] == "notification")
    assert (rule["matched"], rule["text"]) == (False, "Severity info is not among warning, error, critical.")
    assert Delivery.objects.count() == 0


def test_older_news_does_not_overturn_newer_news(world: make.World, api: APIClient) -> None:
    now = clock.now()

    def send(minutes: int, **more: Any) -> None:
        moment = (now - timedelta(minutes=minutes)).isoformat()
        post(api, make.event(occurred_at=moment, **more))

    send(5, type="backup.succeeded", severity="success")
    send(10)
    condition = Condition.objects.get()
    assert (condition.state, condition.episode) == ("fine", 0)
    send(3)
    send(4, type="backup.succeeded", severity="success")
    condition.refresh_from_db()
    assert (condition.state, condition.episode) == ("failing", 1)
    assert Delivery.objects.count() == 1


def test_a_clock_that_is_a_day_ahead_does_not_block_the_recovery(world: make.World, api: APIClient) -> None:
    ahead = (clock.now() + timedelta(hours=23)).isoformat()
    post(api, make.event(occurred_at=ahead))
    post(api, make.event(type="backup.succeeded", severity="success"))
    assert Condition.objects.get().state == "fine"


def test_one_new_event_costs_few_queries(
    world: make.World, api: APIClient, django_assert_max_num_queries: Any
) -> None:
    post(api, make.event())
    with django_assert_max_num_queries(17):
        post(api, make.event(account="SRV-02"))
    with django_assert_max_num_queries(14):  # two of them because its ticket is not open yet
        post(api, make.event(account="SRV-02"))


def test_a_batch_costs_no_more_queries_than_a_few_events(
    world: make.World, api: APIClient, django_assert_max_num_queries: Any
) -> None:
    batch = [make.event(account=f"SRV-{number}") for number in range(100)]
    api.get("/api/v1/events")  # the token's requests of this minute are set aside
    with django_assert_max_num_queries(20):
        assert post(api, {"events": batch}).status_code == 202
    assert Delivery.objects.count() == 100


def test_many_events_of_clients_that_never_come_do_not_hide_one_whose_client_came(
    world: make.World, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "TAKEN_IN_AT_ONCE", 2)
    strangers = [make.event(client=str(70_000 + number)) for number in range(4)]
    api.post("/api/v1/events", {"events": [*strangers, make.event(client="88888")]})
    make.clients.add_client(world.partner, name="Chandler", number=88888)
    assert intake.take_in_parked(Event.objects.all()) == 1
    assert Event.objects.get(client_reference="88888").state == Event.State.ACCEPTED


def test_a_parked_event_that_cannot_be_judged_does_not_stop_the_others(
    world: make.World, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post("/api/v1/events", {"events": [make.event(client="88888", account=name) for name in "AB"]})
    make.clients.add_client(world.partner, name="Chandler", number=88888)
    judge = intake.judge

    def fails_on_the_first(events: Sequence[Event]) -> None:
        if events[0].account_reference == "A":
            raise ValueError("our mistake")
        judge(events)

    monkeypatch.setattr(intake, "judge", fails_on_the_first)
    assert intake.take_in_parked(Event.objects.all()) == 1
    states = dict(Event.objects.values_list("account_reference", "state"))
    assert states == {"A": Event.State.PARKED, "B": Event.State.ACCEPTED}
