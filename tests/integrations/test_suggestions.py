"""Which company is probably which client, and why."""

from __future__ import annotations

import time
import uuid

import pytest

from integrations import choices, companies, suggestions
from integrations.models import CompanyLink, CompanySuggestion, Delivery
from integrations.psa.port import Option
from integrations.suggestions import Company, Person, suggest
from portal import clients
from portal.models import Account, Client
from tests import make


def person(name: str, **more: object) -> Person:
    return Person(uuid.uuid4(), name, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("client", "company", "score", "reason"),
    [
        ("Bakery Ott", "Bakery Ott", 100, "same name"),
        ("bakery ott", "Bakery Ott", 99, "same name but for case and punctuation"),
        ("Bakery Ott", "Bakery Ott, Inc.", 96, "same name but for “Inc.”"),
        ("Ott LLC", "Ott", 96, "same name but for “LLC”"),
        ("Müller & Söhne GmbH", "Mueller und Soehne", 96, "same name but for “GmbH”"),
        ("Ott Ltd", "Ott GmbH", 90, "same name, but one is “Ltd” and the other “GmbH”"),
        ("Ott Bakery", "Bakery Ott", 94, "same words in another order"),
        ("Contosso", "Contoso", 88, "spelled almost the same"),
        ("Contoso", "Contoso Dental Group", 76, "one name is part of the other"),
        ("Bagel Shop 101", "Bagel Shop 102", 75, "alike, but with another number"),
    ],
)
def test_a_suggestion_has_a_score_and_a_plain_reason(client, company, score, reason):
    [found] = suggest([person(client)], [Company("1", company)])
    assert (found.match.score, found.match.reason) == (score, reason)


@pytest.mark.parametrize(
    ("client", "company"), [("Bakery Ott", "Harbor Dental"), ("日本商事", "Ott"), ("&", "!")]
)
def test_what_is_not_alike_is_not_suggested(client, company):
    assert suggest([person(client)], [Company("1", company)]) == []


def test_the_client_id_in_the_psa_beats_a_better_name():
    offered = [Company("1", "Bakery Ott"), Company("2", "Ott Holding", identifier="EFS-19652")]
    [found] = suggest([person("Bakery Ott", ids=("19652", "EFS-19652"))], offered)
    assert (found.match.company.psa_id, found.match.reason) == ("1", "same name")
    assert "“Ott Holding” (2)" in found.rival
    assert not found.is_clear


def test_mailboxes_and_website_of_one_domain_belong_together():
    domains = frozenset({suggestions.domain_of("anna@Bakery-Ott.example")})
    website = suggestions.domain_of("https://www.bakery-ott.example/about")
    [found] = suggest([person("BO Gruppe", domains=domains)], [Company("1", "Ott", domain=website)])
    assert (found.match.score, found.match.reason) == (95, "same web domain (bakery-ott.example)")


def test_a_mail_provider_is_nobodys_domain():
    assert suggestions.domain_of("bakery@gmail.com") == suggestions.domain_of("https://[broken") == ""


def test_two_companies_that_fit_are_not_clear():
    [found] = suggest([person("Ott")], [Company("1", "Ott Inc."), Company("2", "Ott LLC")])
    assert not found.is_clear
    assert "fits nearly as well" in found.rival


def test_two_clients_for_one_company_are_not_clear_but_a_weaker_suitor_does_no_harm():
    found = suggest([person("Ott"), person("OTT"), person("Ott Dental Works")], [Company("1", "Ott")])
    assert [(one.client.name, one.is_clear) for one in found] == [
        ("Ott", False),
        ("OTT", False),
        ("Ott Dental Works", False),
    ]
    strong, weak = suggest([person("Ott"), person("Ott Dental Works")], [Company("1", "Ott")])
    assert (strong.is_clear, weak.is_clear) == (True, False)


def test_five_thousand_clients_and_companies_are_compared_in_seconds():
    names = [f"{first} {second} {number}" for first in WORDS for second in WORDS for number in range(8)][
        :5000
    ]
    offered = [Company(str(at), f"{name} Inc.") for at, name in enumerate(names)]
    people = [person(name if at % 2 else name.replace("e", "", 1)) for at, name in enumerate(names)]
    started = time.process_time()
    found = suggest(people, offered)
    assert len(found) > 2500
    assert time.process_time() - started < 15


WORDS = (
    "Alpine Bakery Harbor Granite Lakeside Maple Nordic Pioneer Quarry River Summit Timber Union Valley Willow Zenith"
    " Dental Group Logistics Partners Clinic Accounting Construction Media Foods"
)
WORDS = tuple(WORDS.split())  # type: ignore[assignment]


# --- Kept, standing, accepted -----------------------------------------------------------------------------------------


@pytest.fixture
def jam(world: make.World) -> Client:
    """An unmapped client, and a company in the PSA that it is."""
    offer(world, Option(kind="company", id="900", name="Jam Factory Inc.", data={"identifier": "Jam"}))
    client = clients.add_client(world.partner, name="Jam Factory")
    suggestions.refresh(world.credentials)
    return client


def offer(world: make.World, option: Option) -> None:
    world.credentials.choices.create(
        partner=world.partner, kind=option.kind, psa_id=option.id, name=option.name, data=dict(option.data)
    )


def test_a_suggestion_is_never_applied_by_itself(world, jam):
    assert CompanySuggestion.objects.get(client=jam).psa_company_id == "900"
    assert not CompanyLink.objects.filter(client=jam).exists()


def test_accepting_maps_and_says_who_did_it(world, jam):
    done = suggestions.accept(world.credentials, {jam.pk: "900"}, by="anna@northwind.example")
    link = CompanyLink.objects.get(client=jam)
    assert (done.mapped, done.left) == (1, 0)
    assert (link.psa_company_id, link.linked_by, link.origin) == (
        "900",
        "anna@northwind.example",
        "suggestion",
    )
    assert not suggestions.standing(world.credentials).exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda world, jam: Client.objects.filter(pk=jam.pk).update(name="Something else"),
        lambda world, jam: Client.objects.filter(pk=jam.pk).update(is_active=False),
        lambda world, jam: world.credentials.choices.filter(psa_id="900").update(name="Other Inc."),
        lambda world, jam: world.credentials.choices.filter(psa_id="900").update(vanished_at=jam.created_at),
        lambda world, jam: companies.link_company(
            world.client, world.credentials, psa_company_id="900", name="Jam Factory Inc."
        ),
        lambda world, jam: companies.link_company(jam, world.credentials, psa_company_id="", name=""),
    ],
    ids=[
        "client renamed",
        "client off",
        "company renamed",
        "company gone",
        "company taken",
        "skipped meanwhile",
    ],
)
def test_what_no_longer_holds_is_not_accepted(world, jam, change):
    change(world, jam)
    done = suggestions.accept(world.credentials, {jam.pk: "900"}, by="")
    assert (done.mapped, done.left) == (0, 1)
    assert not CompanyLink.objects.filter(client=jam, psa_company_id="900").exists()


def test_looking_again_changes_nothing_when_nothing_changed(world, jam):
    before = list(CompanySuggestion.objects.values_list("client", "psa_company_id", "score"))
    suggestions.refresh(world.credentials)
    assert list(CompanySuggestion.objects.values_list("client", "psa_company_id", "score")) == before


def test_mailboxes_of_a_client_lead_to_the_company_with_that_website(world):
    website = {"website": "https://www.quarry.example/"}
    world.sandbox.control.technician("company", company=254, fields=website)
    choices.reload(world.credentials)
    client = clients.add_client(world.partner, name="Limestone Works")
    Account.objects.create(partner=world.partner, client=client, key="anna@quarry.example")
    suggestions.refresh(world.credentials)
    found = CompanySuggestion.objects.get(client=client)
    assert (found.psa_company_id, found.reason) == ("254", "same web domain (quarry.example)")


def test_an_inactive_company_is_not_suggested(world):
    offer(world, Option(kind="company", id="902", name="Old Mill", data={"status": "Inactive"}))
    clients.add_client(world.partner, name="Old Mill")
    assert suggestions.refresh(world.credentials) == 0
    assert not Delivery.objects.exists()
