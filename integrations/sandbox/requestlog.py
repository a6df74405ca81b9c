"""What was the pretend PSA asked, and what did it say? For tests and for the person who looks at the page.

Headers are not kept at all, so no Authorization can be shown; the newest 50,000 requests are.
"""

import re
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrations.sandbox.messages import Request

KEPT_REQUESTS = 50_000
KEPT_BODY = 64 * 1024
READS = frozenset(("GET", "HEAD", "OPTIONS"))
_ID = re.compile(r"/\d+(?=/|$)")


@dataclass(slots=True)
class Entry:
    number: int
    at: float
    method: str
    path: str
    query: str
    body: bytes
    status: int | None = None
    fault: str | None = None
    committed: bool = False
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        shown = {
            name: getattr(self, name) for name in ("number", "method", "path", "query", "status", "fault")
        }
        shown["time"] = datetime.fromtimestamp(self.at, UTC).isoformat()
        shown["body"] = self.body[:KEPT_BODY].decode("utf-8", "replace")
        shown["seconds"] = None if self.seconds is None else round(self.seconds, 6)
        shown["committed"] = self.committed
        return shown


class RequestLog:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=KEPT_REQUESTS)
        self._last = 0
        self._by_path: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self._reads = 0
        self._connections: set[int] = set()

    def begin(self, request: Request) -> Entry:
        """Give the request its number and remember it, before anything is done about it."""
        path = request.path
        with self._guard:
            self._last += 1
            request.number = self._last
            entry = Entry(self._last, time.time(), request.method, path, request.raw_query, request.body)
            self._entries.append(entry)
            self._by_path[f"{request.method} {_ID.sub('/{id}', path.lower().rstrip('/'))}"] += 1
            self._reads += request.method in READS
            self._connections.add(request.connection)
        return entry

    def finish(self, entry: Entry, *, status: int | None, fault: str | None, committed: bool) -> None:
        entry.status, entry.fault = status, fault
        entry.committed = entry.committed or committed
        entry.seconds = time.time() - entry.at
        with self._guard:
            self._by_status[str(status) if status else "none"] += 1

    def since(self, number: int = 0) -> list[Entry]:
        with self._guard:
            return [entry for entry in self._entries if entry.number > number]

    def newest(self, count: int) -> list[Entry]:
        with self._guard:
            newest = list(self._entries)[-count:]
        return newest[::-1]

    def counts(self) -> dict[str, Any]:
        with self._guard:
            total = sum(self._by_path.values())
            counted = {"total": total, "reads": self._reads, "writes": total - self._reads}
            counted["connections"] = len(self._connections)
            return {**counted, "by_path": dict(self._by_path), "by_status": dict(self._by_status)}

    def clear(self) -> None:
        """Forget the requests and the counts; the numbering goes on."""
        with self._guard:
            self._entries.clear()
            self._by_path.clear()
            self._by_status.clear()
            self._connections.clear()
            self._reads = 0
