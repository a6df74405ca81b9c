"""The one door through which time and randomness come in, so that tests can hold them still."""

from __future__ import annotations

import random
import secrets
import time
import uuid
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

NIL_UUID = uuid.UUID(int=0)


def now() -> datetime:
    """The present moment, aware, UTC."""
    return timezone.now()


def today_in(time_zone: str) -> date:
    """The calendar day that people in this IANA time zone have now."""
    return now().astimezone(ZoneInfo(time_zone)).date()


def monotonic() -> float:
    """Seconds that only grow; for leases and deadlines inside one process."""
    return time.monotonic()


def new_id() -> uuid.UUID:
    """A UUID version 7 (RFC 9562): sorts by the time of its making, about 250 ns fine, 62 random bits."""
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    number = (
        (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    )
    return uuid.UUID(int=number)


def spread(delay: float, *, by: float = 0.2) -> timedelta:
    """A delay in seconds moved by up to `by` of itself either way, so that retries do not march in step."""
    return timedelta(seconds=delay * random.uniform(1 - by, 1 + by))  # noqa: S311 - not for secrets
