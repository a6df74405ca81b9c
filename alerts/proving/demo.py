"""The main job from a fresh clone, really done: an event opens a ticket that closes again, usage changes an agreement.

Everything goes the way a vendor's product would go: events and usage over REST, a PSA over HTTP. What is printed was
read back from the PSA.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command

from alerts.proving import demoworld
from alerts.proving.demoworld import AGREEMENT, CLIENT_NUMBER, PRODUCT, RESULT, SERVICE, VAR, Demo
from portal import clock
from portal.supervisor import STOP_TIME, die_with

PATIENCE = 60.0
Say = Callable[[str], None]
Process = subprocess.Popen[bytes]


class DemoFailed(Exception):
    """Something that should have happened did not."""


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
    """Do the main job and say what happened; READY is the last line."""
    portal, psa = Caller(settings.PORTAL_URL), Caller(f"http://127.0.0.1:{os.environ['SANDBOX_PORT']}")
    say("Starting web, dispatcher, worker and the ConnectWise sandbox ...")
    wait_for("the portal", lambda: portal.answers("/healthz"), supervisor)
    wait_for("the sandbox", lambda: psa.answers("/__sandbox__/counts"), supervisor)
    demo = demoworld.prepare(psa.url, psa.call("GET", "/__sandbox__/credentials"))
    portal.token = demo.token
    ticket = tell_a_ticket(portal, psa, supervisor, say)
    line = tell_a_quantity(portal, psa, demo, supervisor, say)
    finish(demo, psa, ticket, line, say)


class Caller:
    """A machine that speaks JSON over HTTP, as a vendor's product would."""

    def __init__(self, url: str) -> None:
        self.url, self.token = url, ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - our own addresses
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=20) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise DemoFailed(
                f"{method} {path} was answered with {error.code}: {error.read()[:500]!r}"
            ) from error

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


def wait_for(what: str, is_there: Callable[[], Any], supervisor: Process) -> Any:
    """Ask five times a second until it is there; raises DemoFailed after a minute."""
    ends_at = time.monotonic() + PATIENCE
    while time.monotonic() < ends_at:
        if found := is_there():
            return found
        if supervisor.poll() is not None:
            raise DemoFailed(f"The supervisor ended while we waited for {what}.")
        time.sleep(0.2)
    raise DemoFailed(f"Waited {PATIENCE:.0f} s for {what} in vain.")


# --- Event -> ticket ------------------------------------------------------------------------------------------------


def tell_a_ticket(portal: Caller, psa: Caller, supervisor: Process, say: Say) -> dict[str, Any]:
    """A backup fails, five times more; then it succeeds."""
    say("\nEvent -> ticket")
    run_id = secrets.token_hex(4)
    account = f"SRV-{run_id[:4].upper()}"
    text = f"Backup of {account} failed: disk full"
    failed = event(run_id, 0, account, "backup.failed", "error", text)
    sent = portal.call("POST", "/api/v1/events", failed)["results"][0]
    say(
        f"  POST /api/v1/events      backup.failed for EFS-{CLIENT_NUMBER}, account {account}: {sent['status']}"
    )
    opened = wait_for("the ticket to open", lambda: ticket_of(psa, account, closed=False), supervisor)
    say(f"  ticket {opened['id']} is open     “{opened['summary']}” on board {opened['board']['name']}")
    repeats = [event(run_id, number, account, "backup.failed", "error", text) for number in range(1, 6)]
    portal.call("POST", "/api/v1/events", {"events": repeats})
    say("  five repeats             folded into the same ticket")
    success = event(run_id, 6, account, "backup.succeeded", "success", f"Backup of {account} succeeded")
    portal.call("POST", "/api/v1/events", success)
    closed = wait_for("the ticket to close", lambda: ticket_of(psa, account, closed=True), supervisor)
    if len(tickets_of(psa, account)) != 1:
        raise DemoFailed("There is more than one ticket for one problem.")
    say(f"  ticket {closed['id']} is closed   status {closed['status']['name']}")
    wait_for("the event log", lambda: settled(portal, sent["id"]), supervisor)
    return {
        "number": str(closed["id"]),
        "status": closed["status"]["name"],
        "url": f"{psa.url}/",
        "event": f"{portal.url}/api/v1/events/{sent['id']}",
    }


def event(
    run_id: str, number: int, account: str, type_name: str, severity: str, summary: str
) -> dict[str, Any]:
    return {
        "source": "demo-backup",
        "id": f"{run_id}-{number}",
        "type": type_name,
        "severity": severity,
        "client": f"EFS-{CLIENT_NUMBER}",
        "account": account,
        "summary": summary,
        "occurred_at": clock.now().isoformat(),
    }


def tickets_of(psa: Caller, account: str) -> list[dict[str, Any]]:
    """Tickets at the PSA that speak of the account, read from the PSA's own store."""
    return [row for row in psa.call("GET", "/__sandbox__/tickets") if account in row.get("summary", "")]


def ticket_of(psa: Caller, account: str, *, closed: bool) -> dict[str, Any] | None:
    found = [row for row in tickets_of(psa, account) if bool(row.get("closedFlag")) is closed]
    return found[0] if found else None


def settled(portal: Caller, event_id: str) -> bool:
    """The event log says as well that the ticket was opened."""
    rows = portal.call("GET", f"/api/v1/events/{event_id}")["deliveries"]
    return any(row["action"] == "ticket" and row["status"] == "done" for row in rows)


# --- Usage -> agreement line ----------------------------------------------------------------------------------------


def tell_a_quantity(portal: Caller, psa: Caller, demo: Demo, supervisor: Process, say: Say) -> dict[str, Any]:
    """One more server is protected; the agreement line follows."""
    say("\nUsage -> agreement line")
    before = line_of(psa)
    wanted = int(float(before["quantity"])) + 1
    today = clock.today_in(demo.partner.time_zone).isoformat()
    portal.call("POST", "/api/v1/usage", {"usage": [word(number, today) for number in range(1, wanted + 1)]})
    say(f"  POST /api/v1/usage       {wanted} servers of EFS-{CLIENT_NUMBER} on {today}")
    if release_waiting(portal):
        say("  12 h rule                the last synchronization is less than 12 h old; reprocessed by hand")
    after = wait_for("the agreement line", lambda: line_with(psa, wanted), supervisor)
    name = after["product"]["identifier"]
    say(f"  {name} on {before['agreement']}: quantity {before['quantity']:g} -> {after['quantity']:g}")
    say(f"  invoice description      {after.get('invoiceDescription', '').partition(chr(10))[0]}")
    return {
        "agreement": before["agreement"],
        "line": str(after["id"]),
        "product": name,
        "before": before["quantity"],
        "after": after["quantity"],
    }


def word(number: int, today: str) -> dict[str, Any]:
    return {
        "client": CLIENT_NUMBER,
        "account": f"SRV-{number:02}",
        "service": SERVICE,
        "quantity": 1,
        "measured_on": today,
        "source": "demo-backup",
    }


def line_of(psa: Caller) -> dict[str, Any]:
    [agreement] = psa.call("GET", f"/__sandbox__/agreements?id={AGREEMENT}")
    [line] = [row for row in agreement["additions"] if row["product"]["identifier"] == PRODUCT]
    return {**line, "agreement": agreement["name"]}


def line_with(psa: Caller, quantity: int) -> dict[str, Any] | None:
    line = line_of(psa)
    return line if float(line["quantity"]) == quantity else None


def release_waiting(portal: Caller) -> int:
    """Reprocess synchronizations that wait for the end of the 12 h window (after an earlier run)."""
    waiting = portal.call("GET", "/api/v1/deliveries?status=waiting")["results"]
    held_back = [row["id"] for row in waiting if row["reason"] == "synchronize_window"]
    if held_back:
        portal.call("POST", "/api/v1/deliveries/reprocess", {"ids": held_back})
    return len(held_back)


def finish(demo: Demo, psa: Caller, ticket: dict[str, Any], line: dict[str, Any], say: Say) -> None:
    """Write var/demo.json and say where to look."""
    url = settings.PORTAL_URL
    manager, staff = demo.logins["manager"], demo.logins["staff"]
    demoworld.write_private(
        RESULT,
        {
            "portal_url": url,
            "admin_url": f"{url}/admin/",
            "api_token": demo.token,
            "logins": demo.logins,
            "sandboxes": {"connectwise": {"url": psa.url, "control": f"{psa.url}/__sandbox__/"}},
            "client": {
                "id": str(demo.client.pk),
                "number": demo.client.number,
                "managed_id": demo.client.managed_id,
            },
            "ticket": ticket,
            "agreement_line": line,
        },
    )
    say("\nLook around")
    say(f"  portal    {url}/    {manager['email']}  {manager['password']}")
    say(f"  admin     {url}/admin/    {staff['email']}  {staff['password']}")
    say(f"  sandbox   {psa.url}/    the pretend ConnectWise, its tickets and agreements")
    say(f"  API       {url}/api/docs/    the token and all of this: {RESULT}")
    say("  Ctrl-C stops everything.\n")
    say(f"READY {url}")
