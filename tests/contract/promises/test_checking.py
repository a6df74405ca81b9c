""" "Test It" passes when all is there, names what is not, and never writes."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from integrations.psa.port import Feature
from tests.contract.houses import House

EVERY: tuple[Feature, ...] = ("tickets", "closing", "billing", "statistics", "choices")


def needed(house: House, features: Collection[Feature]) -> set[str]:
    return {check.name for check in house.psa.check(features) if check.verdict != "not needed"}


def test_a_full_role_fails_nowhere(house: House) -> None:
    checks = house.psa.check(EVERY)
    assert checks
    assert {check.verdict for check in checks} <= {"passed", "probably", "not needed"}
    assert house.writes() == 0


@pytest.mark.parity("S0-3", "S2-6", "S2-8", "S2-9", "S3-12")
def test_each_missing_right_is_named(house: House) -> None:
    """One right after the other, each from the full role again."""
    for lack in house.lacks():
        house.take_right(lack)
        failed = [check for check in house.psa.check(EVERY) if check.verdict == "failed"]
        assert failed, lack
        assert any(lack.names in f"{check.name} {check.fix}" for check in failed), (lack, failed)
        assert all(check.fix for check in failed), lack
        house.give_rights_back()
    assert house.writes() == 0


@pytest.mark.parity("S3-6")
def test_only_what_is_switched_on_is_checked(house: House) -> None:
    every = needed(house, EVERY)
    for feature in EVERY:
        assert needed(house, [feature]) < every


@pytest.mark.parity("S4-66")
def test_refused_keys_fail_and_tell_what_to_do(house: House) -> None:
    if house.kind == "fake":
        house.not_promised("the fake answers the checks that it was given")
    house.rotate_keys()
    checks = house.psa.check(EVERY)
    failed = [check for check in checks if check.verdict == "failed"]
    assert failed
    assert failed[0].fix
    assert house.writes() == 0
