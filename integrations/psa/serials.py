"""Which record of the PSA is which protected device: by serial number, never by name (asked where statistics go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from integrations.psa.plan import Finding
from integrations.psa.wanted import WantedDevice

Row = dict[str, Any]


def key_of(device: WantedDevice) -> str:
    return f"device:{device.serial_number}"


def squeezed(serial: str) -> str:
    """Blanks and case do not tell devices apart: people type serial numbers from labels."""
    return "".join(serial.split()).casefold()


def by_serial(rows: Iterable[Row], serial_of: Callable[[Row], str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if serial := squeezed(serial_of(row)):
            found.setdefault(serial, []).append(row)
    return found


def not_one(device: WantedDevice, ids: Iterable[str], *, psa: str) -> Finding:
    """None or several have the serial number: that is for a person."""
    several = sorted(ids)
    if not several:
        return Finding(
            key=key_of(device),
            code="device_unmatched",
            text=f"No active device of this company has the serial number {device.serial_number} ({device.name}).",
            advice=f"Enter the serial number at the device in {psa}.",
        )
    return Finding(
        key=key_of(device),
        code="device_ambiguous",
        text=f"{len(several)} devices of this company have the serial number {device.serial_number}"
        f" ({', '.join(several)}).",
        advice="Deactivate those that are no longer there.",
    )


def known_serials(rows: Mapping[str, list[Row]], device: WantedDevice) -> list[Row]:
    return rows.get(squeezed(device.serial_number), [])
