"""The processes of a chaos run: forked from a parent that has everything imported, killed and born again.

The parent has one thread and no open database connection whenever it forks. Children die with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import BaseServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import RequestFactory

from alerts import ticketsweep
from integrations.dispatcher import Dispatcher
from integrations.models import Credentials
from integrations.psa.errors import PsaError
from integrations.psa.transport import DEADLINE
from portal import chaos

logger = logging.getLogger(__name__)
WEB_THREADS = 4
AT_RANDOM = "at random"
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


@dataclass(frozen=True)
class Kind:
    """One kind of process: what it does, how many there are, where it may be killed, how often it is chosen."""

    name: str
    run: Callable[[], None]
    count: int
    points: Sequence[str] = ()
    weight: float = 0.0


@dataclass
class Life:
    """One process from fork to death. `armed` is the point at which it will kill itself, since `armed_at`."""

    kind: Kind
    pid: int
    order: chaos.Order
    armed: str = ""
    armed_at: float = 0.0
    born_at: float = field(default_factory=time.monotonic)
    stopped_until: float | None = None
    is_killed: bool = False
    is_retired: bool = False

    @property
    def age(self) -> float:
        return time.monotonic() - self.born_at


class Nursery:
    """Forks, arms, kills, stops and buries; counts every death by SIGKILL."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.lives: dict[int, Life] = {}
        self.kills: Counter[tuple[str, str]] = Counter()
        self.crashes: Counter[str] = Counter()
        self.stops = 0
        self.births = 0

    def fork(self, kind: Kind) -> Life:
        connections.close_all()
        order = chaos.Order()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            live(kind, parent, self.log, order)
        self.births += 1
        self.lives[pid] = life = Life(kind, pid, order)
        return life

    def fill_up(self, kinds: Sequence[Kind]) -> None:
        """Those that are missing are born again."""
        for kind in kinds:
            for _ in range(kind.count - len(self.of(kind))):
                self.fork(kind)

    def of(self, kind: Kind) -> list[Life]:
        return [life for life in self.lives.values() if life.kind is kind]

    def arm(self, life: Life, point: str, *, passes: int) -> None:
        """Let it kill itself at the given passage of a point."""
        life.armed, life.armed_at = point, time.monotonic()
        life.order.give(point, passes=passes)

    def kill(self, life: Life) -> None:
        life.is_killed = True
        os.kill(life.pid, signal.SIGKILL)

    def stop(self, life: Life, seconds: float) -> None:
        """Hold the process still (SIGSTOP), as a paused virtual machine would be."""
        os.kill(life.pid, signal.SIGSTOP)
        life.stopped_until = time.monotonic() + seconds
        self.stops += 1

    def go_on(self, *, all_of_them: bool = False) -> None:
        """Wake the stopped ones whose time has come."""
        for life in self.lives.values():
            if life.stopped_until is not None and (all_of_them or time.monotonic() >= life.stopped_until):
                life.stopped_until = None
                os.kill(life.pid, signal.SIGCONT)

    def retire(self, life: Life) -> None:
        """Ask it to end by itself, as a deployment does."""
        life.is_retired = True
        os.kill(life.pid, signal.SIGTERM)

    def bury(self) -> list[Life]:
        """Those that have ended since the last look."""
        ended = []
        while self.lives:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if life := self.lives.pop(pid, None):
                self.count(life, status)
                ended.append(life)
        return ended

    def count(self, life: Life, status: int) -> None:
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            where = life.armed if life.armed and not life.is_killed else AT_RANDOM
            self.kills[life.kind.name, where] += 1
        elif status != 0:
            self.crashes[life.kind.name] += 1

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    def end_all(self, kinds: Sequence[Kind] | None = None) -> None:
        """Leave nothing behind (of these kinds)."""
        ending = [life for life in self.lives.values() if kinds is None or life.kind in kinds]
        for life in ending:
            with contextlib.suppress(ProcessLookupError):
                os.kill(life.pid, signal.SIGKILL)
        for life in ending:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(life.pid, 0)
            self.lives.pop(life.pid)


def live(kind: Kind, parent: int, log: Path, order: chaos.Order) -> None:
    """The child's whole life; never returns."""
    code = 1
    try:
        die_with(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        random.seed()
        chaos.obey(order)
        kind.run()
        code = 0
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def die_with(parent: int) -> None:
    """End when the parent ends, however it ends (where the system can do that)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


# --- What the processes do -------------------------------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(WSGIServer):
    """Serves from a socket that outlives it: what is not yet accepted waits for the next life."""

    def __init__(self, listener: socket.socket) -> None:
        BaseServer.__init__(self, listener.getsockname(), _Quiet)
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(get_wsgi_application())


def serve_web(listener: socket.socket) -> None:
    """The portal's WSGI application in some threads, each with a database connection of its own."""
    threads = [
        threading.Thread(target=_Server(listener).serve_forever, daemon=True) for _ in range(WEB_THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def dispatch() -> None:
    """One dispatcher, as `manage.py dispatch` runs it."""
    dispatcher = Dispatcher()
    signal.signal(signal.SIGTERM, lambda number, frame: dispatcher.stop())
    dispatcher.run()


def sweep_for_ever(pause: float) -> None:
    """What the worker's schedule does every ten minutes, oftener."""
    while True:
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not for secrets
        sweep_all()


def sweep_all() -> None:
    """One sweep of each connection, whatever comes of it."""
    for credentials in Credentials.objects.select_related("lane").order_by("pk"):
        try:
            ticketsweep.sweep(credentials)
        except PsaError as error:
            logger.warning("The sweep of %s stopped: %s", credentials.pk, error.text)


def last_sweep() -> int:
    """One sweep of each connection, all with the usual deadline; returns how many tickets were put right."""
    settings.PSA_DEADLINE = DEADLINE
    return sum(ticketsweep.sweep(row) for row in Credentials.objects.select_related("lane"))


def warm_up() -> None:
    """Import in the parent what every child would import: addresses, views, middleware."""
    request = RequestFactory().get("/api/v1/events", headers={"host": "127.0.0.1"})
    logging.disable(logging.WARNING)
    get_wsgi_application().get_response(request)
    logging.disable(logging.NOTSET)
    connections.close_all()
