"""A partner's clients by name, searched and ready to be paged (asked by the client list)."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from portal.models.partners import client_number_of


def by_name(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Ready to be paged by `sort_name`."""
    return rows.annotate(sort_name=Lower("name"))


def search(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Clients whose name contains the text, or whose client id or managed ID it is."""
    if not text:
        return rows
    number = client_number_of(text)
    named = Q(name__icontains=text)
    return rows.filter(named | Q(number=number) if number is not None else named)
