"""How many calls of the hour are left at a PSA that counts them, over all processes (asked before every such call).

Autotask allows 10,000 calls in a rolling hour for all programs of a database, and slows everybody down from half of
it on, so half is ours at most. A row a database counts them in slices of time. A process sets aside a small batch at
once and counts in memory from there, so that few calls cost a write; what it does not use in time is given back.

Opening and closing tickets may use all of it; notes (and what a person waits for) go on while less than half of it is
used, reports and billing while less than three tenths are: so what is less urgent leaves room for a storm that is yet
to come, and waits while there is one.

Why never more than the limit in any hour: a batch is good for `GOOD_FOR` seconds, so every call happens within
`SLICE + GOOD_FOR` of the beginning of the slice it was counted in, and slices count for that much longer than an hour.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from integrations.models import CallBudget, Credentials
from integrations.models.connections import Kind
from integrations.psa.autotask.limits import HOUR, Turns, spent
from integrations.psa.errors import Throttled
from integrations.psa.port import Importance
from portal import clock, database

SLICE = 120
GOOD_FOR = 60.0
KEPT = HOUR + SLICE + GOOD_FOR
SMALL_BATCH, LARGE_BATCH = 5, 40
SHARES: Mapping[Importance, float] = {"ticket": 1.0, "note": 0.5, "report": 0.3}
ASK_AGAIN = 20.0
SEAT_FOR = 2 * GOOD_FOR  # renewed with each batch, so at least every `GOOD_FOR` seconds while calls are made
TURNS_OF_A_LANE, TURNS_OF_A_PAGE = 2, 1  # Autotask allows three at once


@dataclass
class _Batch:
    """Calls that this process may still make, until when (monotonic), and the slice that they are counted in."""

    left: int = 0
    until: float = 0.0
    slice: int = 0
    size: int = 0


@dataclass
class AccountBudget:
    """The `port.Budget` of one account, for all threads of this process."""

    partner_id: uuid.UUID
    kind: str
    account: str
    turns: Turns = field(default_factory=lambda: Turns(TURNS_OF_A_LANE))
    seats: set[uuid.UUID] = field(default_factory=set)
    _batch: _Batch = field(default_factory=_Batch)
    _used: int = 0
    _closed: dict[Importance, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, entity: str, importance: Importance = "note") -> None:
        """Raises `Throttled` (with `importance`) when this kind of call has to wait."""
        with self._lock:
            now = clock.monotonic()
            self._refuse_known(importance, now)
            if self._used > ceiling(importance) or self._batch.left <= 0 or now >= self._batch.until:
                self._set_aside(importance, now)
            self._batch.left -= 1

    def stock_up(self) -> None:
        """Set calls aside where the database is at hand, so that threads of the network need not."""
        with self._lock:
            now = clock.monotonic()
            is_low = self._batch.left <= self._batch.size // 4 or now >= self._batch.until
            if is_low and self._closed.get("ticket", (0.0, 0.0))[0] <= now:
                try:
                    self._set_aside("ticket", now)
                except Throttled:
                    return  # whoever takes one is told

    def _refuse_known(self, importance: Importance, now: float) -> None:
        asked_until, opens_at = self._closed.get(importance, (0.0, 0.0))
        if now < asked_until:
            raise _spent(opens_at - now, importance)

    def _set_aside(self, importance: Importance, now: float) -> None:
        """Another batch, or the sentence why not. Asks the database at most every few seconds when there is none."""
        want = _batch_size(self._batch, now)
        try:
            grant = set_aside(self, importance, want, give_back=self._batch)
        except DatabaseError:
            raise Throttled(
                "The portal's database could not say how many calls are left.",
                retry_after=5.0,
                importance=importance,
            ) from None
        self._used = grant.used
        self._batch = _Batch(left=grant.calls, until=now + GOOD_FOR, slice=grant.slice, size=want)
        self._closed = {kind: until for kind, until in self._closed.items() if grant.used >= ceiling(kind)}
        if not grant.calls:
            self._closed[importance] = (now + min(ASK_AGAIN, grant.wait), now + grant.wait)
            raise _spent(grant.wait, importance)


def ceiling(importance: Importance) -> int:
    """How much of the hour this kind of call may fill."""
    return int(settings.AUTOTASK_CALLS_AN_HOUR * SHARES[importance])


def slice_of(moment: datetime) -> int:
    return int(moment.timestamp()) // SLICE


@dataclass(frozen=True)
class Grant:
    """Calls set aside, in which slice; how many the hour has now; and in how many seconds to ask again if none."""

    calls: int
    slice: int
    used: int
    wait: float


def set_aside(budget: AccountBudget, importance: Importance, want: int, *, give_back: _Batch) -> Grant:
    """Count up to `want` calls in the row, after giving back what was not used in time."""
    now = clock.now()
    with database.writing():
        row = _row(budget)
        slices = {
            int(number): calls
            for number, calls in row.slices.items()
            if int(number) * SLICE > now.timestamp() - KEPT
        }
        if give_back.left > 0 and slices.get(give_back.slice, 0) >= give_back.left:
            slices[give_back.slice] -= give_back.left
        used = sum(slices.values())
        granted = max(0, min(want, ceiling(importance) - used))
        if granted:
            slices[slice_of(now)] = slices.get(slice_of(now), 0) + granted
            row.most = settings.AUTOTASK_CALLS_AN_HOUR
        row.slices, row.used = {str(number): calls for number, calls in slices.items()}, used + granted
        if row.seat_holder in budget.seats:
            row.seat_until = now + timedelta(seconds=SEAT_FOR)
        row.save(update_fields=["slices", "used", "most", "seat_until"])
    wait = _wait(slices, used - ceiling(importance), now)
    return Grant(calls=granted, slice=slice_of(now), used=used + granted, wait=wait)


def _row(budget: AccountBudget) -> CallBudget:
    names: dict[str, Any] = {"partner_id": budget.partner_id, "kind": budget.kind, "account": budget.account}
    CallBudget.objects.get_or_create(**names)
    row: CallBudget = CallBudget.objects.select_for_update().get(**names)
    return row


def _wait(slices: Mapping[int, int], too_many: int, now: datetime) -> float:
    """Seconds until enough old slices have gone that one more call fits."""
    gone = 0
    for number in sorted(slices):
        gone += slices[number]
        if gone > too_many:
            return min(max(number * SLICE + KEPT - now.timestamp(), 1.0), HOUR)
    return 1.0


def _batch_size(batch: _Batch, now: float) -> int:
    """Twice the last one when that was used up in time, else a small one."""
    was_used_up = batch.size > 0 and batch.left <= batch.size // 4 and now < batch.until
    return min(batch.size * 2, LARGE_BATCH) if was_used_up else SMALL_BATCH


def _spent(seconds: float, importance: Importance) -> Throttled:
    if importance == "ticket":
        error = spent(seconds)
        error.importance = importance
        return error
    return Throttled(
        "What is left of Autotask's hourly calls is kept for tickets.",
        retry_after=min(max(seconds, 1.0), HOUR),
        importance=importance,
        advice="It goes on by itself when fewer tickets are opened and closed.",
    )


# --- Whose budget -----------------------------------------------------------------------------------------------------

_budgets: dict[tuple[uuid.UUID, str, str], AccountBudget] = {}
_guard = threading.Lock()


def account_of(row: Credentials) -> str:
    """What the PSA counts calls for. The user name of an Autotask API user ends in the domain of its database."""
    name = row.public_key.strip().lower()
    return (name.rpartition("@")[2] or name)[:100]


def budget_of(row: Credentials) -> AccountBudget | None:
    """The budget that these credentials' calls count against; None where the PSA counts none."""
    if row.kind != Kind.AUTOTASK:
        return None
    key = (row.partner_id, row.kind, account_of(row))
    with _guard:
        found = _budgets.get(key)
    if found is None:
        made = AccountBudget(*key, turns=Turns(_turns_of_a_lane(row)))
        with _guard:
            found = _budgets.setdefault(key, made)
    return found


def _turns_of_a_lane(row: Credentials) -> int:
    """Two; one where the partner has more connections to the same database, whose lanes others may hold."""
    same = Credentials.objects.filter(partner_id=row.partner_id, kind=row.kind)
    lanes = sum(account_of(one) == account_of(row) for one in same.only("public_key"))
    return TURNS_OF_A_LANE if lanes <= 1 else 1


# --- The seat beside the lane -----------------------------------------------------------------------------------------


@contextmanager
def seat(budget: AccountBudget | None, *, wait: Callable[[], bool]) -> Iterator[None]:
    """One page or job at a time may call beside the lane, over all processes: together they stay within three calls
    at once for an entity. `wait` pauses a moment and says whether to go on waiting. Raises `Throttled` otherwise.

    A holder that died is forgotten after `SEAT_FOR`; one that goes on calling keeps its seat.
    """
    if budget is None:
        yield
        return
    holder = clock.new_id()
    while not _sit_down(budget, holder):
        if not wait():
            raise Throttled(
                "Another page or job is reading from this Autotask just now.",
                retry_after=SEAT_FOR,
                importance="note",
            )
    budget.seats.add(holder)
    try:
        yield
    finally:
        budget.seats.discard(holder)
        CallBudget.objects.filter(seat_holder=holder).update(seat_holder=None, seat_until=None)


def _sit_down(budget: AccountBudget, holder: uuid.UUID) -> bool:
    now = clock.now()
    with database.writing():
        row = _row(budget)
        if row.seat_holder is not None and row.seat_until is not None and row.seat_until > now:
            return False
        row.seat_holder, row.seat_until = holder, now + timedelta(seconds=SEAT_FOR)
        row.save(update_fields=["seat_holder", "seat_until"])
    return True
