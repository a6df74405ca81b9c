"""How much an Autotask database lets us call: so many calls an hour, so many at once (asked by `rest.py` before each).

10,000 calls in a rolling hour belong to all integrations of one database together; from half of it on the service
slows everybody down, so half is where we stop. Three calls at once are allowed for each integration and entity; we use
two, so that a page and a lane of the same connection do not trip over each other.
Sources: Autotask developer help, REST thresholds and thread limiting.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from integrations.psa.errors import Throttled
from integrations.psa.port import Importance

HOUR = 3600.0
CALLS_AN_HOUR = 10_000
OUR_SHARE = CALLS_AN_HOUR // 2
AT_ONCE = 2
WAIT_FOR_A_TURN = 20.0
BUSY_FOR = 2.0
_SLICE = 60.0


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """What ThresholdInformation says: calls of everybody in the running time frame, and the most there may be."""

    used: int
    most: int
    minutes: int

    @property
    def share(self) -> float:
        return self.used / self.most if self.most else 0.0


class RollingBudget:
    """The `port.Budget` of one process, for when nobody keeps a shared one. Counts by the minute."""

    def __init__(self, most: int = OUR_SHARE, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._slices: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def take(self, entity: str, importance: Importance = "note") -> None:
        with self._lock:
            now = self._clock()
            while self._slices and self._slices[0][0] + _SLICE + HOUR <= now:
                self._slices.popleft()
            if sum(count for _, count in self._slices) >= self._most:
                oldest = self._slices[0][0] if self._slices else now
                raise spent(oldest + _SLICE + HOUR - now)
            self._count(now)

    def _count(self, now: float) -> None:
        if self._slices and now < self._slices[-1][0] + _SLICE:
            began, count = self._slices[-1]
            self._slices[-1] = (began, count + 1)
        else:
            self._slices.append((now, 1))


def spent(seconds: float) -> Throttled:
    return Throttled(
        "Our half of Autotask's hourly calls is used up.",
        retry_after=min(max(seconds, 1.0), HOUR),
        advice="Autotask allows 10,000 calls an hour for all integrations of a database. It goes on by itself.",
    )


class Turns:
    """Never more than a few calls at once for one entity, over all threads that share it."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._gates: dict[str, threading.BoundedSemaphore] = {}
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, entity: str, within: float = WAIT_FOR_A_TURN) -> Iterator[None]:
        gate = self._gate(entity)
        if not gate.acquire(timeout=within):
            raise Throttled(
                f"All calls about {entity} that Autotask allows at once are under way.", retry_after=BUSY_FOR
            )
        try:
            yield
        finally:
            gate.release()

    def _gate(self, entity: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._gates.setdefault(entity, threading.BoundedSemaphore(self._at_once))
