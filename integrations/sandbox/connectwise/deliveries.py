"""Callbacks on their way: signed, tried again when the subscriber asks for it, switched off after days of failure.

ConnectWise's developer guide on callbacks: any 2xx within five seconds is success; 404, 409, 419 and 429 are tried
again after two and after four seconds, anything else is not; a callback that fails for three days in a row is
disabled.
"""

import http.client
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from integrations.sandbox.connectwise.callbacks import Call
from integrations.sandbox.connectwise.desk import Desk

KEPT = 1000
TRIED_AGAIN = (404, 409, 419, 429)


class Deliveries:
    """A thread for each callback that has something to say."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Call]] = {}
        self._failing_since: dict[int, datetime] = {}
        self._open = 0
        self._to_lose = 0
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def send(self, calls: Iterable[Call]) -> None:
        for call in calls:
            if self._is_lost(call):
                continue
            with self._guard:
                self._open += 1
                waiting = self._waiting.get(call.callback)
                if waiting is None:
                    waiting = self._waiting[call.callback] = queue.SimpleQueue()
                    name = f"sandbox-callback-{call.callback}"
                    threading.Thread(target=self._work, args=(waiting,), name=name, daemon=True).start()
            waiting.put(call)

    def lose(self, count: int) -> None:
        """The next calls are never made, and nobody is told."""
        with self._guard:
            self._to_lose = count

    @property
    def pending(self) -> int:
        return self._open

    def stop(self) -> None:
        self._stopping.set()

    def _is_lost(self, call: Call) -> bool:
        with self._guard:
            if not self._to_lose:
                return False
            self._to_lose -= 1
            self.log.append(_line(call, attempts=0, problem="lost on purpose"))
            return True

    def _work(self, waiting: "queue.SimpleQueue[Call]") -> None:
        while not self._stopping.is_set():
            try:
                call = waiting.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self._deliver(call)
            finally:
                with self._guard:
                    self._open -= 1

    def _deliver(self, call: Call) -> None:
        switches = self._desk().settings.switches
        pause = switches.callback_retry_seconds
        attempts, status, problem = 0, 0, "not tried"
        while attempts < max(switches.callback_attempts, 1):
            if attempts:
                if self._stopping.wait(pause):
                    return
                pause *= 2
            attempts += 1
            status, problem = _posted(call, switches.callback_timeout_seconds)
            if status not in TRIED_AGAIN:
                break
        if self._stopping.is_set():
            return
        self._account(call, failed=bool(problem))
        self.log.append(_line(call, attempts=attempts, problem=problem or None))

    def _account(self, call: Call, *, failed: bool) -> None:
        desk = self._desk()
        now = desk.clock()
        if not failed:
            self._failing_since.pop(call.callback, None)
            return
        since = self._failing_since.setdefault(call.callback, now)
        if now - since < timedelta(days=desk.settings.switches.callback_days_until_off):
            return
        with desk.store.lock:
            callback = desk.store.get("callbacks", call.callback)
            if callback and not callback.get("inactiveFlag"):
                desk.store.put("callbacks", {**callback, "inactiveFlag": True})
                desk.store.commit()


def _line(call: Call, *, attempts: int, problem: str | None) -> dict[str, Any]:
    done = {"callback": call.callback, "action": call.action, "id": call.row}
    return {**done, "attempts": attempts, "problem": problem}


def _posted(call: Call, timeout: float) -> tuple[int, str]:
    """POST it: the status (0 without an answer), and what went wrong."""
    parts = urlsplit(call.url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json", "x-content-signature": call.signature}
    try:
        connection = connect(parts.hostname or "", parts.port, timeout=timeout)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, call.body, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    return status, "" if 200 <= status < 300 else f"the subscriber answered {status}"
