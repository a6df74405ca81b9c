"""The table promise x PSA, and how many calls agreed with the vendors' documents.

Printed by `python -m tests.contract`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.contract.recorder import TALLIES

if TYPE_CHECKING:
    import pytest

PSAS = ("fake", "connectwise", "autotask")
GOAL = 1_000
_WHICH = re.compile(r"::test_(\w+)\[(" + "|".join(PSAS) + r")\b")
_RANKS = ("passed", "not promised", "FAILED")


class Table:
    """A plugin of pytest: collects what came of each promise at each PSA."""

    def __init__(self) -> None:
        self._came_of: dict[str, dict[str, str]] = defaultdict(dict)
        self._cases: dict[tuple[str, str], int] = defaultdict(int)
        self.reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _WHICH.search(report.nodeid)
        if found is None:
            return
        promise, psa = found[1].replace("_", " "), found[2]
        if report.when == "call":
            self._cases[promise, psa] += 1
        if report.failed:
            self._note(promise, psa, "FAILED")
        elif report.skipped:
            self._note(promise, psa, "not promised")
            self.reasons[f"{promise} ({psa})"] = _reason(report.longrepr)
        elif report.when == "call":
            self._note(promise, psa, "passed")

    def _note(self, promise: str, psa: str, what: str) -> None:
        before = self._came_of[promise].get(psa, "passed")
        self._came_of[promise][psa] = max(before, what, key=_RANKS.index)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        say = terminalreporter.write_line
        width = max((len(promise) for promise in self._came_of), default=0)
        terminalreporter.section("promises of the PSA port")
        say(f"{'':{width}}  " + "  ".join(f"{psa:>16}" for psa in PSAS))
        for promise, cells in self._came_of.items():
            shown = "  ".join(f"{self._cell(promise, psa, cells):>16}" for psa in PSAS)
            say(f"{promise:{width}}  {shown}")
        for where, reason in self.reasons.items():
            say(f"{where}: {reason}")
        terminalreporter.section("requests and answers held against the vendors' documents")
        for kind, tally in sorted(TALLIES.items()):
            say(
                f"{kind}: {tally.pairs:,} validated pairs, {len(tally.unlike):,} of them unlike any other"
                f" (goal {GOAL:,}), {len(tally.operations)} operations, {len(tally.violations)} violations"
            )
            for problem in sorted(set(tally.violations))[:20]:
                say(f"    {problem}")

    def _cell(self, promise: str, psa: str, cells: dict[str, str]) -> str:
        what = cells.get(psa, "-")
        cases = self._cases[promise, psa]
        return f"{what} ({cases})" if what == "passed" and cases > 1 else what

    def shortfalls(self) -> list[str]:
        """Why the run as a whole is not good enough, though each test may have passed."""
        return [
            f"{kind}: {len(tally.unlike)} validated pairs unlike any other, {len(tally.violations)} violations"
            for kind, tally in TALLIES.items()
            if len(tally.unlike) < GOAL or tally.violations
        ]


def _reason(longrepr: Any) -> str:
    text = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix("Skipped: ")
