"""A partner's whole set-up as one document: written, compared, applied (asked by `manage.py config`, REST, the page and
the daily look for drift).

`plan` carries everything out in a transaction that is rolled back, so it refuses what `apply` would refuse, and shows
what `apply` would do. `apply` reads the set-up again before it commits: what is not as the document says is refused, so
that a second time there is nothing left to do. Secrets are neither written nor read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from portal import audit, clock, configparts, configtext, configtree, configworld
from portal.access import Actor
from portal.configshape import (
    Difference,
    Map,
    Merging,
    Number,
    Reading,
    Record,
    Tree,
    difference,
    lacking,
    ordered,
)
from portal.configtree import Fault, Node, Unreadable
from portal.configworld import Finding, Level, Part, World, path_of
from portal.models import ConfigState, Partner

VERSION = 1
MOST_TOLD = 1000
HEAD = """PSA Portal: the configuration of {name}.
Secrets are never written here: “secret: kept” leaves the stored one as it is.
What a document does not say is left alone; with prune it is removed, in the sections that the document has.
Values of the PSA are written as id and name."""
NOTES = {
    "client_templates": "Named by clients with “template:”; what a client says itself goes before.",
    "organizations": "Settings inherit downwards; each says only what it sets itself.",
    "clients": "By client id.",
}


# --- What a document may say ------------------------------------------------------------------------------------------


def shape_of(parts: Sequence[Part]) -> Record:
    """The whole document: the rooms' parts where they belong."""
    by_place = {
        place: {
            part.name: part.shape for part in sorted(parts, key=lambda one: one.name) if place in part.places
        }
        for place in configworld.PLACES
    }
    account = Record(by_place["account"])
    client = Record(
        {**configparts.CLIENT, **by_place["client"], "accounts": Map(account)},
        needed=("name", "organization"),
    )
    return Record(
        {
            **dict(sorted(by_place["partner"].items())),
            "organizations": Map(
                Record({**configparts.ORGANIZATION, **by_place["organization"]}), kept=configparts.NEVER
            ),
            "clients": Map(client, key=configparts.ClientNumber(most=18), kept=configparts.NEVER),
        }
    )


def parts_for(*, only_first: bool) -> list[Part]:
    return [part for part in configworld.parts() if part.is_first or not only_first]


# --- Reading what is --------------------------------------------------------------------------------------------------


def live_tree(world: World, parts: Sequence[Part]) -> Tree:
    """The set-up as it is. The same set-up is the same tree, however it came about."""
    tree: Tree = {
        "organizations": configparts.read_organizations(world),
        "clients": configparts.read_clients(world),
    }
    for part in parts:
        for level, value in part.read(world).items():
            put(tree, level, part.name, value)
    for section in ("organizations", "clients"):
        tree[section] = {key: clean(tree[section][key]) for key in ordered(tree[section])}
    return tree


def put(tree: Tree, level: Level, name: str, value: Any) -> None:
    """Say at a level what a part says there; top-level parts also when they are empty."""
    if level[0] == "partner":
        tree[name] = clean(value) if isinstance(value, dict) else value
        return
    section, key = path_of(level)[:2]
    place = tree[section][key]
    if level[0] == "account":
        place = place.setdefault("accounts", {}).setdefault(level[2], {})
    place[name] = value


def clean(value: Any) -> Any:
    """Without what says nothing, all the way down."""
    if not isinstance(value, dict):
        return value
    return {key: clean(part) for key, part in value.items() if part is not None}


def text_of(partner: Partner, tree: Tree, parts: Sequence[Part]) -> str:
    notes = NOTES | {part.name: part.note for part in parts if part.note}
    return configtext.text_of(
        shape_of(parts), tree, head=HEAD.format(name=one_line(partner.name)), notes=notes
    )


def one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True)
class Export:
    """A set-up as it is: as a tree, as text, and a digest of that text by which a change is noticed."""

    tree: Tree
    text: str

    @property
    def digest(self) -> str:
        return digest_of(self.text)

    def as_json(self) -> Tree:
        return {"version": VERSION, **self.tree}


def digest_of(text: str) -> str:
    """Of what is said: comments are left out, so that the partner's name is not in it twice."""
    said = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def export(partner: Partner) -> Export:
    """The whole set-up of a partner."""
    parts = configworld.parts()
    world = World(partner, None, "")
    with transaction.atomic():
        tree = live_tree(world, parts)
    return Export(tree, text_of(partner, tree, parts))


# --- Reading what shall be --------------------------------------------------------------------------------------------


@dataclass
class Document:
    """What somebody sent, typed: a tree of what it says, and the line of each path."""

    said: Tree = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)

    @classmethod
    def of(cls, text: str | bytes, shape: Record) -> Document:
        """Never raises: what is wrong is in `reading.faults`."""
        found = cls()
        try:
            root = configtree.read(text)
            assert root.entries is not None  # `read` says so
            found.check_version(root)
            with_templates(root, found.reading)
        except Unreadable as error:
            found.reading.faults.append(error.fault)
            return found
        found.said = shape.read(root, (), found.reading) or {}
        return found

    def check_version(self, root: Node) -> None:
        assert root.entries is not None
        line, node = root.entries.pop("version", (root.line, Node(root.line, is_plain=True)))
        version = Number(least=1).read(node, ("version",), self.reading)
        if not self.reading.faults and version != VERSION:
            text = f"This portal reads version {VERSION}. Begin the document with “version: {VERSION}”."
            self.reading.wrong(("version",), Node(line), text, "unknown_version")


def with_templates(root: Node, reading: Reading) -> None:
    """Put what a client's template says below what the client says itself; templates are no part of the set-up."""
    assert root.entries is not None
    _, section = root.entries.pop("client_templates", (0, Node(0, entries={})))
    if section.entries is None:
        reading.wrong(("client_templates",), section, "A mapping of names is wanted here.")
        return
    _, clients = root.entries.get("clients", (0, Node(0, entries={})))
    for key, (line, client) in (clients.entries or {}).items():
        if client.entries is None or "template" not in client.entries:
            continue
        entries = dict(client.entries)
        _, named = entries.pop("template")
        path = ("clients", key, "template")
        template = section.entries.get(named.text, (0, None))[1] if named.is_scalar else None
        below = Node(client.line, entries=entries)
        if template is None or template.entries is None:
            near = ", ".join(ordered(section.entries)[:10]) or "none"
            text = f"There is no template “{named.text[:100]}” in client_templates. There are: {near}."
            reading.wrong(path, named, text, "unknown_template")
        else:
            below = merged(template, below)
        assert clients.entries is not None
        clients.entries[key] = (line, below)


def merged(lower: Node, upper: Node) -> Node:
    """Fields of both; the upper ones go before, part by part. What the PSA offers is one value."""
    if upper.is_blank and lower.entries is not None and "id" not in lower.entries:
        return lower
    if lower.entries is None or upper.entries is None or "id" in upper.entries or upper.is_null:
        return upper
    entries = dict(lower.entries)
    for name, (line, node) in upper.entries.items():
        below = entries.get(name)
        entries[name] = (line, merged(below[1], node) if below else node)
    return Node(upper.line, entries=entries)


def renames_in(said: Tree, live: World) -> dict[str, dict[str, str]]:
    """What a document calls otherwise: entries with `was`, and the organization at the top under another name."""
    found: dict[str, dict[str, str]] = {}
    for section, entries in said.items():
        if not isinstance(entries, dict):
            continue
        for key, value in entries.items():
            was = value.pop("was", None) if isinstance(value, dict) else None
            if was and was != key and was not in entries:
                found.setdefault(section, {})[was] = key
    organizations = said.get("organizations") or {}
    tops = [key for key, value in organizations.items() if not (value or {}).get("parent")]
    mine = [key for key, row in live.organizations.items() if row.parent_id is None]
    if len(tops) == 1 and mine and mine[0] not in organizations and tops[0] not in live.organizations:
        found.setdefault("organizations", {}).setdefault(mine[0], tops[0])
    return found


# --- Comparing --------------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What a document would change. With `faults` nothing can be applied; `kept` is left because nobody said prune.

    `digest` is that of the set-up as it was found; `apply` may insist on it.
    """

    partner: Partner
    digest: str
    prune: bool = False
    only_first: bool = False
    differences: list[Difference] = field(default_factory=list)
    kept: list[Difference] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        return not self.differences and not self.faults

    @property
    def summary(self) -> str:
        if self.faults:
            return f"{counted(len(self.faults), 'thing')} to put right; nothing can be applied."
        parts = [
            f"{sum(one.what == what for one in self.differences)} {what}"
            for what in ("added", "changed", "removed")
            if any(one.what == what for one in self.differences)
        ]
        return f"{', '.join(parts)}." if parts else "Nothing to change."

    def as_json(self) -> Tree:
        return {
            "digest": self.digest,
            "summary": self.summary,
            "prune": self.prune,
            "differences": [one.as_json() for one in self.differences],
            "kept": [one.as_json() for one in self.kept],
            "findings": [one.as_json() for one in self.findings],
            "errors": [one.as_json() for one in self.faults],
        }


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


class Refused(Exception):
    """Nothing was applied; the plan says why."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.summary)
        self.plan = plan


class Moved(Exception):
    """The set-up is not any more what the plan was made for."""

    def __init__(self, digest: str) -> None:
        super().__init__("The set-up was changed since this was planned. Plan again.")
        self.digest = digest


@dataclass
class Session:
    """One document being compared with one partner's set-up, inside a transaction."""

    world: World
    parts: Sequence[Part]
    shape: Record
    plan: Plan
    live: Tree = field(default_factory=dict)
    target: Tree = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        partner: Partner,
        text: str | bytes,
        *,
        actor: Actor | None,
        by: str,
        prune: bool,
        only_first: bool,
        is_on_server: bool,
    ) -> Session:
        parts = parts_for(only_first=only_first)
        document = Document.of(text, shape_of(configworld.parts()))
        before = export(partner)
        world = World(partner, actor, by, is_on_server=is_on_server)
        world.renames = renames_in(document.said, world)
        world.forget()
        world.said, world.lines, world.faults = document.said, document.reading.lines, document.reading.faults
        plan = Plan(partner, before.digest, prune, only_first, faults=world.faults)
        session = cls(world, parts, shape_of(parts), plan)
        if not plan.faults:
            session.compare()
        return session

    def compare(self) -> None:
        """What is, what shall be, and how they differ."""
        world, plan = self.world, self.plan
        self.live = live_tree(world, self.parts)
        said = {name: value for name, value in world.said.items() if name in self.shape.fields}
        said = only_parts(said, self.shape)
        self.target = self.merge(said, [])
        self.settle(said)
        self.target = self.merge(said, plan.kept)
        for path in lacking(self.shape, self.target):
            world.refuse(path, "This must be said.", "required")
        plan.differences = list(difference(self.live, self.target))
        plan.findings = [finding for room in configworld.rooms() for finding in room.findings(world)]

    def merge(self, said: Tree, kept: list[Difference]) -> Tree:
        """Sections that the document does not have are left alone, with prune too."""
        merging = Merging(self.plan.prune, kept)
        found = {
            name: merging.of(part, self.live.get(name), said[name], (name,), is_said=True)
            if name in said
            else self.live.get(name)
            for name, part in self.shape.fields.items()
        }
        for section in ("organizations", "clients"):
            found[section] = found[section] or {}
        self.world.memory["target"] = found
        return found

    def settle(self, said: Tree) -> None:
        """Let each part say what the document's values mean here, in place."""
        for part in self.parts:
            if part.settle is None:
                continue
            for level, place in places(said):
                if part.name not in place or place[part.name] is None or level[0] not in part.places:
                    continue
                live = value_at(self.live, level, part.name)
                place[part.name] = part.settle(self.world, level, live, place[part.name])
            self.target = self.merge(said, [])

    def carry_out(self) -> None:
        """Make the set-up as the document says; what is refused, or did not come out so, is in the plan's faults."""
        world = self.world
        for write, section in (
            (configparts.write_organizations, "organizations"),
            (configparts.write_clients, "clients"),
        ):
            write(world, self.live[section], self.target[section])
        if self.plan.faults:
            return
        for part in self.parts:
            for level in self.levels(part):
                before, after = (value_at(tree, level, part.name) for tree in (self.live, self.target))
                if (before or None) != (after or None):
                    path = (*path_of(level), part.name)
                    with world.guard(path):
                        part.write(world, level, before, after)
        for part in self.parts:
            if part.finish is not None:
                part.finish(world)
        if not self.plan.faults:
            self.look_again()

    def levels(self, part: Part) -> Iterator[Level]:
        """From the top down, because lower levels are judged by what they inherit."""
        organizations = configparts.top_down(self.world, self.target["organizations"])
        for place in configworld.PLACES:
            if place not in part.places:
                continue
            if place == "partner":
                yield configworld.PARTNER
            elif place == "organization":
                yield from (("organization", key) for key in organizations)
            elif place == "client":
                yield from (("client", key) for key in self.target["clients"])
            else:
                for number, client in self.target["clients"].items():
                    before = self.live["clients"].get(number, {})
                    for key in ordered({**before.get("accounts", {}), **client.get("accounts", {})}):
                        yield ("account", number, key)

    def look_again(self) -> None:
        """The proof that a second time there is nothing to do."""
        world = self.world
        world.renames = {}
        world.forget()
        for left in list(difference(live_tree(world, self.parts), self.target))[:20]:
            if left.path[-1:] == ("accounts",) or left.new == {}:
                continue
            world.refuse(
                left.path,
                f"This would come out as {left.old_text}, not as {left.new_text}; write it so, or leave it out.",
                "did_not_settle",
            )


def only_parts(said: Any, shape: Any) -> Any:
    """Without the parts that are not asked for."""
    if isinstance(shape, Record) and isinstance(said, dict):
        return {
            name: only_parts(value, shape.fields[name])
            for name, value in said.items()
            if name in shape.fields
        }
    if isinstance(shape, Map) and isinstance(said, dict):
        return {name: only_parts(value, shape.of) for name, value in said.items()}
    return said


def places(said: Tree) -> Iterator[tuple[Level, Tree]]:
    """Every level that a document speaks of, with what it says there."""
    yield configworld.PARTNER, said
    for key, value in (said.get("organizations") or {}).items():
        if value:
            yield ("organization", key), value
    for key, value in (said.get("clients") or {}).items():
        if value:
            yield ("client", key), value
            for account, below in (value.get("accounts") or {}).items():
                if below:
                    yield ("account", key, account), below


def value_at(tree: Tree, level: Level, name: str) -> Any:
    place: Any = tree
    for step in path_of(level):
        place = (place or {}).get(step)
    return (place or {}).get(name)


def plan(
    partner: Partner,
    text: str | bytes,
    *,
    actor: Actor | None = None,
    by: str = "",
    prune: bool = False,
    only_first: bool = False,
    is_on_server: bool = False,
) -> Plan:
    """What this document would change, and everything that is wrong with it. Changes nothing."""
    with transaction.atomic():
        session = Session.begin(
            partner, text, actor=actor, by=by, prune=prune, only_first=only_first, is_on_server=is_on_server
        )
        if not session.plan.faults and session.plan.differences:
            session.carry_out()
        transaction.set_rollback(True)
    partner.refresh_from_db()
    return session.plan


def apply(
    partner: Partner,
    text: str | bytes,
    *,
    actor: Actor | None = None,
    by: str = "",
    prune: bool = False,
    only_first: bool = False,
    is_on_server: bool = False,
    expect: str = "",
) -> Plan:
    """Make the set-up as the document says, all of it or nothing.

    Raises Refused with the plan and its faults, and Moved when `expect` is not the digest of the set-up any more.
    """
    with transaction.atomic():
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)
        session = Session.begin(
            partner, text, actor=actor, by=by, prune=prune, only_first=only_first, is_on_server=is_on_server
        )
        found = session.plan
        if expect and expect != found.digest:
            raise Moved(found.digest)
        if not found.faults and found.differences:
            session.carry_out()
        if not found.faults:
            remember(found, text, actor=actor, by=by)
        else:
            transaction.set_rollback(True)
    if found.faults:
        partner.refresh_from_db()
        raise Refused(found)
    return found


def remember(found: Plan, text: str | bytes, *, actor: Actor | None, by: str) -> None:
    """Note who applied what, and keep the document for the look for drift."""
    if found.differences:
        audit.note(
            "config apply",
            actor=actor or by,
            partner_id=found.partner.pk,
            target=f"/api/v1/config {found.digest}",
            details={"summary": found.summary, "changed": [one.where for one in found.differences[:50]]},
        )
    if found.only_first:
        return
    text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    ConfigState.objects.update_or_create(
        partner=found.partner,
        defaults={"document": text, "applied_at": clock.now(), "applied_by": by[:300]},
    )


# --- Drift ------------------------------------------------------------------------------------------------------------


def look_for_drift(partner: Partner) -> ConfigState:
    """Compare the set-up with the document that was applied last, and with what the PSA offers; keep what is found."""
    state, _ = ConfigState.objects.get_or_create(partner=partner)
    with transaction.atomic():
        session = Session.begin(
            partner,
            state.document or export(partner).text,
            actor=None,
            by="",
            prune=False,
            only_first=False,
            is_on_server=False,  # the document may be a partner's: no secret of the server is looked at
        )
        transaction.set_rollback(True)
    found = session.plan
    state.drift = {
        "differences": [one.as_json() for one in found.differences[:MOST_TOLD]],
        "findings": [one.as_json() for one in found.findings[:MOST_TOLD]],
        "errors": [one.as_json() for one in found.faults[:MOST_TOLD]],
        "kept": [one.as_json() for one in found.kept[:MOST_TOLD]],
    }
    state.looked_at = clock.now()
    state.save(update_fields=["drift", "looked_at"])
    return state
