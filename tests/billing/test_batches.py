"""Many in one call: a result for each, and as many queries as for one."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import AgreementLink, BillingSettings, CrossReference, PushRun
from billing.proof_world import Billed, billed
from integrations.models import CompanyLink
from integrations.sandbox import Sandbox
from portal.models import Account, Client
from tests import make


@pytest.fixture
def shop(db: Any, sandbox: Sandbox) -> Billed:
    return billed(sandbox, count=25)


@pytest.fixture
def api(shop: Billed) -> Any:
    return make.api(make.token(shop.partner))


def send(api: Any, path: str, body: Any) -> list[dict[str, Any]]:
    answer = api.post(f"/api/v1/{path}", body, format="json")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def product_of(shop: Billed, name: str = "OBS-SERVER") -> str:
    return str(shop.credentials.choices.get(kind="product", name=name).psa_id)


def bodies(shop: Billed) -> dict[str, list[dict[str, Any]]]:
    """What is sent to each address: an item for each client."""
    references = [
        {
            "client": str(one.number),
            "service": shop.service.key,
            "product": product_of(shop),
            "level": "Basic",
        }
        for one in shop.clients
    ]
    links = [
        {
            "client": one.managed_id,
            "agreement": AgreementLink.objects.get(client=one).agreement.psa_id,
            "service": shop.service.key,
        }
        for one in shop.clients
    ]
    settings = [
        {"client": str(one.number), "schedule": "day", "push_day": 28, "billing_mode": "approve"}
        for one in shop.clients
    ]
    companies = [
        {"client": str(one.number), "company": CompanyLink.objects.get(client=one).psa_company_id}
        for one in shop.clients
    ]
    return {
        "cross_references": references,
        "agreement_links": links,
        "billing_settings": settings,
        "company_links": companies,
        "accounts": [{"client": str(one.number), "account": "SRV-9", "name": "Nine"} for one in shop.clients],
        "clients": [{"name": f"New {n}"} for n in range(25)],
    }


PLURALS = ("cross_references", "agreement_links", "billing_settings", "company_links", "accounts", "clients")


@pytest.mark.parametrize("plural", PLURALS)
def test_a_batch_takes_as_many_queries_as_two_items(shop: Billed, api: Any, plural: str) -> None:
    items = bodies(shop)[plural]
    path = plural.replace("_", "-")
    send(api, path, {plural: items[:1]})  # what is looked up once in a process
    with CaptureQueriesContext(connection) as few:
        told = send(api, path, {plural: items[1:3]})
    assert {row["status"] for row in told} <= {"accepted", "unchanged", "mapped"}, told
    with CaptureQueriesContext(connection) as many:
        told = send(api, path, {plural: items[3:]})
    assert len(told) == 22
    assert {row["status"] for row in told} <= {"accepted", "unchanged", "mapped"}, told
    assert len(many) <= len(few) + 2, [query["sql"][:120] for query in many]


def test_the_good_ones_are_kept_whatever_is_wrong_with_others(shop: Billed, api: Any) -> None:
    good = bodies(shop)["cross_references"][0]
    told = send(
        api,
        "cross-references",
        {
            "cross_references": [
                good,
                {**good, "client": "1"},
                {**good, "service": "no-such"},
                {**good, "product": "999999"},
                {"service": shop.service.key},
                {**good, "service": "online-backup-desktops"},
                "nonsense",
            ]
        },
    )
    codes = [[error["code"] for error in row["errors"]] for row in told]
    assert codes == [
        [],
        ["unknown_client"],
        ["unknown_service"],
        ["unknown_product"],
        ["invalid_request"],
        ["words_taken"],
        ["not_an_object"],
    ]
    assert CrossReference.objects.get(client__isnull=False).pk.hex == told[0]["id"].replace("-", "")


def test_a_single_object_has_one_result_and_repeats_are_harmless(shop: Billed, api: Any) -> None:
    body = {"client": str(shop.client.number), "schedule": "last_day"}
    first, again = (send(api, "billing-settings", body) for _ in range(2))
    assert first == again
    assert BillingSettings.objects.get().schedule == "last_day"
    send(api, "billing-settings", {"client": str(shop.client.number), "four_eyes": True})
    assert (BillingSettings.objects.get().schedule, BillingSettings.objects.get().four_eyes) == (
        "last_day",
        True,
    )
    send(
        api,
        "billing-settings",
        {"client": str(shop.client.number), "schedule": None, "billing_mode": "observe"},
    )
    shop.client.refresh_from_db()
    assert (BillingSettings.objects.get().schedule, shop.client.billing_mode) == (None, "observe")


def test_of_two_about_the_same_the_later_holds(shop: Billed, api: Any) -> None:
    one = bodies(shop)["cross_references"][0]
    told = send(api, "cross-references", {"cross_references": [one, {**one, "is_billed": False}]})
    assert told[0]["id"] == told[1]["id"]
    assert CrossReference.objects.get(client=shop.client).is_billed is False


def test_another_partners_clients_organizations_and_products_are_not_known(shop: Billed, api: Any) -> None:
    other = billed(shop.sandbox)
    theirs = {"client": str(other.client.number)}
    for plural, body in {
        "cross_references": {**theirs, "service": shop.service.key},
        "agreement_links": {**theirs, "agreement": "1"},
        "billing_settings": {**theirs, "four_eyes": False},
        "accounts": {**theirs, "account": "X"},
    }.items():
        [told] = send(api, plural.replace("_", "-"), {plural: [body]})
        assert (told["status"], told["errors"][0]["code"]) == ("rejected", "unknown_client")
    [told] = send(api, "billing-settings", {"organization": str(other.organization.pk), "four_eyes": False})
    assert told["errors"][0]["code"] == "unknown_organization"
    assert not Account.objects.filter(client=other.client).exists()


def test_a_client_id_that_is_taken_is_refused_and_the_others_are_made(shop: Billed, api: Any) -> None:
    taken = shop.client.number
    told = send(
        api,
        "clients",
        {"clients": [{"name": "A"}, {"name": "B", "number": taken}, {"name": "C", "number": 77}]},
    )
    assert [row["status"] for row in told] == ["accepted", "rejected", "accepted"]
    assert told[1]["errors"][0]["code"] == "number_taken"
    assert Client.objects.get(name="C").number == 77


@pytest.mark.parametrize("plural", PLURALS[:3])
def test_too_many_and_none_are_refused_as_a_whole(api: Any, plural: str) -> None:
    path = f"/api/v1/{plural.replace('_', '-')}"
    assert api.post(path, {plural: [{}] * 1001}, format="json").status_code == 413
    assert api.post(path, {plural: []}, format="json").status_code == 400
    assert api.post(path, {plural: "x"}, format="json").status_code == 400
    assert api.post(path, [], format="json").status_code == 400
    assert not PushRun.objects.exists()
