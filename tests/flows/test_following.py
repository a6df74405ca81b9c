"""What people do to our tickets in the PSA comes back: by its own signed calls over real HTTP, or by the poll."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from alerts.following import FollowedTickets
from alerts.models import Condition, Ticket
from integrations import following, inbound, jobs, registration
from integrations.models import Credentials, Delivery, Following, InboundMessage
from integrations.sandbox import Sandbox, running_sandbox
from portal import background, clock
from tests import make


@pytest.fixture(scope="module")
def _autotask() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@dataclass
class Place:
    """A partner whose PSA calls a portal that really listens."""

    credentials: Credentials
    sandbox: Sandbox
    token: str
    drain: Callable[..., None]

    @property
    def is_connectwise(self) -> bool:
        return self.credentials.kind == "connectwise"

    @property
    def row(self) -> Following:
        return Following.objects.get(credentials=self.credentials)

    def fails(self, account: str = "SRV-01") -> Ticket:
        """A backup fails, its ticket is open in the PSA."""
        make.api(self.token).post("/api/v1/events", make.event(account=account))
        self.drain()
        ticket = Ticket.objects.get(condition__key=f"backup:{account}")
        assert ticket.state == Ticket.State.OPEN, list(Delivery.objects.values("outcome", "error_text"))
        return ticket

    def recovers(self, account: str = "SRV-01") -> Delivery:
        """The same backup succeeds; what its delivery came to."""
        fields = {"type": "backup.succeeded", "severity": "success", "account": account}
        result = make.api(self.token).post("/api/v1/events", make.event(**fields)).json()["results"][0]
        self.drain()
        return Delivery.objects.get(event=result["id"])

    def does(self, what: str, ticket: Ticket) -> None:
        """A technician does something to a ticket."""
        number = int(ticket.psa_id)
        other = 10002
        more: dict[str, Any] = {
            "move": {"board": 3} if self.is_connectwise else {"queue": 29682833},
            "merge": {"into": other},
            "child": {"parent": other},
            "company": {"company": 251 if self.is_connectwise else 202},
        }.get(what, {})
        self.sandbox.control.technician(what, ticket=number, **more)

    def calls_of_psa(self) -> list[dict[str, Any]]:
        """The calls of the PSA that have ended, once none is on its way."""
        verb = "callbacks" if self.is_connectwise else "webhooks"
        ends_at = time.monotonic() + 30
        while time.monotonic() < ends_at:
            found = self.sandbox.control.get(verb)
            if not found["pending"]:
                ended: list[dict[str, Any]] = found["ended"]
                return ended
            time.sleep(0.01)
        raise AssertionError("calls are still on their way")

    def registered(self) -> list[dict[str, Any]]:
        """What the PSA has registered for us."""
        table = "callbacks" if self.is_connectwise else "TicketWebhooks"
        store: Any = self.sandbox.dialect
        with store.store.lock:
            return [dict(row) for row in store.store.all(table)]

    def silences(self) -> None:
        """The PSA's next calls are lost."""
        if self.is_connectwise:
            self.sandbox.control.post("callbacks", {"lose": 99})
            return
        store: Any = self.sandbox.dialect
        with store.store.lock:
            for row in list(store.store.all("TicketWebhooks")):
                store.store.put("TicketWebhooks", {**row, "isActive": False})

    def tickets_with_our_key(self) -> int:
        key = "externalXRef" if self.is_connectwise else "externalID"
        lines = self.sandbox.control.journal(kind="ticket")
        return len([line for line in lines if str(line[key] or "").startswith("psap:")])

    def requests(self, since: int) -> list[tuple[str, str]]:
        return [(row["method"], row["path"]) for row in self.sandbox.control.requests()[since:]]


@pytest.fixture(params=["connectwise", "autotask"])
def place(
    request: pytest.FixtureRequest,
    transactional_db: None,
    live_server: Any,
    settings: Any,
    sandbox: Sandbox,
    _autotask: Sandbox,
    drain: Any,
) -> Place:
    settings.PORTAL_URL = live_server.url
    if request.param == "connectwise":
        world = make.world(sandbox)
        sandbox.control.switches(callback_retry_seconds=0.02)
        return Place(world.credentials, sandbox, world.token, drain)
    _autotask.control.clear_faults()
    _autotask.control.reset()
    _autotask.control.switches(webhook_retry_seconds=0.02)
    world = make.autotask_world(_autotask)
    return Place(world.credentials, _autotask, world.token, drain)


# --- Registered once, and as long as it is wanted ---------------------------------------------------------------------


def test_switching_on_registers_once_and_switching_off_takes_it_away(place: Place) -> None:
    following.switch_on(place.credentials)
    [registered] = place.registered()
    assert "/hooks/" in (registered.get("url") or registered["webhookUrl"])
    row = place.row
    assert (row.registration, row.registered_id, row.problem) == ("registered", str(registered["id"]), "")
    for _ in range(3):
        following.switch_on(place.credentials)
        jobs.register_callback(str(place.credentials.pk))
    assert place.registered() == [registered]
    following.switch_off(place.credentials)
    assert place.registered() == []
    assert place.row.registration == "none"


def test_a_registration_whose_answer_was_lost_is_found_and_not_made_again(place: Place) -> None:
    path = "system/callbacks$" if place.is_connectwise else "TicketWebhooks$"
    place.sandbox.control.fault("commit_then_drop", method="POST", path=path, times=1)
    following.switch_on(place.credentials)
    assert place.row.registration == "failed"
    jobs.register_callback(str(place.credentials.pk))
    assert (len(place.registered()), place.row.registration) == (1, "registered")


def test_a_registration_that_was_killed_half_way_is_finished_or_taken_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    for is_wanted in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr(registration, "settled", killed)
            with pytest.raises(KeyboardInterrupt):
                following.switch_on(place.credentials)
        assert len(place.registered()) == 1
        if not is_wanted:
            following.switch_off(place.credentials)
            assert (place.registered(), place.row.registration) == ([], "none")
    jobs.follow()
    assert (len(place.registered()), place.row.registration) == (1, "registered")


def test_a_registration_that_was_switched_off_doubled_or_led_elsewhere_is_repaired(place: Place) -> None:
    following.switch_on(place.credentials)
    store: Any = place.sandbox.dialect
    table, off, url = (
        ("callbacks", {"inactiveFlag": True}, "url")
        if place.is_connectwise
        else ("TicketWebhooks", {"isActive": False}, "webhookUrl")
    )
    with store.store.lock:
        [row] = list(store.store.all(table))
        store.store.put(table, {**row, **off})
        store.store.put(table, {**row, "id": row["id"] + 1, url: "https://elsewhere.example.com/"})
    place.silences()
    jobs.register_callback(str(place.credentials.pk))
    [left] = place.registered()
    assert (left["id"], left[url]) == (row["id"], row[url])
    assert left.get("isActive", True)
    assert not left.get("inactiveFlag")


def test_a_webhook_of_autotask_is_ready_and_leaves_our_own_changes_out(place: Place) -> None:
    if place.is_connectwise:
        pytest.skip("ConnectWise has no such steps")
    following.switch_on(place.credentials)
    [webhook] = place.registered()
    assert webhook["isReady"]
    store: Any = place.sandbox.dialect
    excluded = [row["resourceID"] for row in store.store.all("TicketWebhookExcludedResources")]
    assert excluded == [webhook["ownerResourceID"]]


def test_without_the_right_it_is_told_and_the_poll_goes_on(place: Place) -> None:
    right = {"callbacks": "None"} if place.is_connectwise else {"webhooks": {"create": "None"}}
    place.sandbox.control.role(**right)
    ticket = place.fails()
    following.switch_on(place.credentials)
    row = place.row
    assert (row.registration, bool(row.problem), bool(row.advice)) == ("failed", True, True)
    place.does("close", ticket)
    jobs.poll_changes(str(place.credentials.pk))
    ticket.refresh_from_db()
    assert (ticket.news, place.row.found_by_poll) == ("closed", 1)


def test_a_portal_without_a_public_address_is_not_registered(place: Place, settings: Any) -> None:
    settings.PSA_ALLOW_HTTP = False
    following.switch_on(place.credentials)
    assert (place.registered(), place.row.registration) == ([], "failed")
    assert "https" in place.row.problem


def test_a_renewed_key_is_given_to_autotask_and_its_calls_are_believed(place: Place) -> None:
    if place.is_connectwise:
        pytest.skip("ConnectWise signs with a key of its own")
    ticket = place.fails()
    following.switch_on(place.credentials)
    [before] = place.registered()
    following.renew_key(place.credentials)
    [after] = place.registered()
    assert before["secretKey"] != after["secretKey"]
    Following.objects.update(renewed_at=clock.now() - timedelta(hours=1))  # the old key counts no more
    place.does("close", ticket)
    assert [call["problem"] for call in place.calls_of_psa()] == [None]


# --- What a technician does -------------------------------------------------------------------------------------------

DEEDS = ("close", "move", "merge", "delete", "company", "child")


def expected(what: str, ticket: Ticket) -> tuple[bool, str]:
    """Whether the facts on the row are right, and what its news says."""
    return {
        "close": (ticket.psa_closed_at is not None and ticket.acknowledged_at is not None, "closed"),
        "move": (bool(ticket.moved_to) and ticket.moved_to != ticket.board_id, "moved to"),
        "merge": (ticket.merged_into == "10002", "merged into"),
        "delete": (ticket.gone_at is not None and ticket.state == "gone", "deleted"),
        "company": (bool(ticket.moved_to_company), "now of"),
        "child": (ticket.child_of == "10002", "child of"),
    }[what]


@pytest.mark.parametrize("by", ["callback", "poll"])
@pytest.mark.parametrize("what", DEEDS)
def test_what_a_technician_did_is_known_and_the_recovery_does_the_right_thing(
    place: Place, what: str, by: str
) -> None:
    if (what, by, place.is_connectwise) == ("child", "callback", False):
        pytest.skip("Autotask's webhook does not watch the problem ticket")
    ticket = place.fails()
    following.switch_on(place.credentials)
    if by == "poll":
        place.silences()
    place.does(what, ticket)
    place.calls_of_psa()
    if by == "poll":
        Ticket.objects.update(seen_at=None)  # six hours have passed, as far as deletions are concerned
        if what in {"move", "company"}:
            Ticket.objects.update(seen_at=ticket.opened_at)
        jobs.poll_changes(str(place.credentials.pk))
    ticket.refresh_from_db()
    is_right, news = expected(what, ticket)
    row = place.row
    assert is_right, (ticket.__dict__, row.__dict__)
    assert news in ticket.news
    assert (row.found_by_callback, row.found_by_poll) == ((1, 0) if by == "callback" else (0, 1))
    outcome = place.recovers()
    assert outcome.status in {"done", "skipped"}, (outcome.status, outcome.outcome, outcome.error_text)
    assert outcome.attempts == 1
    ticket.refresh_from_db()
    assert (ticket.left_at is not None, ticket.closed_at is None) == ((what == "child"),) * 2
    assert Ticket.objects.count() == place.tickets_with_our_key() == 1
    assert Condition.objects.get().state == "fine"


def test_the_recovery_of_a_merged_ticket_is_a_note_on_the_other_one(place: Place) -> None:
    ticket = place.fails()
    following.switch_on(place.credentials)
    place.does("merge", ticket)
    place.calls_of_psa()
    outcome = place.recovers()
    assert "was merged into" in outcome.outcome
    [other] = place.sandbox.control.tickets(id=10002)
    texts = [note.get("text") or note.get("description") for note in other["notes"]]
    assert [text for text in texts if "is over" in str(text)], texts


def test_a_status_that_was_changed_and_a_ticket_opened_again_are_news_too(place: Place) -> None:
    ticket = place.fails()
    following.switch_on(place.credentials)
    jobs.poll_changes(str(place.credentials.pk))
    place.does("close", ticket)
    place.calls_of_psa()
    place.does("reopen", ticket)
    place.calls_of_psa()
    ticket.refresh_from_db()
    assert (ticket.news, ticket.psa_closed_at, ticket.state) == ("opened again", None, "open")
    assert place.row.found_by_callback == 2
    outcome = place.recovers()
    assert "Somebody has worked on ticket" in outcome.outcome
    [stored] = place.sandbox.control.tickets(id=ticket.psa_id)
    assert not stored.get("closedFlag", stored.get("status") == 5)


def test_our_own_opening_and_closing_are_no_news(place: Place) -> None:
    following.switch_on(place.credentials)
    place.fails()
    jobs.poll_changes(str(place.credentials.pk))
    place.recovers()
    place.calls_of_psa()
    jobs.poll_changes(str(place.credentials.pk))
    row = place.row
    assert (row.found_by_callback, row.found_by_poll) == (0, 0)


# --- The poll ---------------------------------------------------------------------------------------------------------


def test_what_a_lost_call_did_not_tell_the_poll_finds_in_few_calls(place: Place) -> None:
    tickets = [place.fails(f"SRV-{number:02}") for number in range(4)]
    following.switch_on(place.credentials)
    place.silences()
    place.does("close", tickets[1])
    place.does("delete", tickets[2])
    Ticket.objects.filter(pk=tickets[2].pk).update(seen_at=None)
    since = len(place.sandbox.control.requests())
    jobs.poll_changes(str(place.credentials.pk))
    made = place.requests(since)
    # tickets changed, tickets not seen (ConnectWise) and their zone and notes (Autotask), the missing one by itself
    assert len(made) <= (4 if place.is_connectwise else 6), made
    assert all(method == "GET" or "/query" in path for method, path in made)
    row = place.row
    assert (row.found_by_poll, row.found_by_callback) == (2, 0)
    since = len(place.sandbox.control.requests())
    jobs.poll_changes(str(place.credentials.pk))
    assert len(place.requests(since)) <= 3
    assert place.row.found_by_poll == 2


def test_a_poll_that_was_killed_before_it_was_done_reads_the_same_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = place.fails()
    following.switch_on(place.credentials)
    place.silences()
    place.does("close", ticket)
    former = place.row.changed_until

    def killed(*args: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FollowedTickets, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.poll_changes(str(place.credentials.pk))
    assert place.row.changed_until == former
    jobs.poll_changes(str(place.credentials.pk))
    ticket.refresh_from_db()
    assert (ticket.news, place.row.found_by_poll) == ("closed", 1)


def test_a_psa_that_does_not_answer_is_told_and_the_next_poll_finds_everything(place: Place) -> None:
    ticket = place.fails()
    following.switch_on(place.credentials)
    place.silences()
    place.does("close", ticket)
    place.sandbox.control.fault("html_503", times=None)
    jobs.poll_changes(str(place.credentials.pk))
    assert place.row.poll_problem
    place.sandbox.control.clear_faults()
    jobs.poll_changes(str(place.credentials.pk))
    ticket.refresh_from_db()
    assert (ticket.news, place.row.poll_problem) == ("closed", "")


# --- The PSA's side ---------------------------------------------------------------------------------------------------


def test_a_call_is_tried_again_until_it_is_taken(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = place.fails()
    following.switch_on(place.credentials)
    real, answers = inbound.receive, iter([429, 429])
    monkeypatch.setattr(inbound, "receive", lambda *args: next(answers, None) or real(*args))
    place.sandbox.control.switches(
        **{"callback_attempts": 4} if place.is_connectwise else {"webhook_attempts": 4}
    )
    place.does("close", ticket)
    [call] = place.calls_of_psa()
    # one more where the key of the signature had to be asked for first
    assert (call["attempts"], call["problem"]) == (4 if place.is_connectwise else 3, None)
    assert InboundMessage.objects.get().status == "done"


def test_a_kill_between_the_insert_and_the_job_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = place.fails()
    following.switch_on(place.credentials)
    enqueue = background.enqueue
    monkeypatch.setattr(
        background, "enqueue", lambda job, *ids: None if job.endswith("take_in") else enqueue(job, *ids)
    )
    place.does("close", ticket)
    place.calls_of_psa()
    assert InboundMessage.objects.get().status == "waiting"
    ticket.refresh_from_db()
    assert ticket.news == ""
    monkeypatch.undo()
    jobs.follow()
    ticket.refresh_from_db()
    assert (ticket.news, place.row.found_by_callback) == ("closed", 1)
