"""What a pretend PSA must offer so that server, faults, control door and page can work with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from integrations.sandbox.messages import Answer, Request
from integrations.sandbox.switching import Switch


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
class Link:
    text: str
    href: str


FormField = tuple[str, str, Sequence[str] | None, str]


@dataclass(frozen=True, slots=True)
class Form:
    """Something to be done: where it is sent, its button, its fields and what goes along unseen.

    A field is its name, label, choices (none: free text; None: a large one) and value.
    """

    target: str
    label: str
    fields: Sequence[FormField]
    fixed: Sequence[tuple[str, str]] = ()


Cell = Any
"""A text or number, a `Link` or a `Form`."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table on a page for people."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    more: Link | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A page for people."""

    title: str
    sections: Sequence[Section]
    forms: Sequence[Form] = ()


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
        """What the overview shows."""

    def links(self) -> Sequence[Link]:
        """The lists that have pages of their own."""

    def view(self, name: str, rest: str, query: Mapping[str, str]) -> View | None:
        """One list or record for people; None when there is none."""

    def actions(self) -> Mapping[str, str]:
        """What a technician can do, each with a line about its body."""

    def switches(self) -> Sequence[Switch]:
        """Every switch, explained."""

    def switch_values(self) -> Any:
        """The switches in force, by name."""

    def credentials(self) -> dict[str, str]:
        """What a client needs in order to sign in now."""

    def reset(self, options: Mapping[str, Any]) -> None:
        """Back to the seeded state."""

    def close(self) -> None:
        """Let go of the state file."""
