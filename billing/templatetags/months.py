"""How numbers and causes of a month look on pages."""

from __future__ import annotations

from decimal import Decimal

from django import template

from billing.causes import Kind, plain

register = template.Library()


@register.simple_tag
def number(value: Decimal | None, none: str = "–") -> str:
    """Without trailing zeros; a word for what is not known."""
    return none if value is None else plain(value)


@register.filter
def signed(text: str) -> str:
    """`+3`, `−2`, `0`: decimal text with its sign."""
    value = Decimal(text)
    return f"+{plain(value)}" if value > 0 else plain(value).replace("-", "−")


@register.filter
def cause_label(kind: str) -> str:
    return str(Kind(kind).label)
