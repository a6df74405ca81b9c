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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from types import FrameType

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from portal import clock, heartbeat, schedules

logger = logging.getLogger(__name__)
ROUND = 1.0
SILENCE = 15.0
"""Seconds without a sign of life after which a child is replaced; with stop and start it stays under 30."""
START_TIME = 20.0
STOP_TIME = 20.0
HUNG_STOP_TIME = 2.0
STEADY = 15.0
"""A child that has lived so long is started again at once; one that ends sooner waits longer each time."""
PAUSES = (0.5, 10.0)
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Child:
    """One process to be kept running. `is_alive` answers None when it cannot tell (the database is away).

    One that `outlives` the others is asked to stop when they have: they may still need it.
    """

    name: str
    argv: Sequence[str]
    is_alive: Callable[[Child], bool | None]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    outlives: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: datetime | None = None
    born: float = 0.0
    seen: float = 0.0
    start_after: float = 0.0
    pause: float = PAUSES[0]
    is_asked: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def start(self) -> None:
        with contextlib.ExitStack() as files:
            output = files.enter_context(self.log.open("ab")) if self.log else None
            self.process = subprocess.Popen(
                list(self.argv),
                env={**os.environ, **self.environment},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - one thread here
            )
        self.started_at, self.is_asked = clock.now(), False
        self.born = clock.monotonic()
        self.seen = self.born + START_TIME
        logger.info("%s runs as process %s", self.name, self.pid)

    def ask_to_stop(self) -> None:
        if self.process is not None and not self.is_asked and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.is_asked = True

    def stop(self, within: float) -> None:
        """SIGTERM to the leader, a while to finish, then whatever is left of its session is killed."""
        if self.process is None:
            return
        self.ask_to_stop()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            logger.warning("%s did not stop within %.0f s", self.name, within)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(HUNG_STOP_TIME)
        self.process = None


def die_with(parent: int) -> Callable[[], None]:
    """For a new process: the kernel (Linux) sends it SIGTERM when its parent dies, so that nothing is left behind."""

    def arrange() -> None:
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    return arrange


answers = heartbeat.Answers()
"""For others who start the web server: whether it does."""


class Supervisor:
    """Runs the children until SIGTERM, Ctrl-C or the end of its terminal."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self.stopping = Event()
        self.has_schedules = False
        self.database_is_away = False

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.ask_to_stop)
        try:
            while not self.stopping.is_set():
                self.turn()
                self.stopping.wait(ROUND)
        finally:
            self.stop_all()

    def ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def turn(self) -> None:
        """One round. Neither a database that is away nor a machine short of processes ends it."""
        for child in self.children:
            try:
                self.look_after(child)
            except OSError:
                logger.exception("%s could not be looked after; trying again", child.name)
                self.wait_longer(child)
        self.store_schedules()
        self.bury_orphans()

    def look_after(self, child: Child) -> None:
        if child.process is None:
            if clock.monotonic() >= child.start_after:
                child.start()
        elif child.process.poll() is not None:
            logger.warning("%s ended with %s; it is started again", child.name, child.process.returncode)
            self.replace(child)
        else:
            self.judge(child)

    def judge(self, child: Child) -> None:
        try:
            alive = child.is_alive(child)
        except DatabaseError as error:
            self.cannot_tell(error)
            alive = None
        now = clock.monotonic()
        if alive:
            child.seen = now
        elif alive is None:
            child.seen = max(now, child.seen)
        elif now - child.seen > SILENCE:
            logger.error("%s gave no sign of life for %.0f s; it is replaced", child.name, SILENCE)
            self.replace(child)

    def cannot_tell(self, error: DatabaseError) -> None:
        """Said once an outage; children are not judged by a database that is away."""
        if not self.database_is_away:
            logger.warning("The database does not answer: %s", str(error).strip().partition("\n")[0])
        self.database_is_away = True

    def replace(self, child: Child) -> None:
        lived = clock.monotonic() - child.born
        child.stop(HUNG_STOP_TIME)
        if lived > STEADY:
            child.pause = PAUSES[0]
        self.wait_longer(child)

    def wait_longer(self, child: Child) -> None:
        child.start_after = clock.monotonic() + child.pause
        child.pause = min(child.pause * 2, PAUSES[1])

    def store_schedules(self) -> None:
        """As soon as the database takes them."""
        if self.has_schedules and not self.database_is_away:
            return
        try:
            close_old_connections()
            schedules.store()
        except DatabaseError as error:
            self.cannot_tell(error)
        else:
            self.has_schedules, self.database_is_away = True, False

    def bury_orphans(self) -> None:
        """As process 1 of a container we inherit what a killed child leaves behind."""
        ours = {child.pid for child in self.children}
        with contextlib.suppress(ChildProcessError, AttributeError):  # no child; a system without waitid
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in ours:
                    break  # it is looked after in the next round
                os.waitpid(ended.si_pid, 0)

    def stop_all(self) -> None:
        """Everybody is asked at once, then waited for in turn."""
        ends_at = clock.monotonic() + STOP_TIME
        for outlives in (False, True):
            going = [child for child in self.children if child.outlives is outlives]
            for child in going:
                child.ask_to_stop()
            for child in going:
                child.stop(max(0.5, ends_at - clock.monotonic()))
        logger.info("Everything has stopped")


def children(*, dispatchers: int, logs: Path | None, extra: Sequence[Child] = ()) -> list[Child]:
    """Web, dispatchers and worker, as this deployment's settings want them."""
    manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]

    def log(name: str) -> Path | None:
        return logs / f"{name}.log" if logs else None

    web = [sys.executable, "-m", "gunicorn", "-c", "python:portal.webserver", "portal.wsgi:application"]
    return [
        *extra,
        Child("web", web, heartbeat.Answers(), log=log("web")),
        *(
            Child("dispatcher", [*manage, "dispatch"], heartbeat.Beats(), log=log("dispatcher"))
            for _ in range(dispatchers)
        ),
        Child("worker", [*manage, "qcluster"], heartbeat.Acknowledgements(), log=log("worker")),
    ]
