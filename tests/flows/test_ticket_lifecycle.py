"""The life of a ticket by its settings, and what must hold whatever happens to it (C4-C10, S4-3, S0-21)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import lifecycle, ticketsettings
from alerts.following import FollowedTickets
from alerts.models import Condition, Ticket, TicketSettings
from alerts.proving import lifeworld
from alerts.proving.lifeworld import LifeWorld
from integrations import connections
from integrations.models import Delivery
from integrations.psa.errors import Misconfigured
from integrations.sandbox import Sandbox
from portal import clock


@pytest.fixture
def world(transactional_db: None, sandbox: Sandbox) -> LifeWorld:
    return lifeworld.build("connectwise", sandbox)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts settings of a ticket's life in effect."""

    def put(**values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setitem(ticketsettings.DEFAULTS, name, value)
        monkeypatch.setattr(
            lifecycle,
            "partners_that_chose",
            lambda *names: list(TicketSettings.objects.values_list("partner_id", flat=True)),
        )

    return put


def calls(world: LifeWorld) -> tuple[int, int]:
    """Reads and writes since the last time it was asked."""
    counts = world.sandbox.control.counts()
    former = getattr(world, "counted", (0, 0))
    world.counted = (counts["reads"], counts["writes"])  # type: ignore[attr-defined]
    return counts["reads"] - former[0], counts["writes"] - former[1]


def open_one(world: LifeWorld) -> Ticket:
    world.fails()
    world.drain()
    return world.ticket()


def test_repeats_are_told_within_the_budget_of_notes_and_then_in_sum(world: LifeWorld, choose: Any) -> None:
    choose(notes_per_hour=2)
    ticket = open_one(world)
    for _ in range(6):
        world.fails()
        lifecycle.look_after_tickets()
        world.drain()
    notes = [note for note in world.notes(ticket.psa_id) if note.startswith("Still failing")]
    assert len(notes) == 2
    Ticket.objects.update(notes_from=clock.now() - timedelta(hours=2))
    lifecycle.look_after_tickets()
    world.drain()
    assert "reported 4 times more, 7 times in all" in world.notes(ticket.psa_id)[-1]
    assert lifecycle.look_after_tickets() == 0


def test_each_path_costs_the_calls_it_is_known_for(world: LifeWorld, choose: Any) -> None:
    choose(notes_per_hour=1, reopen_within_days=1)
    open_one(world)
    calls(world)
    world.fails()
    world.drain()
    assert calls(world) == (0, 0)
    lifecycle.look_after_tickets()
    world.drain()
    assert calls(world) == (1, 1), "a note about repeats reads the ticket first"
    world.recovers()
    world.drain()
    assert calls(world) == (2, 1), "we wrote to it, so its notes tell whether somebody else did"
    world.fails()
    world.drain()
    assert calls(world) == (1, 2), "opening again is a write and a note"
    world.technician("note", world.ticket().psa_id, text="I am on it")
    calls(world)
    world.recovers()
    world.drain()
    assert calls(world) == (2, 1), "a touched ticket is told"


def test_our_own_notes_do_not_make_a_ticket_somebodys_work(world: LifeWorld, choose: Any) -> None:
    choose(notes_per_hour=5)
    ticket = open_one(world)
    world.fails()
    lifecycle.look_after_tickets()
    world.drain()
    world.recovers()
    world.drain()
    assert world.in_psa(ticket.psa_id).is_closed


def test_a_note_whose_answer_was_lost_is_not_written_twice(world: LifeWorld, choose: Any) -> None:
    choose(notes_per_hour=5)
    ticket = open_one(world)
    world.sandbox.control.fault("commit_then_drop", method="POST", path="/notes$", times=1)
    world.fails()
    lifecycle.look_after_tickets()
    world.drain()
    assert sum(note.startswith("Still failing") for note in world.notes(ticket.psa_id)) == 1
    assert world.ticket().pending_note == ""


@pytest.mark.parity("S0-21")
def test_a_ticket_that_somebody_works_on_is_told_and_left_open(world: LifeWorld) -> None:
    ticket = open_one(world)
    world.technician("note", ticket.psa_id, text="I am on it")
    world.recovers()
    world.drain()
    assert not world.in_psa(ticket.psa_id).is_closed
    assert "is over since" in world.notes(ticket.psa_id)[-1]
    assert "a note was written" in world.ticket().left_why
    world.fails()
    world.drain()
    assert world.ticket().pk == ticket.pk
    assert "Failing again" in world.notes(ticket.psa_id)[-1]


@pytest.mark.parity("S0-21")
def test_without_the_rule_a_ticket_is_closed_whoever_touched_it(world: LifeWorld, choose: Any) -> None:
    choose(closes_only_untouched=False)
    ticket = open_one(world)
    world.technician("note", ticket.psa_id, text="I am on it")
    world.recovers()
    world.drain()
    assert world.in_psa(ticket.psa_id).is_closed


def test_a_problem_that_is_back_within_the_days_opens_its_ticket_again(world: LifeWorld, choose: Any) -> None:
    choose(reopen_within_days=2)
    ticket = open_one(world)
    world.recovers()
    world.drain()
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["open"]
    assert not world.in_psa(ticket.psa_id).is_closed
    world.recovers()
    world.drain()
    assert world.in_psa(ticket.psa_id).is_closed
    Ticket.objects.update(closed_at=clock.now() - timedelta(days=3))
    world.fails()
    world.drain()
    assert [row.generation for row in world.tickets()] == [1, 2]


def test_a_ticket_that_a_person_closed_again_is_not_opened_by_us(world: LifeWorld, choose: Any) -> None:
    choose(reopen_within_days=2)
    ticket = open_one(world)
    world.recovers()
    world.drain()
    world.technician("rename", ticket.psa_id, name="Kept for the record")
    world.fails()
    world.drain()
    assert world.in_psa(ticket.psa_id).is_closed
    assert [row.state for row in world.tickets()] == ["gone", "open"]


def test_a_reopening_whose_answer_was_lost_is_looked_at_and_not_repeated(
    world: LifeWorld, choose: Any
) -> None:
    choose(reopen_within_days=2)
    open_one(world)
    world.recovers()
    world.drain()
    world.sandbox.control.fault("commit_then_drop", method="PATCH", times=1)
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["open"]
    assert len(world.created()) == 1


def test_a_reopening_that_the_psa_refuses_for_good_becomes_a_new_ticket(
    world: LifeWorld, choose: Any
) -> None:
    choose(reopen_within_days=2)
    ticket = open_one(world)
    world.recovers()
    world.drain()
    world.sandbox.control.fault("redirect", method="PATCH", status=400)
    world.fails()
    world.drain()
    former, new = world.tickets()
    assert (former.state, new.state) == ("gone", "open")
    assert "could not be opened again: ConnectWise refused the data" in former.left_why
    assert world.in_psa(ticket.psa_id).is_closed
    assert not world.in_psa(new.psa_id).is_closed


def test_a_refused_note_about_a_reopening_is_no_refused_reopening(world: LifeWorld, choose: Any) -> None:
    choose(reopen_within_days=2)
    ticket = open_one(world)
    world.recovers()
    world.drain()
    world.sandbox.control.fault("redirect", method="POST", path="/notes", status=400)
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["open"]
    assert not world.in_psa(ticket.psa_id).is_closed
    assert len(world.created()) == 1


def test_a_reopening_on_a_board_without_an_open_status_becomes_a_new_ticket(
    world: LifeWorld, choose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused while it was planned: nothing was sent, and nothing waits for somebody to reprocess it."""
    choose(reopen_within_days=2)
    open_one(world)
    world.recovers()
    world.drain()
    refused = Misconfigured("The board has no status of an open ticket.", field="status")

    def reopening(*args: Any) -> Any:
        raise refused

    monkeypatch.setattr("integrations.psa.connectwise.tickets.Tickets.reopening", reopening)
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["gone", "open"]


def test_a_technicians_close_acknowledges_and_a_reminder_follows_once(world: LifeWorld, choose: Any) -> None:
    choose(reminder_after_hours=4)
    ticket = open_one(world)
    world.technician("close", ticket.psa_id)
    movement_seen(world)
    assert world.ticket().acknowledged_at is not None
    for _ in range(3):
        world.fails()
        lifecycle.look_after_tickets()
        world.drain()
    assert len(world.created()) == 1
    Ticket.objects.update(acknowledged_at=clock.now() - timedelta(hours=5))
    for _ in range(2):
        lifecycle.look_after_tickets()
        world.drain()
    reminders = [note for note in world.notes(ticket.psa_id) if "although this ticket was closed" in note]
    assert len(reminders) == 1
    assert len(world.created()) == 1


def test_a_reminder_may_be_a_new_ticket_that_names_the_old_one(world: LifeWorld, choose: Any) -> None:
    choose(reminder_after_hours=4, reminder_opens_ticket=True)
    ticket = open_one(world)
    world.technician("close", ticket.psa_id)
    movement_seen(world)
    Ticket.objects.update(acknowledged_at=clock.now() - timedelta(hours=5))
    lifecycle.look_after_tickets()
    world.drain()
    newest = world.ticket()
    assert newest.generation == 2
    assert f"#{ticket.number}" in world.notes(newest.psa_id)[0]


def movement_seen(world: LifeWorld) -> None:
    """As the poll and the callbacks do."""
    with connections.psa_for(world.credentials) as psa:
        states = psa.tickets_by_id([world.ticket().psa_id])
    with transaction.atomic():
        FollowedTickets().note(world.credentials, states, [])


# --- Whatever happens -------------------------------------------------------------------------------------------------

ACTIONS = (
    "fails",
    "recovers",
    "note",
    "status",
    "close",
    "reopen",
    "delete",
    "lost create",
    "lost write",
    "drain",
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=4, max_size=12), late=st.booleans())
def test_whatever_happens_one_problem_has_one_open_ticket(
    world: LifeWorld, actions: list[str], late: bool
) -> None:
    account = f"A{Condition.objects.count()}"
    touched = False
    world.fails(account)
    world.drain()
    for action in actions:
        touched = act(world, account, action) or touched
        if not late:
            world.drain()
        refs = [ref for ref in world.created() if world.condition(account).pk.hex in ref]
        assert len(refs) == len(set(refs))
        assert Ticket.objects.filter(condition=world.condition(account), closed_at=None).count() <= 1
    world.sandbox.control.clear_faults()
    world.drain()
    condition = world.condition(account)
    if condition.state == Condition.State.FINE and not touched:
        newest = world.ticket(account)
        outcomes = list(
            Delivery.objects.filter(subject=f"ticket:{condition.pk}").values_list("outcome", flat=True)
        )
        assert newest.closed_at is not None, outcomes
        assert not newest.psa_id or world.in_psa(newest.psa_id).is_closed, outcomes


def act(world: LifeWorld, account: str, action: str) -> bool:
    """One thing that happens; True when a person did something."""
    psa_id = world.ticket(account).psa_id
    control = world.sandbox.control
    if action in ("fails", "recovers"):
        getattr(world, action)(account)
    elif action == "lost create":
        control.fault("commit_then_drop", method="POST", path="/service/tickets$", times=1)
    elif action == "lost write":
        control.fault("commit_then_drop", method="PATCH", times=1)
    elif action == "drain" or not psa_id or not control.tickets(id=psa_id):
        world.drain()
    elif action == "note":
        world.technician("note", psa_id, text="A person was here")
        return True
    elif action == "status":
        world.technician("edit", psa_id, fields=world.status_field(psa_id))
        return True
    else:
        world.technician(action, psa_id)
        return True
    return False
