"""From usage to an agreement line, and what is held back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.urls import reverse
from rest_framework.test import APIClient

from billing import questions, synchronize, usage
from billing.decisions import Decider
from billing.models import (
    AgreementLink,
    CrossReference,
    PushItem,
    PushRun,
    Question,
    Service,
    SynchronizeWindow,
    Usage,
)
from integrations import eventlog
from integrations.dispatcher import Dispatcher
from integrations.models import Choice, Delivery, Status
from portal import clock
from portal.models import Client, Partner
from tests import make


@pytest.fixture
def world(live_world: make.World) -> make.World:
    make.billing(live_world)
    make.credulous(live_world)
    return live_world


def word(**more: Any) -> dict[str, Any]:
    today = clock.now().date().isoformat()
    return {"client": 19652, "service": "online-backup-servers", "quantity": 5, "measured_on": today, **more}


def line(world: make.World) -> dict[str, Any]:
    [agreement] = world.sandbox.control.agreements(id=401)
    return next(row for row in agreement["additions"] if row["product"]["id"] == 302)


@pytest.mark.parity("S3-1", "S4-31", "S4-51")
def test_usage_becomes_the_quantity_and_the_description_of_the_agreement_line(
    world: make.World, drain: Any
) -> None:
    before = line(world)["quantity"]
    api = make.api(world.token)
    words = [word(account="SRV-01", quantity=1), word(account="SRV-02", quantity="2.5")]
    answer = api.post("/api/v1/usage", {"usage": words})
    assert [row["status"] for row in answer.json()["results"]] == ["accepted", "accepted"]
    drain()
    after = line(world)
    assert before != after["quantity"] == 4
    assert "SRV-02: 2.5 servers" in after["invoiceDescription"]
    item = PushItem.objects.get()
    assert (item.state, item.before["quantity"], item.after["quantity"]) == ("done", str_of(before), "4")
    assert PushRun.objects.get().state == "done"


def str_of(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


@pytest.mark.parity("S4-10")
def test_what_is_unchanged_is_not_written(world: make.World, drain: Any) -> None:
    api = make.api(world.token)
    api.post("/api/v1/usage", word())
    drain()
    writes = world.sandbox.control.counts()["writes"]
    client = Client.objects.get()
    synchronize.request(client, cause="button", at_once=True)
    drain()
    assert world.sandbox.control.counts()["writes"] == writes
    assert PushItem.objects.latest("id").state == "unchanged"


@pytest.mark.parity("S4-9")
def test_the_twelve_hours_count_from_a_success_and_reprocess_ignores_them(
    world: make.World, drain: Any
) -> None:
    world.sandbox.control.fault("status_403", path="additions", times=1)
    api = make.api(world.token)
    api.post("/api/v1/usage", word())
    drain()
    assert SynchronizeWindow.objects.count() == 1, "the retry after the failure was not held up"
    api.post("/api/v1/usage", word(quantity=6))
    waiting = Delivery.objects.get(status=Status.WAITING)
    assert (waiting.reason, waiting.due_at > clock.now() + timedelta(hours=11)) == (
        "synchronize_window",
        True,
    )
    api.post("/api/v1/usage", word(quantity=7))
    assert Delivery.objects.filter(status=Status.WAITING).count() == 1
    eventlog.reprocess(Delivery.objects.filter(pk=waiting.pk))
    drain()
    assert line(world)["quantity"] == 7


def test_stale_usage_is_not_pushed_and_unknown_is_not_zero(world: make.World, drain: Any) -> None:
    before = line(world)
    old = (clock.now() - timedelta(days=9)).date().isoformat()
    make.api(world.token).post("/api/v1/usage", word(measured_on=old))
    drain()
    assert line(world) == before
    delivery = Delivery.objects.get()
    assert delivery.status == Status.SKIPPED
    assert "nothing is pushed instead of 0" in delivery.outcome or "stale" in delivery.outcome


def test_a_zero_that_was_measured_is_asked_about_once_and_then_pushed(world: make.World, drain: Any) -> None:
    before = line(world)
    make.api(world.token).post("/api/v1/usage", word(quantity=0))
    drain()
    assert line(world) == before
    question = Question.objects.get()
    assert (question.kind, question.proposed) == ("zero", 0)
    questions.answer(question, "push", by=Decider("somebody@example.com"))
    drain()
    assert line(world)["quantity"] == 0
    assert not Question.objects.filter(settled_at=None).exists()


def test_a_feed_that_comes_account_by_account_never_shows_half_a_client(world: make.World) -> None:
    yesterday = (clock.now() - timedelta(days=1)).date().isoformat()
    api = make.api(world.token)
    api.post(
        "/api/v1/usage",
        {
            "usage": [
                word(account="A", quantity=10, measured_on=yesterday),
                word(account="B", quantity=20, measured_on=yesterday),
            ]
        },
    )
    api.post("/api/v1/usage", word(account="A", quantity=11))
    client = Client.objects.get()
    [days] = usage.days_of(
        client, Usage.objects.values_list("service", flat=True), today=usage.today_for(client)
    ).values()
    assert days[-1].quantity == Decimal(31)


def test_a_day_of_which_only_the_total_is_known_names_no_accounts(world: make.World) -> None:
    today = clock.now().date()
    api = make.api(world.token)
    yesterday = (today - timedelta(days=1)).isoformat()
    api.post("/api/v1/usage", word(account="SRV-01", quantity=4, measured_on=yesterday))
    api.post("/api/v1/usage", word(quantity=6))
    service = Service.objects.get(key="online-backup-servers")
    assert usage.accounts_on(world.client, service.pk, today) == []
    api.post("/api/v1/usage", word(account="SRV-02", quantity=3))
    assert usage.accounts_on(world.client, service.pk, today) == [("SRV-01", 4), ("SRV-02", 3)]


def test_the_last_word_of_a_day_counts_and_the_first_is_kept(world: make.World) -> None:
    api = make.api(world.token)
    api.post("/api/v1/usage", word(quantity=5))
    api.post("/api/v1/usage", word(quantity=3))
    assert list(Usage.objects.order_by("id").values_list("quantity", "is_current")) == [(5, False), (3, True)]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"client": "1"}, "client", "unknown_client"),
        ({"service": "magic"}, "service", "unknown_service"),
        ({"quantity": -1}, "quantity", "not_a_quantity"),
        ({"quantity": "NaN"}, "quantity", "not_a_quantity"),
        ({"quantity": True}, "quantity", "not_a_quantity"),
        ({"quantity": "1e400"}, "quantity", "not_a_quantity"),
        ({"quantity": "99999999999999.99999"}, "quantity", "not_a_quantity"),
        ({"quantity": "-0.00001"}, "quantity", "not_a_quantity"),
        ({"measured_on": "21.11.2026"}, "measured_on", "not_a_day"),
        ({"measured_on": "2999-01-01"}, "measured_on", "day_out_of_range"),
        ({"account": "\x00"}, "account", "bad_character"),
    ],
)
def test_bad_usage_gets_its_own_error_and_its_neighbour_is_accepted(
    change: dict[str, Any], field: str, code: str, world: make.World
) -> None:
    answer = make.api(world.token).post("/api/v1/usage", {"usage": [word(), word(**change)]})
    good, bad = answer.json()["results"]
    assert good["status"] == "accepted"
    assert [(error["field"], error["code"]) for error in bad["errors"]] == [(field, code)]


def test_another_partners_client_looks_unknown(world: make.World) -> None:
    rival = make.api(make.token(make.partner("Rival")))
    answer: Any = rival.post("/api/v1/usage", word())
    assert answer.json()["results"][0]["errors"][0]["code"] == "unknown_client"
    assert not Usage.objects.exists()


def test_the_window_is_not_asked_of_people(world: make.World, api: APIClient, drain: Any) -> None:
    api.post("/api/v1/usage", word())
    drain()
    delivery = synchronize.request(Client.objects.get(), cause="button", at_once=True)
    assert delivery is not None
    assert delivery.due_at <= clock.now()


def test_a_failing_synchronization_gives_way_to_a_newer_one_that_waits(world: make.World, drain: Any) -> None:
    world.sandbox.control.fault("status_500", path="additions", times=1)
    world.sandbox.control.fault("latency", path="additions", seconds=0.5, times=1)
    make.api(world.token).post("/api/v1/usage", word())
    dispatcher = Dispatcher()
    dispatcher.turn()
    assert Delivery.objects.get().status == Status.RUNNING
    make.api(world.token).post("/api/v1/usage", word(quantity=6))
    assert Delivery.objects.filter(status=Status.WAITING).count() == 1
    Delivery.objects.filter(status=Status.WAITING).update(due_at=clock.now() + timedelta(seconds=1))
    dispatcher.drain()
    drain()
    first, second = Delivery.objects.order_by("id")
    assert (first.status, first.reason, second.status) == (Status.SKIPPED, "superseded", Status.DONE)
    assert line(world)["quantity"] == 6


def test_usage_that_was_left_behind_is_pushed_later_and_just_once(world: make.World, drain: Any) -> None:
    world.sandbox.control.role(agreements="None")
    make.api(world.token).post("/api/v1/usage", word())
    Delivery.objects.all().delete()
    world.sandbox.control.role(agreements="All")
    assert synchronize.request_due() == 1
    drain()
    assert line(world)["quantity"] == 5
    Delivery.objects.update(created_at=clock.now() - timedelta(hours=13))
    assert synchronize.request_due() == 0, "nothing new since the last success"


def test_a_failure_is_not_repeated_by_the_hourly_look(world: make.World) -> None:
    make.api(world.token).post("/api/v1/usage", word())
    Delivery.objects.update(status=Status.FAILED)
    assert synchronize.request_due() == 0
    Delivery.objects.update(created_at=clock.now() - timedelta(hours=13))
    assert synchronize.request_due() == 1


def own_connection(world: make.World) -> Any:
    """The client gets a PSA of its own; its organization keeps another one."""
    own = make.connect(world.client, world.sandbox)
    make.companies.link_company(world.client, own, psa_company_id="250", name="Bakery Ott")
    agreement = own.choices.get(kind="agreement", psa_id="401")
    AgreementLink.objects.create(
        partner=world.partner, client=world.client, credentials=own, agreement=agreement
    )
    return own


def test_the_id_of_another_connections_product_is_never_used(world: make.World, drain: Any) -> None:
    own = own_connection(world)
    before = line(world)
    make.api(world.token).post("/api/v1/usage", word(quantity=77))
    drain()
    delivery = Delivery.objects.get()
    assert line(world) == before
    assert (delivery.status, delivery.reason) == (Status.SKIPPED, "nothing_billable")
    assert "another PSA connection" in delivery.outcome
    CrossReference.objects.update(product=own.choices.get(kind="product", psa_id="302"))
    synchronize.request(world.client, cause="button", at_once=True)
    drain()
    assert line(world)["quantity"] == 77


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda own: AgreementLink.objects.filter(credentials=own).update(agreement=elsewhere(own)),
            "another",
        ),
        (lambda own: own.choices.filter(kind="agreement").update(vanished_at=clock.now()), "no longer"),
    ],
)
def test_an_agreement_that_is_not_of_this_connection_any_more_is_not_written_to(
    world: make.World, drain: Any, spoil: Any, told: str
) -> None:
    own = own_connection(world)
    CrossReference.objects.update(product=own.choices.get(kind="product", psa_id="302"))
    spoil(own)
    before = line(world)
    make.api(world.token).post("/api/v1/usage", word(quantity=77))
    drain()
    assert line(world) == before
    assert told in Delivery.objects.get().outcome


def elsewhere(own: Any) -> Any:
    return Choice.objects.exclude(credentials=own).get(kind="agreement", psa_id="401")


def test_the_page_says_what_the_push_says_of_another_connections_product(
    world: make.World, client: Any
) -> None:
    own_connection(world)
    make.api(world.token).post("/api/v1/usage", word(quantity=77))
    client.force_login(make.user(world.partner))
    page = client.get(reverse("client_agreement", args=[world.client.pk])).content.decode()
    assert "belongs to another PSA connection" in page


@pytest.fixture
def first_of_month(monkeypatch: pytest.MonkeyPatch) -> date:
    """It is the first of a month, where the client is."""
    first = clock.now().date().replace(day=1)
    monkeypatch.setattr(usage, "today_for", lambda client: first)
    return first


@pytest.mark.parametrize(("aggregation", "expected"), [("sum", 310), ("peak", 40), ("average", 12)])
def test_on_the_first_of_a_month_the_month_before_is_still_billed_with_its_late_words(
    world: make.World, drain: Any, first_of_month: date, aggregation: str, expected: int
) -> None:
    Service.objects.update(aggregation=aggregation)
    days = [first_of_month - timedelta(days=back) for back in range(1, 29)]
    words = [word(quantity=40 if day == days[-1] else 10, measured_on=day.isoformat()) for day in days]
    api = make.api(world.token)
    api.post("/api/v1/usage", {"usage": words})
    drain()
    assert line(world)["quantity"] == expected
    assert f", {days[0]:%Y-%m})" in line(world)["invoiceDescription"]
    api.post("/api/v1/usage", word(quantity=7, measured_on=first_of_month.isoformat()))
    synchronize.request(world.client, cause="button", at_once=True)
    drain()
    assert line(world)["quantity"] == 7, "a month ends when the next one has a word of its own"


def claimed(dispatcher: Dispatcher) -> None:
    assert dispatcher.claim_round()


def finish(dispatcher: Dispatcher) -> None:
    dispatcher.stop()
    dispatcher.drain()


def test_usage_that_comes_while_a_push_runs_is_not_taken_for_pushed(world: make.World, drain: Any) -> None:
    world.sandbox.control.fault("latency", path="additions", seconds=0.5, times=1)
    api = make.api(world.token)
    api.post("/api/v1/usage", word())
    dispatcher = Dispatcher()
    claimed(dispatcher)
    wait_until(lambda: any("additions" in row["path"] for row in world.sandbox.control.requests()))
    api.post("/api/v1/usage", word(quantity=8))
    finish(dispatcher)
    assert line(world)["quantity"] == 5
    Delivery.objects.filter(status=Status.WAITING).update(status=Status.FAILED, reason="gave_up")
    Delivery.objects.update(created_at=clock.now() - timedelta(hours=13))
    assert synchronize.request_due() == 1
    synchronize.hurry([world.client])
    drain()
    assert line(world)["quantity"] == 8


def wait_until(done: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 10
    while not done():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_who_gives_way_to_a_newer_synchronization_leaves_it_his_turn(world: make.World, drain: Any) -> None:
    api = make.api(world.token)
    api.post("/api/v1/usage", word())
    drain()
    synchronize.request(world.client, cause="button", at_once=True)
    world.sandbox.control.fault("status_500", path="additions", times=1)
    dispatcher = Dispatcher()
    claimed(dispatcher)
    api.post("/api/v1/usage", word(quantity=8))
    newer = Delivery.objects.get(status=Status.WAITING)
    assert newer.reason == "synchronize_window"
    finish(dispatcher)
    drain()
    newer.refresh_from_db()
    assert (newer.status, line(world)["quantity"]) == (Status.DONE, 8)


def test_usage_of_a_day_that_has_not_begun_for_the_partner_is_pushed_when_it_has(
    world: make.World, drain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Partner.objects.update(time_zone="Pacific/Pago_Pago")
    today = clock.today_in("Pacific/Pago_Pago")
    tomorrow = today + timedelta(days=1)
    api = make.api(world.token)
    words = [word(measured_on=today.isoformat()), word(measured_on=tomorrow.isoformat(), quantity=9)]
    api.post("/api/v1/usage", {"usage": words})
    drain()
    assert line(world)["quantity"] == 5
    Delivery.objects.update(created_at=clock.now() - timedelta(hours=13))
    assert synchronize.request_due() == 0, "the day has not begun"
    monkeypatch.setattr(clock, "today_in", lambda zone: tomorrow)
    assert synchronize.request_due() == 1
    synchronize.hurry([world.client])
    drain()
    assert line(world)["quantity"] == 9


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def hold_before_commit(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """The next `request_many` stops inside its transaction, having asked: set the second event to let it go on."""
    asked, go = threading.Event(), threading.Event()
    really = synchronize.request_many

    def held(*args: Any, **more: Any) -> list[Delivery]:
        monkeypatch.setattr(synchronize, "request_many", really)
        found = really(*args, **more)
        asked.set()
        assert go.wait(10)
        return found

    monkeypatch.setattr(synchronize, "request_many", held)
    return asked, go


@pytest.mark.postgres
def test_a_synchronization_that_waits_does_not_start_before_usage_that_counts_on_it_is_committed(
    world: make.World, drain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.api(world.token).post("/api/v1/usage", word())
    asked, go = hold_before_commit(monkeypatch)
    sender = in_thread(lambda: make.api(world.token).post("/api/v1/usage", word(quantity=9)))
    assert asked.wait(10)
    dispatcher = in_thread(drain)
    dispatcher.join(5)  # it stands before the row that is not committed
    go.set()
    sender.join()
    dispatcher.join()
    drain()
    assert line(world)["quantity"] == 9


@pytest.mark.postgres
def test_who_finds_anothers_synchronization_just_stored_looks_whether_it_still_waits(
    world: make.World, drain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches, nothing waits yet: the second meets the first's row, and that one may be done before it commits."""
    first_asked, first_go = hold_before_commit(monkeypatch)
    first = in_thread(lambda: make.api(world.token).post("/api/v1/usage", word(account="A", quantity=4)))
    assert first_asked.wait(10)
    second_asked, second_go = hold_before_commit(monkeypatch)
    second = in_thread(lambda: make.api(world.token).post("/api/v1/usage", word(account="B", quantity=6)))
    time.sleep(0.5)  # it stands before the first's row
    first_go.set()
    first.join()
    assert second_asked.wait(10)
    dispatcher = in_thread(drain)
    dispatcher.join(5)  # it stands before the row that is not committed
    second_go.set()
    second.join()
    dispatcher.join()
    SynchronizeWindow.objects.all().delete()
    synchronize.hurry([world.client])
    drain()
    assert line(world)["quantity"] == 10


def test_batches_in_opposite_order_are_written_in_one_so_that_neither_waits_for_the_other_in_a_circle(
    world: make.World,
) -> None:
    days = [(clock.now().date() - timedelta(days=back)).isoformat() for back in (2, 1)]
    items = [word(account=f"A-{number}", measured_on=days[0]) for number in range(20)]
    api = make.api(world.token)
    api.post("/api/v1/usage", {"usage": items})
    api.post("/api/v1/usage", {"usage": [{**item, "measured_on": days[1]} for item in items[::-1]]})
    first, second = (
        list(Usage.objects.filter(measured_on=day).order_by("id").values_list("account", flat=True))
        for day in days
    )
    assert (len(first), first) == (20, second)


def test_a_lost_race_is_run_again_and_another_trouble_is_not(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, failures = usage.current_rows, ["40P01", "40001"]

    def unlucky(keys: Any) -> Any:
        if failures:
            raise OperationalError from lost(failures.pop())
        return really(keys)

    monkeypatch.setattr(usage, "current_rows", unlucky)
    assert make.api(world.token).post("/api/v1/usage", word()).status_code == 202
    assert Usage.objects.count() == 1
    failures.append("53100")
    answer = make.api(world.token).post("/api/v1/usage", word(quantity=6))
    assert (answer.status_code, Usage.objects.count()) == (503, 1)


def lost(sqlstate: str) -> Exception:
    error = Exception()
    error.sqlstate = sqlstate  # type: ignore[attr-defined]
    return error
