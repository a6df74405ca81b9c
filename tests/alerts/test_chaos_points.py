"""Every place where a test may kill an attempt is known by its name, for each step there is."""

from __future__ import annotations

from typing import get_args

import pytest

from alerts.ticketattempts import Step
from portal import chaos


@pytest.mark.parametrize("step", get_args(Step))
def test_each_step_of_an_attempt_has_its_two_places(step: str) -> None:
    assert {f"before-{step}", f"after-{step}"} <= set(chaos.POINTS)
