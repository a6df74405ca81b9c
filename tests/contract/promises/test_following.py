"""What people changed is listed, by key and by id; being told of it is asked for once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.psa.errors import NotFound
from integrations.psa.plan import Plan
from integrations.psa.wanted import WantedCallback
from tests.contract.houses import House


def just_now() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def test_changed_tickets_with_our_key_are_listed_as_they_are_now(house: House) -> None:
    opened = house.opened()
    house.opened(external_ref="somebody-else:1")
    house.technician("close", opened.known_id or "")
    listed = house.psa.changed_tickets(opened.external_ref, just_now())
    assert [(one.id, one.is_closed) for one in listed] == [(opened.known_id, True)]
    assert listed[0].external_ref == opened.external_ref
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    assert house.psa.changed_tickets("somebody-else", in_an_hour) == []


def test_tickets_are_found_by_id_and_deleted_ones_are_missing(house: House) -> None:
    first, second = house.opened(), house.opened(external_ref="portal-18-1")
    ids = [first.known_id or "", second.known_id or ""]
    assert sorted(one.id for one in house.psa.tickets_by_id(ids)) == sorted(ids)
    house.technician("delete", ids[0])
    assert [one.id for one in house.psa.tickets_by_id(ids)] == [ids[1]]
    with pytest.raises(NotFound):
        house.psa.ticket(ids[0])


def test_listed_tickets_tell_board_company_and_merge_like_single_ones(house: House) -> None:
    first, second = house.opened(), house.opened(external_ref="portal-18-1")
    house.technician("merge", first.known_id or "", into=second.known_id or "")
    [listed] = house.psa.tickets_by_id([first.known_id or ""])
    single = house.psa.ticket(first.known_id or "")
    names = ("id", "external_ref", "is_closed", "board_id", "status_id", "company_id", "merged_into")
    assert [getattr(listed, name) for name in names] == [getattr(single, name) for name in names]
    assert listed.merged_into == second.known_id


def test_being_told_is_asked_for_once_and_taken_back(house: House) -> None:
    wanted = WantedCallback(
        name="PSA Portal psap 1",
        state="present",
        url="https://portal.example.com/hooks/x/",
        secret="s" * 43,
    )
    made = carried_out(house, wanted)
    assert made
    assert {item.record for item in made} == {"callback"}
    plan = house.psa.plan_callback(wanted)
    assert (plan.items, plan.unchanged) == ((), ("callback",))
    assert plan.found["id"]
    assert [item.action for item in carried_out(house, absent(wanted))] == ["delete"]
    assert carried_out(house, absent(wanted)) == []


def absent(wanted: WantedCallback) -> WantedCallback:
    return WantedCallback(**{**vars(wanted), "state": "absent"})


def carried_out(house: House, wanted: WantedCallback) -> list[Any]:
    """Planned and applied until there is nothing left to do."""
    done: list[Any] = []
    for _ in range(5):
        plan: Plan = house.psa.plan_callback(wanted)
        if not plan.items:
            return done
        assert "secret" not in str([dict(item.after) for item in plan.items]).lower()
        house.psa.apply(plan)
        done += plan.items
    raise AssertionError("it does not come to an end")
