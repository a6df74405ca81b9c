"""What a finance person must never find: a yes to a number nobody saw, a push that never comes, a lost undo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from django.urls import reverse

from billing import agreements, crossreferencesheet, proposals, pushdays, questions, synchronize, undo, usage
from billing.decisions import Decider
from billing.guards import Guards
from billing.models import AgreementLink, BillingSettings, CrossReference, PushDay, PushRun, Question, Service
from billing.proof_world import Billed, billed, pass_time
from integrations import connections
from integrations.models import Choice, Delivery
from integrations.psa.errors import NotFound, PsaError, Rejected
from integrations.psa.plan import Applied, Plan
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedLines
from integrations.sandbox import Sandbox
from portal import clock
from tests import make

BOSS = Decider("boss@example.com")


def open_question(shop: Billed) -> Question:
    return Question.objects.get(client=shop.client, settled_at=None)


# --- Questions --------------------------------------------------------------------------------------------------------


def test_a_yes_to_one_number_is_no_yes_to_another_that_came_while_the_page_was_open(shop: Billed) -> None:
    shop.use(40)
    shop.sync()
    seen = open_question(shop)
    shop.use(0)
    shop.sync()
    assert questions.answer_all([seen], "push", by=BOSS) == 0
    shop.sync()
    assert shop.quantity() == 10
    assert (open_question(shop).proposed, open_question(shop).answer) == (0, "")
    assert open_question(shop).asked_at == seen.asked_at


def test_an_answer_given_while_a_push_plans_is_not_lost(
    shop: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.use(40)
    shop.sync()
    look = Guards.look

    def answered_meanwhile(self: Guards, *args: object) -> object:
        Question.objects.filter(answer="").update(
            answer="push", answered_at=clock.now(), answered_as=BOSS.name
        )
        return look(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Guards, "look", answered_meanwhile)
    shop.sync()
    assert open_question(shop).answer == "push"
    shop.sync()
    assert shop.quantity() == 40


def test_when_the_day_of_keep_until_is_over_nothing_is_still_asked_about(shop: Billed) -> None:
    shop.use(40)
    shop.sync()
    today = usage.today_for(shop.client)
    questions.answer(open_question(shop), "keep_until", by=BOSS, until=today)
    Question.objects.update(keep_until=today - timedelta(days=1))
    shop.use(0)
    shop.sync()
    assert shop.quantity() == 10
    assert (open_question(shop).kind, open_question(shop).answer) == ("zero", "")


def test_keep_the_old_before_an_invoice_ends_with_that_invoice(shop: Billed) -> None:
    today = usage.today_for(shop.client)
    shop.agreement_by_hand(nextInvoiceDate=f"{today + timedelta(days=2)}T00:00:00Z")
    shop.reload()
    shop.settings(invoice_window_days=3)
    shop.use(11)
    shop.sync()
    questions.answer(open_question(shop), "keep", by=BOSS)
    shop.sync()
    assert shop.quantity() == 10
    shop.agreement_by_hand(nextInvoiceDate=f"{today + timedelta(days=32)}T00:00:00Z")
    shop.reload()
    shop.sync()
    assert shop.quantity() == 11


# --- Undo -------------------------------------------------------------------------------------------------------------


def done(shop: Billed, quantity: int) -> PushRun:
    shop.use(quantity)
    shop.sync()
    return PushRun.objects.filter(state="done", undoes=None).latest("pk")


def test_newer_usage_does_not_overtake_an_undo_that_waits(shop: Billed) -> None:
    run = done(shop, 12)
    shop.use(13)
    undoing = undo.ask(run, by=BOSS)
    shop.run()
    undoing.refresh_from_db()
    assert (undoing.state, shop.quantity()) == ("waiting", 12)
    proposals.approve(undoing, by=BOSS)
    shop.run()
    assert shop.quantity() == 10
    assert open_question(shop).kind == "undone"


def test_a_rejected_undo_lets_the_pushes_go_on(shop: Billed) -> None:
    run = done(shop, 12)
    shop.use(13)
    undoing = undo.ask(run, by=BOSS)
    shop.run()
    undoing.refresh_from_db()
    proposals.reject(undoing, by=BOSS)
    assert shop.is_asked()
    shop.run()
    assert shop.quantity() == 13


def test_an_undo_in_doubt_can_be_asked_for_again_when_it_is_sure_that_it_was_not_carried_out(
    shop: Billed,
) -> None:
    run = done(shop, 12)
    undoing = undo.ask(run, by=BOSS)
    shop.run()
    undoing.refresh_from_db()
    proposals.approve(undoing, by=BOSS)
    shop.sandbox.control.fault("drop", path="additions/", times=9)
    with pytest.raises(PsaError):
        shop.run()
    shop.sandbox.control.clear_faults()
    pass_time(1000)
    shop.sync()
    again = undo.ask(run, by=BOSS)
    shop.run()
    again.refresh_from_db()
    proposals.approve(again, by=BOSS)
    shop.run()
    assert shop.quantity() == 10


def test_a_yes_to_one_undo_is_no_yes_to_what_it_became(shop: Billed) -> None:
    run = done(shop, 12)
    undoing = undo.ask(run, by=BOSS)
    shop.run()
    undoing.refresh_from_db()
    PushRun.objects.filter(pk=undoing.pk).update(digest="f" * 64)
    with pytest.raises(proposals.Refused):
        proposals.approve(undoing, by=BOSS)


def test_an_approved_undo_that_is_planned_again_is_another_run(shop: Billed) -> None:
    run = done(shop, 12)
    CrossReference.objects.update(updates_description=False)
    undoing = undo.ask(run, by=BOSS)
    shop.run()
    undoing.refresh_from_db()
    proposals.approve(undoing, by=BOSS)
    shop.by_hand(invoiceDescription="As agreed with Alex")
    shop.run()
    undoing.refresh_from_db()
    again = PushRun.objects.get(state="waiting")
    assert (undoing.state, again.undoes, again != undoing) == ("void", run, True)
    proposals.approve(again, by=BOSS)
    shop.run()
    assert (shop.quantity(), shop.line()["invoiceDescription"]) == (10, "As agreed with Alex")


# --- Days -------------------------------------------------------------------------------------------------------------


def test_an_agreement_that_is_invoiced_no_more_does_not_hide_the_next_invoice_of_another(
    shop: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.settings(
        schedule="before_invoice", days_before_invoice=3, scheduled_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    link = AgreementLink.objects.get(client=shop.client)
    Choice.objects.filter(pk=link.agreement_id).update(data={"next_invoice_on": "2026-12-03"})
    lapsed = Choice.objects.exclude(pk=link.agreement_id).filter(kind="agreement").first()
    assert lapsed is not None
    Choice.objects.filter(pk=lapsed.pk).update(data={"next_invoice_on": "2026-02-01"})
    AgreementLink.objects.create(
        partner=shop.partner,
        client=shop.client,
        credentials=shop.credentials,
        agreement=lapsed,
        service=Service.objects.exclude(pk=shop.service.pk)[0],
    )
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 30, 9, tzinfo=UTC))
    pushdays.ask_due()
    assert PushDay.objects.get(client=shop.client).due_on == date(2026, 11, 30)


def test_clients_with_a_push_day_do_not_crowd_out_those_that_are_pushed_whenever_usage_comes_in(
    shop: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in shop.clients:
        shop.use(12, one)
    Delivery.objects.all().delete()
    monkeypatch.setattr(synchronize, "MOST_DUE", 1)
    for monthly, other in (shop.clients, shop.clients[::-1]):
        BillingSettings.objects.all().delete()
        Delivery.objects.all().delete()
        BillingSettings.objects.create(partner=shop.partner, client=monthly, schedule="day")
        assert synchronize.request_due() == 1
        assert shop.is_asked(other)


def test_choosing_an_agreement_pushes_nothing_before_the_push_day(shop: Billed) -> None:
    link = AgreementLink.objects.get(client=shop.client)
    company = link.agreement.within or str(link.agreement.data["company_id"])
    chosen = {
        "agreement_id": link.agreement.psa_id,
        "service": None,
        "creates_lines": False,
        "line_id": "",
        "by": BOSS,
    }
    shop.settings(schedule="on_demand")
    agreements.choose(shop.client, shop.credentials, company, **chosen)
    assert not shop.is_asked()
    shop.settings(schedule="continuous")
    agreements.choose(shop.client, shop.credentials, company, **chosen)
    assert shop.is_asked()


# --- Plans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("used", ["12.3456", "12.345"])
def test_more_decimals_than_the_psa_keeps_are_written_once(shop: Billed, used: str) -> None:
    Service.objects.update(rounding="none")
    shop.use(used)
    shop.sync()
    shop.by_hand(quantity=12.35)  # what ConnectWise keeps of it
    before = shop.writes()
    shop.sync()
    assert (shop.quantity(), shop.writes()) == (Decimal("12.35"), before)


def test_a_plan_for_an_agreement_that_is_billed_no_more_does_not_wait_for_ever(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    run = PushRun.objects.get(state="waiting")
    CrossReference.objects.update(is_billed=False)
    shop.sync()
    run.refresh_from_db()
    assert run.state == "void"
    assert "any longer" in run.error_text


def test_four_eyes_that_are_asked_for_later_count_for_plans_that_wait(shop: Billed) -> None:
    asker = make.user(shop.partner)
    shop.mode("approve")
    shop.use(12)
    synchronize.request(shop.client, cause="button", by=asker, at_once=True)
    shop.run()
    shop.settings(four_eyes=True)
    with pytest.raises(proposals.Refused):
        proposals.approve(PushRun.objects.get(state="waiting"), by=Decider.of(asker))


def test_a_delivery_does_not_wait_for_a_yes_to_what_was_rejected(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    proposals.reject(PushRun.objects.get(state="waiting"), by=BOSS)
    assert shop.sync().reason != "approval"


class Refusing:
    """A PSA that refuses every write to one line, or every reading of one agreement."""

    def __init__(self, psa: Psa, refused: str) -> None:
        self.psa, self.refused = psa, refused

    def __getattr__(self, name: str) -> Any:
        return getattr(self.psa, name)

    def plan_lines(self, wanted: WantedLines) -> Plan:
        if wanted.agreement_id == self.refused:
            raise NotFound("There is no such agreement.")
        return self.psa.plan_lines(wanted)

    def apply(self, plan: Plan) -> Applied:
        if plan.items[0].record_id == self.refused:
            raise Rejected("A rule of the PSA holds this line.")
        return self.psa.apply(plan)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_that_the_psa_refuses_does_not_keep_the_others_from_being_pushed(
    db: None, sandbox: Sandbox, place: int
) -> None:
    shop = billed(sandbox, services=3)
    first = list(shop.services)[place]
    others = [key for key in shop.services if key != first]
    shop.use_all([(shop.client, key, 12) for key in shop.services])
    with connections.psa_for(shop.credentials) as psa, pytest.raises(Rejected):
        shop.sync(psa=cast(Psa, Refusing(psa, str(shop.lines[shop.client.pk, first]))))
    assert shop.quantity(service=first) == 10
    assert [shop.quantity(service=key) for key in others] == [12, 12]
    run = PushRun.objects.get()
    assert (run.state, run.sent_at, run.items.get(service__key=first).state) == ("partly", None, "failed")


@pytest.mark.parametrize("place", [1, -1])
def test_an_agreement_that_is_gone_does_not_keep_the_others_from_being_pushed(
    db: None, sandbox: Sandbox, place: int
) -> None:
    shop = billed(sandbox, services=2)
    one, two = list(shop.services)[::place]
    [gone] = Choice.objects.filter(kind="agreement", vanished_at=None, data__recurring=True).exclude(
        pk__in=AgreementLink.objects.values("agreement")
    )[:1]
    AgreementLink.objects.create(
        partner=shop.partner,
        client=shop.client,
        credentials=shop.credentials,
        agreement=gone,
        service=shop.services[one],
    )
    shop.use_all([(shop.client, key, 12) for key in shop.services])
    with connections.psa_for(shop.credentials) as psa, pytest.raises(NotFound):
        shop.sync(psa=cast(Psa, Refusing(psa, gone.psa_id)))
    assert (shop.quantity(service=one), shop.quantity(service=two)) == (10, 12)


# --- Setting up -------------------------------------------------------------------------------------------------------


def test_a_file_or_call_that_names_products_leaves_guards_and_ticks_alone(shop: Billed) -> None:
    mine = CrossReference.objects.filter(organization=shop.organization, service=shop.service)
    mine.update(
        jump_percent=5, jump_units=2, updates_description=False, is_billed=False, agreement_type="Gold"
    )
    row = mine.get()
    assert row.product is not None

    def guarded() -> tuple[object, ...]:
        row.refresh_from_db()
        return row.jump_percent, row.jump_units, row.updates_description, row.is_billed, row.agreement_type

    file = f"service,product\n{shop.service.key},{row.product.name}\n".encode()
    found = crossreferencesheet.take_in(shop.organization, shop.credentials, file, by=BOSS)
    assert (found.taken, guarded()) == (1, (5, 2, False, False, "Gold"))
    body = {
        "service": shop.service.key,
        "organization": str(shop.organization.pk),
        "product": row.product.psa_id,
        "is_billed": True,
    }
    assert make.api(make.token(shop.partner)).put("/api/v1/cross-references", body).status_code == 200
    assert guarded()[:2] == (5, 2)


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_the_preview_finds_the_newest_push_also_after_years_of_pushes(shop: Billed, client) -> None:
    first, second = sorted(shop.clients, key=lambda row: row.pk)
    link = AgreementLink.objects.get(client=first)
    PushRun.objects.bulk_create(
        [
            PushRun(
                partner=shop.partner,
                client=first,
                credentials=shop.credentials,
                agreement_id=link.agreement.psa_id,
                state="done",
                digest="x",
            )
            for _ in range(5001)
        ]
    )
    shop.use(12, second)
    shop.sync(second)
    client.force_login(make.user(shop.partner), backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(reverse("billing_preview")).content.decode()
    assert reverse("push_run", args=[PushRun.objects.get(client=second).pk]) in page


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"client,service,quantity,measured_on\n\x001,\x00,NaN,2026-11-20\n", b"\xff\xfe"]
)
def test_an_odd_file_of_usage_is_never_our_mistake(shop: Billed, body: bytes) -> None:
    api = make.api(make.token(shop.partner))
    answer = api.post("/api/v1/usage/import", body, content_type="text/csv")
    assert answer.status_code in (202, 400)


@pytest.mark.parametrize(
    "quantity", ["NaN", "Infinity", "-1", "1e999999", "=1+1", "99999999999999.99999", 1e308, "१"]
)
def test_an_odd_quantity_is_told_and_not_stored(shop: Billed, quantity: object) -> None:
    word = {"client": str(shop.client.number), "service": shop.service.key, "quantity": quantity}
    answer = make.api(make.token(shop.partner)).post(
        "/api/v1/usage", {**word, "measured_on": str(usage.today_for(shop.client))}
    )
    assert answer.status_code == 202
    assert answer.json()["results"][0]["status"] == ("accepted" if quantity == "१" else "rejected")
