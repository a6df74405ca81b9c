"""The life of a ticket, from an event at the REST door to a PSA over real HTTP."""

from __future__ import annotations

import pytest

from alerts.models import Condition, Ticket
from integrations.models import Delivery
from tests import make


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


def writes_and_reads(world: make.World) -> tuple[int, int]:
    counts = world.sandbox.control.counts()
    return counts["writes"], counts["reads"]


def test_the_quiet_life_of_a_ticket_costs_two_writes_and_one_read(world: make.World, drain) -> None:
    api = make.api(world.token)
    api.post("/api/v1/events", make.event(account="WARM-UP"))
    drain()
    writes, reads = writes_and_reads(world)
    api.post("/api/v1/events", make.event())
    drain()
    for _ in range(5):
        api.post("/api/v1/events", make.event())
    drain()
    api.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
    drain()
    ticket = Ticket.objects.get(condition__key="backup:SRV-01")
    assert ticket.state == Ticket.State.CLOSED, list(
        Delivery.objects.values("status", "outcome", "error_text")
    )
    assert ticket.condition.repeats == 5
    [stored] = world.sandbox.control.tickets(externalXRef=ticket.external_ref)
    assert stored["closedFlag"] is True
    after_writes, after_reads = writes_and_reads(world)
    assert after_writes - writes == 2
    assert after_reads - reads <= 1


def test_a_ticket_whose_create_was_committed_and_then_lost_is_found_by_its_key(
    world: make.World, drain
) -> None:
    world.sandbox.control.fault("commit_then_drop", method="POST", path="/service/tickets$", times=1)
    make.api(world.token).post("/api/v1/events", make.event())
    drain()
    ticket = Ticket.objects.get()
    assert ticket.state == Ticket.State.OPEN
    assert len(world.sandbox.control.tickets(externalXRef=ticket.external_ref)) == 1
    assert Delivery.objects.get().outcome.endswith("adopted.")
    assert Condition.objects.get().state == "failing"
