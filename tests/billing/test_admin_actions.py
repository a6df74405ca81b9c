"""The vendor's staff decide from the admin: confirmed, one partner at a time, and told what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client as Browser
from django.urls import reverse

from billing.models import AgreementLink, CrossReference, PushRun, Question, Service
from billing.proof_world import Billed, billed
from tests import make


@pytest.fixture
def browser(db: Any) -> Browser:
    found = Browser()
    found.force_login(make.user(is_staff=True, is_superuser=True))
    return found


def act(browser: Browser, rows: Any, action: str, *, confirm: bool = True) -> str:
    """Choose the action in the list; and confirm it."""
    rows = list(rows)
    url = reverse(f"admin:billing_{type(rows[0])._meta.model_name}_changelist")
    data = {"action": action, ACTION_CHECKBOX_NAME: [str(row.pk) for row in rows]}
    if confirm:
        data["confirmed"] = "yes"
    return browser.post(url, data, follow=True).content.decode()


def test_a_plan_is_approved_after_it_was_confirmed(shop: Billed, browser: Browser) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    runs = PushRun.objects.filter(state="waiting")
    page = act(browser, runs, "approve", confirm=False)
    assert "Exactly these plans are sent" in page
    assert f"{shop.service}: 10 → 12" in page.replace("&amp;", "&")
    assert shop.partner.name in page
    assert runs.count() == 1
    assert "1 plans were approved" in act(browser, runs, "approve")
    shop.run()
    assert shop.quantity() == 12
    assert "does not wait for approval" in act(browser, PushRun.objects.all(), "approve")


def test_a_push_is_undone_a_plan_rejected_and_a_question_answered(shop: Billed, browser: Browser) -> None:
    shop.use(12)
    shop.sync()
    assert "1 undos are being planned" in act(browser, PushRun.objects.filter(state="done"), "undo")
    shop.run()
    waiting = PushRun.objects.filter(state="waiting")
    assert "1 plans were rejected" in act(browser, waiting, "reject")
    shop.use(90)
    shop.sync()
    assert f"{shop.service}: 12 → 90. " in act(browser, Question.objects.all(), "push_it", confirm=False)
    assert "1 questions were answered" in act(
        browser, Question.objects.filter(settled_at=None), "keep_the_old"
    )
    assert Question.objects.get(settled_at=None).answer == "keep"


def test_clients_are_previewed_and_pushed(shop: Billed, browser: Browser) -> None:
    shop.use(12)
    links = AgreementLink.objects.filter(client=shop.client)
    page = act(browser, links, "preview")
    assert "quantity → 12" in page
    assert "clients are synchronized now" in act(browser, links, "push_now")
    shop.run()
    assert shop.quantity() == 12


def test_a_preview_counts_clients_and_not_their_rows(shop: Billed, browser: Browser) -> None:
    """Four links of one client come before the one of the other, whose push was asked for and left out."""
    first = AgreementLink.objects.get(client=shop.client)
    for service in Service.objects.exclude(pk=shop.service.pk)[:3]:
        AgreementLink.objects.create(
            partner=shop.partner,
            client=shop.client,
            credentials=first.credentials,
            agreement=first.agreement,
            service=service,
        )
    for client in shop.clients:
        shop.use(12, client)
    page = act(browser, AgreementLink.objects.order_by("client__number"), "preview")
    assert page.count("quantity → 12") == 2
    assert "Push now (5)" in page


def test_rows_of_two_partners_are_refused_together(shop: Billed, browser: Browser) -> None:
    other = billed(shop.sandbox)
    for one in (shop, other):
        one.mode("approve")
        one.use(12)
        one.sync()
    text = act(browser, PushRun.objects.filter(state="waiting"), "approve")
    assert "Choose rows of one partner" in text
    assert not PushRun.objects.filter(state="approved").exists()


def test_who_only_reads_has_no_actions(shop: Billed, db: Any) -> None:
    shop.mode("approve")
    shop.use(12)
    shop.sync()
    reader = Browser()
    reader.force_login(make.user(is_staff=True))
    act(reader, PushRun.objects.filter(state="waiting"), "approve")
    assert PushRun.objects.filter(state="waiting").exists()


def test_who_changes_a_cross_reference_in_the_admin_is_noted(shop: Billed, browser: Browser) -> None:
    row = CrossReference.objects.get()
    url = reverse("admin:billing_crossreference_change", args=[row.pk])
    data = {
        "partner": str(row.partner_id),
        "service": str(row.service_id),
        "organization": str(row.organization_id),
        "product": str(row.product_id),
        "is_billed": "on",
        "level": "Basic",
        "type": "",
        "configuration_type": "",
        "agreement_type": "",
    }
    browser.post(url, data)
    row.refresh_from_db()
    assert (row.level, row.updated_by is not None) == ("Basic", True)
