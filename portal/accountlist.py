"""Accounts with their clients, searched and ready to be paged (asked by the Account List)."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from portal.models.partners import client_number_of


def search(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Accounts whose key or name contains the text, or whose client is called so or has that client id."""
    if not text:
        return rows
    found = Q(key__icontains=text) | Q(name__icontains=text) | Q(client__name__icontains=text)
    number = client_number_of(text)
    return rows.filter(found | Q(client__number=number) if number is not None else found)
