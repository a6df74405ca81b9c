"""What a PSA's own calls to us look like, whatever PSA it is (asked by the inbound door through `kinds`).

A callback is a hint and nothing more: it names a record that somebody should read. Nothing else in it is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.psa.transport import SharedConnection

MAX_SOURCE_ID = 200


class Malformed(ValueError):
    """A call that is signed, but is not what this PSA sends."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One call, read. `source_id` is the same for all repetitions of a call and for no other call of a connection.

    `record` is our word for what changed ("ticket"), "" for what we do not follow. `occurred_at` is aware, None when
    the PSA does not say.
    """

    source_id: str
    record: str
    record_id: str
    action: str
    occurred_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class CallbackDialect:
    """How one PSA signs and writes its calls. All functions but `fetch_key` are pure.

    `is_signed(signature, body, key)` compares in constant time, over the bytes as they came. `key_url(body, site)` is
    where the PSA says its key lies, "" when that is not a place we would go to; None (no function) where the key is
    ours. `fetch_key(url, site, shared)` judges the address once more and reads it,
    without our keys; it raises `errors.PsaError`.
    """

    header: str
    is_signed: Callable[[str, bytes, str], bool]
    message: Callable[[bytes, datetime], Message]
    key_url: Callable[[bytes, str], str] | None = None
    fetch_key: Callable[[str, str, SharedConnection], str] | None = None


def unnumbered(body: bytes, moment: datetime | None, now: datetime) -> str:
    """An id for a call that carries none: its bytes; and the second of its arrival when no time of the PSA is in them,
    since the next change of the same record may then look just the same."""
    digest = hashlib.sha256(body).hexdigest()
    return digest if moment else f"{digest}@{now:%Y%m%dT%H%M%S}"


def id_in(data: Mapping[str, Any], *names: str) -> str:
    """A record's number, as text; raises `Malformed` for anything else."""
    for name in names:
        value = data.get(name)
        text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return text
    raise Malformed("It names no record.")
