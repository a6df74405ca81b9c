"""How is each module: its mode, when it last ran, when it runs next (asked by the Status page)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Max, Min, Q, QuerySet

from billing import reportorders, schedule
from billing.models import ReportWindow, SynchronizeWindow
from billing.terms import Terms, TermsOf
from integrations.models import Action, ChoiceList, Delivery, Following, Lane, Status
from integrations.reloading import CHANGES_EVERY
from portal import clock
from portal.models import Mode, Organization, Partner

LOOKED_AT = 500
"""So many of the newest deliveries say how a module does."""
Rows = Callable[[Any], QuerySet[Any]]


@dataclass(frozen=True)
class Module:
    """One line: `state` is a word of the pills; `next_text` when there is no moment to tell."""

    title: str
    url_name: str
    mode: str
    state: str
    fact: str
    last_at: datetime | None
    next_at: datetime | None
    next_text: str


@dataclass
class Lately:
    """What the newest deliveries of one module came to."""

    done_at: datetime | None = None
    done: int = 0
    failed: int = 0
    held: int = 0


def modules(rows: Rows, lanes: Sequence[Lane], partner: Partner | None) -> list[Module]:
    """Tickets, billing, statistics, options, and changes made in the PSA. A fixed number of queries."""
    now = clock.now()
    lately, waiting = recent(rows), due(lanes)
    modes = modes_of(rows)
    pushed = rows(SynchronizeWindow).aggregate(last=Max("last_success_at"))["last"]
    reports = rows(ReportWindow).aggregate(
        last=Max("last_success_at"), next=Min("next_at", filter=Q(next_at__gt=now))
    )
    options = rows(ChoiceList).filter(within="").aggregate(last=Max("read_at"), troubled=Max("trouble"))
    followed = (
        rows(Following).filter(is_enabled=True).aggregate(last=Max("polled_at"), problem=Max("problem"))
    )
    stops = sum(bool(lane.breaker) or lane.is_paused for lane in lanes)
    day = push_day(partner)
    return [
        module("Tickets", "tickets", modes["tickets"], lately["ticket"], stops, lately["ticket"].done_at,
               waiting.get("ticket"), "with the next event"),
        module("Billing", "push_runs", modes["billing"], lately["billing"], stops, pushed,
               waiting.get("billing") or day, "with the next usage"),
        module("Backup statistics", "event_log", modes["statistics"], lately["report"], stops, reports["last"],
               waiting.get("report") or reports["next"], "with the next statistics"),
        copied(options["last"], options["troubled"] or ""),
        followed_up(followed["last"], followed["problem"] or ""),
    ]  # fmt: skip


def copied(last: datetime | None, trouble: str) -> Module:
    state = "partly" if trouble else "working" if last else "not read"
    following = last + CHANGES_EVERY if last else None
    return Module(
        "Options from the PSA", "credentials", "", state, trouble, last, following, "when a PSA is connected"
    )


def followed_up(last: datetime | None, problem: str) -> Module:
    state = "partly" if problem else "working" if last else "switched off"
    following = last + timedelta(seconds=settings.FOLLOW_EVERY) if last else None
    text = "when somebody switches it on"
    return Module("Changes made in the PSA", "credentials", "", state, problem, last, following, text)


def module(
    title: str,
    url_name: str,
    mode: str,
    lately: Lately,
    stops: int,
    last_at: datetime | None,
    next_at: datetime | None,
    next_text: str,
) -> Module:
    parts = [
        f"{number} {word}" for number, word in ((lately.failed, "failed"), (lately.held, "held")) if number
    ]
    state = "failed" if lately.failed and not lately.done else "partly" if parts else "working"
    if not (lately.done or parts or last_at):
        state = "nothing yet"
    if stops:
        state, parts = "stopped", [f"{stops} connection{'s' if stops != 1 else ''} stopped", *parts]
    return Module(title, url_name, mode, state, ", ".join(parts), last_at, next_at, next_text)


def recent(rows: Rows) -> dict[str, Lately]:
    """By module, of the newest deliveries of a partner, or of all partners by the id, which grows with time."""
    found = {"ticket": Lately(), "billing": Lately(), "report": Lately()}
    newest = rows(Delivery).filter(action__in=[Action.TICKET, Action.SYNCHRONIZE]).order_by("-pk")
    for action, subject, status, at in newest.values_list("action", "subject", "status", "finished_at")[
        :LOOKED_AT
    ]:
        one = found[kind_of(action, subject)]
        if status == Status.DONE:
            one.done += 1
            one.done_at = max(filter(None, (at, one.done_at)), default=None)
        one.failed += status == Status.FAILED
        one.held += status == Status.HELD
    return found


def kind_of(action: str, subject: str) -> str:
    if action == Action.TICKET:
        return "ticket"
    return "report" if subject.startswith(reportorders.PREFIX) else "billing"


def due(lanes: Sequence[Lane]) -> dict[str, datetime]:
    """When the first waiting delivery of each module is due; by the lanes' index."""
    found: dict[str, datetime] = {}
    keys: list[uuid.UUID] = [lane.pk for lane in lanes]
    waiting = Delivery.objects.filter(lane__in=keys, status=Status.WAITING).order_by("due_at")
    for action, subject, at in waiting.values_list("action", "subject", "due_at")[:LOOKED_AT]:
        found.setdefault(kind_of(action, subject), at)
    return found


def modes_of(rows: Rows) -> dict[str, str]:
    """What the top levels say; where nobody does, tickets and billing are live and statistics are not sent."""
    said: dict[str, set[str]] = {"tickets": set(), "billing": set(), "statistics": set()}
    organizations = rows(Organization).filter(parent=None)
    for values in organizations.values_list("tickets_mode", "billing_mode", "statistics_mode").distinct()[
        :50
    ]:
        for name, value in zip(said, values, strict=True):
            said[name].add(value or ("switched off" if name == "statistics" else Mode.LIVE.value))
    return {name: ", ".join(sorted(values)) for name, values in said.items()}


def push_day(partner: Partner | None) -> datetime | None:
    """Midnight of the next push day of the partner's top level; None with a schedule that has none by the calendar."""
    if partner is None:
        return None
    found = TermsOf.of(partner.pk)
    top = next((node for node in found.tree.by_id.values() if node.parent_id is None), None)
    if top is None:
        return None
    day = schedule.next_due(Terms("", found.at([top])), clock.today_in(partner.time_zone))
    return datetime.combine(day, time.min, ZoneInfo(partner.time_zone)) if day else None
