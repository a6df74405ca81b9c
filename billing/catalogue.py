"""The services that every installation starts with (asked by a migration)."""

from __future__ import annotations

from typing import NamedTuple


class Seed(NamedTuple):
    """One service of the catalogue."""

    key: str
    name: str
    unit: str
    aggregation: str = "last"
    billed_by_default: bool = True
    is_yes_no: bool = False
    help_text: str = ""


SERVICES = (
    Seed("select-online-backup-storage", "Select Online Backup Storage", "GB"),
    Seed("basic-online-backup-storage", "Basic Online Backup Storage", "GB"),
    Seed("online-backup-servers", "Online Backup # Servers", "servers"),
    Seed("online-backup-desktops", "Online Backup # Desktops", "desktops"),
    Seed("shadowprotect-bdr-storage", "ShadowProtect BDR Storage", "GB"),
    Seed("bdr-servers", "BDR Servers", "servers"),
    Seed("bdr-desktops", "BDR Desktops", "desktops"),
    Seed("local-backup-servers", "Local Backup # Servers", "servers"),
    Seed("local-backup-desktops", "Local Backup # Desktops", "desktops"),
    Seed(
        "local-backup-storage",
        "Local Backup Storage",
        "GB",
        billed_by_default=False,
        help_text="Lies on the client's own disks and is seldom billed.",
    ),
    Seed("email-archiving-mailboxes", "Email Archiving # Mailboxes", "mailboxes"),
    Seed("email-filtering-mailboxes", "Email Filtering # Mailboxes", "mailboxes"),
    Seed("accounts", "Number of accounts", "accounts"),
    Seed("total-storage", "Total storage", "GB"),
    Seed(
        "file-server-enablement",
        "File Server Enablement",
        "yes/no",
        aggregation="peak",
        is_yes_no=True,
        help_text="A yes/no service: any use bills one unit.",
    ),
)
