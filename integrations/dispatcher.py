"""The resident process that drains lanes (run by `manage.py dispatch`).

One loop owns the database: it takes lanes, claims deliveries in batches, lets each room's handler look up the facts in
bulk, and writes results in bulk. A pool of threads owns the network: each attempt runs there without a database, over
the kept-alive session of its connection. So an event costs few milliseconds and a hanging PSA holds only its own slots.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from django.conf import settings
from django.db import IntegrityError, OperationalError, close_old_connections
from django.db import connections as database_connections
from django.utils.module_loading import import_string

from integrations import companies, connections, lanes, outcomes, trouble, wake
from integrations.lanes import LeaseLost
from integrations.models import Action, Delivery, Lane, Status
from integrations.outcomes import Outcome
from integrations.psa.errors import PsaError
from integrations.psa.port import Exchange, Importance, Psa
from portal import chaos, clock, database, heartbeat

logger = logging.getLogger(__name__)
RENEW_EVERY = 3.0
IDLE_LANE = 10.0
KEPT_EXCHANGES = 6
PATIENCE_WITH_CLASHES = 20
OUR_MISTAKE = "This is our mistake; it has been logged."


class Task(Protocol):
    """One attempt, with all facts it needs; `run` may use the network and nothing else."""

    delivery: Delivery

    def run(self, psa: Psa) -> Outcome: ...


class Handler(Protocol):
    """What a room does for one action. All calls are in the loop's thread."""

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        """Inside the claim's transaction: look up the facts, store the intent. One answer a delivery."""

    def record(self, results: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Inside the result's transaction: keep what came of it."""


def handlers() -> dict[str, Handler]:
    """The rooms above register by name (`DELIVERY_HANDLERS`), so that imports go one way only."""
    return {action: import_string(path)() for action, path in settings.DELIVERY_HANDLERS.items()}


@dataclass
class Budget:
    """Calls that an operator lets one connection make: a bucket that fills by the minute's rate, ten seconds' worth
    at most. Without a rate there is no limit but the PSA's own 429. One dispatcher holds the lane, so it counts alone.
    """

    per_minute: int | None
    calls: float = 1.0
    filled_at: float = field(default_factory=clock.monotonic)

    def left(self, most: int) -> int:
        """How many of `most` calls may be made now."""
        if self.per_minute is None:
            return most
        now = clock.monotonic()
        rate = self.per_minute / 60
        self.calls = min(max(1.0, rate * 10), self.calls + (now - self.filled_at) * rate)
        self.filled_at = now
        return max(0, min(most, int(self.calls)))

    def spend(self, calls: int) -> None:
        """May go below zero: an attempt knows only afterwards how many calls it took. The next one waits for that."""
        self.calls -= calls


@dataclass
class HeldLane:
    """A lane that this process holds: its slots, its width, its open session."""

    pk: uuid.UUID
    fence: int
    connection: connections.OpenConnection
    valid_until: float
    width: float
    ceiling: int
    budget: Budget
    in_flight: int = 0
    clashes: int = 0
    """Claims in a row that could not be stored. After one, deliveries are claimed singly, so that one of them does not
    stop the others."""
    idle_since: float = field(default_factory=clock.monotonic)

    @property
    def free(self) -> int:
        slots = max(0, int(self.width) - self.in_flight)
        return max(0, self.budget.left(slots + self.in_flight) - self.in_flight)

    def check(self) -> None:
        """Called right before each write is sent: may we still?"""
        if clock.monotonic() > self.valid_until:
            raise LeaseLost
        chaos.soon_after("in-flight")

    def widen(self) -> None:
        self.width = min(self.ceiling, self.width + 1 / self.width)

    def narrow(self) -> None:
        self.width = max(1.0, self.width / 2)


class Dispatcher:
    """Drains lanes until told to stop. Any number of them may run, on any number of hosts."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self.handlers = handlers()
        self.lanes: dict[uuid.UUID, HeldLane] = {}
        self.results: queue.SimpleQueue[tuple[HeldLane, Delivery, Outcome | None]] = queue.SimpleQueue()
        self.bell = threading.Event()
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(settings.DISPATCH_THREADS, thread_name_prefix="attempt")
        self.in_flight = 0
        self.renew_at = 0.0

    # --- The loop -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until `stop`; then waits for what is under way, within the lease, and lets the lanes go."""
        listener = wake.listen(self.bell.set, self.stopping)
        while not self.stopping.is_set():
            self.turn()
            self.bell.wait(settings.DISPATCH_POLL)
            self.bell.clear()
        self.drain()
        listener.join(2)

    def stop(self) -> None:
        self.stopping.set()
        self.bell.set()

    def turn(self) -> None:
        """One round; a database that does not answer costs a pause, never the process."""
        try:
            self.record()
            self.keep_leases()
            while self.claim_round() and not self.stopping.is_set():
                self.record()
                self.keep_leases()
        except OperationalError:
            logger.warning("The database did not answer; trying again", exc_info=True)
            close_old_connections()
            self.stopping.wait(1)

    def drain(self) -> None:
        limit = clock.monotonic() + settings.PSA_DEADLINE
        while self.in_flight and clock.monotonic() < limit:
            self.bell.wait(0.1)
            self.bell.clear()
            self.record()
            self.keep_leases()
        if not self.in_flight:
            lanes.let_go(self.id, list(self.lanes))
            chaos.point("released")
        self.pool.shutdown(wait=False, cancel_futures=True)
        for lane in self.lanes.values():
            lane.connection.close()

    # --- Lanes ----------------------------------------------------------------------------------------------------

    def keep_leases(self) -> None:
        now = clock.monotonic()
        if now < self.renew_at:
            return
        self.renew_at = now + min(RENEW_EVERY, settings.LANE_LEASE / 4)
        heartbeat.beat("dispatcher", lanes=len(self.lanes), in_flight=self.in_flight)
        self.let_go_of_idle(now)
        if self.lanes:
            ours = lanes.renew(self.id, list(self.lanes))
            for pk in list(self.lanes):
                if pk in ours:
                    self.lanes[pk].valid_until = now + settings.LANE_LEASE * 0.8
                else:
                    self.lanes.pop(pk)

    def let_go_of_idle(self, now: float) -> None:
        idle = [
            pk for pk, lane in self.lanes.items() if not lane.in_flight and now - lane.idle_since > IDLE_LANE
        ]
        if idle:
            lanes.let_go(self.id, idle)
        for pk in idle:
            self.lanes.pop(pk).connection.close()

    def take_lanes(self) -> None:
        for lane in lanes.find_free(clock.now(), most=50):
            started = clock.monotonic()
            if not lanes.take(lane, self.id):
                continue
            ceiling = lane.concurrency or settings.LANE_CONCURRENCY_CEILING
            self.lanes[lane.pk] = HeldLane(
                pk=lane.pk,
                fence=lane.fence,
                connection=connections.OpenConnection(lane.credentials, lane.facts),
                valid_until=started + settings.LANE_LEASE * 0.8,
                width=min(settings.LANE_CONCURRENCY, ceiling),
                ceiling=ceiling,
                budget=Budget(lane.calls_per_minute),
            )

    # --- Claiming -------------------------------------------------------------------------------------------------

    def claim_round(self) -> bool:
        """Give every lane its turn; True when something was claimed or finished at once."""
        self.take_lanes()
        moved = False
        for pk in lanes.ready(self.lanes, clock.now()):
            moved = self.claim(self.lanes[pk]) or moved
        return moved

    def claim(self, held: HeldLane) -> bool:
        room = min(held.free, settings.DISPATCH_THREADS - self.in_flight)
        if room <= 0:
            return False
        held.connection.stock_up()
        claimed: list[Delivery] = []
        try:
            with database.writing():
                lane = lanes.locked([(held.pk, held.fence)]).get(held.pk)
                if lane is None:
                    self.lanes.pop(held.pk)
                    return False
                if lane.breaker and held.in_flight:
                    return False
                claimed = lanes.claim(lane, 1 if held.clashes else room)
                ready = self.prepare(claimed)
                chaos.point("before-claim-commit")
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - one delivery must not stop a connection, nor this process
            self.clash(held, claimed, error)
            return False
        held.clashes = 0
        chaos.point("claimed")
        held.connection.follow(lane.credentials)
        for item in ready:
            held.in_flight += 1
            self.in_flight += 1
            if isinstance(item, tuple):
                self.results.put((held, *item))
            else:
                self.pool.submit(self.attempt, held, item)
        if claimed:
            held.idle_since = clock.monotonic()
        return bool(claimed)

    def clash(self, held: HeldLane, claimed: Sequence[Delivery], error: Exception) -> None:
        """A claim was rolled back. Mostly another delivery of the same subject went first, which the next look finds;
        one that cannot be claimed for any other reason, or not for long, is put aside as our mistake."""
        held.clashes += 1
        is_race = isinstance(error, IntegrityError)
        if is_race:
            logger.info("Another delivery of the same subject went first", exc_info=error)
        else:
            logger.error("An attempt could not be prepared", exc_info=error)
        if len(claimed) == 1 and (not is_race or held.clashes > PATIENCE_WITH_CLASHES):
            logger.error("Delivery %s is put aside", claimed[0].pk, exc_info=error)
            lanes.put_aside(claimed[0].pk, f"{type(error).__name__} in the portal. {OUR_MISTAKE}")

    def prepare(self, claimed: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        by_action: dict[str, list[Delivery]] = defaultdict(list)
        for delivery in claimed:
            by_action[delivery.action].append(delivery)
        return [item for action, rows in by_action.items() for item in self.handlers[action].prepare(rows)]

    # --- Attempts (in the pool's threads) -------------------------------------------------------------------------

    def attempt(self, held: HeldLane, task: Task) -> None:
        started = clock.monotonic()
        log: list[Exchange] = []
        outcome: Outcome | None
        try:
            importance: Importance = "ticket" if task.delivery.action == Action.TICKET else "report"
            with held.connection.psa(
                before_write=held.check, on_call=log.append, importance=importance
            ) as psa:
                outcome = task.run(psa)
        except PsaError as error:
            outcome = outcomes.of_error(error, attempts=task.delivery.attempts)
        except LeaseLost:
            outcome = None
        except Exception as error:
            logger.exception("An attempt failed by our mistake", extra={"delivery": str(task.delivery.pk)})
            outcome = outcomes.of_error(
                PsaError(f"{type(error).__name__} in the portal. {OUR_MISTAKE}"),
                attempts=task.delivery.attempts,
            )
        finally:
            database_connections.close_all()  # this thread's, when a push opened one
        if outcome is not None:
            outcome.exchanges = log
            outcome.seconds = clock.monotonic() - started
        chaos.point("answered")
        self.results.put((held, task.delivery, outcome))
        self.bell.set()

    # --- Results --------------------------------------------------------------------------------------------------

    def record(self) -> None:
        """Write all results that have come in, in one transaction."""
        finished: list[tuple[HeldLane, Delivery, Outcome]] = []
        while not self.results.empty():
            held, delivery, outcome = self.results.get()
            held.in_flight -= 1
            self.in_flight -= 1
            if outcome is not None:
                finished.append((held, delivery, outcome))
            elif self.lanes.get(held.pk) is held:
                self.forget({held.pk})  # not renewed: taken anew, its deliveries are searched for
        if not finished:
            return
        try:
            with database.writing():
                self.write(finished)
                chaos.point("before-result-commit")
        except OperationalError:
            for result in finished:  # writing the same result twice is harmless, forgetting it costs a search
                self.in_flight += 1
                result[0].in_flight += 1
                self.results.put(result)
            raise
        except Exception:
            logger.exception("Results could not be written; their lanes are left to run out and are searched")
            self.forget({held.pk for held, _, _ in finished})
            return
        chaos.point("after-result-commit")
        for held, _, outcome in finished:
            adapt_width(held, outcome)

    def forget(self, pks: set[uuid.UUID]) -> None:
        for pk in pks & self.lanes.keys():
            self.lanes.pop(pk)

    def write(self, finished: Sequence[tuple[HeldLane, Delivery, Outcome]]) -> None:
        ours = lanes.locked({(held.pk, held.fence) for held, _, _ in finished})
        kept = [(delivery, outcome) for held, delivery, outcome in finished if held.pk in ours]
        by_action: dict[str, list[tuple[Delivery, Outcome]]] = defaultdict(list)
        for held, delivery, outcome in finished:
            if held.pk not in ours:
                continue
            settle_lane(ours[held.pk], held, delivery, outcome)
            write_down(delivery, outcome)
            companies.advise(delivery, outcome.error)
            by_action[delivery.action].append((delivery, outcome))
        for action, results in by_action.items():
            self.handlers[action].record(results)
        database.save_all([delivery for delivery, _ in kept], WRITTEN)


WRITTEN = (
    "status",
    "reason",
    "due_at",
    "finished_at",
    "outcome",
    "error_kind",
    "error_text",
    "advice",
    "plan",
    "exchanges",
    "milliseconds",
    "search_first",
    "attempts",
    "lane",
)


def write_down(delivery: Delivery, outcome: Outcome) -> None:
    """The outcome on the delivery's row, in memory."""
    delivery.status, delivery.reason = outcome.status, outcome.reason
    delivery.outcome = outcome.text
    delivery.error_kind = outcome.error.kind if outcome.error else ""
    delivery.error_text = outcome.error.text if outcome.error else ""
    delivery.advice = outcome.error.advice if outcome.error else ""
    if outcome.plan is not None:
        delivery.plan = outcome.plan.as_json()
    kept = [
        *delivery.exchanges,
        *({"attempt": delivery.attempts, **vars(call)} for call in outcome.exchanges),
    ]
    delivery.exchanges = kept[-KEPT_EXCHANGES:]
    delivery.milliseconds = int(outcome.seconds * 1000)
    if outcome.lane is not None:
        delivery.lane = outcome.lane
    elif outcome.reason == "no_psa":
        delivery.lane = None
    if outcome.again_in is not None:
        delivery.due_at = outcomes.due_after(outcome.again_in)
        if outcome.error is None or outcome.error.kind == "throttled":
            delivery.attempts = max(0, delivery.attempts - 1)  # it gives up after failures, not after steps
    else:
        delivery.finished_at = clock.now()
        delivery.search_first = False


def settle_lane(lane: Lane, held: HeldLane, delivery: Delivery, outcome: Outcome) -> None:
    """What this outcome tells about the connection. The lane's row is locked."""
    if outcome.error is not None:
        if lanes.after_error(lane, delivery.action, outcome.error):
            trouble.arise(lane)
        if held.connection.problem is None:
            lane.facts = held.connection.learned  # what got no answer is among them
        lane.save()
        if is_shut_for(lane, delivery.action):
            wait_without_limit(delivery, outcome)
    elif outcome.exchanges and (lanes.after_success(lane, delivery.action) or is_stale(lane)):
        lane.last_success_at, lane.facts = clock.now(), held.connection.learned
        lane.save()


def is_shut_for(lane: Lane, action: str) -> bool:
    return bool(lane.breaker) or action in lane.blocked


def wait_without_limit(delivery: Delivery, outcome: Outcome) -> None:
    """The connection is down or its keys are refused: that is no failure of the delivery, which just waits."""
    if outcome.status in {Status.WAITING, Status.FAILED}:
        outcome.status, outcome.again_in = Status.WAITING, 0
        delivery.attempts -= 1


def is_stale(lane: Lane) -> bool:
    """The last success is worth a write again (at most twice a minute)."""
    return lane.last_success_at is None or (clock.now() - lane.last_success_at).total_seconds() > 30


def adapt_width(held: HeldLane, outcome: Outcome) -> None:
    """Additive increase, multiplicative decrease: PSAs publish no limit, so we feel for it."""
    held.budget.spend(len(outcome.exchanges))
    if outcome.error is not None and outcome.error.kind in {"throttled", "unreachable"}:
        held.narrow()
    elif outcome.exchanges:
        held.widen()
