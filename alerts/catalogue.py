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
    Seed("backup.partial", "Backup finished with errors", "backup", "trigger", ("job",)),
    Seed("backup.not_error_free", "No error-free backup", "backup.error_free", "trigger", ("job",)),
    Seed("backup.error_free", "Error-free backups again", "backup.error_free", "resolve", ("job",)),
    Seed("offsite.failed", "Offsite copy failed", "offsite", "trigger", ("job",)),
    Seed("offsite.succeeded", "Offsite copy succeeded", "offsite", "resolve", ("job",)),
    Seed("verification.failed", "Verification failed", "verification", "trigger", ("machine",)),
    Seed("verification.succeeded", "Verification succeeded", "verification", "resolve", ("machine",)),
    Seed("hardware.array_degraded", "Disk array is degraded", "hardware.array", "trigger", ("array",)),
    Seed("hardware.array_healthy", "Disk array is healthy", "hardware.array", "resolve", ("array",)),
    Seed("agent.disconnected", "Agent lost its connection", "agent", "trigger", ("machine",)),
    Seed("agent.connected", "Agent is connected", "agent", "resolve", ("machine",)),
    Seed("ransomware.suspected", "Ransomware suspected", "ransomware", "trigger", ("machine",)),
    Seed("ransomware.cleared", "Ransomware suspicion cleared", "ransomware", "resolve", ("machine",)),
    Seed("mailbox.backup_failed", "Mailbox backup failed", "mailbox.backup", "trigger", ("mailbox",)),
    Seed("mailbox.backup_succeeded", "Mailbox backup succeeded", "mailbox.backup", "resolve", ("mailbox",)),
    Seed("email.delivery_failed", "E-mail is not delivered", "email.delivery", "trigger", ("domain",)),
    Seed("email.delivery_restored", "E-mail is delivered again", "email.delivery", "resolve", ("domain",)),
    Seed("email.account_compromised", "Mailbox taken over", "email.account", "trigger", ("mailbox",)),
    Seed("email.account_secured", "Mailbox secured", "email.account", "resolve", ("mailbox",)),
    Seed("license.exceeded", "More used than licensed", "license.count", "trigger", ("license",)),
    Seed("license.within", "Use is within the licence", "license.count", "resolve", ("license",)),
    Seed("status.updated", "Status was updated", "status", "none"),
)

EACH_ITS_OWN = ("email.threat",)
"""Types of which every event is a problem of its own: a message is found once."""
