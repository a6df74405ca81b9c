"""What people have worked on is left to them, and told once."""

from __future__ import annotations

from tests.contract.houses import House

PARTING = "The problem is over. Close this ticket when you are done."


def touched(house: House) -> str:
    """A ticket that a person closed and opened again."""
    ticket_id = house.opened().known_id or ""
    house.technician("close", ticket_id)
    house.technician("reopen", ticket_id)
    return ticket_id


def test_a_ticket_that_nobody_touched_is_closed(house: House) -> None:
    opened = house.opened()
    plan = house.psa.plan_ticket(house.over(opened, only_untouched=True, parting_note=PARTING))
    assert [(item.key, item.record_id) for item in plan.items] == [("close", opened.known_id)]
    assert plan.findings == ()


def test_a_ticket_that_somebody_worked_on_gets_a_note_instead(house: House) -> None:
    ticket_id = touched(house)
    wanted = house.over(house.wanted(known_id=ticket_id), only_untouched=True, parting_note=PARTING)
    plan = house.psa.plan_ticket(wanted)
    assert [(item.action, item.record_id, item.after["text"]) for item in plan.items] == [
        ("note", ticket_id, PARTING)
    ]
    assert [finding.code for finding in plan.findings] == ["touched"]
    house.psa.apply(plan)
    assert not house.psa.ticket(ticket_id).is_closed


def test_a_note_that_may_be_there_is_looked_for_first(house: House) -> None:
    ticket_id = touched(house)
    wanted = house.over(
        house.wanted(known_id=ticket_id), only_untouched=True, parting_note=PARTING, may_have_note=True
    )
    house.psa.apply(house.psa.plan_ticket(wanted))
    again = house.psa.plan_ticket(wanted)
    assert (again.items, again.unchanged) == ((), ("ticket",))
    assert [finding.code for finding in again.findings] == ["touched"]
