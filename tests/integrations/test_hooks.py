"""The door for PSAs' calls: whose calls are believed, and what a call may lead to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from alerts.models import Ticket
from integrations import following, inbound, jobs
from integrations.models import Credentials, Following, InboundMessage
from integrations.psa.errors import Misconfigured
from integrations.psa.kinds import KINDS
from integrations.psa.transport import SharedConnection
from integrations.sandbox import Sandbox
from integrations.sandbox.connectwise.callbacks import KEY_PATH, key_text
from portal import background, clock
from tests import make
from tests.integrations.psa.conftest import LOCAL
from tests.integrations.psa.servers import RawServer, always, http

HEADER = "x-content-signature"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The jobs that were asked for; none runs by itself."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(background, "enqueue", lambda *job: asked.append(job))
    return asked


@pytest.fixture
def row(world: make.World, queue: list[tuple[str, ...]]) -> Following:
    made = following.switch_on(world.credentials)
    queue.clear()
    return made


def address(row: Following) -> str:
    return following.public_address(row).removeprefix("http://127.0.0.1:8000")


def callback(sandbox: Sandbox, ticket: int = 10001, **more: Any) -> bytes:
    """What ConnectWise sends when a ticket has changed."""
    entity = {"id": ticket, "_info": {"lastUpdated": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"}}
    payload = {
        "Action": "updated",
        "Type": "ticket",
        "ID": ticket,
        "Entity": json.dumps(entity),
        "Metadata": {"key_url": f"{sandbox.url}{KEY_PATH}1"},
        **more,
    }
    return json.dumps(payload).encode()


def signed(body: bytes, key: int | str = 1) -> str:
    text = key_text(key) if isinstance(key, int) else key
    secret = hashlib.sha256(text.encode()).digest()
    return base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest()).decode()


def send(row: Following, body: bytes, signature: str | None = "right", *, key: int = 1) -> int:
    headers = {} if signature is None else {HEADER: signed(body, key) if signature == "right" else signature}
    answer = Browser().post(address(row), body, content_type="application/json", headers=headers)
    assert answer.content == b""
    return answer.status_code


def knows_the_key(row: Following) -> Following:
    """As after the first call of a PSA: its key was asked for and is there, long enough ago to ask again."""
    jobs_of(row, "fetch_key", f"{row.credentials.site_url}{KEY_PATH}1")
    Following.objects.filter(pk=row.pk).update(key_asked_at=clock.now() - timedelta(minutes=5))
    return row


def jobs_of(row: Following, name: str, url: str) -> None:
    Following.objects.filter(pk=row.pk).update(key_url=url)
    getattr(jobs, name)(str(row.credentials_id))


# --- Who is believed --------------------------------------------------------------------------------------------------


def test_a_signed_call_is_stored_and_answered_without_a_call_to_the_psa(
    row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    knows_the_key(row)
    calls = len(sandbox.control.requests())
    assert send(row, callback(sandbox)) == 200
    hint = InboundMessage.objects.get()
    assert (hint.record, hint.record_id, hint.action, hint.status) == (
        "ticket",
        "10001",
        "updated",
        "waiting",
    )
    assert queue == [("integrations.jobs.take_in", str(row.credentials_id))]
    assert len(sandbox.control.requests()) == calls
    row.refresh_from_db()
    assert (row.callbacks, row.callback_at is not None) == (1, True)


@pytest.mark.parametrize(
    ("signature", "because"),
    [(None, "without"), ("", "without"), ("bm9uc2Vuc2U=", "wrong"), ("sha1=abc", "wrong"), ("é", "wrong")],
    ids=str,
)
def test_a_wrong_or_missing_signature_is_refused_counted_and_shown(
    row: Following, sandbox: Sandbox, signature: str | None, because: str
) -> None:
    knows_the_key(row)
    Following.objects.update(key_asked_at=clock.now())
    assert send(row, callback(sandbox), signature) == 401
    row.refresh_from_db()
    assert (row.refused, InboundMessage.objects.count()) == (1, 0)
    assert because in row.refused_because


def test_a_changed_body_is_refused(row: Following, sandbox: Sandbox) -> None:
    knows_the_key(row)
    Following.objects.update(key_asked_at=clock.now())
    body = callback(sandbox)
    assert send(row, body.replace(b"10001", b"10002"), signed(body)) == 401
    assert not InboundMessage.objects.exists()


def test_another_token_is_nobody_whatever_the_signature(row: Following, sandbox: Sandbox) -> None:
    knows_the_key(row)
    body = callback(sandbox)
    for path in ("/hooks/nobody/", "/hooks/nobody/off/", f"/hooks/{row.token_digest}/"):
        answer = Browser().post(path, body, content_type="application/json", headers={HEADER: signed(body)})
        assert (answer.status_code, answer.content) == (404, b"")
    assert Following.objects.get().refused == 0


def test_the_secret_address_is_in_no_log(
    row: Following, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    knows_the_key(row)
    Following.objects.update(key_asked_at=clock.now())
    assert send(row, callback(sandbox), "wrong") == 401
    assert send(row, b" " * (inbound.LARGEST + 1)) == 413
    assert "refused" in caplog.text
    assert address(row) not in caplog.text


def test_what_is_switched_off_is_nobody(row: Following, sandbox: Sandbox) -> None:
    knows_the_key(row)
    following.switch_off(row.credentials)
    assert send(row, callback(sandbox)) == 404


def test_only_post_is_listened_to(row: Following) -> None:
    for method in ("get", "put", "patch", "delete", "head", "options"):
        assert getattr(Browser(), method)(address(row)).status_code == 405


def test_a_body_that_is_too_large_is_not_read(row: Following) -> None:
    assert send(row, b" " * (inbound.LARGEST + 1)) == 413
    assert Following.objects.get().refused == 0


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"ID":', b'{"ID": true}', b'{"ID": "1; drop"}', b"[" * 100_000], ids=len
)
def test_a_signed_call_that_makes_no_sense_changes_nothing_but_asks_for_a_comparison(
    row: Following, body: bytes
) -> None:
    knows_the_key(row)
    Following.objects.update(check_due_at=None)
    assert send(row, body) == 200
    assert not InboundMessage.objects.exists()
    assert Following.objects.get().check_due_at is not None


@pytest.mark.parametrize("more", [{"Type": "company"}, {"Type": None}], ids=str)
def test_what_is_not_followed_is_not_stored(row: Following, sandbox: Sandbox, more: Any) -> None:
    knows_the_key(row)
    assert send(row, callback(sandbox, **more)) == 200
    assert not InboundMessage.objects.exists()


# --- The key of the signature -----------------------------------------------------------------------------------------


def test_an_unknown_key_is_asked_for_by_the_worker_while_the_psa_tries_again(
    row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    body = callback(sandbox)
    assert send(row, body) == send(row, body) == 429
    assert queue == [("integrations.jobs.fetch_key", str(row.credentials_id))]
    jobs.fetch_key(str(row.credentials_id))
    assert send(row, body) == 200
    assert Following.objects.get().refused == 0


@pytest.mark.parametrize(
    "make_url",
    [
        lambda site, canary: f"{canary}/key",
        lambda site, canary: f"{site}@{canary.removeprefix('http://')}/key",
        lambda site, canary: site.replace("http:", "https:") + "/key",
        lambda site, canary: site.replace("127.0.0.1", "127.0.0.2") + "/key",
        lambda site, canary: site.replace("127.0.0.1", "2130706433") + "/key",
        lambda site, canary: f"{site}\\{canary}",
        lambda site, canary: f"{site}/a b",
        lambda site, canary: f"//{canary}",
        lambda site, canary: "file:///etc/passwd",
        lambda site, canary: f"{site}/{'a' * 600}",
        lambda site, canary: "http://[",
        lambda site, canary: 7,
        lambda site, canary: None,
    ],
    ids=range(13),
)
def test_a_key_that_lies_elsewhere_is_never_fetched(
    row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]], make_url: Callable[[str, str], Any]
) -> None:
    with RawServer(always(http(b'{"signing_key": "mine"}'))) as canary:
        url = make_url(sandbox.url, canary.url)
        body = callback(sandbox, Metadata={"key_url": url})
        assert send(row, body, signed(body, "mine")) == 401
        if isinstance(url, str) and len(url) <= 500:
            jobs_of(row, "fetch_key", url)
        assert canary.connections == 0
    assert queue == []
    assert "elsewhere" in Following.objects.get().refused_because


def test_a_key_is_fetched_without_our_credentials() -> None:
    fetch = KINDS["connectwise"].callbacks.fetch_key
    assert fetch is not None
    shared = SharedConnection(LOCAL)
    with RawServer(always(http(b'"{\\"signing_key\\": \\"theirs\\"}"'))) as site:
        assert fetch(f"{site.url}/keys?id=1", site.url, shared) == "theirs"
        [request] = site.requests
    shared.close()
    assert request.startswith(b"GET /keys?id=1 ")
    assert not any(word in request.lower() for word in (b"authorization", b"clientid", b"cookie"))


def test_the_fetch_itself_judges_the_address_too(sandbox: Sandbox) -> None:
    fetch = KINDS["connectwise"].callbacks.fetch_key
    assert fetch is not None
    shared = SharedConnection(LOCAL)
    with RawServer(always(http(b'{"signing_key": "mine"}'))) as canary:
        with pytest.raises(Misconfigured):
            fetch(f"{canary.url}/key", sandbox.url, shared)
        assert canary.connections == 0
    shared.close()


@pytest.mark.parametrize(
    ("fault", "options"),
    [("redirect", {"location": "CANARY"}), ("html_200", {}), ("status_500", {}), ("invalid_json", {})],
)
def test_a_key_that_cannot_be_read_properly_is_no_key(
    row: Following, sandbox: Sandbox, fault: str, options: dict[str, str]
) -> None:
    with RawServer(always(http(b'{"signing_key": "mine"}'))) as canary:
        options = dict.fromkeys(options, f"{canary.url}/key")
        sandbox.control.fault(fault, path="callbackkeys", **options)
        body = callback(sandbox)
        assert send(row, body) == 429
        jobs.fetch_key(str(row.credentials_id))
        assert send(row, body) == send(row, body, signed(body, "mine")) == 401
        assert canary.connections == 0


def test_a_changed_key_is_fetched_again_and_the_old_one_counts_no_more(
    row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    knows_the_key(row)
    sandbox.control.switches(callback_key=2)
    body = callback(sandbox)
    assert send(row, body, key=2) == 429
    jobs.fetch_key(str(row.credentials_id))
    assert send(row, body, key=2) == 200
    assert send(row, callback(sandbox, ticket=10002), key=1) == 401
    assert queue.count(("integrations.jobs.fetch_key", str(row.credentials_id))) == 1


def test_wrong_signatures_ask_for_a_key_once_a_minute_at_most(
    row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    knows_the_key(row)
    body = callback(sandbox)
    assert send(row, body, key=9) == 429
    jobs.fetch_key(str(row.credentials_id))
    assert [send(row, body, key=9) for _ in range(5)] == [401] * 5
    assert len(queue) == 1
    Following.objects.update(key_asked_at=clock.now() - timedelta(minutes=2))
    assert send(row, body, key=9) == 429
    assert len(queue) == 2


def test_a_key_is_kept_for_a_day_and_for_one_site(row: Following, sandbox: Sandbox, monkeypatch) -> None:
    knows_the_key(row)
    monkeypatch.setattr(inbound, "KEY_KEPT", timedelta(0))
    assert send(row, callback(sandbox)) == 429
    monkeypatch.undo()
    Following.objects.update(key_asked_at=None)
    Credentials.objects.update(site_url=f"{sandbox.url}/elsewhere")
    assert send(row, callback(sandbox)) == 429


# --- The same again ---------------------------------------------------------------------------------------------------


def test_a_repetition_is_answered_and_nothing_happens(
    row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    knows_the_key(row)
    body = callback(sandbox)
    assert [send(row, body) for _ in range(3)] == [200] * 3
    assert (InboundMessage.objects.count(), Following.objects.get().callbacks, len(queue)) == (1, 1, 1)


def test_a_replay_of_long_ago_is_not_news(row: Following, sandbox: Sandbox) -> None:
    knows_the_key(row)
    long_ago = clock.now() - inbound.KEPT - timedelta(hours=1)
    entity = json.dumps({"_info": {"lastUpdated": f"{long_ago:%Y-%m-%dT%H:%M:%SZ}"}})
    assert send(row, callback(sandbox, Entity=entity)) == 200
    assert not InboundMessage.objects.exists()


def test_ten_equal_calls_at_once_are_one(
    live_world: make.World, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    row = knows_the_key(following.switch_on(live_world.credentials))
    queue.clear()
    body = callback(sandbox)
    together = threading.Barrier(10)

    def call(_: int) -> int:
        together.wait()
        try:
            return send(row, body)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(call, range(10))) == [200] * 10
    assert (InboundMessage.objects.count(), Following.objects.get().callbacks) == (1, 1)


# --- Autotask ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def autotask(world: make.World, queue: list[tuple[str, ...]]) -> Following:
    """The same door with the other PSA's signature; its key is ours."""
    Credentials.objects.update(kind="autotask")
    return following.switch_on(Credentials.objects.get())


def webhook(sequence: int = 1, **more: Any) -> bytes:
    payload = {"Action": "Update", "Guid": "g-1", "EntityType": "Ticket", "Id": 10001, "Fields": {}}
    at = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({**payload, "EventTime": at, "SequenceNumber": sequence, **more}).encode()


def send_webhook(row: Following, body: bytes, key: str, *, digest: str = "sha1") -> int:
    value = base64.b64encode(hmac.new(key.encode(), body, digest).digest()).decode()
    headers = {"X-Hook-Signature": f"{digest}={value}"}
    return Browser().post(address(row), body, content_type="application/json", headers=headers).status_code


def keys(row: Following) -> list[str]:
    secret: Any = Following.objects.get(pk=row.pk).secret
    found: list[str] = secret["keys"]
    return found


def test_autotasks_calls_are_told_apart_by_their_number(autotask: Following) -> None:
    [key] = keys(autotask)
    sent = [send_webhook(autotask, webhook(number), key) for number in (1, 2, 2, 1)]
    assert sent == [200] * 4
    assert set(InboundMessage.objects.values_list("source_id", flat=True)) == {"g-1:1", "g-1:2"}


def test_another_digest_or_key_is_refused(autotask: Following) -> None:
    [key] = keys(autotask)
    assert send_webhook(autotask, webhook(), "another key") == 401
    assert send_webhook(autotask, webhook(), key, digest="sha256") == 401
    assert send_webhook(autotask, webhook(), key, digest="md5") == 401
    assert Following.objects.get().refused == 3


def test_a_renewed_key_and_for_a_while_the_former_one_are_accepted(autotask: Following) -> None:
    [old] = keys(autotask)
    following.renew_key(autotask.credentials)
    new = keys(autotask)[0]
    assert new != old
    assert [send_webhook(autotask, webhook(1), old), send_webhook(autotask, webhook(2), new)] == [200, 200]
    Following.objects.update(renewed_at=clock.now() - timedelta(minutes=5))
    assert send_webhook(autotask, webhook(3), old) == 200
    Following.objects.update(renewed_at=clock.now() - timedelta(hours=1))
    assert [send_webhook(autotask, webhook(4), old), send_webhook(autotask, webhook(5), new)] == [401, 200]


def test_a_deactivation_is_a_reason_to_compare_and_nothing_else(autotask: Following) -> None:
    Following.objects.update(check_due_at=None)
    assert Browser().post(f"{address(autotask)}off/", b"{", content_type="text/plain").status_code == 200
    row = Following.objects.get()
    assert (row.check_due_at is not None, row.refused, InboundMessage.objects.count()) == (True, 0, 0)


# --- Taking in --------------------------------------------------------------------------------------------------------


def test_a_hint_about_a_ticket_that_is_not_ours_costs_no_call(row: Following, sandbox: Sandbox) -> None:
    knows_the_key(row)
    send(row, callback(sandbox))
    calls = len(sandbox.control.requests())
    assert inbound.take_in(row.credentials) == 1
    assert len(sandbox.control.requests()) == calls
    assert InboundMessage.objects.get().outcome == "Not a ticket of ours."


def ours(world: make.World, *ids: int) -> None:
    for number in ids:
        condition = make.condition(world, key=f"backup:{number}")
        Ticket.objects.create(
            partner=world.partner,
            condition=condition,
            credentials=world.credentials,
            generation=1,
            external_ref=f"psap:{number}:1",
            state="open",
            psa_id=str(number),
            opened_at=clock.now(),
        )


def test_many_hints_about_many_tickets_are_one_call(
    world: make.World, row: Following, sandbox: Sandbox
) -> None:
    knows_the_key(row)
    ours(world, 10001, 10002, 10003)
    for name in ("a", "b"):
        for number in (10001, 10002, 10003):
            send(row, callback(sandbox, ticket=number, From=name))
    inbound.take_in(row.credentials)
    reads = len(sandbox.control.requests())
    for number in (10001, 10002, 10003):
        send(row, callback(sandbox, ticket=number, From="c"))
    inbound.take_in(row.credentials)
    assert len(sandbox.control.requests()) - reads <= 2  # codebase, tickets
    assert not InboundMessage.objects.filter(status="waiting").exists()
    assert Ticket.objects.filter(seen_at=None).count() == 0


def test_what_nobody_took_in_is_taken_in_by_the_minute(
    world: make.World, row: Following, sandbox: Sandbox, queue: list[tuple[str, ...]]
) -> None:
    """As after a kill between the insert and the job."""
    knows_the_key(row)
    ours(world, 10001)
    send(row, callback(sandbox))
    queue.clear()
    jobs.follow()
    assert ("integrations.jobs.take_in", str(row.credentials_id)) in queue
    jobs.take_in(str(row.credentials_id))
    jobs.take_in(str(row.credentials_id))
    assert InboundMessage.objects.get().status == "done"


def test_while_the_psa_does_not_answer_hints_wait_and_are_left_to_the_poll_at_last(
    world: make.World, row: Following, sandbox: Sandbox, settings: Any
) -> None:
    knows_the_key(row)
    ours(world, 10001)
    send(row, callback(sandbox))
    sandbox.control.fault("html_503", path="service/tickets")
    settings.RETRY_DELAYS = (0.0, 0.0)
    inbound.take_in(row.credentials)
    hint = InboundMessage.objects.get()
    assert (hint.status, hint.attempts, bool(hint.settled_at)) == ("failed", 3, True)


def test_when_many_tickets_vanish_at_once_nothing_is_concluded(
    world: make.World, row: Following, sandbox: Sandbox
) -> None:
    ours(world, *range(1, 13))  # no such tickets in the PSA
    jobs.poll_changes(str(row.credentials_id))
    assert Ticket.objects.filter(state="gone").count() == 0
    assert "all at once" in Following.objects.get().poll_problem


def test_old_hints_are_forgotten(row: Following, sandbox: Sandbox) -> None:
    knows_the_key(row)
    send(row, callback(sandbox))
    jobs.forget_inbound()
    assert InboundMessage.objects.count() == 1
    InboundMessage.objects.update(received_at=clock.now() - timedelta(days=16))
    jobs.forget_inbound()
    assert InboundMessage.objects.count() == 0
