"""A dispatcher that was held still past its lease (a paused machine) and goes on must not write any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alerts.models import Ticket
from integrations.dispatcher import Dispatcher
from integrations.models import Delivery
from portal import chaos
from tests import make

PATIENCE = 5


class Pause:
    """Holds the first thread that passes a named point until `end`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reached, self.ended = threading.Event(), threading.Event()

    def __call__(self, name: str) -> None:
        if name == self.name and not self.reached.is_set():
            self.reached.set()
            self.ended.wait(PATIENCE * 2)


@pytest.fixture
def world(live_world: make.World, settings: Any) -> make.World:
    settings.LANE_LEASE = 0.4
    return live_world


@pytest.fixture
def paused(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], tuple[Dispatcher, Pause]]]:
    """Starts a dispatcher that takes an event up to the named point and stops there."""
    started: list[tuple[Dispatcher, Pause]] = []

    def start(name: str) -> tuple[Dispatcher, Pause]:
        pause = Pause(name)
        monkeypatch.setattr(chaos, "point", pause)
        make.api(world.token).post("/api/v1/events", make.event())
        dispatcher = Dispatcher()
        started.append((dispatcher, pause))
        ends_at = time.monotonic() + PATIENCE
        while not pause.reached.wait(0.02) and time.monotonic() < ends_at:
            dispatcher.turn()
        assert pause.reached.is_set()
        return dispatcher, pause

    yield start
    for dispatcher, pause in started:
        pause.ended.set()
        dispatcher.stop()
        dispatcher.drain()


def creates(world: make.World) -> int:
    return sum(
        call["method"] == "POST" and call["path"].endswith("/service/tickets")
        for call in world.sandbox.control.requests()
    )


@pytest.mark.parametrize("where", ["before-create", "after-create"])
def test_a_paused_dispatcher_sends_and_records_nothing_once_another_has_its_lane(
    world: make.World,
    paused: Callable[[str], tuple[Dispatcher, Pause]],
    drain: Callable[..., None],
    where: str,
) -> None:
    dispatcher, pause = paused(where)
    [lane] = dispatcher.lanes
    fence = dispatcher.lanes[lane].fence
    drain()
    ticket, delivery = Ticket.objects.get(), Delivery.objects.get()
    assert (ticket.state, delivery.status) == (Ticket.State.OPEN, "done")
    assert delivery.fence is not None
    assert delivery.fence > fence
    pause.ended.set()
    while dispatcher.in_flight:
        dispatcher.turn()
        time.sleep(0.01)
    assert creates(world) == 1
    assert len(world.sandbox.control.tickets(externalXRef=ticket.external_ref)) == 1
    again = Delivery.objects.get()
    assert (again.status, again.outcome, again.attempts) == (
        delivery.status,
        delivery.outcome,
        delivery.attempts,
    )


def test_a_paused_dispatcher_whose_lane_nobody_took_finishes_the_work_itself(
    world: make.World, paused: Callable[[str], tuple[Dispatcher, Pause]]
) -> None:
    dispatcher, pause = paused("before-create")
    time.sleep(0.5)
    pause.ended.set()
    ends_at = time.monotonic() + PATIENCE
    while dispatcher.results.empty() and time.monotonic() < ends_at:
        time.sleep(0.01)
    while Delivery.objects.exclude(status="done").exists() and time.monotonic() < ends_at:
        dispatcher.turn()
        time.sleep(0.01)
    assert Delivery.objects.get().status == "done"
    assert creates(world) == 1
