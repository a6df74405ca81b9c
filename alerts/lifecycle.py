"""What may be told to a ticket, when, and in which words (asked by ticket decisions and the worker).

Settings of a ticket's life in one place, the budget of notes, and the texts of notes. A note's text is stored on the
ticket before it is sent, so that a repeated attempt can recognize its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from alerts import conditions
from alerts.models import Condition, Ticket, TicketSettings
from alerts.noise import Noise
from alerts.ticketsettings import SettingsOf
from alerts.wantedticket import level_of
from integrations import effective, eventlog
from integrations.models import Action, Delivery, Status
from integrations.models.eventlog import UNSETTLED
from portal import clock, onebyone

HOUR = timedelta(hours=1)
AT_ONCE = 500
STILL_FAILING = "still failing"
"""What deliveries that no event asked for are named."""


@dataclass(frozen=True)
class Lifecycle:
    """How a condition's tickets live: what is in effect for it."""

    closes_only_untouched: bool
    reopen_within: timedelta | None
    notes_per_hour: int
    reminder_after: timedelta | None
    reminder_opens_ticket: bool


def lifecycle_of(settings_of: SettingsOf, condition: Condition) -> Lifecycle:
    """What is in effect for a condition: of its account, its client, or the levels above."""
    level = level_of(condition)

    def value(name: str) -> Any:
        return settings_of.value(name, level).value

    days, hours = value("reopen_within_days"), value("reminder_after_hours")
    return Lifecycle(
        closes_only_untouched=bool(value("closes_only_untouched")),
        reopen_within=timedelta(days=int(days)) if days else None,
        notes_per_hour=int(value("notes_per_hour") or 0),
        reminder_after=timedelta(hours=int(hours)) if hours else None,
        reminder_opens_ticket=bool(value("reminder_opens_ticket")),
    )


# --- The budget of notes ----------------------------------------------------------------------------------------------


def may_note(ticket: Ticket, life: Lifecycle, now: datetime) -> bool:
    """Whether the hour's notes are not used up. What is not told now is told in sum by a later note."""
    if ticket.notes_from is None or now - ticket.notes_from >= HOUR:
        return life.notes_per_hour > 0
    return ticket.notes_used < life.notes_per_hour


def count_note(ticket: Ticket, now: datetime) -> None:
    """A note was written."""
    if ticket.notes_from is None or now - ticket.notes_from >= HOUR:
        ticket.notes_from, ticket.notes_used = now, 0
    ticket.notes_used += 1


# --- Texts ------------------------------------------------------------------------------------------------------------


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "an unknown moment"


def repeat_note(condition: Condition, ticket: Ticket) -> str:
    """What happened since the last note, in sum."""
    since_last = condition.repeats - told_repeats(condition, ticket)
    times = "once" if since_last == 1 else f"{since_last} times"
    return (
        f"Still failing: reported {times} more, {condition.repeats + 1} times in all since"
        f" {moment(condition.since)}. Last: {condition.summary}"
    )


def told_repeats(condition: Condition, ticket: Ticket) -> int:
    return ticket.noted_repeats if ticket.episode == condition.episode else 0


def again_note(condition: Condition) -> str:
    return f"Failing again since {moment(condition.since)}: {condition.summary}"


def over_note(condition: Condition) -> str:
    return (
        f"The problem is over since {moment(condition.since)}. This ticket is not closed automatically, because"
        " somebody has worked on it; close it when you are done."
    )


def reminder_note(condition: Condition, ticket: Ticket) -> str:
    return (
        f"Still failing since {moment(condition.since)}, although this ticket was closed"
        f" {moment(ticket.acknowledged_at)}: {condition.summary}"
    )


# --- What is due without an event (asked by the worker) ---------------------------------------------------------------


def look_after_tickets() -> int:
    """Order an attempt for tickets that are to be told of repeats, and for reminders; returns how many.

    Harmless to repeat: an attempt decides anew, and a subject that has something on its way is left alone.
    """
    partners = partners_that_chose("notes_per_hour", "reminder_after_hours")
    return onebyone.each(partners, look_after_tickets_of, what="Notes and reminders")


def look_after_tickets_of(partner_id: uuid.UUID) -> int:
    due = chosen(repeated(partner_id), partner_id) + chosen(acknowledged(partner_id), partner_id)
    return order(due, partner_id)


def partners_that_chose(*names: str) -> list[uuid.UUID]:
    """Partners with one of these settings at some level."""
    known = [name for name in names if hasattr(TicketSettings, name)]
    if not known:
        return []
    match = Q()
    for name in known:
        match |= Q(**{f"{name}__gt": 0})
    return list(
        TicketSettings.objects.filter(match).order_by().values_list("partner_id", flat=True).distinct()
    )


def repeated(partner_id: uuid.UUID) -> Any:
    """Open tickets that have not been told of all repeats."""
    return (
        Ticket.objects.filter(partner=partner_id, closed_at=None, condition__state=Condition.State.FAILING)
        .exclude(psa_id="")
        .filter(episode=F("condition__episode"), condition__repeats__gt=F("noted_repeats"))
    )


def acknowledged(partner_id: uuid.UUID) -> Any:
    """Tickets that a technician closed although the problem goes on, and that no other one has followed."""
    newer = Ticket.objects.filter(condition=OuterRef("condition"), generation__gt=OuterRef("generation"))
    return Ticket.objects.filter(
        ~Exists(newer),
        partner=partner_id,
        state=Ticket.State.CLOSED,
        acknowledged_at__isnull=False,
        reminded_at=None,
        episode=F("condition__episode"),
        condition__state=Condition.State.FAILING,
    )


def chosen(tickets: Any, partner_id: uuid.UUID) -> list[Condition]:
    """The conditions of those tickets that are due by the settings in effect."""
    settings_of, now = SettingsOf.of(partner_id), clock.now()
    rows = tickets.select_related("condition__client", "condition__account").order_by("pk")
    found: list[Condition] = []
    after = clock.NIL_UUID
    while len(found) < AT_ONCE and (piece := list(rows.filter(pk__gt=after)[:AT_ONCE])):
        after = piece[-1].pk
        due = [row.condition for row in piece if is_due(row, lifecycle_of(settings_of, row.condition), now)]
        found += outside_windows(due, partner_id)
    return found


def outside_windows(rows: list[Condition], partner_id: uuid.UUID) -> list[Condition]:
    """In a maintenance window nobody is reminded of what fails; it is told when the window is over."""
    if not rows:
        return rows
    noise = Noise.of([partner_id], rows)
    return [row for row in rows if noise.window_for(row.client, row.account_id) is None]


def is_due(ticket: Ticket, life: Lifecycle, now: datetime) -> bool:
    if ticket.acknowledged_at is None:
        return may_note(ticket, life, now)
    return is_reminder_due(ticket, life, now)


def is_reminder_due(ticket: Ticket, life: Lifecycle, now: datetime) -> bool:
    if life.reminder_after is None or ticket.acknowledged_at is None or ticket.reminded_at is not None:
        return False
    return now >= ticket.acknowledged_at + life.reminder_after


def order(rows: Iterable[Condition], partner_id: uuid.UUID) -> int:
    """One delivery for each of these conditions that has none on its way or held.

    What came to nothing (observe mode, a PSA that takes no notes) is tried again an hour later, not every minute.
    """
    now = clock.now()
    due = {row.pk: row for row in rows if row.decided_by}
    subjects = [conditions.subject_of(key) for key in due]
    came_to_nothing = Q(
        status__in=[Status.SKIPPED, Status.FAILED], notification_name=STILL_FAILING, created_at__gt=now - HOUR
    )
    under_way = Q(status__in=[*UNSETTLED, Status.HELD])
    known = Delivery.objects.filter(under_way | came_to_nothing, partner=partner_id, subject__in=subjects)
    busy = {conditions.of_subject(subject) for subject in known.values_list("subject", flat=True)}
    due = {key: row for key, row in due.items() if key not in busy}
    lanes = effective.lanes_of([row.client for row in due.values()])
    deliveries = [
        Delivery(
            partner_id=partner_id,
            event_id=row.decided_by,
            client_id=row.client_id,
            action=Action.TICKET,
            subject=conditions.subject_of(row.pk),
            notification_name=STILL_FAILING,
            lane=lanes[row.client_id],
            due_at=now,
            created_at=now,
        )
        for row in due.values()
        if lanes[row.client_id] is not None and row.decided_by is not None
    ]
    for delivery in deliveries:
        delivery.status = Status.WAITING
    eventlog.deliver(deliveries)
    return len(deliveries)
