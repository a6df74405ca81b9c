"""What people do to a ticket in the PSA, and where it must end: eight movements at two PSAs (proof 6.3).

Each movement is made while the problem goes on; then it repeats, somebody asks for the ticket again, and it recovers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alerts.models import Ticket
from alerts.proving.lifeworld import LifeWorld
from integrations import eventlog
from integrations.models import Delivery


@dataclass(frozen=True)
class Movement:
    """`end`: whether the (last) ticket is closed at the PSA after the recovery; `created`: tickets of ours in all;
    `says`: what the trace has to mention."""

    name: str
    make: Callable[[LifeWorld, str], str]
    end: str
    created: int
    says: str


@dataclass(frozen=True)
class Shown:
    """What came of one movement; `wrong` is empty when it is as it must be."""

    name: str
    kind: str
    wrong: str


def moved(world: LifeWorld, psa_id: str) -> str:
    world.technician("move", psa_id, board=int(world.other_board()))
    return psa_id


def merged(world: LifeWorld, psa_id: str) -> str:
    other = world.person_ticket("The big one")
    world.technician("merge", psa_id, into=int(other))
    return other


def made_child(world: LifeWorld, psa_id: str) -> str:
    other = world.person_ticket("The big one")
    world.technician("child", psa_id, parent=int(other))
    return psa_id


def deleted(world: LifeWorld, psa_id: str) -> str:
    world.technician("delete", psa_id)
    return ""


def company_changed(world: LifeWorld, psa_id: str) -> str:
    rows = world.credentials.choices.filter(kind="company").exclude(name="Bakery Ott")
    world.technician("company", psa_id, company=int(rows.order_by("psa_id")[0].psa_id))
    return psa_id


def closed(world: LifeWorld, psa_id: str) -> str:
    world.technician("close", psa_id)
    return psa_id


def renamed(world: LifeWorld, psa_id: str) -> str:
    world.technician("rename", psa_id, name="Tape drive of the bakery")
    return psa_id


def reassigned(world: LifeWorld, psa_id: str) -> str:
    world.technician("edit", psa_id, fields=world.assignee_field())
    return psa_id


MOVEMENTS = (
    Movement("moved to another board", moved, "closed", 1, "is on another board"),
    Movement("merged into another ticket", merged, "open with note", 1, "merged into"),
    Movement("made a child", made_child, "open with note", 1, "is a child of"),
    Movement("deleted", deleted, "closed", 2, "was deleted in the PSA"),
    Movement("given to another company", company_changed, "closed", 1, "belongs to another PSA company"),
    Movement("closed by a technician", closed, "closed", 1, "acknowledged"),
    Movement("renamed", renamed, "closed", 1, "was renamed"),
    Movement("assigned to somebody", reassigned, "open with note", 1, "it was assigned"),
)


def show(world: LifeWorld, movement: Movement) -> Shown:
    """Open a ticket, move it, repeat, ask again, recover, and look."""
    account = f"SRV {movement.name}"[:40]
    world.fails(account)
    world.drain()
    place = movement.make(world, world.ticket(account).psa_id)
    world.fails(account)
    ask_again(world, account)
    world.drain()
    world.recovers(account)
    world.drain()
    return Shown(movement.name, world.kind, wrong_with(world, movement, account, place))


def ask_again(world: LifeWorld, account: str) -> None:
    """As a person does with Reprocess: it must not come to a second ticket."""
    subject = f"ticket:{world.condition(account).pk}"
    newest = Delivery.objects.filter(subject=subject).order_by("-id")[:1]
    eventlog.reprocess(Delivery.objects.filter(pk__in=newest.values("pk")))


def wrong_with(world: LifeWorld, movement: Movement, account: str, place: str) -> str:
    rows = world.tickets(account)
    refs = {row.external_ref for row in rows}
    made = sum(ref in refs for ref in world.created())
    if made != movement.created:
        return f"{made} tickets were created"
    if sum(row.closed_at is None for row in rows) > 1:
        return "two tickets are open with us"
    state = world.in_psa(place or rows[-1].psa_id)
    if movement.end == "closed" and not state.is_closed:
        return "the ticket is still open"
    if movement.end != "closed":
        if state.is_closed:
            return "the ticket was closed although it is a person's"
        if not any("is over" in note for note in world.notes(state.id)):
            return "nobody was told that the problem is over"
    if movement.end == "closed" and rows[-1].state != Ticket.State.CLOSED:
        return f"with us it is {rows[-1].state}"
    if movement.says not in (trace := trace_of(rows[-1])):
        return f"the trace says nothing of it: {trace}"
    return ""


def trace_of(ticket: Ticket) -> str:
    """What the deliveries say became of them, and what the ticket keeps."""
    rows = Delivery.objects.filter(subject=f"ticket:{ticket.condition_id}").order_by("id")
    plans = [str(row.plan or "") for row in rows]
    kept = Ticket.objects.filter(condition=ticket.condition_id).values_list("left_why", flat=True)
    return " | ".join([*(row.outcome for row in rows), *kept, *plans])
