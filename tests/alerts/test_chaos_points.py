"""Every place where a test may kill the process is known by its name; an unknown one would be an error of its own."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from alerts.ticketattempts import Step
from portal import chaos

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "integrations", "billing", "alerts")


def named() -> set[str]:
    """The names in all calls of `chaos.point` and `chaos.soon_after` that say one outright."""
    calls = (
        node
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    )
    return {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) in {"chaos.point", "chaos.soon_after"}
        and isinstance(call.args[0], ast.Constant)
    }


def test_each_place_in_the_code_is_known() -> None:
    found = named()
    assert len(found) > 20
    assert found - set(chaos.POINTS) == set()


@pytest.mark.parametrize("step", get_args(Step))
def test_each_step_of_an_attempt_has_its_two_places(step: str) -> None:
    assert {f"before-{step}", f"after-{step}"} <= set(chaos.POINTS)
