"""A client's PSA is switched off and on again: what is held meanwhile, and what is made up for (asked by pages, jobs,
intake and tickets)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from alerts import conditions, routing
from alerts.models import Condition, Notification, Ticket
from integrations import effective, eventlog, outcomes
from integrations.models import Action, Delivery, Event, Status
from integrations.models.eventlog import OUTBOUND, UNSETTLED
from integrations.outcomes import Outcome
from portal import clock, disabled, onebyone
from portal.models import Client, Disabling

AT_ONCE = 500
MAILED_TICKETS = "external_ticketing"
"""Where the notification comes from that mails problems to the PSA's mail connector."""


# --- While it is off --------------------------------------------------------------------------------------------------


def silenced(
    event: Event, off: Mapping[uuid.UUID, Disabling], matched: Sequence[Notification]
) -> Sequence[Notification]:
    """The notifications that apply: while the client is switched off only those that go past the PSA, and the event's
    trace says so. An e-mail from which the PSA makes a ticket does not.

    A recovery of a ticket that is open is still ordered; its delivery is held until the client is switched on.
    """
    stop = off.get(event.client_id) if event.client_id else None
    if stop is None:
        return matched
    past_psa = [rule for rule in matched if rule.action in OUTBOUND and rule.origin != MAILED_TICKETS]
    event.trace.append(
        {
            "step": "disabled",
            "disabling": str(stop.pk),
            "text": f"Suppressed, client disabled: {stop.sentence}",
            "suppressed": [rule.name for rule in matched if rule not in past_psa],
        }
    )
    return past_psa


def held(stop: Disabling) -> Outcome:
    return outcomes.held(disabled.REASON, f"{stop.sentence} It goes out when the client is enabled again.")


def disable(client: Client, *, until: datetime | None, reason: str, by: str) -> Disabling:
    """Switch the PSA off for a client; what waits for it is held."""
    with transaction.atomic():
        row = disabled.disable(client, until=until, reason=reason, by=by)
        hold_waiting(row)
    return row


def hold_waiting(row: Disabling) -> int:
    """What an attempt has taken up already finds out by itself."""
    waiting = Delivery.objects.filter(client=row.client_id, status=Status.WAITING).exclude(
        action__in=OUTBOUND
    )
    return int(
        waiting.update(
            status=Status.HELD,
            reason=disabled.REASON,
            outcome=held(row).text,
            finished_at=clock.now(),
        )
    )


# --- On again ---------------------------------------------------------------------------------------------------------


def enable(client: Client, *, by: str) -> int:
    """Switch it on; returns how many held deliveries go on. What is failing without a ticket is offered, not opened."""
    disabled.enable(client, by=by)
    return release([client.pk], client.partner_id)


def release(clients: Collection[uuid.UUID], partner_id: uuid.UUID) -> int:
    return eventlog.release(partner_id, reasons=(disabled.REASON,), clients=clients)


def end_due() -> int:
    """Those whose chosen moment has come are on again, and what was held for them goes out. Returns how many went out.

    Looks at what is held rather than at what just ended: so nothing stays behind when a worker is killed in between.
    """
    disabled.end_due()
    still_off = Disabling.objects.filter(client=OuterRef("client"), ended_at=None)
    rows = Delivery.objects.filter(status=Status.HELD, reason=disabled.REASON).exclude(Exists(still_off))
    found = rows.order_by().values_list("partner_id", "client_id").distinct()[:AT_ONCE]
    return onebyone.each(
        found, lambda one: release([one[1]], one[0]), what="What clients held while they were off"
    )


# --- Catching up ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Missed:
    """A condition that is failing without a ticket, and the notification that would open one."""

    condition: Condition
    event: Event
    notification: Notification


def missed(client: Client, most: int = AT_ONCE) -> list[Missed]:
    """What still fails at a client, has no ticket although a notification asks for one, and none is on its way.

    What a window or another hold keeps back is not missed: it gets its ticket when that is over. Four queries.
    Ordered by since when it fails.
    """
    with_ticket = Ticket.objects.filter(condition=OuterRef("pk"), closed_at=None)
    failing = Condition.objects.filter(
        client=client, state=Condition.State.FAILING, wants_ticket=False, hold=None
    )
    rows = list(
        failing.exclude(Exists(with_ticket))
        .select_related("client__partner", "account")
        .order_by("since", "pk")[:most]
    )
    events = {
        event.pk: event
        for event in Event.objects.filter(
            pk__in={row.decided_by or row.opened_by for row in rows}
        ).select_related("client")
    }
    on_its_way = set(
        Delivery.objects.filter(
            subject__in=[conditions.subject_of(row.pk) for row in rows], status__in=[*UNSETTLED, Status.HELD]
        ).values_list("subject", flat=True)
    )
    rules: Any = routing.Rules.of({client.partner_id})
    found = []
    for row in rows:
        event = events.get(row.decided_by or row.opened_by or clock.NIL_UUID)
        if event is None or conditions.subject_of(row.pk) in on_its_way:
            continue
        rule = wanting(rules, event, client)
        if rule is not None:
            found.append(Missed(row, event, rule))
    return found


def wanting(rules: Any, event: Event, client: Client) -> Notification | None:
    """The first notification that opens a ticket for this event."""
    for answer in rules.ask(event, client):
        if not answer.why_not and answer.notification.action == Action.TICKET:
            found: Notification = answer.notification
            return found
    return None


def catch_up(client: Client) -> int:
    """Open tickets for what is still failing; returns how many were asked for. Harmless to repeat."""
    if disabled.of([client.pk]):
        return 0
    found = missed(client)
    lane = effective.lanes_of([client])[client.pk]
    with transaction.atomic():
        rows = [order(one, lane) for one in found if take(one.condition)]
        eventlog.deliver(rows)
    return len(rows)


def take(condition: Condition) -> bool:
    """Whether it is still failing without an order; then it is ours."""
    return bool(
        Condition.objects.filter(
            pk=condition.pk, state=Condition.State.FAILING, wants_ticket=False, episode=condition.episode
        ).update(wants_ticket=True)
    )


def order(one: Missed, lane: Any) -> Delivery:
    row = Delivery(
        partner_id=one.condition.partner_id,
        event=one.event,
        client_id=one.condition.client_id,
        action=Action.TICKET,
        subject=conditions.subject_of(one.condition.pk),
        notification_id=one.notification.pk,
        notification_name=one.notification.name,
        notification_version=one.notification.version,
        priority=eventlog.priority_of(Action.TICKET, one.event.severity),
        lane=lane,
    )
    if lane is None:
        row.status, row.reason, row.outcome = Status.HELD, "no_psa", outcomes.NO_PSA
    return row
