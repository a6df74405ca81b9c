"""Does `manage.py bench` still measure everything it promises? Says nothing about speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alerts.proving.bench import GOALS
from alerts.proving.load import Sample, per_second, percentile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lines() -> dict[str, dict[str, Any]]:
    """What a smoke run prints, by figure."""
    done = subprocess.run(
        [sys.executable, "manage.py", "bench", "--smoke"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DEBUG"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.load
def test_a_smoke_run_prints_every_figure_once_as_json(lines: dict[str, dict[str, Any]]) -> None:
    assert set(lines) == set(GOALS)
    keys = {"name", "value", "unit", "goal", "met", "database", "detail"}
    assert all(set(line) == keys for line in lines.values())
    assert [name for name, line in lines.items() if not isinstance(line["value"], (int, float))] == []


@pytest.mark.load
def test_what_does_not_depend_on_speed_is_right_in_a_smoke_run(lines: dict[str, dict[str, Any]]) -> None:
    assert lines["p5_storm_tickets"]["value"] == 1
    assert lines["p5_storm_http_5xx"]["value"] == 0
    assert lines["p12_within_60s"]["detail"]["tickets"] == lines["p12_within_60s"]["detail"]["events"]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(list(range(1, 101)), share) == expected


def test_only_what_was_answered_202_counts_as_stored() -> None:
    samples = [
        Sample("s", number, 10.0, 11.0 + number, status, 1) for number, status in enumerate([202, 503, 202])
    ]
    assert per_second(samples) == pytest.approx(2 / 3)
