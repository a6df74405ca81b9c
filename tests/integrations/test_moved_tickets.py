"""A technician gave our ticket to another PSA company: Company Mapping says so beside the client, and asks."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import Ticket
from integrations.models import CompanyLink
from portal import clients, clock
from tests import make


@pytest.fixture
def ticket(world: make.World) -> Ticket:
    other = world.credentials.choices.filter(kind="company").exclude(psa_id="250").order_by("pk").first()
    assert other is not None
    return Ticket.objects.create(
        partner=world.partner,
        condition=make.condition(world),
        credentials=world.credentials,
        generation=1,
        external_ref="psap:1",
        psa_id="77",
        state="open",
        opened_at=clock.now(),
        company_id="250",
        moved_to_company=other.psa_id,
    )


@pytest.fixture
def browser(world: make.World, client: Browser) -> Browser:
    client.force_login(make.user(world.partner))
    return client


def table(world: make.World) -> str:
    return reverse("mapping", args=[world.credentials.pk])


def test_the_table_says_where_the_ticket_went(world: make.World, ticket: Ticket, browser: Browser) -> None:
    name = world.credentials.choices.get(kind="company", psa_id=ticket.moved_to_company).name
    for url in (table(world), reverse("client_mapping", args=[world.client.pk])):
        text = browser.get(url).content.decode()
        assert f"given to {name} ({ticket.moved_to_company})" in text
        assert "Map to that company" in text


def test_the_client_is_mapped_to_that_company(world: make.World, ticket: Ticket, browser: Browser) -> None:
    url = reverse("client_moved", args=[world.client.pk])
    answer = browser.post(url, {"do": "remap", "company": ticket.moved_to_company, "back": "table"})
    assert answer["Location"] == table(world)
    assert CompanyLink.objects.get().psa_company_id == ticket.moved_to_company
    assert "Map to that company" not in browser.get(table(world)).content.decode()


def test_kept_it_is_not_asked_again_and_the_mapping_stays(
    world: make.World, ticket: Ticket, browser: Browser
) -> None:
    browser.post(
        reverse("client_moved", args=[world.client.pk]), {"do": "keep", "company": ticket.moved_to_company}
    )
    assert CompanyLink.objects.get().psa_company_id == "250"
    ticket.refresh_from_db()
    assert ticket.moved_to_company == ""
    assert "Map to that company" not in browser.get(table(world)).content.decode()


def test_a_button_about_an_earlier_move_changes_nothing(
    world: make.World, ticket: Ticket, browser: Browser
) -> None:
    browser.post(reverse("client_moved", args=[world.client.pk]), {"do": "remap", "company": "no such"})
    assert CompanyLink.objects.get().psa_company_id == "250"
    ticket.refresh_from_db()
    assert ticket.moved_to_company


def test_a_viewer_sees_it_without_buttons(world: make.World, ticket: Ticket, client: Browser) -> None:
    client.force_login(make.user(world.partner, role="viewer"))
    text = client.get(table(world)).content.decode()
    assert "given to" in text
    assert "Map to that company" not in text
    answer = client.post(reverse("client_moved", args=[world.client.pk]), {"do": "remap"})
    assert answer.status_code == 403


def test_it_costs_the_same_for_any_number_of_clients(
    world: make.World, ticket: Ticket, browser: Browser
) -> None:
    browser.get(table(world))
    with CaptureQueriesContext(connection) as few:
        browser.get(table(world))
    for number in range(5):
        clients.add_client(world.partner, name=f"Client {number}", number=20_000 + number)
    with CaptureQueriesContext(connection) as many:
        browser.get(table(world))
    assert len(many) == len(few)
