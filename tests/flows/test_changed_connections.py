"""Does what waits find its way when a partner changes connections, companies or agreements meanwhile?"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from alerts.models import Ticket
from billing import synchronize
from billing.models import AgreementLink, CrossReference, PushRun, Service
from integrations import companies, connections, jobs
from integrations.dispatcher import Dispatcher
from integrations.models import Credentials, Delivery, Lane, Status
from portal import clock
from portal.models import Organization
from tests import make

WITHOUT = connections.Entered(kind="none", site_url="", login_company="", public_key="")


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


def use(world: make.World, quantity: int = 5) -> None:
    today = clock.now().date().isoformat()
    word = {
        "client": 19652,
        "service": "online-backup-servers",
        "quantity": quantity,
        "measured_on": today,
    }
    assert make.api(world.token).post("/api/v1/usage", word).status_code == 202


def send(world: make.World, kind: str = "backup.failed", **fields: Any) -> None:
    severity = "success" if kind.endswith("succeeded") else "error"
    make.api(world.token).post("/api/v1/events", make.event(type=kind, severity=severity, **fields))


def ours_at_psa(world: make.World) -> list[bool]:
    """Of each ticket of ours whether it is closed, oldest first."""
    return [row["closedFlag"] for row in world.sandbox.control.tickets() if row.get("externalXRef")]


def own_connection(world: make.World) -> Credentials:
    own = make.connect(world.client, world.sandbox)
    companies.link_company(world.client, own, psa_company_id="250", name="Bakery Ott")
    return own


def refuse_keys_of_the_organization(world: make.World) -> None:
    world.sandbox.control.fault("status_401")
    dispatcher = Dispatcher()
    ends_at = time.monotonic() + 8
    while not Lane.objects.get().breaker and time.monotonic() < ends_at:
        dispatcher.turn()
        dispatcher.bell.wait(0.02)
    dispatcher.stop()
    dispatcher.drain()
    Lane.objects.update(open_until=clock.now() + timedelta(days=1))
    world.sandbox.control.clear_faults()


@pytest.mark.parity("S0-6")
def test_what_waits_at_a_refused_connection_goes_out_through_the_clients_own(
    world: make.World, drain: Callable[..., None]
) -> None:
    make.billing(world)
    send(world)
    use(world)
    refuse_keys_of_the_organization(world)
    own = own_connection(world)
    CrossReference.objects.update(product=own.choices.get(kind="product", psa_id="302"))
    AgreementLink.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=own,
        agreement=own.choices.get(kind="agreement", psa_id="401"),
    )
    jobs.look_over()
    drain()
    assert set(Delivery.objects.values_list("status", "lane")) == {(Status.DONE, own.lane.pk)}
    assert ours_at_psa(world) == [False]
    assert PushRun.objects.get().credentials == own


@pytest.mark.parity("S1-15")
def test_no_psa_at_the_client_stops_what_waits_for_it(world: make.World, drain: Callable[..., None]) -> None:
    send(world)
    connections.save_credentials(world.client, WITHOUT, by=None)
    drain()
    held = Delivery.objects.get()
    assert (held.status, held.reason, held.lane) == (Status.HELD, "no_psa", None)
    assert ours_at_psa(world) == []


def test_a_client_that_moves_under_a_connection_gets_what_was_held_for_it(
    world: make.World, drain: Callable[..., None]
) -> None:
    make.billing(world)
    branch = Organization.objects.create(partner=world.partner, name="Branch", parent=world.organization)
    connections.save_credentials(branch, WITHOUT, by=None)
    world.client.organization = branch
    world.client.save()
    use(world)
    send(world)
    assert set(Delivery.objects.values_list("status", "reason")) == {(Status.HELD, "no_psa")}
    world.client.organization = world.organization
    world.client.save()
    jobs.look_over()
    drain()
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.DONE}
    assert (ours_at_psa(world), PushRun.objects.count()) == ([False], 1)


@pytest.mark.parity("S1-15")
def test_a_deleted_connection_leaves_its_work_to_the_inherited_one(
    world: make.World, drain: Callable[..., None]
) -> None:
    own = make.connect(world.client, world.sandbox)
    send(world)
    Credentials.objects.filter(pk=own.pk).delete()
    jobs.look_over()
    drain()
    assert Delivery.objects.get().status == Status.DONE


@pytest.mark.parametrize("cause", ["usage", "button"])
@pytest.mark.parity("S1-29")
def test_a_synchronization_held_for_want_of_an_agreement_is_tried_again_by(
    world: make.World, drain: Callable[..., None], cause: str
) -> None:
    choices = world.credentials.choices
    CrossReference.objects.create(
        partner=world.partner,
        organization=world.organization,
        service=Service.objects.get(key="online-backup-servers"),
        product=choices.get(kind="product", psa_id="302"),
    )
    use(world)
    drain()
    assert Delivery.objects.get().reason == "no_agreement"
    AgreementLink.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        agreement=choices.get(kind="agreement", psa_id="401"),
    )
    if cause == "usage":
        use(world, quantity=7)
    else:
        synchronize.request(world.client, cause="button", at_once=True)
    drain()
    assert PushRun.objects.count() == 1


def test_a_ticket_is_closed_where_it_is_and_the_next_one_opens_at_the_new_connection(
    world: make.World, drain: Callable[..., None]
) -> None:
    send(world)
    drain()
    own = own_connection(world)
    send(world, "backup.succeeded")
    drain()
    assert ours_at_psa(world) == [True]
    send(world)
    drain()
    assert list(Ticket.objects.order_by("generation").values_list("credentials", "state")) == [
        (world.credentials.pk, "closed"),
        (own.pk, "open"),
    ]
    assert ours_at_psa(world) == [True, False]


def test_a_ticket_at_a_connection_that_is_dead_blocks_no_new_one(
    world: make.World, drain: Callable[..., None]
) -> None:
    send(world)
    drain()
    Lane.objects.update(breaker="sign_in_refused", open_until=clock.now() + timedelta(days=1))
    own = own_connection(world)
    send(world, "backup.succeeded")
    drain(seconds=2)
    waiting = Delivery.objects.get(status=Status.WAITING)
    assert (waiting.reason, waiting.lane) == ("at_its_ticket", world.credentials.lane)
    jobs.look_over()
    assert Delivery.objects.get(pk=waiting.pk).lane == world.credentials.lane
    send(world)
    drain(seconds=2)
    assert list(Ticket.objects.order_by("generation").values_list("credentials", "state")) == [
        (world.credentials.pk, "gone"),
        (own.pk, "open"),
    ]


def test_a_ticket_at_a_connection_that_was_taken_away_is_left_behind(
    world: make.World, drain: Callable[..., None]
) -> None:
    send(world)
    drain()
    own_connection(world)
    connections.save_credentials(world.organization, WITHOUT, by=None, current=world.credentials)
    send(world, "backup.succeeded")
    drain()
    last = Delivery.objects.order_by("id").last()
    assert last is not None
    assert (last.status, last.reason) == (Status.SKIPPED, "ticket_left")
    assert "close it there by hand" in last.outcome


def test_a_problem_that_began_in_observe_mode_gets_its_ticket_when_it_repeats_in_live_mode(
    world: make.World, drain: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.client.tickets_mode = "observe"
    world.client.save()
    send(world)
    drain()
    world.client.tickets_mode = None
    world.client.save()
    send(world)
    drain()
    assert ours_at_psa(world) == [], "not with every repeat: the last attempt is not five minutes old"
    Delivery.objects.update(created_at=clock.now() - timedelta(minutes=6))
    send(world)
    send(world)
    drain()
    assert ours_at_psa(world) == [False]
    assert list(Delivery.objects.order_by("id").values_list("status", flat=True)) == ["skipped", "done"]
