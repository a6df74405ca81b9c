"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

from billing import pushdays, synchronize


def synchronize_due() -> None:
    synchronize.request_due()


def push_days() -> None:
    pushdays.ask_due()
