"""Was anything lost, doubled, left open or stuck (asked by `manage.py chaos`; no database, no network)?

Three histories are compared: what the client was told, what the PSAs committed, what our database says. Time stamps
are seconds since 1970.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Name = TypeVar("Name")
KINDS = ("unacknowledged", "lost", "duplicate", "open", "missing", "stuck", "orphan", "order")
SETTLED = {"done", "skipped"}
MOST_TRANSIENT = 0.001
"""Doubles that a sweep closed again: at most one in a thousand tickets."""


class Key(NamedTuple):
    """What a condition is called by sources: client number and condition key."""

    client: str
    key: str


@dataclass(frozen=True)
class Sent:
    """One event of the client. `answers` are the ids it was acknowledged with, one an acknowledgement."""

    id: str
    condition: Key
    is_trigger: bool
    occurred_at: float
    answers: tuple[str, ...]
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredEvent:
    id: str
    source_id: str
    condition: Key


@dataclass(frozen=True)
class StoredCondition:
    id: str
    condition: Key
    is_failing: bool
    wants_ticket: bool
    decided_by: str


@dataclass(frozen=True)
class StoredTicket:
    """`ref` is our key at the PSA; `condition` the id of the condition's row."""

    condition: str
    generation: int
    ref: str
    psa_id: str
    is_open: bool
    opened_at: float | None = None
    closed_at: float | None = None


@dataclass(frozen=True)
class StoredDelivery:
    id: str
    condition: str
    status: str
    text: str = ""


@dataclass(frozen=True)
class PsaTicket:
    """A ticket that a PSA committed. `is_swept`: our sweep closed it as superfluous (its note says so)."""

    psa: str
    id: str
    ref: str
    is_open: bool
    created_at: float
    closed_at: float | None = None
    is_swept: bool = False


@dataclass(frozen=True)
class Histories:
    sent: Sequence[Sent]
    events: Sequence[StoredEvent]
    conditions: Sequence[StoredCondition]
    tickets: Sequence[StoredTicket]
    deliveries: Sequence[StoredDelivery]
    psa_tickets: Sequence[PsaTicket]


class Finding(NamedTuple):
    """One violation: its kind, the condition it is about (None: of no known condition), and a sentence."""

    kind: str
    condition: Key | None
    text: str


@dataclass
class Verdict:
    findings: list[Finding]
    transient: int
    psa_tickets: int
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def too_many_transient(self) -> bool:
        return self.transient > MOST_TRANSIENT * self.psa_tickets

    @property
    def is_good(self) -> bool:
        return not self.findings and not self.too_many_transient

    def conditions(self) -> list[Key]:
        """Those with a violation, each once, in the order of the findings."""
        return list(dict.fromkeys(found.condition for found in self.findings if found.condition))

    def sentence(self) -> str:
        """The last line of a run."""
        return (
            f"{self.counts['lost'] + self.counts['unacknowledged']} lost, "
            f"{self.counts['duplicate']} duplicate tickets, "
            f"{self.counts['open']} open after recovery, {self.counts['stuck']} stuck"
        )


def check(histories: Histories) -> Verdict:
    """Look for every kind of violation."""
    world = _World(histories)
    findings = [
        *_unacknowledged(histories.sent),
        *_lost_events(world),
        *_lost_conditions(world),
        *_doubles(world),
        *_open_and_missing(world),
        *_stuck(world),
        *_orphans(world),
        *_order(world),
    ]
    counted = Counter(found.kind for found in findings)
    return Verdict(
        findings=findings,
        transient=sum(ticket.is_swept for ticket in histories.psa_tickets),
        psa_tickets=len(histories.psa_tickets),
        counts={kind: counted[kind] for kind in KINDS},
    )


class _World:
    """The histories by the keys they are asked for."""

    def __init__(self, histories: Histories) -> None:
        self.histories = histories
        self.events = {event.id: event for event in histories.events}
        self.conditions = {row.condition: row for row in histories.conditions}
        self.keys = {row.id: row.condition for row in histories.conditions}
        self.rows = {row.ref: row for row in histories.tickets}
        self.sent = _by(histories.sent, lambda event: event.condition)
        self.at_psa = _by(histories.psa_tickets, lambda ticket: ticket.ref)
        known = [row for row in histories.tickets if row.condition in self.keys]
        self.rows_of = _by(known, lambda row: self.keys[row.condition])

    def psa_tickets_of(self, condition: Key) -> list[PsaTicket]:
        return [ticket for row in self.rows_of.get(condition, ()) for ticket in self.at_psa.get(row.ref, ())]

    def condition_of(self, ref: str) -> Key | None:
        row = self.rows.get(ref)
        return self.keys.get(row.condition) if row else None


def _by(items: Iterable[Item], key: Callable[[Item], Name]) -> dict[Name, list[Item]]:
    grouped: dict[Name, list[Item]] = defaultdict(list)
    for item in items:
        grouped[key(item)].append(item)
    return dict(grouped)


def _unacknowledged(sent: Sequence[Sent]) -> Iterator[Finding]:
    for event in sent:
        for refusal in event.refusals:
            yield Finding("unacknowledged", event.condition, f"Event {event.id} was refused: {refusal}")
        if not event.answers and not event.refusals:
            yield Finding("unacknowledged", event.condition, f"Event {event.id} was never acknowledged.")


def _lost_events(world: _World) -> Iterator[Finding]:
    for event in world.histories.sent:
        for answer in dict.fromkeys(event.answers):
            stored = world.events.get(answer)
            if stored is None:
                text = f"Event {event.id} was acknowledged as {answer}, which is not in the database."
                yield Finding("lost", event.condition, text)
            elif (stored.source_id, stored.condition) != (event.id, event.condition):
                text = f"Event {event.id} was acknowledged as {answer}, which is {stored.source_id}."
                yield Finding("lost", event.condition, text)


def _lost_conditions(world: _World) -> Iterator[Finding]:
    """The newest acknowledged event of each condition must have decided its state."""
    for condition, events in world.sent.items():
        acknowledged = [event for event in events if event.answers]
        if not acknowledged:
            continue
        newest = max(acknowledged, key=lambda event: event.occurred_at)
        row = world.conditions.get(condition)
        if row is None:
            yield Finding("lost", condition, "The condition is not in the database.")
            continue
        if row.decided_by not in newest.answers:
            yield Finding(
                "lost", condition, f"Event {newest.id} is the newest, but {row.decided_by} decided."
            )
        if row.is_failing != newest.is_trigger:
            says = "failing" if newest.is_trigger else "fine"
            yield Finding("lost", condition, f"Event {newest.id} says {says}, the condition does not.")
        if row.is_failing and not row.wants_ticket:
            yield Finding("lost", condition, "It is failing, and nobody asked for a ticket.")


def _doubles(world: _World) -> Iterator[Finding]:
    for ref, tickets in world.at_psa.items():
        kept = [ticket for ticket in tickets if not ticket.is_swept]
        for double in kept[1:]:
            text = f"Tickets {kept[0].id} and {double.id} carry the key {ref}."
            yield Finding("duplicate", world.condition_of(ref), text)
    for condition, rows in world.rows_of.items():
        for generation, same in _by(rows, lambda row: row.generation).items():
            if len(same) > 1:
                yield Finding("duplicate", condition, f"Generation {generation} has {len(same)} ticket rows.")
        open_ones = {ticket.ref: ticket for ticket in world.psa_tickets_of(condition) if ticket.is_open}
        for double in list(open_ones.values())[1:]:
            yield Finding(
                "duplicate", condition, f"Ticket {double.id} is open beside another of this condition."
            )


def _open_and_missing(world: _World) -> Iterator[Finding]:
    for condition, row in world.conditions.items():
        open_ones = [ticket for ticket in world.psa_tickets_of(condition) if ticket.is_open]
        if not row.is_failing:
            for ticket in open_ones:
                yield Finding(
                    "open", condition, f"All is well, but ticket {ticket.id} of {ticket.psa} is open."
                )
        elif row.wants_ticket and not open_ones:
            yield Finding("missing", condition, "It is failing and has no open ticket at its PSA.")


def _stuck(world: _World) -> Iterator[Finding]:
    for delivery in world.histories.deliveries:
        if delivery.status not in SETTLED:
            text = f"Delivery {delivery.id} is {delivery.status}: {delivery.text}"
            yield Finding("stuck", world.keys.get(delivery.condition), text)


def _orphans(world: _World) -> Iterator[Finding]:
    """Tickets of ours that no row of ours knows, and rows that think otherwise of their ticket than the PSA does."""
    for ticket in world.histories.psa_tickets:
        row = world.rows.get(ticket.ref)
        if row is None:
            yield Finding(
                "orphan", None, f"Ticket {ticket.id} of {ticket.psa} carries {ticket.ref}: no such row."
            )
        elif not ticket.is_swept and row.psa_id != ticket.id:
            text = f"Ticket {ticket.id} carries {ticket.ref}, whose row knows “{row.psa_id}”."
            yield Finding("orphan", world.keys.get(row.condition), text)
        elif not ticket.is_swept and row.is_open != ticket.is_open:
            ours, theirs = _word(row.is_open), _word(ticket.is_open)
            text = f"Ticket {ticket.id} is {theirs} at the PSA, {ours} with us."
            yield Finding("orphan", world.keys.get(row.condition), text)


def _word(is_open: bool) -> str:
    return "open" if is_open else "closed"


def _order(world: _World) -> Iterator[Finding]:
    """Nothing is closed before it is opened, and a condition's next ticket comes after the last was closed."""
    for row in world.histories.tickets:
        if row.opened_at is not None and row.closed_at is not None and row.closed_at < row.opened_at:
            yield Finding(
                "order", world.keys.get(row.condition), f"The row of {row.ref} was closed before opened."
            )
    for condition, rows in world.rows_of.items():
        tickets = [
            ticket
            for row in sorted(rows, key=lambda row: row.generation)
            for ticket in world.at_psa.get(row.ref, ())
            if not ticket.is_swept
        ]
        for ticket in tickets:
            if ticket.closed_at is not None and ticket.closed_at < int(ticket.created_at):
                yield Finding("order", condition, f"Ticket {ticket.id} was closed before it was created.")
        for former, later in pairwise(tickets):
            if former.ref == later.ref:
                continue
            if former.closed_at is None or later.created_at < former.closed_at:
                text = f"Ticket {later.id} was created before ticket {former.id} was closed."
                yield Finding("order", condition, text)
