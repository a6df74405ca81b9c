"""Signs of life of the resident processes (asked by the supervisor, /readyz and the status page)."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

from portal import clock
from portal.models import Heartbeat


def beat(kind: str, **detail: Any) -> None:
    """This process is alive and getting on."""
    name = f"{kind}:{socket.gethostname()}:{os.getpid()}"
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, beat_at=clock.now(), detail={"pid": os.getpid(), **detail})],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at", "detail"],
    )


def alive(kind: str, within: timedelta) -> bool:
    """Whether any process of this kind gave a sign within that time."""
    return Heartbeat.objects.filter(name__startswith=f"{kind}:", beat_at__gt=clock.now() - within).exists()


def last_of(kind: str, pid: int) -> Heartbeat | None:
    """The row of one process of this host."""
    return Heartbeat.objects.filter(name=f"{kind}:{socket.gethostname()}:{pid}").first()
