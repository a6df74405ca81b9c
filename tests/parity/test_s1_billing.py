"""S1: alerts and billing, switched on one by one. What other tests hold already is marked there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.urls import reverse

from billing import crossreferences
from billing.crossreferences import CrossReferences, Wish
from billing.decisions import Decider
from billing.models import CrossReference, Service
from billing.proof_world import Billed, billed
from integrations import choices
from integrations.models import Delivery, Reload
from portal import clients, clock
from portal.models import Organization
from tests import make
from tests.integrations.test_choices import edit
from tests.portal.test_pages import signed_in

BOSS = Decider("boss@example.com")


@pytest.fixture
def shop(db: None, sandbox: Any) -> Billed:
    """A client with ten servers on its agreement."""
    return billed(sandbox)


def cross_references(level: Any) -> str:
    kind = "organization" if isinstance(level, Organization) else "client"
    return reverse("cross_references_of", args=[kind, level.pk])


def servers_of(world: make.World) -> float:
    [agreement] = world.sandbox.control.agreements(id=401)
    return next(row["quantity"] for row in agreement["additions"] if row["product"]["id"] == 302)


@pytest.mark.parity("S1-1", "S1-2", "S3-4", "S3-23")
@pytest.mark.parametrize("on", ["tickets", "billing"])
def test_tickets_and_billing_are_switched_on_apart(live_world: make.World, drain: Any, on: str) -> None:
    make.billing(live_world)
    make.credulous(live_world)
    off = {"tickets": "billing", "billing": "tickets"}[on]
    Organization.objects.update(**{f"{off}_mode": "observe"})
    before = servers_of(live_world)
    api = make.api(live_world.token)
    api.post("/api/v1/events", make.event())
    word = {"client": 19652, "service": "online-backup-servers", "quantity": 7}
    api.post("/api/v1/usage", {**word, "measured_on": clock.now().date().isoformat()})
    drain()
    tickets = live_world.sandbox.control.journal(kind="ticket")
    assert (len(tickets), servers_of(live_world)) == ((1, before) if on == "tickets" else (0, 7))
    assert dict(Delivery.objects.values_list("action", "status")) == {
        "ticket": "done" if on == "tickets" else "skipped",
        "synchronize": "done" if on == "billing" else "skipped",
    }


@pytest.mark.parity("S1-5")
def test_accounts_storage_and_enablement_are_services_and_any_of_them_may_be_billed(shop: Billed) -> None:
    three = Service.objects.filter(key__in=["accounts", "total-storage", "file-server-enablement"])
    assert {(row.name, row.unit, row.is_yes_no) for row in three} == {
        ("Number of accounts", "accounts", False),
        ("Total storage", "GB", False),
        ("File Server Enablement", "yes/no", True),
    }
    product = shop.credentials.choices.get(kind="product", name="OBS-GB")
    crossreferences.save(shop.organization, three.get(key="total-storage"), Wish(product=product), by=BOSS)
    billed_here = {row.service.key for row in CrossReferences.of(shop.partner.pk).for_client(shop.client)}
    assert billed_here == {shop.service.key, "total-storage"}


@pytest.mark.parity("S1-6", "S1-8", "S1-9", "S4-22")
def test_a_product_is_made_for_each_service_after_a_preview_with_the_usual_values(world: make.World) -> None:
    browser = signed_in(make.user(world.partner))
    page = cross_references(world.organization)
    form = browser.get(page).content.decode()
    usual = dict(re.findall(r'name="(category|kind|unit)" value="([^"]+)"', form))
    assert usual == {"category": "Managed Services", "kind": "Software", "unit": "Each"}
    for key in ("accounts", "total-storage"):
        service = Service.objects.get(key=key)
        typed = {**usual, "service": str(service.pk), "identifier": f"NEW-{key}"}
        products = lambda: list(world.sandbox.dialect.store.all("catalog"))  # noqa: E731
        before = len(products())
        plan = browser.post(page, {**typed, "what": "plan"}).content.decode()
        assert len(products()) == before, "a preview makes nothing"
        digest = re.search(r'name="digest" value="(\w+)"', plan)
        assert digest is not None
        browser.post(page, {**typed, "what": "make", "digest": digest[1]})
        [made] = [row for row in products() if row["identifier"] == f"NEW-{key}"]
        sent = json.loads(
            next(
                row["body"]
                for row in reversed(world.sandbox.control.requests())
                if row["method"] == "POST" and "/catalog" in row["path"]
            )
        )
        assert (sent["identifier"], sent["description"]) == (f"NEW-{key}", service.name)
        assert sent["productClass"] in ("Agreement", "Service")
        assert made["description"] == service.name
        names = {name: made[name]["name"] for name in ("subcategory", "type", "unitOfMeasure")}
        assert names == {"subcategory": "Managed Services", "type": "Software", "unitOfMeasure": "Each"}
        assert sent["price"] == 0, "prices are for a person to set"
        assert Reload.objects.filter(credentials=world.credentials, state="waiting").exists(), (
            "so that it can be chosen"
        )


@pytest.mark.parity("S1-10")
def test_agreements_of_the_company_are_offered_with_type_and_dates(world: make.World) -> None:
    edit(
        world.sandbox,
        "agreements",
        401,
        nextInvoiceDate="2026-12-01T00:00:00Z",
        noEndingDateFlag=False,
        endDate="2027-06-30T00:00:00Z",
    )
    choices.reload(world.credentials)
    browser = signed_in(make.user(world.partner))
    page = browser.get(reverse("client_agreement", args=[world.client.pk])).content.decode()
    offered = re.findall(r'<option value="(\d+)"[^>]*>([^<]+)</option>', page)
    told = dict(offered)["401"]
    assert "(Backup Services, next invoice 2026-12-01, ends 2027-06-30)" in told
    others = set(
        world.credentials.choices.filter(kind="agreement")
        .exclude(data__company_id="250")
        .values_list("psa_id", flat=True)
    )
    assert not others & {key for key, _ in offered}


@pytest.mark.parity("S1-11")
def test_a_renamed_agreement_is_billed_on_as_before(shop: Billed) -> None:
    shop.agreement_by_hand(name="Managed backup, renamed")
    shop.reload()
    browser = signed_in(make.user(shop.partner))
    page = browser.get(reverse("client_agreement", args=[shop.client.pk])).content.decode()
    assert '<th scope="row">Managed backup, renamed' in page
    shop.use(12)
    shop.sync()
    assert shop.quantity() == 12


@pytest.mark.parity("S1-18")
def test_without_a_psa_that_answered_billing_cannot_be_set_up(db: None, world: make.World) -> None:
    fresh = make.partner("Fresh MSP")
    top = clients.top_level(fresh)
    client = clients.add_client(fresh, name="Umbra Film")
    browser = signed_in(make.user(fresh))
    page = browser.get(reverse("client_agreement", args=[client.pk])).content.decode()
    assert "Choose Agreement" in page
    assert 'name="agreement"' not in page
    page = browser.get(cross_references(top)).content.decode()
    assert "Create in PSA" not in page
    assert re.findall(
        r'<select name="product"[^>]*>\s*<option value=""[^>]*>No product</option>\s*</select>', page
    )


@pytest.mark.parity("S1-19", "S1-23")
def test_a_service_has_its_product_and_a_client_overrides_one_of_them(world: make.World) -> None:
    browser = signed_in(make.user(world.partner))
    products = {row.name: row for row in world.credentials.choices.filter(kind="product")}
    for key, name in (("accounts", "OBS-SERVER"), ("bdr-servers", "BDR-SERVER")):
        typed = {"what": "save", "service": str(Service.objects.get(key=key).pk), "is_billed": "on"}
        browser.post(cross_references(world.organization), {**typed, "product": str(products[name].pk)})
    typed = {"what": "save", "service": str(Service.objects.get(key="accounts").pk), "is_billed": "on"}
    browser.post(cross_references(world.client), {**typed, "product": str(products["OBS-DESKTOP"].pk)})
    found = CrossReferences.of(world.partner.pk).for_client(world.client)
    assert {(row.service.key, row.product.name) for row in found} == {
        ("accounts", "OBS-DESKTOP"),
        ("bdr-servers", "BDR-SERVER"),
    }
    page = browser.get(cross_references(world.client)).content.decode()
    assert (page.count(">set here<"), page.count(">inherited<")) == (1, 1)


@pytest.mark.parity("S1-25")
def test_billing_settings_are_saved_and_confirmed(world: make.World) -> None:
    browser = signed_in(make.user(world.partner))
    page = reverse("billing_settings", args=["organization", world.organization.pk])
    saved = browser.post(page, {"schedule": "day", "push_day": "28"}, follow=True).content.decode()
    assert "The billing settings of Northwind MSP are saved." in saved
    assert 'value="28"' in saved
    refused = browser.post(page, {"schedule": "day", "push_day": "32"}).content.decode()
    assert "Nothing was saved" in refused
    assert 'value="28"' in browser.get(page).content.decode()


@pytest.mark.parity("S1-28", "S4-32")
def test_what_is_not_ticked_is_not_billed_and_says_so(shop: Billed) -> None:
    browser = signed_in(make.user(shop.partner))
    row = CrossReference.objects.get()
    typed = {"what": "save", "service": str(row.service_id), "product": str(row.product_id)}
    browser.post(cross_references(shop.organization), typed)
    shop.use(12)
    shop.sync()
    assert shop.quantity() == 10
    page = browser.get(cross_references(shop.organization)).content.decode()
    assert "Not billed (unticked)" in page
    page = browser.get(reverse("client_agreement", args=[shop.client.pk])).content.decode()
    assert "Not pushed" in page
    browser.post(cross_references(shop.organization), {**typed, "is_billed": "on"})
    shop.sync()
    assert shop.quantity() == 12


@pytest.mark.parity("S1-29")
def test_a_client_without_an_agreement_says_so(world: make.World) -> None:
    browser = signed_in(make.user(world.partner))
    page = browser.get(reverse("client_agreement", args=[world.client.pk])).content.decode()
    assert "Incomplete: no agreement is chosen" in page


@pytest.mark.parity("S1-30")
def test_a_client_is_previewed_and_pushed_now(shop: Billed) -> None:
    browser = signed_in(make.user(shop.partner))
    shop.use(12)
    Delivery.objects.all().delete()
    before = shop.writes()
    page = browser.post(reverse("client_preview", args=[shop.client.pk])).content.decode()
    assert "1 write" in page
    assert shop.writes() == before
    browser.post(reverse("billing_push_now"), {"client": str(shop.client.pk)})
    shop.run()
    assert shop.quantity() == 12
