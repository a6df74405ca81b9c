"""A partner's set-up as a document sees it: levels by key, and the parts that each room adds (asked by
`configuration` and every room's `configparts`).

A room's `configparts.ROOM` says which parts of the document are its own, how each is read and written, and which of its
tables are no configuration, with the reason. `settings.CONFIGURATION` names them, so that imports go one way only.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from portal import access
from portal.access import Actor
from portal.configshape import Tree
from portal.configtree import Fault, Path
from portal.models import Account, Client, Organization, Partner, User

Level = tuple[str, ...]
"""`("partner",)`, `("organization", key)`, `("client", number)` or `("account", number, account no.)`."""
PARTNER: Level = ("partner",)
PLACES = ("partner", "organization", "client", "account")
ALWAYS = "is always there; say what it shall be instead"
"""Why a part that every partner has is not removed."""


class Refusal(Exception):
    """An operation refuses a value: `field` below the part (parts joined by “/”), a stable code and a sentence."""

    def __init__(self, field: str, text: str, code: str = "refused") -> None:
        super().__init__(text)
        self.field = field
        self.code = code
        self.text = text


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the document, at one or several sorts of levels.

    `read` gives the values of all levels at once, without those that say nothing. `settle` says what a document's value
    means here (a PSA's id by its name); it may refuse through the world. `write` makes a level say `after` instead of
    `before` through the ordinary operations, `finish` does what must wait for all others. `is_first`: needed before
    options can be read from a PSA.
    """

    name: str
    places: Sequence[str]
    shape: Any
    read: Callable[[World], Mapping[Level, Any]]
    write: Callable[[World, Level, Any, Any], None]
    settle: Callable[[World, Level, Any, Any], Any] | None = None
    finish: Callable[[World], None] | None = None
    note: str = ""
    is_first: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be any more at the PSA."""

    path: Path
    text: str

    @property
    def where(self) -> str:
        return "/".join(self.path)

    def as_json(self) -> dict[str, Any]:
        return {"path": self.where, "text": self.text}

    def __str__(self) -> str:
        return f"! {self.where}: {self.text}"


def no_findings(world: World) -> Iterable[Finding]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Room:
    """What one room has to do with configuration.

    `models` maps each of its models to the fields that are configuration (in the order of the document), or to a
    sentence that says why it is none; `facts` maps a model to its other fields.
    """

    parts: Sequence[Part]
    models: Mapping[str, Sequence[str] | str]
    facts: Mapping[str, Sequence[str]]
    findings: Callable[[World], Iterable[Finding]] = no_findings


def rooms() -> list[Room]:
    return [import_string(f"{name}.ROOM") for name in settings.CONFIGURATION]


def parts() -> list[Part]:
    """In the order of writing."""
    return [part for room in rooms() for part in room.parts]


@dataclass
class World:
    """One partner's set-up, read once; `forget` after something was written.

    `actor` None is whoever may run commands on the server. `renames` maps a section's keys to what a document calls
    them. `target` is what shall be, as soon as that is known. `memory` is for the rooms.
    """

    partner: Partner
    actor: Actor | None
    by: str
    renames: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    said: Tree = field(default_factory=dict)
    lines: Mapping[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    memory: dict[Any, Any] = field(default_factory=dict)
    is_on_server: bool = False

    # --- Who asks

    @property
    def user(self) -> User | None:
        return self.actor if isinstance(self.actor, User) else None

    @property
    def is_vendor(self) -> bool:
        """Vendor staff, a vendor-wide token, or whoever may run commands on the server."""
        return self.is_on_server or (self.actor is not None and access.is_vendor(self.actor))

    @property
    def may_change_people(self) -> bool:
        """Tokens may not: whoever holds one would give rights to people."""
        return self.is_on_server or (self.actor is not None and access.may_manage(self.actor, self.partner))

    # --- What is there

    @cached_property
    def organizations(self) -> dict[str, Organization]:
        rows = Organization.objects.filter(partner=self.partner).order_by("pk")
        return dict(self.keyed("organizations", rows))

    @cached_property
    def clients(self) -> dict[str, Client]:
        """By client id as text."""
        rows = Client.objects.filter(partner=self.partner).order_by("number")
        return {str(row.number): row for row in rows}

    @cached_property
    def levels(self) -> dict[uuid.UUID, Level]:
        """Organizations and clients by their id."""
        found: dict[uuid.UUID, Level] = {
            row.pk: ("organization", key) for key, row in self.organizations.items()
        }
        found.update({row.pk: ("client", key) for key, row in self.clients.items()})
        return found

    def account_level(self, account: Account) -> Level:
        return ("account", self.levels[account.client_id][1], account.key)

    def level_of(self, row: Any) -> Level:
        """The level a row of settings belongs to."""
        if getattr(row, "account_id", None):
            return self.account_level(row.account)
        return self.levels[row.client_id or row.organization_id]

    def row_of(self, level: Level) -> Any:
        """The organization, client or account; an account that is named is made, as an event would."""
        if level[0] == "partner":
            return self.partner
        if level[0] == "organization":
            return self.organizations[level[1]]
        client = self.clients[level[1]]
        return client if level[0] == "client" else self.account(client, level[2])

    def account(self, client: Client, key: str) -> Account:
        row, _ = Account.objects.get_or_create(
            client=client, key=key, defaults={"partner_id": client.partner_id}
        )
        row.client = client
        return row

    def keyed(self, section: str, rows: Iterable[Any]) -> Iterator[tuple[str, Any]]:
        """Rows by name, the second of a name as “name (2)”; as the document calls them where it renames."""
        taken: set[str] = set()
        renames = self.renames.get(section, {})
        for row in rows:
            name = row.name if row.name.strip() else "(unnamed)"
            key, count = name, 1
            while key in taken:
                count += 1
                key = f"{name} ({count})"
            taken.add(key)
            yield renames.get(key, key), row

    def forget(self) -> None:
        """Everything is read anew."""
        self.memory.clear()
        for name in ("organizations", "clients", "levels"):
            self.__dict__.pop(name, None)

    def once(self, name: Any, make: Callable[[], Any]) -> Any:
        """What a room reads once."""
        if name not in self.memory:
            self.memory[name] = make()
        return self.memory[name]

    # --- What is wrong

    def refuse(self, path: Path, text: str, code: str = "refused") -> None:
        self.faults.append(Fault(path, code, text, self.line(path)))

    def line(self, path: Path) -> int:
        """Of the path, or of the nearest above it that the document names."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    @contextmanager
    def guard(self, path: Path) -> Iterator[None]:
        """What an operation refuses is noted; the next one is tried all the same, so that every fault is told."""
        try:
            with transaction.atomic():
                yield
        except ValidationError as refusal:
            named = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
            for name, sentences in named.items():
                below = tuple(part for part in name.split("/") if part and part != "__all__")
                self.refuse((*path, *below), " ".join(sentences))
        except Refusal as refusal:
            below = tuple(part for part in refusal.field.split("/") if part)
            self.refuse((*path, *below), refusal.text, refusal.code)
        except IntegrityError:
            self.refuse(path, "This clashes with something that is there already.", "clash")


def path_of(level: Level) -> Path:
    """Where a level stands in the document."""
    if level[0] == "partner":
        return ()
    if level[0] == "organization":
        return ("organizations", level[1])
    below = ("clients", level[1])
    return below if level[0] == "client" else (*below, "accounts", level[2])


def name_in(key: str, value: Tree | None) -> str:
    """What an entry is called: its `name`, or the key it stands under."""
    return (value or {}).get("name") or key


def name_for(key: str, row: Any) -> str | None:
    """The `name` of an entry whose key says it otherwise."""
    return None if row.name == key else row.name
