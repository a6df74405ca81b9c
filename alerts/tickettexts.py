"""Summary and first text of a ticket, from templates that only name values (asked by tickets and the settings pages).

A template is text with placeholders such as `{client}`; `{{` and `}}` are braces. Nothing is computed and nothing but
the values below can be named. A summary that would be too long for the PSA loses text from the middle of its longest
value, never from what the template itself says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from alerts.models import ClientAddress, Condition
from integrations.models import Event
from integrations.psa.texts import cut_summary

PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
PICTURE = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[!-~]{1,1000}")
ROOM = 20
"""Characters of a summary that its fixed words must leave for values."""
SHORTEST = 12
DEFAULT_SUMMARY = "{summary}"


@dataclass(frozen=True)
class Problem:
    """What a ticket is about. `event` is the one that opened the condition, None when it is not kept any more.

    `zone` gives the partner's time zone; it is only asked when a template names a time.
    """

    condition: Condition
    event: Event | None = None
    address: ClientAddress | None = None
    zone: Callable[[], str] = lambda: "UTC"

    def at(self, moment: datetime | None) -> str:
        zone = ZoneInfo(self.zone())
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}" if moment else ""


@dataclass(frozen=True)
class Placeholder:
    """One value that a template may name."""

    name: str
    meaning: str
    example: str
    value: Callable[[Problem], str]


def _of_event(name: str) -> Callable[[Problem], str]:
    return lambda problem: str(getattr(problem.event, name)) if problem.event else ""


KNOWN: Mapping[str, Placeholder] = {
    one.name: one
    for one in (
        Placeholder("client", "the client’s name", "Bakery Ott", lambda p: p.condition.client.name),
        Placeholder("client_id", "the client id", "19652", lambda p: str(p.condition.client.number)),
        Placeholder("managed_id", "the managed ID", "EFS-19652", lambda p: p.condition.client.managed_id),
        Placeholder(
            "account",
            "the account or appliance: its name, else its number",
            "SRV-01",
            lambda p: str(p.condition.account or ""),
        ),
        Placeholder(
            "account_no",
            "the number of the account",
            "SRV-01",
            lambda p: p.condition.account.key if p.condition.account else "",
        ),
        Placeholder(
            "summary", "what the last event says", "Backup of SRV-01 failed", lambda p: p.condition.summary
        ),
        Placeholder("details", "the details of the first event", "Error 18: disk full", _of_event("details")),
        Placeholder(
            "severity",
            "info, warning, error or critical",
            "error",
            lambda p: p.condition.severity,
        ),
        Placeholder("type", "the event type", "backup.failed", _of_event("type")),
        Placeholder("source", "who sent the event", "backup", _of_event("source")),
        Placeholder("condition", "the condition key", "backup:SRV-01", lambda p: p.condition.key),
        Placeholder(
            "count",
            "how often it was reported when the ticket is opened",
            "1",
            lambda p: str(p.condition.repeats + 1),
        ),
        Placeholder(
            "first_seen",
            "since when it fails, in the partner’s time zone",
            "2026-11-21 07:30 CET",
            lambda p: p.at(p.condition.since),
        ),
        Placeholder(
            "last_seen",
            "when it was last reported, in the partner’s time zone",
            "2026-11-21 08:30 CET",
            lambda p: p.at(p.condition.decided_at),
        ),
        Placeholder(
            "event_url",
            "the link to the event in this portal’s Event Log",
            "https://portal.example/events/0193…",
            lambda p: event_url(p.event) if p.event else "",
        ),
        Placeholder(
            "screenshot_url",
            "the link to a picture that the event’s data named so",
            "https://backup.example/boot/srv-01.png",
            lambda p: screenshot_url(p.event) if p.event else "",
        ),
        Placeholder(
            "address", "the client’s address", "1 Main St, Tampa FL 33602", lambda p: str(p.address or "")
        ),
        Placeholder(
            "location",
            "the territory the client belongs to",
            "Tampa Office",
            lambda p: p.address.location if p.address else "",
        ),
        Placeholder(
            "id_number",
            "the PSA company’s own ID",
            "BakeryOtt",
            lambda p: p.address.id_number if p.address else "",
        ),
    )
}


def event_url(event: Event) -> str:
    return f"{settings.PORTAL_URL}/events/{event.pk}"


def screenshot_url(event: Event) -> str:
    """Where the source keeps the picture of a boot, from the event's data; empty unless it is a plain https address."""
    found = (event.data or {}).get("screenshot_url")
    return found if isinstance(found, str) and PICTURE.fullmatch(found) else ""


# --- Is it a good template? -------------------------------------------------------------------------------------------


def faults_of(template: str, *, length: int | None = None, is_summary: bool = False) -> list[tuple[str, str]]:
    """What stands against a template, as (code, sentence). `length` is what the PSA takes."""
    names, fixed = read(template)
    unknown = [name for name in names if name not in KNOWN]
    faults = []
    if unknown:
        named = ", ".join(f"{{{name}}}" for name in dict.fromkeys(unknown))
        known = ", ".join(f"{{{name}}}" for name in KNOWN)
        faults.append(
            (
                "unknown_placeholder",
                f"There is no placeholder {named}. Known are {known}. Write {{{{ for a brace.",
            )
        )
    if is_summary and not (template.strip() and names):
        faults.append(
            ("no_placeholder", "All tickets would have the same summary: name a value in it, like {summary}.")
        )
    if is_summary and "\n" in template:
        faults.append(("several_lines", "A summary is one line."))
    if is_summary and length is not None and fixed > length - ROOM:
        text = (
            f"The fixed words take {fixed} of the {length} characters that the PSA keeps of a summary; leave at least"
            f" {ROOM} for the values."
        )
        faults.append(("too_long", text))
    if not is_summary and length is not None and fixed > length:
        faults.append(
            ("too_long", f"The text has {fixed} characters; the PSA keeps {length} of a ticket’s text.")
        )
    return faults


def read(template: str) -> tuple[list[str], int]:
    """The names in a template (a lone brace counts as a name that is unknown), and how long the rest is."""
    names, length, place = [], 0, 0
    for found in PLACE.finditer(template):
        length += found.start() - place
        place = found.end()
        if found.group() in ("{{", "}}"):
            length += 1
        else:
            names.append(found.group(1) if found.group(1) is not None else found.group())
    return names, length + len(template) - place


# --- Filling in -------------------------------------------------------------------------------------------------------


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text. A placeholder that is not known any more stays as it is written."""

    def put(found: re.Match[str]) -> str:
        if found.group() in ("{{", "}}"):
            return found.group()[0]
        return values.get(found.group(1) or "", found.group())

    return PLACE.sub(put, template)


def values_for(template: str, problem: Problem) -> dict[str, str]:
    """Only what the template names."""
    return {name: KNOWN[name].value(problem) for name in set(read(template)[0]) if name in KNOWN}


def summary_of(template: str | None, problem: Problem, *, length: int, names_client: bool = False) -> str:
    """One line of at most `length` characters. `names_client` puts the client first unless the template has it."""
    template = template or DEFAULT_SUMMARY
    if names_client and not {"client", "client_id", "managed_id"} & set(read(template)[0]):
        template = f"{{client}}: {template}"
    values = {name: " ".join(value.split()) for name, value in values_for(template, problem).items()}
    text = one_line(filled(template, values))
    while len(text) > length and (longest := max(values, key=lambda name: len(values[name]), default="")):
        room = max(SHORTEST, len(values[longest]) - (len(text) - length))
        if room >= len(values[longest]):
            break
        values[longest] = cut_summary(values[longest], room)
        text = one_line(filled(template, values))
    return cut_summary(text, length) or cut_summary(problem.condition.summary, length)


def one_line(text: str) -> str:
    return " ".join(text.split())


def body_of(template: str | None, problem: Problem) -> str:
    """The ticket's first text: what the technician needs, and the way back to the event."""
    if template:
        return filled(template, values_for(template, problem))
    condition, event = problem.condition, problem.event
    lines = [f"Client: {condition.client.name} ({condition.client.managed_id})"]
    if condition.account is not None:
        lines.append(f"Account: {condition.account}")
    if event is not None:
        lines += [
            f"Event: {event.type}, {event.severity}, {event.occurred_at:%Y-%m-%d %H:%M} UTC, from {event.source}",
            f"Event log: {event_url(event)}",
        ]
        if picture := screenshot_url(event):
            lines.append(f"Screenshot: {picture}")
        if event.details:
            lines += ["", event.details]
    return "\n".join(lines)
