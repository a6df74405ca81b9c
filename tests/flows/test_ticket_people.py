"""What people do to tickets in the PSA, and what becomes of them: both PSAs, over real HTTP (C6, C8, C9, 6.3, 6.14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alerts.proving import hands, lifeworld, movements
from alerts.proving.lifeworld import KINDS, LifeWorld
from alerts.proving.movements import MOVEMENTS, Movement
from integrations.sandbox import Sandbox, running_sandbox


@pytest.fixture(scope="module", params=KINDS)
def psa(request: Any) -> Iterator[Sandbox]:
    with running_sandbox(kind=request.param) as sandbox:
        sandbox.kind_of_psa = request.param
        yield sandbox


@pytest.fixture
def world(transactional_db: None, psa: Any) -> LifeWorld:
    return lifeworld.build(psa.kind_of_psa, psa)


@pytest.mark.parametrize("movement", MOVEMENTS, ids=lambda movement: movement.name)
@pytest.mark.parity("S4-63")
def test_a_ticket_is_followed_wherever_people_put_it(world: LifeWorld, movement: Movement) -> None:
    shown = movements.show(world, movement)
    assert shown.wrong == "", world.outcomes()


@pytest.mark.parametrize("seed", range(4))
def test_no_edit_by_a_person_is_ever_lost(world: LifeWorld, seed: int) -> None:
    tally = hands.interleave(world, seed=seed, rounds=12)
    assert tally.lost == []
    assert hands.doubles(world) == 0


def test_a_problem_whose_ticket_was_merged_goes_on_in_the_other_one(world: LifeWorld) -> None:
    world.fails()
    world.drain()
    own, other = world.ticket().psa_id, world.person_ticket("The big one")
    world.technician("merge", own, into=int(other))
    world.recovers()
    world.drain()
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["open"]
    assert "Failing again" in world.notes(other)[-1]
    world.technician("close", other)
    world.recovers()
    world.drain()
    world.fails()
    world.drain()
    assert [row.state for row in world.tickets()] == ["gone", "open"]
