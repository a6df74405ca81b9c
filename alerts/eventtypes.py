"""Which events speak of the same condition, and what they do to it (asked by intake).

Types are declared by the vendor's staff; sources may send types that nobody declared, which then speak for themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerts.models import EventType
from portal import clock

KEPT_SECONDS = 5.0
LONGEST_KEY = 300
DEFAULT_ACTIONS = {
    "warning": "trigger",
    "error": "trigger",
    "critical": "trigger",
    "success": "resolve",
    "info": "none",
}


@dataclass
class _Kept:
    types: Mapping[str, EventType]
    until: float = 0.0


_kept = _Kept({})


def catalogue() -> Mapping[str, EventType]:
    """All declared types by name, at most five seconds old."""
    if clock.monotonic() >= _kept.until:
        _kept.types = {row.name: row for row in EventType.objects.all()}
        _kept.until = clock.monotonic() + KEPT_SECONDS
    return _kept.types


def forget() -> None:
    """Read the catalogue anew at the next question."""
    _kept.until = 0.0


def action_of(type_name: str, severity: str) -> str:
    """What an event does to its condition when its source does not say: its type decides, else its severity."""
    declared = catalogue().get(type_name)
    if declared is not None:
        return declared.default_action
    return DEFAULT_ACTIONS[severity]


def condition_key_of(type_name: str, account: str, data: Mapping[str, Any]) -> str:
    """The condition an event speaks of: family, account and the declared fields of its data."""
    declared = catalogue().get(type_name)
    family = declared.family if declared else family_of(type_name)
    fields = declared.condition_fields if declared else []
    parts = [account, *(str(data[name]) if name in data else "" for name in fields)]
    while parts and not parts[-1]:
        parts.pop()
    return within_limit(":".join([family, *map(unmistakable, parts)]))


def unmistakable(part: str) -> str:
    """A part of a key in which the separator cannot be taken for one."""
    return part.replace("%", "%25").replace(":", "%3A")


def within_limit(key: str) -> str:
    """Keys that are too long stay as different as they were: their end becomes a digest."""
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[: LONGEST_KEY - 33]}#{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def family_of(type_name: str) -> str:
    """`backup.failed` and `backup.succeeded` are one family, `backup`."""
    return type_name.rpartition(".")[0] or type_name
