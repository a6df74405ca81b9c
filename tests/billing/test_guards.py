"""Changes that are hard to believe are asked about, and what a person answers holds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from alerts import charts
from billing import months, questions, usage
from billing import preview as previews
from billing.decisions import Decider
from billing.models import BillingSettings, PushItem, Question
from billing.proof_world import Billed, billed
from billing.usage import Measured
from integrations.sandbox import Sandbox
from tests import make

BOSS = Decider("boss@example.com")


def asked(shop: Billed, kind: str) -> Question:
    question = Question.objects.get(client=shop.client, settled_at=None)
    assert question.kind == kind
    return question


def test_6_6_a_jump_is_a_question_with_its_evidence(shop: Billed) -> None:
    shop.use(10, days_ago=1)
    shop.use(40)
    shop.sync()
    question = asked(shop, "jump")
    assert (shop.quantity(), question.current, question.proposed) == (10, 10, 40)
    assert [quantity for _, quantity in question.evidence["history"]] == ["10", "40"]
    questions.answer(question, "push", by=BOSS)
    shop.run()
    assert shop.quantity() == 40


@pytest.mark.parametrize("quantity", [11, 14, 6])
def test_an_ordinary_change_is_not_asked_about(shop: Billed, quantity: int) -> None:
    shop.use(quantity)
    shop.sync()
    assert (shop.quantity(), Question.objects.count()) == (quantity, 0)


def test_6_6_nothing_left_is_asked_once(shop: Billed) -> None:
    shop.use(0)
    shop.sync()
    first = asked(shop, "zero")
    shop.sync()
    assert asked(shop, "zero") == first
    questions.answer(first, "keep", by=BOSS)
    shop.sync()
    assert shop.quantity() == 10
    assert not Question.objects.filter(answer="", settled_at=None).exists()


def test_6_14_a_quantity_changed_by_hand_is_kept_until_somebody_answers(shop: Billed) -> None:
    shop.use(12)
    shop.sync()
    shop.by_hand(quantity=15)
    shop.use(13)
    shop.sync()
    question = asked(shop, "manual")
    assert (shop.quantity(), question.evidence["last_known"]) == (15, "12")
    today = usage.today_for(shop.client)
    questions.answer(question, "keep_until", by=BOSS, until=today + timedelta(days=3))
    shop.sync()
    assert shop.quantity() == 15
    Question.objects.update(keep_until=today - timedelta(days=1))
    shop.sync()
    assert shop.quantity() == 13


def test_what_we_wrote_ourselves_is_nobodys_hand(shop: Billed) -> None:
    for quantity in (11, 12, 13):
        shop.use(quantity)
        shop.sync()
    assert (shop.quantity(), Question.objects.count()) == (13, 0)


def test_a_question_that_is_no_question_any_more_is_settled(shop: Billed) -> None:
    shop.use(40)
    shop.sync()
    shop.use(11)
    shop.sync()
    assert (shop.quantity(), Question.objects.filter(settled_at=None).count()) == (11, 0)


def test_an_answer_to_another_number_is_no_answer(shop: Billed) -> None:
    shop.use(40)
    shop.sync()
    questions.answer(asked(shop, "jump"), "push", by=BOSS)
    shop.use(400)
    shop.run()
    assert (shop.quantity(), asked(shop, "jump").proposed) == (10, 400)


def test_6_6_within_the_invoice_window_a_change_is_asked_about(shop: Billed) -> None:
    today = usage.today_for(shop.client)
    shop.agreement_by_hand(nextInvoiceDate=f"{today + timedelta(days=2)}T00:00:00Z")
    shop.reload()
    shop.use(11)
    shop.settings(invoice_window_days=3)
    shop.sync()
    assert (asked(shop, "invoice").proposed, shop.quantity()) == (11, 10)
    shop.agreement_by_hand(nextInvoiceDate=f"{today + timedelta(days=9)}T00:00:00Z")
    shop.reload()
    shop.sync()
    assert shop.quantity() == 11


def test_a_cancelled_agreement_is_not_written_to(shop: Billed) -> None:
    shop.agreement_by_hand(cancelledFlag=True, agreementStatus="Cancelled")
    shop.use(11)
    shop.sync()
    assert shop.quantity() == 10


def test_thresholds_of_a_client_go_before_those_of_its_organization(shop: Billed) -> None:
    shop.settings(jump_percent=5, jump_least=0)
    BillingSettings.objects.create(partner=shop.partner, client=shop.client, jump_percent=500)
    for one in shop.clients:
        shop.use(12, one)
        shop.sync(one)
    assert [shop.quantity(one) for one in shop.clients] == [12, 10]


def test_6_6_a_fleet_that_halves_is_stopped_at_the_first_plan(db: None, sandbox: Sandbox) -> None:
    fleet = billed(sandbox, count=8, quantity=4)
    for client in fleet.clients:
        fleet.use(4, client)
        fleet.sync(client)
    writes = fleet.writes()
    fleet.use_all([(client, fleet.service.key, 2) for client in fleet.clients])
    for client in fleet.clients:
        fleet.run(client)
    assert fleet.writes() == writes
    assert Question.objects.filter(kind="fleet", settled_at=None).count() == 8


def test_one_client_that_halves_is_no_fleet(db: None, sandbox: Sandbox) -> None:
    fleet = billed(sandbox, count=8, quantity=4)
    for client in fleet.clients:
        fleet.use(4, client)
        fleet.sync(client)
    fleet.use(2)
    fleet.run()
    assert fleet.quantity() == 2


def test_6_6_a_feed_that_dies_changes_nothing(shop: Billed) -> None:
    shop.use(12, days_ago=9)
    shop.sync()
    assert (shop.quantity(), Question.objects.count()) == (10, 0)


# --- More than a number is ever ---------------------------------------------------------------------------------------


def test_accounts_that_sum_up_to_more_than_a_column_holds_are_withheld_with_a_reason(shop: Billed) -> None:
    """Each of them is the most that is well-formed at the door."""
    word = {"client": shop.client, "service": shop.service, "measured_on": usage.today_for(shop.client)}
    most = Decimal("99999999999999")
    usage.record([Measured(**word, quantity=most, account=account) for account in ("A", "B")])
    outcome = shop.sync()
    assert "correct it at its source" in outcome.text
    assert "no agreement takes" in str(previews.of_client(shop.client).withheld)
    assert shop.quantity() == 10
    months.calculate(shop.partner, months.current(shop.partner))
    charts.count_months(shop.partner)


def test_what_rounding_lifts_over_the_limit_is_withheld(shop: Billed) -> None:
    word = {"client": shop.client, "service": shop.service, "measured_on": usage.today_for(shop.client)}
    usage.record([Measured(**word, quantity=Decimal("49999999999999.75"), account=name) for name in "AB"])
    shop.sync()
    assert shop.quantity() == 10


def test_a_fraction_more_than_the_most_is_refused_at_the_door(shop: Billed) -> None:
    word = {"client": str(shop.client.number), "service": shop.service.key, "quantity": "99999999999999.5"}
    word["measured_on"] = usage.today_for(shop.client).isoformat()
    [told] = make.api(make.token(shop.partner)).post("/api/v1/usage", word).json()["results"]
    assert [one["code"] for one in told["errors"]] == ["not_a_quantity"]


def test_a_line_of_a_mad_number_in_the_psa_is_held_and_not_our_mistake(shop: Billed) -> None:
    shop.by_hand(quantity=1e20, lessIncluded=1e20)
    shop.use(12)
    shop.sync()
    item = PushItem.objects.get()
    assert (item.state, item.included) == ("held", None)
    assert "correct it there" in item.text
