"""Pickers offer what there is, each once, and say what decides about its use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from integrations.psa.kinds import ABILITIES
from integrations.psa.port import ChoiceKind
from tests.contract.houses import House

GLOBAL: tuple[ChoiceKind, ...] = (
    "company",
    "board",
    "priority",
    "source",
    "product",
    "agreement",
    "contact",
)
OF_A_BOARD: tuple[ChoiceKind, ...] = ("status", "type", "subtype", "item")


@pytest.mark.parametrize("kind", GLOBAL)
def test_choices_have_ids_and_names_of_their_own(kind: ChoiceKind, house: House) -> None:
    offered = house.psa.choices(kind)
    assert offered
    assert all(one.kind == kind and one.id and one.name for one in offered)
    assert len({one.id for one in offered}) == len(offered)
    assert len({(one.within, one.name) for one in offered}) == len(offered)


@pytest.mark.parametrize("kind", OF_A_BOARD)
def test_choices_of_a_board_have_ids_and_names_of_their_own(kind: ChoiceKind, house: House) -> None:
    for board in house.psa.choices("board"):
        offered = house.psa.choices(kind, board.id)
        assert offered
        assert {(one.kind, one.within) for one in offered} == {(kind, board.id)}
        assert len({one.id for one in offered}) == len(offered)


def test_names_of_statuses_differ_within_a_board(house: House) -> None:
    for board in house.psa.choices("board"):
        names = [status.name for status in house.psa.choices("status", board.id)]
        assert len(set(names)) == len(names)


def test_statuses_tell_whether_they_close(house: House) -> None:
    for board in house.psa.choices("board"):
        closes = [status.data["closed"] for status in house.psa.choices("status", board.id)]
        assert set(closes) == {True, False}


def test_agreements_can_be_asked_for_by_company(house: House) -> None:
    for company in house.psa.choices("company"):
        for one in house.psa.choices("agreement", company.id):
            assert one.within == company.id
            assert one.data["recurring"] or one.data["reason"]


def test_contacts_can_be_asked_for_by_company(house: House) -> None:
    found = house.psa.choices("contact", house.company)
    assert found
    assert {one.within for one in found} == {house.company}
    assert {one.id for one in found} <= {one.id for one in house.psa.choices("contact")}


@pytest.mark.parametrize("kind", ["company", "product", "agreement"])
def test_what_was_changed_since_is_told_alone(kind: ChoiceKind, house: House) -> None:
    assert kind in ABILITIES[house.psa.kind].incremental
    offered = house.psa.choices(kind)
    since = datetime.now(UTC) - timedelta(seconds=90)
    house.rename(kind, offered[0].id, "Another Name")
    found = house.psa.choices(kind, changed_since=since)
    assert [(one.id, one.name, one.within) for one in found] == [
        (offered[0].id, "Another Name", offered[0].within)
    ]
    assert house.psa.choices(kind, changed_since=since + timedelta(hours=1)) == []


def test_companies_are_found_by_a_part_of_their_name_in_any_case(house: House) -> None:
    every = {company.id: company for company in house.psa.companies()}
    for company in every.values():
        for part in (company.name, company.name.upper(), company.name[1:-1].lower()):
            found = house.psa.companies(part)
            assert company.id in {one.id for one in found}
            assert all(one.id in every for one in found)
    assert house.psa.companies("there is no such company") == []


@pytest.mark.parametrize("part", ["%", "_", "'", '"', "*", "[a]", "\\", "😀", "O'Neil", "Quarry & Stone"])
def test_signs_in_a_search_stand_for_themselves(part: str, house: House) -> None:
    found = house.psa.companies(part)
    assert all(part.casefold() in f"{one.name}{one.data.get('identifier', '')}".casefold() for one in found)
    expected = [one.id for one in house.psa.companies() if part in one.name]
    assert [one.id for one in found] == expected
