"""Feeds with a time, an id, a digest or a counter in the key are detected after three events; good ones are not
suspected (proof 6.11)."""

from __future__ import annotations

import hashlib
import random
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from alerts.catalogue import EACH_ITS_OWN, EVENT_TYPES
from alerts.proving.lifeworld import LifeWorld
from portal import clock

STABLE = {
    "job": ["Nightly", "Daily 1", "Daily 2", "Daily 3", "Full backup of D:", "2019 archive"],
    "volume": ["C:", "D:", "/dev/sda1", "Volume 12"],
    "drive": ["WD-WCC4N7KJ2Z9P", "S3Z9NB0K123456", "Bay 3", "0:1:4"],
    "machine": ["SRV-01", "SRV-02", "SRV-03", "DC1", "bakery-sql-2022"],
    "mailbox": ["ott@bakery.example", "info@bakery.example", "sales2@bakery.example"],
    "array": ["RAID 5", "md0", "md1"],
    "domain": ["bakery.example", "ott.example"],
    "license": ["O365-E3", "Backup-250", "Server 2022"],
}


@dataclass
class Tally:
    """Feeds by what was volatile in them, how many were told by their third event, and false alarms."""

    feeds: int = 0
    detected: int = 0
    stable_events: int = 0
    missed: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return self.feeds > 0 and self.detected == self.feeds and not self.false_alarms

    def __str__(self) -> str:
        return (
            f"{self.detected} of {self.feeds} volatile feeds detected by their third event"
            f"{''.join(f' (missed {one})' for one in self.missed[:3])},"
            f" {len(self.false_alarms)} false alarms in {self.stable_events} events of the catalogue"
            f"{''.join(f' ({one})' for one in self.false_alarms[:3])}"
        )


def volatile_texts(dice: random.Random, kind: str) -> list[str]:
    """Three texts as three runs of a source would send them."""
    start = clock.now() - timedelta(days=dice.randint(0, 300), seconds=dice.randint(0, 86_400))
    moments = [start + timedelta(seconds=dice.randint(600, 90_000) * number) for number in range(3)]
    first, step = dice.randint(100, 900_000), dice.randint(1, 3)
    return {
        "iso": [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments],
        "spoken": [f"{moment:%Y-%m-%d %H:%M}" for moment in moments],
        "compact": [f"{moment:%Y%m%d%H%M%S}" for moment in moments],
        "epoch": [f"{int(moment.timestamp())}" for moment in moments],
        "milliseconds": [f"{int(moment.timestamp() * 1000)}" for moment in moments],
        "guid": [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(3)],
        "md5": [hashlib.md5(dice.randbytes(8), usedforsecurity=False).hexdigest() for _ in range(3)],
        "sha256": [hashlib.sha256(dice.randbytes(8)).hexdigest() for _ in range(3)],
        "counter": [str(first + number * step) for number in range(3)],
    }[kind]


KINDS = ("iso", "spoken", "compact", "epoch", "milliseconds", "guid", "md5", "sha256", "counter")


def run(world: LifeWorld, *, feeds: int, stable: int, seed: int = 1) -> Tally:
    dice, tally = random.Random(seed), Tally()  # noqa: S311 - a demonstration
    for number in range(feeds):
        volatile_feed(world, dice, number, tally)
    stable_feed(world, dice, stable, tally)
    return tally


def volatile_feed(world: LifeWorld, dice: random.Random, number: int, tally: Tally) -> None:
    kind = KINDS[number % len(KINDS)]
    before, after = (
        dice.choice(("", "run ", "Nightly/", "job-", "[x] ")),
        dice.choice(("", " of SRV-01", "/D")),
    )
    texts = [f"{before}{text}{after}" for text in volatile_texts(dice, kind)]
    told = False
    for text in texts:
        item = world.event("SRV-01", source=f"feed {number}", **carrier(dice, number, text))
        told = bool(volatile_warnings(world.send(item)))
    tally.feeds += 1
    tally.detected += told
    if not told:
        tally.missed.append(f"{kind} in {texts}")


def carrier(dice: random.Random, number: int, text: str) -> dict[str, Any]:
    """In a declared field, or in a key that the source makes itself."""
    if number % 2:
        return {"condition_key": f"tool:{text}"}
    return {"data": {"job": text}}


def stable_feed(world: LifeWorld, dice: random.Random, events: int, tally: Tally) -> None:
    """Every type of the catalogue with things that have names, one after the other and again."""
    types = [seed for seed in EVENT_TYPES if seed.name not in EACH_ITS_OWN and seed.default_action != "none"]
    for number in range(events):
        seed = types[number % len(types)]
        data = {name: dice.choice(STABLE[name]) for name in seed.condition_fields}
        account = dice.choice(("SRV-01", "SRV-02", "", str(uuid.UUID(int=number % 5))))
        item = world.event(account, source="good tool", type=seed.name, severity="warning", data=data)
        if volatile_warnings(world.send(item)):
            tally.false_alarms.append(f"{seed.name} {data}")
        tally.stable_events += 1


def volatile_warnings(results: list[Any]) -> list[Any]:
    return [one for result in results for one in result.warnings if one.code == "volatile_key"]
