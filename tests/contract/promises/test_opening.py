"""A ticket is opened once, as it was planned, and can be found by our key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from integrations.psa.errors import Misconfigured, NotFound
from tests.contract.houses import House
from tests.contract.texts import keys, texts

KEYS = keys(60, seed=3)
TEXTS = texts(60, seed=4)


def test_a_created_ticket_is_answered_with_its_id_and_address(house: House) -> None:
    wanted = house.wanted()
    applied = house.psa.apply(house.psa.plan_ticket(wanted)).items[0]
    assert (applied.key, applied.action) == ("create", "create")
    assert applied.record_id
    assert applied.answer["url"].startswith("http")
    ticket = house.psa.ticket(applied.record_id)
    assert (ticket.id, ticket.url, ticket.external_ref) == (
        applied.record_id,
        applied.answer["url"],
        wanted.external_ref,
    )
    assert (ticket.company_id, ticket.board_id, ticket.is_closed) == (house.company, house.board, False)
    assert ticket.number
    assert ticket.entered_at
    assert ticket.entered_at.tzinfo


@pytest.mark.parametrize("key", KEYS, ids=[f"key{number}" for number in range(len(KEYS))])
def test_a_ticket_is_found_by_exactly_its_key(key: str, house: House) -> None:
    opened = house.opened(external_ref=key)
    house.opened(external_ref=f"{key}1")
    assert [ticket.id for ticket in house.psa.find_tickets(key)] == [opened.known_id]
    assert house.psa.find_tickets(key[:-1]) == []
    assert house.psa.find_tickets(key.swapcase()) == []
    assert house.psa.find_tickets(f"{key}2") == []


def test_all_tickets_with_a_key_are_found_oldest_first(house: House) -> None:
    opened = [house.opened(external_ref="portal:twice").known_id for _ in range(3)]
    assert [ticket.id for ticket in house.psa.find_tickets("portal:twice")] == opened


@pytest.mark.parametrize("prefix", ["a:", "a_", "a%", "a'", 'a"', "[a]"])
def test_recent_tickets_are_those_that_begin_with_the_prefix(prefix: str, house: House) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    ours = [house.opened(external_ref=f"{prefix}{number}").known_id for number in range(3)]
    house.opened(external_ref=f"b{prefix}1")
    house.opened(external_ref="aX1")
    found = house.psa.recent_tickets(prefix, since)
    assert [ticket.id for ticket in found] == ours
    assert house.psa.recent_tickets(prefix, datetime.now(UTC) + timedelta(hours=1)) == []


def test_planning_writes_nothing(house: House) -> None:
    opened = house.opened()
    before = house.writes()
    house.psa.plan_ticket(house.wanted())
    house.psa.plan_ticket(replace(opened, note="Still failing."))
    house.psa.plan_ticket(house.over(opened, note="Over."))
    house.psa.plan_lines(house.lines(house.line(300)))
    house.psa.plan_lines(house.lines(house.line(3, product_id=house.missing_product, create_if_missing=True)))
    assert house.writes() == before


def test_exactly_the_planned_writes_are_made(house: House) -> None:
    opened = house.opened()
    plans = [
        house.psa.plan_ticket(house.wanted()),
        house.psa.plan_ticket(replace(opened, note="Still failing.")),
        house.psa.plan_lines(house.lines(house.line(251))),
        house.psa.plan_ticket(house.over(opened, note="Over.")),
    ]
    for plan in plans:
        before = house.writes()
        applied = house.psa.apply(plan)
        made = house.sent()[before:]
        assert [(one.method, one.body) for one in made] == [
            (item.request.method, item.request.body) for item in plan.items
        ]
        assert all(
            one.path.lower().endswith(item.request.path.lower())
            for one, item in zip(made, plan.items, strict=True)
        )
        assert [(one.key, one.action) for one in applied.items] == [
            (item.key, item.action) for item in plan.items
        ]


def test_a_ticket_that_is_known_and_open_needs_nothing(house: House) -> None:
    plan = house.psa.plan_ticket(house.opened())
    assert (plan.items, plan.unchanged) == ((), ("ticket",))


def test_news_of_an_open_ticket_is_one_note(house: House) -> None:
    opened = house.opened()
    plan = house.psa.plan_ticket(replace(opened, note="Still failing.\nError 18."))
    assert [item.action for item in plan.items] == ["note"]
    assert house.psa.apply(plan).items[0].answer["note_id"]


@pytest.mark.parametrize("text", TEXTS, ids=[f"text{number}" for number in range(len(TEXTS))])
def test_any_text_arrives_fitted_to_the_psa(text: str, house: House) -> None:
    opened = house.opened(summary=text, description=text)
    stored = house.stored(opened.known_id or "")
    assert 0 < len(stored["summary"]) <= house.ability("summary_length")
    assert len(stored["summary"].splitlines()) == 1
    kept = text.replace("\x00", "")  # no database keeps that one
    assert stored["summary"].replace("\x00", "")[:20] == " ".join(kept.split())[:20]
    assert len(stored["description"]) <= house.ability("description_length")
    assert stored["description"].replace("\x00", "")[:20].strip() == kept[:20].strip()
    assert house.psa.ticket(opened.known_id or "").summary == stored["summary"]
    house.psa.apply(house.psa.plan_ticket(replace(opened, note=text)))
    assert house.closed(opened, note=text).items[0].answer["is_closed"] is True


def test_every_board_takes_tickets(house: House) -> None:
    boards = [board.id for board in house.psa.choices("board")]
    for board in boards:
        opened = house.opened(board_id=board)
        assert house.psa.ticket(opened.known_id or "").board_id == board
        house.closed(opened)
        assert house.psa.ticket(opened.known_id or "").is_closed


def test_every_working_status_of_a_board_can_be_opened_in(house: House) -> None:
    for status in house.psa.choices("status", house.board):
        if not status.data["closed"]:
            opened = house.opened(status_id=status.id)
            assert house.psa.ticket(opened.known_id or "").status_id == status.id


def test_a_status_of_another_board_is_named_as_a_wrong_setting(house: House) -> None:
    ours = {status.id for status in house.psa.choices("status", house.board)}
    foreign = [one.id for one in house.psa.choices("status", house.other_board) if one.id not in ours]
    for status in foreign or ["987654"]:
        with pytest.raises(Misconfigured) as caught:
            house.opened(status_id=status)
        assert caught.value.field == "status"
        assert not caught.value.outcome_unknown


def test_a_deleted_ticket_is_not_found(house: House) -> None:
    opened = house.opened()
    house.technician("delete", opened.known_id or "")
    assert house.psa.find_tickets(opened.external_ref) == []
    with pytest.raises(NotFound):
        house.psa.ticket(opened.known_id or "")
    with pytest.raises(NotFound):
        house.psa.plan_ticket(house.over(opened))


def test_contact_agreement_site_and_due_date_arrive_as_wished(house: House) -> None:
    contact, agreement, site = (house.of_company(kind) for kind in ("contact", "agreement", "site"))
    due_at = (datetime.now(UTC) + timedelta(hours=6)).replace(microsecond=0, second=0)
    opened = house.opened(contact_id=contact, agreement_id=agreement, site_id=site, due_at=due_at)
    found = house.placed(opened.known_id or "")
    assert found == {
        "contact": contact,
        "agreement": agreement,
        "site": site,
        "due": f"{due_at:%Y-%m-%dT%H:%M}",
    }
