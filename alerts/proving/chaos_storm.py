"""Who is killed when and where during a chaos run, and that everybody is born again (asked by the chaos command)."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from alerts.proving.chaos_client import Progress
from alerts.proving.chaos_processes import Kind, Life, Nursery
from alerts.proving.chaos_world import LANE_LEASE

AT_A_POINT = 0.6
"""So many of the kills are meant for a named point; the others come at a moment that nobody knows of."""
PATIENCE = 8.0
"""Seconds after which one that has not come to its point is killed where it is."""
RETIRED = "released"
PASSES = (1, 1, 1, 2, 3)
CHILDHOOD = 0.1
AHEAD = 5.0
"""Seconds by which the kills may be ahead of the events; on a busy machine they wait for them."""


class Storm:
    """Deaths by SIGKILL of all kinds and at all points, and dispatchers that are held still."""

    def __init__(self, nursery: Nursery, kinds: Sequence[Kind], *, dice: random.Random) -> None:
        self.nursery = nursery
        self.kinds = kinds
        self.dice = dice
        self.tried: Counter[str] = Counter()

    def plan(self, *, kills: int, stops: int, seconds: float) -> None:
        """So many, evenly over the time that begins now."""
        self.kills = kills
        self.seconds = seconds
        self.moments = sorted(self.dice.uniform(0, seconds) for _ in range(kills))
        self.stops = sorted(self.dice.uniform(0, seconds) for _ in range(stops))
        self.started = time.monotonic()

    @property
    def passed(self) -> float:
        return time.monotonic() - self.started

    def rage(self, progress: Progress, until: Callable[[], bool], report: Callable[[], None]) -> None:
        """Kill and bear until all kills are done and `until` says that the rest is done, too."""
        told_at = 0.0
        while self.nursery.killed < self.kills or not until():
            self.turn(min(self.passed, progress.share * self.seconds + AHEAD))
            if self.passed - told_at > 10:
                told_at = self.passed
                report()
            time.sleep(0.01)
        self.nursery.go_on(all_of_them=True)

    def turn(self, at: float) -> None:
        """`at` is the moment of the plan: the clock's, or an earlier one when the client did not get on as planned."""
        self.nursery.bury()
        self.nursery.go_on()
        self.nursery.fill_up(self.kinds)
        self.lose_patience()
        self.make_up()
        if self.stops and at >= self.stops[0]:
            self.stops.pop(0)
            self.stop_one()
        if self.moments and at >= self.moments[0] and self.strike():
            self.moments.pop(0)

    def strike(self) -> bool:
        """One more death: now, or at a point that its process is about to pass. False when nobody is there."""
        lives = [life for life in self.nursery.lives.values() if self.may_be_chosen(life)]
        if not lives:
            return False
        life = self.dice.choices(lives, [life.kind.weight / life.kind.count for life in lives])[0]
        if self.dice.random() > AT_A_POINT:
            self.nursery.kill(life)
            return True
        point = min(life.kind.points, key=lambda point: (self.tried[point], self.dice.random()))
        self.tried[point] += 1
        self.nursery.arm(life, point, passes=self.dice.choice(PASSES))
        if point == RETIRED:
            self.nursery.retire(life)
        return True

    def may_be_chosen(self, life: Life) -> bool:
        is_busy = life.armed or life.is_killed or life.stopped_until is not None
        return bool(life.kind.weight) and not is_busy and life.age > CHILDHOOD

    def lose_patience(self) -> None:
        for life in self.nursery.lives.values():
            if life.armed and not life.is_killed and time.monotonic() - life.armed_at > PATIENCE:
                self.nursery.kill(life)

    def make_up(self) -> None:
        """One that was asked to retire may have ended in peace: somebody else dies in its place."""
        dying = sum(bool(life.armed or life.is_killed) for life in self.nursery.lives.values())
        if self.nursery.killed + dying + len(self.moments) < self.kills:
            self.moments.insert(0, 0.0)

    def stop_one(self) -> None:
        """Hold a dispatcher still for longer than its lease."""
        lives = [life for life in self.nursery.lives.values() if RETIRED in life.kind.points]
        if lives := [life for life in lives if self.may_be_chosen(life)]:
            self.nursery.stop(self.dice.choice(lives), LANE_LEASE * self.dice.uniform(1.5, 2.5))
