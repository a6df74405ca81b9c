"""Small slices of the demonstrations of a ticket's life: 6.2, 6.11 and 6.13 (6.3 and 6.14 are in tests/flows)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alerts.proving import lifeworld, oneticket, outage, volatile
from alerts.proving.lifeworld import LifeWorld
from integrations.sandbox import Sandbox, running_sandbox


@pytest.fixture(scope="module")
def psa() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def world(transactional_db: None, psa: Sandbox) -> LifeWorld:
    psa.control.clear_faults()
    psa.control.reset()
    return lifeworld.build("connectwise", psa)


def test_lost_answers_and_lost_dispatchers_come_to_one_ticket_an_episode(world: LifeWorld) -> None:
    tally = oneticket.run(world, seeds=2)
    assert tally.held, str(tally)


def test_what_is_volatile_in_a_key_is_detected_and_what_is_a_name_is_not(world: LifeWorld) -> None:
    tally = volatile.run(world, feeds=36, stable=150)
    assert tally.held, str(tally)


def test_after_an_outage_only_what_still_fails_has_a_ticket_and_the_rest_is_told_once(
    world: LifeWorld,
) -> None:
    tally = outage.run(world, events=400, accounts=30)
    assert tally.held, str(tally)
