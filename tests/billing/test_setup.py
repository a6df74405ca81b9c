"""Agreements and products chosen on pages, files taken in, and what is refused with a sentence."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from billing import (
    agreements,
    billingsettings,
    crossreferences,
    crossreferencesheet,
    terms,
    usagesheet,
    wanted,
)
from billing.api import day_of, quantity_of
from billing.crossreferences import Wish
from billing.decisions import Decider, Refused
from billing.models import AgreementLink, CrossReference, PushRun, Service, Usage
from billing.proof_world import Billed
from billing.sheets import Unreadable
from integrations.models import Choice
from portal import clock
from tests import make

BOSS = Decider("boss@example.com")


def link(shop: Billed) -> AgreementLink:
    return AgreementLink.objects.select_related("agreement").get(client=shop.client)


def company(shop: Billed) -> str:
    return str(link(shop).agreement.data["company_id"])


@pytest.mark.parity("S3-26")
def test_s3_26_only_recurring_agreements_are_offered_the_others_with_their_reason(shop: Billed) -> None:
    own = link(shop).agreement
    one_time = Choice.objects.create(
        partner=shop.partner,
        credentials=shop.credentials,
        kind="agreement",
        within=own.within,
        psa_id="9999",
        name="Set-up",
        data={**own.data, "recurring": False, "reason": "The agreement is billed one time only."},
    )
    found = agreements.offered(shop.credentials, company(shop))
    assert [row.psa_id for row in found.billable] == [own.psa_id]
    assert found.hidden == [(one_time, "The agreement is billed one time only.")]
    with pytest.raises(Refused, match="one time only"):
        agreements.choose(
            shop.client,
            shop.credentials,
            company(shop),
            agreement_id="9999",
            service=None,
            creates_lines=False,
            line_id="",
            by=BOSS,
        )


@pytest.mark.parity("S4-47")
def test_s4_47_a_line_is_adopted_by_its_serial_and_made_only_when_told(shop: Billed) -> None:
    other = Service.objects.get(key="email-filtering-mailboxes")
    product = shop.credentials.choices.get(kind="product", name="EMAIL-FILTER")
    crossreferences.save(shop.organization, other, Wish(product=product), by=BOSS)
    shop.services[other.key] = other
    shop.use(3, service=other.key)
    lines = lambda: len(shop.sandbox.control.agreements(id=shop.line()["agreementId"])[0]["additions"])  # noqa: E731
    shop.sync()
    assert lines() == 1
    AgreementLink.objects.update(creates_lines=True)
    shop.sync()
    shop.sync()
    assert lines() == 2


@pytest.mark.parity("S4-47")
def test_two_lines_of_one_product_are_asked_about_until_one_is_chosen(shop: Billed) -> None:
    store = shop.sandbox.dialect.store
    shop.by_hand(serialNumber="")
    twin = {**shop.line(), "id": store.new_id("additions")}
    store.put("additions", twin)
    shop.use(12)
    shop.sync()
    assert shop.quantity() == 10
    assert "agreement lines have the product" in PushRun.objects.latest("pk").items.get().text
    agreements.choose(
        shop.client,
        shop.credentials,
        company(shop),
        agreement_id=link(shop).agreement.psa_id,
        service=shop.service,
        creates_lines=False,
        line_id=str(shop.line()["id"]),
        by=BOSS,
    )
    shop.sync()
    assert (shop.quantity(), store.get("additions", twin["id"])["quantity"]) == (12, 10)


@pytest.mark.parametrize(
    ("product", "told"),
    [("obs-server", "differs by case only"), ("OBS SERVER", "no product"), ("OBS-SERVERS", "no product")],
)
@pytest.mark.parity("S1-7")
def test_s1_7_names_are_taken_exactly_and_near_misses_are_told(shop: Billed, product: str, told: str) -> None:
    sheet = f"service,product\nbdr-servers,BDR-SERVER\nonline-backup-desktops,{product}\n"
    found = crossreferencesheet.take_in(shop.organization, shop.credentials, sheet.encode(), by=BOSS)
    assert found.taken == 1
    assert told in found.problems[0].text
    assert found.problems[0].line == 3


@pytest.mark.parity("S1-7")
def test_s1_7_a_blank_inside_the_psas_own_name_is_told(shop: Billed) -> None:
    Choice.objects.filter(kind="product", name="OBS-DESKTOP").update(name="OBS-DESKTOP ")
    sheet = "service,product\nonline-backup-desktops,OBS-DESKTOP\n"
    found = crossreferencesheet.take_in(shop.organization, shop.credentials, sheet.encode(), by=BOSS)
    assert found.taken == 1 or "blanks" in found.problems[0].text


@pytest.mark.parity("S1-8")
def test_s1_8_a_product_counted_in_gigabytes_is_warned_of_for_servers(shop: Billed) -> None:
    storage = shop.credentials.choices.get(kind="product", name="OBS-GB")
    assert "counted in GB" in crossreferences.unit_mismatch(shop.service, storage)
    assert not crossreferences.unit_mismatch(Service.objects.get(key="total-storage"), storage)


@pytest.mark.parity("S4-26")
def test_s4_26_level_type_and_configuration_type_tell_services_apart(shop: Billed) -> None:
    one, two = Service.objects.filter(key__in=["bdr-servers", "bdr-desktops"])
    words = {"level": "BDR", "type": "Servers", "configuration_type": "Workstations and Servers"}
    crossreferences.save(shop.organization, one, Wish(product=None, **words), by=BOSS)
    with pytest.raises(Refused, match="tell services apart"):
        crossreferences.save(shop.organization, two, Wish(product=None, **words), by=BOSS)
    rows = list(CrossReference.objects.select_related("service", "product"))
    sheet = "".join(crossreferencesheet.export(rows))
    assert "BDR,Servers,Workstations and Servers" in sheet


def test_usage_from_a_file_keeps_the_good_lines_and_repeats_harmlessly(shop: Billed) -> None:
    token = make.token(shop.partner)
    today = clock.now().date().isoformat()
    sheet = (
        "client;service;quantity;measured_on;account\n"
        f"{shop.client.number};{shop.service.key};4;{today};A\n"
        f"EFS-{shop.client.number};{shop.service.name};abc;{today};B\n"
        f"1;{shop.service.key};4;{today};\n"
    )
    call = lambda: make.api(token).post("/api/v1/usage/import", sheet, content_type="text/csv")  # noqa: E731
    first, second = call(), call()
    assert (first.status_code, first.json()["lines"], first.json()["changed"]) == (202, 1, 1)
    assert [(row["line"], row["column"]) for row in first.json()["problems"]] == [
        (3, "quantity"),
        (4, "client"),
    ]
    assert second.json()["changed"] == 0
    assert Usage.objects.count() == 1


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b"client,client,service,quantity,measured_on\n"]
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(content: bytes, shop: Billed) -> None:
    with pytest.raises(Unreadable):
        usagesheet.take_in(content, make.user(shop.partner), quantity_of=quantity_of, day_of=day_of)


@pytest.mark.parity("S1-22", "S3-25")
def test_s1_22_switched_off_nothing_is_pushed(shop: Billed) -> None:
    billingsettings.save(shop.client, {"is_enabled": False}, by=BOSS)
    shop.use(12)
    assert shop.sync().reason == "billing_off"
    assert shop.quantity() == 10


@pytest.mark.parity("S1-25", "S1-27")
def test_s1_27_billing_needs_a_product_that_is_ticked(shop: Billed) -> None:
    CrossReference.objects.update(is_billed=False)
    with pytest.raises(Refused, match="Tick at least one product"):
        billingsettings.save(shop.client, {"is_enabled": True}, by=BOSS)


@pytest.mark.parity("S1-19")
def test_settings_say_where_they_come_from_and_who_changed_them(shop: Billed) -> None:
    manager = make.user(shop.partner)
    billingsettings.save(shop.organization, {"jump_percent": 20}, by=Decider.of(manager))
    found = terms.for_client(shop.client)
    assert (found["jump_percent"], found.values["jump_percent"].source) == (20, shop.organization)
    assert found.values["jump_units"].is_default


@pytest.mark.parity("S4-31")
def test_s4_31_the_invoice_text_is_fitted_to_the_psas_length_and_says_what_was_left_out() -> None:
    lines = [f"SRV-{number:03}: 5 GB" for number in range(100)]
    text = wanted.fitted(lines, 200)
    assert len(text) <= 200
    kept = text.splitlines()
    assert kept[-1] == f"... and {100 - len(kept) + 1} more"
    assert wanted.filled("{client} {{x}} {nothing}", {"client": "{managed_id}", "managed_id": "no"}) == (
        "{managed_id} {{x}} {nothing}"
    )


def test_settings_belong_to_one_level(shop: Billed) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        shop.settings(client=shop.client)


@pytest.mark.parity("S1-11", "S1-12", "S3-25", "S4-20")
def test_s1_11_agreements_and_products_are_chosen_over_rest_by_the_psas_id(shop: Billed) -> None:
    api = make.api(make.token(shop.partner))
    chosen = {
        "client": shop.client.managed_id,
        "agreement": link(shop).agreement.psa_id,
        "creates_lines": True,
    }
    assert api.put("/api/v1/agreement-links", chosen).status_code == 200
    assert link(shop).creates_lines
    answer: dict[str, str] = api.put("/api/v1/agreement-links", {**chosen, "agreement": "1"}).json()
    assert (answer["status"], answer["code"]) == (409, "unknown_agreement")
    product = shop.credentials.choices.get(kind="product", name="BDR-SERVER")
    said = {"organization": str(shop.organization.pk), "service": "bdr-servers", "product": product.psa_id}
    assert api.put("/api/v1/cross-references", said).json()["product"] == product.psa_id
    rival = make.api(make.token(make.partner("Rival")))
    assert rival.put("/api/v1/cross-references", said).status_code == 404
    assert rival.put("/api/v1/agreement-links", chosen).status_code == 400
