"""Where the life of tickets, noise control and settings meet: no ticket is lost, doubled or left open between them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client as Browser

from alerts import (
    addresses,
    catchup,
    lifecycle,
    notifications,
    release,
    ticketsettings,
    tickettest,
    webhooks,
    windows,
)
from alerts.following import FollowedTickets
from alerts.models import (
    Condition,
    Hold,
    NoiseSettings,
    Notification,
    Storm,
    Ticket,
    TicketSettings,
    TicketTest,
    WebhookEndpoint,
)
from alerts.noiseforms import NoiseForm
from alerts.proving import lifeworld
from alerts.proving.lifeworld import LifeWorld
from integrations import connections
from integrations.models import CompanyLink, Delivery, Event
from integrations.sandbox import Sandbox
from portal import clock
from tests import make


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


def test_a_storms_ticket_lists_also_what_came_later(world: LifeWorld) -> None:
    NoiseSettings.objects.create(partner=world.partner, storm_client_tickets=1, storm_minutes=10)
    for account in ("A", "B"):
        world.fails(account)
    release.release_due()
    world.drain()
    storm = Storm.objects.get()
    assert storm.condition is not None
    ticket = Ticket.objects.get(condition=storm.condition)
    world.fails("C")
    release.release_due()
    world.drain()
    assert "Backup of C failed" in "\n".join(world.notes(ticket.psa_id)), world.notes(ticket.psa_id)
    notes = len(world.notes(ticket.psa_id))
    release.release_due()
    world.drain()
    assert len(world.notes(ticket.psa_id)) == notes


def test_a_member_that_fails_after_the_groups_ticket_was_closed_by_a_person_gets_one(
    world: LifeWorld,
) -> None:
    Notification.objects.update(grouping="client")
    lead = open_one(world, "A")
    world.fails("B")
    Condition.objects.update(since=clock.now() - timedelta(minutes=5))
    world.technician("close", lead.psa_id)
    with connections.psa_for(world.credentials) as psa:
        states = psa.tickets_by_id([lead.psa_id])
    with transaction.atomic():
        FollowedTickets().note(world.credentials, states, [])
    assert Ticket.objects.get(pk=lead.pk).acknowledged_at is not None
    world.fails("B")
    world.fails("A")
    world.drain()
    assert len(world.created()) == 1, "those that failed before are acknowledged with it"
    world.fails("C")
    world.fails("D")
    world.drain()
    assert len(world.created()) == 2
    assert world.ticket("C").closed_at is None


def test_a_problem_that_came_back_while_the_client_was_off_keeps_its_open_ticket(world: LifeWorld) -> None:
    open_one(world)
    catchup.disable(world.client, until=None, reason="Moves house.", by="m@example.com")
    world.recovers()
    world.drain()
    world.fails()
    catchup.enable(world.client, by="m@example.com")
    world.drain()
    newest = world.ticket()
    is_open = newest.closed_at is None and not world.in_psa(newest.psa_id).is_closed
    assert is_open or catchup.missed(world.client), world.outcomes()


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_on": "9999-12-31"},
        {"first_on": "0001-01-01"},
        {"repeats": "weekly", "last_on": "9999-12-31"},
        {"first_on": "9999-12-31", "days": 14},
    ],
)
def test_a_window_of_impossible_days_is_refused_with_a_sentence(world: LifeWorld, wrong: Any) -> None:
    api = make.api(make.token(world.partner))
    world.partner.time_zone = "Asia/Tokyo"
    world.partner.save()
    body = {"name": "x", "first_on": "2026-11-01", "starts_at": "01:00", "ends_at": "02:00", **wrong}
    answer = api.post("/api/v1/maintenance-windows", body, format="json")
    assert answer.status_code == 400, answer.content
    world.fails()
    assert world.condition().state == "failing"


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://[abc]/x",
        "https://hooks.example.com:99999/x",
        "https://hooks.example.com:x/",
        "https://u:p@hooks.example.com/x",
    ],
)
def test_a_webhook_address_that_is_none_is_refused_with_a_sentence(world: LifeWorld, url: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        webhooks.save_endpoint(world.partner, name="Chat", url=url)
    assert "url" in refusal.value.message_dict


def test_minutes_that_only_look_like_a_number_are_refused_with_a_sentence(world: LifeWorld) -> None:
    form = NoiseForm(
        {"durations": "backup.failed ²", "flap_minutes": 60, "storm_minutes": 10},
        partner=world.partner,
        current=None,
    )
    assert "is not an event type and minutes" in str(form.errors["durations"])


def test_the_worst_is_caught_up_on_first(world: LifeWorld) -> None:
    catchup.disable(world.client, until=None, reason="Moves house.", by="m@example.com")
    world.fails("A")
    world.fails("B", severity="critical")
    catchup.enable(world.client, by="m@example.com")
    assert catchup.catch_up(world.client) == 2
    first = Delivery.objects.order_by("priority", "id").first()
    assert first is not None
    assert first.event.severity == "critical"


def test_reminders_and_notes_come_also_behind_many_tickets_that_are_not_due(
    world: LifeWorld, choose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(notes_per_hour=1)
    for account in ("A", "B", "C"):
        world.fails(account)
    world.drain()
    for account in ("A", "B", "C"):
        world.fails(account)
    due = Ticket.objects.latest("pk")
    Ticket.objects.exclude(pk=due.pk).update(notes_from=clock.now(), notes_used=1)
    monkeypatch.setattr(lifecycle, "AT_ONCE", 1)
    ordered = sum(lifecycle.look_after_tickets() for _ in range(3))
    assert ordered == 1
    assert Delivery.objects.latest("id").subject == f"ticket:{due.condition_id}"


def hook(world: LifeWorld, *names: str) -> WebhookEndpoint:
    row, _ = webhooks.save_endpoint(world.partner, name="Status page", url="https://hooks.example.com/x")
    for name in names:
        entered = notifications.Entered(name=name, action="webhook", webhook=row)
        notifications.save_notification(world.partner, entered)
    return row


def test_two_notifications_tell_one_webhook_of_an_event_once(world: LifeWorld) -> None:
    hook(world, "One", "Two")
    world.fails()
    assert Delivery.objects.filter(action="webhook").count() == 1
    assert "gets this event already" in str(Event.objects.get().trace)


@pytest.mark.parity("S1-32")
def test_a_client_whose_psa_is_off_is_still_told_of_by_mail_and_webhook(world: LifeWorld) -> None:
    hook(world, "Hook")
    mail = notifications.Entered(name="Mail", action="email", recipients=["night@example.com"])
    notifications.save_notification(world.partner, mail)
    world.fails("A")
    catchup.disable(world.client, until=None, reason="Moves house.", by="m@example.com")
    world.fails("B")
    told = Delivery.objects.filter(action__in=["webhook", "email"])
    assert [row.status for row in told] == ["waiting"] * 4
    assert Delivery.objects.get(action="ticket").status == "held"
    step = next(step for step in Event.objects.latest("id").trace if step["step"] == "disabled")
    assert step["suppressed"] == ["Tickets"]


def test_an_address_typed_while_the_psas_is_read_is_kept(world: LifeWorld) -> None:
    typed = dict.fromkeys(addresses.LINES, "") | {"city": "Tampa"}

    class Slow:
        def choices(self, kind: str, within: str) -> list[Any]:
            addresses.edit(world.client, typed, by="m@example.com")
            return []

    link = CompanyLink.objects.select_related("client").get(client=world.client)
    addresses.edit(world.client, dict.fromkeys(addresses.LINES, ""), by="")
    addresses.read_one(world.credentials, link, Slow(), overwrite=False)  # type: ignore[arg-type]
    found = addresses.address_of(world.client)
    assert found is not None
    assert (found.city, found.edited_by) == ("Tampa", "m@example.com")


@pytest.mark.parametrize(
    "document", ["[" * 100_000, "[1]", '"x"', "null", "NaN", '{"client": NaN}', '{"data": []}']
)
def test_the_rule_test_answers_any_text_with_a_page(world: LifeWorld, document: str) -> None:
    browser = Browser()
    browser.force_login(make.user(world.partner))
    answer = browser.post("/partnership/notifications/test", {"document": document})
    assert answer.status_code == 200


def test_a_test_ticket_whose_worker_was_lost_is_named_so_that_somebody_closes_it(world: LifeWorld) -> None:
    world.client.tickets_mode = "live"
    world.client.save()
    row = tickettest.ask(world.client, by="m@example.com")
    TicketTest.objects.filter(pk=row.pk).update(
        state="running", psa_id="10004", asked_at=clock.now() - timedelta(minutes=6)
    )
    tickettest.ask(world.client, by="m@example.com")
    row.refresh_from_db()
    assert row.state == "failed"
    assert "10004" in str(row.steps[-1])
