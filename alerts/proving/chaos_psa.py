"""The PSAs of a chaos run: sandboxes that fail a fifth of all calls, and what they committed.

They run in one process of their own and are talked to over HTTP like any PSA.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from alerts.proving.chaos_world import LATEST_COMMIT, PARTNERS, PSA_DEADLINE
from alerts.proving.checker import PsaTicket
from integrations.sandbox import running_sandbox

FAILING = 0.20
COMMITTED = FAILING / 3
LATE = FAILING / 10
REST = FAILING - COMMITTED - LATE
SWEPT_NOTE = "Closed by PSA Portal:"

# (share of all calls, rule). What commits all the same comes first, then what commits late, then the rest.
FAULTS: tuple[tuple[float, dict[str, Any]], ...] = (
    (COMMITTED / 2, {"fault": "commit_then_drop"}),
    (COMMITTED / 2, {"fault": "status_500", "commit": True}),
    (LATE / 3, {"fault": "late_commit", "delay": LATEST_COMMIT / 3}),
    (LATE / 3, {"fault": "late_commit", "delay": LATEST_COMMIT}),
    (LATE / 3, {"fault": "late_commit", "delay": LATEST_COMMIT, "hold": PSA_DEADLINE * 1.2}),
    (REST / 5, {"fault": "status_500"}),
    (REST / 5, {"fault": "drop"}),
    (REST / 5, {"fault": "html_503"}),
    (REST / 5, {"fault": "truncated_json"}),
    (REST / 5, {"fault": "status_429", "retry_after": "1"}),
)
LATENCY = {"fault": "latency", "rate": 0.5, "seconds": 0.02}


def serve(tell: Callable[[Sequence[str]], None]) -> None:
    """The PSAs' process: runs until SIGTERM; `tell` gets the URLs once they listen."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with contextlib.ExitStack() as stack:
        sandboxes = [stack.enter_context(running_sandbox()) for _ in range(PARTNERS)]
        tell([sandbox.url for sandbox in sandboxes])
        stop.wait()


@dataclass(frozen=True)
class SandboxPsa:
    """One PSA as the run sees it, through its control door."""

    url: str

    def keys(self) -> Mapping[str, str]:
        keys: Mapping[str, str] = self._ask("GET", "credentials")
        return keys

    def start_failing(self, seed: int) -> None:
        self._ask("POST", "seed", {"seed": seed})
        self._ask("DELETE", "requests")
        self._ask("POST", "faults", [LATENCY, *rules()])

    def stop_failing(self) -> Counter[str]:
        """How often which fault struck."""
        struck: Counter[str] = Counter()
        for rule in self._ask("GET", "faults"):
            struck[name_of(rule)] += rule["hits"]
        self._ask("DELETE", "faults")
        return struck

    def calls(self) -> int:
        total: int = self._ask("GET", "counts")["total"]
        return total

    def tickets(self) -> list[PsaTicket]:
        """All tickets that somebody created over the API."""
        created = {line["id"]: line for line in self._ask("GET", "journal", kind="ticket")}
        return [
            self._ticket(row, created[row["id"]])
            for row in self._ask("GET", "tickets")
            if row["id"] in created
        ]

    def requests(self) -> Iterator[dict[str, Any]]:
        """What was asked, in pieces, so that no answer is huge."""
        last = 0
        while page := self._ask("GET", "requests", since=last, limit=2000):
            yield from page
            last = page[-1]["number"]

    def _ticket(self, row: Mapping[str, Any], line: Mapping[str, Any]) -> PsaTicket:
        return PsaTicket(
            psa=self.url,
            id=str(row["id"]),
            ref=row.get("externalXRef") or "",
            is_open=not row["closedFlag"],
            created_at=seconds(line["time"]),
            closed_at=seconds(row["closedDate"]) if row.get("closedDate") else None,
            is_swept=any(SWEPT_NOTE in note["text"] for note in row["notes"]),
        )

    def _ask(self, method: str, verb: str, body: Any = None, **query: Any) -> Any:
        parts = urlsplit(self.url)
        wire = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            wire.request(
                method, f"/__sandbox__/{verb}?{urlencode(query)}", json.dumps(body) if body else None
            )
            answer = wire.getresponse()
            data = json.loads(answer.read())
        finally:
            wire.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {verb}: {data}")
        return data


def rules() -> list[dict[str, Any]]:
    """The first rule that wins its dice is the one, so later ones need a larger rate for the same share."""
    left = 1.0
    found = []
    for share, rule in FAULTS:
        found.append({**rule, "rate": share / left})
        left -= share
    return found


def name_of(rule: Mapping[str, Any]) -> str:
    if rule["fault"] == "late_commit":
        return f"late commit by {rule['delay']:g} s" + (", silent" if rule.get("hold") else "")
    return f"{rule['fault']}, committed" if rule.get("commit") else rule["fault"]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
