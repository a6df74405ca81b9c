"""What goes wrong is told by what must happen next, and a write with an unknown outcome is never made twice."""

from __future__ import annotations

import pytest

from integrations.psa.errors import NotPermitted, PsaError, SignInRefused, Throttled, Unreachable
from tests.contract.houses import House, Trouble

READS = {
    "ticket": lambda house, ticket_id: house.psa.ticket(ticket_id),
    "find_tickets": lambda house, ticket_id: house.psa.find_tickets("portal:17"),
    "choices": lambda house, ticket_id: house.psa.choices("product"),
    "lines": lambda house, ticket_id: house.psa.lines(house.agreement),
}


def test_a_create_whose_answer_is_lost_is_found_again(house: House) -> None:
    wanted = house.wanted()
    plan = house.psa.plan_ticket(wanted)
    house.trouble("lost answer", at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(plan)
    assert caught.value.outcome_unknown
    assert len(house.psa.find_tickets(wanted.external_ref)) == 1


def test_a_create_that_lands_late_is_found_again(house: House) -> None:
    wanted = house.wanted()
    plan = house.psa.plan_ticket(wanted)
    house.trouble("late", at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(plan)
    assert caught.value.outcome_unknown
    house.settle()
    assert len(house.psa.find_tickets(wanted.external_ref)) == 1


@pytest.mark.parametrize("what", ["lost request", "trouble", "page", "web page", "cut off", "garbled"])
def test_a_create_without_a_usable_answer_may_have_happened(what: Trouble, house: House) -> None:
    plan = house.psa.plan_ticket(house.wanted())
    house.trouble(what, at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(plan)
    assert caught.value.outcome_unknown


def test_a_close_whose_answer_is_lost_is_seen_by_the_next_plan(house: House) -> None:
    opened = house.opened()
    plan = house.psa.plan_ticket(house.over(opened))
    house.trouble("lost answer", at="apply")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(plan)
    assert caught.value.outcome_unknown
    assert house.psa.plan_ticket(house.over(opened)).items == ()


def test_what_was_done_before_an_error_is_told(house: House) -> None:
    plan = house.psa.plan_lines(house.lines(house.line(251), house.line(3, key="server", product_id="302")))
    assert [item.key for item in plan.items] == ["storage", "server"]
    house.spoil(plan.items[1].record_id or "")
    with pytest.raises(PsaError) as caught:
        house.psa.apply(plan)
    assert [item.key for item in caught.value.applied] == ["storage"]
    assert not caught.value.outcome_unknown
    assert house.quantity() == 251


def test_a_refused_connection_is_no_unknown_outcome(house: House) -> None:
    plan = house.psa.plan_ticket(house.wanted())
    with house.unreachable() as gone, pytest.raises(Unreachable) as caught:
        gone.apply(plan)
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("verb", READS)
@pytest.mark.parametrize("what", ["lost request", "trouble", "page", "web page", "cut off", "garbled"])
def test_a_read_without_a_usable_answer_is_tried_again_later(verb: str, what: Trouble, house: House) -> None:
    ticket_id = house.opened().known_id
    house.trouble(what, at=verb, times=None)
    with pytest.raises(Unreachable) as caught:
        READS[verb](house, ticket_id)
    assert not caught.value.outcome_unknown
    house.heal()
    READS[verb](house, ticket_id)


@pytest.mark.parametrize("seconds", [1, 7, 45])
@pytest.mark.parametrize("verb", [*READS, "apply"])
def test_a_psa_that_wants_a_pause_says_how_long(verb: str, seconds: int, house: House) -> None:
    ticket_id = house.opened().known_id
    plan = house.psa.plan_ticket(house.wanted())
    house.throttle(verb, seconds)
    with pytest.raises(Throttled) as caught:
        house.psa.apply(plan) if verb == "apply" else READS[verb](house, ticket_id)
    assert caught.value.retry_after == seconds
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("verb", READS)
def test_keys_that_are_not_accepted_are_for_a_person(verb: str, house: House) -> None:
    ticket_id = house.opened().known_id
    house.rotate_keys()
    with pytest.raises(SignInRefused) as caught:
        READS[verb](house, ticket_id)
    assert caught.value.needs_a_person
    assert caught.value.advice


def test_a_missing_right_is_named_with_its_click_path(house: House) -> None:
    plan = house.psa.plan_ticket(house.wanted())
    house.forbid_opening()
    with pytest.raises(NotPermitted) as caught:
        house.psa.apply(plan)
    assert "Tickets" in caught.value.module
    assert "Tickets" in caught.value.advice
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("verb", READS)
def test_what_may_not_be_read_is_named_with_its_click_path(verb: str, house: House) -> None:
    ticket_id = house.opened().known_id
    house.forbid(verb)
    with pytest.raises(NotPermitted) as caught:
        READS[verb](house, ticket_id)
    assert caught.value.module
    assert caught.value.advice
