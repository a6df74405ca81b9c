"""What a wish for a ticket needs, whatever the PSA: create, note, close, or nothing (asked by both adapters' tickets).

An adapter fills in how its PSA finds tickets and how a write looks on its wire.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import TicketState
from integrations.psa.wanted import WantedTicket

RECORD = "ticket"
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Closing:
    """How a ticket is closed: the status, the write, and whether the note is in that write already."""

    status_id: str
    request: Request
    has_note: bool = False


class TicketDesk(ABC):
    # --- Filled in by the adapter

    @abstractmethod
    def read(self, ticket_id: str) -> tuple[TicketState, Row]:
        """One ticket and its raw row. Raises `errors.NotFound`."""

    @abstractmethod
    def search_ref(self, external_ref: str) -> Sequence[TicketState]:
        """At least those that carry the key."""

    @abstractmethod
    def search_recent(self, ref_prefix: str, since: datetime) -> Sequence[TicketState]:
        """At least those entered since then whose key starts with the prefix."""

    @abstractmethod
    def opening(self, wanted: WantedTicket) -> tuple[Request, Mapping[str, Any]]:
        """The write that opens a ticket, and what will then be true, in our words."""

    @abstractmethod
    def closing(self, wanted: WantedTicket, ticket: TicketState, row: Row) -> Closing: ...

    @abstractmethod
    def noting(self, ticket_id: str, text: str) -> Request: ...

    # --- Reading

    def one(self, ticket_id: str) -> TicketState:
        return self.read(ticket_id)[0]

    def with_ref(self, external_ref: str) -> list[TicketState]:
        found = self.search_ref(external_ref)
        return _oldest_first(ticket for ticket in found if ticket.external_ref == external_ref)

    def recent(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        found = self.search_recent(ref_prefix, since)
        ours = (ticket for ticket in found if ticket.external_ref.startswith(ref_prefix))
        return _oldest_first(
            ticket for ticket in ours if ticket.entered_at is None or ticket.entered_at >= since
        )

    # --- Planning

    def plan(self, wanted: WantedTicket) -> Plan:
        if wanted.state == "closed":
            return self._plan_close(wanted)
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, items=(self._create_item(wanted),))
        notes = (self._note_item(wanted.known_id, wanted.note),) if wanted.note else ()
        return Plan(subject=wanted.external_ref, items=notes, unchanged=() if notes else ("ticket",))

    def _plan_close(self, wanted: WantedTicket) -> Plan:
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",))
        ticket, row = self.read(wanted.known_id)
        if ticket.merged_into:
            return self._plan_merged(wanted, ticket)
        if ticket.is_closed:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",), found=ticket.as_json())
        closing = self.closing(wanted, ticket, row)
        items = [_close_item(ticket, closing)]
        if wanted.note and not closing.has_note:
            items.append(self._note_item(ticket.id, wanted.note))
        return Plan(subject=wanted.external_ref, items=tuple(items), found=ticket.as_json())

    def _plan_merged(self, wanted: WantedTicket, ticket: TicketState) -> Plan:
        """The other ticket may hold other people's problems too: it gets a note, and a person closes it."""
        text = (
            wanted.note or f"The problem of ticket {ticket.number}, which was merged into this one, is over."
        )
        finding = Finding(
            key="ticket",
            code="merged",
            text=f"Ticket {ticket.number} was merged into another one, which gets a note and stays open.",
        )
        return Plan(
            subject=wanted.external_ref,
            items=(self._note_item(ticket.merged_into or "", text),),
            findings=(finding,),
            found=ticket.as_json(),
        )

    def _create_item(self, wanted: WantedTicket) -> PlanItem:
        """Our key travels with the create itself, so that a create with an unknown outcome can be found again."""
        request, after = self.opening(wanted)
        return PlanItem(
            key="create",
            action="create",
            record=RECORD,
            record_id=None,
            before={},
            after=after,
            reason="The problem has no ticket yet.",
            request=request,
        )

    def _note_item(self, ticket_id: str, text: str) -> PlanItem:
        return PlanItem(
            key="note",
            action="note",
            record=RECORD,
            record_id=ticket_id,
            before={},
            after={"text": text},
            reason="The ticket is told what happened.",
            request=self.noting(ticket_id, text),
        )


def _close_item(ticket: TicketState, closing: Closing) -> PlanItem:
    return PlanItem(
        key="close",
        action="update",
        record=RECORD,
        record_id=ticket.id,
        before={"status_id": ticket.status_id, "is_closed": False},
        after={"status_id": closing.status_id, "is_closed": True},
        reason="The problem is over.",
        request=closing.request,
    )


def _oldest_first(tickets: Any) -> list[TicketState]:
    return sorted(tickets, key=lambda ticket: (len(ticket.id), ticket.id))


def wanted_ids(wanted: WantedTicket, names: Sequence[str]) -> dict[str, Any]:
    """What was chosen, in our words, for the plan's `after`."""
    return {name: getattr(wanted, name) for name in names if getattr(wanted, name)}
