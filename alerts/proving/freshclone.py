"""Does a newcomer get from a clone to a closed ticket and a billed quantity in ten minutes? (asked by the proofs)

Done as a newcomer would: clone, `make .venv`, `make run`, wait for READY. What came of it is then asked of the pretend
PSAs themselves, past the portal that says so.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from alerts.proving.demowalk import Caller

GOAL = 600.0
"""Seconds from the clone to both."""
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE")
"""All that the newcomer's shell has of ours: no settings, no virtual environment."""


class NotShown(Exception):
    """Why not, in one sentence."""


def show() -> tuple[bool, str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return walk(Path(folder) / "portal")
        except NotShown as why:
            return False, str(why)


def walk(clone: Path) -> tuple[bool, str]:
    started = time.monotonic()
    carry_out(["git", "clone", "--quiet", str(settings.BASE_DIR), str(clone)], clone.parent)
    base = Path(sys.base_prefix) / "bin" / "python3"
    carry_out(["make", ".venv", f"PYTHON={base}"], clone)
    installed = time.monotonic() - started
    with running(clone) as lines:
        last = ""
        for line in lines:
            last = line.strip() or last
            if last.startswith(("READY", "FAILED")):
                break
        if not last.startswith("READY"):
            raise NotShown(f"make run ended with: {last}")
        seconds = time.monotonic() - started
        told = seen(json.loads((clone / "var" / "demo.json").read_text()))
    figure = (
        f"installed after {installed:.0f} s; {'; '.join(told)}; all {seconds:.0f} s after the clone began"
    )
    return seconds < GOAL, f"{figure} (goal {GOAL:.0f})"


def carry_out(argv: list[str], folder: Path) -> None:
    finished = subprocess.run(
        argv, cwd=folder, env=newcomer(), capture_output=True, text=True, timeout=GOAL, check=False
    )
    if finished.returncode:
        said = (finished.stderr.strip() or finished.stdout.strip() or "nothing").splitlines()[-1]
        raise NotShown(f"{' '.join(argv[:2])} said: {said}")


def newcomer() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ}


@contextmanager
def running(clone: Path) -> Iterator[Iterator[str]]:
    """`make run` in the clone, line by line; stopped as by Ctrl-C."""
    process = subprocess.Popen(
        ["make", "run"],  # noqa: S607 - as people type it
        cwd=clone,
        env={**newcomer(), **ports()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield iter(process.stdout)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.close()
        process.wait(60)


def ports() -> dict[str, str]:
    """Free ones: the portal's, and two in a row for the pretend PSAs."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            psa = second.getsockname()[1]
            try:
                third.bind(("127.0.0.1", psa + 1))
            except (OSError, OverflowError):
                continue
            return {"PORT": str(first.getsockname()[1]), "SANDBOX_PORT": str(psa)}


def seen(result: Mapping[str, Any]) -> list[str]:
    """What each PSA has, one sentence each; raises NotShown when it is not what the portal said."""
    connectwise = Caller(result["sandboxes"]["connectwise"]["url"])
    autotask = Caller(result["sandboxes"]["autotask"]["url"])
    said, said_too = result, result["autotask"]
    ticket = one(connectwise, f"tickets?id={said['ticket']['number']}")
    line = of_id(one(connectwise, "agreements?id=401")["additions"], said["agreement_line"]["line"])
    other = [
        row
        for row in autotask.call("GET", "/__sandbox__/tickets")
        if row["ticketNumber"] == said_too["ticket"]["number"]
    ]
    contracts = autotask.call("GET", "/__sandbox__/contracts")
    services = [row for contract in contracts for row in contract["services"]]
    service = of_id(services, said_too["contract_service"]["line"])
    if not ticket["closedFlag"] or not other or "completedDate" not in other[0]:
        raise NotShown("A ticket that the portal says is closed is not closed in the PSA.")
    units = {float(row["units"]) for row in service["units"]}
    if (
        line["quantity"] != said["agreement_line"]["after"]
        or said_too["contract_service"]["after"] not in units
    ):
        raise NotShown("A quantity that the portal says is pushed is not in the PSA.")
    return [
        sentence("ConnectWise", said["ticket"], said["agreement_line"]),
        sentence("Autotask", said_too["ticket"], said_too["contract_service"]),
    ]


def one(psa: Caller, path: str) -> dict[str, Any]:
    rows = psa.call("GET", f"/__sandbox__/{path}")
    if len(rows) != 1:
        raise NotShown(f"{psa.url} has {len(rows)} of {path}, not one.")
    row: dict[str, Any] = rows[0]
    return row


def of_id(rows: list[dict[str, Any]], number: str) -> dict[str, Any]:
    found = [row for row in rows if str(row["id"]) == number]
    if len(found) != 1:
        raise NotShown(f"The PSA has {len(found)} lines {number}, not one.")
    return found[0]


def sentence(psa: str, ticket: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    return (
        f"{psa}: ticket {ticket['number']} closed, "
        f"{line['product']} quantity {line['before']:g} -> {line['after']:g}"
    )
