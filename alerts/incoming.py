"""What did a source send, and is it well-formed (asked by the REST door; no database).

Each malformed event gets its own errors, with field, stable code and a sentence; its neighbours are not touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from integrations.models.eventlog import EventAction, Severity
from portal import clock
from portal.texts import FieldError, text_of, unstorable

MOST_EVENTS = 1000
SUMMARY_LENGTH = 500
DETAILS_BYTES = 64 * 1024
DATA_BYTES = 64 * 1024
DATA_DEPTH = 20
AHEAD = timedelta(days=1, hours=2)
BEHIND = timedelta(days=366)
TEXTS = {
    "source": 100,
    "id": 200,
    "type": 100,
    "client": 100,
    "account": 100,
    "condition_key": 300,
    "summary": SUMMARY_LENGTH,
}
REQUIRED = ("source", "id", "type", "severity", "client", "summary")
KNOWN = {*TEXTS, "severity", "action", "details", "occurred_at", "data"}


@dataclass(slots=True)
class Incoming:
    """A well-formed event. `action` and `condition_key` are empty when the source leaves them to its type."""

    source: str
    id: str
    type: str
    severity: str
    action: str
    client: str
    account: str
    condition_key: str
    summary: str
    details: str
    occurred_at: datetime
    data: Mapping[str, Any]
    body_hash: str
    warnings: list[FieldError] = field(default_factory=list)


def read(item: Any) -> Incoming | list[FieldError]:
    """One event object as sent; all its errors at once when it is not well-formed."""
    if not isinstance(item, dict):
        return [FieldError("", "not_an_object", "An event is a JSON object.")]
    errors: list[FieldError] = []
    texts = {name: text_of(item, name, length, errors) for name, length in TEXTS.items()}
    severity = word_of(item, "severity", Severity.values, errors)
    action = word_of(item, "action", [EventAction.TRIGGER, EventAction.RESOLVE], errors)
    details = details_of(item, errors)
    occurred_at = moment_of(item, errors)
    data = data_of(item, errors)
    wrong = {error.field for error in errors}
    values = {**texts, "severity": severity}
    errors += [
        FieldError(name, "required", f"“{name}” is missing.")
        for name in REQUIRED
        if not values[name] and name not in wrong
    ]
    if errors:
        return errors
    return Incoming(
        **texts,
        severity=severity,
        action=action,
        details=details,
        occurred_at=occurred_at,
        data=data,
        body_hash=hash_of(item),
        warnings=[
            FieldError(
                name, "unknown_field", f"“{name[:100]}” is not a field of an event; it was not stored."
            )
            for name in item
            if name not in KNOWN
        ],
    )


def hash_of(item: Mapping[str, Any]) -> str:
    """SHA-256 of the event whatever the order of its fields: the same id with another body is told apart."""
    return hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()


def word_of(item: Mapping[str, Any], name: str, words: list[Any], errors: list[FieldError]) -> str:
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or value not in words:
        errors.append(
            FieldError(name, "unknown_value", f"“{name}” must be one of {', '.join(map(str, words))}.")
        )
        return ""
    return value


def details_of(item: Mapping[str, Any], errors: list[FieldError]) -> str:
    value = item.get("details")
    if value is None:
        return ""
    if not isinstance(value, str):
        errors.append(FieldError("details", "not_text", "“details” must be text."))
    elif problem := unstorable(value):
        errors.append(FieldError("details", "bad_character", f"“details” holds {problem}; remove it."))
    elif (size := len(value.encode())) > DETAILS_BYTES:
        errors.append(
            FieldError(
                "details", "too_long", f"“details” has {size} bytes as UTF-8; {DETAILS_BYTES} are allowed."
            )
        )
    else:
        return value
    return ""


def moment_of(item: Mapping[str, Any], errors: list[FieldError]) -> datetime:
    """`occurred_at`, RFC 3339; now when it is left out. A clock may be a day ahead; a year-old event is no event."""
    now = clock.now()
    value = item.get("occurred_at")
    if value is None:
        return now
    moment = parsed(value)
    if moment is None:
        errors.append(
            FieldError("occurred_at", "not_a_moment", "“occurred_at” must look like 2026-11-21T08:30:00Z.")
        )
        return now
    if moment > now + AHEAD:
        errors.append(
            FieldError(
                "occurred_at", "in_the_future", "“occurred_at” is more than a day ahead; check the clock."
            )
        )
    elif moment < now - BEHIND:
        errors.append(FieldError("occurred_at", "too_old", "“occurred_at” is more than a year ago."))
    return moment


def parsed(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = parse_datetime(value)
        if moment is None:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def data_of(item: Mapping[str, Any], errors: list[FieldError]) -> Mapping[str, Any]:
    value = item.get("data")
    if value is None:
        return {}
    problem = "must be an object" if not isinstance(value, dict) else data_problem(value)
    if problem:
        errors.append(FieldError("data", "bad_data", f"“data” {problem}."))
        return {}
    return value


def data_problem(value: dict[str, Any]) -> str:
    """Says why a JSON object cannot be kept; empty when it can."""
    if depth_of(value) > DATA_DEPTH:
        return f"is nested deeper than {DATA_DEPTH} levels"
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    except ValueError:
        return "holds a number that is too large"
    if "\\u0000" in text:
        return "holds a NUL character"
    return f"has {size} bytes; {DATA_BYTES} are allowed" if size > DATA_BYTES else ""


def depth_of(value: Any) -> int:
    """Levels of nesting, counted without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if depth > DATA_DEPTH:
            break
    return depth
