"""Demonstrations of a ticket's life, each in an empty database and against a sandbox of its own (asked by proofs)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings

from alerts.proving import hands, lifeworld, movements, oneticket, outage, replaylab, volatile
from alerts.proving.lifeworld import KINDS, Kind, LifeWorld
from integrations.sandbox import running_sandbox
from portal.models import Partner

SEEDS = 50
INTERLEAVINGS = 12
FEEDS = 450
STABLE = 2_000
EVENTS = 20_000
ACCOUNTS = 400
LIVES = 5
LIVED = 300
REPLAYED = 100_000
MOST_SECONDS = 30


def show(name: str) -> tuple[bool, str]:
    """Whether the demonstration of that name held, and its figure."""
    if Partner.objects.exists():
        raise ValueError("This database is in use; a demonstration needs an empty one.")
    demonstrations: dict[str, Callable[[], tuple[bool, str]]] = {
        one.__name__: one
        for one in (
            one_ticket_over_50_seeds,
            every_movement,
            volatile_keys,
            three_days_out,
            human_hands,
            replay_lab,
        )
    }
    return demonstrations[name]()


def with_world(kind: Kind, run: Callable[[LifeWorld], tuple[bool, str]]) -> tuple[bool, str]:
    with running_sandbox(kind=kind) as sandbox:
        settings.PSA_ALLOWED_PORTS = (urlsplit(sandbox.url).port,)
        return run(lifeworld.build(kind, sandbox))


def both(run: Callable[[LifeWorld], tuple[bool, str]]) -> tuple[bool, str]:
    shown = [with_world(kind, run) for kind in KINDS]
    return all(held for held, _ in shown), "; ".join(
        f"{kind}: {figure}" for kind, (_, figure) in zip(KINDS, shown, strict=True)
    )


def one_ticket_over_50_seeds() -> tuple[bool, str]:
    def run(world: LifeWorld) -> tuple[bool, str]:
        tally = oneticket.run(world, seeds=SEEDS)
        return tally.held, str(tally)

    return with_world("connectwise", run)


def every_movement() -> tuple[bool, str]:
    def run(world: LifeWorld) -> tuple[bool, str]:
        shown = [movements.show(world, movement) for movement in movements.MOVEMENTS]
        wrong = [f"{one.name}: {one.wrong}" for one in shown if one.wrong]
        return not wrong, f"{len(shown) - len(wrong)} of {len(shown)} movements followed{''.join(wrong)}"

    return both(run)


def volatile_keys() -> tuple[bool, str]:
    def run(world: LifeWorld) -> tuple[bool, str]:
        tally = volatile.run(world, feeds=FEEDS, stable=STABLE)
        return tally.held, str(tally)

    return with_world("connectwise", run)


def three_days_out() -> tuple[bool, str]:
    def run(world: LifeWorld) -> tuple[bool, str]:
        tally = outage.run(world, events=EVENTS, accounts=ACCOUNTS)
        return tally.held, str(tally)

    return with_world("connectwise", run)


def replay_lab() -> tuple[bool, str]:
    def lived(world: LifeWorld) -> tuple[bool, str]:
        seed = len(tally.results) + 1
        tally.results.append(replaylab.reproduce(world, events=LIVED, seed=seed, second=seed * 17 % 60))
        return tally.held, str(tally)

    tally = replaylab.Tally()
    held, figure = with_world("connectwise", lived)
    for _ in range(LIVES - 1):
        held, figure = with_world("connectwise", lived)

    def filled(world: LifeWorld) -> tuple[bool, str]:
        lot = replaylab.a_lot(world, events=REPLAYED)
        return lot.held and lot.events >= REPLAYED and lot.seconds < MOST_SECONDS, str(lot)

    is_quick, told = with_world("connectwise", filled)
    return held and is_quick, f"{figure}; {told}"


def human_hands() -> tuple[bool, str]:
    def run(world: LifeWorld) -> tuple[bool, str]:
        tallies = [hands.interleave(world, seed=seed, rounds=15) for seed in range(INTERLEAVINGS)]
        edits, lost = sum(one.edits for one in tallies), [text for one in tallies for text in one.lost]
        doubles = hands.doubles(world)
        figure = f"{len(tallies)} interleavings, {edits} edits by people, {len(lost)} lost, {doubles} double tickets"
        return edits > 0 and not lost and not doubles, f"{figure}{''.join(lost[:2])}"

    return both(run)
