"""A delivery gives up after so many failures of its PSA; what befell us, and searching, is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alerts.models import Ticket
from integrations import eventlog, lanes
from integrations.models import Delivery, Lane, Status
from portal import clock
from tests import make

TICKETS = "/service/tickets$"


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


def test_dispatchers_that_died_are_no_failures(world: make.World, settings: Any) -> None:
    make.api(world.token).post("/api/v1/events", make.event())
    for _ in range(3):
        lane = Lane.objects.get()
        assert lanes.take(lane, clock.new_id())
        Delivery.objects.update(status=Status.UNKNOWN, due_at=clock.now())
        assert len(lanes.claim(lane, 1)) == 1
        Lane.objects.update(holder=None, held_until=None)
    assert Delivery.objects.get().attempts <= 2


def test_searching_and_being_asked_to_wait_are_no_failures(
    world: make.World, drain: Callable[..., None], settings: Any
) -> None:
    settings.RETRY_DELAYS = (0.05, 0.05)
    fault = world.sandbox.control.fault
    fault("drop", method="POST", path=TICKETS, times=2)
    fault("status_429", method="GET", path=TICKETS, times=2, retry_after="1")
    fault("status_500", method="GET", path=TICKETS, times=1)
    make.api(world.token).post("/api/v1/events", make.event())
    drain(seconds=15)
    assert Ticket.objects.get().state == Ticket.State.OPEN
    assert Delivery.objects.get().status == Status.DONE


def test_a_running_delivery_of_a_lane_that_nobody_holds_is_taken_up(
    world: make.World, drain: Callable[..., None]
) -> None:
    make.api(world.token).post("/api/v1/events", make.event())
    lane = Lane.objects.get()
    assert lanes.take(lane, clock.new_id())
    assert len(lanes.claim(lane, 1)) == 1
    Lane.objects.update(holder=None, held_until=None)
    drain()
    assert Delivery.objects.get().status == Status.DONE


def test_a_psa_that_fails_every_create_is_not_asked_for_ever(
    world: make.World, drain: Callable[..., None], settings: Any
) -> None:
    settings.RETRY_DELAYS = (0.05, 0.05)
    world.sandbox.control.fault("drop", method="POST", path=TICKETS)
    make.api(world.token).post("/api/v1/events", make.event())
    drain(seconds=15)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == (Status.FAILED, "gave_up")
    world.sandbox.control.clear_faults()
    eventlog.reprocess(Delivery.objects.all())
    drain()
    assert Ticket.objects.get().state == Ticket.State.OPEN
