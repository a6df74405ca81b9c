"""Demonstrations of plans, undo and guards, against a pretend ConnectWise and the database at hand (asked by proofs).

Each answers whether it held, and its figures. They make partners of their own; run them in a database of their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from billing import proposals, undo
from billing.decisions import Decider, Refused
from billing.models import PushRun, Question
from billing.proof_world import Billed, billed, pass_time
from integrations import connections
from integrations.psa.errors import PsaError
from integrations.sandbox import Sandbox, running_sandbox

BOSS = Decider("proof@example.com")
MANAGED = ("quantity", "invoiceDescription", "cancelledDate")
FAULTS = ("status_500", "commit_then_drop", "html_503", "truncated_json")
Shown = tuple[bool, str]


# --- What requests say ------------------------------------------------------------------------------------------------


def newest_request(sandbox: Sandbox) -> int:
    rows = sandbox.control.requests()
    return max((int(row.get("number", 0)) for row in rows), default=0)


def sync_all(shop: Billed) -> None:
    with connections.psa_for(shop.credentials) as psa:
        for client in shop.clients:
            shop.sync(client, psa)


# --- 6.5 --------------------------------------------------------------------------------------------------------------


@dataclass
class Undone:
    runs: int = 0
    original: int = 0
    by_hand: int = 0
    survived: int = 0
    faults: int = 0
    wrong: list[str] = field(default_factory=list)


def undo_for_billing(runs: int = 60) -> Shown:
    """Push, perhaps somebody's own edit, undo under faults, re-read: the original, or what they wrote."""
    dice = random.Random(65)  # noqa: S311
    told = Undone(runs=runs)
    with running_sandbox() as sandbox:
        shop = billed(sandbox, count=runs)
        for client in shop.clients:
            before = {name: shop.line(client).get(name) for name in MANAGED}
            shop.use(dice.randint(11, 14), client)
            again(shop, client, told)
            pushed = PushRun.objects.get(client=client, state="done", undoes=None)
            edited = dice.random() < 0.3
            if edited:
                shop.by_hand(client, quantity=dice.randint(20, 30))
            kept = shop.quantity(client)
            if dice.random() < 0.5:
                sandbox.control.fault(dice.choice(FAULTS), path="additions", times=1)
            take_back(shop, client, pushed, told)
            sandbox.control.clear_faults()
            if edited:
                told.by_hand += 1
                told.survived += shop.quantity(client) == kept
            else:
                is_original = {name: shop.line(client).get(name) for name in MANAGED} == before
                told.original += is_original
                if not is_original:
                    told.wrong.append(client.name)
    held = told.original + told.survived == runs and not told.wrong
    return held, (
        f"{runs} pushes undone, {told.faults} calls failed on the way: {told.original} lines as before in every"
        f" managed field, {told.survived} of {told.by_hand} manual edits survived"
    )


def take_back(shop: Billed, client: Any, pushed: PushRun, told: Undone) -> None:
    for _ in range(4):
        try:
            undo.ask(pushed, by=BOSS)
        except Refused:
            return
        again(shop, client, told)
        waiting = PushRun.objects.filter(client=client, state="waiting", undoes__isnull=False).first()
        if waiting is None:
            return
        proposals.approve(waiting, by=BOSS)
        again(shop, client, told)
        pass_time(1000)


def again(shop: Billed, client: Any, told: Undone) -> None:
    """As the lane would: until the PSA has answered clearly."""
    for _ in range(5):
        try:
            shop.sync(client)
        except PsaError:
            told.faults += 1
            pass_time(1000)
            continue
        return


# --- 6.6 --------------------------------------------------------------------------------------------------------------


def quantity_guards(clients: int = 200) -> Shown:
    """A feed that dies changes nothing; a fleet that halves is stopped at the first plan."""
    with running_sandbox() as sandbox:
        shop = billed(sandbox, count=clients)
        shop.use_all([(client, shop.service.key, 10) for client in shop.clients])
        sync_all(shop)
        before = shop.writes()
        shop.use_all([(client, shop.service.key, 5) for client in shop.clients])
        sync_all(shop)
        halved = shop.writes() - before
        asked = Question.objects.filter(partner=shop.partner, kind="fleet", settled_at=None).count()
        Question.objects.filter(partner=shop.partner).delete()
        dead = billed(sandbox, count=20)
        dead.use_all([(client, dead.service.key, 12) for client in dead.clients], days_ago=9)
        before = dead.writes()
        sync_all(dead)
        died = dead.writes() - before
    held = halved == 0 and asked == clients and died == 0
    return held, (
        f"{clients} clients halved at once: {halved} writes, {asked} questions; a feed dead for 9 days: {died} writes"
    )


# --- What it costs ----------------------------------------------------------------------------------------------------


def calls_for_a_fleet(clients: int = 1000, services: int = 5, changed: float = 0.03) -> tuple[int, int]:
    """Calls made to bring a fleet up to date, and the fewest possible: an agreement's lines are read with one call,
    because ConnectWise lists them by agreement alone; a changed line is one write."""
    dice = random.Random(14)  # noqa: S311
    with running_sandbox() as sandbox:
        shop = billed(sandbox, count=clients, services=services)
        words = [(client, key, 10) for client in shop.clients for key in shop.services]
        for start in range(0, len(words), 1000):
            shop.use_all(words[start : start + 1000])
        sync_all(shop)  # from here on every line has our invoice text
        places = dice.sample(range(len(words)), round(len(words) * changed))
        shop.use_all([(*words[place][:2], 11) for place in places])
        before = int(sandbox.control.counts()["total"])
        sync_all(shop)
        made = int(sandbox.control.counts()["total"]) - before
    return made, clients + len(places)


def calls() -> Shown:
    return True, "{} {}".format(*calls_for_a_fleet())


def calls_smoke() -> Shown:
    return True, "{} {}".format(*calls_for_a_fleet(clients=10))


PROOFS: dict[str, Callable[[], Shown]] = {
    "6.5": undo_for_billing,
    "6.6": quantity_guards,
    "calls": calls,
    "calls-smoke": calls_smoke,
}
"""By the number of what is shown; `calls` answers how many were made and the fewest possible."""
