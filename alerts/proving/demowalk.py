"""The demo's main job at one PSA: an event opens a ticket that closes again, usage changes a line (asked by the demo).

Everything goes the way a vendor's product would go: events and usage over REST. What is said was read back from the
PSA, as its own people would see it.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alerts.proving.demoworld import Demo
from portal import clock

PATIENCE = 60.0
Say = Callable[[str], None]
Row = dict[str, Any]


class DemoFailed(Exception):
    """Something that should have happened did not."""


class Caller:
    """A machine that speaks JSON over HTTP, as a vendor's product would."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url, self.token = url, token

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


def wait_for(what: str, is_there: Callable[[], Any], supervisor: subprocess.Popen[bytes]) -> Any:
    """Ask five times a second until it is there; raises DemoFailed after a minute."""
    ends_at = time.monotonic() + PATIENCE
    while time.monotonic() < ends_at:
        if found := is_there():
            return found
        if supervisor.poll() is not None:
            raise DemoFailed(f"The supervisor ended while we waited for {what}.")
        time.sleep(0.2)
    raise DemoFailed(f"Waited {PATIENCE:.0f} s for {what} in vain.")


# --- What the PSA's own people see ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticket:
    number: str
    title: str
    board: str
    status: str
    is_closed: bool


@dataclass(frozen=True)
class Line:
    """An addition of a ConnectWise agreement, a service of an Autotask contract."""

    id: str
    agreement: str
    product: str
    quantity: float
    text: str


class ConnectWiseEyes:
    """Read from the sandbox's own store, past its API."""

    def __init__(self, psa: Caller, demo: Demo) -> None:
        self.psa, self.part = psa, demo.part

    def tickets(self, account: str) -> list[Ticket]:
        rows = self.psa.call("GET", "/__sandbox__/tickets")
        return [self._ticket(row) for row in rows if account in row.get("summary", "")]

    def line(self) -> Line:
        [agreement] = self.psa.call("GET", f"/__sandbox__/agreements?id={self.part.agreement}")
        [row] = [one for one in agreement["additions"] if one["product"]["identifier"] == self.part.product]
        text = row.get("invoiceDescription", "").partition("\n")[0]
        return Line(str(row["id"]), agreement["name"], self.part.product, row["quantity"], text)

    @staticmethod
    def _ticket(row: Row) -> Ticket:
        names = (row["summary"], row["board"]["name"], row["status"]["name"])
        return Ticket(str(row["id"]), *names, bool(row["closedFlag"]))


class AutotaskEyes:
    """Read from the sandbox's own store, past its API; the labels are those of the demo's settings."""

    def __init__(self, psa: Caller, demo: Demo) -> None:
        self.psa, self.part = psa, demo.part
        self.today = clock.now().date().isoformat()

    def tickets(self, account: str) -> list[Ticket]:
        rows = self.psa.call("GET", "/__sandbox__/tickets")
        return [self._ticket(row) for row in rows if account in row.get("title", "")]

    def line(self) -> Line:
        [contract] = self.psa.call("GET", f"/__sandbox__/contracts?id={self.part.agreement}")
        [row] = [one for one in contract["services"] if one.get("internalDescription") == self.part.product]
        now = [units for units in row["units"] if units["startDate"][:10] <= self.today][-1]
        text = row.get("invoiceDescription", "").partition("\n")[0]
        return Line(str(row["id"]), contract["contractName"], self.part.product, float(now["units"]), text)

    def _ticket(self, row: Row) -> Ticket:
        is_closed = "completedDate" in row
        status = self.part.closing_status if is_closed else "New"
        return Ticket(row["ticketNumber"], row["title"], "Backup", status, is_closed)


# --- The walk -------------------------------------------------------------------------------------------------------


class Walk:
    """Steps to be taken in order; two walks may take them in turns, so that nobody waits for the other's PSA."""

    def __init__(self, portal_url: str, psa: Caller, demo: Demo, supervisor: Any, say: Say) -> None:
        self.demo, self.part, self.supervisor = demo, demo.part, supervisor
        self.portal = Caller(portal_url, demo.token)
        self.eyes = AutotaskEyes(psa, demo) if demo.part.kind == "autotask" else ConnectWiseEyes(psa, demo)
        self.psa_url = psa.url
        self._say = say
        self.run_id = secrets.token_hex(4)
        self.account = f"SRV-{self.run_id[:4].upper()}"
        self.event_id = ""
        self.before: Line | None = None
        self.wanted = 0

    def say(self, text: str) -> None:
        self._say(f"  {self.part.psa:12} {text}")

    def fail(self) -> None:
        """A backup fails."""
        sent = self.portal.call("POST", "/api/v1/events", self.failure(0))["results"][0]
        self.event_id = sent["id"]
        managed_id = self.demo.client.managed_id
        self.say(
            f"POST /api/v1/events   backup.failed for {managed_id}, account {self.account}: {sent['status']}"
        )

    def succeed(self) -> None:
        """Its ticket is there; it fails five times more, then it succeeds."""
        opened = self.wait("the ticket to open", lambda: self.ticket(closed=False))
        self.say(f"ticket {opened.number} is open   “{opened.title}” on {opened.board}")
        repeats = [self.failure(number) for number in range(1, 6)]
        self.portal.call("POST", "/api/v1/events", {"events": repeats})
        self.say("five repeats          folded into the same ticket")
        text = f"Backup of {self.account} succeeded"
        self.portal.call("POST", "/api/v1/events", self.event(6, "backup.succeeded", "success", text))

    def closed(self) -> Row:
        """Its ticket is closed, and the only one."""
        ticket = self.wait("the ticket to close", lambda: self.ticket(closed=True))
        if len(self.eyes.tickets(self.account)) != 1:
            raise DemoFailed(f"{self.part.psa} has more than one ticket for one problem.")
        self.say(f"ticket {ticket.number} is closed   status {ticket.status}")
        self.wait("the event log", self.is_settled)
        return {
            "number": ticket.number,
            "status": ticket.status,
            "url": f"{self.psa_url}/",
            "event": f"{self.portal.url}/api/v1/events/{self.event_id}",
        }

    def use(self) -> None:
        """One more server is protected."""
        self.before = self.eyes.line()
        self.wanted = int(self.before.quantity) + 1
        today = clock.today_in(self.demo.partner.time_zone).isoformat()
        words = [self.word(number, today) for number in range(1, self.wanted + 1)]
        self.portal.call("POST", "/api/v1/usage", {"usage": words})
        self.say(f"POST /api/v1/usage    {self.wanted} servers of {self.demo.client.managed_id} on {today}")
        if self.release_waiting():
            self.say("12 h rule             synchronized less than 12 h ago; reprocessed by hand")

    def billed(self) -> Row:
        """The line says so."""
        before = self.before
        if before is None:
            raise DemoFailed("Nothing was used.")
        after = self.wait("the agreement line", self.line_as_wanted)
        self.say(f"{after.product} on {after.agreement}: quantity {before.quantity:g} -> {after.quantity:g}")
        self.say(f"invoice description   {after.text}")
        return {
            "agreement": after.agreement,
            "line": after.id,
            "product": after.product,
            "before": before.quantity,
            "after": after.quantity,
        }

    # --- What the steps are made of

    def wait(self, what: str, is_there: Callable[[], Any]) -> Any:
        return wait_for(f"{what} at {self.part.psa}", is_there, self.supervisor)

    def failure(self, number: int) -> Row:
        return self.event(number, "backup.failed", "error", f"Backup of {self.account} failed: disk full")

    def event(self, number: int, type_name: str, severity: str, summary: str) -> Row:
        return {
            "source": "demo-backup",
            "id": f"{self.run_id}-{number}",
            "type": type_name,
            "severity": severity,
            "client": self.demo.client.managed_id,
            "account": self.account,
            "summary": summary,
            "occurred_at": clock.now().isoformat(),
        }

    def ticket(self, *, closed: bool) -> Ticket | None:
        found = [ticket for ticket in self.eyes.tickets(self.account) if ticket.is_closed is closed]
        return found[0] if found else None

    def is_settled(self) -> bool:
        """The event log says as well that the ticket was opened."""
        rows = self.portal.call("GET", f"/api/v1/events/{self.event_id}")["deliveries"]
        return any(row["action"] == "ticket" and row["status"] == "done" for row in rows)

    def word(self, number: int, today: str) -> Row:
        return {
            "client": self.part.number,
            "account": f"SRV-{number:02}",
            "service": self.part.service,
            "quantity": 1,
            "measured_on": today,
            "source": "demo-backup",
        }

    def line_as_wanted(self) -> Line | None:
        line = self.eyes.line()
        return line if line.quantity == self.wanted else None

    def release_waiting(self) -> int:
        """Reprocess synchronizations that wait for the end of the 12 h window (after an earlier run)."""
        waiting = self.portal.call("GET", "/api/v1/deliveries?status=waiting")["results"]
        held_back = [row["id"] for row in waiting if row["reason"] == "synchronize_window"]
        if held_back:
            self.portal.call("POST", "/api/v1/deliveries/reprocess", {"ids": held_back})
        return len(held_back)
