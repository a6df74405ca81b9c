"""People and the portal edit the same tickets in random order: is any person's edit lost? (proof 6.14)"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from alerts.models import Ticket
from alerts.proving.lifeworld import LifeWorld

PEOPLE = ("note", "status", "priority", "assignee", "rename", "close")
PORTAL = ("fails", "recovers", "repeats")
TOUCHES = ("note", "status", "priority", "assignee")


@dataclass
class Tally:
    """What was done, and what a person finds otherwise than he left it."""

    edits: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return self.edits > 0 and not self.lost

    def __str__(self) -> str:
        return f"{self.edits} edits by people, {len(self.lost)} lost{''.join(f' ({one})' for one in self.lost[:3])}"


@dataclass
class Desk:
    """What people last did to each PSA ticket, as the PSA's own fields."""

    edits: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)


def interleave(world: LifeWorld, *, seed: int, rounds: int) -> Tally:
    """Random edits by people and by events, one after the other; after each the people look at their edits."""
    dice, tally, desk = random.Random(seed), Tally(), Desk()  # noqa: S311 - a demonstration
    account = f"SRV-{seed}"
    world.fails(account)
    world.drain()
    for number in range(rounds):
        action = dice.choice((*PEOPLE, *PORTAL))
        if action in PEOPLE:
            tally.edits += edit(world, desk, account, action, f"{seed}.{number}")
        elif action == "recovers":
            world.recovers(account)
        else:
            world.fails(account)
        if dice.random() < 0.7:  # else the next edit comes before the portal's answer to the last event
            world.drain()
        tally.lost += lost(world, desk)
    world.drain()
    tally.lost += lost(world, desk)
    return tally


def edit(world: LifeWorld, desk: Desk, account: str, action: str, name: str) -> int:
    """One edit of the newest ticket, if it is there; returns how many edits that were."""
    psa_id = world.ticket(account).psa_id
    if not psa_id:
        return 0
    mine = desk.edits.setdefault(psa_id, {})
    now = world.in_psa(psa_id)
    if action == "note":
        world.technician("note", psa_id, text=f"Looking into it {name}")
        desk.notes.setdefault(psa_id, []).append(f"Looking into it {name}")
        return 1
    if action == "close" or (action == "status" and now.is_closed):
        world.technician("close", psa_id)
    elif action == "rename":
        world.technician("rename", psa_id, name=f"Bakery {name}")
    else:
        fields = {
            "status": lambda: world.status_field(psa_id),
            "priority": lambda: world.priority_field(now.priority_id),
            "assignee": world.assignee_field,
        }[action]()
        world.technician("edit", psa_id, fields=fields)
    after = world.in_psa(psa_id)
    if action in ("close", "status"):
        mine["status_id"] = after.status_id
    elif action == "rename":
        mine["summary"] = after.summary
    else:
        mine[f"{action}_id"] = getattr(after, f"{action}_id")
    return 1


def lost(world: LifeWorld, desk: Desk) -> list[str]:
    """Edits that are not as they were left. Each is told once."""
    gone = []
    for psa_id, edits in desk.edits.items():
        state = world.in_psa(psa_id)
        for name, value in list(edits.items()):
            if getattr(state, name) != value:
                gone.append(f"{name} of {psa_id}: {value} became {getattr(state, name)}")
                del edits[name]
    for psa_id, notes in desk.notes.items():
        missing = set(notes) - set(world.notes(psa_id))
        gone += [f"note of {psa_id}: {text}" for text in missing]
        desk.notes[psa_id] = [text for text in notes if text not in missing]
    return gone


def doubles(world: LifeWorld) -> int:
    """Conditions with more than one ticket that is open with us."""
    rows = Ticket.objects.filter(partner=world.partner, closed_at=None).values_list("condition", flat=True)
    return len(rows) - len(set(rows))
