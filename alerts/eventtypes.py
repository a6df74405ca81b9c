"""Which events speak of the same condition, and what they do to it (asked by intake).

Types are declared by the vendor's staff; sources may send types that nobody declared, which then speak for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerts.models import EventType
from portal import clock

KEPT_SECONDS = 5.0
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
    fields = [str(data[name]) for name in declared.condition_fields if name in data] if declared else []
    return ":".join([family, *([account] if account else []), *fields])[:300]


def family_of(type_name: str) -> str:
    """`backup.failed` and `backup.succeeded` are one family, `backup`."""
    return type_name.rpartition(".")[0] or type_name
