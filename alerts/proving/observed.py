"""Is what observe mode plans just what live mode then sends (asked by proofs and a test)? Tickets, lines, statistics.

One world is looked at twice: observe mode writes nothing, so live mode finds it as observe mode left it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts import lifecycle
from alerts.catalogue import EVENT_TYPES
from alerts.models import EventType, Notification, TicketSettings
from alerts.proving import lifeworld
from alerts.proving.lifeworld import LifeWorld
from billing import reportorders, synchronize, usage
from billing.backupstatistics import Told
from billing.proof_push import newest_request
from billing.proof_world import Billed, billed
from integrations import eventlog
from integrations.models import Delivery, Status
from integrations.sandbox import running_sandbox
from portal import tokens
from portal.models import Client, Organization

PATIENCE = 900.0


@dataclass
class Tally:
    """How much was sent in, what observe mode planned, and what live mode sent. Items are by what they do."""

    events: int = 0
    writes: int = 0
    planned: Counter[str] = field(default_factory=Counter)
    same_plans: int = 0
    plans: int = 0
    wire: int = 0
    wire_same: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Nothing was written, every kind of write was planned, and all plans and requests are the same."""
        kinds = {"ticket create", "ticket note", "ticket close", "agreement line", "statistics"}
        return (
            self.writes == 0
            and kinds <= set(self.planned)
            and self.same_plans == self.plans
            and self.wire_same == self.wire == sum(self.planned.values())
        )

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} x {name}" for name, count in sorted(self.planned.items()))
        wrong = f"; first difference: {self.wrong[0]}" if self.wrong else ""
        return (
            f"{self.events} mixed events in observe mode: {self.writes} writes; planned {kinds};"
            f" live mode then: {self.same_plans} of {self.plans} plans with the same items, {self.wire_same} of"
            f" {self.wire} requests with the planned method, address and body{wrong}"
        )


def show(events: int = 10_000, clients: int = 100) -> tuple[bool, str]:
    tally = run(events, clients)
    return tally.held, str(tally)


def run(events: int, clients: int) -> Tally:
    dice = random.Random(61)  # noqa: S311 - the same events again
    with running_sandbox() as sandbox:
        shop = billed(sandbox, count=clients, services=5)
        world = with_tickets(shop)
        modes(shop, "live")
        before(world, shop)
        modes(shop, "observe")
        tally = Tally()
        at_first = shop.writes()
        for part in parts(mixed(dice, shop, events), 2_000):
            tally.events += take_in(world, shop, part)
            world.drain(PATIENCE)
        lifecycle.look_after_tickets()  # as the worker does: all repeats are in one note
        world.drain(PATIENCE)
        tally.writes = shop.writes() - at_first
        observed = newest_plans()
        since = newest_request(sandbox)
        modes(shop, "live")
        eventlog.reprocess(Delivery.objects.filter(pk__in=[row.pk for row in observed]))
        world.drain(PATIENCE)
        compare(tally, observed, sandbox.control.requests(since))
    return tally


# --- The world --------------------------------------------------------------------------------------------------------


def with_tickets(shop: Billed) -> LifeWorld:
    if not EventType.objects.exists():
        EventType.objects.bulk_create([EventType(**seed._asdict()) for seed in EVENT_TYPES])
    severities = ["warning", "error", "critical"]
    Notification.objects.create(partner=shop.partner, name="Tickets", action="ticket", severities=severities)
    lifeworld.choose_settings("connectwise", shop.organization, shop.credentials)
    TicketSettings.objects.filter(partner=shop.partner).update(notes_per_hour=60)
    _, secret = tokens.issue_token("proof", partner=shop.partner, scopes=("events:write",))
    actor = tokens.find_token(secret)
    return LifeWorld("connectwise", shop.sandbox, shop.partner, shop.client, shop.credentials, actor)


def modes(shop: Billed, mode: str) -> None:
    Organization.objects.filter(pk=shop.organization.pk).update(
        tickets_mode=mode, billing_mode=mode, statistics_mode=mode
    )


def before(world: LifeWorld, shop: Billed) -> None:
    """Each client has two problems with open tickets."""
    for account in ("SRV-OVER", "SRV-AGAIN"):
        world.send(*(event_of(world, client, account) for client in shop.clients))
    world.drain(PATIENCE)


Word = tuple[str, Client, Any]


def mixed(dice: random.Random, shop: Billed, events: int) -> list[Word]:
    """Half speak of backups, the others of usage and statistics; each client has something of each."""
    kinds = ("over", "again", "new", "fine", "usage", "usage", "usage", "statistics")
    words: list[Word] = [
        (kind, client, dice.randint(7, 14)) for client in shop.clients for kind in sorted(set(kinds))
    ]
    while len(words) < events:
        words.append((dice.choice(kinds), dice.choice(shop.clients), dice.randint(7, 14)))
    dice.shuffle(words)
    return words[:events] if events >= len(words) else words


def take_in(world: LifeWorld, shop: Billed, words: Sequence[Word]) -> int:
    alerts = [event_for(world, word) for word in words if word[0] in ALERTS]
    for some in parts(alerts, 1_000):
        world.send(*some)
    keys = list(shop.services)
    shop.use_all(
        [(client, keys[number % len(keys)], number) for kind, client, number in words if kind == "usage"]
    )
    reportorders.take_in(
        [statistics_of(client, number) for kind, client, number in words if kind == "statistics"]
    )
    return len(words)


ALERTS = {
    "over": ("SRV-OVER", True),
    "again": ("SRV-AGAIN", False),
    "new": ("SRV-NEW", False),
    "fine": ("SRV-FINE", True),
}


def event_for(world: LifeWorld, word: Word) -> dict[str, Any]:
    account, resolves = ALERTS[word[0]]
    return event_of(world, word[1], account, resolves=resolves)


def event_of(world: LifeWorld, client: Client, account: str, *, resolves: bool = False) -> dict[str, Any]:
    return world.event(account, resolves=resolves, client=str(client.number))


def statistics_of(client: Client, number: int) -> Told:
    return Told(
        client=client,
        account="SRV-01",
        measured_on=usage.today_for(client),
        successful_jobs=number,
        failed_jobs=1,
        device_kind="server",
    )


# --- Comparing --------------------------------------------------------------------------------------------------------


def newest_plans() -> list[Delivery]:
    """The last word of observe mode about each subject."""
    rows = Delivery.objects.filter(status=Status.SKIPPED, reason="observe").order_by("pk")
    return list({row.subject: row for row in rows}.values())


def compare(tally: Tally, observed: Sequence[Delivery], requests: Iterable[dict[str, Any]]) -> None:
    planned: Counter[str] = Counter()
    live = {row.pk: row for row in Delivery.objects.filter(pk__in=[row.pk for row in observed])}
    for row in observed:
        items = (row.plan or {}).get("items", [])
        tally.plans += 1
        tally.planned.update(kind_of(row, item) for item in items)
        planned.update(wire(item["request"]) for item in items)
        then = live[row.pk]
        if (then.plan or {}).get("items") == items and then.status == Status.DONE:
            tally.same_plans += 1
        else:
            tally.wrong.append(f"{row.subject} {then.status} {then.reason}: {items} / {then.plan}")
    sent = Counter(wire(row) for row in requests if row["method"] != "GET")
    tally.wire = sum(sent.values())
    tally.wire_same = sum((sent & planned).values())
    tally.wrong += [f"sent {text}" for text in sent - planned]
    tally.wrong += [f"not sent {text}" for text in planned - sent]


def kind_of(row: Delivery, item: dict[str, Any]) -> str:
    if row.subject.startswith(reportorders.PREFIX):
        return "statistics"
    if row.subject == synchronize.subject_of(row.client_id):
        return "agreement line"
    word = {"create": "create", "note": "note", "update": "close"}[item["action"]]
    return f"ticket {word}"


def wire(request: dict[str, Any]) -> str:
    """Method, address below the API's root, and body."""
    body = request["body"]
    if isinstance(body, str):
        body = json.loads(body) if body else None
    path = str(request["path"]).rpartition("/apis/3.0")[2] or str(request["path"])
    return f"{request['method']} {path} {json.dumps(body, sort_keys=True)}"


def parts(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
