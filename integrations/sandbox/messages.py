"""What came in, what goes out: the values between the HTTP server, the faults and a dialect."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Request:
    """One request. Header names are lower case; `number` counts the requests to the PSA since the start, and
    `connection` the TCP connections."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = "127.0.0.1"
    number: int = 0
    connection: int = 0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def query(self) -> dict[str, str]:
        """Parameters by lower-case name; of a repeated one the last counts."""
        raw = self.raw_query
        return {name.lower(): value for name, value in parse_qsl(raw, keep_blank_values=True)} if raw else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `committed` says that the request changed the pretend PSA's state; it is not sent."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Headers = ()
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Sending:
    """How an answer goes onto the wire: whole, cut off, byte by byte, or not at all."""

    answer: Answer | None
    sent_bytes: int | None = None
    seconds_per_byte: float = 0.0
    hold: float = 0.0

    @property
    def is_plain(self) -> bool:
        return self.answer is not None and self.sent_bytes is None and not self.seconds_per_byte


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_bytes(value: Any) -> bytes:
    """A lone surrogate, which JSON may carry but UTF-8 may not, becomes a question mark."""
    return _dump(value).encode(errors="replace")


def json_answer(value: Any, *, status: int = 200, headers: Headers = ()) -> Answer:
    return Answer(status, json_bytes(value), "application/json", headers)


def text_answer(text: str, *, status: int) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8")


def html_answer(text: str, *, status: int = 200) -> Answer:
    return Answer(status, text.encode(errors="replace"), "text/html; charset=utf-8")


def with_headers(answer: Answer, more: Iterable[tuple[str, str]]) -> Answer:
    return replace(answer, headers=answer.headers + tuple(more))
