"""A configuration as text: the same tree is always the same bytes, one thing a line (asked by `configuration`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from portal.configshape import Flag, Fraction, Leaf, Number, Record, Several, ordered

PLAIN = re.compile(r"^[A-Za-z][A-Za-z0-9_]*(?:[ ./+@()-]+[A-Za-z0-9_]+)*\)?$")
"""Text that stands without quotes: letters first, nothing that any YAML could take for something else."""
WORDS = re.compile(r"^(?:y|n|yes|no|on|off|true|false|null|nan|inf|[+-]?\.inf)$", re.IGNORECASE)
BLOCK = re.compile(
    r"^[^\s\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff][^\x00-\x09\x0b-\x1f\x7f-\xa0\u2028\u2029\ufeff]*$"
)


def text_of(shape: Record, tree: dict[str, Any], *, head: str, notes: dict[str, str]) -> str:
    """The whole document; `notes` stand as comments above the top-level sections."""
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    lines.append("version: 1")
    for name in shape.fields:
        if name not in tree:
            continue
        lines.append("")
        lines += [f"# {line}" for line in notes.get(name, "").splitlines()]
        lines += entry(name, shape.fields[name], tree[name], 0)
    return "\n".join(lines) + "\n"


def entry(name: str, shape: Any, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    key = f"{indent}{scalar(name)}:"
    if isinstance(shape, Several):
        if not value:
            yield f"{key} []"
            return
        yield key
        for one in value:
            yield f"{indent}  - {leaf(shape.of, one)}"
    elif isinstance(value, dict):
        yield from mapping(key, shape, value, depth)
    elif isinstance(value, str) and isinstance(shape, Leaf) and is_block(value):
        yield f"{key} |{'' if value.endswith(chr(10)) else '-'}"
        for line in value.removesuffix("\n").split("\n"):
            yield f"{indent}  {line}" if line else ""
    else:
        yield f"{key} {leaf(shape, value)}"


def mapping(key: str, shape: Any, value: dict[str, Any], depth: int) -> Iterator[str]:
    if not value:
        yield f"{key} {{}}"
        return
    yield key
    below = "  " * (depth + 1)
    if isinstance(shape, Leaf):
        for name in ("id", "name"):
            yield f"{below}{name}: {scalar(value[name])}"
        return
    names = ordered(value)
    if isinstance(shape, Record):
        names = [name for name in shape.fields if name in value]
    for name in names:
        part = shape.fields[name] if isinstance(shape, Record) else shape.of
        if value[name] is not None:
            yield from entry(name, part, value[name], depth + 1)


def leaf(shape: Any, value: Any) -> str:
    if isinstance(shape, Flag):
        return "true" if value else "false"
    if isinstance(shape, Number | Fraction):
        return str(value)
    return scalar(str(value))


def scalar(text: str) -> str:
    """Without quotes only where no reader could take it for anything but text."""
    if PLAIN.match(text) and not WORDS.match(text) and len(text) <= 100:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(
        r"[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udfff]",
        lambda hit: f"\\u{ord(hit[0]):04x}",
        quoted,
    )


def is_block(text: str) -> bool:
    """Several lines that can stand as they are."""
    if "\n" not in text or text.endswith("\n\n") or text.startswith("\n"):
        return False
    lines = text.split("\n")
    return bool(BLOCK.match(text)) and all(line == line.rstrip() for line in lines) and "\t" not in text
