"""A partner's organization tree, grown and changed (asked by the REST door)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from portal import background, clients
from portal.inheritance import Tree
from portal.models import Organization, Partner

CHANGEABLE = ("name", "parent", "tickets_mode")


def add(
    partner: Partner, *, name: str, parent: Organization | None = None, tickets_mode: str | None = None
) -> Organization:
    """A new organization; without a parent it hangs below the partner's top-level one."""
    home = parent or clients.top_level(partner)
    row: Organization = Organization.objects.create(
        partner=partner, name=name, parent=home, tickets_mode=tickets_mode
    )
    return row


def change(row: Organization, values: Mapping[str, Any]) -> Organization:
    """Set what is named of `CHANGEABLE`. Where it hangs decides what it inherits, so deliveries are looked at again.

    Raises ValidationError for a move below itself, of the top-level organization, or to nowhere.
    """
    with transaction.atomic():
        Partner.objects.select_for_update(no_key=True).get(pk=row.partner_id)
        row.refresh_from_db(fields=CHANGEABLE)
        if "parent" in values:
            refuse_move(row, values["parent"])
        for name in CHANGEABLE:
            if name in values:
                setattr(row, name, values[name])
        row.save(update_fields=CHANGEABLE)
        background.enqueue("integrations.jobs.look_over")
    return row


def refuse_move(row: Organization, parent: Organization | None) -> None:
    if row.parent_id is None:
        if parent is not None:
            raise ValidationError({"parent": "The top-level organization stays at the top."})
        return
    if parent is None:
        raise ValidationError({"parent": "There is one top-level organization. Say below which one it goes."})
    path: list[uuid.UUID] = [node.pk for node in Tree.of(row.partner_id).upwards(parent.pk)]
    if row.pk in path:
        raise ValidationError({"parent": "It cannot hang below itself."})
