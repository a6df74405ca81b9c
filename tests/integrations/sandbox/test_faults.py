"""Every fault does to the wire, and to the state behind it, what its name says."""

import http.client
import json
import time

import pytest

from integrations.sandbox.faults import BadRule, Faults
from integrations.sandbox.messages import Request
from tests.integrations.sandbox.conftest import BAKERY

TICKET = {"summary": "Backup failed", "company": {"id": BAKERY}, "externalXRef": "portal:1"}
LOST = (http.client.RemoteDisconnected, ConnectionError)


def committed(sandbox):
    return [line["externalXRef"] for line in sandbox.control.journal("ticket")]


def test_commit_then_drop_writes_and_says_nothing(call, sandbox):
    sandbox.control.fault("commit_then_drop", method="POST", path="/service/tickets$", times=1)
    with pytest.raises(LOST):
        call("POST", "/service/tickets", TICKET)
    assert committed(sandbox) == ["portal:1"]
    assert sandbox.control.tickets(externalXRef="portal:1")[0]["summary"] == "Backup failed"
    seen = sandbox.control.requests()[-1]
    assert (seen["status"], seen["fault"], seen["committed"]) == (None, "commit_then_drop", True)


def test_drop_neither_writes_nor_answers(call, sandbox):
    sandbox.control.fault("drop", times=1)
    with pytest.raises(LOST):
        call("POST", "/service/tickets", TICKET)
    assert committed(sandbox) == []
    assert not sandbox.control.requests()[-1]["committed"]


def test_late_commit_writes_after_the_client_has_given_up(call, sandbox):
    sandbox.control.fault("late_commit", delay=0.15, times=1)
    with pytest.raises(LOST):
        call("POST", "/service/tickets", TICKET)
    assert call("GET", "/service/tickets", conditions='externalXRef="portal:1"').json == []
    sandbox.settle()
    assert committed(sandbox) == ["portal:1"]
    assert sandbox.control.requests()[0]["committed"]


def test_a_late_commit_can_hold_the_client_until_its_own_time_out(call, sandbox):
    sandbox.control.fault("late_commit", delay=0.0, hold=5, times=1)
    with pytest.raises(TimeoutError):
        call("POST", "/service/tickets", TICKET, timeout=0.2)
    sandbox.settle()
    assert committed(sandbox) == ["portal:1"]


def test_a_reset_forgets_what_would_have_been_committed_late(call, sandbox):
    sandbox.control.fault("late_commit", delay=0.05, times=1)
    with pytest.raises(LOST):
        call("POST", "/service/tickets", TICKET)
    sandbox.control.reset()
    time.sleep(0.1)
    assert committed(sandbox) == []


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("status_401", 401, "Unauthorized"),
        ("status_403", 403, "Security"),
        ("status_500", 500, "timeout"),
        ("html_503", 503, "<html>"),
        ("html_200", 200, "<html>"),
        ("redirect", 302, ""),
    ],
)
def test_an_answer_in_place_of_the_work(call, sandbox, fault, status, text):
    sandbox.control.fault(fault, times=1)
    reply = call("POST", "/service/tickets", TICKET)
    assert reply.status == status
    assert text in reply.body.decode()
    assert committed(sandbox) == []


def test_a_500_may_have_committed(call, sandbox):
    sandbox.control.fault("status_500", commit=True, times=1)
    assert call("POST", "/service/tickets", TICKET).status == 500
    assert committed(sandbox) == ["portal:1"]


@pytest.mark.parametrize("retry_after", ["7", "Wed, 21 Oct 2026 07:28:00 GMT", "-3", "soon", None])
def test_a_429_says_any_retry_after_in_its_odd_body(call, sandbox, retry_after):
    sandbox.control.fault("status_429", retry_after=retry_after)
    reply = call("GET", "/service/boards")
    assert (reply.status, reply.headers.get("retry-after")) == (429, retry_after)
    assert reply.json["error"] == "ConnectWiseAPI"
    assert "code" not in reply.json


def test_a_403_can_hit_one_module_only(call, sandbox):
    sandbox.control.fault("status_403", module="agreements")
    assert call("GET", "/finance/agreements/401/additions").status == 403
    assert call("GET", "/service/boards").status == 200


@pytest.mark.parametrize("fault", ["truncated_json", "invalid_json"])
def test_broken_json_comes_after_the_work(call, sandbox, fault):
    sandbox.control.fault(fault, method="POST")
    reply = call("POST", "/service/tickets", TICKET)
    with pytest.raises(json.JSONDecodeError):
        assert reply.json
    assert committed(sandbox) == ["portal:1"]


def test_an_answer_can_be_cut_off_in_the_middle(call, sandbox):
    sandbox.control.fault("truncated_json", socket=True)
    with pytest.raises(http.client.IncompleteRead):
        call("GET", "/service/boards")


def test_drip_sends_byte_by_byte(call, sandbox):
    sandbox.control.fault("drip", seconds=0.002, path="/count$")
    begun = time.monotonic()
    assert call("GET", "/service/tickets/count").json == {"count": 3}
    assert time.monotonic() - begun >= 0.02


def test_latency_adds_to_whatever_follows(call, sandbox):
    sandbox.control.fault("latency", seconds=0.05)
    sandbox.control.fault("status_500", path="/boards")
    begun = time.monotonic()
    assert call("GET", "/service/boards").status == 500
    assert time.monotonic() - begun >= 0.05


def test_a_rule_ends_after_its_times_and_can_be_taken_away(call, sandbox):
    sandbox.control.fault("status_500", times=2)
    assert [call("GET", "/service/sources").status for _ in range(3)] == [500, 500, 200]
    rule = sandbox.control.fault("html_503")
    sandbox.control.delete(f"faults/{rule['id']}")
    assert call("GET", "/service/sources").status == 200


def test_the_same_seed_throws_the_same_dice():
    def thrown(seed):
        faults = Faults(seed)
        faults.add({"fault": "drop", "rate": 0.5})
        return [faults.choose(Request("GET", "/"), None).name for _ in range(50)]

    assert thrown(7) == thrown(7) != thrown(8)
    assert {"drop", None} == set(thrown(7))


@pytest.mark.parametrize(
    "rule",
    [
        None,
        {},
        {"fault": "gremlin"},
        {"fault": "drop", "seconds": 1},
        {"fault": "drop", "match": {"path": "("}},
    ],
    ids=str,
)
def test_a_rule_nobody_understands_is_refused(rule):
    with pytest.raises(BadRule):
        Faults().add(rule)
