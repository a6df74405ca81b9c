"""Searches of the event log that are kept under a name (asked by the event log's page and REST).

A person's own is seen by that person, or with `is_shared` by everybody of the partner; a machine's is everybody's.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from integrations.eventsearch import EventFilter
from integrations.models import SavedSearch
from portal.models import Partner, User


class Taken(Exception):
    """A machine keeps another search under this name."""


def keep(partner: Partner, owner: User, wanted: EventFilter, *, name: str, is_shared: bool) -> SavedSearch:
    """A person's; the same name replaces their earlier one."""
    row, _ = SavedSearch.objects.update_or_create(
        partner=partner,
        owner=owner,
        name=name,
        defaults={"is_shared": is_shared, "wanted": wanted.as_json()},
    )
    return row


def of_everybody(rows: QuerySet[Any]) -> QuerySet[Any]:
    """What a machine may see of them: nobody's own."""
    return rows.filter(Q(owner=None) | Q(is_shared=True)).select_related("owner")


def add(partner: Partner, wanted: EventFilter, *, name: str) -> SavedSearch:
    """A machine's. Raises Taken, and ValidationError for one that looks for nothing."""
    return stored(SavedSearch(partner=partner, is_shared=True), wanted, name)


def change(row: SavedSearch, wanted: EventFilter, *, name: str) -> SavedSearch:
    """Raises as `add` does."""
    return stored(row, wanted, name)


def stored(row: SavedSearch, wanted: EventFilter, name: str) -> SavedSearch:
    if wanted.is_empty:
        raise ValidationError({"where": "Say something to look for; without it every event is found."})
    row.name, row.wanted = name, wanted.as_json()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise Taken(f"Another search is called “{name}” already.") from None
    return row
