"""The e-mail settings of My Account, and what they would do twice (asked by their page and the list of notifications).

Each setting keeps one notification with the action E-mail, so that it is asked, traced, tested and sent like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts import notifications
from alerts.models import MailSettings, Notification
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal import clock
from portal.models import Partner

PROBLEMS = (Severity.WARNING.value, Severity.ERROR.value, Severity.CRITICAL.value)


@dataclass(frozen=True)
class Setting:
    """One checkbox: its field, its label, and the event types it mails (none: all problems)."""

    name: str
    label: str
    event_types: tuple[str, ...] = ()


SETTINGS = (
    Setting("no_backup", "No Backup Notification", ("backup.missing",)),
    Setting("no_error_free_backup", "No Error Free Backup Notification", ("backup.error_free_missing",)),
    Setting("external_ticketing", "Enable External Ticketing Alerts"),
)


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What the page says. The two backup settings write to `address`, external ticketing to its own."""

    address: str = ""
    external_address: str = ""
    connector_addresses: Sequence[str] = ()
    no_backup: bool = False
    no_error_free_backup: bool = False
    external_ticketing: bool = False


def kept_rules(partner: Partner) -> dict[str, Notification]:
    """The notifications that settings keep, by setting."""
    rows = Notification.objects.filter(partner=partner).exclude(origin="")
    return {row.origin: row for row in rows}


def entered_of(partner: Partner) -> Entered:
    """What is set now."""
    row = MailSettings.objects.filter(partner=partner).first() or MailSettings(partner=partner)
    rules = kept_rules(partner)
    is_on = {setting.name: setting.name in rules and rules[setting.name].is_enabled for setting in SETTINGS}
    return Entered(
        address=row.address,
        external_address=row.external_address,
        connector_addresses=tuple(row.connector_addresses),
        **is_on,
    )


def save_mail_settings(partner: Partner, entered: Entered, *, by: str = "") -> None:
    """Store the addresses and make, change or switch the notifications. Raises ValidationError, by field."""
    if (entered.no_backup or entered.no_error_free_backup) and not entered.address:
        raise ValidationError({"address": "Say which address is written to."})
    if entered.external_ticketing and not entered.external_address:
        raise ValidationError({"external_address": "Say the address of your PSA's mail connector."})
    connectors = sorted({text.strip().lower() for text in entered.connector_addresses if text.strip()})
    if entered.address and entered.address.lower() in connectors:
        raise ValidationError({"address": "This address feeds the PSA's mail connector; use another one."})
    with transaction.atomic():
        MailSettings.objects.update_or_create(
            defaults={
                "address": entered.address,
                "external_address": entered.external_address,
                "connector_addresses": [one for one in connectors if one != entered.external_address.lower()],
                "updated_at": clock.now(),
            },
            partner=partner,
        )
        rules = kept_rules(partner)
        for setting in SETTINGS:
            keep(partner, setting, entered, rules.get(setting.name), by=by)


def keep(
    partner: Partner, setting: Setting, entered: Entered, current: Notification | None, *, by: str
) -> None:
    is_on: bool = getattr(entered, setting.name)
    if not is_on:
        if current is not None and current.is_enabled:
            notifications.switch(current, is_enabled=False, by=by)
        return
    address = entered.external_address if setting.name == "external_ticketing" else entered.address
    wanted = notifications.Entered(
        name=setting.label,
        action=Action.EMAIL,
        severities=PROBLEMS,
        all_event_types=not setting.event_types,
        event_types=setting.event_types,
        recipients=[address],
    )
    if current is None or not current.is_enabled or current.recipients != [address.lower()]:
        notifications.save_notification(partner, wanted, by=by, current=current, origin=setting.name)


# --- What would be done twice -----------------------------------------------------------------------------------------


def conflicts(partner: Partner) -> list[str]:
    """Sentences about enabled notifications that together open two tickets for one problem."""
    rows = list(Notification.objects.filter(partner=partner, is_enabled=True))
    feeding = notifications.connector_addresses(partner)
    tickets = [row for row in rows if row.action == Action.TICKET]
    found = []
    for row in rows:
        if row.action != Action.EMAIL:
            continue
        into_psa = row.origin == "external_ticketing" or feeding & set(row.recipients)
        twin = next((ticket for ticket in tickets if overlap(row, ticket)), None)
        if into_psa and twin is not None:
            found.append(
                f"This will open a duplicate ticket: “{twin}” opens one through the PSA's API, and “{row}” mails the "
                "same problem to the PSA's mail connector, which makes another. Switch off “"
                f"{row}”: tickets made from mail are never closed by a recovery."
            )
        elif into_psa:
            found.append(
                f"“{row}” mails the PSA's mail connector: each e-mail becomes a ticket, repeats too, and recoveries "
                "close none. A notification with the action “Open a PSA ticket” opens one and closes it."
            )
    return found


def overlap(one: Notification, other: Notification) -> bool:
    """Whether some event would match both."""
    if not set(one.severities) & set(other.severities):
        return False
    if (
        not one.all_event_types
        and not other.all_event_types
        and not set(one.event_types) & set(other.event_types)
    ):
        return False
    return not (one.client_id and other.client_id and one.client_id != other.client_id)
