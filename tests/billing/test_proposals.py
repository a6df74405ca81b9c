"""Plans that wait for a yes: what is sent is what was approved, by somebody who may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from billing import billingsettings, crossreferences, proposals, synchronize, undo
from billing.decisions import Decider, Refused
from billing.models import CrossReference, PushRun, Question, Service
from billing.proof_world import Billed, connected
from integrations import companies
from integrations.models import CompanyLink, Delivery, Status
from tests import make

BOSS = Decider("boss@example.com")


def waiting(shop: Billed) -> PushRun:
    return PushRun.objects.get(state="waiting", client=shop.client)


def test_6_1_in_observe_mode_nothing_is_written_and_the_plan_is_what_live_then_sends(shop: Billed) -> None:
    shop.mode("observe")
    before = shop.writes()
    shop.use(12)
    shop.sync()
    assert (shop.quantity(), shop.writes()) == (10, before)
    observed = PushRun.objects.get(state="observed")
    shop.mode("live")
    shop.sync()
    live = PushRun.objects.get(state="done")
    assert (live.plan["items"], live.digest) == (observed.plan["items"], observed.digest)
    assert shop.quantity() == 12


def test_6_1_in_approve_mode_a_plan_waits_and_exactly_it_is_sent(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    assert shop.sync().status == Status.HELD
    assert shop.quantity() == 10
    run = waiting(shop)
    proposals.approve(run, by=BOSS)
    shop.run()
    run.refresh_from_db()
    assert (run.state, run.approved_digest, run.decided_as) == ("done", run.digest, "boss@example.com")
    assert shop.quantity() == 12


def test_6_1_a_record_that_changed_meanwhile_is_planned_again_and_told(shop: Billed) -> None:
    shop.mode("approve")
    shop.settings(jump_percent=1000)
    shop.use(12)
    shop.sync()
    run = waiting(shop)
    proposals.approve(run, by=BOSS)
    shop.by_hand(quantity=11)
    outcome = shop.run()
    run.refresh_from_db()
    assert (run.state, shop.quantity()) == ("void", 11)
    assert "'11'" in run.error_text
    assert "void" in outcome.text


def test_the_same_plan_is_not_stored_again_and_newer_usage_replaces_it(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    first = waiting(shop)
    shop.sync()
    assert waiting(shop) == first
    shop.use(13)
    shop.sync()
    assert waiting(shop) != first
    assert waiting(shop).items.get().after["quantity"] == "13"


def test_what_was_rejected_is_not_proposed_again_until_it_changes(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    proposals.reject(waiting(shop), by=BOSS, text="Not this month")
    shop.sync()
    assert not PushRun.objects.filter(state="waiting").exists()
    shop.use(13)
    shop.sync()
    assert waiting(shop).items.get().after["quantity"] == "13"
    assert shop.quantity() == 10


def test_with_four_eyes_neither_who_asked_nor_a_token_approves(shop: Billed) -> None:
    asker, other = make.user(shop.partner), make.user(shop.partner)
    shop.mode("approve")
    shop.settings(four_eyes=True, updated_by=asker)
    shop.use(12)
    shop.sync()
    run = waiting(shop)
    assert run.settings_by == asker
    for decider in (Decider.of(asker), BOSS):
        with pytest.raises(Refused):
            proposals.approve(run, by=decider)
    with pytest.raises(IntegrityError), transaction.atomic():
        PushRun.objects.filter(pk=run.pk).update(
            state="approved",
            approved_digest=run.digest,
            decided_by=asker,
            decided_as="x",
            decided_at=run.started_at,
        )
    proposals.approve(run, by=Decider.of(other))
    shop.run()
    assert shop.quantity() == 12


def test_who_changed_something_before_another_did_approves_not_until_a_plan_went(shop: Billed) -> None:
    ann, bob, cara = (make.user(shop.partner) for _ in range(3))
    shop.mode("approve")
    shop.settings(four_eyes=True, jump_percent=1000)
    reference = CrossReference.objects.get(partner=shop.partner)
    wish = crossreferences.wish_of(reference)
    crossreferences.save(shop.organization, shop.service, replace(wish, level="Basic"), by=Decider.of(ann))
    billingsettings.save(shop.client, {"jump_least": 9}, by=Decider.of(bob))
    shop.use(12)
    shop.sync()
    for decider in (Decider.of(ann), Decider.of(bob)):
        with pytest.raises(Refused, match="changed its settings"):
            proposals.approve(waiting(shop), by=decider)
    proposals.approve(waiting(shop), by=Decider.of(cara))
    shop.run()
    shop.use(13)
    shop.sync()
    proposals.approve(waiting(shop), by=Decider.of(ann))
    shop.run()
    assert shop.quantity() == 13


def test_a_reset_is_a_change_and_one_of_another_service_or_client_is_none(shop: Billed) -> None:
    ann, bob = (make.user(shop.partner) for _ in range(2))
    shop.mode("approve")
    shop.settings(four_eyes=True)
    other = Service.objects.exclude(pk=shop.service.pk)[0]
    wish = crossreferences.own_wish(shop.organization, shop.service)
    crossreferences.save(shop.client, shop.service, wish, by=BOSS)
    crossreferences.reset(shop.client, shop.service, by=Decider.of(ann))
    crossreferences.reset(shop.client, other, by=Decider.of(bob))
    crossreferences.reset(shop.clients[1], shop.service, by=Decider.of(bob))
    shop.use(12)
    shop.sync()
    with pytest.raises(Refused, match="changed its settings since"):
        proposals.approve(waiting(shop), by=Decider.of(ann))
    proposals.approve(waiting(shop), by=Decider.of(bob))


def test_the_database_lets_nothing_be_approved_but_what_is_stored(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    run = waiting(shop)
    with pytest.raises(IntegrityError), transaction.atomic():
        PushRun.objects.filter(pk=run.pk).update(
            state="approved", approved_digest="0" * 64, decided_as="x", decided_at=run.started_at
        )


def test_a_manager_approves_in_bulk_and_sees_before_and_after(shop: Billed, client) -> None:
    shop.mode("approve")
    for one in shop.clients:
        shop.use(12, one)
        shop.sync(one)
    manager = make.user(shop.partner)
    client.force_login(manager, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(reverse("approvals")).content.decode()
    assert "10 → <strong>12</strong>" in page
    runs = list(PushRun.objects.filter(state="waiting").values_list("pk", flat=True))
    client.post(reverse("decide_runs"), {"run": runs, "decision": "approve"})
    for one in shop.clients:
        shop.run(one)
    assert [shop.quantity(one) for one in shop.clients] == [12, 12]
    detail = client.get(reverse("push_run", args=[runs[0]])).content.decode()
    assert "PATCH" in detail
    assert manager.email in detail


def test_pages_of_billing_open(shop: Billed, client) -> None:
    shop.use(100)
    shop.sync()
    assert Question.objects.exists()
    manager = make.user(shop.partner)
    client.force_login(manager, backend="allauth.account.auth_backends.AuthenticationBackend")
    level = ["organization", shop.organization.pk]
    for name, args in {
        "billing_preview": [],
        "approvals": [],
        "push_runs": [],
        "usage": [],
        "billing_overview": [],
        "cross_references": [],
        "cross_references_of": level,
        "billing_settings": level,
        "client_preview": [shop.client.pk],
        "client_agreement": [shop.client.pk],
    }.items():
        assert client.get(reverse(name, args=args)).status_code == 200, name
    page = client.post(reverse("client_preview", args=[shop.client.pk])).content.decode()
    assert "more than is let through" in page


@pytest.mark.parity("S1-30")
def test_rest_previews_pushes_and_approves(shop: Billed) -> None:
    api = make.api(make.token(shop.partner))
    shop.mode("approve")
    shop.use(12)
    preview = api.get(f"/api/v1/clients/{shop.client.pk}/billing/preview").json()
    [item] = preview["agreements"][0]["items"]
    assert (item["before"]["quantity"], item["after"]["quantity"]) == ("10", "12")
    assert not PushRun.objects.exists()
    assert api.post(f"/api/v1/clients/{shop.client.pk}/billing/push").status_code == 202
    shop.run()
    [run] = api.get("/api/v1/push-runs?state=waiting").json()["results"]
    assert run["digest"] == preview["agreements"][0]["digest"]
    assert api.post(f"/api/v1/push-runs/{run['id']}/approve").status_code == 202
    shop.run()
    assert api.get(f"/api/v1/push-runs/{run['id']}").json()["state"] == "done"
    assert api.post(f"/api/v1/push-runs/{run['id']}/approve").status_code == 409


# --- Who asked, and another connection --------------------------------------------------------------------------------


def test_who_approved_a_plan_has_not_asked_for_the_next(shop: Billed) -> None:
    ann, bob = make.user(shop.partner), make.user(shop.partner)
    shop.mode("approve")
    shop.settings(four_eyes=True, jump_percent=1000)
    shop.use(12)
    Delivery.objects.filter(status=Status.WAITING).delete()
    synchronize.request(shop.client, cause="button", by=ann, at_once=True)
    shop.run()
    proposals.approve(waiting(shop), by=Decider.of(bob))
    shop.use(13)
    shop.run()
    again = waiting(shop)
    assert again.asked_by == ann
    with pytest.raises(Refused, match="You asked"):
        proposals.approve(again, by=Decider.of(ann))
    proposals.approve(again, by=Decider.of(bob))
    shop.run()
    assert shop.quantity() == 13


def test_whose_press_led_to_a_new_plan_asked_for_it_whoever_asked_for_the_one_before(shop: Billed) -> None:
    ann, bob = make.user(shop.partner), make.user(shop.partner)
    shop.mode("approve")
    shop.settings(four_eyes=True, jump_percent=1000)
    Delivery.objects.filter(status=Status.WAITING).delete()
    for person, quantity in ((ann, 12), (bob, 13)):
        shop.use(quantity)
        Delivery.objects.filter(status=Status.WAITING).delete()
        synchronize.request(shop.client, cause="button", by=person, at_once=True)
        shop.run()
    with pytest.raises(Refused, match="You asked"):
        proposals.approve(waiting(shop), by=Decider.of(bob))
    proposals.approve(waiting(shop), by=Decider.of(ann))


def test_what_waits_for_a_former_connection_is_over(shop: Billed) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    run = waiting(shop)
    repoint(shop)
    proposals.approve(run, by=BOSS)
    shop.run()
    run.refresh_from_db()
    assert run.state == "void"
    assert "another PSA connection" in run.error_text


def test_an_undo_and_a_question_of_a_former_connection_are_over(shop: Billed) -> None:
    shop.use(12)
    shop.sync()
    undoing = undo.ask(PushRun.objects.get(state="done"), by=BOSS)
    shop.use(500)
    synchronize.request(shop.client, cause="button", at_once=True)
    question = Question.objects.create(
        partner=shop.partner,
        client=shop.client,
        credentials=shop.credentials,
        service=shop.service,
        agreement_id="1",
        kind="jump",
        text="?",
        current=12,
        proposed=500,
    )
    repoint(shop)
    shop.run()
    undoing.refresh_from_db()
    question.refresh_from_db()
    assert undoing.state == "failed"
    assert question.settled_at is not None


def repoint(shop: Billed) -> None:
    """The first client gets a connection of its own."""
    company = CompanyLink.objects.get(client=shop.client, credentials=shop.credentials).psa_company_id
    shop.credentials = connected(shop.client, shop.sandbox)
    companies.link_company(shop.client, shop.credentials, psa_company_id=company, name="Billed")
