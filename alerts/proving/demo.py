"""The main job from a fresh clone, really done at both PSAs (asked by `manage.py demo`).

An event opens a ticket that closes again, usage changes a line of an agreement or contract. Everything goes the way a
vendor's product would go: events and usage over REST, the PSAs over HTTP.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command

from alerts.proving import demoworld
from alerts.proving.demowalk import Caller, DemoFailed, Say, Walk, wait_for
from alerts.proving.demoworld import AUTOTASK, CONNECTWISE, RESULT, VAR, sandbox_ports
from portal.supervisor import STOP_TIME, die_with

Process = subprocess.Popen[bytes]


def run(*, say: Say) -> None:
    """Until Ctrl-C, which stops every process."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        RESULT.unlink(missing_ok=True)
        say("Preparing the database and the static files ...")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        with supervised() as supervisor:
            show(supervisor, say)
            raise DemoFailed(f"The supervisor ended with {supervisor.wait()}.")
    except KeyboardInterrupt:
        say("Stopped.")
    except DemoFailed as failure:
        say(f"FAILED: {failure} Logs are in {VAR / 'log'}.")
        sys.exit(1)


def interrupt(*args: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def supervised() -> Iterator[Process]:
    """The supervisor with all its children, in a session of its own; stopped whatever happens."""
    logs = VAR / "log"
    logs.mkdir(parents=True, exist_ok=True)
    argv = [
        sys.executable,
        "manage.py",
        "supervise",
        "--logs",
        str(logs),
        "--sandbox",
        os.environ["SANDBOX_PORT"],
    ]
    with (logs / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            argv,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 - one thread here
        )
    try:
        yield process
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_TIME * 2)


def show(supervisor: Process, say: Say) -> None:
    """Do the main job at both PSAs and say what happened; READY is the last line."""
    say("Starting web, dispatcher, worker and the sandboxes of ConnectWise and Autotask ...")
    wait_for("the portal", lambda: Caller(settings.PORTAL_URL).answers("/healthz"), supervisor)
    walks = [
        made_ready(part, port, supervisor, say)
        for part, port in zip((CONNECTWISE, AUTOTASK), sandbox_ports(os.environ["SANDBOX_PORT"]), strict=True)
    ]
    say("\nEvent -> ticket")
    for walk in walks:
        walk.fail()
    for walk in walks:
        walk.succeed()
    tickets = [walk.closed() for walk in walks]
    say("\nUsage -> agreement line")
    for walk in walks:
        walk.use()
    lines = [walk.billed() for walk in walks]
    finish(walks, tickets, lines, say)


def made_ready(part: demoworld.Part, port: str, supervisor: Process, say: Say) -> Walk:
    """The sandbox answers, and the partner is connected to it."""
    psa = Caller(f"http://127.0.0.1:{port}")
    wait_for(f"the sandbox of {part.psa}", lambda: psa.answers("/__sandbox__/counts"), supervisor)
    demo = demoworld.prepare(psa.url, psa.call("GET", "/__sandbox__/credentials"), part)
    return Walk(settings.PORTAL_URL, psa, demo, supervisor, say)


def finish(walks: list[Walk], tickets: list[dict[str, Any]], lines: list[dict[str, Any]], say: Say) -> None:
    """Write var/demo.json and say where to look."""
    url = settings.PORTAL_URL
    connectwise, autotask = walks
    staff = demoworld.staff()
    demoworld.write_private(
        RESULT,
        {
            "portal_url": url,
            "admin_url": f"{url}/admin/",
            "api_token": connectwise.demo.token,
            "logins": {"manager": connectwise.demo.manager, "staff": staff},
            "sandboxes": {
                walk.part.kind: {"url": walk.psa_url, "control": f"{walk.psa_url}/__sandbox__/"}
                for walk in walks
            },
            "client": client_of(connectwise),
            "ticket": tickets[0],
            "agreement_line": lines[0],
            "autotask": {
                "api_token": autotask.demo.token,
                "manager": autotask.demo.manager,
                "client": client_of(autotask),
                "ticket": tickets[1],
                "contract_service": lines[1],
            },
        },
    )
    say("\nLook around")
    for walk in walks:
        manager = walk.demo.manager
        say(f"  portal    {url}/    {manager['email']}  {manager['password']}    {walk.part.psa}")
    say(f"  admin     {url}/admin/    {staff['email']}  {staff['password']}")
    for walk in walks:
        say(f"  sandbox   {walk.psa_url}/    the pretend {walk.part.psa}: look, and be its technician")
    say(f"  API       {url}/api/docs/    the tokens and all of this: {RESULT}")
    say("  Ctrl-C stops everything.\n")
    say(f"READY {url}")


def client_of(walk: Walk) -> dict[str, Any]:
    client = walk.demo.client
    return {"id": str(client.pk), "number": client.number, "managed_id": client.managed_id}
