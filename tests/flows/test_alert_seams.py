"""Where the life of tickets, noise control and settings meet: no ticket is lost, doubled or left open between them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from alerts import catchup, lifecycle, release, ticketsettings, windows
from alerts.following import FollowedTickets
from alerts.models import Hold, NoiseSettings, Ticket, TicketSettings
from alerts.proving import lifeworld
from alerts.proving.lifeworld import LifeWorld
from integrations import connections
from integrations.models import Delivery
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
        partners = TicketSettings.objects.values_list("partner_id", flat=True)
        monkeypatch.setattr(lifecycle, "partners_that_chose", lambda *names: list(partners))

    return put


def open_one(world: LifeWorld, account: str = "SRV-01") -> Ticket:
    world.fails(account)
    world.drain()
    return world.ticket(account)


def seen(world: LifeWorld, *, gone: bool = False) -> None:
    """What people did is read, as the poll and the callbacks do."""
    psa_id = world.ticket().psa_id
    with connections.psa_for(world.credentials) as psa:
        states = [] if gone else psa.tickets_by_id([psa_id])
    with transaction.atomic():
        FollowedTickets().note(world.credentials, states, [psa_id] if gone else [])


def minutes(world: LifeWorld, number: int = 4) -> int:
    """So many rounds of the worker; returns how many deliveries they ordered."""
    before = Delivery.objects.count()
    for _ in range(number):
        lifecycle.look_after_tickets()
        world.drain()
    return Delivery.objects.count() - before


# --- What the worker asks for every minute ----------------------------------------------------------------------------


def test_repeats_of_a_client_that_is_switched_off_do_not_pile_up(world: LifeWorld, choose: Any) -> None:
    choose(notes_per_hour=5)
    open_one(world)
    world.fails()
    catchup.disable(world.client, until=None, reason="Moves house.", by="m@example.com")
    assert minutes(world) <= 1
    catchup.enable(world.client, by="m@example.com")
    minutes(world)
    assert "Still failing" in world.notes(world.ticket().psa_id)[-1]


def test_repeats_of_a_client_in_observe_mode_are_not_looked_up_every_minute(
    world: LifeWorld, choose: Any
) -> None:
    choose(notes_per_hour=5)
    open_one(world)
    world.fails()
    world.client.tickets_mode = "observe"
    world.client.save()
    assert minutes(world) <= 1


def test_after_a_reminder_that_was_a_new_ticket_there_is_nothing_left_to_do(
    world: LifeWorld, choose: Any
) -> None:
    choose(reminder_after_hours=4, reminder_opens_ticket=True)
    ticket = open_one(world)
    world.technician("close", ticket.psa_id)
    seen(world)
    Ticket.objects.update(acknowledged_at=clock.now() - timedelta(hours=5))
    assert minutes(world) == 1
    assert world.ticket().generation == 2


def test_an_acknowledged_ticket_that_was_deleted_is_reminded_of_by_a_new_one(
    world: LifeWorld, choose: Any
) -> None:
    choose(reminder_after_hours=4)
    ticket = open_one(world)
    world.technician("close", ticket.psa_id)
    seen(world)
    world.technician("delete", ticket.psa_id)
    Ticket.objects.update(acknowledged_at=clock.now() - timedelta(hours=5))
    assert minutes(world) == 1
    assert [row.state for row in world.tickets()] == ["gone", "open"]


# --- People and the life of a ticket ----------------------------------------------------------------------------------


def test_a_merged_ticket_that_was_closed_by_a_person_does_not_stop_the_next_episode(world: LifeWorld) -> None:
    ticket = open_one(world)
    other = world.person_ticket()
    world.technician("merge", ticket.psa_id, into=int(other))
    seen(world)
    world.technician("close", other)
    world.fails()
    Delivery.objects.update(created_at=clock.now() - timedelta(hours=1))
    lifecycle.order([world.condition()], world.partner.pk)
    world.drain()
    assert world.ticket().acknowledged_at is not None
    world.recovers()
    world.drain()
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["gone", "open"], world.outcomes()


def test_a_ticket_that_is_just_being_opened_again_is_not_taken_for_closed_by_a_person(
    world: LifeWorld, choose: Any
) -> None:
    choose(reopen_within_days=2)
    open_one(world)
    world.recovers()
    world.drain()
    world.fails()
    seen_at = Ticket.objects.get()
    Ticket.objects.filter(pk=seen_at.pk).update(
        state="opening", closed_at=None, sent_at=None, episode=2
    )  # the intent is stored, the PSA has not answered yet
    seen(world)
    world.sandbox.control.clear_faults()
    world.drain()
    assert not world.in_psa(seen_at.psa_id).is_closed, world.outcomes()


def test_a_problem_whose_deleted_ticket_was_noticed_gets_a_new_one_with_its_next_repeat(
    world: LifeWorld,
) -> None:
    ticket = open_one(world)
    world.technician("delete", ticket.psa_id)
    seen(world, gone=True)
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["gone", "open"], world.outcomes()


# --- Holds ------------------------------------------------------------------------------------------------------------


def window(world: LifeWorld) -> Any:
    now = clock.now()
    entered = windows.Entered(
        name="Patch night",
        first_on=now.date(),
        starts_at=now.time(),
        ends_at=(now + timedelta(hours=1)).time(),
        days=int((now + timedelta(hours=1)).date() > now.date()),
    )
    return windows.save_window(world.partner, entered)


def test_a_ticket_kept_open_while_it_flapped_is_closed_although_the_next_failure_was_held(
    world: LifeWorld,
) -> None:
    NoiseSettings.objects.create(partner=world.partner, flap_changes=3, flap_minutes=30)
    ticket = open_one(world)
    world.recovers()
    world.drain()
    world.fails()
    world.drain()
    world.recovers()  # the third change and more: its ticket stays open
    world.drain()
    assert Hold.objects.get().kind == "flapping"
    newest = world.ticket()
    assert newest.closed_at is None, newest.pk == ticket.pk
    Hold.objects.update(until=clock.now() - timedelta(seconds=1))  # over, and the worker has not looked yet
    NoiseSettings.objects.update(flap_changes=None)
    window(world)
    world.fails()
    world.drain()
    world.recovers()
    world.drain()
    release.release_due()
    world.drain()
    assert world.ticket().closed_at is not None, world.outcomes()


def test_catching_up_leaves_what_a_window_holds_to_the_window(world: LifeWorld) -> None:
    window(world)
    world.fails()
    assert Hold.objects.count() == 1
    assert catchup.missed(world.client) == []
    assert catchup.catch_up(world.client) == 0
