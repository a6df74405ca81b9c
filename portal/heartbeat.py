"""Signs of life of the resident processes (asked by the supervisor, /readyz and the status page)."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

from django.conf import settings

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


def job_begins(**signal: Any) -> None:
    """A worker process takes up a job (django-q2's signal `pre_execute`)."""
    beat("job", running=True)


def job_ends(**signal: Any) -> None:
    beat("job", running=False)


def jobs_under_way() -> int:
    """How many worker processes of this host are busy with a job that may still take its time."""
    since = clock.now() - timedelta(seconds=settings.Q_CLUSTER["timeout"] + 10)
    rows = Heartbeat.objects.filter(name__startswith=f"job:{socket.gethostname()}:", beat_at__gt=since)
    return sum(1 for row in rows if row.detail.get("running") and is_running(row.detail["pid"]))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
