"""When who is killed during a chaos run, and that everybody is born again (asked by the chaos command)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from alerts.proving.chaos_processes import Kind, Life, Nursery
from alerts.proving.chaos_world import LANE_LEASE

ARMED = 0.75
"""So many of the newborn are given a point at which to kill themselves, while kills are due."""
PATIENCE = 5.0
"""Seconds after which one that has not come to its point is killed at random after all."""
RETIRED = "released"
PASSES = 4
STOPS_EVERY = 25


class Storm:
    """`kills` deaths by SIGKILL, evenly over `seconds`, of all kinds and at all points."""

    def __init__(
        self, nursery: Nursery, kinds: Sequence[Kind], *, kills: int, seconds: float, dice: random.Random
    ) -> None:
        self.nursery = nursery
        self.kinds = kinds
        self.kills = kills
        self.seconds = seconds
        self.dice = dice
        self.moments = sorted(dice.uniform(0, seconds) for _ in range(kills))
        self.stops = sorted(dice.uniform(0, seconds) for _ in range(kills // STOPS_EVERY))
        self.started = time.monotonic()

    @property
    def passed(self) -> float:
        return time.monotonic() - self.started

    @property
    def due(self) -> int:
        """How many should have died by now."""
        return sum(moment <= self.passed for moment in self.moments)

    def rage(self, until: Callable[[], bool], report: Callable[[], None]) -> None:
        """Kill and bear until all kills are done and `until` says that the rest is done, too."""
        told_at = 0.0
        while self.nursery.killed < self.kills or not until():
            self.turn()
            if self.passed - told_at > 10:
                told_at = self.passed
                report()
            time.sleep(0.01)
        self.nursery.go_on(all_of_them=True)

    def turn(self) -> None:
        self.nursery.bury()
        self.nursery.go_on()
        self.fill_up(may_arm=True)
        self.retire_those_who_wait()
        if self.stops and self.passed >= self.stops[0]:
            self.stops.pop(0)
            self.stop_one()
        if self.nursery.killed < min(self.due, self.kills):
            self.kill_one()

    def fill_up(self, *, may_arm: bool) -> None:
        for kind in self.kinds:
            for _ in range(kind.count - len(self.nursery.of(kind))):
                point = self.point_for(kind) if may_arm else ""
                passes = self.dice.randint(1, PASSES) if point else 1
                self.nursery.fork(kind, armed=point, passes=passes)

    def point_for(self, kind: Kind) -> str:
        """A point for a newborn, the least seen first; none when enough will die already."""
        spoken_for = self.nursery.killed + sum(bool(life.armed) for life in self.nursery.lives.values())
        if not kind.points or spoken_for >= min(self.due + 1, self.kills) or self.dice.random() > ARMED:
            return ""
        return min(kind.points, key=lambda point: (self.nursery.kills[kind.name, point], self.dice.random()))

    def retire_those_who_wait(self) -> None:
        """Some points lie on the way out: their lives are asked to end."""
        for life in self.nursery.lives.values():
            if life.armed == RETIRED and not life.is_retired and life.age > 1:
                self.nursery.retire(life)

    def stop_one(self) -> None:
        """Hold a dispatcher still for longer than its lease."""
        lives = [life for life in self.nursery.lives.values() if RETIRED in life.kind.points]
        if lives := [life for life in lives if life.stopped_until is None]:
            self.nursery.stop(self.dice.choice(lives), LANE_LEASE * self.dice.uniform(1.5, 2.5))

    def kill_one(self) -> None:
        """One of those that will not die by themselves, at a moment that nothing in it knows of."""
        ready = [life for life in self.nursery.lives.values() if self.may_be_killed(life)]
        if ready:
            weights = [life.kind.weight / life.kind.count for life in ready]
            self.nursery.kill(self.dice.choices(ready, weights)[0])

    def may_be_killed(self, life: Life) -> bool:
        if not life.kind.weight or life.is_killed or life.stopped_until is not None:
            return False
        return life.age > (PATIENCE if life.armed else 0.1)

    def calm(self) -> None:
        """From now on nobody is armed: those who still are, are replaced without being counted."""
        for life in list(self.nursery.lives.values()):
            if life.armed:
                life.armed = ""
                self.nursery.kill(life)
