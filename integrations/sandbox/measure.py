"""How fast is a large sandbox? `python -m integrations.sandbox.measure`: 5,000 companies, 20 boards, 50,000 tickets.

Each kind of call is made over HTTP on one kept connection, with the state file on. Printed are the median and the
slowest of many, the median of the processor's time for client and sandbox together (which a busy machine does not
change), all in milliseconds, and how much memory the process takes.
"""

import argparse
import base64
import http.client
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from integrations.sandbox.running import Sandbox, running_sandbox

Timed = Callable[[int], None]


@dataclass(frozen=True)
class Figure:
    """Milliseconds."""

    kind: str
    call: str
    median: float
    slowest: float
    processor: float

    def __str__(self) -> str:
        times = f"{self.median:10.2f} {self.slowest:10.2f} {self.processor:10.2f}"
        return f"{self.kind:12} {self.call:48} {times}"


class Client:
    """One kept connection that signs in as the sandbox wants it."""

    def __init__(self, sandbox: Sandbox) -> None:
        keys = sandbox.dialect.credentials()
        self._root = keys["rest"]
        self._connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=60)
        self._headers = {"Content-Type": "application/json"}
        if sandbox.dialect.kind == "connectwise":
            pair = f"{keys['company']}+{keys['public_key']}:{keys['private_key']}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            self._headers["clientId"] = keys["client_id"]
        else:
            self._headers |= {"UserName": keys["user_name"], "Secret": keys["secret"]}
            self._headers["ApiIntegrationCode"] = keys["integration_code"]

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        self._connection.request(method, self._root + path, data, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content)


def figures(kind: str, rounds: int, large: dict[str, int]) -> Iterator[Figure]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_sandbox(kind=kind, state=Path(folder) / "state.jsonl") as sandbox,
    ):
        yield _timed(
            kind, "fill, and write the state file", lambda number: sandbox.control.reset(large=large), 1
        )
        if kind == "autotask":
            sandbox.control.switches(requests_per_window=0)
        client = Client(sandbox)
        calls = _connectwise(client) if kind == "connectwise" else _autotask(client)
        for name, call in calls.items():
            yield _timed(kind, name, call, rounds)


def _timed(kind: str, name: str, call: Timed, rounds: int) -> Figure:
    times, spent = [], []
    for number in range(rounds):
        started, worked = time.perf_counter(), time.process_time()
        call(number)
        times.append((time.perf_counter() - started) * 1000)
        spent.append((time.process_time() - worked) * 1000)
    return Figure(kind, name, statistics.median(times), max(times), statistics.median(spent))


def _connectwise(client: Client) -> dict[str, Timed]:
    tickets, company = "/service/tickets", {"id": 5000}
    board = {"id": 2}

    def list_of(conditions: str) -> Timed:
        path = f"{tickets}?pageSize=100&conditions={quote(conditions)}"
        return lambda number: client("GET", path)

    def create(number: int) -> None:
        body = {"summary": "m", "company": company, "board": board, "externalXRef": f"measure:{number}"}
        client("POST", tickets, body)

    def find(number: int) -> None:
        key = quote(f'externalXRef="seed:{number:06}"')
        client("GET", f"{tickets}?conditions={key}")

    def patch(number: int) -> None:
        change = [{"op": "replace", "path": "summary", "value": f"changed {number}"}]
        client("PATCH", f"{tickets}/{10_100 + number}", change)

    return {
        "create a ticket": create,
        "find by our key": find,
        "change a ticket": patch,
        "tickets of a company": list_of("company/id=4000 and closedFlag=false"),
        "tickets changed since": list_of("lastUpdated>[2026-11-01T00:00:00Z]"),
        "new tickets of a board": list_of('board/id=7 and status/name="New"'),
        "tickets with a word in them (each is looked at)": list_of('summary contains "000777"'),
        "a page of 1,000 companies": lambda number: client("GET", "/company/companies?pageSize=1000&page=4"),
        "a company by its identifier": lambda number: client(
            "GET", "/company/companies?conditions=" + quote('identifier="Client04000"')
        ),
    }


def _autotask(client: Client) -> dict[str, Timed]:
    def query(entity: str, *filters: dict[str, Any]) -> Timed:
        return lambda number: client("POST", f"/{entity}/query", {"filter": list(filters), "maxRecords": 100})

    def create(number: int) -> None:
        ticket = {"title": "m", "companyID": 201, "status": 1, "priority": 2, "queueID": 29682834}
        more = {"dueDateTime": "2030-01-01T17:00:00Z", "externalID": f"measure:{number}"}
        client("POST", "/Tickets", ticket | more)

    def find(number: int) -> None:
        query("Tickets", {"op": "eq", "field": "externalID", "value": f"seed:{number:06}"})(number)

    def patch(number: int) -> None:
        client("PATCH", "/Tickets", {"id": 10_100 + number, "title": f"changed {number}"})

    return {
        "create a ticket": create,
        "find by our key": find,
        "change a ticket": patch,
        "tickets of a company": query("Tickets", {"op": "eq", "field": "companyID", "value": 4000}),
        "tickets changed since": query(
            "Tickets", {"op": "gt", "field": "lastActivityDate", "value": "2026-11-01T00:00:00Z"}
        ),
        "new tickets of a queue (each is looked at)": query(
            "Tickets",
            {"op": "eq", "field": "queueID", "value": 29682834},
            {"op": "eq", "field": "status", "value": 1},
        ),
        "500 companies": lambda number: client(
            "POST", "/Companies/query", {"filter": [{"op": "gt", "field": "id", "value": 4000}]}
        ),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="measure", description=__doc__)
    parser.add_argument("--kind", choices=("connectwise", "autotask"), action="append")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args(argv)
    sys.stdout.write(f"{'sandbox':12} {'call':48} {'median':>10} {'slowest':>10} {'processor':>10}  ms\n")
    for kind in options.kind or ("connectwise", "autotask"):
        for figure in figures(kind, options.rounds, {}):
            sys.stdout.write(f"{figure}\n")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"at most {memory:.0f} MB of memory\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
