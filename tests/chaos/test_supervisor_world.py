"""A whole product under its supervisor in a temporary place, to be killed piece by piece (asked by test_supervisor).

Holds no tests. What it starts ends with the test run, also when that is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from portal.supervisor import die_with

BASE = Path(__file__).resolve().parents[2]
MARK = "PSAP_TEST_WORLD"
PROBLEM = "application/problem+json"

SETTINGS = """
from pathlib import Path
from portal.settings import *
VAR = Path({var!r})
FILES = "django.core.cache.backends.filebased.FileBasedCache"
CACHES = {{"default": {{"BACKEND": FILES, "LOCATION": str(VAR / "cache")}}}}
"""

# Runs with the product's settings and answers one expression a line: our hand in the database.
HAND = """
import json, sys
import django
django.setup()
from django.db import close_old_connections
from django.utils import timezone
from django_q.models import OrmQ
from django_q.status import Stat
from alerts.proving import demoworld
from integrations.models import Credentials, Delivery
from integrations.models.eventlog import UNSETTLED
from portal import background
from portal.models import Heartbeat

def prepare(url, keys):
    return demoworld.prepare(url, keys).token

def cluster(pid):
    "Who is who in django-q2's cluster, as its sentinel writes down twice a second; its parent is `pid`."
    found = [stat for stat in Stat.get_all() if stat.pid == pid]
    return {name: getattr(found[0], name) for name in ("sentinel", "workers", "monitor", "pusher")} if found else {}

def under_way():
    return [row.detail["pid"] for row in Heartbeat.objects.filter(name__startswith="job:", detail__running=True)]

def busy_with(function):
    rows = [row.pk for row in OrmQ.objects.all() if row.func() == function]
    running = Heartbeat.objects.filter(name__startswith="job:", detail__running=True, detail__row__in=rows)
    return [row.detail["pid"] for row in running]

def beating(pids):
    "Whether all these dispatchers have given a sign of life."
    return Heartbeat.objects.filter(name__startswith="dispatcher:", detail__pid__in=pids).count() == len(pids)

def jobs_left():
    return [row.func() for row in OrmQ.objects.all() if row.func() != "portal.jobs.beat"]

def make_due():
    return OrmQ.objects.update(lock=timezone.now())

def unsettled():
    return Delivery.objects.filter(status__in=UNSETTLED).count()

for line in sys.stdin:
    close_old_connections()
    print(json.dumps(eval(line)), flush=True)
"""


def port_with_a_free_neighbour() -> int:
    """For the two sandboxes, which listen on a port and the one above."""
    while True:
        [port] = free_ports(1)
        with contextlib.suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", port + 1)):
            return port


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        listeners = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def wait_until(find: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `find` found; it is asked ten times a second."""
    ends_at = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < ends_at, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return found


def processes(mark: str) -> list[psutil.Process]:
    """All processes that carry the mark in their environment, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


class World:
    """The product under `manage.py supervise`, with a pretend PSA as one more child."""

    def __init__(self, home: Path, database_url: str, *, dispatchers: int = 1) -> None:
        self.home = home
        self.mark = uuid.uuid4().hex
        [self.port], self.psa_port = free_ports(1), port_with_a_free_neighbour()
        self.portal, self.psa = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.psa_port}"
        self.dispatchers = dispatchers
        self.token = ""
        self.accepted: list[str] = []
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.hand: subprocess.Popen[str] | None = None
        (home / "jobs").mkdir()
        (home / "var").mkdir()
        (home / "world_settings.py").write_text(SETTINGS.format(var=str(home / "var")))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        self.environment = {
            **kept,
            "PYTHONPATH": os.pathsep.join([str(home), str(BASE)]),
            "DJANGO_SETTINGS_MODULE": "world_settings",
            "DATABASE_URL": database_url,
            "REDIS_URL": "",
            "DEBUG": "false",
            "HTTPS": "false",
            "ALLOWED_HOSTS": "portal.example.com,127.0.0.1",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": urlsafe_b64encode(os.urandom(32)).decode(),
            "CONNECTWISE_CLIENT_ID": "5ca1ab1e-0000-4000-8000-000000000001",
            "PSA_ALLOW_HTTP": "true",
            "PSA_ALLOWED_NETWORKS": "127.0.0.0/8",
            "PSA_ALLOWED_PORTS": str(self.psa_port),
            "PORT": str(self.port),
            "LOG_JSON": "false",
            "LOG_LEVEL": "INFO",
        }

    # --- Start and stop -------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """An empty database becomes that of a connected partner, and everything runs."""
        self.run("migrate", "--verbosity", "0")
        self.run("collectstatic", "--no-input", "--verbosity", "0")
        self.supervise()
        self.hand = subprocess.Popen(
            [sys.executable, "-c", HAND],
            env=self.environment,
            cwd=BASE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        keys = wait_until(lambda: self.control("credentials"), 60, "the sandbox")
        self.token = self.ask(f"prepare({self.psa!r}, {keys!r})")
        self.wait_until_steady()

    def run(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], env=self.environment, cwd=BASE, check=True, timeout=120
        )

    def supervise(self) -> None:
        argv = ["supervise", "--logs", str(self.home / "logs"), "--sandbox", str(self.psa_port)]
        argv += ["--dispatchers", str(self.dispatchers)]
        with (self.home / "supervisor.log").open("ab") as log:
            self.supervisor = subprocess.Popen(
                [sys.executable, "manage.py", *argv],
                env={**self.environment, MARK: self.mark},
                cwd=BASE,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - no lock is taken in between
            )

    def stop(self) -> None:
        """SIGTERM to the supervisor, which stops everything."""
        if self.supervisor is not None:
            self.supervisor.terminate()
            self.supervisor.wait(45)
        self.supervisor = None

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        for process in processes(self.mark):
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.supervisor is not None:
            self.supervisor.wait()
        if self.hand is not None:
            self.hand.communicate()

    def log(self, name: str) -> str:
        path = self.home / "supervisor.log" if name == "supervisor" else self.home / "logs" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # --- Who is there ---------------------------------------------------------------------------------------------

    def leaders(self, name: str) -> list[psutil.Process]:
        """The supervisor's children of that kind."""
        words = {
            "web": "gunicorn",
            "dispatcher": "dispatch",
            "worker": "qcluster",
            "sandbox": "integrations.sandbox",
        }
        assert self.supervisor is not None
        found = []
        for child in psutil.Process(self.supervisor.pid).children():
            with contextlib.suppress(psutil.Error):
                if words[name] in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
        return found

    def leader(self, name: str) -> psutil.Process:
        return wait_until(lambda: self.leaders(name), 30, name)[0]

    def cluster(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"cluster({self.leader('worker').pid})")
        return found

    def strays(self) -> list[psutil.Process]:
        """Processes of this world that the supervisor is no ancestor of."""
        assert self.supervisor is not None
        known = {
            self.supervisor.pid,
            *(child.pid for child in psutil.Process(self.supervisor.pid).children(recursive=True)),
        }
        return [process for process in processes(self.mark) if process.pid not in known]

    def is_whole(self) -> bool:
        """Every process that should run does, as far as that can be seen from outside."""
        dispatchers = [leader.pid for leader in self.leaders("dispatcher")]
        if len(dispatchers) != self.dispatchers or not all(map(self.leaders, ("web", "worker"))):
            return False
        if len(self.leaders("sandbox")) != 2:
            return False
        if not self.ask(f"beating({dispatchers})"):
            return False
        cluster = self.cluster()
        pids = [
            cluster.get("sentinel"),
            cluster.get("monitor"),
            cluster.get("pusher"),
            *cluster.get("workers", ()),
        ]
        is_complete = len(pids) == 5 and all(pid and psutil.pid_exists(pid) for pid in pids)
        return is_complete and len(self.leader("web").children()) == 2

    def is_steady(self) -> bool:
        return self.is_whole() and not self.ask("unsettled()")

    def wait_until_steady(self, seconds: float = 90) -> None:
        wait_until(self.is_steady, seconds, "a steady world")

    # --- What is told and asked -----------------------------------------------------------------------------------

    def ask(self, expression: str) -> Any:
        assert self.hand is not None
        assert self.hand.stdin is not None
        assert self.hand.stdout is not None
        self.hand.stdin.write(expression + "\n")
        self.hand.stdin.flush()
        return json.loads(self.hand.stdout.readline())

    def control(self, what: str) -> Any:
        """The pretend PSA's control door; None while it is away."""
        try:
            with urllib.request.urlopen(f"{self.psa}/__sandbox__/{what}", timeout=20) as answer:  # noqa: S310
                return json.load(answer)
        except OSError:
            return None

    def send(self, account: str) -> tuple[int, str]:
        """One event; status and content type of the answer, (0, what went wrong) when there was none."""
        body = {
            "source": "chaos",
            "id": account,
            "type": "backup.failed",
            "severity": "error",
            "client": "EFS-19652",
            "account": account,
            "summary": f"Backup of {account} failed",
            "occurred_at": "2026-01-01T00:00:00Z",
        }
        request = urllib.request.Request(  # noqa: S310 - our own process
            f"{self.portal}/api/v1/events", json.dumps(body).encode(), method="POST"
        )
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                [result] = json.load(answer)["results"]
                if result["status"] in ("accepted", "duplicate"):
                    self.accepted.append(account)
                return answer.status, result["status"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Content-Type", "")
        except OSError as error:
            return 0, str(error)

    def tickets(self) -> Counter[str]:
        """How many tickets each account has at the PSA, read from the PSA's own store."""
        rows = self.control("tickets") or []
        return Counter(word for row in rows for word in row["summary"].split() if word.startswith("ACC-"))

    def enqueue(self, name: str) -> Path:
        """A job that leaves one entry in a folder for each time it is run."""
        folder = self.home / "jobs" / name
        folder.mkdir()
        self.ask(f"background.enqueue('tempfile.mkdtemp', '', '', {str(folder)!r})")
        return folder


def new_account() -> str:
    return f"ACC-{uuid.uuid4().hex[:12]}"


class Stream:
    """A vendor's product that sends events all the time and repeats what was not answered with 202."""

    def __init__(self, world: World, pause: float = 0.4) -> None:
        self.world, self.pause = world, pause
        self.answers: list[tuple[float, int, str]] = []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.flow, daemon=True)

    def flow(self) -> None:
        while not self.ending.is_set():
            account = new_account()
            while not self.ending.is_set():
                status, text = self.world.send(account)
                self.answers.append((time.monotonic(), status, text))
                if status == 202:
                    break
                self.ending.wait(self.pause)
            self.ending.wait(self.pause)

    def __enter__(self) -> Stream:
        self.thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.ending.set()
        self.thread.join(60)


# --- Our own PostgreSQL -----------------------------------------------------------------------------------------------


def postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A server in a temporary folder that belongs to nobody else, owned by user postgres where we are root."""

    def __init__(self, programs: Path) -> None:
        self.home, self.programs = Path(tempfile.mkdtemp(prefix="psap-postgres-")), programs
        self.data = self.home / "data"
        [self.port] = free_ports(1)
        self.data.mkdir()
        self.who = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.who:
            self.home.chmod(0o711)
            subprocess.run(["chown", "postgres", str(self.data)], check=True)
        self.call("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def call(self, program: str, *arguments: str) -> None:
        argv = [*self.who, str(self.programs / program), *arguments]
        with (self.home / "postgres.log").open("ab") as log:  # no pipe: the server would keep it open
            ended = subprocess.run(
                argv, cwd=self.data, check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        assert ended.returncode == 0, (self.home / "postgres.log").read_text()[-2000:]

    def start(self) -> None:
        where = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data}"
        self.call("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.data / "log"), "-o", where, "start")

    def stop(self, mode: str = "fast") -> None:
        self.call("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def end(self) -> None:
        with contextlib.suppress(AssertionError):  # it may be stopped already
            self.stop("immediate")
        shutil.rmtree(self.home)
