"""Backup statistics on the configurations (devices) of a company (asked when reports are due).

Facts: ConnectWise REST 2026.4, `/company/configurations`: each carries backup counters of its own and the month that
they are of. Only existing ones are written: which devices there are is for the partner's RMM.
"""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.agreements import decimal_text, json_number
from integrations.psa.connectwise.rest import Rest, Row, number, text_of
from integrations.psa.connectwise.tickets import moment
from integrations.psa.plan import Finding, PlanItem, Request
from integrations.psa.serials import by_serial, key_of, known_serials, not_one
from integrations.psa.wanted import WantedDevice, WantedReport

RECORD = "configuration"
_FIELDS = (
    "id,serialNumber,company/id,activeFlag,backupSuccesses,backupFailed,lastBackupDate,backupBillableSpaceGb,"
    "backupYear,backupMonth"
)


class Devices:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def plan(self, wanted: WantedReport) -> list[PlanItem | Finding | str]:
        """One read for each 1,000 devices of the company; one write for each whose numbers differ."""
        if not wanted.devices:
            return []
        rows = by_serial(self._active(wanted.company_id), lambda row: text_of(row, "serialNumber"))
        return [_planned(device, known_serials(rows, device), wanted) for device in wanted.devices]

    def _active(self, company_id: str) -> list[Row]:
        wanted = conditions.both(
            conditions.equals("company/id", number(company_id, "company")),
            conditions.equals("activeFlag", True),
        )
        rows = self._rest.all("/company/configurations", conditions=wanted, fields=_FIELDS)
        return [row for row in rows if row.get("activeFlag") is not False]


def _planned(device: WantedDevice, rows: list[Row], report: WantedReport) -> PlanItem | Finding | str:
    if len(rows) != 1:
        return not_one(device, [text_of(row, "id") for row in rows], psa="ConnectWise")
    row = rows[0]
    changed = {
        name: value for name, value in _values(device, report).items() if not _is_same(row, name, value)
    }
    if not changed:
        return key_of(device)
    record_id = text_of(row, "id")
    return PlanItem(
        key=key_of(device),
        action="update",
        record=RECORD,
        record_id=record_id,
        before={name: text_of(row, name) for name in changed},
        after={name: str(value) for name, value in changed.items()},
        reason=f"The backup statistics of {device.name} have changed.",
        request=Request(
            method="PATCH",
            path=f"/company/configurations/{number(record_id)}",
            body=[{"op": "replace", "path": name, "value": value} for name, value in changed.items()],
        ),
    )


def _values(device: WantedDevice, report: WantedReport) -> dict[str, Any]:
    """What is not known is not written: an empty field would look like nothing."""
    values: dict[str, Any] = {
        "backupSuccesses": device.successful_jobs,
        "backupFailed": device.failed_jobs,
    }
    if device.last_backup_at is not None:
        values["lastBackupDate"] = f"{device.last_backup_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if device.used_gb is not None:
        values["backupBillableSpaceGb"] = json_number(device.used_gb)
    if report.month is not None:
        values |= {"backupYear": report.month.year, "backupMonth": report.month.month}
    return values


def _is_same(row: Row, name: str, value: Any) -> bool:
    if name == "lastBackupDate":
        shown = moment(text_of(row, name))
        return shown is not None and shown == moment(value)
    return name in row and Decimal(decimal_text(row[name])) == Decimal(str(value))
