"""A push is taken back as a plan of its own, and what people changed since stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import proposals, questions, undo, usage
from billing.decisions import Decider, Refused
from billing.models import CrossReference, PushBatch, PushRun, Question
from billing.preview import push_now
from billing.proof_world import Billed, billed, pass_time
from integrations.psa.errors import PsaError
from integrations.sandbox import Sandbox

BOSS = Decider("boss@example.com")
MANAGED = ("quantity", "invoiceDescription", "cancelledDate")


def pushed(shop: Billed, quantity: int = 12) -> PushRun:
    shop.use(quantity)
    shop.sync()
    return PushRun.objects.filter(state="done", undoes=None).latest("pk")


def undone(shop: Billed, run: PushRun) -> PushRun:
    undoing = undo.ask(run, by=BOSS)
    shop.run()
    undoing.refresh_from_db()
    if undoing.state == "waiting":
        proposals.approve(undoing, by=BOSS)
        shop.run()
        undoing.refresh_from_db()
    return undoing


def test_6_5_push_undo_re_read_is_the_original_in_every_managed_field(shop: Billed) -> None:
    before = {name: shop.line().get(name) for name in MANAGED}
    run = pushed(shop)
    undoing = undone(shop, run)
    assert undoing.state == "done"
    assert {name: shop.line().get(name) for name in MANAGED} == before


def test_6_5_what_was_undone_is_asked_about_and_not_pushed_again_by_itself(shop: Billed) -> None:
    undone(shop, pushed(shop))
    shop.sync()
    question = Question.objects.get(settled_at=None)
    assert (question.kind, shop.quantity()) == ("undone", 10)
    questions.answer(question, "push", by=BOSS)
    shop.run()
    assert shop.quantity() == 12


def test_6_5_a_manual_edit_made_since_survives(shop: Billed) -> None:
    run = pushed(shop)
    shop.by_hand(quantity=99)
    undoing = undone(shop, run)
    assert (undoing.state, shop.quantity()) == ("failed", 99)
    assert "changed by hand since" in undoing.error_text


def test_6_5_an_invoice_text_written_by_hand_survives_while_the_quantity_goes_back(shop: Billed) -> None:
    run = pushed(shop)
    CrossReference.objects.update(updates_description=False)
    shop.by_hand(invoiceDescription="As agreed with Alex")
    undone(shop, run)
    assert (shop.quantity(), shop.line()["invoiceDescription"]) == (10, "As agreed with Alex")


def test_6_5_what_was_invoiced_is_refused_with_the_reason(shop: Billed) -> None:
    today = usage.today_for(shop.client)
    shop.agreement_by_hand(nextInvoiceDate=f"{today + timedelta(days=9)}T00:00:00Z")
    shop.reload()
    run = pushed(shop)
    shop.agreement_by_hand(nextInvoiceDate=f"{today + timedelta(days=40)}T00:00:00Z")
    undoing = undone(shop, run)
    assert (undoing.state, shop.quantity()) == ("failed", 12)
    assert "invoice was made since" in undoing.error_text


def test_a_push_is_undone_once(shop: Billed) -> None:
    run = pushed(shop)
    undone(shop, run)
    with pytest.raises(Refused, match="undone already"), transaction.atomic():
        undo.ask(run, by=BOSS)


def test_a_batch_of_several_clients_is_undone_as_a_whole(shop: Billed) -> None:
    for one in shop.clients:
        shop.use(12, one)
    push_now(shop.partner, shop.clients, by=BOSS)
    for one in shop.clients:
        shop.run(one)
    batch = PushBatch.objects.get(cause="button")
    assert batch.runs.count() == 2
    undo.ask_batch(batch, by=BOSS)
    for one in shop.clients:
        if shop.is_asked(one):
            shop.run(one)
    waiting = PushRun.objects.filter(state="waiting", undoes__isnull=False).select_related("client__partner")
    approved = waiting.count()
    refused = proposals.sentences(proposals.approve_all(waiting, by=BOSS))
    for one in shop.clients:
        if shop.is_asked(one):
            shop.run(one)
    assert (approved, refused) == (2, [])
    assert [shop.quantity(one) for one in shop.clients] == [10, 10]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("use"), st.integers(7, 14)),
        st.tuples(st.just("hand"), st.integers(20, 30)),
        st.tuples(st.just("undo"), st.just(0)),
        st.tuples(st.just("fault"), st.sampled_from(["status_500", "commit_then_drop", "html_503"])),
    ),
    min_size=2,
    max_size=6,
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_6_5_no_sequence_of_pushes_undos_edits_and_faults_loses_a_persons_number(
    steps: list[tuple[str, Any]], db: None, sandbox: Sandbox
) -> None:
    sandbox.control.clear_faults()
    sandbox.control.reset()
    with transaction.atomic():
        shop = billed(sandbox)
        theirs: int | None = None
        shop.use(10)
        settle(shop)
        for what, value in steps:
            if what == "use":
                shop.use(value)
            elif what == "hand":
                shop.by_hand(quantity=value)
                theirs = value
            elif what == "fault":
                sandbox.control.fault(value, path="additions/", times=1)
            else:
                ask_undo(shop)
            settle(shop)
            if theirs is not None:
                assert shop.quantity() == theirs
        transaction.set_rollback(True)


def ask_undo(shop: Billed) -> None:
    last = PushRun.objects.filter(undoes=None, state__in=("done", "partly")).order_by("-pk").first()
    if last is not None:
        try:
            undo.ask(last, by=BOSS)
        except Refused:
            return
        settle(shop)
        waiting = PushRun.objects.filter(state="waiting", undoes__isnull=False).first()
        if waiting is not None:
            proposals.approve(waiting, by=BOSS)


def settle(shop: Billed) -> None:
    """Until nothing is in doubt."""
    for _ in range(4):
        try:
            shop.sync()
        except PsaError:
            pass_time(1000)
            continue
        pass_time(1000)
        return
