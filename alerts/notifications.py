"""A partner's rules: made, changed, copied and removed (asked by the pages, the admin and REST).

Each change raises the version, which every trace and delivery keeps, so that one can see which wording decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Max

from alerts.models import Notification, default_severities
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal.models import Client, Organization, Partner

STEP = 10


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What a notification should say. It has one scope at most: an organization or a client."""

    name: str
    action: str
    severities: Sequence[str] = field(default_factory=default_severities)
    all_event_types: bool = True
    event_types: Sequence[str] = ()
    organization: Organization | None = None
    client: Client | None = None
    is_enabled: bool = True
    position: int | None = None


def save_notification(
    partner: Partner, entered: Entered, *, current: Notification | None = None
) -> Notification:
    """Make or change a notification of the partner."""
    values = {name: getattr(entered, name) for name in vars(entered)}
    values["severities"] = list(entered.severities)
    values["event_types"] = [] if entered.all_event_types else sorted(entered.event_types)
    if entered.position is None:
        values["position"] = current.position if current else next_position(partner)
    with transaction.atomic():
        row = Notification(partner=partner)
        if current is not None:
            row = Notification.objects.select_for_update().get(pk=current.pk)
            row.version += 1
        for name, value in values.items():
            setattr(row, name, value)
        row.save()
    return row


def next_position(partner: Partner) -> int:
    """After the last one."""
    last = Notification.objects.filter(partner=partner).aggregate(last=Max("position"))["last"] or 0
    return int(last) + STEP


def copy_notification(row: Notification) -> Notification:
    """A second one that says the same; switched off, so that nothing happens twice before it is changed."""
    entered = Entered(
        name=f"{row.name} (copy)"[:200],
        action=row.action,
        severities=row.severities,
        all_event_types=row.all_event_types,
        event_types=row.event_types,
        organization=row.organization,
        client=row.client,
        is_enabled=False,
    )
    return save_notification(row.partner, entered)


def switch(row: Notification, *, is_enabled: bool) -> Notification:
    """On or off."""
    with transaction.atomic():
        locked = Notification.objects.select_for_update().get(pk=row.pk)
        locked.is_enabled = is_enabled
        locked.version += 1
        locked.save(update_fields=["is_enabled", "version"])
    return locked


def delete_notification(row: Notification) -> None:
    """Deliveries keep its name and version."""
    row.delete()


def add_synchronization(partner: Partner) -> Notification:
    """Backup statistics and billing follow every event, as often as the 12 h rule allows."""
    return save_notification(
        partner,
        Entered(
            name="Synchronize statistics and billing",
            action=Action.SYNCHRONIZE,
            severities=[*Severity.values],
        ),
    )
