"""A replay with today's rules gives exactly what really happened, and 100,000 events take seconds (proof 6.9).

The history is made by the product itself: random events through intake, a dispatcher, a PSA behind HTTP, and the
worker's look at what is held each minute, on a clock that goes on only when told.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from time import process_time
from typing import Any

from django.db import connection, transaction

from alerts import labhistory, labresult, release, windows
from alerts.lab import RuleSet
from alerts.models import (
    Condition,
    DropFilter,
    Hold,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    Storm,
    Ticket,
    TicketSettings,
)
from alerts.proving.lifeworld import LifeWorld
from alerts.proving.outage import HeldClock, held_clock
from integrations import companies
from integrations.dispatcher import Dispatcher
from integrations.models import CompanyLink, Delivery, Event
from portal import clients, clock
from portal.models import Account, Client

MINUTE = timedelta(minutes=1)
TYPES = ("backup.failed", "volume.failed", "machine.failed")
GOOD = {
    "backup.failed": "backup.succeeded",
    "volume.failed": "volume.succeeded",
    "machine.failed": "machine.succeeded",
}
OFFLINE, ONLINE = "appliance.offline", "appliance.online"
SEVERITIES = ("warning", "error", "critical", "error")
LIVED_ONCE = 1000
"""Of a lot of events so many are really lived through; the others are copies."""


@dataclass
class Tally:
    """What came of it."""

    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def tickets(self) -> int:
        return sum(one["reproduced"]["tickets"] for one in self.results)

    @property
    def same(self) -> int:
        return sum(one["reproduced"]["same_tickets"] for one in self.results)

    @property
    def events(self) -> int:
        return sum(one["reproduced"]["events"] for one in self.results)

    @property
    def same_events(self) -> int:
        return sum(one["reproduced"]["same_events"] for one in self.results)

    @property
    def held(self) -> bool:
        return self.tickets == self.same > 0 and self.events == self.same_events

    def count(self, word: str) -> int:
        return sum(int(one["really"][word]) for one in self.results)

    def __str__(self) -> str:
        counts = ", ".join(
            f"{self.count(word)} {word}" for word in ("closed", "reopened", "folded", "held", "dropped")
        )
        return (
            f"today’s rules reproduce history exactly: {self.same} of {self.tickets} tickets ({counts}),"
            f" {self.same_events} of {self.events} events"
        )


# --- A history that really happened -----------------------------------------------------------------------------------


def furnish(world: LifeWorld, dice: random.Random, *, more_clients: int = 4) -> list[Client]:
    """Rules of every kind, as they are when the span begins, and some more clients."""
    partner, early = world.partner, clock.now() - timedelta(days=1)
    found = [world.client]
    company = world.credentials.choices.get(kind="company", name="Bakery Ott")
    for number in range(more_clients):
        number = 40_000 + Client.objects.count()
        found.append(clients.add_client(partner, name=f"Client {number}", number=number))
        companies.link_company(found[-1], world.credentials, psa_company_id=company.psa_id, name=company.name)
    Notification.objects.filter(partner=partner).update(position=90, created_at=early)
    rules: list[dict[str, Any]] = [
        {
            "name": "Volumes of a client",
            "event_types": ["volume.failed"],
            "grouping": "client",
            "position": 10,
        },
        {
            "name": "Machines, when it lasts",
            "event_types": ["machine.failed"],
            "min_minutes": 5,
            "position": 20,
        },
        {"name": "Whatever else", "catch_all": True, "position": 95, "severities": ["info", "success"]},
    ]
    for rule in rules:
        fields = {
            "all_event_types": not rule.get("event_types"),
            "stops": True,
            "action": "ticket",
            "created_at": early,
            **rule,
        }
        Notification.objects.create(partner=partner, **fields)
    Notification.objects.create(
        partner=partner, name="Mail", action="email", severities=["critical"], position=5, created_at=early,
        recipients=["desk@northwind.example"],
    )  # fmt: skip
    DropFilter.objects.create(
        partner=partner, name="Printers", phrases=["printer"], created_at=early, reason="Nobody reads them."
    )
    start = clock.now() + timedelta(hours=dice.randint(1, 5))
    patches = windows.Entered(
        name="Patches",
        client=found[1],
        first_on=start.date(),
        starts_at=time(0, 0),
        ends_at=time(start.hour, start.minute),
        days=1,
    )
    made = windows.save_window(partner, patches)
    MaintenanceWindow.objects.filter(pk=made.pk).update(created_at=early)
    NoiseSettings.objects.create(
        partner=partner,
        durations={OFFLINE: 10},
        flap_changes=3,
        flap_minutes=240,
        parent_types=[OFFLINE],
        storm_client_tickets=dice.choice((4, 6, None)),
        storm_minutes=10,
        updated_at=early,
    )
    TicketSettings.objects.filter(partner=partner).update(
        reopen_within_days=dice.choice((0, 1)), closes_only_untouched=True
    )
    return found


def live_through(
    world: LifeWorld, *, events: int, seed: int, second: int = 0, days: int = 3
) -> tuple[datetime, datetime]:
    """Some hours of a partner's life; returns when they began and ended.

    It begins at that second of a minute: what falls between two of the worker's looks depends on it. No event comes at
    the very moment of a look, where either may be first."""
    dice = random.Random(seed)  # noqa: S311 - a demonstration
    start = (clock.now() - timedelta(days=days)).replace(second=second, microsecond=500_000)
    with held_clock(start) as held:
        everybody = furnish(world, dice)
        world.dispatcher = Dispatcher()
        failing: set[tuple[int, str, str]] = set()
        left = events
        while left > 0:
            pass_time(world, held, timedelta(seconds=dice.choice((7, 13, 31, 45, 130, 400, 1500))))
            size = min(left, dice.choice((1, 1, 1, 2, 5, 12)))
            left -= size
            world.send(*[an_event(world, dice, everybody, failing, held) for _ in range(size)])
            if dice.random() < 0.8:  # else the dispatcher is busy elsewhere for a while
                drain(world)
        pass_time(world, held, timedelta(hours=14))
        world.dispatcher.stop()
        world.dispatcher.drain()
        world.dispatcher = None
        return start, held.now


def pass_time(world: LifeWorld, held: HeldClock, span: timedelta) -> None:
    """The worker looks each full minute, while anything is held. What comes next comes after the last attempts."""
    end = held.now + span
    while (full := held.now.replace(second=0, microsecond=0) + MINUTE) <= end:
        waits = Hold.objects.filter(partner=world.partner)
        if not waits.exists() and not Storm.objects.filter(partner=world.partner, ended_at=None).exists():
            break
        held.now = full
        release.release_due()
        drain(world)
    held.now = end
    drain(world)
    held.now += timedelta(milliseconds=1)


def drain(world: LifeWorld) -> None:
    world.drain(60)


def an_event(
    world: LifeWorld, dice: random.Random, everybody: list[Client], failing: set[Any], held: HeldClock
) -> dict[str, Any]:
    """Mostly problems and their ends; now and then a printer, an old event, or one that says nothing."""
    client = dice.choice(everybody)
    account = f"SRV-{dice.randint(1, 5)}"
    kind = dice.choice((*TYPES, *TYPES, OFFLINE))
    key = (client.number, account, kind)
    resolves = key in failing and dice.random() < 0.6
    good = ONLINE if kind == OFFLINE else GOOD[kind]
    (failing.discard if resolves else failing.add)(key)
    fields: dict[str, Any] = {
        "client": f"{client.number}",
        "type": good if resolves else kind,
        "severity": "success" if resolves else dice.choice(SEVERITIES),
        "action": "resolve" if resolves else "trigger",
        "condition_key": f"{kind}:{account}",
        "occurred_at": (held.now - timedelta(seconds=dice.choice((0, 0, 0, 5, 900)))).isoformat(),
    }
    if dice.random() < 0.06:
        fields["summary"] = "The printer is out of paper"
    elif dice.random() < 0.05:
        fields |= {"severity": "info", "type": "report.made"}
        del fields["action"]
    return world.event(account, **fields)


def reproduce(world: LifeWorld, *, events: int, seed: int, second: int = 0) -> dict[str, Any]:
    """Live through it, then replay it with the very same rules."""
    start, end = live_through(world, events=events, seed=seed, second=second)
    return labresult.of_span(world.partner, start, end)


# --- A lot of events --------------------------------------------------------------------------------------------------


def fill_log(
    world: LifeWorld, *, events: int, lived: int = LIVED_ONCE, seed: int = 9
) -> tuple[datetime, datetime]:
    """About so many events with their tickets, and returns when they begin and end: what some clients really lived
    through, copied by the database for many more clients."""
    start, end = live_through(world, events=lived, seed=seed, days=30)
    there = Event.objects.filter(partner=world.partner, received_at__gte=start).count()
    multiply(world, copies=max(0, -(-(events - there) // there)))
    return start, end


def multiply(world: LifeWorld, *, copies: int) -> None:
    """Everything of the partner's clients once more for each copy, at the same moments, by keys of their own.

    A key is the original's with other last digits: what is ordered by key stays in order.
    """
    originals = tuple(Client.objects.filter(partner=world.partner).values_list("pk", flat=True))
    of_clients: list[tuple[Any, Any]] = [
        (Client, Client.objects.filter(pk__in=originals)),
        *[
            (model, model.objects.filter(client__in=originals))
            for model in (Account, CompanyLink, MaintenanceWindow, Condition, Event, Delivery)
        ],
        (Ticket, Ticket.objects.filter(condition__client__in=originals)),
    ]
    with connection.cursor() as cursor, transaction.atomic():
        for model, rows in of_clients:
            chosen, parameters = rows.order_by().values("pk").query.sql_with_params()
            for copy in range(1, copies + 1):
                columns = {one.column: of_copy(model, one, copy) for one in model._meta.concrete_fields}
                names = ", ".join(f'"{name}"' for name in columns)
                cursor.execute(
                    f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {", ".join(columns.values())}'  # noqa: S608 - names of models
                    f' FROM "{model._meta.db_table}" WHERE id IN ({chosen})',
                    parameters,
                )


COPIED = (Client, Account, Condition, Event)


def of_copy(model: type[Any], column: Any, copy: int) -> str:
    """The SQL of one column's value in a copy."""
    name = f'"{column.column}"'
    if column.primary_key or column.related_model in COPIED or column.name in ("opened_by", "decided_by"):
        text = f"CAST({name} AS text)"
        ends = f"substr({text}, 1, length({text}) - 8) || '{copy:08x}'"
        return f"CAST({ends} AS uuid)" if connection.vendor == "postgresql" else f"({ends})"
    if (model, column.name) == (Delivery, "subject"):
        return f"substr({name}, 1, length({name}) - 8) || '{copy:08x}'"
    if (model, column.name) in ((Event, "source_id"), (Ticket, "external_ref"), (Ticket, "psa_id")):
        return f"CASE WHEN {name} = '' THEN '' ELSE {name} || '-{copy}' END"
    if (model, column.name) == (Client, "number"):
        return f"{name} + {copy * 1_000_000}"
    if (model, column.name) == (Delivery, "exchanges"):
        return "'[]'"
    return name


def stricter(rules: RuleSet) -> RuleSet:
    """A draft: nothing below an error, and twice as patient."""
    for row in rules.notifications:
        row.severities = [one for one in row.severities if one != "warning"]
        row.min_minutes = max(10, 2 * row.min_minutes)
    return rules


@dataclass
class Lot:
    """A lot of events replayed: with today's rules, and once more with a draft's beside them. Times are seconds."""

    today: Tally
    seconds: float
    cpu_seconds: float
    both_seconds: float

    @property
    def held(self) -> bool:
        return self.today.held

    @property
    def events(self) -> int:
        return self.today.events

    def __str__(self) -> str:
        return (
            f"{self.today.events:,} events in {self.seconds:.1f} s ({self.cpu_seconds:.1f} s of one processor),"
            f" {self.today.same:,} of {self.today.tickets:,} tickets and {self.today.same_events:,} events the same;"
            f" with a draft’s rules beside today’s {self.both_seconds:.1f} s"
        )


def a_lot(world: LifeWorld, *, events: int) -> Lot:
    """Replay so many events with today's rules, and with a draft's beside them."""
    start, end = fill_log(world, events=events)
    began = process_time()
    today = labresult.of_span(world.partner, start, end)
    cpu_seconds = process_time() - began
    draft = stricter(labhistory.rules_today(world.partner))
    both = labresult.of_span(world.partner, start, end, draft)
    return Lot(Tally([today]), float(today["seconds"]), cpu_seconds, float(both["seconds"]))
