"""How much may be asked? Calls of everybody in a rolling hour, and calls at once for each integration code and entity.

Autotask REST v1.0, thresholds and thread limiting: 10,000 an hour for a whole database whoever asks, slower from half
of that on, refused at the end; three at once for one tracking identifier and object endpoint.
"""

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Iterator

from integrations.sandbox.autotask.answers import THREADS, USED_UP, Refused
from integrations.sandbox.autotask.settings import Switches
from integrations.sandbox.messages import Headers


class Limits:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._calls: deque[float] = deque()
        self._running: Counter[tuple[str, str]] = Counter()

    def used(self, now: float, switches: Switches) -> int:
        with self._guard:
            self._forget(now, switches)
            return len(self._calls)

    def spend(self, count: int, now: float) -> None:
        """Calls that other integrations of the same database made just now."""
        with self._guard:
            self._calls.extend([now] * count)

    def clear(self) -> None:
        with self._guard:
            self._calls.clear()

    def enter(self, now: float, switches: Switches) -> float:
        """Count one call; answers how many seconds late its answer is. Raises `Refused` when all are used up."""
        most = switches.requests_per_window
        with self._guard:
            self._forget(now, switches)
            if most and len(self._calls) >= most:
                message = USED_UP.format(most=most, minutes=switches.window_seconds // 60)
                raise Refused(message, status=switches.over_limit_status, headers=_headers(switches))
            self._calls.append(now)
            share = len(self._calls) * 100 / most if most else 0
        if share >= switches.slower_from_percent:
            return switches.slower_seconds
        return switches.slow_seconds if share >= switches.slow_from_percent else 0.0

    @contextlib.contextmanager
    def thread(self, code: str, entity: str, switches: Switches) -> Iterator[None]:
        """One of the few calls at once; raises `Refused` when there are as many already."""
        key, most = (code, entity), switches.threads_per_entity
        with self._guard:
            if most and self._running[key] >= most:
                message = THREADS.format(most=most)
                raise Refused(message, status=switches.thread_limit_status, headers=_headers(switches))
            self._running[key] += 1
        try:
            yield
        finally:
            with self._guard:
                self._running[key] -= 1

    def _forget(self, now: float, switches: Switches) -> None:
        while self._calls and self._calls[0] <= now - switches.window_seconds:
            self._calls.popleft()


def _headers(switches: Switches) -> Headers:
    return (("Retry-After", switches.retry_after),) if switches.retry_after else ()
