"""Listens to a pretend PSA: every request with the answer it got, held against the vendor's description."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from integrations.sandbox.messages import Request, Sending
from integrations.sandbox.running import KINDS, Sandbox
from tests.contract.validation import documented

# What the sandbox spoils on purpose is no answer of a PSA; the request before it still counts for violations.
SPOILT = ("html_503", "html_200", "redirect", "truncated_json", "invalid_json", "drip")


@dataclass
class Tally:
    """What was heard of one PSA in the whole run."""

    pairs: int = 0
    unlike: set[str] = field(default_factory=set)
    operations: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


TALLIES: dict[str, Tally] = {}


class ListeningSandbox(Sandbox):
    """A sandbox that validates what it hears and says before it says it."""

    def __init__(self, kind: str) -> None:
        super().__init__(KINDS[kind](None))
        self.kind = kind
        self.fresh_violations: list[str] = []
        self.tally = TALLIES.setdefault(kind, Tally())

    def respond(self, request: Request) -> Sending:
        sending = super().respond(request)
        if not request.number:  # the control door
            return sending
        entry = next(entry for entry in reversed(self.log.newest(20)) if entry.number == request.number)
        if sending.answer is None or not sending.is_plain or entry.fault in SPOILT:
            self._hear(request, None)
        else:
            self._hear(request, sending)
        return sending

    def _hear(self, request: Request, sending: Sending | None) -> None:
        """Without an answer that counts, only the request is looked at."""
        status, body = (
            (sending.answer.status, sending.answer.body) if sending and sending.answer else (401, b"")
        )
        operation, problems = documented(self.kind).problems(
            request.method, request.target, request.body, status, body
        )
        self.fresh_violations += problems
        self.tally.violations += problems
        if sending is None or problems:
            return
        self.tally.pairs += 1
        self.tally.operations[operation] += 1
        said = f"{request.method} {request.target} {status}".encode() + request.body + body
        self.tally.unlike.add(hashlib.sha256(said).hexdigest())
