"""Events that the portal itself notices: a storm, a backup that did not come (asked by the worker)."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from alerts import conditions, intake
from integrations.models import Action, Event
from portal import clock, database
from portal.models import Account, Client

SOURCE = "portal"


def make_event(
    client: Client,
    *,
    type_name: str,
    severity: str,
    action: str,
    condition_key: str,
    source_id: str,
    summary: str,
    details: str = "",
    account: Account | None = None,
    data: dict[str, Any] | None = None,
) -> Event:
    """The row of an event that nobody sent, not stored yet. `source_id` says what must not be noticed twice."""
    now = clock.now()
    return Event(
        partner_id=client.partner_id,
        client=client,
        account=account,
        scope=clock.NIL_UUID,
        source=SOURCE,
        source_id=source_id[:200],
        body_hash=hashlib.sha256(source_id.encode()).hexdigest(),
        type=type_name,
        severity=severity,
        action=action,
        client_reference=str(client.number),
        account_reference=account.key if account else "",
        condition_key=condition_key[:300],
        summary=summary[:500],
        details=details,
        data=data or {},
        occurred_at=now,
        received_at=now,
    )


def take(event: Event) -> bool:
    """Store such an event with all that follows from it; False when it was noticed before.

    Runs inside the caller's transaction, or in one of its own. May raise `intake.Raced`: try again later.
    """
    with database.writing():
        if Event.objects.filter(scope=event.scope, source=event.source, source_id=event.source_id).exists():
            return False
        intake.judge([event])
        if not database.insert_new([event]):
            raise intake.Raced
    return True


def take_with_ticket(event: Event, *, because: str) -> uuid.UUID:
    """As `take`, for a problem that gets a ticket whatever the rules say; returns its condition's id."""
    with database.writing():
        (condition,) = intake.lock_conditions([event]).values()
        transition = conditions.move(condition, event)
        event.trace.append(intake.condition_step(condition, transition, event))
        orders = intake.Orders({})
        if not condition.wants_ticket:
            condition.wants_ticket = True
            orders.add(event, Action.TICKET, conditions.subject_of(condition.pk), Because(because))
        intake.save_conditions([condition])
        orders.store()
        if not database.insert_new([event]):
            raise intake.Raced
    return condition.pk


@dataclass(frozen=True)
class Because:
    """In the place of a notification: what asked for a delivery when no rule did."""

    name: str
    pk: None = None
    version: int = 0
