"""How soon, how many, how dear and how reliable are tickets (figures P1, P2, P6, P11, P12, P13)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from alerts.proving import load
from alerts.proving.bench import Bench, Figure
from alerts.proving.bench_processes import Cpu
from alerts.proving.bench_world import World
from alerts.proving.load import Stream, percentile
from alerts.proving.stack import TooLate

PARTS = ("web", "dispatcher", "worker")
PARTNERS = 8
LONGEST = 75.0
"""Seconds after which a ticket that should come within a minute is not waited for any longer."""


def costs(before: Cpu, after: Cpu, tickets: int) -> dict[str, Any]:
    """CPU milliseconds a ticket by part, and how busy others were meanwhile."""
    used = after.since(before)
    shares = {name: round(seconds * 1000 / tickets, 2) for name, seconds in used.items()}
    return {"cpu_ms": shares, "foreign_cpu_percent": round(after.foreign(before) * 100, 1)}


def ours(detail: Mapping[str, Any]) -> float | None:
    """The CPU of our own processes, without database, pretend PSA and load generator; None without /proc."""
    return sum(detail["cpu_ms"].get(name, 0.0) for name in PARTS) or None


def latency_at_ten(bench: Bench) -> Iterator[Figure]:
    """P1: ten events a second, one partner; from before the POST to the PSA's receipt of the create."""
    world = World.of(bench.stack)
    time.sleep(0 if bench.is_smoke else 2)
    before, count, known = bench.stack.cpu(), bench.size.seconds_at_10 * 10, world.psa.creates()
    samples = load.run(bench.stack.address, [Stream("ten", world.singles(count), 2, rate=10)])
    world.wait_for_creates(known + count, 60)
    detail = costs(before, bench.stack.cpu(), count)
    latencies = world.latencies(samples)
    detail |= {
        "tickets": len(latencies),
        "http_p50_ms": round(percentile([s.milliseconds for s in samples], 0.5), 1),
    }
    detail["max_ms"] = round(max(latencies), 1)
    world.settle()
    yield Figure("p1_event_to_ticket_p50", percentile(latencies, 0.5), detail)
    yield Figure("p1_event_to_ticket_p99", percentile(latencies, 0.99), detail)
    yield Figure("p6_cpu_per_ticket_at_10", ours(detail), detail)


def sustained(bench: Bench) -> Iterator[Figure]:
    """P2 and P6: as fast as it goes, over eight connections of eight partners, and over one."""
    for partners, name in ((PARTNERS, "p2_tickets"), (1, "p2_one_lane")):
        for latency, suffix in ((0.0, ""), (0.05, "_psa_50ms")):
            world = World.of(bench.stack, partners=partners)
            if latency:
                world.psa.fault("latency", seconds=latency)
            rate, detail = through(bench, world, bench.size.tickets)
            yield Figure(f"{name}{suffix}", rate, detail)
            if name == "p2_tickets" and not latency:
                yield Figure("p6_cpu_per_ticket", ours(detail), detail)


def through(bench: Bench, world: World, count: int) -> tuple[float, dict[str, Any]]:
    """Tickets a second from the first POST to the PSA's receipt of the last create."""
    requests = world.singles(count)
    before, known = bench.stack.cpu(), world.psa.creates()
    samples = load.run(bench.stack.address, [Stream("events", requests, 4)])
    world.wait_for_creates(known + count, 300)
    detail = costs(before, bench.stack.cpu(), count)
    moments = world.received()
    began_at = min(sample.due_at for sample in samples)
    last = max(moments.values())
    detail |= {"tickets": count, "accepted_per_second": round(load.per_second(samples), 1)}
    detail["statuses"] = load.statuses(samples)
    world.settle()
    return count / (last - began_at), detail


def idle(bench: Bench) -> Iterator[Figure]:
    """What it costs to wait for work."""
    before = bench.stack.cpu()
    time.sleep(1 if bench.is_smoke else 10)
    after = bench.stack.cpu()
    used = after.since(before)
    percents = {name: round(used.get(name, 0.0) / (after.at - before.at) * 100, 2) for name in PARTS}
    yield Figure("p6_cpu_idle", sum(percents.values()), {"percent_of_a_core": percents})


# --- P11: one partner's trouble is not another's ---------------------------------------------------------------------


def isolation(bench: Bench) -> Iterator[Figure]:
    """B sends one event a second: alone, while A floods, and while A's PSA hangs."""
    quiet = p99_of(bench, beside=None)
    flood = p99_of(bench, beside="flood")
    hang = p99_of(bench, beside="hang")
    for name, (p99, detail) in (("flood", flood), ("hang", hang)):
        yield Figure(f"p11_{name}_p99", p99, {**detail, "quiet_p99_ms": round(quiet[0], 1)})
        yield Figure(f"p11_{name}_ratio", p99 / quiet[0], {**detail, "quiet_p99_ms": round(quiet[0], 1)})


def p99_of(bench: Bench, *, beside: str | None) -> tuple[float, dict[str, Any]]:
    """B's event -> ticket p99 in milliseconds while something happens to A."""
    seconds = bench.size.quiet_seconds
    patient = World.of(bench.stack, psa="psa-b")
    troubled = World.of(bench.stack, psa="psa-a")
    known = patient.psa.creates()
    streams = [Stream("b", patient.singles(seconds), 1, rate=1)]
    if beside == "flood":
        streams.append(Stream("a", troubled.batches(bench.size.flood), 4))
    elif beside == "hang":
        troubled.psa.fault("latency", seconds=1.0 if bench.is_smoke else 30.0, match={"path": "/service/"})
        streams.append(Stream("a", troubled.singles(seconds * 5), 2, rate=5))
    before = bench.stack.cpu()
    samples = load.run(bench.stack.address, streams)
    patient.wait_for_creates(known + seconds, 60)
    detail = {
        "seconds": seconds,
        "statuses_of_a": load.statuses([sample for sample in samples if sample.stream == "a"]),
        "foreign_cpu_percent": round(bench.stack.cpu().foreign(before) * 100, 1),
    }
    latencies = patient.latencies([sample for sample in samples if sample.stream == "b"])
    detail["p50_ms"], detail["max_ms"] = round(percentile(latencies, 0.5), 1), round(max(latencies), 1)
    troubled.psa.heal()
    troubled.give_up()
    return percentile(latencies, 0.99), detail


# --- P12: within a minute, whatever the PSA does --------------------------------------------------------------------


def promise(bench: Bench) -> Iterator[Figure]:
    """20 events a second of four partners, a PSA with 300 ms latency that fails 5 % of its calls with a 500.

    A third of those calls were carried out all the same, so that both kinds of an unknown outcome occur.
    """
    world = World.of(bench.stack, partners=4)
    world.psa.fault("latency", seconds=0.3)
    world.psa.fault("status_500", rate=0.0167, commit=True)
    world.psa.fault("status_500", rate=0.0333)
    count = bench.size.promise
    samples = load.run(bench.stack.address, [Stream("promise", world.singles(count), 4, rate=20)])
    with contextlib.suppress(TooLate):
        world.settle(LONGEST)
    latencies = [one / 1000 for one in world.latencies(samples, committed=True)]
    late = count - len(latencies)
    detail = {
        "not_within_75s": late,
        "events": count,
        "tickets": len(latencies),
        "within_5s_percent": round(share(latencies, 5.0, count), 2),
        "p50_s": round(percentile(latencies, 0.5), 2),
        "by_10s": histogram(latencies),
    }
    world.psa.heal()
    world.give_up()
    yield Figure("p12_within_60s", share(latencies, 60.0, count), detail)
    yield Figure("p12_p99", percentile([*latencies, *[LONGEST] * late], 0.99), detail)


def share(values: list[float], limit: float, count: int) -> float:
    """Percent of `count` that came in time."""
    return 100.0 * sum(1 for value in values if value <= limit) / count


def histogram(seconds: list[float]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in sorted(seconds):
        name = f"{int(value // 10) * 10}-{int(value // 10) * 10 + 10} s"
        found[name] = found.get(name, 0) + 1
    return found


# --- P13: what a PSA is bothered with ---------------------------------------------------------------------------------


def calls(bench: Bench) -> Iterator[Figure]:
    """P13: an alert opens, repeats five times and recovers; every call that the PSA got is counted."""
    world = World.of(bench.stack)
    before = world.psa.call("GET", "counts")
    for number in range(6):
        send(bench, world, world.event("life", id=f"{world.name}-{number}"))
        world.settle()
    send(
        bench, world, world.event("life", id=f"{world.name}-ok", type="backup.succeeded", severity="success")
    )
    world.settle()
    after = world.psa.call("GET", "counts")
    paths = {
        path: count - before["by_path"].get(path, 0)
        for path, count in after["by_path"].items()
        if count != before["by_path"].get(path, 0)
    }
    yield Figure("p13_calls_per_alert", after["total"] - before["total"], {"calls": paths})


def send(bench: Bench, world: World, event: dict[str, object]) -> None:
    [sample] = load.run(bench.stack.address, [Stream("one", [world.post([event])])])
    if sample.status != 202:
        raise RuntimeError(f"An event was answered with {sample.status}")
