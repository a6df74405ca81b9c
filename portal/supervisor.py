"""Keeps web, dispatcher and worker running (asked by `manage.py supervise`).

Each child leads a session of its own. A child that exits is started again, after everything left of its session was
killed; a child that hangs is found out by its missing sign of life and replaced. The worker's sign of life is a job
that was carried out *and* acknowledged, because a cluster of django-q2 may hang while its own status says "Working".
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event
from types import FrameType

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task

from portal import clock, heartbeat, schedules

logger = logging.getLogger(__name__)
ROUND = 1.0
SILENCE = 15.0
"""Seconds without a sign of life after which a child is replaced; with the stop below it stays under 30."""
START_TIME = 20.0
STOP_TIME = 20.0
HUNG_STOP_TIME = 3.0
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process kind to be kept running. `is_alive` answers None when it cannot tell (the database is away)."""

    name: str
    argv: Sequence[str]
    is_alive: Callable[[Child], bool | None]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    seen_at: float = 0.0
    start_at: float = 0.0
    pause: float = 0.5
    started: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self) -> None:
        output = self.log.open("ab") if self.log else None
        self.process = subprocess.Popen(
            list(self.argv),
            env={**os.environ, **self.environment},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one thread here
        )
        self.seen_at = clock.monotonic() + START_TIME
        self.started += 1
        logger.info("%s runs as process %s", self.name, self.pid)

    def stop(self, within: float) -> None:
        """SIGTERM to the leader, a while to finish, then whatever is left of its session is killed."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not stop within %s s", self.name, within)
        self.kill_session()
        self.process = None

    def kill_session(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def die_with_parent() -> None:
    """Ask the kernel (Linux) for a SIGTERM when the supervisor dies, so that no child is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs the children until SIGTERM or Ctrl-C."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self.stopping = Event()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.ask_to_stop)
        schedules.store()
        try:
            while not self.stopping.is_set():
                for child in self.children:
                    self.look_after(child)
                self.stopping.wait(ROUND)
        finally:
            self.stop_all()

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def look_after(self, child: Child) -> None:
        now = clock.monotonic()
        if child.process is None:
            if now >= child.start_at:
                child.start()
            return
        if child.process.poll() is not None:
            logger.warning("%s ended with %s; it is started again", child.name, child.process.returncode)
            self.replace(child, HUNG_STOP_TIME)
            return
        alive = child.is_alive(child)
        if alive is True:
            child.seen_at, child.pause = max(now, child.seen_at - START_TIME), 0.5
        elif alive is None:
            child.seen_at = max(now, child.seen_at)
        elif now - child.seen_at > SILENCE:
            logger.error("%s gave no sign of life for %s s; it is replaced", child.name, SILENCE)
            self.replace(child, HUNG_STOP_TIME)

    def replace(self, child: Child, within: float) -> None:
        child.stop(within)
        child.start_at = clock.monotonic() + child.pause
        child.pause = min(child.pause * 2, 10.0)

    def stop_all(self) -> None:
        """Everybody is asked at once, then waited for in turn."""
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        ends_at = clock.monotonic() + STOP_TIME
        for child in self.children:
            child.stop(max(0.1, ends_at - clock.monotonic()))
        logger.info("Everything has stopped")


# --- Signs of life --------------------------------------------------------------------------------------------------


def answers(child: Child) -> bool:
    """The web server answers /healthz within two seconds."""
    host = next(iter(settings.ALLOWED_HOSTS), "localhost").lstrip("*.") or "localhost"
    request = urllib.request.Request(f"http://127.0.0.1:{settings.PORT}/healthz", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def beats(child: Child) -> bool | None:
    """The dispatcher wrote its heartbeat lately."""
    try:
        close_old_connections()
        row = heartbeat.last_of(child.name, child.pid)
    except DatabaseError:
        return None
    return row is not None and clock.now() - row.beat_at < timedelta(seconds=SILENCE / 2)


class Acknowledgements:
    """The worker's sign of life: a small job handed over every few seconds was carried out and acknowledged.

    While all its workers have long jobs under way, the small one may wait.
    """

    def __init__(self) -> None:
        self.asked_at = 0.0
        self.key = ""

    def __call__(self, child: Child) -> bool | None:
        try:
            close_old_connections()
            return self.ask()
        except DatabaseError:
            return None

    def ask(self) -> bool:
        """True once the job is gone from the queue; hands over the next one every five seconds."""
        if self.key and self.is_waiting():
            if clock.monotonic() - self.asked_at > SILENCE * 2:
                self.key = ""
            return heartbeat.jobs_under_way() >= settings.Q_CLUSTER["workers"]
        if clock.monotonic() - self.asked_at > 5:
            self.asked_at = clock.monotonic()
            self.key = async_task("portal.jobs.beat", broker=ORM())
        return True

    def is_waiting(self) -> bool:
        return any(row.task_id() == self.key for row in OrmQ.objects.all()[:200])


def runs(child: Child) -> bool:
    """That it has not ended is all that is asked of it."""
    return True


def children(*, dispatchers: int, logs: Path | None, extra: Sequence[Child] = ()) -> list[Child]:
    """Web, dispatchers and worker, as this deployment's settings want them."""
    manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]

    def log(name: str) -> Path | None:
        return logs / f"{name}.log" if logs else None

    web = [sys.executable, "-m", "gunicorn", "-c", "python:portal.webserver", "portal.wsgi:application"]
    return [
        *extra,
        Child("web", web, answers, log=log("web")),
        *(
            Child("dispatcher", [*manage, "dispatch"], beats, log=log("dispatcher"))
            for _ in range(dispatchers)
        ),
        Child("worker", [*manage, "qcluster"], Acknowledgements(), log=log("worker")),
    ]
