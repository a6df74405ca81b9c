"""Text from outside: is it storable, is it short enough (asked by every REST door)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NUMBERS_TOO = {"client", "account", "id"}
"""Fields that people know as numbers; an integer is taken as its digits."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong, where, and what to do."""

    field: str
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"field": self.field, "code": self.code, "detail": self.detail}


def text_of(item: Mapping[str, Any], name: str, length: int, errors: list[FieldError]) -> str:
    """The trimmed text of a field, empty when left out; adds to `errors` what is wrong with it."""
    value = item.get(name)
    if value is None:
        return ""
    if name in NUMBERS_TOO and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        errors.append(FieldError(name, "not_text", f"“{name}” must be text."))
        return ""
    value = value.strip()
    if problem := unstorable(value):
        errors.append(FieldError(name, "bad_character", f"“{name}” holds {problem}; remove it."))
    elif len(value) > length:
        errors.append(
            FieldError(name, "too_long", f"“{name}” has {len(value)} characters; {length} are allowed.")
        )
    return value


def unstorable(text: str) -> str:
    """Names the first character that no database takes; empty when all is well."""
    if "\x00" in text:
        return "a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair"
    return ""


def shown(value: Any) -> str:
    """What somebody sent, short enough to be quoted in an error."""
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
