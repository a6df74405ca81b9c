"""`/api/v1/company-links`: what machines may map, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from integrations import companies, suggestions
from integrations.models import CompanyLink, Delivery
from portal import clients
from portal.models import Client
from tests import make

LINKS = "/api/v1/company-links"


@pytest.fixture
def jam(world: make.World) -> Client:
    return clients.add_client(world.partner, name="Jam Factory", number=700)


def test_a_mapping_is_set_read_and_forgotten(api: Any, jam: Client) -> None:
    assert api.get(f"{LINKS}/{jam.pk}").status_code == 404
    put = api.put(f"{LINKS}/{jam.pk}", {"company": "251"}, format="json")
    assert put.status_code == 200
    body = api.get(f"{LINKS}/{jam.pk}").json()
    assert (body["company"], body["state"], body["origin"], body["mapped_by"]) == (
        "251",
        "ok",
        "api",
        "token “test”",
    )
    assert [api.delete(f"{LINKS}/{jam.pk}").status_code for _ in range(2)] == [204, 204]
    assert not CompanyLink.objects.filter(client=jam).exists()


@pytest.mark.parametrize("company", [None, ""])
def test_null_is_an_explicit_skip(api: Any, jam: Client, company: Any) -> None:
    body = api.put(f"{LINKS}/{jam.pk}", {"company": company}, format="json").json()
    assert (body["company"], body["state"]) == (None, "skipped")


def test_a_company_that_the_psa_does_not_have_is_refused(api: Any, jam: Client) -> None:
    answer = api.put(f"{LINKS}/{jam.pk}", {"company": "77777"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_company")
    assert not CompanyLink.objects.filter(client=jam).exists()


def test_a_client_without_a_connection_cannot_be_mapped(db: None) -> None:
    msp = make.partner()
    client = clients.add_client(msp, name="Lonely")
    answer = make.api(make.token(msp)).put(f"{LINKS}/{client.pk}", {"company": "1"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_connection")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_another_partners_client_is_not_found(world: make.World, method: str) -> None:
    stranger = make.api(make.token(make.partner("Tailspin")))
    answer = getattr(stranger, method)(f"{LINKS}/{world.client.pk}", {"company": ""}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert CompanyLink.objects.get(client=world.client).psa_company_id == "250"


def test_a_bulk_call_does_what_is_good_and_says_what_is_not(api: Any, world: make.World, jam: Client) -> None:
    other = clients.add_client(make.partner("Tailspin"), name="Someone else", number=30001)
    items = [
        {"client": "EFS-700", "company": "250"},
        {"client": 19652, "company": "250"},
        {"client": str(other.pk), "company": None},
        {"client": "19652", "unmap": True},
        {"client": "700"},
        {"company": "250"},
        "nonsense",
        {"client": 700, "company": "251", "unmap": True},
    ]
    results = api.post(f"{LINKS}/bulk", {"links": items}, format="json").json()["results"]
    assert [(row["status"], [error["code"] for error in row["errors"]]) for row in results] == [
        ("mapped", []),
        ("unchanged", []),
        ("rejected", ["unknown_client"]),
        ("rejected", ["named_twice"]),
        ("rejected", ["required"]),
        ("rejected", ["required"]),
        ("rejected", ["not_an_object"]),
        ("rejected", ["unknown_value"]),
    ]
    assert results[0]["warnings"][0]["code"] == "shared_company"
    assert CompanyLink.objects.get(client=jam).psa_company_id == "250"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"links": []}, 400, "empty_batch"),
        ({"links": [{}] * 1001}, 413, "too_many_items"),
    ],
    ids=["no list", "empty", "too many"],
)
def test_a_bulk_call_of_another_shape_is_refused(api: Any, body: Any, status: int, code: str) -> None:
    answer = api.post(f"{LINKS}/bulk", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_skips_unmaps_and_unknown_companies_of_a_bulk_call(api: Any, world: make.World, jam: Client) -> None:
    items = [{"client": "700", "company": None}, {"client": "19652", "unmap": True}]
    results = api.post(f"{LINKS}/bulk", {"links": items}, format="json").json()["results"]
    assert [row["status"] for row in results] == ["skipped", "unmapped"]
    assert list(CompanyLink.objects.values_list("client", "psa_company_id")) == [(jam.pk, "")]
    [refused] = api.post(
        f"{LINKS}/bulk", {"links": [{"client": "700", "company": "77777"}]}, format="json"
    ).json()["results"]
    assert refused["errors"][0]["code"] == "unknown_company"


def test_links_are_listed_in_pages_and_by_state(api: Any, world: make.World, jam: Client) -> None:
    companies.link_company(jam, world.credentials, psa_company_id="", name="")
    world.credentials.choices.filter(kind="company", psa_id="250").update(name="Ott Group")
    assert [row["state"] for row in api.get(LINKS).json()["results"]] == ["skipped", "renamed"]
    [troubled] = api.get(LINKS, {"state": "trouble"}).json()["results"]
    assert (troubled["client"], "Ott Group" in troubled["detail"]) == (str(world.client.pk), True)
    assert [row["company"] for row in api.get(LINKS, {"state": "skipped"}).json()["results"]] == [None]
    assert len(api.get(LINKS, {"client": str(jam.pk)}).json()["results"]) == 1
    assert api.get(LINKS, {"state": "odd"}).json()["code"] == "unknown_value"
    first = api.get(LINKS, {"page_size": 1}).json()
    assert len(api.get(first["next"]).json()["results"]) == 1


def test_unmapped_clients_are_listed_with_suggestion_and_what_waits(
    api: Any, world: make.World, jam: Client, drain: Any
) -> None:
    world.credentials.choices.create(
        partner=world.partner, kind="company", psa_id="900", name="Jam Factory Ltd"
    )
    suggestions.refresh(world.credentials)
    event = api.post("/api/v1/events", make.event(client="700"), format="json").json()["results"][0]["id"]
    Delivery.objects.filter(event=event).update(status="held", reason="no_company")
    [row] = api.get(f"{LINKS}/unmapped", {"connection": str(world.credentials.pk)}).json()["results"]
    assert (row["client"], row["waiting"], row["suggestion"]["company"]) == (str(jam.pk), 1, "900")
    assert api.get(f"{LINKS}/unmapped").json()["code"] == "connection_needed"
    rival = make.api(make.token(make.partner("Tailspin")))
    assert rival.get(f"{LINKS}/unmapped", {"connection": str(world.credentials.pk)}).status_code == 404


def test_a_token_that_may_only_read_cannot_map(world: make.World, jam: Client) -> None:
    reader = make.api(make.token(world.partner, scopes=("clients:read",)))
    answer = reader.put(f"{LINKS}/{jam.pk}", {"company": "251"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert reader.post(f"{LINKS}/bulk", {"links": []}, format="json").status_code == 403
