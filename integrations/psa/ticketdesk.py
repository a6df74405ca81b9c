"""What a wish for a ticket needs, whatever the PSA: create, note, close, or nothing (asked by both adapters' tickets).

An adapter fills in how its PSA finds tickets and how a write looks on its wire.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from integrations.psa.errors import Misconfigured, NotFound
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import Note, TicketState
from integrations.psa.wanted import WantedTicket

RECORD = "ticket"
OVER = "The problem is over."
MOST_MERGES = 5
TOUCHING = {
    "status_id": "its status was changed",
    "priority_id": "its priority was changed",
    "assignee_id": "it was assigned",
}
"""Changes that make a ticket somebody's work."""
HARMLESS = ("board_id", "company_id", "summary", "parent_id")
"""Changes that explain another last writer without being work on the problem."""
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
    def reopening(self, wanted: WantedTicket, ticket: TicketState, row: Row) -> Request:
        """The write that opens a closed ticket again."""

    @abstractmethod
    def notes(self, ticket_id: str) -> Sequence[Note]:
        """All notes of a ticket."""

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
        if wanted.known_id is None:
            if wanted.state == "closed":
                return Plan(subject=wanted.external_ref, unchanged=("ticket",))
            return Plan(subject=wanted.external_ref, items=(self._create_item(wanted),))
        if wanted.state == "closed":
            return self._plan_close(wanted, wanted.known_id)
        if wanted.reopens:
            return self._plan_reopening(wanted, wanted.known_id)
        return self._plan_note(wanted, wanted.known_id, wanted.note)

    def _plan_close(self, wanted: WantedTicket, ticket_id: str) -> Plan:
        ticket, row = self.read(ticket_id)
        if ticket.merged_into:
            return self._plan_merged(wanted, ticket)
        if ticket.is_closed:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",), found=ticket.as_json())
        if left := self._left_to_people(wanted, ticket):
            return self._plan_note(wanted, ticket.id, wanted.parting_note or OVER, found=ticket, finding=left)
        try:
            closing = self.closing(wanted, ticket, row)
        except Misconfigured:
            if not wanted.only_untouched or not is_elsewhere(wanted, ticket):
                raise
            text = f"Ticket {ticket.number} was moved to a board where no status closes a ticket; it gets a note."
            left = Finding(key="ticket", code="no_closing_status", text=text)
            return self._plan_note(wanted, ticket.id, wanted.parting_note or OVER, found=ticket, finding=left)
        items = [_close_item(ticket, closing)]
        if wanted.note and not closing.has_note:
            items.append(self._note_item(ticket.id, wanted.note))
        return Plan(subject=wanted.external_ref, items=tuple(items), found=ticket.as_json())

    def _plan_merged(self, wanted: WantedTicket, ticket: TicketState) -> Plan:
        """The other ticket may hold other people's problems too: it gets a note, and a person closes it."""
        text = (
            wanted.parting_note
            or wanted.note
            or f"The problem of ticket {ticket.number}, which was merged into this one, is over."
        )
        target = self.end_of_merges(ticket)
        if target is None:
            text = f"Ticket {ticket.number} was merged into another one, which is no longer there."
            finding = Finding(key="ticket", code="merged", text=text)
            return Plan(subject=wanted.external_ref, findings=(finding,), found=ticket.as_json())
        finding = Finding(
            key="ticket",
            code="merged",
            text=f"Ticket {ticket.number} was merged into {target.number}, which gets a note and stays as it is.",
        )
        found = {**ticket.as_json(), "merged_into": target.id}
        plan = self._plan_note(wanted, target.id, text, finding=finding)
        return replace(plan, found=found)

    def end_of_merges(self, ticket: TicketState) -> TicketState | None:
        """The ticket that this one, and those it was merged into, ended in; None when that was deleted."""
        for _ in range(MOST_MERGES):
            if ticket.merged_into is None:
                break
            try:
                ticket = self.one(ticket.merged_into)
            except NotFound:
                return None
        return ticket

    def _plan_reopening(self, wanted: WantedTicket, ticket_id: str) -> Plan:
        """Only what we closed, and nobody has changed since; else the finding `touched` and nothing to write."""
        ticket, row = self.read(ticket_id)
        found = ticket.as_json()
        if ticket.merged_into or ticket.updated_by != ticket.entered_by:
            text = f"Ticket {ticket.number} was changed by a person since it was closed."
            finding = Finding(key="ticket", code="touched", text=text)
            return Plan(subject=wanted.external_ref, findings=(finding,), found=found)
        notes = (self._note_item(ticket.id, wanted.note),) if wanted.note else ()
        if not ticket.is_closed:
            return self._plan_note(wanted, ticket.id, wanted.note, found=ticket)
        item = _reopen_item(ticket, self.reopening(wanted, ticket, row))
        return Plan(subject=wanted.external_ref, items=(item, *notes), found=found)

    def _plan_note(
        self,
        wanted: WantedTicket,
        ticket_id: str,
        text: str,
        *,
        found: TicketState | None = None,
        finding: Finding | None = None,
    ) -> Plan:
        is_there = bool(text) and wanted.may_have_note and has_note(self.notes(ticket_id), text)
        notes = (self._note_item(ticket_id, text),) if text and not is_there else ()
        return Plan(
            subject=wanted.external_ref,
            items=notes,
            unchanged=() if notes else ("ticket",),
            findings=(finding,) if finding else (),
            found=found.as_json() if found else {},
        )

    # --- Respect for human hands

    def _left_to_people(self, wanted: WantedTicket, ticket: TicketState) -> Finding | None:
        """Why a ticket is not for us to close, if it is not."""
        if not wanted.only_untouched:
            return None
        if ticket.parent_id and ticket.parent_id != ticket.id:
            text = f"Ticket {ticket.number} is a child of {ticket.parent_id}; it gets a note and closes with that one."
            return Finding(key="ticket", code="child", text=text)
        if wanted.may_have_note and has_note(self.notes(ticket.id), wanted.parting_note):
            text = f"Somebody has worked on ticket {ticket.number}, which was told so before and is left to them."
            return Finding(key="ticket", code="touched", text=text)
        hands = self.hands_on(wanted, ticket)
        if not hands:
            return None
        what = ", ".join(hands)
        text = f"Somebody has worked on ticket {ticket.number} ({what}); it gets a note and is left to them."
        return Finding(key="ticket", code="touched", text=text)

    def hands_on(self, wanted: WantedTicket, ticket: TicketState) -> list[str]:
        """What people did to the ticket, in words. Costs a read of its notes unless we were its only writer."""
        ours = ticket.entered_by
        is_quiet = ticket.updated_by == ours and not (wanted.was_written_to or wanted.touched_by)
        if is_quiet and not ticket.has_time and not self._changed(wanted, ticket, TOUCHING):
            return []
        hands = [TOUCHING[name] for name in self._changed(wanted, ticket, TOUCHING)]
        if ticket.has_time:
            hands.append("time was entered")
        if any(note.by and note.by != ours for note in self.notes(ticket.id)):
            hands.append("a note was written")
        if not hands and wanted.touched_by:
            hands.append(f"changed by {wanted.touched_by}")
        if not hands and ticket.updated_by != ours and not self._changed(wanted, ticket, HARMLESS):
            hands.append(f"changed by {ticket.updated_by or 'somebody'}")
        return hands

    def _changed(self, wanted: WantedTicket, ticket: TicketState, names: Iterable[str]) -> list[str]:
        """A move to another board brings another status along, so there the status says nothing."""
        now = ticket.as_first()
        moved = is_elsewhere(wanted, ticket)
        return [
            name
            for name in names
            if name in wanted.first
            and now[name] != wanted.first[name]
            and not (moved and name == "status_id")
        ]

    def chosen_status(self, wanted: WantedTicket, ticket: TicketState) -> str | None:
        """The closing status for the board where the ticket is now, as far as one was chosen."""
        if wanted.board_id is None or ticket.board_id in (None, wanted.board_id):
            return wanted.closing_status_id
        return wanted.closing_statuses.get(ticket.board_id or "")

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


def _reopen_item(ticket: TicketState, request: Request) -> PlanItem:
    return PlanItem(
        key="reopen",
        action="update",
        record=RECORD,
        record_id=ticket.id,
        before={"status_id": ticket.status_id, "is_closed": True},
        after={"is_closed": False},
        reason="The problem is back.",
        request=request,
    )


def is_elsewhere(wanted: WantedTicket, ticket: TicketState) -> bool:
    """Whether a person moved it to another board."""
    home = wanted.first.get("board_id") or wanted.board_id
    return bool(home and ticket.board_id and ticket.board_id != home)


def has_note(notes: Iterable[Note], text: str) -> bool:
    """Blanks and line ends do not count: a PSA may show them otherwise than they were sent."""
    wanted = " ".join(text.split())
    return any(" ".join(note.text.split()) == wanted for note in notes)


def _oldest_first(tickets: Iterable[TicketState]) -> list[TicketState]:
    return sorted(tickets, key=lambda ticket: (len(ticket.id), ticket.id))


def wanted_ids(wanted: WantedTicket, names: Sequence[str]) -> dict[str, Any]:
    """What was chosen, in our words, for the plan's `after`."""
    return {name: getattr(wanted, name) for name in names if getattr(wanted, name)}
