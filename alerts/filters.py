"""Which events lead to nothing (asked by noise and the rule test), and drop filters made and changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts.models import DropFilter
from integrations.models import Event
from portal.models import Client, Organization, Partner

MOST_PHRASES = 50
IDLE = timedelta(days=30)


def why_not(
    row: DropFilter, event: Event, client: Client, organization_ids: Sequence[object], now: datetime
) -> str:
    """The first reason why a filter does not apply, as a sentence; empty when it drops the event."""
    if not row.is_enabled:
        return "The filter is switched off."
    if row.expires_at is not None and row.expires_at <= now:
        return "The filter has expired."
    if row.client_id and row.client_id != client.pk:
        return "The filter is for another client."
    if row.organization_id and row.organization_id not in organization_ids:
        return "The filter is for another organization."
    if row.sources and event.source not in row.sources:
        return f"Source {event.source} is not filtered."
    if row.event_types and event.type not in row.event_types:
        return f"Event type {event.type} is not filtered."
    if row.severities and event.severity not in row.severities:
        return f"Severity {event.severity} is not filtered."
    if row.phrases and not has_phrase(row, event):
        return "None of its phrases is in the summary."
    return ""


def has_phrase(row: DropFilter, event: Event) -> bool:
    summary = event.summary.casefold()
    return any(phrase.casefold() in summary for phrase in row.phrases)


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What a filter should drop. Empty lists match anything; at least one of them must not be empty."""

    name: str
    reason: str = ""
    sources: Sequence[str] = ()
    event_types: Sequence[str] = ()
    severities: Sequence[str] = ()
    phrases: Sequence[str] = ()
    organization: Organization | None = None
    client: Client | None = None
    is_enabled: bool = True
    expires_at: datetime | None = None


def save_filter(
    partner: Partner, entered: Entered, *, by: str = "", current: DropFilter | None = None
) -> DropFilter:
    """Make or change a filter. Raises ValidationError for one that would drop everything."""
    phrases = refuse(entered)
    with transaction.atomic():
        row = DropFilter(partner=partner, created_by=by)
        if current is not None:
            row = DropFilter.objects.select_for_update().get(pk=current.pk)
            row.version += 1
        for name, value in vars(entered).items():
            setattr(row, name, list(value) if isinstance(value, tuple) else value)
        row.phrases = phrases
        row.save()
    return row


def refuse(entered: Entered) -> list[str]:
    """The phrases, tidied. Raises ValidationError for what would drop everything, or belongs to two scopes."""
    phrases = [text for phrase in entered.phrases if (text := " ".join(str(phrase).split()))]
    if not (phrases or entered.sources or entered.event_types or entered.severities):
        raise ValidationError(
            {
                "phrases": "This filter would drop every event. Say a source, an event type, a severity or a phrase."
            }
        )
    if len(phrases) > MOST_PHRASES:
        raise ValidationError({"phrases": f"{len(phrases)} phrases; {MOST_PHRASES} are allowed."})
    if entered.organization is not None and entered.client is not None:
        raise ValidationError({"client": "Choose an organization or a client, not both."})
    return list(dict.fromkeys(phrases))


def switch(row: DropFilter, *, is_enabled: bool) -> DropFilter:
    """On or off."""
    with transaction.atomic():
        locked: DropFilter = DropFilter.objects.select_for_update().get(pk=row.pk)
        locked.is_enabled = is_enabled
        locked.version += 1
        locked.save(update_fields=["is_enabled", "version"])
    return locked


def is_idle(created_at: datetime, matched_at: datetime | None, now: datetime) -> bool:
    """Whether a filter or a notification has not matched anything for 30 days."""
    return (matched_at or created_at) < now - IDLE


def organizations_above(client: Client, tree: object) -> list[uuid.UUID]:
    """The ids of a client's organization and those above it."""
    upwards = getattr(tree, "upwards", None)
    return [level.pk for level in upwards(client.organization_id)] if upwards else []
