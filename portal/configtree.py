"""How is a configuration document read: YAML or JSON, each value with its line (asked by `configshape`).

Nothing is made of it but text, lists and mappings: no tags, no types guessed from how a word looks. What a value means
says the shape (`configshape`). Size, depth and what aliases multiply are bounded before anything is built.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from portal import texts

MOST_BYTES = 20 * 1024 * 1024
MOST_DEPTH = 20
MOST_VALUES = 1_000_000
"""All values of a document, those that aliases repeat included."""
Path = tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """What is wrong, where (path and line, 0 when there is none), and what to do."""

    path: Path
    code: str
    text: str
    line: int = 0

    @property
    def where(self) -> str:
        return "/".join(self.path)

    def as_json(self) -> dict[str, Any]:
        return {"field": self.where, "line": self.line, "code": self.code, "detail": self.text}

    def __str__(self) -> str:
        place = " ".join(part for part in (f"line {self.line}" if self.line else "", self.where) if part)
        return f"{place}: {self.text}" if place else self.text


class Unreadable(Exception):
    """The text is no document at all."""

    def __init__(self, text: str, line: int = 0, code: str = "unreadable_document") -> None:
        super().__init__(text)
        self.fault = Fault((), code, text, line)


@dataclass
class Node:
    """One value as it was written. `text` of a scalar is what stands there; `is_plain` when without quotes."""

    line: int
    text: str = ""
    is_plain: bool = False
    entries: dict[str, tuple[int, Node]] | None = None
    items: list[Node] | None = None
    size: int = 1

    @property
    def is_scalar(self) -> bool:
        return self.entries is None and self.items is None

    @property
    def is_null(self) -> bool:
        return self.is_scalar and self.is_plain and self.text in ("", "~", "null", "Null", "NULL")

    @property
    def is_blank(self) -> bool:
        """Nothing stands there, not even `null`: what was below it is perhaps a comment now."""
        return self.is_null and not self.text

    @property
    def sort(self) -> str:
        if self.entries is not None:
            return "a mapping"
        return "a list" if self.items is not None else "a value"


def read(text: str | bytes) -> Node:
    """The root of a document. Raises Unreadable."""
    if isinstance(text, bytes):
        if len(text) > MOST_BYTES:
            raise too_large()
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Unreadable(f"The document is not UTF-8 (byte {error.start}).") from error
    if len(text) > MOST_BYTES:
        raise too_large()
    if problem := texts.unstorable(text):
        raise Unreadable(f"The document holds {problem}; remove it.")
    root = from_json(text) if text.lstrip()[:1] == "{" else from_yaml(text)
    if root.entries is None:
        raise Unreadable("A configuration document is a mapping that begins with “version: 1”.", root.line)
    return root


def too_large() -> Unreadable:
    return Unreadable(f"The document is larger than {MOST_BYTES // 1024 // 1024} MB.")


# --- YAML -------------------------------------------------------------------------------------------------------------


@dataclass
class Building:
    """A list or mapping whose end has not come yet."""

    node: Node
    anchor: str | None
    key: tuple[str, int] | None = None


@dataclass
class Builder:
    """Makes nodes of the parser's events, without recursion."""

    root: Node | None = None
    open: list[Building] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    made: int = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise Unreadable("There is a second document (---); send one.", line)
        if isinstance(event, yaml.AliasEvent):
            self.add_alias(event.anchor or "", line)
        elif isinstance(event, yaml.ScalarEvent):
            self.refuse_tag(event, line, is_plain=event.implicit[0])
            node = Node(line, text=event.value, is_plain=event.implicit[0])
            self.add(node, event.anchor, is_leaf=True)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.refuse_tag(event, line, is_plain=event.implicit)
            if len(self.open) >= MOST_DEPTH:
                raise Unreadable(f"The document is nested deeper than {MOST_DEPTH} levels.", line)
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            if self.open and self.is_at_key():
                raise Unreadable("A key must be a single value.", line)
            node = Node(line, entries={} if is_mapping else None, items=None if is_mapping else [])
            self.open.append(Building(node, event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.open.pop()
            self.add(done.node, done.anchor)

    def refuse_tag(self, event: Any, line: int, *, is_plain: bool) -> None:
        quoted = isinstance(event, yaml.ScalarEvent) and event.implicit[1]
        if event.tag is not None and not (is_plain or quoted):
            raise Unreadable(f"Tags like “{texts.shown(event.tag)}” are not used here; remove it.", line)

    def is_at_key(self) -> bool:
        above = self.open[-1]
        return above.node.entries is not None and above.key is None

    def add_alias(self, anchor: str, line: int) -> None:
        node = self.anchors.get(anchor)
        if node is None:
            raise Unreadable(f"“*{texts.shown(anchor)}” stands for nothing that was named before.", line)
        self.add(node, None)

    def add(self, node: Node, anchor: str | None, *, is_leaf: bool = False) -> None:
        self.made += 1
        if self.made > MOST_VALUES:
            raise Unreadable(f"The document holds more than {MOST_VALUES:,} values.", node.line)
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        above = self.open[-1]
        if above.node.items is not None:
            above.node.items.append(node)
        elif above.key is None:
            self.begin_entry(above, node, is_leaf=is_leaf)
            return
        else:
            assert above.node.entries is not None
            above.node.entries[above.key[0]] = (above.key[1], node)
            above.key = None
        above.node.size += node.size
        if above.node.size > MOST_VALUES:
            raise Unreadable(
                f"The document holds more than {MOST_VALUES:,} values, counting those that aliases repeat.",
                node.line,
            )

    def begin_entry(self, above: Building, node: Node, *, is_leaf: bool) -> None:
        if not node.is_scalar or not is_leaf:
            raise Unreadable("A key must be a single value.", node.line)
        if node.text == "<<" and node.is_plain:
            raise Unreadable("“<<” is not used here: name a template with “template:”.", node.line)
        assert above.node.entries is not None
        if node.text in above.node.entries:
            first = above.node.entries[node.text][0]
            raise Unreadable(f"“{texts.shown(node.text)}” stands here twice (also line {first}).", node.line)
        above.key = (node.text, node.line)


def from_yaml(text: str) -> Node:
    builder = Builder()
    try:
        for event in events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(
            f"This is not YAML: {error.problem or error.context}.", mark.line + 1 if mark else 0
        ) from error
    except (yaml.YAMLError, ValueError) as error:  # a character that YAML does not take
        raise Unreadable(f"This is not YAML: {texts.shown(error)}") from error
    if builder.root is None:
        raise Unreadable("The document is empty.")
    return builder.root


def events(text: str) -> Iterator[Any]:
    """The safe parser's events; they hold text only."""
    yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


# --- JSON -------------------------------------------------------------------------------------------------------------


def from_json(text: str) -> Node:
    """JSON has no lines that anybody counts; a word says what it is."""
    try:
        found = json.loads(
            text, object_pairs_hook=pairs, parse_constant=str, parse_float=Plain, parse_int=Plain
        )
    except RecursionError as error:
        raise Unreadable("The document is nested too deeply.") from error
    except ValueError as error:
        raise Unreadable(f"This is not JSON: {error}.") from error
    return node_of(found, 0)


class Plain(str):
    """A number as it was written."""

    __slots__ = ()


def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in found:
        if name in entries:
            raise Unreadable(f"“{texts.shown(name)}” stands twice in one object.")
        entries[name] = value
    return entries


def node_of(value: Any, depth: int) -> Node:
    if depth > MOST_DEPTH:
        raise Unreadable(f"The document is nested deeper than {MOST_DEPTH} levels.")
    if isinstance(value, dict):
        for name in value:
            if problem := texts.unstorable(name):
                raise Unreadable(f"The document holds {problem}; remove it.")
        return Node(0, entries={name: (0, node_of(part, depth + 1)) for name, part in value.items()})
    if isinstance(value, list):
        return Node(0, items=[node_of(part, depth + 1) for part in value])
    if value is None:
        return Node(0, text="null", is_plain=True)
    if isinstance(value, bool):
        return Node(0, text=str(value).lower(), is_plain=True)
    if problem := texts.unstorable(value):
        raise Unreadable(f"The document holds {problem}; remove it.")
    return Node(0, text=str(value), is_plain=isinstance(value, Plain))
