"""What a pretend PSA must offer so that server, faults, control door and page can work with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from integrations.sandbox.messages import Answer, Request


class ControlError(ValueError):
    """A control request that cannot be done; the text goes back with a 400."""


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One request at the control door: `/__sandbox__/{verb}/{rest}`."""

    method: str
    rest: str
    query: Mapping[str, str]
    body: Any


Verb = Callable[[ControlCall], Any]


@dataclass(frozen=True, slots=True)
class Section:
    """A table on the page for people."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Dialect(Protocol):
    kind: str

    def handle(self, request: Request) -> Answer:
        """Do what a request asks; `committed` of the answer tells whether anything was written."""

    def module_of(self, request: Request) -> str | None:
        """The permission module a request needs, for faults that hit one module only."""

    def refusal(self, status: int, retry_after: str | None = None) -> Answer:
        """How this PSA words a 401, 403, 429 or 500."""

    def verbs(self) -> Mapping[str, tuple[str, Verb]]:
        """Control verbs of its own, each with a line of help."""

    def sections(self) -> Sequence[Section]:
        """What the page shows."""

    def credentials(self) -> dict[str, str]:
        """What a client needs in order to sign in now."""

    def reset(self, options: Mapping[str, Any]) -> None:
        """Back to the seeded state."""

    def close(self) -> None:
        """Let go of the state file."""
