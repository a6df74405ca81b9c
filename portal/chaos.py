"""Named points at which a chaos test may kill the process (asked by every step that must survive it).

Does nothing unless CHAOS_KILL names a point (`CHAOS_KILL=claimed:0.05` kills in 5 % of passes); production never sets it.
"""

from __future__ import annotations

import os
import random
import signal

POINTS = (
    "accepted",
    "before-accept-commit",
    "after-accept-commit",
    "claimed",
    "before-send",
    "after-send",
    "answered",
    "before-result-commit",
    "after-result-commit",
    "searched",
    "planned",
    "taken",
    "swept",
    "released",
)
_name, _, _rate = os.environ.get("CHAOS_KILL", "").partition(":")
_chance = float(_rate or 1)


def point(name: str) -> None:
    """Pass a named point; dies here by SIGKILL when the environment says so."""
    if _name and (_name in (name, "any")) and random.random() < _chance:  # noqa: S311 - not for secrets
        os.kill(os.getpid(), signal.SIGKILL)
