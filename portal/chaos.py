"""Named points at which a process may be killed on purpose (asked by every step that must survive it).

Does nothing until a point is armed: by the parent of a forked child (`manage.py chaos` writes into an `Order` that
both share), or by the environment (`CHAOS_KILL=claimed:0.05` kills in 5 % of passes, `any` stands for all points).
Production never does either.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import threading

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
NOTES = (
    "before-look",
    "after-look",
    "before-reopen",
    "after-reopen",
    "before-remind",
    "after-remind",
)
SWEEPER = (
    "before-sweep",
    "sweep-listed",
    "before-adopt",
    "swept",
)
WORKER = ("before-release-commit",)
FOLLOWER = (
    "before-inbound-commit",
    "inbound-taken",
    "inbound-read",
    "before-register",
    "registered",
)
POINTS = (*WEB, *DISPATCHER, *NOTES, *SWEEPER, *WORKER, *FOLLOWER)
ANY = "any"
IN_FLIGHT = 0.02


_name, _, _rate = os.environ.get("CHAOS_KILL", "").partition(":")
_chance = float(_rate or 1)


class Order:
    """A point and how many passages are left, in memory that a parent shares with the child it forks."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 2)

    def give(self, name: str, *, passes: int = 1) -> None:
        """Die at the given passage of a point (1: the next one)."""
        self.memory[1] = passes
        self.memory[0] = POINTS.index(name) + 1

    def is_due(self, name: str) -> bool:
        if self.memory[0] != POINTS.index(name) + 1:
            return False
        self.memory[1] = max(0, self.memory[1] - 1)
        return self.memory[1] == 0


class _Obeyed:
    order: Order | None = None


def obey(order: Order) -> None:
    """Called in the child: from now on its parent may choose where it dies."""
    _Obeyed.order = order


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
    if _Obeyed.order is not None:
        return _Obeyed.order.is_due(name)
    return _name in (name, ANY) and random.random() < _chance  # noqa: S311 - not for secrets
