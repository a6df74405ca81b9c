"""The event types that every installation starts with (asked by a migration)."""

from __future__ import annotations

from typing import NamedTuple


class Seed(NamedTuple):
    """One event type; types of one family speak of the same condition."""

    name: str
    title: str
    family: str
    default_action: str
    condition_fields: tuple[str, ...] = ()


EVENT_TYPES = (
    Seed("backup.failed", "Backup failed", "backup", "trigger", ("job",)),
    Seed("backup.succeeded", "Backup succeeded", "backup", "resolve", ("job",)),
    Seed("backup.missing", "No backup", "backup.missing", "trigger", ("job",)),
    Seed("backup.resumed", "Backups arrive again", "backup.missing", "resolve", ("job",)),
    Seed("archiving.failed", "Archiving failed", "archiving", "trigger", ("job",)),
    Seed("archiving.succeeded", "Archiving succeeded", "archiving", "resolve", ("job",)),
    Seed("storage.threshold", "Storage is nearly full", "storage", "trigger", ("volume",)),
    Seed("storage.normal", "Storage is below its threshold", "storage", "resolve", ("volume",)),
    Seed("hardware.drive_failed", "A drive failed", "hardware.drive", "trigger", ("drive",)),
    Seed("hardware.drive_replaced", "A drive was replaced", "hardware.drive", "resolve", ("drive",)),
    Seed("appliance.offline", "Appliance is offline", "appliance", "trigger"),
    Seed("appliance.online", "Appliance is online", "appliance", "resolve"),
    Seed("screenshot.failed", "Boot screenshot failed", "screenshot", "trigger", ("machine",)),
    Seed("screenshot.succeeded", "Boot screenshot succeeded", "screenshot", "resolve", ("machine",)),
    Seed("mailbox.quota", "Mailbox is nearly full", "mailbox", "trigger", ("mailbox",)),
    Seed("mailbox.normal", "Mailbox is below its quota", "mailbox", "resolve", ("mailbox",)),
    Seed("email.threat", "E-mail threat found", "email.threat", "trigger", ("message",)),
    Seed("license.expiring", "License is about to end", "license", "trigger", ("license",)),
    Seed("license.renewed", "License was renewed", "license", "resolve", ("license",)),
    Seed("status.updated", "Status was updated", "status", "none"),
)
