"""How many tickets did a client's month have, and how soon were they there (asked, by name, for evidence packs)?"""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import Any

from alerts.models import Ticket
from portal.models import Client


def tickets_of(client: Client, begins_at: datetime, ends_at: datetime) -> dict[str, Any]:
    """Tickets opened and closed in that time. Seconds from the moment that a ticket was wanted until the PSA had it.

    Two queries.
    """
    mine = Ticket.objects.filter(condition__client=client)
    opened = mine.filter(opened_at__gte=begins_at, opened_at__lt=ends_at)
    moments = opened.values_list("created_at", "opened_at")
    waits = [(at - wanted).total_seconds() for wanted, at in moments if at is not None]
    return {
        "opened": len(waits),
        "closed": mine.filter(closed_at__gte=begins_at, closed_at__lt=ends_at).count(),
        "seconds_to_ticket": round(max(median(waits), 0)) if waits else None,
        "slowest_seconds": round(max(waits)) if waits else None,
    }
