"""Named points at which a process may be killed on purpose (asked by every step that must survive it).

Does nothing until a point is armed: by `arm` in a forked child of `manage.py chaos`, or by the environment
(`CHAOS_KILL=claimed:0.05` kills in 5 % of passes, `any` stands for all points). Production never does either.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import dataclass

WEB = (
    "before-accept-commit",
    "after-accept-commit",
    "accepted",
)
DISPATCHER = (
    "before-take-commit",
    "taken",
    "before-claim-commit",
    "claimed",
    "planned",
    "before-create",
    "after-create",
    "before-close",
    "after-close",
    "in-flight",
    "before-search",
    "searched",
    "answered",
    "before-result-commit",
    "after-result-commit",
    "released",
)
SWEEPER = (
    "before-sweep",
    "sweep-listed",
    "before-adopt",
    "swept",
)
POINTS = (*WEB, *DISPATCHER, *SWEEPER)
ANY = "any"
IN_FLIGHT = 0.02


@dataclass
class _Armed:
    name: str = ""
    chance: float = 1.0
    passes: int = 1


def _from_environment() -> _Armed:
    name, _, rate = os.environ.get("CHAOS_KILL", "").partition(":")
    return _Armed(name, float(rate or 1))


_armed = _from_environment()


def arm(name: str, *, passes: int = 1) -> None:
    """Die at the given passage of a point (1: the next one)."""
    if name not in POINTS:
        raise ValueError(f"There is no point {name!r}.")
    _armed.name, _armed.chance, _armed.passes = name, 1.0, passes


def disarm() -> None:
    _armed.name = ""


def point(name: str) -> None:
    """Pass a named point; dies here by SIGKILL when it is armed."""
    if _is_due(name):
        os.kill(os.getpid(), signal.SIGKILL)


def soon_after(name: str) -> None:
    """Pass a point that lies outside our code: dies within some milliseconds, while the PSA has the request."""
    if _is_due(name):
        delay = random.uniform(0, IN_FLIGHT)  # noqa: S311 - not for secrets
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def _is_due(name: str) -> bool:
    if not _armed.name or _armed.name not in (name, ANY):
        return False
    if random.random() >= _armed.chance:  # noqa: S311 - not for secrets
        return False
    _armed.passes -= 1
    return _armed.passes <= 0
