"""For which clients the PSA integration is off just now, and switching it (asked by intake, tickets and pages)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from portal import clock, database
from portal.models import Client, Disabling

REASON = "client_disabled"
"""The reason of deliveries that are held meanwhile."""

_open = database.Prepared(lambda clients: Disabling.objects.filter(client__in=clients, ended_at=None))


def of(clients: Iterable[uuid.UUID]) -> dict[uuid.UUID, Disabling]:
    """Those of these clients that are switched off at this moment, with why. One query."""
    keys = sorted(set(clients))
    now = clock.now()
    return {
        row.client_id: row for row in (_open(keys) if keys else ()) if row.until is None or row.until > now
    }


def disable(client: Client, *, until: datetime | None, reason: str, by: str) -> Disabling:
    """Switch off, or change until when and why. Returns the time that is in effect."""
    now = clock.now()
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=client.pk)
        end_due(client)
        row = Disabling.objects.filter(client=client, ended_at=None).first()
        if row is None:
            row = Disabling(partner_id=client.partner_id, client=client, began_at=now, began_by=by[:254])
        row.until, row.reason = until, reason[:300]
        row.save()
    found: Disabling = row
    return found


def enable(client: Client, *, by: str) -> bool:
    """Switch on again; False when it was on."""
    rows = Disabling.objects.filter(client=client, ended_at=None)
    return bool(rows.update(ended_at=clock.now(), ended_by=by[:254]))


def end_due(client: Client | None = None) -> int:
    """Write down the end of those whose chosen moment has come. Nothing else ever ends by itself."""
    rows = Disabling.objects.filter(ended_at=None, until__lte=clock.now())
    if client is not None:
        rows = rows.filter(client=client)
    return sum(
        Disabling.objects.filter(Q(pk=row.pk, ended_at=None)).update(ended_at=row.until) for row in rows
    )
