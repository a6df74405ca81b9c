"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

from billing import synchronize


def synchronize_due() -> None:
    synchronize.request_due()
