"""What did the backups do: the ledger of backup statistics, and the month so far (asked by the REST door and reports).

Rows are only added; of several words about one account and day the last one counts. The sums are of the month of the
newest word: while a new month has none yet, the old one stays in the report. Unknown is not zero.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError

from billing.models import BackupStatistics
from integrations.psa.wanted import WantedDevice
from portal import database
from portal.models import Account, Client

MOST_TRIES = 4
FACTS = (
    "successful_jobs",
    "failed_jobs",
    "is_protected",
    "device_kind",
    "serial_number",
    "last_backup_at",
    "used_gb",
)
Key = tuple[uuid.UUID, date]


@dataclass(frozen=True, kw_only=True)
class Told:
    """One well-formed word about one account's day. `account` is the account no.; times are aware."""

    client: Client
    account: str
    measured_on: date
    successful_jobs: int
    failed_jobs: int
    is_protected: bool = True
    device_kind: str = ""
    serial_number: str = ""
    last_backup_at: datetime | None = None
    used_gb: Decimal | None = None
    source: str = ""


def record(words: Sequence[Told], *, then: Callable[[list[Client]], Any]) -> list[Client]:
    """Add to the ledger; returns the clients of whom something is new, after `then` heard of them in the same
    transaction. Within a batch the last word of a day counts."""
    for attempt in range(MOST_TRIES):
        try:
            with database.writing():
                clients = _record(words)
                then(clients)
                return clients
        except IntegrityError:  # somebody else spoke of the same day at the same moment
            if attempt == MOST_TRIES - 1:
                raise
        except OperationalError as error:
            if not database.lost_a_race(error) or attempt == MOST_TRIES - 1:
                raise
    return []


def _record(words: Sequence[Told]) -> list[Client]:
    accounts = accounts_for(words)
    latest = {(accounts[word.client.pk, word.account], word.measured_on): word for word in words}
    known = current_rows(latest)
    in_order = sorted(latest.items(), key=lambda item: (str(item[0][0]), item[0][1]))
    changed = {key: word for key, word in in_order if key not in known or differs(known[key], word)}
    BackupStatistics.objects.filter(pk__in=[known[key].pk for key in changed if key in known]).update(
        is_current=False
    )
    BackupStatistics.objects.bulk_create(
        [
            BackupStatistics(
                partner_id=word.client.partner_id,
                client=word.client,
                account_id=account,
                measured_on=word.measured_on,
                source=word.source,
                **{name: getattr(word, name) for name in FACTS},
            )
            for (account, _), word in changed.items()
        ]
    )
    return list({word.client.pk: word.client for word in changed.values()}.values())


def differs(row: BackupStatistics, word: Told) -> bool:
    return any(getattr(row, name) != getattr(word, name) for name in FACTS)


def accounts_for(words: Sequence[Told]) -> dict[tuple[uuid.UUID, str], uuid.UUID]:
    """Accounts by client and account no.; unknown ones are made."""
    wanted = {(word.client.pk, word.account): word.client for word in words}
    in_order = sorted(wanted.items(), key=lambda item: str(item[0]))
    database.insert_new(
        [Account(partner_id=client.partner_id, client=client, key=key) for (_, key), client in in_order]
    )
    rows = Account.objects.filter(client__in={pk for pk, _ in wanted}, key__in={key for _, key in wanted})
    return {(client, key): pk for client, key, pk in rows.values_list("client_id", "key", "pk")}


def current_rows(keys: Iterable[Key]) -> dict[Key, BackupStatistics]:
    """The rows that count now, locked against a second word."""
    keys = set(keys)
    rows = (
        BackupStatistics.objects.select_for_update(no_key=True)
        .filter(
            is_current=True,
            account__in={account for account, _ in keys},
            measured_on__in={day for _, day in keys},
        )
        .order_by("pk")
    )
    found = {(row.account_id, row.measured_on): row for row in rows}
    return {key: row for key, row in found.items() if key in keys}


# --- The month so far -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Device:
    """One account in the report: its sums of the month, and its newest word."""

    name: str
    kind: str
    serial_number: str
    is_protected: bool
    successful_jobs: int
    failed_jobs: int
    last_backup_at: datetime | None
    used_gb: Decimal | None
    newest_on: date


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What a client's report should show. `month` is its first day; `newest_on` the day of the newest word."""

    month: date
    newest_on: date
    successful_jobs: int
    failed_jobs: int
    servers: int
    workstations: int
    devices: tuple[Device, ...] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        return {
            "month": f"{self.month:%Y-%m}",
            "newest_on": self.newest_on.isoformat(),
            "successful_jobs": self.successful_jobs,
            "failed_jobs": self.failed_jobs,
            "servers": self.servers,
            "workstations": self.workstations,
            "devices": len(self.devices),
        }

    def wanted_devices(self) -> tuple[WantedDevice, ...]:
        """Those that a source named a serial number of: by it the PSA's device is found."""
        return tuple(
            WantedDevice(
                serial_number=device.serial_number,
                name=device.name,
                successful_jobs=device.successful_jobs,
                failed_jobs=device.failed_jobs,
                last_backup_at=device.last_backup_at,
                used_gb=device.used_gb,
            )
            for device in self.devices
            if device.serial_number
        )


def numbers_for(client: Client, *, today: date) -> Numbers | None:
    """None without a fresh word. One query."""
    since = (today - timedelta(days=settings.USAGE_FRESH_DAYS)).replace(day=1)
    rows = BackupStatistics.objects.filter(
        client=client, is_current=True, measured_on__gte=since, measured_on__lte=today
    )
    return summed(list(rows.select_related("account").order_by("measured_on", "id")), today=today)


def summed(rows: Sequence[BackupStatistics], *, today: date) -> Numbers | None:
    """Of one client's current rows, in the order of days: jobs of the month of the newest word, and what is protected
    by each account's newest fresh word."""
    oldest = today - timedelta(days=settings.USAGE_FRESH_DAYS)
    newest = max((row.measured_on for row in rows), default=None)
    if newest is None or newest < oldest:
        return None
    by_account: dict[uuid.UUID, list[BackupStatistics]] = {}
    for row in rows:
        by_account.setdefault(row.account_id, []).append(row)
    month = newest.replace(day=1)
    devices = tuple(device for found in by_account.values() if (device := device_of(found, month, oldest)))
    fresh = [device for device in devices if device.is_protected and device.newest_on >= oldest]
    kinds = [device.kind for device in fresh]
    return Numbers(
        month=month,
        newest_on=newest,
        successful_jobs=sum(device.successful_jobs for device in devices),
        failed_jobs=sum(device.failed_jobs for device in devices),
        servers=kinds.count(BackupStatistics.DeviceKind.SERVER),
        workstations=kinds.count(BackupStatistics.DeviceKind.WORKSTATION),
        devices=tuple(sorted(devices, key=lambda device: device.name)),
    )


def device_of(rows: Sequence[BackupStatistics], month: date, oldest: date) -> Device | None:
    """None for an account that has neither a word of the month nor a fresh one. What a word leaves out, the last one
    that told it says."""
    of_month = [row for row in rows if row.measured_on >= month]
    newest = rows[-1]
    if not of_month and newest.measured_on < oldest:
        return None
    backups = [row.last_backup_at for row in rows if row.last_backup_at]
    return Device(
        name=str(newest.account.key),
        kind=next((row.device_kind for row in reversed(rows) if row.device_kind), ""),
        serial_number=next((row.serial_number for row in reversed(rows) if row.serial_number), ""),
        is_protected=newest.is_protected,
        successful_jobs=sum(row.successful_jobs for row in of_month),
        failed_jobs=sum(row.failed_jobs for row in of_month),
        last_backup_at=max(backups, default=None),
        used_gb=next((row.used_gb for row in reversed(rows) if row.used_gb is not None), None),
        newest_on=newest.measured_on,
    )
