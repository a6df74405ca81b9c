"""What may stand where in a configuration document (asked by `configuration` and by each room's part of it).

A value is typed by its place, never by how it looks: `no` is text where text is wanted, and refused with a sentence
where true or false is. In trees, values are text, numbers, flags, lists and mappings; what is not said is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from portal.configtree import Fault, Node, Path
from portal.texts import shown

Tree = dict[str, Any]
INTEGER = re.compile(r"^-?(0|[1-9][0-9]{0,17})$")
DECIMAL = re.compile(r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$")
MOMENT = "2026-05-31T18:00:00Z"


@dataclass
class Reading:
    """What is found wrong while a document is read, and at which line each path stands."""

    faults: list[Fault] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)

    def wrong(self, path: Path, node: Node, text: str, code: str = "invalid_value") -> None:
        self.faults.append(Fault(path, code, text, node.line))


class Wrong(Exception):
    """A value that is not what its place wants; the text says what to write."""


# --- Values -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One value. `default` holds when nothing is said; a default of None means: says nothing, inherits."""

    default: Any = None

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """The value; None for null. What is wrong is noted and reads as None."""
        if node.is_null:
            return None
        try:
            return self.value(node)
        except Wrong as wrong:
            reading.wrong(path, node, str(wrong))
            return None

    def value(self, node: Node) -> Any:
        raise NotImplementedError

    def scalar(self, node: Node) -> str:
        if not node.is_scalar:
            raise Wrong(f"One value is wanted here, this is {node.sort}.")
        return node.text


@dataclass(frozen=True, kw_only=True)
class Text(Leaf):
    """Text, in quotes or without. `choices`: one of these."""

    default: Any = ""
    most: int = 200
    least: int = 0
    choices: Sequence[str] = ()
    is_email: bool = False

    def value(self, node: Node) -> str:
        text = self.scalar(node)
        if "\x00" in text:
            raise Wrong("This holds a NUL character; remove it.")
        if self.choices and text not in self.choices:
            raise Wrong(f"“{shown(text)}” is none of {', '.join(one or '“”' for one in self.choices)}.")
        if len(text) > self.most:
            raise Wrong(f"This has {len(text)} characters; {self.most} are allowed.")
        if len(text.strip()) < self.least:
            raise Wrong("This must not be empty.")
        if self.is_email and text:
            text = text.strip().lower()
            try:
                validate_email(text)
            except ValidationError as error:
                raise Wrong(f"“{shown(text)}” is not an e-mail address.") from error
        return text


@dataclass(frozen=True, kw_only=True)
class Flag(Leaf):
    """true or false, and no other word for it."""

    def value(self, node: Node) -> bool:
        text = self.scalar(node)
        if not node.is_plain or text not in ("true", "false"):
            raise Wrong(f"Write true or false, not “{shown(text)}”.")
        return text == "true"


@dataclass(frozen=True, kw_only=True)
class Number(Leaf):
    """A whole number in digits: no 1e3, no leading zeros, no underscores, no quotes."""

    least: int = 0
    most: int = 2_147_483_647

    def value(self, node: Node) -> int:
        text = self.scalar(node)
        if not INTEGER.match(text):
            raise Wrong(f"Write a whole number in plain digits, not “{shown(text)}”.")
        if not node.is_plain:
            raise Wrong(f"Write the number without quotes: {text}.")
        number = int(text)
        if not self.least <= number <= self.most:
            raise Wrong(f"{number} is not between {self.least} and {self.most}.")
        return number


@dataclass(frozen=True, kw_only=True)
class Fraction(Leaf):
    """A decimal number; in trees as text without needless zeros."""

    least: Decimal = Decimal(0)
    most: Decimal = Decimal(1_000_000)

    def value(self, node: Node) -> str:
        text = self.scalar(node)
        if not DECIMAL.match(text) or not node.is_plain:
            raise Wrong(f"Write a number like 24 or 0.5, not “{shown(text)}”.")
        number = Decimal(text)
        if not self.least <= number <= self.most:
            raise Wrong(f"{text} is not between {self.least} and {self.most}.")
        if round(number, 2) != number:
            raise Wrong("Two digits after the point at most.")
        return plain_number(number)


def plain_number(number: Decimal | str) -> str:
    """`24`, `0.25`: the form in which fractions stand in trees."""
    try:
        found = format(Decimal(number), "f")
    except InvalidOperation:
        return str(number)
    return found.rstrip("0").rstrip(".") if "." in found else found


@dataclass(frozen=True, kw_only=True)
class Moment(Leaf):
    """A moment with its offset; in trees UTC, to the second or finer."""

    def value(self, node: Node) -> str | None:
        text = self.scalar(node)
        try:
            found = datetime.fromisoformat(text)
        except ValueError as error:
            raise Wrong(f"Write a moment like {MOMENT}, not “{shown(text)}”.") from error
        if found.tzinfo is None:
            raise Wrong(f"Say the offset too, like {MOMENT}.")
        try:
            return moment_text(found)
        except (OverflowError, ValueError) as error:
            raise Wrong(f"“{shown(text)}” lies too far away.") from error


def moment_text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def moment_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True, kw_only=True)
class Day(Leaf):
    """A day, 2026-05-31."""

    def value(self, node: Node) -> str:
        text = self.scalar(node)
        try:
            found = date.fromisoformat(text) if len(text) == 10 else None
        except ValueError:
            found = None
        if found is None:
            raise Wrong(f"Write a day like 2026-05-31, not “{shown(text)}”.")
        return found.isoformat()


@dataclass(frozen=True, kw_only=True)
class Clock(Leaf):
    """A time of the day, 22:00."""

    def value(self, node: Node) -> str:
        text = self.scalar(node)
        try:
            found = time.fromisoformat(text)
        except ValueError as error:
            raise Wrong(f"Write a time like 22:00, not “{shown(text)}”.") from error
        if found.tzinfo is not None or ":" not in text:
            raise Wrong(f"Write a time like 22:00, not “{shown(text)}”.")
        return clock_text(found)


def clock_text(found: time) -> str:
    return found.isoformat() if found.second or found.microsecond else found.isoformat("minutes")


@dataclass(frozen=True, kw_only=True)
class Several(Leaf):
    """A list of values of one sort. `order`: the list is a set in this order; without one it is sorted."""

    of: Leaf
    default: Any = ()
    most: int = 500
    order: Sequence[Any] = ()
    keeps_order: bool = False

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        if node.is_null:
            return None
        if node.items is None:
            reading.wrong(path, node, f"A list is wanted here, this is {node.sort}.")
            return None
        if len(node.items) > self.most:
            reading.wrong(path, node, f"{len(node.items)} entries; {self.most} are allowed.")
            return None
        found = [self.of.read(item, (*path, str(place)), reading) for place, item in enumerate(node.items)]
        return self.tidy(one for one in found if one is not None)

    def tidy(self, values: Any) -> list[Any]:
        once = list(dict.fromkeys(values))
        if self.keeps_order:
            return once
        return sorted(once, key=self.order.index) if self.order else sorted(once)


@dataclass(frozen=True, kw_only=True)
class Picked(Leaf):
    """What a PSA offers, as id and name. `word`: another word that may stand here instead."""

    kind: str
    word: str = ""

    def value(self, node: Node) -> Any:
        if self.word and node.is_scalar and node.text == self.word:
            return self.word
        if node.entries is None:
            either = f", or “{self.word}”" if self.word else ""
            raise Wrong(f"Write id and name of what the PSA offers{either}.")
        if unknown := sorted(set(node.entries) - {"id", "name"}):
            raise Wrong(f"“{shown(unknown[0])}” is not known here: write id and name.")
        found = {}
        for name in ("id", "name"):
            _, part = node.entries.get(name, (0, Node(0)))
            if not part.is_scalar or part.is_null or len(part.text) > 300:
                raise Wrong(f"“{name}” must be text of 300 characters at most.")
            found[name] = part.text
        if not found["id"] and not found["name"]:
            raise Wrong("Write at least the name.")
        if len(found["id"]) > 50:
            raise Wrong("“id” has 50 characters at most.")
        return found


# --- Mappings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """Fields with names of ours. `needed` must be said of a new one; `kept` says why it is never removed."""

    fields: Mapping[str, Any]
    needed: Sequence[str] = ()
    kept: str = ""

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        if node.is_null:
            return None
        if node.entries is None:
            reading.wrong(path, node, f"Fields are wanted here, this is {node.sort}.")
            return None
        found: Tree = {}
        for name, (line, part) in node.entries.items():
            reading.lines[(*path, name)] = line
            if name not in self.fields:
                near = get_close_matches(name, list(self.fields), 1)
                hint = (
                    f" Did you mean “{near[0]}”?" if near else f" Known are {', '.join(sorted(self.fields))}."
                )
                where = Node(line)
                reading.wrong((*path, shown(name)), where, f"There is no such field.{hint}", "unknown_field")
                continue
            if not (part.is_blank and isinstance(self.fields[name], Record)):  # that says nothing
                found[name] = self.fields[name].read(part, (*path, name), reading)
        return found


@dataclass(frozen=True)
class Map:
    """Entries with names of the partner's. `kept` says why an entry is never removed by a document."""

    of: Any
    key: Leaf = field(default_factory=lambda: Text(most=300, least=1))
    kept: Callable[[str, Any], str] | str = ""

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        if node.is_null:
            return None
        if node.entries is None:
            reading.wrong(path, node, f"A mapping of names is wanted here, this is {node.sort}.")
            return None
        found: Tree = {}
        for name, (line, part) in node.entries.items():
            below = (*path, name)
            reading.lines[below] = line
            try:
                key = self.key.value(Node(line, text=name))
            except Wrong as wrong:
                reading.wrong(below, Node(line), str(wrong), "invalid_key")
                continue
            if key != name:
                reading.wrong(below, Node(line), f"Write it as “{key}”.", "invalid_key")
                continue
            value = self.of.read(part, below, reading)
            if isinstance(self.of, Record) and value is None and not part.is_null:
                continue
            found[name] = {} if isinstance(self.of, Record) and value is None else value
        return found

    def why_kept(self, key: str, value: Any) -> str:
        return self.kept(key, value) if callable(self.kept) else self.kept


def ordered(keys: Any) -> list[str]:
    """Keys as they stand in a document: numbers in them by value, so that “A (10)” comes after “A (2)”."""
    return sorted(keys, key=natural)


def natural(key: str) -> tuple[Any, ...]:
    parts = re.split(r"([0-9]+)", key)
    whole = [
        part.lstrip("0") if place % 2 else part for place, part in enumerate(parts)
    ]  # as text: no length is too long for it
    return [(1, len(part), part) if place % 2 else (0, 0, part) for place, part in enumerate(whole)], key


# --- Two trees --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """One value that is (or, `kept`, would with prune be) another."""

    path: Path
    what: str
    old: Any
    new: Any
    kept: str = ""

    @property
    def where(self) -> str:
        return "/".join(self.path)

    @property
    def sign(self) -> str:
        return {"added": "+", "removed": "-", "changed": "~"}[self.what]

    @property
    def old_text(self) -> str:
        return told(self.old)

    @property
    def new_text(self) -> str:
        return told(self.new)

    def as_json(self) -> dict[str, Any]:
        found = {"path": self.where, "what": self.what, "old": self.old, "new": self.new}
        return {**found, "kept": self.kept} if self.kept else found

    def __str__(self) -> str:
        change = {
            "added": self.new_text,
            "removed": self.old_text,
            "changed": f"{self.old_text} -> {self.new_text}",
        }[self.what]
        return f"{self.sign} {self.where}: {change}"


def told(value: Any) -> str:
    """A value in one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{value['name']} ({value['id']})" if set(value) == {"id", "name"} else f"{len(value)} values"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(told, value))}]"
    text = str(value)
    text = text if len(text) <= 120 else f"{text[:120]}…"
    return f"“{text}”" if text != text.strip() or not text or "\n" in text else text.replace("\n", "⏎")


GONE = "said no more; only removed with prune"


@dataclass
class Merging:
    """What shall be, of what is and what a document says; with what is left only because nobody said prune."""

    prune: bool
    kept: list[Difference] = field(default_factory=list)

    def of(self, shape: Any, live: Any, said: Any, path: Path, *, is_said: bool) -> Any:
        """The value that shall be; None for nothing."""
        if isinstance(shape, Leaf):
            return self.of_leaf(shape, live, said, path, is_said=is_said)
        why = "" if is_said or live is None else getattr(shape, "kept", "")
        if not is_said and live is not None and (not self.prune or (why and isinstance(shape, Record))):
            self.keep(shape, live, path, why if isinstance(why, str) and why else GONE)
            return live
        if said is None and live is not None and isinstance(shape, Record) and shape.kept:
            self.keep(shape, live, path, shape.kept)
            return live
        if not is_said or said is None:
            return self.emptied(shape, live, path)
        if isinstance(shape, Record):
            return self.of_record(shape, live, said, path)
        return self.of_map(shape, live, said, path)

    def of_leaf(self, shape: Leaf, live: Any, said: Any, path: Path, *, is_said: bool) -> Any:
        default = list(shape.default) if isinstance(shape, Several) else shape.default
        if is_said:
            return default if said is None else said
        if live is None or self.prune or (path[-1] == "name" and shape.default is None):
            return default
        if live != default:
            self.kept.append(Difference(path, "removed", live, None, GONE))
        return live

    def of_record(self, shape: Record, live: Any, said: Any, path: Path) -> Tree:
        before = live or {}
        found = {
            name: self.of(part, before.get(name), said.get(name), (*path, name), is_said=name in said)
            for name, part in shape.fields.items()
        }
        return tidied(found)

    def of_map(self, shape: Map, live: Any, said: Any, path: Path) -> Tree:
        before = live or {}
        found: Tree = {}
        for key in ordered({*before, *said}):
            below = (*path, key)
            if key in said:
                found[key] = self.of(shape.of, before.get(key), said[key], below, is_said=True)
                continue
            why = shape.why_kept(key, before[key])
            if why or not self.prune:
                self.keep(shape.of, before[key], below, why or GONE)
                found[key] = before[key]
        return {key: value for key, value in found.items() if value is not None}

    def keep(self, shape: Any, live: Any, path: Path, why: str = GONE) -> None:
        if live not in ({}, [], None):
            self.kept.append(Difference(path, "removed", live, None, why))

    def emptied(self, shape: Any, live: Any, path: Path) -> Any:
        """Nothing; but for entries that are never removed."""
        return self.of_map(shape, live, {}, path) if isinstance(shape, Map) and live else None


def tidied(found: Tree) -> Tree:
    """Without what says nothing."""
    return {name: value for name, value in found.items() if value is not None and value != {}}


def difference(live: Any, wanted: Any, path: Path = ()) -> Iterator[Difference]:
    """Every value in which two trees differ, by path."""
    if live == wanted:
        return
    if is_tree(live) or is_tree(wanted):
        before, after = (one if is_tree(one) else {} for one in (live, wanted))
        if not before and not after:
            return
        if (live is None or wanted is None) and not (before or after):
            return
        for name in ordered({*before, *after}):
            yield from difference(before.get(name), after.get(name), (*path, name))
        return
    what = "added" if live is None else "removed" if wanted is None else "changed"
    yield Difference(path, what, live, wanted)


def lacking(shape: Any, tree: Any, path: Path = ()) -> Iterator[Path]:
    """Fields that must be said and are not."""
    if not isinstance(tree, dict) or isinstance(shape, Leaf):
        return
    if isinstance(shape, Record):
        yield from ((*path, name) for name in shape.needed if tree.get(name) in (None, "", []))
    for name, value in tree.items():
        below = shape.fields.get(name) if isinstance(shape, Record) else shape.of
        yield from lacking(below, value, (*path, name))


def is_tree(value: Any) -> bool:
    """Whether it has parts of its own; what the PSA offers is one value."""
    return isinstance(value, dict) and set(value) != {"id", "name"}
