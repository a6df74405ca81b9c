"""The life of a ticket, from an event at the REST door to a PSA over real HTTP."""

from __future__ import annotations

import pytest

from alerts.models import Condition, Ticket
from integrations import eventlog
from integrations.models import Delivery
from portal import clock
from tests import make


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


def writes_and_reads(world: make.World) -> tuple[int, int]:
    counts = world.sandbox.control.counts()
    return counts["writes"], counts["reads"]


@pytest.mark.parity("S0-1", "S0-21", "S3-2", "S4-3")
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


def test_in_observe_mode_nothing_is_written_and_the_plan_is_kept(world: make.World, drain) -> None:
    make.billing(world)
    world.organization.tickets_mode = world.organization.billing_mode = "observe"
    world.organization.save()
    writes, _ = writes_and_reads(world)
    api = make.api(world.token)
    api.post("/api/v1/events", make.event())
    today = clock.now().date().isoformat()
    word = {"client": 19652, "service": "online-backup-servers", "quantity": 4, "measured_on": today}
    api.post("/api/v1/usage", word)
    drain()
    assert writes_and_reads(world)[0] == writes
    ticket, quantity = Delivery.objects.order_by("priority")
    assert (ticket.status, ticket.reason, quantity.reason) == ("skipped", "observe", "observe")
    assert ticket.plan["items"][0]["after"]["summary"] == "Backup of SRV-01 failed"
    assert quantity.plan["items"][0]["after"]["quantity"] == "4"
    world.organization.tickets_mode = "live"
    world.organization.save()
    eventlog.reprocess(Delivery.objects.filter(pk=ticket.pk))
    drain()
    assert Ticket.objects.get().state == Ticket.State.OPEN


def test_a_problem_that_is_gone_before_the_psa_answers_again_opens_no_ticket(
    world: make.World, drain
) -> None:
    world.sandbox.control.fault("html_503")
    api = make.api(world.token)
    api.post("/api/v1/events", make.event())
    drain(seconds=1)
    api.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
    world.sandbox.control.clear_faults()
    drain()
    assert Ticket.objects.get().state in {Ticket.State.GONE, Ticket.State.CLOSED}
    assert [row for row in world.sandbox.control.journal(kind="ticket") if row["externalXRef"]] == []


def test_a_second_spell_of_failing_gets_a_ticket_of_its_own(world: make.World, drain) -> None:
    api = make.api(world.token)
    for _ in range(2):
        api.post("/api/v1/events", make.event())
        drain()
        api.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
        drain()
    assert list(Ticket.objects.order_by("generation").values_list("generation", "state")) == [
        (1, "closed"),
        (2, "closed"),
    ]


def test_a_ticket_that_was_deleted_in_the_psa_is_replaced_when_the_problem_comes_back(
    world: make.World, drain
) -> None:
    api = make.api(world.token)
    settings = make.TicketSettings.objects.get()
    settings.automatic_closure = False
    settings.save()
    api.post("/api/v1/events", make.event())
    drain()
    world.sandbox.control.technician("delete", ticket=int(Ticket.objects.get().psa_id))
    api.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
    drain()
    api.post("/api/v1/events", make.event())
    drain()
    assert list(Ticket.objects.order_by("generation").values_list("state", flat=True)) == ["gone", "open"]
