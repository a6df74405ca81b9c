"""Signs of life of the resident processes (asked by the supervisor, /readyz and the status page)."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import select
import socket
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task

from portal import clock
from portal.models import Heartbeat

if TYPE_CHECKING:
    from portal.supervisor import Child

logger = logging.getLogger(__name__)


def beat(kind: str, **detail: Any) -> None:
    """This process is alive and getting on."""
    Heartbeat.objects.bulk_create(
        [
            Heartbeat(
                name=name_of(kind, os.getpid()), beat_at=clock.now(), detail={"pid": os.getpid(), **detail}
            )
        ],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at", "detail"],
    )


def name_of(kind: str, pid: int | str) -> str:
    """One row a process: kind, host, process id."""
    return f"{kind}:{socket.gethostname()}:{pid}"


def alive(kind: str, within: timedelta) -> bool:
    """Whether any process of this kind gave a sign within that time."""
    return Heartbeat.objects.filter(name__startswith=f"{kind}:", beat_at__gt=clock.now() - within).exists()


def last_of(kind: str, pid: int) -> Heartbeat | None:
    """The row of one process of this host."""
    return Heartbeat.objects.filter(name=name_of(kind, pid)).first()


# --- Jobs of the worker ---------------------------------------------------------------------------------------------


def job_begins(task: dict[str, Any], **signal: Any) -> None:
    """A worker process takes up a job (django-q2's signal `pre_execute`). `row` is the job's place in the queue."""
    _beat_of_job(running=True, row=task.get("ack_id"))


def job_ends(**signal: Any) -> None:
    _beat_of_job(running=False)


def _beat_of_job(**detail: Any) -> None:
    """An exception here would cost the job or its result; a missing sign costs nothing."""
    try:
        beat("job", **detail)
    except DatabaseError:
        logger.warning("The database did not take a sign of life", exc_info=True)


def jobs_under_way() -> int:
    """How many worker processes of this host are busy with a job that may still take its time."""
    since = clock.now() - timedelta(seconds=settings.Q_CLUSTER["timeout"] + 10)
    rows = Heartbeat.objects.filter(name__startswith=name_of("job", ""), beat_at__gt=since)
    return sum(1 for row in rows if row.detail.get("running") and is_running(row.detail["pid"]))


def cut_jobs() -> list[int]:
    """Rows of the queue whose job was under way in a process of this host that is gone."""
    rows = Heartbeat.objects.filter(name__startswith=name_of("job", ""), detail__running=True)
    return [row.detail["row"] for row in rows if row.detail.get("row") and not is_running(row.detail["pid"])]


def works_elsewhere() -> bool:
    """Whether another host carried out a job lately."""
    others = Heartbeat.objects.filter(name__startswith="job:").exclude(name__startswith=name_of("job", ""))
    return others.filter(beat_at__gt=clock.now() - timedelta(minutes=1)).exists()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# --- What the supervisor looks at -----------------------------------------------------------------------------------


class Wakes:
    """Whether the main threads of processes woke up since the last look: Linux counts it, elsewhere it is not known.

    Every loop here sleeps for a second at most. One that is stopped, deadlocked or spinning does not wake.
    """

    def __init__(self) -> None:
        self.counts: dict[int, str] = {}

    def __call__(self, pids: Iterable[int]) -> bool:
        former, self.counts = self.counts, {pid: sleeps_of(pid) for pid in pids}
        return all(not count or count != former.get(pid) for pid, count in self.counts.items())


def sleeps_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                return line
    return ""


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Answers:
    """The web server answers /healthz, and gunicorn's master, which looks after its workers, wakes.

    An answer may take several rounds: busy is not dead.
    """

    PATIENCE = 12.0

    def __init__(self) -> None:
        self.wakes = Wakes()
        self.asked: http.client.HTTPConnection | None = None
        self.asked_at = 0.0

    def __call__(self, child: Child) -> bool:
        wakes = self.wakes([child.pid])
        try:
            return self.has_answered() and wakes
        except (OSError, http.client.HTTPException):
            self.forget()
            return False

    def has_answered(self) -> bool:
        if self.asked is None or clock.monotonic() - self.asked_at > self.PATIENCE:
            self.ask()
        if self.asked is None or not select.select([self.asked.sock], [], [], 0.5)[0]:
            return False
        status = self.asked.getresponse().status
        self.forget()
        return status == 200

    def ask(self) -> None:
        """Under a name that ALLOWED_HOSTS takes, where gunicorn listens."""
        self.forget()
        host = next(iter(settings.ALLOWED_HOSTS), "").lstrip("*.") or "localhost"
        self.asked = http.client.HTTPConnection(web_address(), settings.PORT, timeout=2)
        self.asked_at = clock.monotonic()
        self.asked.request("GET", "/healthz", headers={"Host": host})

    def forget(self) -> None:
        if self.asked is not None:
            self.asked.close()
        self.asked = None


def web_address() -> str:
    bind = os.environ.get("BIND", "").strip("[]")
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - compared only


class Beats:
    """The dispatcher has written another heartbeat since the last look. No clock is compared: clocks are set."""

    def __init__(self) -> None:
        self.last: datetime | None = None

    def __call__(self, child: Child) -> bool:
        close_old_connections()
        row = last_of(child.name, child.pid)
        former, self.last = self.last, row.beat_at if row else None
        return row is not None and row.beat_at != former


class Receipt(ORM):
    """django-q2's broker on the database, which remembers the row it wrote."""

    row = 0

    def enqueue(self, task: str) -> int:
        self.row = super().enqueue(task)
        return self.row


class Acknowledgements:
    """The worker's sign of life: one of the small jobs handed over every few seconds was carried out and acknowledged.

    While they wait, it is enough that jobs before them were, or that all worker processes have long jobs under way.
    The cluster's sentinel, which starts jobs when they are due, must wake as well.
    """

    EVERY = 4.0
    MOST = 4
    """So many may wait: one can get lost with a process that held it."""

    def __init__(self) -> None:
        self.wakes = Wakes()
        self.pid = 0
        self.rows: list[int] = []
        self.place = 0
        self.asked_at = 0.0

    def __call__(self, child: Child) -> bool:
        wakes = self.wakes(children_of(child.pid))
        close_old_connections()
        if child.pid != self.pid:
            self.begin(child)
        gets_on = self.gets_on()
        if len(self.rows) < self.MOST and clock.monotonic() - self.asked_at > self.EVERY:
            self.hand_over()
        return gets_on and wakes

    def begin(self, child: Child) -> None:
        """A new cluster: jobs that the former one had taken and not begun go back into the queue.

        One that was cut while under way waits for django-q2's `retry`: it may be what killed the worker.
        """
        OrmQ.objects.filter(pk__in=self.rows).delete()
        if child.started_at is not None and not works_elsewhere():
            taken_before = child.started_at + timedelta(seconds=settings.Q_CLUSTER["retry"])
            taken = OrmQ.objects.filter(lock__gt=clock.now(), lock__lt=taken_before)
            taken.exclude(pk__in=cut_jobs()).update(lock=clock.now())
        self.pid, self.rows, self.place = child.pid, [], 0

    def gets_on(self) -> bool:
        waiting = set(OrmQ.objects.filter(pk__in=self.rows).values_list("pk", flat=True))
        was_acknowledged = len(waiting) < len(self.rows)
        self.rows = sorted(waiting)
        former, self.place = self.place, OrmQ.objects.filter(pk__lt=min(waiting)).count() if waiting else 0
        return was_acknowledged or self.place < former or jobs_under_way() >= settings.Q_CLUSTER["workers"]

    def hand_over(self) -> None:
        receipt = Receipt()
        async_task("portal.jobs.beat", broker=receipt)
        self.rows.append(receipt.row)
        self.asked_at = clock.monotonic()
