"""Filters for ConnectWise's `conditions` parameter, made of typed values only (asked by all reads with a filter).

Nobody knows how ConnectWise wants a quote inside a string to be escaped: clients in the field contradict each other.
So nothing is ever escaped here. A string goes between quotes that it does not contain; one that cannot is loosened
to a pattern. A filter may thus answer more than was asked for, never less: callers compare again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

MAX_STRING = 156  # the longest name ConnectWise keeps (company name, REST 2026.4)
ANYTHING = "%"

_FIELD = re.compile(r"[A-Za-z_]+(/[A-Za-z]+)?")
_PATTERN_CHARACTERS = re.compile(r"[\"'\\%*\[\]]+")

Value = int | bool | str | datetime | None


def equals(field: str, value: Value) -> str:
    """`field=value`. For strings the answer may hold more: compare again, exactly."""
    if isinstance(value, str):
        return _equals_text(field, _cleaned(value))
    return f"{_named(field)}={_literal(value)}"


def is_not(field: str, value: int | bool | None) -> str:
    return f"{_named(field)}!={_literal(value)}"


def one_of(field: str, numbers: Iterable[int]) -> str:
    return f"{_named(field)} in ({','.join(str(int(number)) for number in numbers)})"


def since(field: str, moment: datetime) -> str:
    return f"{_named(field)}>={_literal(moment)}"


def contains(field: str, text: str) -> str:
    """Anywhere in the field, in any case. Wildcards of the text stand for themselves or for more."""
    return f'{_named(field)} like "{ANYTHING}{_loosened(_cleaned(text))}{ANYTHING}"'


def starts_with(field: str, text: str) -> str:
    return f'{_named(field)} like "{_loosened(_cleaned(text))}{ANYTHING}"'


def both(*conditions: str) -> str:
    return " and ".join(condition for condition in conditions if condition)


def either(*conditions: str) -> str:
    return f"({' or '.join(conditions)})"


def _named(field: str) -> str:
    if not _FIELD.fullmatch(field):
        raise ValueError(f"not a field of ConnectWise: {field!r}")
    return field


def _literal(value: int | bool | datetime | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, datetime):
        return f"[{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}]"
    return str(int(value))


def _equals_text(field: str, text: str) -> str:
    if "\\" not in text:
        for quote in ('"', "'"):
            if quote not in text:
                return f"{_named(field)}={quote}{text}{quote}"
    return f'{_named(field)} like "{_loosened(text)}"'


def _loosened(text: str) -> str:
    """A pattern that matches at least the text: characters with a meaning of their own match anything."""
    return _PATTERN_CHARACTERS.sub(ANYTHING, text)


def _cleaned(text: str) -> str:
    """Without control and format characters and lone surrogates, not longer than any field."""
    return "".join(
        letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )[:MAX_STRING]
