"""Texts and numbers as a PSA takes them: short enough, on one line, in the shortest form (asked by both adapters)."""

from __future__ import annotations

from decimal import Decimal

_ELLIPSIS = " … "


def cut_text(text: str, length: int) -> str:
    """At most that long, without NUL: answers are read without it, so it would look like a change for ever."""
    return text.replace("\0", "")[:length]


def cut_summary(summary: str, length: int) -> str:
    """One line of at most that length. What is cut goes from the middle: the tail tells which thing it is about."""
    line = " ".join(summary.replace("\0", "").split())
    if len(line) <= length:
        return line
    tail = (length - len(_ELLIPSIS)) // 3
    head = length - len(_ELLIPSIS) - tail
    return f"{line[:head].rstrip()}{_ELLIPSIS}{line[-tail:].lstrip()}"


def plain_number(amount: Decimal) -> str:
    """`12.50` is `12.5`: the shortest text of the same number."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
