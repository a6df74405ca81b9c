"""How fields, states and moments look on every page, and panels that other rooms put into ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django import template
from django.forms import BoundField
from django.template.context import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.timezone import localtime

from portal import clock

register = template.Library()

# Which of five looks a word has. The word itself is always written: colour alone says nothing.
TONES = {
    "good": {"done", "passed", "open", "success", "fine", "live", "working", "accepted", "alive", "current"},
    "busy": {"waiting", "running", "unknown", "opening", "testing", "probably", "info", "planned", "approve"},
    "warn": {
        "held",
        "warning",
        "paused",
        "parked",
        "in doubt",
        "partly",
        "observe",
        "observed",
        "skipped client",
        "not tested",
    },
    "bad": {
        "failed",
        "error",
        "critical",
        "failing",
        "stopped",
        "refused",
        "gone",
        "silent",
        "not permitted",
    },
}


@register.simple_tag
def pill(word: str, tone: str = "") -> SafeString:
    """A state as a small label with a mark of its own shape."""
    word = str(word)
    tone = tone or next((name for name, words in TONES.items() if word.lower() in words), "calm")
    return format_html('<span class="pill pill-{}">{}</span>', tone, word[:1].upper() + word[1:])


@register.simple_tag
def moment(at: datetime | None, none: str = "never") -> SafeString:
    """A time that people read at a glance and can look up exactly."""
    if at is None:
        return format_html('<span class="text-body-secondary">{}</span>', none)
    local = localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        f"{local:%Y-%m-%d %H:%M}",
    )


@register.simple_tag
def ago(at: datetime | None, none: str = "never") -> SafeString:
    """How long ago, or how soon, with the exact time behind it."""
    if at is None:
        return format_html('<span class="text-body-secondary">{}</span>', none)
    now = clock.now()
    if abs((now - at).total_seconds()) < 60:
        words = "just now" if at <= now else "in a moment"
    elif at < now:
        words = f"{timesince(at, now, depth=1)} ago"
    else:
        words = f"in {timeuntil(at, now, depth=1)}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{localtime(at):%Y-%m-%d %H:%M:%S %Z}",
        words,
    )


@register.inclusion_tag("portal/field.html")
def field(bound: BoundField, wide: bool = False) -> dict[str, Any]:
    """A form field with its label, help and errors."""
    kind = bound.field.widget.__class__.__name__
    return {
        "field": bound,
        "wide": wide,
        "is_group": kind in {"CheckboxSelectMultiple", "RadioSelect"},
        "is_checkbox": kind == "CheckboxInput",
    }


@register.simple_tag(takes_context=True)
def panel(context: Context, name: str, *args: Any) -> str:
    """What another room shows inside this page: the HTML that the function of that dotted name returns."""
    return import_string(name)(context["request"], *args)


@register.simple_tag
def polled(is_running: Any, name: str, *args: Any, query: str = "") -> SafeString:
    """Attributes of a part that is fetched again every two seconds while something runs, from the view of that name;
    `query` is what its address says after the question mark."""
    if not is_running:
        return SafeString("")
    url = reverse(name, args=args) + (f"?{query}" if query else "")
    return format_html(' hx-get="{}" hx-trigger="every 2s" hx-swap="outerHTML"', url)


@register.simple_tag
def reloaded(is_running: Any) -> SafeString:
    """For the head of a page with such a part: without scripts the whole page comes anew."""
    text = '<noscript><meta http-equiv="refresh" content="3"></noscript>' if is_running else ""
    return SafeString(text)


@register.filter
def web_link(url: str) -> str:
    """The address when a browser may safely open it, else nothing."""
    return url if urlsplit(str(url)).scheme in {"http", "https"} else ""


@register.filter
def entry(mapping: Any, key: Any) -> Any:
    """`mapping[key]`, None when it has none."""
    return mapping.get(key) if mapping else None


@register.filter
def words(name: str) -> str:
    """A field's name for people: `company_id` is “Company id”."""
    return str(name).replace("_", " ").capitalize()


@register.filter
def as_text(value: Any) -> str:
    """A JSON value as people write it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return str(
            value.get("name")
            or value.get("id")
            or ", ".join(f"{key}: {as_text(value[key])}" for key in value)
        )
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
