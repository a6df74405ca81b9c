"""Do different conditions have different keys, and the same one always the same?"""

from __future__ import annotations

import pytest

from alerts import eventtypes
from alerts.catalogue import EACH_ITS_OWN, EVENT_TYPES, Seed
from alerts.models import EventType


@pytest.fixture(autouse=True)
def jobs_of_backups(db: None) -> None:
    EventType.objects.update_or_create(
        name="backup.failed",
        defaults={"family": "backup", "condition_fields": ["job"], "default_action": "trigger"},
    )
    eventtypes.forget()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", {}), ("", {"job": "a"})),
        (("a", {"job": "b"}), ("a:b", {})),
        (("a:b", {}), ("a%3Ab", {})),
        (("", {"job": "x" * 400 + "1"}), ("", {"job": "x" * 400 + "2"})),
    ],
    ids=["account-or-job", "separator-in-account", "escape-in-account", "long"],
)
def test_different_conditions_have_different_keys(
    one: tuple[str, dict[str, str]], other: tuple[str, dict[str, str]]
) -> None:
    keys = [eventtypes.condition_key_of("backup.failed", *speaks) for speaks in (one, other)]
    assert keys[0] != keys[1]
    assert max(map(len, keys)) <= 300


def test_a_condition_of_an_account_has_a_key_that_people_can_read() -> None:
    assert eventtypes.condition_key_of("backup.failed", "SRV-01", {}) == "backup:SRV-01"
    assert (
        eventtypes.condition_key_of("backup.failed", "SRV-01", {"job": "nightly"}) == "backup:SRV-01:nightly"
    )


@pytest.mark.parity("S2-4", "S4-2")
def test_the_catalogue_has_what_the_seeds_send() -> None:
    """S2-4, S2-5, S2-44, S4-2, S4-3, S4-8."""
    names = {seed.name for seed in EVENT_TYPES}
    assert names >= {
        "hardware.drive_failed",
        "screenshot.failed",
        "agent.disconnected",
        "backup.missing",
        "backup.not_error_free",
        "storage.threshold",
        "backup.succeeded",
        "status.updated",
    }


@pytest.mark.parametrize("seed", EVENT_TYPES, ids=lambda seed: seed.name)
def test_what_begins_a_problem_has_something_that_ends_it_and_is_told_apart_alike(seed: Seed) -> None:
    family = [other for other in EVENT_TYPES if other.family == seed.family]
    if seed.default_action == "trigger" and seed.name not in EACH_ITS_OWN:
        assert any(other.default_action == "resolve" for other in family)
    assert {other.condition_fields for other in family} == {seed.condition_fields}
