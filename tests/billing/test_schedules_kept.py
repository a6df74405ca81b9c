"""Who presses one button gets that one thing; who changed something by a token is still who changed it."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, date, datetime, timedelta
from datetime import time as dt_time
from decimal import Decimal
from typing import Any

import pytest

from alerts import incoming, intake
from alerts.models import Notification
from billing import preview as previews
from billing import products, proposals, questions, synchronize, undo, usage
from billing.decisions import Decider, Refused
from billing.models import (
    AgreementLink,
    BilledLine,
    BillingSettings,
    CrossReference,
    PushRun,
    Question,
    Service,
)
from billing.proof_world import Billed, billed
from billing.push import PushTask
from billing.usage import Measured
from integrations import connections
from integrations.models import Delivery, Status
from integrations.psa.wanted import WantedProduct
from integrations.sandbox import Sandbox, running_sandbox
from portal import clock, tokens
from portal.models import ApiToken, Organization
from tests import make

BOSS = Decider("boss@example.com")


@pytest.fixture
def two(db: Any, sandbox: Sandbox) -> Billed:
    """One client, whose servers and desktops are pushed on one day of the month, which is not today."""
    shop = billed(sandbox, services=2)
    never = (usage.today_for(shop.client) + timedelta(days=10)).day
    shop.settings(schedule="day", push_day=min(never, 28))
    return shop


def desktops(shop: Billed) -> str:
    return list(shop.services)[1]


# --- A push day is kept -----------------------------------------------------------------------------------------------


def test_an_answered_question_pushes_that_service_and_leaves_the_others_to_their_push_day(
    two: Billed,
) -> None:
    two.use(40)
    two.sync()
    two.use(12, service=desktops(two))
    questions.answer(Question.objects.get(settled_at=None), "push", by=BOSS)
    two.run()
    assert (two.quantity(), two.quantity(service=desktops(two))) == (40, 10)
    held = PushRun.objects.latest("pk").items.get(service__key=desktops(two))
    assert (held.state, "push day" in held.text) == ("held", True)


def test_an_undo_writes_back_and_pushes_nothing_else(two: Billed) -> None:
    two.use(12)
    two.sync()
    run = PushRun.objects.get(state="done")
    two.use(13, service=desktops(two))
    asked = undo.ask(run, by=BOSS)
    two.run()
    asked.refresh_from_db()
    proposals.approve(asked, by=BOSS)
    two.run()
    assert (two.quantity(), two.quantity(service=desktops(two))) == (10, 10)


def test_a_push_day_that_comes_while_an_undo_waits_to_run_pushes_everything(two: Billed) -> None:
    two.use(12)
    two.sync()
    undo.ask(PushRun.objects.get(state="done"), by=BOSS)
    two.use(13, service=desktops(two))
    synchronize.request_many([two.client], cause="push_day", at_once=True)
    two.run()
    assert two.quantity(service=desktops(two)) == 13


def test_a_rejected_undo_lets_go_what_a_push_day_held_for_it(two: Billed) -> None:
    two.use(12)
    two.sync()
    asked = undo.ask(PushRun.objects.get(state="done"), by=BOSS)
    two.run()
    two.use(14)
    synchronize.request_many([two.client], cause="push_day", at_once=True)
    two.run()
    assert two.quantity() == 12
    asked.refresh_from_db()
    proposals.reject(asked, by=BOSS)
    two.run()
    assert two.quantity() == 14


def test_an_answer_does_not_lose_what_waits_for_approval_beside_it(two: Billed) -> None:
    two.mode("approve")
    two.use(40)
    two.use(12, service=desktops(two))
    two.sync()
    questions.answer(Question.objects.get(settled_at=None), "push", by=BOSS)
    two.run()
    plan = PushRun.objects.get(state="waiting").plan
    assert {item["key"].partition(":")[0] for item in plan["items"]} == set(two.services)


def test_an_answer_starts_no_twelve_hours(two: Billed) -> None:
    two.use(40)
    two.sync()
    before = two.client.synchronize_window.last_success_at
    questions.answer(Question.objects.get(settled_at=None), "push", by=BOSS)
    two.run()
    two.client.synchronize_window.refresh_from_db()
    assert two.client.synchronize_window.last_success_at == before


def test_continuous_clients_are_pushed_whole_whatever_the_cause(shop: Billed) -> None:
    shop.use(40)
    shop.sync()
    assert Question.objects.filter(settled_at=None).exists()
    other = shop.clients[1]
    shop.use(12, other)
    Delivery.objects.filter(client=other).delete()
    synchronize.request(other, cause="answered", at_once=True)
    shop.run(other)
    assert shop.quantity(other) == 12


# --- An event cannot pose as a button ---------------------------------------------------------------------------------


def test_data_of_an_event_names_neither_asker_nor_batch(shop: Billed) -> None:
    Notification.objects.create(partner=shop.partner, name="Sync", action="synchronize")
    actor = tokens.find_token(make.token(shop.partner))
    assert actor is not None
    read = incoming.read(
        make.event(
            client=str(shop.client.number),
            data={"asked_by": "x", "batch": str(uuid.uuid4()), "whole": True},
        )
    )
    assert isinstance(read, incoming.Incoming)
    intake.accept([read], actor=actor)
    delivery = Delivery.objects.select_related("event").get(subject=synchronize.subject_of(shop.client.pk))
    order = synchronize.order_of(delivery)
    assert (order.asked_by_id, order.batch_id, order.is_narrow) == (None, None, False)
    shop.use(12)
    assert shop.run().status == Status.DONE


# --- Four eyes and tokens ---------------------------------------------------------------------------------------------


def own_token(shop: Billed, person: Any) -> str:
    return tokens.issue_token("mine", partner=shop.partner, scopes=tokens.SCOPES, by=person)[1]


def test_who_asks_by_a_token_of_their_own_does_not_approve_it(shop: Billed) -> None:
    shop.mode("approve")
    shop.settings(four_eyes=True)
    ann, bob = make.user(shop.partner), make.user(shop.partner)
    shop.use(12)
    Delivery.objects.filter(status=Status.WAITING).delete()
    api = make.api(own_token(shop, ann))
    assert api.post(f"/api/v1/clients/{shop.client.pk}/billing/push").status_code == 202
    shop.run()
    run = PushRun.objects.get(state="waiting")
    assert run.asked_by == ann
    with pytest.raises(Refused, match="You asked"):
        proposals.approve(run, by=Decider.of(ann))
    proposals.approve(run, by=Decider.of(bob))


def test_who_changes_a_cross_reference_by_a_token_of_their_own_does_not_approve_it(shop: Billed) -> None:
    shop.mode("approve")
    shop.settings(four_eyes=True)
    ann = make.user(shop.partner)
    api = make.api(own_token(shop, ann))
    told = api.put(
        "/api/v1/cross-references",
        {
            "service": shop.service.key,
            "organization": str(shop.organization.pk),
            "product": shop.credentials.choices.get(kind="product", name="OBS-SERVER").psa_id,
        },
        format="json",
    )
    assert told.status_code == 200, told.content
    shop.use(12)
    shop.sync()
    run = PushRun.objects.get(state="waiting")
    assert run.settings_by == ann
    with pytest.raises(Refused, match="changed its settings"):
        proposals.approve(run, by=Decider.of(ann))


def test_a_token_is_never_the_second_pair_of_eyes(shop: Billed) -> None:
    shop.mode("approve")
    shop.settings(four_eyes=True)
    shop.use(12)
    shop.sync()
    token = ApiToken(name="machine", created_by=make.user(shop.partner))
    with pytest.raises(Refused, match="not a token"):
        proposals.approve(PushRun.objects.get(state="waiting"), by=Decider.of(token))


# --- Days are the partner's -------------------------------------------------------------------------------------------


def test_keep_mine_until_counts_the_partners_days(shop: Billed, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 20:00 in Honolulu it is the next day in UTC already."""
    shop.partner.time_zone = "Pacific/Honolulu"
    shop.partner.save()
    shop.use(40)
    shop.sync()
    question = Question.objects.select_related("client__partner").get(settled_at=None)
    now = datetime(2026, 11, 22, 6, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    questions.answer(question, "keep_until", by=BOSS, until=datetime(2026, 11, 21, tzinfo=UTC).date())
    question.refresh_from_db()
    assert question.answer == "keep_until"
    assert BillingSettings.objects.exists() is False


# --- Many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("approve", [True, False])
def test_approving_many_plans_takes_no_more_queries_than_one(
    db: Any, sandbox: Sandbox, django_assert_max_num_queries: Any, approve: bool
) -> None:
    shop = billed(sandbox, count=12)
    shop.mode("approve")
    for client in shop.clients:
        shop.use(12, client)
        shop.sync(client)
    runs = list(PushRun.objects.filter(state="waiting").select_related("client__partner"))
    with django_assert_max_num_queries(25):
        act = proposals.approve_all if approve else proposals.reject_all
        assert act(runs, by=BOSS) == {}
    assert PushRun.objects.filter(state="approved" if approve else "rejected").count() == 12


def test_answering_many_questions_takes_no_more_queries_than_one(
    db: Any, sandbox: Sandbox, django_assert_max_num_queries: Any
) -> None:
    shop = billed(sandbox, count=12)
    for client in shop.clients:
        shop.use(40, client)
        shop.sync(client)
    rows = list(Question.objects.filter(settled_at=None).select_related("client__partner"))
    with django_assert_max_num_queries(25):
        assert questions.answer_all(rows, "push", by=BOSS) == 12


# --- A yes holds until tomorrow ---------------------------------------------------------------------------------------


def test_the_undo_of_a_new_line_may_be_approved_the_next_day(
    shop: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    AgreementLink.objects.update(creates_lines=True)
    key = "online-backup-desktops"
    CrossReference.objects.create(
        partner=shop.partner,
        organization=shop.organization,
        service=Service.objects.get(key=key),
        product=shop.credentials.choices.get(kind="product", name="OBS-DESKTOP"),
    )
    shop.services[key] = Service.objects.get(key=key)
    shop.use(4, service=key)
    shop.sync()
    run = PushRun.objects.get(state="done")
    assert run.plan["items"][0]["action"] == "create"
    asked = undo.ask(run, by=BOSS)
    shop.run()
    asked.refresh_from_db()
    proposals.approve(asked, by=BOSS)
    later = clock.now() + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    shop.run()
    asked.refresh_from_db()
    assert asked.state == "done", asked.error_text


def test_an_autotask_plan_may_be_approved_the_next_day(
    transactional_db: Any, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    with running_sandbox(kind="autotask") as autotask:
        world = make.autotask_world(autotask)
        reference = make.billing(world, "email-filtering-mailboxes", "308")
        AgreementLink.objects.update(creates_lines=True)
        Organization.objects.update(billing_mode="approve")
        client = world.client
        measured = usage.today_for(client)
        usage.record(
            [Measured(client=client, service=reference.service, quantity=Decimal(24), measured_on=measured)]
        )
        make.drain()
        run = PushRun.objects.get(state="waiting")
        assert run.plan["items"][0]["after"]["effective_on"]
        proposals.approve(run, by=BOSS)
        now, wall = clock.now() + timedelta(days=1), time.time()
        monkeypatch.setattr(time, "time", lambda: wall + 24 * 3600)
        monkeypatch.setattr(clock, "now", lambda: now)
        Delivery.objects.filter(status=Status.WAITING).update(due_at=now)
        delivery = Delivery.objects.select_related("event", "client", "lane").get(status=Status.WAITING)
        with connections.psa_for(world.credentials) as psa:
            outcome = PushTask(delivery, world.credentials).run(psa)
        run.refresh_from_db()
        assert run.state == "done", outcome.text


# --- Sums begin anew each month ---------------------------------------------------------------------------------------


@pytest.fixture
def summed(shop: Billed) -> Billed:
    """Each client used 10 a day from the 1st of October 2026 on, which is summed up."""
    Service.objects.filter(pk=shop.service.pk).update(aggregation="sum")
    return shop


def on(shop: Billed, monkeypatch: pytest.MonkeyPatch, day: date, quantity: int = 10) -> None:
    """All clients report what they used that day, and are pushed."""
    monkeypatch.setattr(clock, "now", lambda: datetime.combine(day, dt_time(20), UTC))
    for client in shop.clients:
        shop.use(quantity, client)
        Delivery.objects.filter(client=client, status=Status.WAITING).update(due_at=clock.now())
        shop.sync(client)


def test_the_first_of_a_month_is_no_jump_for_what_is_summed_up(
    summed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_first = [date(2026, 10, 1) + timedelta(days=n) for n in range(3)]
    for day in asked_first:
        on(summed, monkeypatch, day)
    Question.objects.all().delete()
    days = [date(2026, 10, 4) + timedelta(days=n) for n in range(32)]
    for day in days[:28]:
        with monkeypatch.context() as patched:
            patched.setattr(clock, "now", lambda day=day: datetime.combine(day, dt_time(20), UTC))
            for client in summed.clients:
                summed.use(10, client)
    on(summed, monkeypatch, date(2026, 10, 31), 10)
    assert summed.quantity() == 310
    for day in days[28:]:
        on(summed, monkeypatch, day)
    assert list(Question.objects.filter(settled_at=None).values_list("text", flat=True)) == []
    assert summed.quantity() == 40


def test_a_sum_that_is_far_from_the_month_before_is_asked_about_still(
    summed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(summed, monkeypatch, date(2026, 10, 1))
    on(summed, monkeypatch, date(2026, 10, 31), 300)
    summed.by_hand(quantity=310)
    Question.objects.all().delete()
    BilledLine.objects.all().delete()
    on(summed, monkeypatch, date(2026, 11, 1), 100)
    question = Question.objects.filter(client=summed.client).latest("pk")
    assert (question.proposed, "to be expected" in question.text or question.kind == "fleet") == (100, True)


@pytest.mark.parametrize(("quantity", "is_asked"), [(500, True), (12, False)])
def test_the_only_day_so_far_of_a_sum_is_compared_with_an_ordinary_one(
    summed: Billed, monkeypatch: pytest.MonkeyPatch, quantity: int, *, is_asked: bool
) -> None:
    """The month before has no word of the same days."""
    for day in (20, 21):
        on(summed, monkeypatch, date(2026, 10, day))
    Question.objects.all().delete()
    summed.by_hand(quantity=20)
    BilledLine.objects.all().delete()
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 1, 20, tzinfo=UTC))
    summed.use(quantity)
    Delivery.objects.filter(client=summed.client, status=Status.WAITING).update(due_at=clock.now())
    summed.sync()
    asked = Question.objects.filter(client=summed.client, settled_at=None)
    assert [(one.kind, one.proposed) for one in asked] == ([("jump", 500)] if is_asked else [])
    assert summed.quantity() == (20 if is_asked else 12)


# --- Nobody waits for a PSA that does not answer ----------------------------------------------------------------------


def test_a_preview_gives_up_early_on_a_slow_psa_and_says_what_to_do(shop: Billed, settings: Any) -> None:

    settings.PSA_PAGE_DEADLINE = 0.2
    wanted = WantedProduct(identifier="NEW-1", description="New", unit="Each", category="", kind="")
    shop.use(12)
    shop.sandbox.control.fault("latency", path=".", seconds=0.3)
    try:
        for ask in (
            lambda: products.preview(shop.credentials, wanted),
            lambda: products.create(shop.credentials, wanted, digest=""),
            lambda: previews.of_client(shop.client),
        ):
            with pytest.raises(Refused, match=r"Nothing was written\. Try again") as refused:
                ask()
            assert refused.value.code == "psa_error"
    finally:
        shop.sandbox.control.clear_faults()
