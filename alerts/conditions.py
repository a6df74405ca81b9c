"""What is wrong over time: how events move a condition (asked by intake; no database).

Events count by when they occurred: an older one never overturns what a newer one decided.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import Enum

from alerts.models import Condition
from integrations.models import Event
from integrations.models.eventlog import EventAction


class Transition(Enum):
    """What an event did to its condition."""

    OPENED = "began a new episode"
    REPEATED = "repeats what is known to be failing"
    RECOVERED = "ended the episode"
    STILL_FINE = "confirms that all is well"
    STALE = "is older than what decided the present state"
    NONE = "says nothing about a condition"


def subject_of(condition_id: uuid.UUID) -> str:
    """What deliveries about a condition's ticket have in common."""
    return f"ticket:{condition_id}"


def of_subject(subject: str) -> uuid.UUID:
    """The condition that a delivery's subject names."""
    return uuid.UUID(subject.removeprefix("ticket:"))


def move(condition: Condition, event: Event) -> Transition:
    """Apply an event to a condition in memory; a moment ahead of us counts as the moment of its arrival."""
    occurred_at = min(event.occurred_at, event.received_at)
    if is_older(condition, event, occurred_at):
        if event.action == EventAction.TRIGGER and condition.state == Condition.State.FAILING:
            condition.repeats += 1
            return Transition.REPEATED
        return Transition.STALE
    was_failing = condition.state == Condition.State.FAILING
    condition.decided_at, condition.decided_by = occurred_at, event.pk
    condition.decided_ahead_at = event.occurred_at if event.occurred_at > event.received_at else None
    if event.action == EventAction.RESOLVE:
        return recover(condition, event) if was_failing else Transition.STILL_FINE
    return repeat(condition, event) if was_failing else begin(condition, event)


def is_older(condition: Condition, event: Event, occurred_at: datetime) -> bool:
    """Whether an event is older than what decided the present state.

    Two events of a clock that is ahead are told apart by that clock: both count as the moments of their arrival, which
    says nothing about which was first.
    """
    if condition.decided_at is None:
        return False
    if condition.decided_ahead_at is not None and event.occurred_at > event.received_at:
        return event.occurred_at < condition.decided_ahead_at
    return occurred_at < condition.decided_at


def begin(condition: Condition, event: Event) -> Transition:
    condition.state = Condition.State.FAILING
    condition.episode += 1
    condition.wants_ticket = False
    condition.repeats = 0
    condition.severity, condition.summary = event.severity, event.summary
    condition.since = condition.decided_at
    condition.opened_by = event.pk
    return Transition.OPENED


def repeat(condition: Condition, event: Event) -> Transition:
    condition.repeats += 1
    condition.severity, condition.summary = event.severity, event.summary
    return Transition.REPEATED


def recover(condition: Condition, event: Event) -> Transition:
    condition.state = Condition.State.FINE
    condition.since = condition.decided_at
    return Transition.RECOVERED
