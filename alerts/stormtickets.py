"""The one ticket of a storm: opened, kept up to date and closed (asked by the worker every minute)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from alerts import conditions, lifecycle, portalevents
from alerts.models import Condition, Hold, NoiseSettings, Storm, Ticket
from integrations import companies, effective
from integrations.models import Delivery, Status
from integrations.models.eventlog import UNSETTLED
from portal import clock, database, disabled
from portal.models import Client

CANDIDATES = 20
TYPE = "portal.storm"
LET_THROUGH = 1000
"""So many at once when the brake is off by now."""
LISTED = 100
"""So many problems are named in the storm's ticket; its page lists all."""


def look_after(storm_id: uuid.UUID) -> list[uuid.UUID]:
    """Raise the storm's ticket, or end the storm when nothing is held by it any more.

    Returns the holds that may be judged again, as many as the brake lets through just now.
    """
    with database.writing():
        storm = Storm.objects.select_for_update(no_key=True).filter(pk=storm_id, ended_at=None).first()
        if storm is None:
            return []
        held = storm.holds.count()
        settings = NoiseSettings.objects.filter(partner=storm.partner_id).first()
        is_on = settings is not None and is_braking(storm, settings)
        if is_on and held:
            tell(storm, held)
        if not held:
            end(storm)
            return []
        storm.held = held
        storm.save(update_fields=["held", "condition", "home"])
    most = let_through(storm, settings, clock.now())
    return list(storm.holds.order_by("since", "pk").values_list("pk", flat=True)[:most]) if most else []


def let_through(storm: Storm, settings: NoiseSettings | None, now: datetime) -> int:
    """How many of a storm's holds may be judged again at this moment."""
    if settings is None or not is_braking(storm, settings):
        return LET_THROUGH
    calm_at = storm.last_at + timedelta(minutes=settings.storm_minutes)
    if now < calm_at or not settings.tickets_after_storm:
        return 0
    return (settings.storm_client_tickets if storm.client_id else settings.storm_partner_tickets) or 0


def key_of(storm: Storm) -> str:
    """The condition key of a storm's own problem, at its home."""
    return f"{TYPE}:{'client' if storm.client_id else 'partner'}"


def is_braking(storm: Storm, settings: NoiseSettings) -> bool:
    """Whether the brake that began this storm is still set."""
    return bool(settings.storm_client_tickets if storm.client_id else settings.storm_partner_tickets)


def tell(storm: Storm, held: int) -> None:
    """The storm's own condition fails, with a ticket whatever the rules say; or its list is brought up to date.

    What came later is told to the open ticket in a note, once a minute at most, whatever the budget of notes.
    """
    holds = Hold.objects.filter(storm=storm).select_related("condition__client").order_by("since", "pk")
    ticket = None
    if storm.condition is not None:
        ticket = ticket_to_tell(storm.condition)
        if ticket is None:
            return
        holds = holds.filter(since__gt=storm.condition.decided_at)
    number = holds.count()
    if not number:
        return
    lines = [f"{hold.condition.client.name}: {hold.condition.summary}" for hold in holds[:LISTED]]
    if number > LISTED:
        lines.append(f"… and {number - LISTED} more.")
    if storm.condition is None and storm.client_id is None:
        storm.home = home_for(storm)
    home = storm.home
    whose = home.name if storm.client_id else "all clients"
    event = portalevents.make_event(
        home,
        type_name=TYPE,
        severity="error",
        action="trigger",
        condition_key=key_of(storm),
        source_id=f"storm:{storm.pk}:{held}:{clock.now().timestamp()}",
        summary=f"Storm of problems at {whose}: {held} are listed in this ticket",
        details="\n".join(lines),
    )
    storm.condition_id = portalevents.take_with_ticket(event, because="storm brake")
    if ticket is not None:
        ticket.pending_note = "\n".join(["The storm goes on, with these besides:", *lines])
        ticket.save(update_fields=["pending_note"])
        lifecycle.order(
            Condition.objects.filter(pk=storm.condition_id).select_related("client"), storm.partner_id
        )


def home_for(storm: Storm) -> Client:
    """The client in whose PSA company the ticket of a storm of all clients can be opened: the chosen one, if it has one
    and is not switched off, else the first of those it is about."""
    among = Client.objects.filter(pk__in=storm.holds.values("condition__client"), is_active=True)
    for client in [storm.home, *among.order_by("pk")[:CANDIDATES]]:
        lane = effective.lanes_of([client])[client.pk]
        if lane is None or disabled.of([client.pk]):
            continue
        company = companies.links_of([client.pk], [lane.credentials_id]).get((client.pk, lane.credentials_id))
        if company or (company is None and companies.catch_all_of(lane.credentials) is not None):
            return client
    return storm.home


def ticket_to_tell(condition: Condition) -> Ticket | None:
    """The storm's open ticket, when nothing else is just being told to it."""
    subject = conditions.subject_of(condition.pk)
    if Delivery.objects.filter(
        partner=condition.partner_id, subject=subject, status__in=[*UNSETTLED, Status.HELD]
    ).exists():
        return None
    found: Ticket | None = (
        Ticket.objects.select_for_update(no_key=True)
        .filter(condition=condition, closed_at=None, pending_note="")
        .exclude(psa_id="")
        .first()
    )
    return found


def end(storm: Storm) -> None:
    """Nothing is held any more: its ticket closes."""
    storm.ended_at = clock.now()
    storm.save(update_fields=["ended_at"])
    if storm.condition_id is None:
        return
    event = portalevents.make_event(
        storm.home,
        type_name=TYPE,
        severity="success",
        action="resolve",
        condition_key=key_of(storm),
        source_id=f"storm:{storm.pk}:over",
        summary="The storm of problems is over",
    )
    portalevents.take(event)
