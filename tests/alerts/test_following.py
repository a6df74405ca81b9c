"""What is learned of a ticket in the PSA, as it is kept on its row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from alerts.following import FollowedTickets
from alerts.models import Ticket
from integrations.psa.port import TicketState
from portal import clock
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticket(world: make.World) -> Ticket:
    made: Ticket = Ticket.objects.create(
        partner=world.partner,
        condition=make.condition(world),
        credentials=world.credentials,
        generation=1,
        external_ref="psap:1:1",
        state="open",
        psa_id="700",
        opened_at=clock.now(),
    )
    return made


def state(**more: Any) -> TicketState:
    usual = {"id": "700", "number": "700", "url": "", "external_ref": "psap:1:1", "summary": "x"}
    places = {"is_closed": False, "board_id": "2", "status_id": "7", "company_id": "250"}
    return TicketState(**{**usual, **places, "changed_at": clock.now(), "updated_by": "Marisol", **more})


def note(ticket: Ticket, *states: TicketState, gone: tuple[str, ...] = ()) -> int:
    news = FollowedTickets().note(ticket.credentials, states, gone)
    ticket.refresh_from_db()
    return news


def test_the_first_look_at_a_new_ticket_is_no_news(ticket: Ticket) -> None:
    assert note(ticket, state()) == 0
    assert (ticket.board_id, ticket.company_id, ticket.psa_status, ticket.news) == ("2", "250", "New", "")


@pytest.mark.parametrize(
    ("change", "news"),
    [
        ({"is_closed": True}, "closed"),
        ({"board_id": "3", "status_id": "13"}, "moved to"),
        ({"company_id": "251"}, "now of"),
        ({"merged_into": "701", "is_closed": True}, "merged into 701"),
        ({"parent_id": "701"}, "made a child of 701"),
        ({"status_id": "8"}, "status"),
    ],
    ids=str,
)
def test_a_change_is_news_once_with_who_did_it(ticket: Ticket, change: Any, news: str) -> None:
    note(ticket, state())
    changed = state(**change)
    assert [note(ticket, changed), note(ticket, changed)] == [1, 0]
    assert news in ticket.news
    is_over = news == "closed"
    assert (ticket.changed_by, ticket.state) == ("Marisol", "closed" if is_over else "open")
    assert (ticket.acknowledged_at is not None, ticket.closed_at is not None) == (is_over, is_over)


def test_an_older_look_that_comes_late_changes_nothing(ticket: Ticket) -> None:
    note(ticket, state(is_closed=True))
    assert note(ticket, state(changed_at=clock.now() - timedelta(minutes=1))) == 0
    assert ticket.psa_closed_at is not None


def test_a_ticket_that_came_home_is_not_moved_any_more(ticket: Ticket) -> None:
    for board in ("2", "3", "2"):
        note(ticket, state(board_id=board))
    assert (ticket.board_id, ticket.moved_to) == ("2", "")


def test_what_we_are_closing_ourselves_is_no_news(ticket: Ticket) -> None:
    note(ticket, state())
    Ticket.objects.update(sent_at=clock.now())
    assert note(ticket, state(is_closed=True)) == 0


def test_a_deleted_ticket_ends_and_a_closed_one_keeps_its_end(ticket: Ticket) -> None:
    assert [note(ticket, gone=("700",)), note(ticket, gone=("700",))] == [1, 0]
    assert (ticket.state, ticket.news) == ("gone", "deleted")
    Ticket.objects.update(state="closed", gone_at=None, news="")
    assert note(ticket, gone=("700",)) == 0
    assert (ticket.state, ticket.gone_at is not None) == ("closed", True)


def test_another_connections_ticket_of_the_same_number_is_not_touched(ticket: Ticket, sandbox: Any) -> None:
    other = make.world(sandbox, name="Rival MSP", number=7)
    keeper = FollowedTickets()
    assert keeper.known(other.credentials, {"700"}) == set()
    assert keeper.note(other.credentials, [state(is_closed=True)], ()) == 0
    ticket.refresh_from_db()
    assert ticket.seen_at is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"gone_at": "now"},
        {"merged_into": "700"},
        {"board_id": "2", "moved_to": "2"},
        {"psa_id": "", "seen_at": "now"},
    ],
    ids=str,
)
def test_the_database_forbids_nonsense(ticket: Ticket, wrong: dict[str, str]) -> None:
    values = {name: clock.now() if value == "now" else value for name, value in wrong.items()}
    with pytest.raises(IntegrityError), transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(**values)
