"""Callbacks of the pretend ConnectWise: who is told of what, how a call is signed, what happens when it is refused."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from integrations.sandbox.connectwise.dialect import ConnectWise
from integrations.sandbox.running import Sandbox
from tests.integrations.sandbox.receiver import Receiver


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.stop()


def created(reply):
    assert reply.status == 201, reply.body
    return reply.json


def subscribe(call, receiver, **more):
    wanted = {"url": f"{receiver.url}/hook?id=", "objectId": 1, "type": "ticket", "level": "owner", **more}
    return created(call("POST", "/system/callbacks", wanted))["id"]


def ended(sandbox, count):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = sandbox.control.get("callbacks")
        if len(found["ended"]) >= count and not found["pending"]:
            return found["ended"]
        time.sleep(0.01)
    raise AssertionError(found)


def test_a_change_is_told_with_the_record_and_a_signature(call, sandbox, receiver):
    subscribe(call, receiver)
    sandbox.control.technician("close", ticket=10001)
    (payload,) = receiver.payloads(1)
    assert (payload["Action"], payload["Type"], payload["ID"]) == ("updated", "ticket", 10001)
    assert json.loads(payload["Entity"])["closedFlag"] is True
    assert "cw://" not in payload["Entity"]
    told = receiver.calls[0]
    assert told.target == "/hook?id=10001&action=updated"
    key = call("GET", payload["Metadata"]["key_url"].removeprefix(sandbox.url)).json["signing_key"]
    digest = hmac.new(hashlib.sha256(key.encode()).digest(), told.body, hashlib.sha256).digest()
    assert told.headers["x-content-signature"] == base64.b64encode(digest).decode()


def test_what_only_the_sandbox_knows_is_not_told(call, sandbox, receiver):
    subscribe(call, receiver)
    assert call("POST", "/service/tickets/10001/configurations", {"id": 7001}).status == 201
    (payload,) = receiver.payloads(1)
    assert [name for name in json.loads(payload["Entity"]) if name.startswith("_")] == ["_info"]


def test_new_and_deleted_tickets_are_told_too(call, sandbox, receiver):
    subscribe(call, receiver)
    made = call.open_ticket()["id"]
    sandbox.control.technician("delete", ticket=made)
    first, second = receiver.payloads(2)
    assert (first["Action"], second["Action"], second["ID"]) == ("added", "deleted", made)
    assert second["Entity"] is None


def test_levels_and_flags_say_who_is_not_told(call, sandbox, receiver):
    subscribe(call, receiver, level="board", objectId=999)
    subscribe(call, receiver, url=f"{receiver.url}/off?id=", inactiveFlag=True)
    subscribe(call, receiver, url=f"{receiver.url}/own?id=", isSelfSuppressedFlag=True)
    subscribe(call, receiver, url=f"{receiver.url}/one?id=", level="ticket", objectId=10002)
    call("PATCH", "/service/tickets/10001", [{"op": "replace", "path": "summary", "value": "ours"}])
    sandbox.control.technician("rename", ticket=10002, name="theirs")
    ended(sandbox, 2)
    assert sorted(told.path for told in receiver.calls) == ["/one", "/own"]


@pytest.mark.parametrize(
    ("statuses", "attempts"),
    [([429, 404, 200], 3), ([429, 429, 429], 3), ([500], 1), ([401], 1), ([204], 1)],
    ids=str,
)
def test_only_some_refusals_are_tried_again(call, sandbox, receiver, statuses, attempts):
    sandbox.control.switches(callback_retry_seconds=0.01)
    receiver.statuses = statuses
    subscribe(call, receiver)
    sandbox.control.technician("rename", ticket=10001, name="x")
    (done,) = ended(sandbox, 1)
    assert (done["attempts"], done["problem"] is None) == (attempts, statuses[-1] in (200, 204))


def test_calls_can_be_lost_on_purpose(call, sandbox, receiver):
    subscribe(call, receiver)
    sandbox.control.post("callbacks", {"lose": 1})
    for name in ("one", "two"):
        sandbox.control.technician("rename", ticket=10001, name=name)
    (payload,) = receiver.payloads(1)
    assert json.loads(payload["Entity"])["summary"] == "two"


def test_days_of_failure_switch_a_callback_off(receiver):
    now = [datetime(2026, 11, 21, tzinfo=UTC)]
    dialect = ConnectWise(clock=lambda: now[0])
    sandbox = Sandbox(dialect)
    row = {"url": f"{receiver.url}/hook?id=", "objectId": 1, "type": "ticket", "level": "owner"}
    with dialect.store.lock:
        dialect.store.put("callbacks", {"id": 1, **row})
        dialect.store.commit()
    receiver.statuses = [500]
    for days in (0, 2, 4):
        now[0] = datetime(2026, 11, 21, tzinfo=UTC) + timedelta(days=days)
        done = len(sandbox.control.get("callbacks")["ended"])
        sandbox.control.technician("rename", ticket=10001, name=f"day {days}")
        ended(sandbox, done + 1)
        assert bool(dialect.store.get("callbacks", 1).get("inactiveFlag")) is (days == 4)
    sandbox.stop()


def test_a_new_key_lies_at_the_same_address_or_at_another(call, sandbox, receiver):
    subscribe(call, receiver)
    seen = []
    for switches in ({}, {"callback_key": 2}, {"callback_key": 3, "callback_key_address": 3}):
        sandbox.control.switches(callback_key_twice=bool(seen), **switches)
        sandbox.control.technician("rename", ticket=10001, name=f"name {len(seen)}")
        url = receiver.payloads(len(seen) + 1)[-1]["Metadata"]["key_url"]
        answer = call("GET", url.removeprefix(sandbox.url)).json
        seen.append((url, (json.loads(answer) if isinstance(answer, str) else answer)["signing_key"]))
    assert len({key for _, key in seen}) == 3
    assert len({url for url, _ in seen}) == 2


@pytest.mark.parametrize("wrong", [{"type": "weather"}, {"level": "planet"}, {"objectId": None}], ids=str)
def test_what_cannot_be_told_is_refused(call, receiver, wrong):
    wanted = {"url": receiver.url, "objectId": 1, "type": "ticket", "level": "owner", **wrong}
    assert call("POST", "/system/callbacks", wanted).status == 400


def test_a_callback_can_be_changed_and_deleted_with_the_right_to(call, sandbox, receiver):
    made = subscribe(call, receiver)
    change = [{"op": "replace", "path": "inactiveFlag", "value": True}]
    assert call("PATCH", f"/system/callbacks/{made}", change).json["inactiveFlag"] is True
    sandbox.control.role(callbacks={"delete": "None"})
    assert call("DELETE", f"/system/callbacks/{made}").status == 403
    sandbox.control.role(callbacks="All")
    assert call("DELETE", f"/system/callbacks/{made}").status == 204
    assert call("GET", "/system/callbacks").json == []
