"""A partner's rules: made, changed, copied and removed (asked by the pages, the admin and REST).

Each change raises the version, which every trace and delivery keeps, so that one can see which wording decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Max

from alerts.models import Grouping, MailSettings, Notification, NotificationVersion, default_severities
from alerts.models.outbound import WebhookEndpoint
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal.models import Client, Membership, Organization, Partner

STEP = 10
MOST_MINUTES = 7 * 24 * 60
MOST_RECIPIENTS = 50
WORDING = (
    "name",
    "action",
    "severities",
    "all_event_types",
    "event_types",
    "is_enabled",
    "position",
    "stops",
    "catch_all",
    "min_minutes",
    "grouping",
    "recipients",
    "members",
)


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
    stops: bool = False
    catch_all: bool = False
    min_minutes: int = 0
    grouping: str = Grouping.NONE
    recipients: Sequence[str] = ()
    members: Sequence[str] = ()
    webhook: WebhookEndpoint | None = None


def save_notification(
    partner: Partner, entered: Entered, *, by: str = "", current: Notification | None = None, origin: str = ""
) -> Notification:
    """Make or change a notification of the partner; each wording is kept.

    Raises ValidationError, by field, for one that could not do what it says.
    """
    refuse(partner, entered)
    values = {name: getattr(entered, name) for name in vars(entered)}
    values["severities"] = list(entered.severities)
    values["event_types"] = [] if entered.all_event_types else sorted(entered.event_types)
    is_mail = entered.action == Action.EMAIL
    values["recipients"] = sorted({text.strip().lower() for text in entered.recipients}) if is_mail else []
    values["members"] = sorted(entered.members) if is_mail else []
    values["webhook"] = entered.webhook if entered.action == Action.WEBHOOK else None
    if entered.position is None:
        values["position"] = current.position if current else next_position(partner)
    with transaction.atomic():
        row = Notification(partner=partner)
        if current is not None:
            row = Notification.objects.select_for_update().get(pk=current.pk)
            row.version += 1
        for name, value in values.items():
            setattr(row, name, value)
        row.origin = row.origin or origin
        row.save()
        keep_wording(row, by=by)
    return row


def refuse(partner: Partner, entered: Entered) -> None:
    """Raises ValidationError for what could not work."""
    if entered.organization is not None and entered.client is not None:
        raise ValidationError({"client": "Choose an organization or a client, not both."})
    if not 0 <= entered.min_minutes <= MOST_MINUTES:
        raise ValidationError({"min_minutes": f"Say a number of minutes from 0 to {MOST_MINUTES} (a week)."})
    if entered.action == Action.WEBHOOK and entered.webhook is None:
        raise ValidationError({"webhook": "Choose a webhook endpoint, or make one first."})
    if entered.action == Action.EMAIL:
        refuse_addresses(partner, entered)


def refuse_addresses(partner: Partner, entered: Entered) -> None:
    if not entered.recipients and not entered.members:
        raise ValidationError(
            {"recipients": "Say who gets the e-mail: an address, or a member of your team."}
        )
    if len(entered.recipients) > MOST_RECIPIENTS:
        raise ValidationError({"recipients": f"{MOST_RECIPIENTS} addresses at most."})
    for address in entered.recipients:
        try:
            validate_email(address.strip())
        except ValidationError as error:
            raise ValidationError({"recipients": f"“{address}” is not an e-mail address."}) from error
    feeding = connector_addresses(partner)
    if both := sorted(feeding & {address.strip().lower() for address in entered.recipients}):
        raise ValidationError(
            {
                "recipients": f"{both[0]} feeds your PSA's mail connector: each e-mail would open a ticket of its own, "
                "which nobody closes. Use the action “Open a PSA ticket”, or another address."
            }
        )
    theirs = Membership.objects.filter(partner=partner).values_list("user", flat=True)
    if strangers := set(entered.members) - {str(key) for key in theirs}:
        raise ValidationError({"members": f"{len(strangers)} of the people chosen are not in your team."})


def connector_addresses(partner: Partner) -> set[str]:
    """Addresses from which the partner's PSA makes tickets, as far as we were told."""
    found = MailSettings.objects.filter(partner=partner).values_list("connector_addresses", flat=True).first()
    return {str(address).lower() for address in found or []}


def keep_wording(row: Notification, *, by: str) -> None:
    document = {name: getattr(row, name) for name in WORDING} | {
        "organization": str(row.organization_id or ""),
        "client": str(row.client_id or ""),
        "webhook": str(row.webhook_id or ""),
    }
    NotificationVersion.objects.update_or_create(
        defaults={"partner_id": row.partner_id, "document": document, "saved_by": by[:254]},
        notification_id=row.pk,
        version=row.version,
    )


def move(row: Notification, *, up: bool) -> bool:
    """One place up or down among the partner's notifications; False at the end."""
    with transaction.atomic():
        rows = list(
            Notification.objects.select_for_update()
            .filter(partner=row.partner_id)
            .order_by("position", "created_at", "pk")
        )
        place = next(index for index, one in enumerate(rows) if one.pk == row.pk)
        other = place - 1 if up else place + 1
        if not 0 <= other < len(rows):
            return False
        rows[place], rows[other] = rows[other], rows[place]
        for index, one in enumerate(rows):
            one.position = (index + 1) * STEP
        Notification.objects.bulk_update(rows, ["position"])
    return True


def next_position(partner: Partner) -> int:
    """After the last one."""
    last = Notification.objects.filter(partner=partner).aggregate(last=Max("position"))["last"] or 0
    return int(last) + STEP


def copy_notification(row: Notification, *, by: str = "") -> Notification:
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
        stops=row.stops,
        catch_all=row.catch_all,
        min_minutes=row.min_minutes,
        grouping=row.grouping,
        recipients=row.recipients,
        members=row.members,
        webhook=row.webhook,
    )
    return save_notification(row.partner, entered, by=by)


def switch(row: Notification, *, is_enabled: bool, by: str = "") -> Notification:
    """On or off."""
    with transaction.atomic():
        locked = Notification.objects.select_for_update().get(pk=row.pk)
        locked.is_enabled = is_enabled
        locked.version += 1
        locked.save(update_fields=["is_enabled", "version"])
        keep_wording(locked, by=by)
    return locked


def delete_notification(row: Notification) -> None:
    """Deliveries keep its name and version."""
    row.delete()


def add_tickets(partner: Partner, *, by: str = "") -> Notification:
    """Warnings and errors of all event types open a PSA ticket."""
    return save_notification(partner, Entered(name="Open a ticket for problems", action=Action.TICKET), by=by)


def add_synchronization(partner: Partner, *, by: str = "") -> Notification:
    """Backup statistics and billing follow every event, as often as the 12 h rule allows."""
    return save_notification(
        partner,
        Entered(
            name="Synchronize statistics and billing",
            action=Action.SYNCHRONIZE,
            severities=[*Severity.values],
        ),
        by=by,
    )
