"""A close closes, says so, and respects what people did to the ticket meanwhile."""

from __future__ import annotations

import pytest

from integrations.psa.errors import Misconfigured
from tests.contract.houses import House


def test_a_close_closes_and_says_so(house: House) -> None:
    opened = house.opened()
    plan = house.psa.plan_ticket(house.over(opened))
    assert [(item.key, item.action, item.record_id) for item in plan.items] == [
        ("close", "update", opened.known_id)
    ]
    assert plan.items[0].before["is_closed"] is False
    assert plan.items[0].after["is_closed"] is True
    applied = house.psa.apply(plan).items[0]
    assert applied.record_id == opened.known_id
    assert applied.answer["is_closed"] is True
    assert house.psa.ticket(opened.known_id or "").is_closed


def test_every_closing_status_of_a_board_closes(house: House) -> None:
    for status in house.psa.choices("status", house.board):
        if status.data["closed"]:
            opened = house.opened()
            house.closed(opened, closing_status_id=status.id)
            ticket = house.psa.ticket(opened.known_id or "")
            assert (ticket.is_closed, ticket.status_id) == (True, status.id)


def test_a_status_that_does_not_close_is_named_as_a_wrong_setting(house: House) -> None:
    opened = house.opened()
    for status in house.psa.choices("status", house.board):
        if status.data["closed"]:
            continue
        with pytest.raises(Misconfigured) as caught:
            house.closed(opened, closing_status_id=status.id)
        assert caught.value.field == "closing_status"
        assert caught.value.advice
    assert not house.psa.ticket(opened.known_id or "").is_closed


@pytest.mark.parametrize("by", ["us", "technician"])
def test_a_closed_ticket_needs_nothing_more(by: str, house: House) -> None:
    opened = house.opened()
    if by == "us":
        house.closed(opened)
    else:
        house.technician("close", opened.known_id or "")
    plan = house.psa.plan_ticket(house.over(opened, note="Over."))
    assert (plan.items, plan.unchanged) == ((), ("ticket",))
    assert plan.found["is_closed"] is True


def test_a_problem_that_never_had_a_ticket_needs_none_to_be_over(house: House) -> None:
    before = house.writes()
    assert house.psa.plan_ticket(house.over(house.wanted())).items == ()
    assert house.writes() == before


def test_a_moved_ticket_is_closed_where_it_is_now(house: House) -> None:
    for board in [board.id for board in house.psa.choices("board") if board.id != house.board]:
        opened = house.opened()
        house.technician("move", opened.known_id or "", board=board)
        house.closed(opened)
        ticket = house.psa.ticket(opened.known_id or "")
        closing = {status.id for status in house.psa.choices("status", board) if status.data["closed"]}
        assert (ticket.is_closed, ticket.board_id) == (True, board)
        assert ticket.status_id in closing


def test_a_reopened_ticket_can_be_closed_again(house: House) -> None:
    opened = house.opened()
    house.closed(opened)
    house.technician("reopen", opened.known_id or "")
    assert not house.psa.ticket(opened.known_id or "").is_closed
    house.closed(opened)
    assert house.psa.ticket(opened.known_id or "").is_closed


def test_a_merged_ticket_tells_the_one_it_went_into_and_leaves_it_open(house: House) -> None:
    opened, other = house.opened(), house.opened()
    house.technician("merge", opened.known_id or "", into=other.known_id or "")
    plan = house.psa.plan_ticket(house.over(opened))
    assert [(item.action, item.record_id) for item in plan.items] == [("note", other.known_id)]
    assert [finding.code for finding in plan.findings] == ["merged"]
    house.psa.apply(plan)
    assert not house.psa.ticket(other.known_id or "").is_closed
