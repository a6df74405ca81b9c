"""The sources of a chaos run: which events they send, when and how often, and what they were told.

A source is stubborn: what was not acknowledged is sent again, and what was is sent once more all the same.
"""

from __future__ import annotations

import heapq
import http.client
import json
import mmap
import random
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alerts.proving.chaos_world import ConnectedPartner
from alerts.proving.checker import Key, Sent

EVENTS_EACH = 4
SENDERS = 6
SOURCE = "chaos"
LARGEST_BATCH = 8
GAPS = (0.02, 0.3, 1.5, 6.0)
"""Seconds between two events of one condition: at once, soon, after its ticket, later."""


@dataclass(frozen=True)
class Planned:
    """One event and the moments, in seconds after the start, at which it is sent."""

    partner: int
    body: dict[str, Any]
    at: tuple[float, ...]


@dataclass(order=True)
class Call:
    """One POST. Not acknowledged, it goes back to the queue."""

    due: float
    number: int
    partner: int = field(compare=False)
    bodies: list[dict[str, Any]] = field(compare=False)


# --- What is sent ----------------------------------------------------------------------------------------------------


def plan_events(
    count: int, clients: Sequence[Sequence[int]], *, seconds: float, began_at: float, dice: random.Random
) -> list[Planned]:
    """`count` events of about a quarter as many conditions, spread over the run. `clients`: numbers by partner."""
    planned: list[Planned] = []
    condition = 0
    while len(planned) < count:
        partner = condition % len(clients)
        client = clients[partner][condition // len(clients) % len(clients[partner])]
        most = min(count - len(planned), dice.randint(2, 2 * EVENTS_EACH - 2))
        planned += plan_condition(condition, partner, client, most, seconds, began_at, dice)
        condition += 1
    return planned


def plan_condition(
    number: int, partner: int, client: int, count: int, seconds: float, began_at: float, dice: random.Random
) -> list[Planned]:
    """A condition fails, repeats itself, recovers, fails again ...; now and then two events overtake each other."""
    at = dice.uniform(0, seconds * 0.98)
    moments: list[float] = []
    actions: list[bool] = []
    for place in range(count):
        actions.append(place == 0 or (actions[-1] if dice.random() < 0.3 else not actions[-1]))
        moments.append(at)
        at = min(at + dice.choice(GAPS) * dice.uniform(0.5, 1.5), seconds)
    for place in range(count - 1):
        if dice.random() < 0.15:
            moments[place], moments[place + 1] = moments[place + 1], moments[place]
    return [
        Planned(
            partner,
            body_of(number, place, client, is_trigger, began_at - 3600 + place),
            tuple(sorted([moment, *repeats_of(moment, seconds, dice)])),
        )
        for place, (is_trigger, moment) in enumerate(zip(actions, moments, strict=True))
    ]


def repeats_of(moment: float, seconds: float, dice: random.Random) -> list[float]:
    """At least one repeat of the same event: at once, or somewhat later."""
    count = 1 if dice.random() < 0.8 else dice.randint(2, 5)
    return [min(moment + dice.choice((0.0, 0.05, 1.0, 8.0)) * dice.random(), seconds) for _ in range(count)]


def body_of(number: int, place: int, client: int, is_trigger: bool, occurred_at: float) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "id": f"c{number}-{place}",
        "type": "backup.failed" if is_trigger else "backup.succeeded",
        "severity": "error" if is_trigger else "success",
        "client": str(client),
        "account": f"SRV-{number:05}",
        "summary": f"Backup of SRV-{number:05} {'failed' if is_trigger else 'succeeded'} ({place})",
        "occurred_at": datetime.fromtimestamp(occurred_at, UTC).isoformat(),
    }


def condition_of(body: dict[str, Any]) -> Key:
    return Key(body["client"], f"backup:{body['account']}")


def calls_of(planned: Iterable[Planned], dice: random.Random) -> list[Call]:
    """Singles and small batches, in the order of their moments, one partner a call."""
    by_partner: dict[int, list[tuple[float, int, dict[str, Any]]]] = defaultdict(list)
    for number, event in enumerate(planned):
        by_partner[event.partner] += [(moment, number, event.body) for moment in event.at]
    calls: list[Call] = []
    for partner, sendings in by_partner.items():
        sendings.sort(key=lambda sending: sending[:2])
        while sendings:
            size = 1 if dice.random() < 0.6 else dice.randint(2, LARGEST_BATCH)
            batch, sendings = sendings[:size], sendings[size:]
            calls.append(Call(batch[-1][0], len(calls), partner, [body for _, _, body in batch]))
    return calls


# --- How it is sent --------------------------------------------------------------------------------------------------


class Progress:
    """Which part of the calls was acknowledged, in memory that the run shares with the client it forks."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8)

    @property
    def share(self) -> float:
        share: float = struct.unpack("d", self.memory[:])[0]
        return share

    @share.setter
    def share(self, share: float) -> None:
        self.memory[:] = struct.pack("d", share)


class Sender:
    """Sends all calls when they are due, over several connections, until each was acknowledged; keeps the history.

    The history is a file with one line an acknowledgement, so that it outlives this process.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        partners: Sequence[ConnectedPartner],
        port: int,
        history: Path,
        progress: Progress,
    ) -> None:
        self.calls = list(calls)
        heapq.heapify(self.calls)
        self.all_calls = self.open_calls = len(self.calls)
        self.partners = partners
        self.port = port
        self.progress = progress
        self.guard = threading.Condition()
        self.history = history.open("a", encoding="utf-8", buffering=1)
        self.started = time.monotonic()

    def run(self) -> None:
        threads = [threading.Thread(target=self.send_all, daemon=True) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def send_all(self) -> None:
        while call := self.next_call():
            if self.send(call):
                with self.guard:
                    self.open_calls -= 1
                    self.progress.share = 1 - self.open_calls / self.all_calls
                    self.guard.notify_all()
            else:
                with self.guard:
                    call.due = time.monotonic() - self.started + 0.1
                    heapq.heappush(self.calls, call)

    def next_call(self) -> Call | None:
        """The next one that is due; None when all were acknowledged."""
        with self.guard:
            while self.open_calls:
                wait = self.calls[0].due - (time.monotonic() - self.started) if self.calls else 0.5
                if wait <= 0:
                    return heapq.heappop(self.calls)
                self.guard.wait(min(wait, 0.5))
        return None

    def send(self, call: Call) -> bool:
        """True when the portal answered for every event of the call."""
        try:
            status, data = self.post(call)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.note(call, failure=type(error).__name__)
            return False
        if status != 202:
            self.note(call, failure=f"status {status}")
            return False
        for body, result in zip(call.bodies, data["results"], strict=True):
            self.write(id=body["id"], status=result["status"], event=result["id"], errors=result["errors"])
        return True

    def post(self, call: Call) -> tuple[int, Any]:
        body: Any = call.bodies[0] if len(call.bodies) == 1 else {"events": call.bodies}
        headers = {
            "Authorization": f"Bearer {self.partners[call.partner].token}",
            "Content-Type": "application/json",
        }
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            wire.request("POST", "/api/v1/events", json.dumps(body), headers)
            answer = wire.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            wire.close()

    def note(self, call: Call, *, failure: str) -> None:
        for body in call.bodies:
            self.write(id=body["id"], status="unanswered", failure=failure)

    def write(self, **line: Any) -> None:
        self.history.write(json.dumps({"at": time.time(), **line}) + "\n")


# --- What was told ---------------------------------------------------------------------------------------------------


def read_history(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def history_of(planned: Iterable[Planned], lines: Iterable[dict[str, Any]]) -> list[Sent]:
    """Each planned event with all it was answered."""
    answers: dict[str, list[str]] = defaultdict(list)
    refusals: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line["status"] in {"accepted", "duplicate"}:
            answers[line["id"]].append(line["event"])
        elif line["status"] != "unanswered":
            refusals[line["id"]].append(f"{line['status']} {line['errors']}")
    return [
        Sent(
            id=event.body["id"],
            condition=condition_of(event.body),
            is_trigger=event.body["severity"] == "error",
            occurred_at=datetime.fromisoformat(event.body["occurred_at"]).timestamp(),
            answers=tuple(answers[event.body["id"]]),
            refusals=tuple(refusals[event.body["id"]]),
        )
        for event in planned
    ]
