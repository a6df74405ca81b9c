"""How many events are taken in durably, one by one, in batches and in a storm (figures P3, P4, P5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alerts.models import Ticket
from alerts.proving import load
from alerts.proving.bench import Bench, Figure
from alerts.proving.bench_world import World
from alerts.proving.load import Sample, Stream, per_second, percentile
from integrations.models import Delivery

CONNECTIONS = 8
BATCH = 100
BATCH_CONNECTIONS = 4


def one_by_one(bench: Bench) -> Iterator[Figure]:
    """P3: single events over eight kept-alive connections, answered 202 after commit.

    Each is a new condition that asks for a ticket (event, condition and delivery are stored), and then the same again
    as repeats of one condition. The dispatcher stands still meanwhile: P2 is the figure for the whole way.
    """
    world = World.of(bench.stack, partners=CONNECTIONS)
    bench.stack.stop("dispatcher")
    try:
        samples, detail = measured(bench, world.singles(bench.size.singles), CONNECTIONS, 1)
        yield Figure("p3_single_events", per_second(samples), detail)
        yield Figure("p3_single_events_p99", percentile([one.milliseconds for one in samples], 0.99), detail)
        forget(world)
        samples, detail = measured(bench, repeats(world, bench.size.singles, 1), CONNECTIONS, 1)
        yield Figure("p3_single_repeats", per_second(samples), detail)
    finally:
        forget(world)
        bench.stack.start("dispatcher")


def in_batches(bench: Bench) -> Iterator[Figure]:
    """P4: 100 events a request over four connections; new conditions that ask for tickets, then repeats of few."""
    world = World.of(bench.stack, partners=CONNECTIONS)
    bench.stack.stop("dispatcher")
    try:
        requests = world.batches(bench.size.batched, BATCH)
        samples, detail = measured(bench, requests, BATCH_CONNECTIONS, BATCH)
        yield Figure("p4_batched_events", per_second(samples, BATCH), detail)
        forget(world)
        samples, detail = measured(bench, repeats(world, bench.size.batched, BATCH), BATCH_CONNECTIONS, BATCH)
        yield Figure("p4_batched_repeats", per_second(samples, BATCH), detail)
    finally:
        forget(world)
        bench.stack.start("dispatcher")


def storm(bench: Bench) -> Iterator[Figure]:
    """P5: one condition is reported 10,000 times over eight connections, in batches, with everything running."""
    world = World.of(bench.stack)
    count, known = bench.size.storm, world.psa.creates()
    size = min(BATCH, count // CONNECTIONS)
    requests = [
        world.post([same(world, start + place, "storm") for place in range(size)])
        for start in range(0, count, size)
    ]
    samples, detail = measured(bench, requests, CONNECTIONS, size)
    world.wait_for_creates(known + 1, 60)
    world.settle()
    moments = world.received()
    first = moments[f"{world.name}-1"] - min(sample.due_at for sample in samples)
    sent = world.psa.creates() - known
    tickets = Ticket.objects.filter(condition__key="backup:storm", partner__in=world.partners()).count()
    detail |= {"tickets_of_ours": tickets, "creates_at_the_psa": sent, "events": len(requests) * size}
    yield Figure("p5_storm_tickets", max(tickets, sent), detail)
    yield Figure("p5_storm_http_5xx", sum(1 for sample in samples if sample.status >= 500), detail)
    yield Figure("p5_storm_seconds_to_ticket", first, detail)
    yield Figure("p5_storm_events", per_second(samples, size), detail)


def same(world: World, number: int, key: str, place: int = 0) -> dict[str, object]:
    """One more report of the same condition."""
    mark = f"[{world.name}-1]"
    return world.event(f"{key}-{number}", place, mark=mark, condition_key=f"backup:{key}")


def repeats(world: World, count: int, size: int) -> list[bytes]:
    """Reports of one condition a partner, in requests of `size`, the partners in turn."""
    return [
        world.post(
            [same(world, start + place, "repeat", start // size) for place in range(size)], start // size
        )
        for start in range(0, count, size)
    ]


def measured(
    bench: Bench, requests: Sequence[bytes], connections: int, size: int
) -> tuple[list[Sample], dict[str, Any]]:
    before = bench.stack.cpu()
    samples = load.run(bench.stack.address, [Stream("events", requests, connections)])
    after = bench.stack.cpu()
    used, events = after.since(before), len(requests) * size
    return samples, {
        "connections": connections,
        "events_a_request": size,
        "statuses": load.statuses(samples),
        "accepted": sum(sample.accepted for sample in samples),
        "request_p50_ms": round(percentile([sample.milliseconds for sample in samples], 0.5), 1),
        "request_p99_ms": round(percentile([sample.milliseconds for sample in samples], 0.99), 1),
        "cpu_ms_an_event": {name: round(seconds * 1000 / events, 3) for name, seconds in used.items()},
        "foreign_cpu_percent": round(after.foreign(before) * 100, 1),
    }


def forget(world: World) -> None:
    """No tickets for what was sent while the dispatcher stood still."""
    Delivery.objects.filter(partner__in=world.partners(), status="waiting").delete()
