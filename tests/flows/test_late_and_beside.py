"""Reopenings carried out late, reminders in maintenance windows, storms at clients that get no tickets, jobs beside
one that fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts import lifecycle, release
from alerts.models import Condition, Hold, MaintenanceWindow, NoiseSettings, Storm, Ticket, TicketSettings
from alerts.proving import lifeworld
from alerts.proving.lifeworld import LifeWorld
from integrations.models import CompanyLink, Delivery
from integrations.sandbox import running_sandbox
from portal import clients, clock, onebyone
from portal.models import Disabling
from tests import make
from tests.flows.test_ticket_lifecycle import movement_seen


@pytest.fixture(params=lifeworld.KINDS)
def world(request: Any, transactional_db: None) -> Iterator[LifeWorld]:
    with running_sandbox(kind=request.param) as sandbox:
        yield lifeworld.build(request.param, sandbox)


def choose(world: LifeWorld, **values: Any) -> None:
    TicketSettings.objects.filter(partner=world.partner, client=None).update(**values)


def test_a_reopening_that_is_carried_out_late_is_closed_all_the_same(world: LifeWorld, settings: Any) -> None:
    settings.PSA_DEADLINE, settings.SEARCH_DELAYS = 0.5, (0.1, 0.8)
    settings.RETRY_DELAYS = (0.1,) * 9
    choose(world, reopen_within_days=2)
    world.fails()
    world.drain()
    world.recovers()
    world.drain()
    ticket = world.ticket()
    assert world.in_psa(ticket.psa_id).is_closed
    world.sandbox.control.fault("late_commit", method="PATCH|PUT", times=1, delay=0.9)
    world.fails()
    dispatcher = lifeworld.Dispatcher()
    while not Delivery.objects.exclude(error_text="").exists():
        dispatcher.turn()
        dispatcher.bell.wait(0.02)
    world.recovers()
    dispatcher.stop()
    dispatcher.drain()
    world.drain()
    world.sandbox.settle()
    assert world.in_psa(ticket.psa_id).is_closed, world.outcomes()
    assert not Ticket.objects.filter(closed_at=None).exists()


def test_a_reminder_waits_for_the_end_of_a_window(world: LifeWorld) -> None:
    choose(world, reminder_after_hours=1)
    world.fails()
    world.drain()
    world.technician("close", world.ticket().psa_id)
    movement_seen(world)
    assert world.ticket().acknowledged_at is not None
    Ticket.objects.update(acknowledged_at=clock.now() - timedelta(hours=2))
    now = clock.now()
    row = MaintenanceWindow.objects.create(
        partner=world.partner,
        name="Patch night",
        first_on=(now - timedelta(hours=1)).date(),
        starts_at=(now - timedelta(hours=1)).time(),
        ends_at=(now + timedelta(hours=1)).time(),
        days=((now + timedelta(hours=1)).date() - (now - timedelta(hours=1)).date()).days,
    )
    assert lifecycle.look_after_tickets() == 0
    row.delete()
    assert lifecycle.look_after_tickets() == 1


@pytest.mark.parametrize("why", ["disabled", "unmapped"])
def test_a_storm_of_all_clients_has_its_ticket_where_one_can_be_opened(
    world: LifeWorld, why: str, client: Browser
) -> None:
    other = clients.add_client(world.partner, name="Other", number=29_999)
    link = CompanyLink.objects.get(client=world.client)
    if why == "disabled":
        CompanyLink.objects.create(
            partner=world.partner,
            client=other,
            credentials=world.credentials,
            psa_company_id=link.psa_company_id,
        )
        Disabling.objects.create(partner=world.partner, client=other, reason="Quiet")
    NoiseSettings.objects.create(
        partner=world.partner, storm_partner_tickets=1, storm_minutes=10, storm_client=other
    )
    for number in range(4):
        world.fails(f"SRV-{number}")
    assert Hold.objects.filter(kind="storm").count() == 3
    release.release_due()
    world.drain()
    storm = Storm.objects.get()
    assert storm.condition is not None
    assert Ticket.objects.get(condition=storm.condition).state == "open", world.outcomes()
    client.force_login(make.user(world.partner))
    assert "Stands for 3 more problems" in client.get(reverse("tickets")).content.decode()


def test_one_partner_that_cannot_be_looked_after_keeps_no_other(
    world: LifeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = clock.new_id()
    seen: list[Any] = []

    def look(key: Any) -> int:
        seen.append(key)
        if key == broken:
            raise KeyError("settings")
        return 2

    monkeypatch.setattr(lifecycle, "partners_that_chose", lambda *names: [broken, world.partner.pk])
    monkeypatch.setattr(lifecycle, "look_after_tickets_of", look)
    with pytest.raises(onebyone.SomeFailed, match="1 of 2 failed"):
        lifecycle.look_after_tickets()
    assert seen == [broken, world.partner.pk]
    assert Condition.objects.count() == 0
