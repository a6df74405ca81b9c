"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

from billing import (
    pushdays,
    reportorders,
    reportsetup,
    synchronize,
)


def synchronize_due() -> None:
    synchronize.request_due()


def report_due() -> None:
    reportorders.ask_due()


def verify_report_setup(credentials_id: str) -> None:
    reportsetup.verify(credentials_id)


def push_days() -> None:
    pushdays.ask_due()
