"""A PSA that commits and drops, workers that die, and everything delivered twice: tickets = episodes (proof 6.2)."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from alerts import ticketsweep
from alerts.conditions import subject_of
from alerts.models import Condition, Ticket
from alerts.proving.lifeworld import LifeWorld, is_pending
from integrations import eventlog
from integrations.dispatcher import Dispatcher
from integrations.models import Delivery
from integrations.models.eventlog import UNSETTLED

CREATES = {"connectwise": "/service/tickets$", "autotask": "/Tickets/?$"}
RATE = 0.3
COMPRESSED = {
    "LANE_LEASE": 0.8,
    "PSA_DEADLINE": 1.0,
    "SEARCH_DELAYS": (0.4, 1.0),
    "SEARCH_DELAYS_ANSWERED": (0.1, 0.2),
    "DISPATCH_POLL": 0.02,
}


@dataclass
class Tally:
    """Sums over all seeds."""

    seeds: int = 0
    episodes: int = 0
    tickets: int = 0
    dropped: int = 0
    killed: int = 0
    over_first: int = 0
    """Episodes that were over before anything was sent, as on a machine that stalls, and of which the log says so."""
    wrong: str = ""

    @property
    def held(self) -> bool:
        are_few = self.over_first <= max(1, self.seeds // 10)
        return self.episodes - self.over_first == self.tickets > 0 and are_few and not self.wrong

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds, {self.dropped} answers lost after the commit, {self.killed} dispatchers lost with"
            f" work in hand, each event and delivery twice: {self.tickets} tickets for {self.episodes} episodes"
            f"{f' ({self.over_first} over before it was sent)' if self.over_first else ''}"
            f"{f'; {self.wrong}' if self.wrong else ''}"
        )


@contextlib.contextmanager
def compressed_times() -> Iterator[None]:
    """Leases and search delays as short as this machine's loopback allows."""
    before = {name: getattr(settings, name) for name in COMPRESSED}
    for name, value in COMPRESSED.items():
        setattr(settings, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


def run(world: LifeWorld, *, seeds: int) -> Tally:
    tally = Tally()
    control = world.sandbox.control
    with compressed_times():
        for seed in range(seeds):
            control.seed(seed)
            control.fault("commit_then_drop", method="POST", path=CREATES[world.kind], rate=RATE)
            one_seed(world, seed, tally)
            control.clear_faults()
            settle(world)
    tally.seeds = seeds
    count(world, tally)
    return tally


def one_seed(world: LifeWorld, seed: int, tally: Tally) -> None:
    """Two problems, one of which comes back; dispatchers die in between."""
    dice = random.Random(seed)  # noqa: S311 - a demonstration
    accounts = [f"S{seed}A", f"S{seed}B"]
    for account in accounts:
        twice(world, world.event(account))
    tally.killed += die_with_work_in_hand(dice)
    twice(world, world.event(accounts[0], resolves=True))
    settle(world)
    twice(world, world.event(accounts[0]))
    tally.killed += die_with_work_in_hand(dice)
    settle(world)


def twice(world: LifeWorld, event: dict[str, Any]) -> None:
    """The source sends it twice, and the queue delivers it twice."""
    world.send(event)
    world.send(event)
    repeat_deliveries()


def repeat_deliveries() -> None:
    newest = Delivery.objects.order_by("-id")[:2].values_list("pk", flat=True)
    eventlog.reprocess(Delivery.objects.filter(pk__in=list(newest)))


def die_with_work_in_hand(dice: random.Random) -> int:
    """A dispatcher that claims and sends, and is never heard of again: its results are lost, its lease runs out."""
    dispatcher = Dispatcher()
    for _ in range(dice.randint(1, 3)):
        dispatcher.turn()
    lost = dispatcher.in_flight
    dispatcher.pool.shutdown(wait=True)
    for lane in dispatcher.lanes.values():
        lane.connection.close()
    return int(lost > 0)


def settle(world: LifeWorld) -> None:
    """Other dispatchers take over as leases run out; then everything once more, as Reprocess does."""
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at:
        world.drain(5)
        if not is_pending() and not Delivery.objects.filter(status__in=UNSETTLED).exists():
            break
        time.sleep(0.05)
    repeat_deliveries()
    world.drain(5)


def count(world: LifeWorld, tally: Tally) -> None:
    ticketsweep.sweep(world.credentials)
    conditions = Condition.objects.filter(partner=world.partner)
    tally.episodes = sum(conditions.values_list("episode", flat=True))
    rows = Ticket.objects.filter(partner=world.partner)
    ours = set(rows.values_list("external_ref", flat=True))
    sent = rows.filter(external_ref__in=world.created()).values_list("condition", "episode")
    ended = {
        (row.pk, episode)
        for row in conditions
        for episode in range(1, row.episode + (row.state == Condition.State.FINE))
    }
    missing = ended - set(sent)
    said = set(rows.filter(psa_id="", closed_at__isnull=False).values_list("condition", "episode"))
    too_late = Delivery.objects.filter(reason__in=["recovered_first", "nothing_to_close"])
    came = set(too_late.values_list("subject", flat=True))
    tally.over_first = len({one for one in missing if one in said or subject_of(one[0]) in came})
    refs = [ref for ref in world.created() if ref in ours]
    tally.tickets = len(refs)
    tally.dropped = sum(one["fault"] == "commit_then_drop" for one in world.sandbox.control.requests())
    if len(refs) != len(set(refs)):
        tally.wrong = "one key was used twice"
    elif len(refs) < len(world.created()):
        tally.wrong = "tickets that nobody knows"
    failing = conditions.filter(state=Condition.State.FAILING).count()
    still_open = Ticket.objects.filter(partner=world.partner, state=Ticket.State.OPEN).count()
    if failing != still_open:
        tally.wrong = f"{failing} conditions fail and {still_open} tickets are open"
