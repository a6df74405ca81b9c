"""The product as production runs it, in a temporary place (asked by the benchmarks).

`environment` says how its processes are configured; the benchmark starts itself again inside it, so that its own
Django uses the same database. `Stack` starts and stops web, dispatcher, worker and pretend PSAs, and knows what CPU
and memory they took (Linux: from /proc).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import time
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.conf import settings
from psycopg import sql

from alerts.proving.bench_processes import (
    Cpu,
    all_pids,
    cpu_of,
    descendants,
    machine_busy,
    part_of,
    pss_of,
    serves,
)
from portal import supervisor
from portal.supervisor import Child

HOME = "BENCH_HOME"
SANDBOXES = ("psa-a", "psa-b")
AUTOTASK = "psa-autotask"
"""Another pretend PSA, started only by who measures it."""
KIB = 1024
START_SECONDS = 60.0
CREATE = re.compile(r"POST .*/service/tickets")


class NotStarted(Exception):
    """A process of the stack did not come up; the text holds the end of its log."""


class TooLate(Exception):
    """What was waited for did not come in time; the text says how things stood."""


# --- Around it: environment and database ------------------------------------------------------------------------------


def environment(home: Path, database_url: str, *, is_hasty: bool = False) -> dict[str, str]:
    """Settings as in production, with secrets made up for this one run and pretend PSAs on loopback allowed.

    When it is hasty, the waits after a failure are short: then nothing is said about time.
    """
    ports = free_ports(2 + len(SANDBOXES))
    (home / "bench_settings.py").write_text(
        '"""The portal\'s settings; what processes write lies in the temporary folder."""\n'
        "from pathlib import Path\n\nfrom portal.settings import *  # noqa: F403\n\n"
        f"VAR = Path({str(home / 'var')!r})\n"
        "CACHES = {'default': {'BACKEND': 'django.core.cache.backends.filebased.FileBasedCache',"
        " 'LOCATION': str(VAR / 'cache')}}\n"
    )
    (home / "var").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    waits = {"SEARCH_DELAYS": "0.2,0.4", "SEARCH_DELAYS_ANSWERED": "0.1,0.3"}
    hasty = {**waits, "RETRY_DELAYS": "0.2,0.4,0.8,1,1,1"} if is_hasty else {}
    return {
        **kept,
        **hasty,
        HOME: str(home),
        "PYTHONPATH": os.pathsep.join([str(home), str(settings.BASE_DIR)]),
        "DJANGO_SETTINGS_MODULE": "bench_settings",
        "DATABASE_URL": database_url,
        "DEBUG": "false",
        "SECRET_KEY": urlsafe_b64encode(os.urandom(48)).decode(),
        "FIELD_ENCRYPTION_KEYS": urlsafe_b64encode(os.urandom(32)).decode(),
        "ALLOWED_HOSTS": "127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": "https://127.0.0.1",
        "HTTPS": "true",
        "REDIS_URL": "",
        "INSTALLATION": "bench",
        "LOG_LEVEL": "WARNING",
        "PORT": str(ports[0]),
        "PSA_ALLOW_HTTP": "true",
        "PSA_ALLOWED_NETWORKS": "127.0.0.0/8",
        "PSA_ALLOWED_PORTS": ",".join(map(str, ports[1:])),
        "CONNECTWISE_CLIENT_ID": "5ca1ab1e-0000-4000-8000-000000000001",
        "AUTOTASK_TRACKING_IDENTIFIER": "SANDBOXTRACKINGIDENTIFIER01",
    }


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


@contextlib.contextmanager
def database_beside(url: str, home: Path) -> Iterator[str]:
    """The URL of an empty database: a file in `home`, or a new one on the server of a PostgreSQL URL."""
    parts = urlsplit(url)
    if not parts.scheme.startswith(("postgres", "pgsql")):
        yield f"sqlite:///{home / 'portal.sqlite3'}"
        return
    name = f"{parts.path.strip('/') or 'portal'}_{os.getpid()}"
    server = urlunsplit(("postgresql", parts.netloc, "/postgres", parts.query, ""))
    quoted = sql.Identifier(name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
    try:
        yield urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))


# --- The processes ----------------------------------------------------------------------------------------------------


class PretendPsa:
    """The control door of a sandbox that runs as a process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def call(self, method: str, verb: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__sandbox__/{verb}", data=data, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own process
            return json.load(answer)

    def is_up(self) -> bool:
        try:
            return bool(self.call("GET", "credentials"))
        except OSError:
            return False

    def reset(self, **large: int) -> None:
        """As seeded (with more of what is named): no faults, no requests, no tickets of ours."""
        self.call("POST", "reset", {"large": large} if large else {})

    def fault(self, fault: str, **more: object) -> None:
        self.call("POST", "faults", {"fault": fault, **more})

    def heal(self) -> None:
        self.call("DELETE", "faults")

    def creates(self) -> int:
        """How many tickets were asked for."""
        by_path: Mapping[str, int] = self.call("GET", "counts")["by_path"]
        return sum(count for path, count in by_path.items() if CREATE.fullmatch(path))

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "requests")
        return found


@dataclass
class Stack:
    """Web, dispatcher, worker and pretend PSAs; each can be started and stopped by its name."""

    home: Path
    children: dict[str, Child] = field(default_factory=dict)
    psas: dict[str, PretendPsa] = field(default_factory=dict)

    @classmethod
    def here(cls) -> Stack:
        """The stack of the environment that this process runs in."""
        self = cls(Path(os.environ[HOME]))
        logs = self.home / "logs"
        logs.mkdir(exist_ok=True)
        for child in supervisor.children(dispatchers=1, logs=logs):
            self.children[child.name] = child
        for name, port in zip((*SANDBOXES, AUTOTASK), settings.PSA_ALLOWED_PORTS, strict=True):
            self.psas[name] = PretendPsa(port)
            kind = "autotask" if name == AUTOTASK else "connectwise"
            argv = [sys.executable, "-m", "integrations.sandbox", "--kind", kind, "--port", str(port)]
            self.children[name] = Child(name, argv, self.psa_answers, log=logs / f"{name}.log")
        manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]
        self.children["supervisor"] = Child(
            "supervisor", [*manage, "supervise"], supervisor.answers, log=logs / "supervisor.log"
        )
        return self

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", settings.PORT

    def psa_answers(self, child: Child) -> bool:
        return self.psas[child.name].is_up()

    def start(self, *names: str) -> None:
        """Start these and wait until each shows that it is alive."""
        for name in names:
            self.children[name].start()
        for name in names:
            child = self.children[name]
            wait_until(partial(self.is_alive, child), START_SECONDS, f"start of {name}", self.tail(name))

    def is_alive(self, child: Child) -> bool:
        if child.process is not None and child.process.poll() is not None:
            raise NotStarted(f"{child.name} ended with {child.process.returncode}: {self.tail(child.name)()}")
        return child.name == "worker" or bool(child.is_alive(child))

    def tail(self, name: str) -> Callable[[], str]:
        log = self.children[name].log
        return lambda: log.read_text(errors="replace")[-2000:] if log and log.exists() else ""

    def stop(self, *names: str) -> None:
        for name in names:
            self.children[name].stop(supervisor.STOP_TIME)

    def stop_all(self) -> None:
        order = ["supervisor", "web", "dispatcher", "worker", *SANDBOXES, AUTOTASK]
        for name in order:
            with contextlib.suppress(ProcessLookupError):
                self.stop(name)

    def is_running(self, name: str) -> bool:
        process = self.children[name].process
        return process is not None and process.poll() is None

    # --- What they took -------------------------------------------------------------------------------------------

    def members(self) -> dict[str, list[int]]:
        """Process ids by what they are: the whole tree under each child."""
        trees = descendants()
        return {
            name: trees(child.pid)
            for name, child in self.children.items()
            if child.pid and self.is_running(name)
        }

    def cpu(self) -> Cpu:
        """CPU seconds that each part has used so far, beside those of PostgreSQL, of us and of the machine."""
        groups = {name: sum(map(cpu_of, pids)) for name, pids in self.members().items()}
        database = str(settings.DATABASES["default"]["NAME"])
        groups["postgresql"] = sum(cpu_of(pid) for pid in all_pids() if serves(pid, database))
        groups["load"] = cpu_of(os.getpid())
        return Cpu(time.monotonic(), groups, machine_busy())

    def memory(self) -> dict[str, float]:
        """MiB of proportional set size by what the processes do, whoever started them; pretend PSAs left out."""
        taken: dict[str, float] = {}
        for pid in [pid for name, pids in self.members().items() if name not in SANDBOXES for pid in pids]:
            part = part_of(pid)
            taken[part] = taken.get(part, 0.0) + pss_of(pid) / KIB
        return taken


def wait_until(
    is_true: Callable[[], bool], seconds: float, what: str, why: Callable[[], str] = str, pause: float = 0.05
) -> None:
    ends_at = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > ends_at:
            raise TooLate(f"{what}: not within {seconds:.0f} s. {why()}")
        time.sleep(pause)
