"""What it costs to copy all of a PSA's options, and to look whether they changed (figures P8, P9, P10).

The worker reads them as it does in production, over a PSA that takes 50 ms for each answer. Tickets are not copied;
what is told of them is the sweep's look at all that carry a key.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from alerts.proving.bench import Bench, Figure
from alerts.proving.bench_processes import forget_peak, resident
from alerts.proving.stack import AUTOTASK, PretendPsa, wait_until
from integrations import connections, reloading
from integrations.connections import Entered
from integrations.models import Credentials, Reload
from portal import clients
from portal.models import Partner

LATENCY = 0.05
PATIENCE = 300.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MSP = {"companies": 1000, "boards": 10, "agreements": 1000, "tickets": 1000}
LARGE = {"companies": 5000, "contacts": 10_000, "boards": 20, "products": 2000, "agreements": 1000}
LARGE_AUTOTASK = {"companies": 5000, "contacts": 10_000, "queues": 20, "services": 2000, "contracts": 1000}
NOTHING = dict.fromkeys(
    ("companies", "contacts", "boards", "statuses", "products", "agreements", "tickets"), 0
)
ROWS_A_PAGE = 500
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Sync:
    """One reading: what the PSA counted, how long it took, how much more memory a process of the worker had."""

    calls: int
    connections: int
    seconds: float
    memory: float
    by_path: Mapping[str, int]
    detail: Mapping[str, Any]


def first_sync(bench: Bench) -> Iterator[Figure]:
    """P8: 1,000 companies, 10 boards with all that belongs to them, 1,000 agreements and 1,000 tickets, never read."""
    psa = prepared(bench, "psa-a", {**NOTHING, **scaled(bench, MSP)})
    sync = read(bench, psa, connected(psa), Reload.Mode.FULL, with_tickets=True)
    yield Figure("p8_first_sync", sync.seconds, sync.detail)
    yield Figure("p8_first_sync_calls", sync.calls, {"by_path": sync.by_path})
    yield Figure("p8_first_sync_connections", sync.connections)


def unchanged(bench: Bench) -> Iterator[Figure]:
    """P9: the same once more as the schedule does it every hour, with nothing changed."""
    psa = prepared(bench, "psa-a", {**NOTHING, **scaled(bench, MSP)})
    credentials = connected(psa)
    read(bench, psa, credentials, Reload.Mode.FULL)
    sync = read(bench, psa, credentials, Reload.Mode.CHANGES, with_tickets=True)
    yield Figure("p9_unchanged", sync.seconds, sync.detail)
    yield Figure("p9_unchanged_calls", sync.calls, {"by_path": sync.by_path})
    yield Figure("p9_unchanged_connections", sync.connections)


def large(bench: Bench) -> Iterator[Figure]:
    """Everything of a large MSP (20 boards of 15 statuses), and everything again with nothing changed."""
    sizes = {**NOTHING, **scaled(bench, LARGE), "statuses": 15}
    psa = prepared(bench, "psa-a", sizes)
    credentials = connected(psa)
    for name in ("p8_large", "p8_large_again"):
        sync = read(bench, psa, credentials, Reload.Mode.FULL)
        yield Figure(name, sync.seconds, sync.detail)
        yield Figure(f"{name}_calls", sync.calls, {"by_path": sync.by_path})
        yield Figure(f"{name}_memory", sync.memory, sync.detail)
        if name == "p8_large":
            yield Figure(f"{name}_connections", sync.connections)


def autotask(bench: Bench) -> Iterator[Figure]:
    """P10: the same of a large Autotask; queries cost at most one call for 500 rows."""
    bench.stack.start(AUTOTASK)
    try:
        psa = prepared(bench, AUTOTASK, {**scaled(bench, LARGE_AUTOTASK), "tickets": 0})
        credentials = connected(psa, kind="autotask")
        sync = read(bench, psa, credentials, Reload.Mode.FULL)
        queries = sum(count for path, count in sync.by_path.items() if "/query" in path)
        row = credentials.reloads.get()
        rows = {kind: counts["read"] for kind, counts in row.counts.items()}
        pages = sum(
            ceil(rows.get(kind, 0) / ROWS_A_PAGE) for kind in ("company", "contact", "product", "agreement")
        )
        share = f"{sync.calls / 100:.1f} % of an hour's 10,000"
        yield Figure("p10_calls_per_page", queries / pages, {"queries": queries, "pages": pages})
        yield Figure("p10_calls", sync.calls, {"by_path": sync.by_path, "budget": share})
        yield Figure("p10_first_sync", sync.seconds, sync.detail)
        again = read(bench, psa, credentials, Reload.Mode.CHANGES)
        yield Figure("p10_unchanged_calls", again.calls, {"by_path": again.by_path})
    finally:
        bench.stack.stop(AUTOTASK)


def scaled(bench: Bench, sizes: Mapping[str, int]) -> dict[str, int]:
    return {name: max(1, int(size * bench.size.options)) for name, size in sizes.items()}


def prepared(bench: Bench, name: str, sizes: Mapping[str, int]) -> PretendPsa:
    psa = bench.stack.psas[name]
    psa.reset(**sizes)
    psa.fault("latency", seconds=LATENCY)
    return psa


def connected(psa: PretendPsa, kind: str = "connectwise") -> Credentials:
    """A partner who has typed his keys; nothing of his PSA was read."""
    name = f"options-{next(_numbers)}-{int(time.time()) % 100_000}"
    partner = Partner.objects.create(name=name, slug=name)
    known = psa.call("GET", "credentials")
    is_autotask = kind == "autotask"
    entered = Entered(
        kind=kind,
        site_url=psa.url,
        login_company=known["integration_code" if is_autotask else "company"],
        public_key=known["user_name" if is_autotask else "public_key"],
        secret=known["secret" if is_autotask else "private_key"],
    )
    return connections.save_credentials(clients.top_level(partner), entered, by=None)


def read(
    bench: Bench, psa: PretendPsa, credentials: Credentials, mode: str, *, with_tickets: bool = False
) -> Sync:
    """Ask as a person would, and wait for the worker."""
    workers = bench.stack.members().get("worker", [])
    before, cpu = {pid: resident(pid) for pid in workers}, bench.stack.cpu()
    for pid in workers:
        forget_peak(pid)
    psa.call("DELETE", "counts")
    asked = reloading.ask(credentials, mode=mode)
    rows = Reload.objects.filter(pk=asked.pk)
    wait_until(
        lambda: rows.exclude(state__in=reloading.UNDER_WAY).exists(),
        PATIENCE,
        "reading of options",
        lambda: str(rows.values("state", "kind", "read", "calls", "error_text").first()),
    )
    after, peaks = bench.stack.cpu(), {pid: resident(pid, peak=True) for pid in workers}
    row = rows.get()
    if row.state != Reload.State.DONE or row.started_at is None or row.finished_at is None:
        raise RuntimeError(f"The options were not read: {row.state} {row.error_text} {row.troubles}")
    tickets, seconds = tickets_of(credentials) if with_tickets else (0, 0.0)
    counted = psa.call("GET", "counts")
    return Sync(
        calls=counted["total"],
        connections=counted["connections"],
        seconds=(row.finished_at - row.started_at).total_seconds() + seconds,
        memory=max((peaks[pid] - before[pid] for pid in workers), default=0.0),
        by_path=counted["by_path"],
        detail={
            "options": row.read,
            "tickets": tickets,
            "waited_seconds": round((row.started_at - row.asked_at).total_seconds(), 2),
            "cpu_seconds": {name: round(used, 2) for name, used in after.since(cpu).items()},
            "peak_mib": round(max(peaks.values(), default=0.0), 1),
            "more_mib": round(max((peaks[pid] - before[pid] for pid in workers), default=0.0), 1),
            "foreign_cpu_percent": round(after.foreign(cpu) * 100, 1),
        },
    )


def tickets_of(credentials: Credentials) -> tuple[int, float]:
    """How many tickets the sweep's look finds, and how long it takes."""
    row = Credentials.objects.select_related("lane").get(pk=credentials.pk)
    began = time.monotonic()
    with connections.psa_for(row) as psa:
        found = psa.recent_tickets("seed:", LONG_AGO)
    return len(found), time.monotonic() - began
