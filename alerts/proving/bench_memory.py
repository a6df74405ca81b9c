"""How much memory do all processes take, and does it stay so (figure P7)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from alerts.proving import load
from alerts.proving.bench import Bench, Figure
from alerts.proving.bench_processes import PROC
from alerts.proving.bench_world import World
from alerts.proving.load import Stream

OURS = ("web", "dispatcher", "worker")


def memory(bench: Bench) -> Iterator[Figure]:
    """P7: everything that `manage.py supervise` runs, idle, and after a load of batches and tickets.

    Database and pretend PSAs are not counted. The drift is what the second half of the load added to the first.
    """
    stack = bench.stack
    stack.stop(*OURS)
    stack.start("supervisor")
    try:
        time.sleep(2 if bench.is_smoke else 12)
        world = World.of(stack, partners=4)
        idle = parts(bench)
        yield Figure("p7_memory_idle", total(idle), {"mib": idle})
        work(bench, world, 0)
        half = parts(bench)
        work(bench, world, 1)
        after = parts(bench)
        yield Figure("p7_memory_after_load", total(after), {"mib": after, "events": bench.size.memory_events})
        drift = 100 * ((total(after) or 0.0) / (total(half) or 1.0) - 1) if total(half) else None
        yield Figure("p7_memory_drift", drift, {"half_way_mib": half, "after_mib": after})
    finally:
        stack.stop("supervisor")
        stack.start(*OURS)


def parts(bench: Bench) -> dict[str, float]:
    return {name: round(mib, 1) for name, mib in bench.stack.memory().items()}


def total(mib: Mapping[str, float]) -> float | None:
    return sum(mib.values()) if PROC.exists() else None


def work(bench: Bench, world: World, part: int) -> None:
    """Half of the events in batches of few conditions, and some tickets."""
    events = bench.size.memory_events // 2
    requests: list[Any] = [
        world.post(
            [
                world.event(f"m{part}-{start + place}", place, condition_key=f"backup:m{place}")
                for place in range(100)
            ]
        )
        for start in range(0, events, 100)
    ]
    singles = [
        world.post([world.event(f"t{part}-{number}", number)], number) for number in range(events // 100)
    ]
    streams = [Stream("batches", requests, 2), Stream("tickets", singles, 2)]
    load.run(bench.stack.address, streams)
    world.settle()
