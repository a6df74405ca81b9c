"""Which events speak of the same condition, and what they do to it (asked by intake).

Types are declared by the vendor's staff; sources may send types that nobody declared, which then speak for themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerts.models import Condition, EventType
from integrations.models import Event
from integrations.models.eventlog import EventAction
from portal import clock

KEPT_SECONDS = 5.0
LONGEST_KEY = 300
MOST_PREVIEWED = 50_000
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
    if declared is None:
        return key_of(family_of(type_name), (), account, data)
    return key_of(declared.family, declared.condition_fields, account, data)


def key_of(family: str, fields: Sequence[str], account: str, data: Mapping[str, Any]) -> str:
    """Empty parts at the end are left out, so that declaring a field changes only keys of events that have it."""
    parts = [account, *(str(data[name]) if name in data else "" for name in fields)]
    while parts and not parts[-1]:
        parts.pop()
    return within_limit(":".join([family, *map(unmistakable, parts)]))


def origin_of(event: Event) -> str:
    """Who made the condition key of an event, in words."""
    derived = condition_key_of(event.type, event.account_reference, event.data)
    if event.condition_key != derived:
        return "sent by the source"
    declared = catalogue().get(event.type)
    if declared is None:
        return f"made from the type {event.type}, which is not declared, and the account"
    fields = ", ".join(declared.condition_fields) or "no fields"
    return f"made by the event type {declared.name}: family {declared.family}, account and {fields}"


@dataclass(frozen=True)
class Preview:
    """What another definition of a type's keys would have meant for its events of the last 30 days."""

    events: int
    now: int
    then: int
    failing: int

    def __str__(self) -> str:
        more = ""
        if self.failing and self.now != self.then:
            more = (
                f" {self.failing} of today’s conditions are failing and keep their key: their recoveries would not"
                " find them, so close their tickets by hand."
            )
        return (
            f"These 30 days’ {self.events:,} events would have been {self.then:,} conditions instead of"
            f" {self.now:,}.{more}"
        )


def preview(type_name: str, *, family: str, condition_fields: Sequence[str]) -> Preview:
    """Counts the newest 50,000 events of the type; keys that sources sent themselves stay as they are."""
    since = clock.now() - timedelta(days=30)
    rows = Event.objects.filter(type=type_name, received_at__gte=since, client__isnull=False)
    rows = rows.exclude(action=EventAction.NONE).order_by("-received_at", "-id")
    declared = catalogue().get(type_name)
    now_fields = declared.condition_fields if declared else []
    now_family = declared.family if declared else family_of(type_name)
    events, now, then = 0, set(), set()
    for client, account, data, key in rows.values_list(
        "client_id", "account_reference", "data", "condition_key"
    )[:MOST_PREVIEWED].iterator():
        events += 1
        now.add((client, key))
        is_derived = key == key_of(now_family, now_fields, account, data)
        then.add((client, key_of(family, condition_fields, account, data) if is_derived else key))
    changed = now - then
    failing = Condition.objects.filter(
        state=Condition.State.FAILING,
        client__in={client for client, _ in changed},
        key__in={key for _, key in changed},
    )
    return Preview(events, len(now), len(then), failing.count() if changed else 0)


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
