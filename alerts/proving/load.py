"""A lean load generator: prepared bytes over kept-alive sockets, one thread, one selector (asked by the benchmarks).

It shares its cores with what it measures, so it builds no request and parses no JSON while the clock runs: about
0.05 ms of CPU a request. A connection that the server closed between two requests is opened again.
"""

from __future__ import annotations

import json
import math
import re
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)
_ACCEPTED = b'"status":"accepted"'
PATIENCE = 60.0


@dataclass
class Stream:
    """Requests of one sender: `rate` a second, or as fast as the answers come when it is None."""

    name: str
    requests: Sequence[bytes]
    connections: int = 1
    rate: float | None = None


@dataclass(slots=True)
class Sample:
    """One request: when it was due, when its answer was complete (seconds since 1970), and what it said."""

    stream: str
    index: int
    due_at: float
    done_at: float
    status: int
    accepted: int

    @property
    def milliseconds(self) -> float:
        return (self.done_at - self.due_at) * 1000


class Unanswered(Exception):
    """The server said nothing for a minute, or would not be talked to."""


def post(address: tuple[str, int], path: str, token: str, body: object) -> bytes:
    """The bytes of one request, as it comes through a proxy that ends TLS."""
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nX-Forwarded-Proto: https\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def run(address: tuple[str, int], streams: Sequence[Stream]) -> list[Sample]:
    """Send everything and wait for every answer; the samples come in the order of their answers."""
    return _Loop(address, streams).run()


@dataclass
class _Sender:
    """A stream under way."""

    stream: Stream
    began_at: float
    next_index: int = 0
    idle: list[_Connection] = field(default_factory=list)

    def due_at(self) -> float | None:
        """When the next request is due; None when there is none left."""
        if self.next_index >= len(self.stream.requests):
            return None
        rate = self.stream.rate
        return self.began_at + self.next_index / rate if rate else 0.0


class _Connection:
    """A kept-alive socket with at most one request under way."""

    def __init__(self, address: tuple[str, int], sender: _Sender) -> None:
        self.address = address
        self.sender = sender
        self.socket: socket.socket | None = None
        self.index = -1
        self.due_at = 0.0
        self.received = b""

    def open(self) -> socket.socket:
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.socket

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class _Loop:
    def __init__(self, address: tuple[str, int], streams: Sequence[Stream]) -> None:
        self.selector = selectors.DefaultSelector()
        self.samples: list[Sample] = []
        now = time.time()
        self.senders = [_Sender(stream, now) for stream in streams]
        for sender in self.senders:
            sender.idle = [_Connection(address, sender) for _ in range(sender.stream.connections)]
        self.under_way = 0

    def run(self) -> list[Sample]:
        try:
            while True:
                pause = self.send_due()
                if pause is None and not self.under_way:
                    return self.samples
                ready = self.selector.select(PATIENCE if pause is None else pause)
                if not ready and pause is None:
                    raise Unanswered(f"{self.under_way} requests got no answer within {PATIENCE:.0f} s")
                for key, _ in ready:
                    self.receive(key.data)
        finally:
            for key in list(self.selector.get_map().values()):
                key.data.close()
            self.selector.close()

    def send_due(self) -> float | None:
        """Send what is due; the seconds until the next is, None when nothing waits for its time."""
        pauses: list[float] = []
        for sender in self.senders:
            while sender.idle and (due_at := sender.due_at()) is not None:
                now = time.time()
                if due_at > now:
                    pauses.append(due_at - now)
                    break
                connection = sender.idle.pop()
                connection.index, connection.due_at = sender.next_index, due_at or now
                sender.next_index += 1
                self.under_way += 1
                self.send(connection)
        return min(pauses, default=None)

    def send(self, connection: _Connection) -> None:
        connection.received = b""
        for attempt in range(3):
            is_new = connection.socket is None
            wire = connection.open()
            if is_new:
                self.selector.register(wire, selectors.EVENT_READ, connection)
            try:
                wire.sendall(connection.sender.stream.requests[connection.index])
                return
            except OSError:
                self.drop(connection)
                if attempt == 2:
                    raise
        raise AssertionError("unreachable code")

    def receive(self, connection: _Connection) -> None:
        wire = connection.open()
        try:
            part = wire.recv(262_144)
        except OSError:
            part = b""
        if not part:
            self.lost(connection)
            return
        connection.received += part
        head_end = connection.received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = connection.received[:head_end]
        length = _LENGTH.search(head)
        if length is None or len(connection.received) >= head_end + 4 + int(length[1]):
            self.finish(connection, head)

    def finish(self, connection: _Connection, head: bytes) -> None:
        self.samples.append(
            Sample(
                connection.sender.stream.name,
                connection.index,
                connection.due_at,
                time.time(),
                int(head[9:12]),
                connection.received.count(_ACCEPTED),
            )
        )
        self.under_way -= 1
        connection.index = -1
        if _CLOSE.search(head):
            self.drop(connection)
        connection.sender.idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """The server closed it: between requests that is its right; under way, the request is sent again."""
        self.drop(connection)
        if connection.index >= 0:
            self.send(connection)

    def drop(self, connection: _Connection) -> None:
        if connection.socket is not None:
            self.selector.unregister(connection.socket)
            connection.close()


# --- What the samples say ---------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered) - 1e-9)) - 1]


def per_second(samples: Sequence[Sample], events_a_request: int = 1) -> float:
    """Events answered as stored, from the first request to the last answer."""
    began_at = min(sample.due_at for sample in samples)
    ended_at = max(sample.done_at for sample in samples)
    good = sum(1 for sample in samples if sample.status == 202)
    return good * events_a_request / (ended_at - began_at)


def statuses(samples: Sequence[Sample]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for sample in samples:
        found[str(sample.status)] = found.get(str(sample.status), 0) + 1
    return found
