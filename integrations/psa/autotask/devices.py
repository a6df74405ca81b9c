"""Backup statistics on the configuration items (devices) of a customer (asked when reports are due).

Autotask's own fields for backup appliances are read-only for everybody but their maker, so the numbers go to
user-defined fields of the device. They are found by name; a partner makes those that he wants to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.metadata import Fields, Metadata
from integrations.psa.autotask.rest import Rest, Row, moment, number, text_of
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import Check
from integrations.psa.reportsetup import WantedSetup
from integrations.psa.serials import by_serial, key_of, known_serials, not_one
from integrations.psa.texts import plain_number
from integrations.psa.wanted import WantedDevice, WantedReport

SUCCESSFUL = "Successful Backups"
FAILED = "Failed Backups"
LAST_BACKUP = "Last Backup"
USED = "Protected GB"
NAMES = (SUCCESSFUL, FAILED, LAST_BACKUP, USED)
PROTECTED = "*****"
FIELDS_ADVICE = (
    "In Autotask, Admin > Features & Settings > Application-Wide (Shared) Features > User-Defined Fields >"
    f" Configuration Item (Device): add text fields named {', '.join(NAMES)} (those you want), and show them in the"
    " device category."
)
PROTECTED_ADVICE = (
    "In Autotask, Admin > Organization Settings & Users > Resources/Users (HR) > Protected Data Permissions: tick View"
    " and Edit Protected Data for the API user, or make the field unprotected."
)


class Devices:
    def __init__(self, rest: Rest, metadata: Metadata) -> None:
        self._rest = rest
        self._metadata = metadata

    def plan(self, wanted: WantedReport) -> Plan:
        """One read for each 500 devices of the company; one write for each whose numbers differ."""
        subject = f"report:{wanted.company_id}"
        known = self._metadata.own_fields("ConfigurationItems")
        if not any(name.lower() in known for name in NAMES):
            text = "Autotask has none of the fields that backup statistics go to."
            missing = Finding(key="report", code="fields_missing", text=text, advice=FIELDS_ADVICE)
            return Plan(subject=subject, findings=(missing,))
        rows = self._by_serial(wanted.company_id)
        return Plan.of(
            subject, [_planned(device, known_serials(rows, device), known) for device in wanted.devices]
        )

    def check(self, wanted: WantedSetup) -> list[Check]:
        """A line for each field that statistics go to; missing ones are no error as long as one is there."""
        known = self._metadata.own_fields("ConfigurationItems")
        there = [name for name in NAMES if name.lower() in known]
        if not there:
            text = "Configuration items have none of the fields that backup statistics go to."
            return [Check(name="User-Defined Fields", verdict="failed", detail=text, fix=FIELDS_ADVICE)]
        return [
            Check(name=name, verdict="passed", detail="The field is there.")
            if name in there
            else Check(name=name, verdict="not needed", detail="Not there: this number is not shown.")
            for name in NAMES
        ]

    def _by_serial(self, company_id: str) -> dict[str, list[Row]]:
        rows = self._rest.all(
            "ConfigurationItems",
            filters.equals("companyID", number(company_id, "company")),
            filters.equals("isActive", True),
        )
        return by_serial(rows, lambda row: text_of(row, "serialNumber"))


def _planned(device: WantedDevice, rows: list[Row], known: Fields) -> PlanItem | Finding | str:
    if len(rows) != 1:
        return not_one(device, [text_of(row, "id") for row in rows], psa="Autotask")
    before = own_values(rows[0])
    after = {known[name.lower()].name: text for name, text in _texts(device).items() if name.lower() in known}
    hidden = [name for name in after if before.get(name) == PROTECTED]
    if hidden:
        text = f"{', '.join(hidden)} of {device.name} is protected, so it cannot be compared or written."
        return Finding(key=key_of(device), code="protected", text=text, advice=PROTECTED_ADVICE)
    changed = {name: text for name, text in after.items() if not _is_same(before.get(name, ""), text)}
    if not changed:
        return key_of(device)
    record_id = text_of(rows[0], "id")
    return PlanItem(
        key=key_of(device),
        action="update",
        record="configuration item",
        record_id=record_id,
        before={name: before.get(name, "") for name in changed},
        after=changed,
        reason=f"The backup statistics of {device.name} have changed.",
        request=Request(
            method="PATCH",
            path="/ConfigurationItems",
            body={
                "id": number(record_id),
                "userDefinedFields": [{"name": name, "value": text} for name, text in changed.items()],
            },
        ),
    )


def _texts(device: WantedDevice) -> dict[str, str]:
    """What is not known is not written: an empty field would look like nothing."""
    texts = {SUCCESSFUL: str(device.successful_jobs), FAILED: str(device.failed_jobs)}
    if device.last_backup_at is not None:
        texts[LAST_BACKUP] = f"{device.last_backup_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if device.used_gb is not None:
        texts[USED] = plain_number(device.used_gb)
    return texts


def own_values(row: Mapping[str, Any]) -> dict[str, str]:
    values = row.get("userDefinedFields")
    return {
        text_of(value, "name"): text_of(value, "value")
        for value in (values if isinstance(values, list) else [])
        if isinstance(value, dict)
    }


def _is_same(shown: str, wanted: str) -> bool:
    """A field may be of a type that shows `12.0000` for 12, or a time without its Z."""
    if shown == wanted:
        return True
    try:
        return Decimal(shown) == Decimal(wanted)
    except InvalidOperation:
        at = moment(shown)
        return at is not None and at == moment(wanted)
