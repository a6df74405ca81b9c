"""Do different conditions have different keys, and the same one always the same?"""

from __future__ import annotations

import pytest

from alerts import eventtypes
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
