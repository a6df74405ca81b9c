"""The fake keeps the port's promises, so that tests of other rooms may believe it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from integrations.psa.errors import Misconfigured, NotFound, Unreachable
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedLine, WantedLines, WantedTicket
from tests.integrations.psa.fake import FakePsa

OPEN = WantedTicket(external_ref="portal-17-1", state="open", company_id="250", summary="Backup failed")


@pytest.fixture
def psa() -> FakePsa:
    return FakePsa()


def opened(psa: FakePsa) -> str:
    return psa.apply(psa.plan_ticket(OPEN)).items[0].record_id


def test_it_is_a_psa(psa: FakePsa) -> None:
    promised: Psa = psa
    assert promised.check(["tickets"])[0].verdict == "passed"


def test_a_ticket_opens_and_closes(psa: FakePsa) -> None:
    ticket_id = opened(psa)
    over = replace(OPEN, state="closed", known_id=ticket_id)
    assert psa.apply(psa.plan_ticket(over)).items[0].answer["is_closed"] is True
    assert psa.ticket(ticket_id).is_closed
    assert psa.plan_ticket(over).items == ()


@pytest.mark.parametrize(("commits", "at_once", "later"), [(False, 0, 0), (True, 1, 1), ("late", 0, 1)])
def test_a_lost_answer_may_or_may_not_have_been_a_ticket(
    commits: bool, at_once: int, later: int, psa: FakePsa
) -> None:
    psa.fail("apply", Unreachable("lost", outcome_unknown=True), commits=commits)
    with pytest.raises(Unreachable):
        opened(psa)
    assert len(psa.find_tickets("portal-17-1")) == at_once
    psa.settle()
    assert len(psa.find_tickets("portal-17-1")) == later
    opened(psa)


def test_a_fault_lasts_as_long_as_said(psa: FakePsa) -> None:
    psa.fail("find_tickets", Unreachable("down"), times=2)
    for _ in range(2):
        with pytest.raises(Unreachable):
            psa.find_tickets("x")
    assert psa.find_tickets("x") == []


def test_the_technician_gets_in_the_way(psa: FakePsa) -> None:
    first, second = opened(psa), opened(psa)
    over = replace(OPEN, state="closed", known_id=first)
    psa.technician_merges(first, into=second)
    assert psa.plan_ticket(over).items[0].record_id == second
    psa.technician_deletes(first)
    with pytest.raises(NotFound):
        psa.plan_ticket(over)


def test_a_status_that_does_not_close_is_refused(psa: FakePsa) -> None:
    psa.add_option("status", "8", "In Progress", within="2", closed=False)
    over = replace(OPEN, state="closed", known_id=opened(psa), closing_status_id="8")
    with pytest.raises(Misconfigured):
        psa.apply(psa.plan_ticket(over))


def test_lines_are_updated_created_or_asked_about(psa: FakePsa) -> None:
    line = psa.add_line("401", quantity="250")
    storage = WantedLine(key="storage", product_id="301", product_name="OBS-GB", quantity=Decimal(300))
    server = replace(storage, key="server", product_id="302", product_name="OBS-SERVER")
    wanted = WantedLines(
        agreement_id="401", agreement_name="Backup", company_id="250", lines=(storage, server)
    )
    plan = psa.plan_lines(wanted)
    assert [finding.code for finding in plan.findings] == ["line_missing"]
    psa.apply(plan)
    assert psa.lines("401")[0] == replace(line, quantity="300")
    wanted = replace(wanted, lines=(storage, replace(server, create_if_missing=True)))
    psa.apply(psa.plan_lines(wanted))
    assert [line.quantity for line in psa.lines("401")] == ["300", "300"]
