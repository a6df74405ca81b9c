"""What the ticket settings make of a ticket, over HTTP at both PSAs; a client switched off; the test ticket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from alerts import addresses, catchup, setup, tickettest
from alerts.models import ClientAddress, Condition, Ticket, TicketTest
from billing import synchronize
from integrations import companies
from integrations.models import Delivery, Event
from integrations.sandbox import Sandbox, running_sandbox
from portal import clock, disabled
from portal.models import Account, Disabling
from tests import make


@pytest.fixture(scope="module")
def _autotask() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@pytest.fixture(params=["connectwise", "autotask"])
def world(request: Any, transactional_db: None, sandbox: Sandbox, _autotask: Sandbox) -> make.World:
    if request.param == "connectwise":
        return make.world(sandbox)
    _autotask.control.clear_faults()
    return make.autotask_world(_autotask)


def company(world: make.World) -> str:
    return companies.links_of([world.client.pk], [world.credentials.pk])[
        world.client.pk, world.credentials.pk
    ]


def of_company(world: make.World, kind: str) -> Any:
    rows = world.credentials.choices.filter(kind=kind, vanished_at=None).order_by("psa_id")
    return next(row for row in rows if row.data.get("company_id") == company(world))


def stored(world: make.World) -> dict[str, Any]:
    """The one ticket of ours as the PSA keeps it, in one vocabulary."""
    key = "externalXRef" if world.credentials.kind == "connectwise" else "externalID"
    [row] = world.sandbox.control.tickets(**{key: Ticket.objects.get().external_ref})
    if world.credentials.kind == "connectwise":
        names = {
            name: str((row.get(name) or {}).get("id"))
            for name in ("contact", "agreement", "priority", "source")
        }
        return {**names, "summary": row["summary"], "due": row.get("requiredDate"), "row": row}
    fields = {"contact": "contactID", "agreement": "contractID", "priority": "priority", "source": "source"}
    names = {ours: str(row.get(theirs)) for ours, theirs in fields.items()}
    return {**names, "summary": row["title"], "due": row.get("dueDateTime"), "row": row}


def send(world: make.World, **fields: Any) -> None:
    answer = make.api(world.token).post("/api/v1/events", make.event(**fields))
    assert answer.json()["results"][0]["status"] == "accepted", answer.content


@pytest.mark.parity("S2-2", "S2-3", "S2-24", "S2-42", "S3-24")
def test_the_ticket_is_as_the_levels_say(world: make.World, drain: Any) -> None:
    """Organization: priority by severity; client: contact, agreement, source; account: due in and the texts."""
    priorities = list(world.credentials.choices.filter(kind="priority").order_by("psa_id"))
    source = world.credentials.choices.filter(kind="source").order_by("-psa_id").first()
    contact, agreement = of_company(world, "contact"), of_company(world, "agreement")
    setup.change_ticket_settings(
        world.organization, {"priority": priorities[0], "priority_error": priorities[-1]}
    )
    setup.change_ticket_settings(world.client, {"contact": contact, "agreement": agreement, "source": source})
    account = Account.objects.create(partner=world.partner, client=world.client, key="SRV-01")
    setup.change_ticket_settings(
        account, {"due_in_hours": 6, "summary_template": "[{severity}] {account} of {client}: {summary}"}
    )
    send(world)
    drain()
    found, ticket = stored(world), Ticket.objects.get()
    assert ticket.state == "open", list(Delivery.objects.values("status", "outcome", "error_text", "advice"))
    assert (found["contact"], found["agreement"], found["priority"], found["source"]) == (
        contact.psa_id,
        agreement.psa_id,
        priorities[-1].psa_id,
        source.psa_id,
    )
    assert found["summary"] == "[error] SRV-01 of Bakery Ott: Backup of SRV-01 failed"
    assert found["due"][:16] == f"{ticket.created_at + timedelta(hours=6):%Y-%m-%dT%H:%M}"


def test_a_contact_of_the_former_company_does_not_stop_the_ticket(world: make.World, drain: Any) -> None:
    contact = of_company(world, "contact")
    setup.change_ticket_settings(world.client, {"contact": contact})
    other = (
        world.credentials.choices.filter(kind="company")
        .exclude(psa_id=company(world))
        .order_by("psa_id")
        .first()
    )
    companies.link_company(world.client, world.credentials, psa_company_id=other.psa_id, name=other.name)
    send(world)
    drain()
    assert Ticket.objects.get().state == "open"
    assert stored(world)["contact"] != contact.psa_id


@pytest.mark.parity("S0-22", "S0-33", "S2-14")
def test_the_address_is_read_of_the_mapped_company_and_sent_when_it_was_typed_over(
    world: make.World, drain: Any
) -> None:
    assert addresses.connections_with_missing() == [world.credentials.pk]
    assert addresses.fill(world.credentials) == 1
    assert addresses.connections_with_missing() == []
    read = ClientAddress.objects.get()
    assert (read.company_id, bool(read.site_id), bool(read.city)) == (company(world), True, True)
    typed = {name: getattr(read, name) for name in addresses.LINES} | {"address_line_1": "9 New Street"}
    addresses.edit(world.client, typed, by="ann@example.com")
    send(world)
    drain()
    row = stored(world)["row"]
    if world.credentials.kind == "connectwise":
        assert (row["addressLine1"], str(row["site"]["id"])) == ("9 New Street", read.site_id)
    else:
        assert str(row["companyLocationID"]) == read.site_id
    assert addresses.refresh(world.client)
    assert ClientAddress.objects.get().address_line_1 == read.address_line_1


# --- A client switched off --------------------------------------------------------------------------------------------


def writes(world: make.World) -> int:
    return int(world.sandbox.control.counts()["writes"])


def disable(world: make.World, **fields: Any) -> Disabling:
    return catchup.disable(
        world.client, **{"until": None, "reason": "moving house", "by": "ann@example.com", **fields}
    )


@pytest.mark.parity("S0-25", "S2-26", "S2-42")
def test_while_a_client_is_off_nothing_is_written_and_events_say_why(world: make.World, drain: Any) -> None:
    before = writes(world)
    disable(world)
    send(world)
    drain()
    event = Event.objects.get()
    assert event.trace[-1]["text"].startswith("Suppressed, client disabled: ")
    assert "moving house" in event.trace[-1]["text"]
    assert event.trace[-1]["suppressed"] == ["Tickets"]
    assert not Delivery.objects.exists()
    assert writes(world) == before
    assert Condition.objects.get().state == "failing"


@pytest.mark.parity("S0-25")
def test_what_still_fails_is_offered_when_the_client_is_on_again(world: make.World, drain: Any) -> None:
    disable(world)
    send(world)
    send(world, account="SRV-02", summary="Backup of SRV-02 failed")
    send(world, account="SRV-02", type="backup.succeeded", severity="success")
    assert catchup.catch_up(world.client) == 0
    catchup.enable(world.client, by="ann@example.com")
    drain()
    assert not Ticket.objects.exists()
    assert [one.condition.summary for one in catchup.missed(world.client)] == ["Backup of SRV-01 failed"]
    assert catchup.catch_up(world.client) == 1
    assert catchup.catch_up(world.client) == 0
    drain()
    assert Ticket.objects.get().state == "open"


def test_a_ticket_that_was_open_is_closed_as_soon_as_the_client_is_on_again(
    world: make.World, drain: Any
) -> None:
    send(world)
    drain()
    disable(world)
    before = writes(world)
    send(world, type="backup.succeeded", severity="success")
    drain()
    held = Delivery.objects.latest("created_at")
    assert (held.status, held.reason) == ("held", disabled.REASON)
    assert writes(world) == before
    assert catchup.enable(world.client, by="ann@example.com") == 1
    drain()
    assert Ticket.objects.get().state == "closed"


@pytest.mark.parity("S0-25")
def test_what_waits_is_held_and_goes_out_at_the_chosen_moment(
    world: make.World, drain: Any, monkeypatch: Any
) -> None:
    send(world)
    disable(world, until=clock.now() + timedelta(hours=2))
    assert Delivery.objects.get().reason == disabled.REASON
    drain()
    assert catchup.end_due() == 0
    assert not Ticket.objects.exists()
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(hours=2, minutes=1))
    assert disabled.of([world.client.pk]) == {}
    assert catchup.end_due() == 1
    drain()
    assert Ticket.objects.get().state == "open"
    row = Disabling.objects.get()
    assert row.ended_at == row.until


def test_without_a_date_it_never_ends_by_itself(world: make.World, monkeypatch: Any) -> None:
    disable(world)
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(days=900))
    catchup.end_due()
    assert world.client.pk in disabled.of([world.client.pk])


# --- The test ticket --------------------------------------------------------------------------------------------------


def carried_out(world: make.World) -> TicketTest:
    row = tickettest.ask(world.client, by="ann@example.com")
    tickettest.run(str(row.pk))
    row.refresh_from_db()
    return row


@pytest.mark.parity("S2-29")
def test_a_test_ticket_is_opened_and_closed_and_counted_nowhere(world: make.World) -> None:
    row = carried_out(world)
    assert [(step["step"], step["is_fine"]) for step in row.steps] == [
        ("open", True),
        ("read", True),
        ("close", True),
        ("check", True),
    ], row.steps
    assert row.state == "passed"
    assert not Condition.objects.exists()
    assert not Ticket.objects.exists()
    [ticket] = world.sandbox.control.tickets(id=row.psa_id)
    assert ticket.get("closedFlag") is True or str(ticket.get("status")) == "5"


def test_a_test_ticket_whose_answer_was_lost_is_found_and_closed(world: make.World) -> None:
    path = "/service/tickets$" if world.credentials.kind == "connectwise" else "/Tickets$"
    world.sandbox.control.fault("commit_then_drop", method="POST", path=path, times=1)
    row = carried_out(world)
    assert row.state == "failed"
    assert [step["step"] for step in row.steps] == ["open", "find", "read", "close"], row.steps
    [ticket] = world.sandbox.control.tickets(id=row.psa_id)
    assert ticket.get("closedFlag") is True or str(ticket.get("status")) == "5"


def test_a_second_test_joins_the_first_and_is_carried_out_once(world: make.World) -> None:
    first = TicketTest.objects.create(
        partner=world.partner, client=world.client, credentials=world.credentials, external_ref="test:1"
    )
    assert tickettest.ask(world.client, by="bob@example.com").pk == first.pk
    before = writes(world)
    tickettest.run(str(first.pk))
    made = writes(world) - before
    tickettest.run(str(first.pk))
    assert (writes(world) - before, TicketTest.objects.count()) == (made, 1)
    assert made >= 2


def test_a_test_that_cannot_be_is_refused_with_the_reason(world: make.World) -> None:
    disable(world)
    with pytest.raises(tickettest.NotPossible, match="disabled for this client"):
        tickettest.ask(world.client, by="")
    catchup.enable(world.client, by="")
    companies.unlink_all(world.credentials, [world.client.pk])
    with pytest.raises(tickettest.NotPossible, match="not mapped"):
        tickettest.ask(world.client, by="")


def test_quantities_of_a_disabled_client_wait_as_well(live_world: make.World, drain: Any) -> None:
    make.billing(live_world)
    make.credulous(live_world)
    disable(live_world)
    before = writes(live_world)
    today = clock.now().date().isoformat()
    api = make.api(live_world.token)
    for quantity in (9, 11):
        word = {
            "client": 19652,
            "service": "online-backup-servers",
            "quantity": quantity,
            "measured_on": today,
        }
        api.post("/api/v1/usage", word, format="json")
        drain()
    assert writes(live_world) == before
    assert [row.reason for row in Delivery.objects.all()] in ([], [disabled.REASON])
    for row in synchronize.request_many([live_world.client], cause="button", at_once=True):
        assert row.status == "waiting"
    drain()
    assert set(Delivery.objects.values_list("reason", flat=True)) == {disabled.REASON}
    catchup.enable(live_world.client, by="ann@example.com")
    drain()
    assert writes(live_world) > before
    assert Delivery.objects.filter(status="done").count() == 1
