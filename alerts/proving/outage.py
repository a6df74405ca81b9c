"""Three days without the PSA and 20,000 events: afterwards there is one ticket for each problem that goes on (proof
6.13)."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts import outages
from alerts.models import Condition, Outage, Ticket
from alerts.proving.lifeworld import LifeWorld
from integrations.dispatcher import Dispatcher
from integrations.models import Delivery, Event, Lane
from integrations.models.eventlog import UNSETTLED
from portal import clock

DAYS = 3
BATCH = 500
MOST_KNOCKS = 40
SEVERITIES = ("warning", "error", "critical")
RANK = {"critical": 0, "error": 1, "warning": 2}


@dataclass
class Tally:
    """What came of it."""

    events: int = 0
    kept: int = 0
    failing: int = 0
    tickets: int = 0
    doubles: int = 0
    out_of_order: int = 0
    passed: int = 0
    passed_expected: int = 0
    told: int = 0
    calls_while_down: int = 0
    unsettled: int = 0

    @property
    def held(self) -> bool:
        return (
            self.kept == self.events
            and self.tickets == self.failing > 0
            and not (self.doubles or self.out_of_order or self.unsettled)
            and self.passed == self.passed_expected
            and self.told == 1
        )

    def __str__(self) -> str:
        return (
            f"{self.events:,} events in {DAYS} days without the PSA ({self.calls_while_down} probes): {self.kept:,} in"
            f" the log, {self.failing} conditions still fail and {self.tickets} tickets were opened, the worst first"
            f" ({self.out_of_order} out of order), {self.passed:,} of {self.passed_expected:,} problems that came and"
            f" went became {self.told} summary"
        )


class HeldClock:
    """Time that goes on only when told, in the past of the real one."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now


@contextlib.contextmanager
def held_clock(start: datetime) -> Iterator[HeldClock]:
    before, held = clock.now, HeldClock(start)
    clock.now = held
    try:
        yield held
    finally:
        clock.now = before


def run(world: LifeWorld, *, events: int, accounts: int, seed: int = 1) -> Tally:
    tally = Tally(events=events)
    control = world.sandbox.control
    control.fault("html_503")
    before = control.counts()
    with held_clock(clock.now() - timedelta(days=DAYS, minutes=5)) as held:
        world.fails("first")
        knock(held)
        outages.look_after_outages()
        three_days(world, held, tally, events=events - 1, accounts=accounts, seed=seed)
    after = control.counts()
    tally.calls_while_down = sum(after[name] - before[name] for name in ("writes", "reads"))
    control.clear_faults()
    Lane.objects.filter(credentials=world.credentials).update(open_until=clock.now())
    Delivery.objects.filter(status__in=UNSETTLED, due_at__gt=clock.now()).update(due_at=clock.now())
    world.drain(600)
    outages.look_after_outages()
    count(world, tally)
    return tally


def knock(held: HeldClock) -> None:
    """Dispatchers go on trying, as often as the breaker lets them."""
    dispatcher = Dispatcher()
    for _ in range(MOST_KNOCKS):
        dispatcher.turn()
        while dispatcher.in_flight:
            dispatcher.bell.wait(0.5)
            dispatcher.bell.clear()
            dispatcher.record()
        held.now += timedelta(seconds=30)
        if Lane.objects.exclude(breaker="").exists():
            break
    dispatcher.stop()
    dispatcher.drain()


def three_days(
    world: LifeWorld, held: HeldClock, tally: Tally, *, events: int, accounts: int, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a demonstration
    failing: dict[str, bool] = {}
    step = (timedelta(days=DAYS) - timedelta(minutes=40)) / max(1, events)
    waiting: list[dict[str, Any]] = []
    for number in range(events):
        held.now += step
        account = f"A{dice.randrange(accounts)}"
        recovers = failing.get(account, False) and dice.random() < 0.4
        tally.passed_expected += recovers
        failing[account] = not recovers
        severity = "success" if recovers else SEVERITIES[int(account[1:]) % 3]
        waiting.append(
            world.event(account, resolves=recovers, severity=severity, occurred_at=held.now.isoformat())
        )
        if len(waiting) == BATCH or number == events - 1:
            world.send(*waiting)
            waiting.clear()


def count(world: LifeWorld, tally: Tally) -> None:
    tally.kept = Event.objects.filter(partner=world.partner, source="backup").count()
    tally.failing = Condition.objects.filter(partner=world.partner, state=Condition.State.FAILING).count()
    refs = world.created()
    tally.tickets = len(refs)
    tally.doubles = len(refs) - len(set(refs))
    tally.out_of_order = out_of_order(world)
    outage = Outage.objects.filter(partner=world.partner).latest("since")
    tally.passed = outage.passed
    tally.told = Event.objects.filter(partner=world.partner, type="portal.outage_over").count()
    tally.unsettled = Delivery.objects.filter(partner=world.partner, status__in=UNSETTLED).count()


def out_of_order(world: LifeWorld) -> int:
    """Tickets that were opened before a worse one: more than those that were on their way at the same moment."""
    tickets = Ticket.objects.exclude(
        condition__key="backup:first"
    )  # it was tried as a probe, before the others
    severity = dict(tickets.values_list("external_ref", "condition__severity"))
    refs = [ref for ref in world.created() if ref in severity]
    ranks = [RANK[severity[ref]] for ref in refs]
    at_once = 16
    return sum(rank > min(ranks[place + at_once :], default=rank) for place, rank in enumerate(ranks))
