"""What chaos runs and thinking about them found: PSAs that carry something out later than anybody expects."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from alerts import jobs, ticketsweep
from alerts.models import Ticket
from integrations.dispatcher import Dispatcher
from integrations.models import Delivery, Lane
from portal.models import Organization
from tests import make

TICKETS = "/service/tickets$"
ONE_TICKET = r"/service/tickets/\d+$"


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


def send(world: make.World, kind: str, **fields: Any) -> None:
    severity = "success" if kind == "backup.succeeded" else "error"
    answer = make.api(world.token).post("/api/v1/events", make.event(type=kind, severity=severity, **fields))
    assert answer.status_code == 202


def open_at_psa(world: make.World) -> list[str]:
    return [
        str(row["id"]) for row in world.sandbox.control.get("tickets", open="true") if row.get("externalXRef")
    ]


def turn_until(done: Callable[[], bool]) -> None:
    """A dispatcher works until then, and is gone."""
    dispatcher = Dispatcher()
    ends_at = time.monotonic() + 5
    while not done():
        assert time.monotonic() < ends_at
        dispatcher.turn()
        time.sleep(0.01)
    dispatcher.stop()
    dispatcher.drain()


def late_twin(world: make.World, ref: str) -> str:
    """A second ticket with our key, as a PSA has it that committed an earlier request much later."""
    [own] = world.sandbox.control.tickets(externalXRef=ref)
    body = {name: {"id": own[name]["id"]} for name in ("company", "board")}
    desk = world.sandbox.dialect.desk()  # type: ignore[attr-defined]
    with desk.store.lock:
        row = {**own, **body, "id": desk.store.new_id("tickets"), "closedFlag": False}
        row["status"] = {"id": own["status"]["id"]}
        return str(desk.save_new("tickets", row)["id"])


def test_a_close_that_the_psa_carries_out_late_does_not_leave_a_new_problem_without_a_ticket(
    world: make.World, drain: Callable[..., None], settings: Any
) -> None:
    settings.SEARCH_DELAYS, settings.RETRY_DELAYS, settings.PSA_DEADLINE = (0.1, 0.8), (0.3,) * 9, 1
    send(world, "backup.failed")
    drain()
    world.sandbox.control.fault("late_commit", method="PATCH", path=ONE_TICKET, times=1, delay=0.6)
    send(world, "backup.succeeded")
    turn_until(lambda: Delivery.objects.exclude(error_text="").exists())
    send(world, "backup.failed")
    drain()
    world.sandbox.settle()
    ticket = Ticket.objects.get(closed_at=None)
    assert open_at_psa(world) == [ticket.psa_id]
    assert ticket.generation == 2, (
        "the first was closed after all, so the new problem has a ticket of its own"
    )


def test_a_close_that_was_refused_does_not_delay_the_next_problem(
    world: make.World, drain: Callable[..., None], settings: Any
) -> None:
    settings.RETRY_DELAYS, settings.SEARCH_DELAYS = (1.0,) * 9, (5, 30)
    send(world, "backup.failed")
    drain()
    world.sandbox.control.fault("status_429", method="PATCH", path=ONE_TICKET, times=1, retry_after="1")
    send(world, "backup.succeeded")
    turn_until(lambda: Delivery.objects.exclude(error_text="").exists())
    send(world, "backup.failed")
    drain()
    assert set(Delivery.objects.values_list("reason", flat=True)) == {"", "folded"}


def test_a_ticket_that_appears_after_its_problem_was_given_up_is_closed_by_the_sweep(
    world: make.World, drain: Callable[..., None], settings: Any
) -> None:
    settings.SEARCH_DELAYS = (0.01, 0.01)
    world.sandbox.control.fault("late_commit", method="POST", path=TICKETS, times=1, delay=1.5)
    send(world, "backup.failed")
    turn_until(lambda: Delivery.objects.exclude(error_text="").exists())
    send(world, "backup.succeeded")
    drain(seconds=1)
    assert Ticket.objects.get().state == Ticket.State.GONE
    world.sandbox.settle()
    assert len(open_at_psa(world)) == 1
    assert ticketsweep.sweep(world.credentials) == 1
    assert open_at_psa(world) == []


def test_of_two_tickets_with_one_key_the_one_we_know_stays(
    world: make.World, drain: Callable[..., None]
) -> None:
    send(world, "backup.failed")
    drain()
    ticket = Ticket.objects.get()
    twin = late_twin(world, ticket.external_ref)
    Ticket.objects.filter(pk=ticket.pk).update(psa_id=twin, number=twin)
    assert ticketsweep.sweep(world.credentials) == 1
    assert open_at_psa(world) == [twin]


def test_in_observe_mode_the_sweep_writes_nothing(world: make.World, drain: Callable[..., None]) -> None:
    send(world, "backup.failed")
    drain()
    twin = late_twin(world, Ticket.objects.get().external_ref)
    Organization.objects.filter(partner=world.partner).update(tickets_mode="observe")
    assert ticketsweep.sweep(world.credentials) == 0
    assert twin in open_at_psa(world)
    assert len(open_at_psa(world)) == 2


def test_one_ticket_that_cannot_be_closed_does_not_end_the_sweep(
    world: make.World, drain: Callable[..., None]
) -> None:
    send(world, "backup.failed")
    drain()
    first = Ticket.objects.get()
    twin = late_twin(world, first.external_ref)
    send(world, "backup.failed", account="SRV-2")
    drain()
    second = Ticket.objects.exclude(pk=first.pk).get()
    lost, second.psa_id = second.psa_id, ""
    second.save()
    world.sandbox.control.fault("status_403", method="PATCH", path=rf"/service/tickets/{twin}$")
    jobs.sweep_connection(str(world.credentials.pk))
    second.refresh_from_db()
    assert second.psa_id == lost


def test_a_paused_connection_is_not_swept(world: make.World, drain: Callable[..., None]) -> None:
    send(world, "backup.failed")
    drain()
    late_twin(world, Ticket.objects.get().external_ref)
    Lane.objects.update(is_paused=True)
    jobs.sweep_connection(str(world.credentials.pk))
    assert len(open_at_psa(world)) == 2


def test_a_twin_of_a_closed_ticket_is_closed_too(world: make.World, drain: Callable[..., None]) -> None:
    send(world, "backup.failed")
    drain()
    twin = late_twin(world, Ticket.objects.get().external_ref)
    send(world, "backup.succeeded")
    drain()
    assert open_at_psa(world) == [twin]
    assert ticketsweep.sweep(world.credentials) == 1
    assert open_at_psa(world) == []


def test_the_sweep_gives_nobody_elses_ticket_row_away(world: make.World, drain: Callable[..., None]) -> None:
    """Whoever owns a PSA may write any key into its tickets."""
    send(world, "backup.failed")
    drain()
    other = make.connect(make.clients.top_level(make.partner("Southwind MSP")), world.sandbox)
    Ticket.objects.update(credentials=other, psa_id="", number="")
    assert ticketsweep.sweep(world.credentials) == 0
    assert Ticket.objects.get().psa_id == ""
