"""What came of a time in which a PSA could not be told anything (asked by the worker, the dashboard and a proof).

Nothing special happens to what waits: each attempt decides from the facts of its moment, so problems that came and
went need no ticket, and those that go on get one, the worst first. Here this is added up and told, once.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet

from alerts.models import Outage
from integrations.models import Action, Delivery, Event, Lane, Status
from integrations.models.connections import Kind
from integrations.models.eventlog import UNSETTLED, EventAction, Severity
from portal import clock, database, onebyone
from portal.models import Role, User

logger = logging.getLogger(__name__)
WORTH_TELLING = timedelta(minutes=10)
EXAMPLES = 20
PASSED = ("recovered_first", "nothing_to_close", "folded")
"""Reasons with which a recovery's delivery ends when its problem needed no ticket any more."""


def look_after_outages() -> int:
    """Keep when connections stop and go on, and tell what came of it; returns how many were told.

    Harmless to repeat.
    """
    note_beginnings()
    note_ends()
    over = Outage.objects.filter(until__isnull=False, settled_at=None).select_related("credentials")
    try:
        onebyone.each(over, settle, what="Outages that are over")
    finally:
        untold = Outage.objects.filter(settled_at__isnull=False, told_at=None).values_list("pk", flat=True)
        told = onebyone.each(untold, tell, what="E-mails about outages")
    return told


def stopped() -> QuerySet[Lane]:
    lanes = Lane.objects.filter(~Q(breaker="") | Q(is_paused=True))
    return lanes.exclude(credentials__kind=Kind.NONE)


def note_beginnings() -> None:
    running = Outage.objects.filter(until=None).values("credentials")
    rows = stopped().exclude(credentials__in=running)
    database.insert_new(
        [
            Outage(
                partner_id=lane.partner_id,
                credentials_id=lane.credentials_id,
                cause=lane.breaker or "paused",
                text=lane.breaker_text or "The connection was paused.",
                since=lane.breaker_since or clock.now(),
            )
            for lane in rows
        ]
    )


def note_ends() -> None:
    over = Outage.objects.filter(until=None).exclude(credentials__in=stopped().values("credentials"))
    for outage in over:
        ends_at = max(clock.now(), outage.since)
        Outage.objects.filter(pk=outage.pk, until=None).update(until=ends_at)


def deliveries_of(outage: Outage) -> QuerySet[Delivery]:
    """What was to be told about tickets meanwhile."""
    rows = Delivery.objects.filter(lane__credentials=outage.credentials_id, action=Action.TICKET)
    return rows.filter(created_at__gte=outage.since, created_at__lte=outage.until or clock.now())


def settle(outage: Outage) -> bool:
    """Add up what came of it, once all of it is at rest."""
    rows = deliveries_of(outage)
    if rows.filter(status__in=UNSETTLED).exists():
        return False
    recoveries = rows.filter(notification_name="recovery")
    passed = recoveries.filter(status=Status.SKIPPED, reason__in=PASSED)
    outage.events = events_of(outage)
    outage.passed = passed.count()
    outage.closed = recoveries.filter(status=Status.DONE).count()
    outage.opened = rows.exclude(notification_name="recovery").filter(status=Status.DONE).count()
    outage.examples = examples_of(passed)
    outage.settled_at = clock.now()
    outage.save(update_fields=["events", "passed", "closed", "opened", "examples", "settled_at"])
    return True


def events_of(outage: Outage) -> int:
    clients = deliveries_of(outage).order_by().values("client").distinct()
    found: int = Event.objects.filter(
        client__in=clients, received_at__gte=outage.since, received_at__lte=outage.until
    ).count()
    return found


def examples_of(passed: QuerySet[Delivery]) -> list[dict[str, Any]]:
    """The clients with most problems that came and went, with how many."""
    counted = Counter(passed.values_list("client__name", flat=True))
    return [{"client": name, "problems": number} for name, number in counted.most_common(EXAMPLES)]


def summary_of(outage: Outage) -> str:
    assert outage.until is not None
    return (
        f"{outage.credentials.get_kind_display()} was out of reach from {outage.since:%Y-%m-%d %H:%M} to"
        f" {outage.until:%Y-%m-%d %H:%M} UTC. {outage.passed} problems came and went meanwhile without a ticket;"
        f" {outage.opened} that go on have one now; {outage.closed} tickets were closed."
    )


def tell(key: uuid.UUID) -> int:
    """One entry in the event log and one e-mail to the partner's managers, if it was long enough to be worth it.

    A mail server that is down is tried again at the next look; a worker that dies before the mail is out leaves the
    entry only.
    """
    with transaction.atomic():
        outage = (
            Outage.objects.select_for_update(of=("self",))
            .select_related("credentials", "partner")
            .get(pk=key)
        )
        if outage.told_at is not None or outage.until is None:
            return 0
        outage.told_at = clock.now()
        outage.save(update_fields=["told_at"])
        if outage.until - outage.since < WORTH_TELLING:
            return 0
        database.insert_new([entry_of(outage)])
    message = message_about(outage)
    try:
        if message.to:
            message.send()
    except OSError:  # also what smtplib raises; the entry in the log stays one
        Outage.objects.filter(pk=key).update(told_at=None)
        logger.warning(
            "The e-mail about an outage could not be sent; the next look tries again", exc_info=True
        )
        return 0
    return 1


def entry_of(outage: Outage) -> Event:
    """What the event log says: the portal itself noticed it."""
    now = clock.now()
    return Event(
        partner_id=outage.partner_id,
        scope=outage.partner_id,
        source="portal",
        source_id=f"outage:{outage.pk}",
        body_hash="",
        state=Event.State.ACCEPTED,
        type="portal.outage_over",
        severity=Severity.INFO,
        action=EventAction.NONE,
        summary=summary_of(outage)[:500],
        details="\n".join(f"{one['client']}: {one['problems']}" for one in outage.examples),
        occurred_at=outage.until or now,
        received_at=now,
        trace=[{"step": "outage", "text": outage.text}],
    )


def message_about(outage: Outage) -> EmailMessage:
    managers = User.objects.filter(
        memberships__partner=outage.partner, memberships__role=Role.SENIOR_MANAGER, is_active=True
    )
    listed = [f"{one['client']}: {one['problems']} came and went" for one in outage.examples]
    return EmailMessage(
        subject=f"{outage.partner.name}: the connection to {outage.credentials.get_kind_display()} works again",
        body="\n\n".join([summary_of(outage), "\n".join(listed), f"Event log: {settings.PORTAL_URL}/events"]),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=sorted(set(managers.values_list("email", flat=True))),
    )
