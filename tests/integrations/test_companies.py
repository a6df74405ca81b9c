"""Mapping lets out what waited, never writes to the PSA, and notices when a company is not what it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.models import Ticket
from integrations import choices, companies, mapping
from integrations.models import CompanyLink, Delivery, Status
from integrations.models.connections import Origin
from portal import clients, clock
from portal.models import Client, Organization
from tests import make

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


@pytest.fixture
def jam(world: make.World) -> Client:
    return clients.add_client(world.partner, name="Jam Factory", number=700)


def send(world: make.World, **fields: Any) -> None:
    make.api(world.token).post("/api/v1/events", make.event(**{"client": "700", **fields}))


def tickets_of(world: make.World) -> list[Any]:
    """Tickets at the PSA that we opened."""
    return [row for row in world.sandbox.control.tickets() if row.get("externalXRef")]


@pytest.mark.parity("S1-33")
def test_what_waited_goes_out_when_the_client_is_mapped(world: make.World, jam: Client, drain: Any) -> None:
    send(world)
    drain()
    assert Delivery.objects.get().reason == "no_company"
    mapping.decide(world.credentials, jam, "251", by="anna", origin=Origin.PORTAL)
    drain()
    assert Delivery.objects.get().status == Status.DONE
    assert str(tickets_of(world)[0]["company"]["id"]) == "251"


def test_what_waited_is_let_go_when_the_client_is_skipped(world: make.World, jam: Client, drain: Any) -> None:
    send(world)
    drain()
    mapping.decide(world.credentials, jam, "", by="anna", origin=Origin.PORTAL)
    drain()
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == (Status.SKIPPED, "client_skipped")


@pytest.mark.parity("S0-14", "S1-33")
def test_an_unmapped_clients_ticket_goes_to_the_catch_all_company_with_its_name(
    world: make.World, jam: Client, drain: Any
) -> None:
    send(world)
    drain()
    companies.choose_catch_all(world.credentials, companies.copy_of(world.credentials.pk, "252"), by="anna")
    drain()
    [ticket] = tickets_of(world)
    assert (str(ticket["company"]["id"]), ticket["summary"]) == (
        "252",
        "Jam Factory: Backup of SRV-01 failed",
    )
    assert Ticket.objects.get().state == "open"


def test_a_mapped_clients_ticket_never_goes_to_the_catch_all_company(world: make.World, drain: Any) -> None:
    companies.choose_catch_all(world.credentials, companies.copy_of(world.credentials.pk, "252"), by="anna")
    send(world, client="19652")
    drain()
    [ticket] = tickets_of(world)
    assert (str(ticket["company"]["id"]), ticket["summary"]) == ("250", "Backup of SRV-01 failed")


def test_a_skipped_client_gets_no_ticket_in_the_catch_all_company(
    world: make.World, jam: Client, drain: Any
) -> None:
    companies.choose_catch_all(world.credentials, companies.copy_of(world.credentials.pk, "252"), by="anna")
    mapping.decide(world.credentials, jam, "", by="anna", origin=Origin.PORTAL)
    send(world)
    drain()
    assert (Delivery.objects.get().reason, tickets_of(world)) == ("client_skipped", [])


def test_billing_never_uses_the_catch_all_company(world: make.World, jam: Client, drain: Any) -> None:
    companies.choose_catch_all(world.credentials, companies.copy_of(world.credentials.pk, "252"), by="anna")
    usage = {"client": 700, "account": "A", "service": "online-backup-servers", "quantity": 1}
    make.api(world.token).post("/api/v1/usage", {**usage, "measured_on": f"{clock.now():%Y-%m-%d}"})
    Delivery.objects.update(due_at=clock.now())
    drain()
    delivery = Delivery.objects.get(action="synchronize")
    assert (delivery.status, delivery.reason) == (Status.HELD, "no_company")
    companies.release_decided()
    assert Delivery.objects.get(pk=delivery.pk).status == Status.HELD


def test_a_delivery_held_just_after_its_client_was_mapped_is_found(
    world: make.World, jam: Client, drain: Any
) -> None:
    send(world)
    drain()
    CompanyLink.objects.create(
        partner=world.partner, client=jam, credentials=world.credentials, psa_company_id="251"
    )
    assert companies.release_decided() == 1
    drain()
    assert Delivery.objects.get().status == Status.DONE


def test_mapping_skipping_and_unmapping_ask_the_psa_nothing(world: make.World, jam: Client) -> None:
    before = len(world.sandbox.control.requests())
    mapping.decide(world.credentials, jam, "251", by="anna", origin=Origin.PORTAL)
    mapping.decide(world.credentials, jam, "", by="anna", origin=Origin.PORTAL)
    companies.unlink_all(world.credentials, [jam.pk])
    assert len(world.sandbox.control.requests()) == before


# --- States -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "ok"),
        ({"name": "Ott Group"}, "renamed"),
        ({"vanished_at": LONG_AGO}, "missing"),
        ({"data": {"status": "Inactive"}}, "inactive"),
        ({"data": {"inactive": True}}, "inactive"),
        ({"data": {"merged_into": "251"}, "vanished_at": LONG_AGO}, "merged"),
    ],
    ids=["ok", "renamed", "gone", "its status", "a flag", "merged"],
)
def test_the_table_and_its_filter_agree_about_a_changed_company(
    world: make.World, change: dict[str, Any], state: str
) -> None:
    world.credentials.choices.filter(kind="company", psa_id="250").update(**change)
    row = mapping.row_of(world.credentials, world.client)
    found = mapping.clients_of(world.credentials, show="trouble")
    assert (row.state, found.exists(), bool(row.trouble)) == (state, state != "ok", state != "ok")


def test_a_company_that_we_never_read_is_missing(world: make.World) -> None:
    world.credentials.choices.filter(kind="company", psa_id="250").delete()
    assert mapping.row_of(world.credentials, world.client).state == "missing"
    assert mapping.clients_of(world.credentials, show="trouble").exists()


def test_a_rename_in_the_psa_is_shown_and_the_mapping_goes_on_working(world: make.World, drain: Any) -> None:
    world.sandbox.control.technician("rename", company=250, name="Ott Group")
    choices.reload(world.credentials)
    row = mapping.row_of(world.credentials, world.client)
    assert "is called “Ott Group” in the PSA now" in row.trouble
    send(world, client="19652")
    drain()
    assert Delivery.objects.get().status == Status.DONE


def test_a_refused_company_is_explained_where_the_error_is_read(world: make.World, drain: Any) -> None:
    world.credentials.choices.filter(psa_id="250").update(vanished_at=clock.now())
    CompanyLink.objects.update(psa_company_id="999999")
    send(world, client="19652")
    drain()
    delivery = Delivery.objects.get()
    assert delivery.status == Status.FAILED
    assert "no longer among the PSA’s companies" in delivery.advice
    assert "Company Mapping" in delivery.advice


# --- Whose clients, and new ones --------------------------------------------------------------------------------------


@pytest.mark.parity("S1-13")
def test_a_connection_has_the_clients_it_is_in_effect_for(world: make.World, jam: Client) -> None:
    branch = Organization.objects.create(
        partner=world.partner, parent=world.organization, name="Branch South"
    )
    there = clients.add_client(world.partner, name="Southern", organization=branch)
    assert there in mapping.clients_of(world.credentials)
    own = make.connect(branch, world.sandbox)
    make.connect(jam, world.sandbox)
    assert list(mapping.clients_of(own)) == [there]
    assert list(mapping.clients_of(world.credentials)) == [world.client]
    counted = {row.credentials.pk: (row.clients, row.unmapped) for row in mapping.overview(world.partner.pk)}
    assert (counted[world.credentials.pk], counted[own.pk], len(counted)) == ((1, 0), (1, 1), 3)


def test_a_client_made_from_a_company_is_mapped_and_pressing_twice_makes_one(world: make.World) -> None:
    company = companies.copy_of(world.credentials.pk, "253")
    assert company is not None
    made = [
        mapping.add_client(
            world.credentials, company, name=company.name, organization=world.organization, by="anna"
        )
        for _ in range(2)
    ]
    assert made == [(made[0][0], True), (made[0][0], False)]
    link = CompanyLink.objects.get(psa_company_id="253")
    assert (link.client, link.linked_by, link.origin) == (made[0][0], "anna", "new_client")


def test_a_list_that_was_confirmed_leaves_alone_what_somebody_else_changed(
    world: make.World, jam: Client
) -> None:
    moves = [mapping.Move(jam.pk, "251", None), mapping.Move(world.client.pk, "252", "250")]
    mapping.decide(world.credentials, jam, "", by="bert", origin=Origin.PORTAL)
    done = mapping.carry_out(world.credentials, moves, by="anna", origin=Origin.PORTAL)
    assert (done.mapped, done.left) == (1, 1)
    assert CompanyLink.objects.get(client=jam).linked_by == "bert"


@pytest.mark.parametrize(
    ("typed", "found"), [("Bakery Ott (250)", "250"), ("250", "250"), (" bakery ott ", "250")]
)
@pytest.mark.parity("S0-32", "S2-38")
def test_a_company_is_found_as_people_write_it(world: make.World, typed: str, found: str) -> None:
    assert mapping.company_named(world.credentials, typed).psa_id == found


def test_an_ambiguous_name_is_not_guessed(world: make.World) -> None:
    world.credentials.choices.create(partner=world.partner, kind="company", psa_id="999", name="Bakery Ott")
    with pytest.raises(mapping.Refused, match="Say which by its id"):
        mapping.company_named(world.credentials, "Bakery Ott")
