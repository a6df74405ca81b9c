from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.psa.autotask import AutotaskPsa
from integrations.psa.errors import Misconfigured, NotFound, PsaError, Unreachable
from integrations.psa.port import TicketState
from integrations.sandbox import Sandbox
from tests.integrations.psa.autotask.conftest import Connect, backup_failed


def opened(psa: AutotaskPsa, **changes: object) -> TicketState:
    item = psa.apply(psa.plan_ticket(backup_failed(**changes))).items[0]
    return psa.ticket(item.record_id)


def closing(ticket_id: str, **changes: object) -> Any:
    return backup_failed(state="closed", known_id=ticket_id, **changes)


def test_a_new_problem_opens_a_ticket_with_one_call(psa: AutotaskPsa) -> None:
    applied = psa.apply(psa.plan_ticket(backup_failed(status_id="1", source_id="8")))
    assert (psa.transport.reads, psa.transport.writes) == (0, 1)
    assert applied.items[0].answer["url"].endswith(f"ticketId={applied.items[0].record_id}")
    assert applied.items[0].answer["number"] == ""


def test_the_first_ticket_of_a_process_learns_what_autotask_needs(connected: Connect) -> None:
    psa = connected()
    psa.plan_ticket(backup_failed())
    assert psa.transport.reads == 2  # the zone, and the fields of tickets


def test_the_ticket_carries_our_key_and_the_whole_story(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ticket = opened(psa, type_id="10", subtype_id="101", category_id="3")
    row = sandbox.control.tickets(id=ticket.id)[0]
    assert (row["externalID"], row["companyID"], row["ticketType"]) == ("portal:17:1", 201, 5)
    assert (row["issueType"], row["subIssueType"], row["ticketCategory"]) == (10, 101, 3)
    assert "Error 17." in row["description"]
    assert ticket.external_ref == "portal:17:1"
    assert ticket.number.startswith("T")


def test_closing_reads_before_and_after(psa: AutotaskPsa) -> None:
    item = psa.apply(psa.plan_ticket(backup_failed())).items[0]
    plan = psa.plan_ticket(closing(item.record_id, note="All is well again."))
    closed = psa.apply(plan).items[0]
    assert (psa.transport.writes, psa.transport.reads) == (2, 2)
    assert plan.found["number"] == closed.answer["number"]
    assert closed.answer["is_closed"] is True


def test_the_last_word_becomes_the_resolution_unless_there_is_one(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    first, second = opened(psa), opened(psa, external_ref="portal:18:1")
    psa.apply(psa.plan_ticket(closing(first.id, note="All is well again.")))
    assert sandbox.control.tickets(id=first.id)[0]["resolution"] == "All is well again."
    sandbox.control.technician("edit", ticket=int(second.id), fields={"resolution": "Disk replaced."})
    psa.apply(psa.plan_ticket(closing(second.id, note="All is well again.")))
    row = sandbox.control.tickets(id=second.id)[0]
    assert row["resolution"] == "Disk replaced."
    assert [(note["description"], note["publish"]) for note in row["notes"]] == [("All is well again.", 2)]


def test_closing_works_where_a_resolution_is_demanded(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.switches(resolution_required=True)
    ticket = opened(psa)
    psa.apply(psa.plan_ticket(closing(ticket.id)))
    assert psa.ticket(ticket.id).is_closed


def test_a_rule_that_puts_the_status_back_is_found_out(connected: Connect, sandbox: Sandbox) -> None:
    pauses: list[float] = []
    psa = connected(pause=pauses.append)
    ticket = opened(psa)
    sandbox.control.technician("bounce", ticket=int(ticket.id), times=1)
    with pytest.raises(Misconfigured, match="does not let it close") as caught:
        psa.apply(psa.plan_ticket(closing(ticket.id)))
    assert caught.value.field == "closing_status"
    assert pauses == [1.5]
    psa.apply(psa.plan_ticket(closing(ticket.id)))
    assert psa.ticket(ticket.id).is_closed


def test_a_status_that_does_not_close_is_found_out(psa: AutotaskPsa) -> None:
    ticket = opened(psa)
    with pytest.raises(Misconfigured, match="does not close"):
        psa.apply(psa.plan_ticket(closing(ticket.id, closing_status_id="8")))


def test_a_plan_writes_nothing(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    before = len(sandbox.control.journal())
    psa.plan_ticket(backup_failed(external_ref="portal:18:1"))
    plan = psa.plan_ticket(closing(ticket.id))
    assert len(sandbox.control.journal()) == before
    assert plan.items[0].before == {"status_id": "1", "is_closed": False}


def test_a_ticket_that_a_technician_closed_is_left_alone(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    sandbox.control.technician("close", ticket=int(ticket.id))
    plan = psa.plan_ticket(closing(ticket.id))
    assert plan.items == ()
    assert (plan.found["is_closed"], plan.found["number"]) == (True, ticket.number)


def test_a_merged_ticket_is_told_at_the_other_one_which_stays_open(
    psa: AutotaskPsa, sandbox: Sandbox
) -> None:
    ticket, other = opened(psa), opened(psa, external_ref="portal:18:1")
    sandbox.control.technician("merge", ticket=int(ticket.id), into=int(other.id))
    assert psa.ticket(ticket.id).merged_into == other.id
    plan = psa.plan_ticket(closing(ticket.id))
    psa.apply(plan)
    assert [(item.action, item.record_id) for item in plan.items] == [("note", other.id)]
    assert plan.findings[0].code == "merged"
    assert not psa.ticket(other.id).is_closed


def test_the_ticket_that_took_another_in_is_closed_itself(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ticket, other = opened(psa), opened(psa, external_ref="portal:18:1")
    sandbox.control.technician("merge", ticket=int(ticket.id), into=int(other.id))
    psa.apply(psa.plan_ticket(closing(other.id)))
    assert psa.ticket(other.id).is_closed
    assert psa.ticket(other.id).merged_into is None


@pytest.mark.parametrize("missing_item", ["null", "404"])
def test_a_deleted_ticket_is_not_found(psa: AutotaskPsa, sandbox: Sandbox, missing_item: str) -> None:
    sandbox.control.switches(missing_item=missing_item)
    ticket = opened(psa)
    sandbox.control.technician("delete", ticket=int(ticket.id))
    with pytest.raises(NotFound):
        psa.plan_ticket(closing(ticket.id))


def test_news_become_an_internal_note(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    sandbox.control.switches(note_titles_required=True)
    ticket = opened(psa)
    applied = psa.apply(psa.plan_ticket(backup_failed(known_id=ticket.id, note="It failed again.")))
    note = sandbox.control.tickets(id=ticket.id)[0]["notes"][0]
    assert applied.items[0].action == "note"
    assert (note["description"], note["noteType"], note["publish"]) == ("It failed again.", 3, 2)


def test_what_needs_nothing_costs_nothing(psa: AutotaskPsa) -> None:
    assert psa.plan_ticket(backup_failed(known_id="10001")).unchanged == ("ticket",)
    assert psa.plan_ticket(backup_failed(state="closed")).items == ()
    assert psa.transport.reads == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"board_id": None}, "board"),
        ({"board_id": "29682836"}, "board"),
        ({"priority_id": "3"}, "priority"),
        ({"type_id": "11", "subtype_id": "101"}, "subtype"),
        ({"category_id": "103"}, "category"),
        ({"external_ref": "x" * 51}, "installation"),
        ({"company_id": "Bakery"}, "company"),
    ],
)
def test_a_setting_that_does_not_fit_is_found_before_anything_is_written(
    psa: AutotaskPsa, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        psa.plan_ticket(backup_failed(**changes))
    assert caught.value.field == field
    assert psa.transport.writes == 0


def test_a_category_that_needs_more_says_which_setting(psa: AutotaskPsa) -> None:
    with pytest.raises(Misconfigured) as caught:
        psa.apply(psa.plan_ticket(backup_failed(category_id="102")))
    assert caught.value.field == "type"
    assert not caught.value.outcome_unknown


def test_a_category_may_give_the_queue(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ticket = opened(psa, category_id="101", board_id=None, priority_id=None)
    assert ticket.board_id == "29682834"
    assert sandbox.control.tickets(id=ticket.id)[0]["dueDateTime"]


def test_a_value_that_is_new_in_autotask_is_known_at_once(
    psa: AutotaskPsa, sandbox: Sandbox, monkeypatch: Any
) -> None:
    sandbox.control.technician("add", picklist="Tickets.queueID", value=77, name="Night Watch")
    monkeypatch.setattr("integrations.psa.autotask.opening.FRESH", 0.0)
    assert opened(psa, board_id="77").board_id == "77"


def test_a_ticket_is_due_when_it_is_wanted_or_in_a_day(psa: AutotaskPsa) -> None:
    due = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    body = psa.plan_ticket(backup_failed(due_at=due)).items[0].request.body
    assert body["dueDateTime"] == "2027-01-02T03:04:05Z"
    usual = datetime.fromisoformat(psa.plan_ticket(backup_failed()).items[0].request.body["dueDateTime"])
    assert timedelta(hours=23) < usual - datetime.now(UTC) <= timedelta(days=1)


def test_tickets_are_found_by_exactly_our_key(psa: AutotaskPsa) -> None:
    first, second = opened(psa), opened(psa)
    opened(psa, external_ref="portal:17:11")
    assert [ticket.id for ticket in psa.find_tickets("portal:17:1")] == [first.id, second.id]
    assert psa.find_tickets("portal:17:x") == []


def test_the_sweep_finds_what_is_ours_and_recent(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ours = opened(psa)
    opened(psa, external_ref="other:1:1")
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert [ticket.id for ticket in psa.recent_tickets("portal:", hour_ago)] == [ours.id]
    assert psa.recent_tickets("portal:", datetime.now(UTC) + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    "fault", ["commit_then_drop", "status_500", "html_503", "truncated_json", "invalid_json"]
)
def test_a_create_without_an_answer_is_unknown_and_found_by_its_key(
    psa: AutotaskPsa, sandbox: Sandbox, fault: str
) -> None:
    options = {"commit": True} if fault in ("status_500", "html_503") else {}
    sandbox.control.fault(fault, method="POST", path="V1.0/Tickets$", times=1, **options)
    with pytest.raises(Unreachable) as caught:
        psa.apply(psa.plan_ticket(backup_failed()))
    assert caught.value.outcome_unknown
    assert len(psa.find_tickets("portal:17:1")) == 1


def test_a_close_whose_proof_is_lost_is_unknown(psa: AutotaskPsa, sandbox: Sandbox) -> None:
    ticket = opened(psa)
    plan = psa.plan_ticket(closing(ticket.id))
    sandbox.control.fault("html_503", method="GET", path="V1.0/Tickets/", times=1)
    with pytest.raises(PsaError) as caught:
        psa.apply(plan)
    assert caught.value.outcome_unknown
    assert psa.plan_ticket(closing(ticket.id)).items == ()
