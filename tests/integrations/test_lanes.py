"""Who drains a lane, and what stops it: leases, fences, breaker, blocked rights."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction

from alerts.models import Ticket
from billing import synchronize
from integrations import companies, eventlog, jobs, lanes, outcomes, trouble
from integrations.dispatcher import Dispatcher
from integrations.models import Credentials, Delivery, Lane, Status
from integrations.psa.errors import Throttled
from integrations.sandbox import running_sandbox
from portal import clock
from portal.models import Client
from tests import make


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


def send(world: make.World, **fields: Any) -> Delivery:
    result = make.api(world.token).post("/api/v1/events", make.event(**fields)).json()["results"][0]
    return Delivery.objects.get(event=result["id"])


def turns(dispatcher: Dispatcher, until: Any, seconds: float = 8) -> None:
    ends_at = time.monotonic() + seconds
    while not until() and time.monotonic() < ends_at:
        dispatcher.turn()
        dispatcher.bell.wait(0.02)
        dispatcher.bell.clear()
    assert until(), list(Delivery.objects.values_list("status", "reason", "error_text"))


def test_a_lane_has_one_holder(world: make.World) -> None:
    first, second = Lane.objects.get(), Lane.objects.get()
    assert lanes.take(first, uuid.uuid4())
    assert not lanes.take(second, uuid.uuid4())
    assert Lane.objects.get().fence == 1


def test_a_dead_holders_deliveries_become_unknown_and_its_late_result_is_dropped(world: make.World) -> None:
    delivery = send(world)
    dead = Dispatcher()
    dead.attempt = lambda held, task: None  # type: ignore[method-assign] # it dies on the way
    dead.turn()
    assert Delivery.objects.get().status == Status.RUNNING
    ticket = Ticket.objects.get()
    assert ticket.sent_at is not None, "the intent is stored before the wire"
    Lane.objects.update(held_until=clock.now() - timedelta(seconds=1))
    heir = Dispatcher()
    heir.turn()
    taken = Delivery.objects.get()
    assert (taken.status, taken.reason) == (Status.UNKNOWN, "dispatcher_lost")
    [held] = dead.lanes.values()
    dead.results.put((held, delivery, lanes_done()))
    dead.in_flight, held.in_flight = 1, 1
    dead.record()
    assert Delivery.objects.get().status == Status.UNKNOWN
    turns(heir, lambda: Delivery.objects.get().status == Status.DONE)
    assert len(world.sandbox.control.tickets(externalXRef=ticket.external_ref)) == 1


def lanes_done() -> Any:
    return outcomes.done("too late", psa_id="1", number="1", url="")


def test_the_database_forbids_two_deliveries_of_one_subject_in_flight(world: make.World) -> None:
    first = send(world)
    second = send(world, type="backup.succeeded", severity="success")
    assert first.subject == second.subject
    Delivery.objects.filter(pk=first.pk).update(status=Status.UNKNOWN)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.filter(pk=second.pk).update(status=Status.RUNNING, lane=Lane.objects.get(), fence=1)
    Delivery.objects.filter(pk=first.pk).update(due_at=clock.now() + timedelta(hours=1))
    lane = Lane.objects.get()
    with transaction.atomic():
        assert lanes.claim(lanes.locked([(lane.pk, lane.fence)])[lane.pk], 10) == []


@pytest.mark.parity("S4-64", "S4-68")
def test_refused_credentials_stop_the_lane_at_once_and_the_partner_hears_once(
    world: make.World, drain: Any
) -> None:
    make.user(world.partner, email="manager@northwind.example")
    world.sandbox.control.fault("status_401")
    for number in range(5):
        send(world, account=f"SRV-{number}")
    dispatcher = Dispatcher()
    turns(dispatcher, lambda: Lane.objects.get().probes >= 3)
    dispatcher.drain()
    lane = Lane.objects.get()
    assert lane.breaker == "sign_in_refused"
    assert [message.to for message in mail.outbox] == [["manager@northwind.example"]]
    assert set(Delivery.objects.values_list("status", flat=True)) == {Status.WAITING}
    calls = len([row for row in world.sandbox.control.requests() if row["fault"] == "status_401"])
    assert calls <= 4 + lane.probes, "after it opened, one call a probe"
    world.sandbox.control.clear_faults()
    drain()
    assert Delivery.objects.filter(status=Status.DONE).count() == 5
    assert Lane.objects.get().breaker == ""


def test_a_mail_server_that_is_down_only_delays_the_news_and_nobody_gets_it_twice(
    world: make.World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user(world.partner, email="manager@northwind.example")
    lane = Lane.objects.get()
    lane.breaker, lane.breaker_text, lane.untold_since = "sign_in_refused", "Keys refused.", clock.now()
    lane.save()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with pytest.raises(OSError):
        jobs.tell_partner(str(lane.pk))
    jobs.tell_partner(str(lane.pk))  # somebody is at it: nothing happens, nothing is raised
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    later = clock.now() + trouble.TRYING_FOR + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    jobs.tell_partners()
    jobs.tell_partners()
    jobs.tell_partner(str(lane.pk))
    assert [message.subject for message in mail.outbox] == [
        "Northwind MSP: the connection to ConnectWise PSA needs you"
    ]


def test_trouble_that_is_over_before_the_mail_went_out_is_not_told(world: make.World) -> None:
    make.user(world.partner, email="manager@northwind.example")
    Lane.objects.update(untold_since=clock.now())
    jobs.tell_partners()
    assert (mail.outbox, Lane.objects.get().untold_since) == ([], None)


def test_trouble_that_comes_while_the_mail_goes_out_is_told_too(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user(world.partner, email="manager@northwind.example")
    lane = Lane.objects.get()
    lane.breaker, lane.breaker_text = "unreachable", "The host is down."
    trouble.arise(lane)
    send_now = mail.EmailMessage.send

    def refused_meanwhile(message: mail.EmailMessage) -> int:
        lane.breaker, lane.breaker_text = "sign_in_refused", "The keys are refused."
        trouble.arise(lane)
        lane.save()
        return send_now(message)

    monkeypatch.setattr(mail.EmailMessage, "send", refused_meanwhile)
    lane.save()
    jobs.tell_partner(str(lane.pk))
    monkeypatch.setattr(mail.EmailMessage, "send", send_now)
    jobs.tell_partners()
    assert ["The keys are refused." in message.body for message in mail.outbox] == [False, True]


def test_an_answer_that_was_on_its_way_does_not_end_the_pause_that_the_psa_asked_for() -> None:
    lane = Lane()
    lanes.after_error(lane, "ticket", Throttled("Slow down.", retry_after=60))
    asked_for = lane.open_until
    lanes.after_success(lane, "ticket")
    assert lane.open_until == asked_for is not None


def test_a_secret_that_cannot_be_read_stops_its_own_connection_only(world: make.World, drain: Any) -> None:
    other = make.partner("Southwind MSP")
    broken = make.connect(make.clients.top_level(other), world.sandbox)
    with connection.cursor() as cursor:
        key = Credentials._meta.pk.get_db_prep_value(broken.pk, connection)
        cursor.execute("UPDATE integrations_credentials SET secret = 'gAAAAA-broken' WHERE id = %s", [key])
    chandler = make.clients.add_client(other, name="Chandler", number=555)
    companies.link_company(chandler, broken, psa_company_id="250", name="Chandler")
    make.Notification.objects.create(partner=other, name="Tickets", action="ticket")
    make.api(make.token(other)).post("/api/v1/events", make.event(client="555"))
    delivery = send(world)
    drain(seconds=3)
    delivery.refresh_from_db()
    assert delivery.status == Status.DONE
    [theirs] = Delivery.objects.filter(lane__credentials_id=broken.pk)
    assert "private key" in theirs.advice
    make.user(other, email="manager@southwind.example")
    Lane.objects.filter(credentials=broken.pk).update(
        untold_since=clock.now(), breaker_text="Keys unreadable."
    )
    jobs.tell_partners()
    assert [message.to for message in mail.outbox] == [["manager@southwind.example"]]


def test_a_missing_right_stops_its_own_kind_of_work_only(world: make.World, drain: Any) -> None:
    make.billing(world)
    world.sandbox.control.role(service_tickets="None")
    ticket = send(world)
    today = clock.now().date().isoformat()
    word = {"client": 19652, "service": "online-backup-servers", "quantity": 9, "measured_on": today}
    make.api(world.token).post("/api/v1/usage", word)
    drain(seconds=2)
    ticket.refresh_from_db()
    lane = Lane.objects.get()
    assert ticket.status == Status.WAITING
    assert "Service" in lane.blocked["ticket"]["module"]
    assert lane.blocked["ticket"]["advice"]
    assert Delivery.objects.get(action="synchronize").status == Status.DONE
    world.sandbox.control.role(service_tickets="All")
    drain()
    ticket.refresh_from_db()
    assert (ticket.status, Lane.objects.get().blocked) == (Status.DONE, {})


def test_a_host_that_is_down_opens_the_breaker_and_deliveries_wait_without_limit(
    world: make.World, drain: Any
) -> None:
    world.sandbox.control.fault("html_503")
    for number in range(8):
        send(world, account=f"SRV-{number}")
    dispatcher = Dispatcher()
    turns(dispatcher, lambda: Lane.objects.get().probes >= 4, seconds=15)
    assert Lane.objects.get().breaker == "unreachable"
    assert not Delivery.objects.filter(status=Status.FAILED).exists()
    world.sandbox.control.clear_faults()
    turns(dispatcher, lambda: Delivery.objects.filter(status=Status.DONE).count() == 8, seconds=15)
    keys = [
        row["externalXRef"] for row in world.sandbox.control.journal(kind="ticket") if row["externalXRef"]
    ]
    assert len(keys) == len(set(keys)) == 8
    dispatcher.drain()


def test_a_429_is_waited_out_and_is_no_failure(world: make.World, drain: Any) -> None:
    world.sandbox.control.fault("status_429", retry_after="1", times=1)
    delivery = send(world)
    before = clock.now()
    drain()
    delivery.refresh_from_db()
    assert delivery.status == Status.DONE
    lane = Lane.objects.get()
    assert (lane.failures, lane.breaker) == (0, "")
    assert (delivery.finished_at - before).total_seconds() >= 0.8


def test_what_the_psa_rejects_for_good_fails_once_with_its_sentence(world: make.World, drain: Any) -> None:
    world.sandbox.control.technician("delete", company=250)
    delivery = send(world)
    drain()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (Status.FAILED, 1), delivery.error_text
    assert delivery.error_text
    assert delivery.advice
    assert Ticket.objects.get().sent_at is None, "surely not created, so a reprocess may create at once"


@pytest.mark.parity("S4-55")
def test_reprocess_never_opens_a_second_ticket(world: make.World, drain: Any) -> None:
    delivery = send(world)
    drain()
    for _ in range(3):
        assert eventlog.reprocess(Delivery.objects.filter(pk=delivery.pk)) == 1
        drain()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.reason) == (Status.SKIPPED, "folded")
    created = [row for row in world.sandbox.control.journal(kind="ticket") if row["externalXRef"]]
    assert len(created) == 1


def test_work_held_for_want_of_a_connection_goes_out_when_there_is_one(world: make.World, drain: Any) -> None:
    other = make.partner("Late starter")
    client = make.clients.add_client(other, name="Early event", number=555)
    make.api(make.token(other)).post("/api/v1/events", make.event(client="555"))
    make.Notification.objects.create(partner=other, name="Tickets", action="ticket")
    make.api(make.token(other)).post("/api/v1/events", make.event(client="555", account="B"))
    held = Delivery.objects.get(partner=other)
    assert (held.status, held.reason) == (Status.HELD, "no_psa")
    credentials = make.connect(make.clients.top_level(other), world.sandbox)
    drain()
    held.refresh_from_db()
    assert (held.status, held.reason) == (Status.HELD, "no_company")
    make.companies.link_company(client, credentials, psa_company_id="251", name="x")
    drain()
    held.refresh_from_db()
    assert held.status == Status.DONE, held.outcome


def test_one_partners_hanging_psa_does_not_delay_another(world: make.World) -> None:
    with running_sandbox() as slow:
        other = make.world(slow, name="Slow MSP", number=700)
        slow.control.fault("latency", seconds=3)
        for number in range(10):
            make.api(other.token).post("/api/v1/events", make.event(client="700", account=f"S-{number}"))
        dispatcher = Dispatcher()
        dispatcher.turn()
        started = time.monotonic()
        delivery = send(world)
        turns(dispatcher, lambda: Delivery.objects.get(pk=delivery.pk).status == Status.DONE)
        assert time.monotonic() - started < 2
        slow.control.clear_faults()
        dispatcher.drain()


def test_an_operators_rate_is_kept(world: make.World) -> None:
    Lane.objects.update(calls_per_minute=120)
    for number in range(12):
        send(world, account=f"SRV-{number}")
    before = world.sandbox.control.counts()["total"]
    dispatcher = Dispatcher()
    started = time.monotonic()
    turns(dispatcher, lambda: Delivery.objects.filter(status=Status.DONE).count() == 12, seconds=15)
    calls = world.sandbox.control.counts()["total"] - before
    seconds = time.monotonic() - started
    dispatcher.drain()
    assert calls >= 12
    assert (calls - 4) / seconds <= 2.5, "two calls a second, but for the first ones"


def two_finished_synchronizations(world: make.World) -> list[uuid.UUID]:
    client = Client.objects.get(number=19652)
    lane = Lane.objects.get()
    rows = [synchronize.order(client, "button", None) for _ in range(2)]
    for row in rows:
        row.lane, row.status = lane, Status.DONE
        row.event.save()
    return [row.pk for row in Delivery.objects.bulk_create(rows)]


@pytest.mark.postgres
def test_two_that_put_deliveries_of_one_client_back_at_once_wake_one(world: make.World) -> None:
    first, second = two_finished_synchronizations(world)
    counts: list[int] = []

    def put_second_back() -> None:
        counts.append(eventlog.reprocess(Delivery.objects.filter(pk=second)))
        connection.close()

    other = threading.Thread(target=put_second_back)
    with transaction.atomic():
        counts.append(eventlog.reprocess(Delivery.objects.filter(pk=first)))
        other.start()
        time.sleep(0.5)  # the other one stands before the row that we have not committed
    other.join()
    assert counts == [1, 0]
    assert Delivery.objects.filter(status=Status.WAITING).count() == 1


@pytest.mark.parametrize("error", [ValueError("odd"), IntegrityError("one_open_ticket_per_condition")])
def test_a_delivery_that_cannot_be_begun_is_put_aside_and_stops_nobody(
    world: make.World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    api = make.api(world.token)
    for account in ("SRV-1", "SRV-2", "SRV-3", "SRV-4"):
        api.post("/api/v1/events", make.event(account=account))
    poison = Delivery.objects.order_by("id")[1]
    dispatcher = Dispatcher()
    handler = dispatcher.handlers["ticket"]
    prepare = handler.prepare

    def stumble(deliveries: Any) -> Any:
        if poison in deliveries:
            raise error
        return prepare(deliveries)

    monkeypatch.setattr(handler, "prepare", stumble)
    monkeypatch.setattr("integrations.dispatcher.PATIENCE_WITH_CLASHES", 3)
    turns(dispatcher, lambda: not Delivery.objects.filter(status__in=("waiting", "running")).exists())
    states = dict(Delivery.objects.values_list("pk", "status"))
    assert states.pop(poison.pk) == "failed"
    assert set(states.values()) == {"done"}
    poison.refresh_from_db()
    assert poison.reason == "bug"
    assert "This is our mistake" in poison.error_text
