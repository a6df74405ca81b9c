from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.tickets import SUMMARY_LENGTH, moment, require_closed
from integrations.psa.errors import Misconfigured, NotFound, NotPermitted, Rejected, Unreachable
from integrations.psa.port import TicketState
from integrations.psa.texts import cut_summary
from integrations.sandbox import Sandbox
from tests.integrations.psa.connectwise.conftest import Connect, backup_failed


def opened(psa: ConnectWisePsa, **changes: object) -> TicketState:
    item = psa.apply(psa.plan_ticket(backup_failed(**changes))).items[0]
    return psa.ticket(item.record_id)


def closing(ticket_id: str, **changes: object) -> Any:
    return backup_failed(state="closed", known_id=ticket_id, **changes)


def test_a_new_problem_opens_a_ticket_without_reading_anything(psa: ConnectWisePsa) -> None:
    applied = psa.apply(psa.plan_ticket(backup_failed(status_id="7", priority_id="2", source_id="5")))
    answer = applied.items[0].answer
    assert (psa.transport.reads, psa.transport.writes) == (0, 1)
    assert answer["number"] == applied.items[0].record_id
    assert answer["url"].endswith(f"service_recid={answer['number']}&companyName=cirrus")
    assert (answer["is_closed"], answer["status_id"], answer["board_id"]) == (False, "7", "2")


def test_the_ticket_carries_our_key_and_the_whole_story(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa, type_id="3", subtype_id="6")
    row = next(row for row in sandbox.control.tickets() if str(row["id"]) == ticket.id)
    assert row["externalXRef"] == "portal-17-1"
    assert row["company"]["identifier"] == "BakeryOtt"
    assert "Error 17." in str(sandbox.control.get(f"tickets/{ticket.id}"))


def test_opening_and_closing_costs_two_writes_and_one_read(psa: ConnectWisePsa) -> None:
    item = psa.apply(psa.plan_ticket(backup_failed())).items[0]
    closed = psa.apply(psa.plan_ticket(closing(item.record_id))).items[0]
    assert (psa.transport.writes, psa.transport.reads) == (2, 1)
    assert closed.answer["is_closed"] is True
    assert closed.answer["status_id"] == "12"


def test_a_plan_writes_nothing(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    before = len(sandbox.control.journal())
    psa.plan_ticket(backup_failed(external_ref="portal-18-1"))
    plan = psa.plan_ticket(closing(ticket.id))
    assert len(sandbox.control.journal()) == before
    assert plan.items[0].before == {"status_id": "7", "is_closed": False}
    assert plan.items[0].after == {"status_id": "12", "is_closed": True}


def test_an_open_problem_with_a_ticket_needs_nothing(psa: ConnectWisePsa) -> None:
    plan = psa.plan_ticket(backup_failed(known_id="10001"))
    assert (plan.items, plan.unchanged, psa.transport.reads) == ((), ("ticket",), 0)


def test_an_open_problem_with_news_gets_a_note(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    applied = psa.apply(psa.plan_ticket(backup_failed(known_id=ticket.id, note="It failed again.")))
    assert applied.items[0].action == "note"
    assert "It failed again." in str(sandbox.control.get(f"tickets/{ticket.id}"))


def test_a_closing_note_is_a_second_write(psa: ConnectWisePsa) -> None:
    ticket = opened(psa)
    applied = psa.apply(psa.plan_ticket(closing(ticket.id, note="All is well again.")))
    assert [item.key for item in applied.items] == ["close", "note"]


def test_a_problem_that_never_had_a_ticket_needs_none_to_be_over(psa: ConnectWisePsa) -> None:
    plan = psa.plan_ticket(backup_failed(state="closed"))
    assert (plan.items, psa.transport.reads) == ((), 0)


def test_a_ticket_that_a_technician_closed_is_left_alone(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    sandbox.control.technician("close", ticket=int(ticket.id))
    plan = psa.plan_ticket(closing(ticket.id))
    assert plan.items == ()
    assert plan.found["is_closed"] is True
    assert plan.found["updated_by"] == "technician"


def test_a_ticket_on_another_board_is_closed_with_a_status_of_that_board(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    ticket = opened(psa)
    sandbox.control.technician("move", ticket=int(ticket.id), board=1)
    applied = psa.apply(psa.plan_ticket(closing(ticket.id)))
    assert applied.items[0].answer["board_id"] == "1"
    assert applied.items[0].answer["status_id"] == "6"
    assert applied.items[0].answer["is_closed"] is True


def test_without_a_chosen_status_the_board_says_which_one_closes(psa: ConnectWisePsa) -> None:
    ticket = opened(psa)
    plan = psa.plan_ticket(closing(ticket.id, closing_status_id=None))
    assert plan.items[0].after["status_id"] == "12"


def test_a_merged_ticket_is_told_at_its_parent_which_stays_open(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    ticket, parent = opened(psa), opened(psa, external_ref="portal-18-1")
    sandbox.control.technician("merge", ticket=int(ticket.id), into=int(parent.id))
    plan = psa.plan_ticket(closing(ticket.id))
    psa.apply(plan)
    assert [(item.action, item.record_id) for item in plan.items] == [("note", parent.id)]
    assert plan.findings[0].code == "merged"
    assert not psa.ticket(parent.id).is_closed


def test_a_deleted_ticket_is_not_found(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    sandbox.control.technician("delete", ticket=int(ticket.id))
    with pytest.raises(NotFound):
        psa.plan_ticket(closing(ticket.id))


def test_a_status_that_does_not_close_is_found_out_by_the_answer(psa: ConnectWisePsa) -> None:
    ticket = opened(psa)
    with pytest.raises(Misconfigured, match="does not close") as caught:
        psa.apply(psa.plan_ticket(closing(ticket.id, closing_status_id="8")))
    assert caught.value.field == "closing_status"
    assert "Setup Tables" in caught.value.advice


def test_a_status_of_another_board_is_a_setting_to_correct(psa: ConnectWisePsa) -> None:
    with pytest.raises(Misconfigured) as caught:
        psa.apply(psa.plan_ticket(backup_failed(status_id="1")))
    assert caught.value.field == "status"
    ticket = opened(psa)
    with pytest.raises(Misconfigured) as caught:
        psa.apply(psa.plan_ticket(closing(ticket.id, closing_status_id="6")))
    assert caught.value.field == "closing_status"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("company_id", "company"),
        ("board_id", "board"),
        ("priority_id", "priority"),
        ("source_id", "source"),
        ("type_id", "type"),
    ],
)
def test_a_setting_that_vanished_in_the_psa_is_named(name: str, field: str, psa: ConnectWisePsa) -> None:
    with pytest.raises(Misconfigured) as caught:
        psa.apply(psa.plan_ticket(backup_failed(**{name: "999999"})))
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["250 or 1=1", "0x10", "-1", "１", "", "9" * 30])
def test_an_id_that_is_no_number_is_never_sent(text: str, psa: ConnectWisePsa) -> None:
    with pytest.raises(Misconfigured):
        psa.ticket(text)
    assert psa.transport.reads == 0


def test_the_right_that_is_missing_is_named(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    sandbox.control.role(close_service_tickets="None")
    with pytest.raises(NotPermitted) as caught:
        psa.apply(psa.plan_ticket(closing(ticket.id)))
    assert caught.value.module == "Service Desk > Close Service Tickets"
    assert "Security Roles" in caught.value.advice


def test_data_that_the_psa_refuses_for_good_is_told_by_field(psa: ConnectWisePsa) -> None:
    plan = psa.plan_ticket(backup_failed())
    plan.items[0].request.body["summary"] = "x" * 101
    with pytest.raises(Rejected) as caught:
        psa.apply(plan)
    assert "summary" in caught.value.fields
    assert caught.value.is_permanent


def test_an_error_tells_what_was_carried_out_before_it(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    plan = psa.plan_ticket(closing(ticket.id, note="All is well again."))
    sandbox.control.fault("status_500", path="notes")
    with pytest.raises(Unreachable) as caught:
        psa.apply(plan)
    assert [item.key for item in caught.value.applied] == ["close"]


def test_a_ticket_whose_answer_was_lost_is_found_by_its_key(psa: ConnectWisePsa, sandbox: Sandbox) -> None:
    sandbox.control.fault("commit_then_drop", method="POST", path="tickets", times=1)
    with pytest.raises(Unreachable) as caught:
        psa.apply(psa.plan_ticket(backup_failed()))
    assert caught.value.outcome_unknown
    found = psa.find_tickets("portal-17-1")
    assert [ticket.external_ref for ticket in found] == ["portal-17-1"]


def test_only_the_exact_key_is_found(psa: ConnectWisePsa) -> None:
    for ref in ("portal-17-1", "portal-17-10", "PORTAL-17-1", "portal-\"17'-1", "portal-%-1"):
        opened(psa, external_ref=ref)
    for ref in ("portal-17-1", "portal-\"17'-1", "portal-%-1"):
        assert [ticket.external_ref for ticket in psa.find_tickets(ref)] == [ref]
    assert psa.find_tickets("portal-1") == []


def test_recent_tickets_are_those_of_ours_since_then(psa: ConnectWisePsa) -> None:
    for ref in ("portal-17-1", "portal-18-1", "PORTAL-19-1", "other-1"):
        opened(psa, external_ref=ref)
    since = datetime.now(UTC) - timedelta(hours=24)
    recent = psa.recent_tickets("portal-", since)
    assert [ticket.external_ref for ticket in recent] == ["portal-17-1", "portal-18-1"]
    assert all(ticket.entered_at and ticket.entered_at >= since for ticket in recent)
    assert psa.recent_tickets("portal-", datetime.now(UTC) + timedelta(hours=1)) == []


def test_before_write_is_asked_for_writes_only(connected: Connect) -> None:
    asked: list[int] = []
    psa = connected(before_write=lambda: asked.append(1))
    psa.find_tickets("portal-17-1")
    assert asked == []
    psa.apply(psa.plan_ticket(backup_failed()))
    assert asked == [1]


@given(st.text(max_size=400))
def test_a_summary_is_one_line_of_at_most_a_hundred(summary: str) -> None:
    cut = cut_summary(summary, SUMMARY_LENGTH)
    assert len(cut) <= 100
    assert cut == " ".join(cut.split())


@given(st.text(alphabet=string.ascii_letters, min_size=120, max_size=400))
def test_a_long_summary_keeps_its_head_and_its_tail(summary: str) -> None:
    cut = cut_summary(summary, SUMMARY_LENGTH)
    assert summary.startswith(cut[:60])
    assert summary.endswith(cut[-30:])


@pytest.mark.parametrize(
    ("row", "is_closed"),
    [
        ({"closedFlag": True, "status": {"id": 12}}, True),
        ({"closedFlag": True, "status": {"id": 13}}, True),
        ({"status": {"id": 12}}, True),
        ({"id": 1}, True),
        ({"closedFlag": False, "status": {"id": 12}}, False),
        ({"closedFlag": False, "status": {"id": 7}}, False),
        ({"status": {"id": 7}}, False),
    ],
)
def test_the_answer_of_a_close_is_its_proof(row: dict[str, Any], is_closed: bool) -> None:
    if is_closed:
        require_closed(row, "12")
        return
    with pytest.raises(Misconfigured):
        require_closed(row, "12")


@pytest.mark.parametrize("text", ["2026-02-01T10:00:00Z", "2026-02-01T10:00:00.123Z", "2026-02-01T10:00:00"])
def test_moments_are_aware(text: str) -> None:
    found = moment(text)
    assert found is not None
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_is_none(text: str) -> None:
    assert moment(text) is None
