"""Idempotency-Key and the limit of requests: a write is carried out once, a token keeps to its minute."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from integrations.models import Event
from portal import clock, idempotency, jobs, ratelimits
from portal.models import Allowance, ApiToken, Client, IdempotentRequest
from tests import make

pytestmark = pytest.mark.django_db
KEY = {"HTTP_IDEMPOTENCY_KEY": "order-7"}


@pytest.fixture
def api() -> APIClient:
    make.catalogues()
    return make.api(make.token(make.partner()))


def add_client(api: APIClient, name: str = "Bakery Otto", **more: Any) -> Any:
    return api.post("/api/v1/clients", {"name": name}, format="json", **more)


# --- Idempotency-Key --------------------------------------------------------------------------------------------------


def test_a_write_that_is_sent_again_is_done_once_and_answered_alike(api):
    first, second = add_client(api, **KEY), add_client(api, **KEY)
    assert Client.objects.count() == 1
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first


def test_the_same_key_with_another_body_is_refused(api):
    add_client(api, **KEY)
    answer = add_client(api, "Florist", **KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Client.objects.count() == 1


def test_a_refusal_is_repeated_as_well(api):
    assert add_client(api, "", **KEY).status_code == 400
    assert add_client(api, "", **KEY)["Idempotency-Replayed"] == "true"


def test_two_tokens_may_use_the_same_key(api):
    add_client(api, **KEY)
    assert add_client(make.api(make.token(make.partner("Other MSP"))), **KEY).status_code == 201
    assert Client.objects.count() == 2


def test_after_a_day_the_key_is_free_again(api, monkeypatch):
    add_client(api, **KEY)
    later = clock.now() + idempotency.KEPT + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert add_client(api, "Florist", **KEY).status_code == 201


def test_what_is_under_way_is_waited_for_and_what_was_lost_is_done(api):
    add_client(api, **KEY)
    IdempotentRequest.objects.update(status=None)
    Client.objects.all().delete()
    answer = add_client(api, **KEY)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (
        409,
        "request_in_progress",
        "2",
    )
    IdempotentRequest.objects.update(begun_at=clock.now() - idempotency.GIVEN_UP - timedelta(seconds=1))
    assert add_client(api, **KEY).status_code == 201
    assert Client.objects.count() == 1


@pytest.mark.parametrize("key", ["", "ü", "a b", "x" * 256])
def test_a_key_that_cannot_be_kept_is_refused(api, key):
    answer = add_client(api, HTTP_IDEMPOTENCY_KEY=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    assert Client.objects.count() == 0


def test_a_stranger_leaves_no_trace(api):
    stranger = APIClient(headers={"authorization": "Bearer psap_wrong"})
    assert add_client(stranger, **KEY).status_code == 401
    assert not IdempotentRequest.objects.exists()


def test_an_answer_that_says_try_again_is_not_kept(api, monkeypatch):
    monkeypatch.setattr("portal.clients.add_client", lambda *args, **more: 1 / 0)
    assert add_client(api, **KEY).status_code == 500
    monkeypatch.undo()
    assert add_client(api, **KEY).status_code == 201


def test_a_batch_of_events_keeps_its_results(api):
    batch = {"events": [make.event(), {"source": "x"}]}
    first = api.post("/api/v1/events", batch, format="json", **KEY)
    second = api.post("/api/v1/events", batch, format="json", **KEY)
    assert first.json() == second.json()
    assert Event.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite's tests share one connection")
@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_time_one_is_carried_out():
    make.catalogues()
    text = make.token(make.partner())
    answers: list[int] = []

    def send() -> None:
        answers.append(add_client(make.api(text), **KEY).status_code)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Client.objects.count() == 1
    assert set(answers) <= {201, 409}


# --- The limit --------------------------------------------------------------------------------------------------------


@pytest.fixture
def minute(monkeypatch) -> Any:
    """A clock that stands, and processes that know nothing yet."""
    now = [datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(ratelimits, "_ours", {})
    return now


def test_a_token_keeps_to_its_minute_and_is_told_when_to_come_again(api, minute):
    ApiToken.objects.update(requests_a_minute=3)
    answers = [api.get("/api/v1/clients") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert (refused["RateLimit-Limit"], refused["Retry-After"]) == ("3", "51")
    assert refused.json()["code"] == "too_many_requests"
    minute[0] += timedelta(seconds=51)
    assert api.get("/api/v1/clients").status_code == 200


def test_several_processes_together_keep_to_it(api, minute, monkeypatch):
    token = ApiToken.objects.get()
    token.requests_a_minute = 240
    allowed = 0
    processes: list[dict[Any, Any]] = [{}, {}, {}]
    for number in range(400):
        monkeypatch.setattr(ratelimits, "_ours", processes[number % 3])
        allowed += ratelimits.take(token).is_allowed
    assert 240 - 3 * 4 <= allowed <= 240
    assert Allowance.objects.get().taken == 240


def test_another_token_is_not_touched(api, minute):
    ApiToken.objects.update(requests_a_minute=1)
    api.get("/api/v1/clients")
    assert api.get("/api/v1/clients").status_code == 429
    assert make.api(make.token(make.partner("Other MSP"))).get("/api/v1/clients").status_code == 200


def test_a_busy_token_costs_few_writes(api, minute, django_assert_num_queries):
    token = ApiToken.objects.get()
    ratelimits.take(token)
    with django_assert_num_queries(0):
        for _ in range(499):
            assert ratelimits.take(token).is_allowed


def test_what_is_over_is_forgotten(api, minute):
    add_client(api, **KEY)
    minute[0] += timedelta(days=2)
    jobs.clean_up()
    assert not IdempotentRequest.objects.exists()
    assert not Allowance.objects.exists()
