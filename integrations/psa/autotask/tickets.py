"""Tickets of Autotask: how they look, what to write to open and close one, what proves that it was taken.

A create answers nothing but the id, and a PATCH not even what came of it: the number is learned when the ticket is
read for closing, and a close is read back. Facts and their sources: docs/psa/autotask.md, "Tickets".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.psa.autotask import filters
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.opening import NEW, Opening
from integrations.psa.autotask.options import COMPLETE
from integrations.psa.autotask.rest import Rest, Row, id_of, moment, number, text_of
from integrations.psa.errors import Misconfigured, NotPermitted, PsaError, Rejected
from integrations.psa.plan import Request
from integrations.psa.port import Note, TicketState
from integrations.psa.texts import cut_summary, cut_text
from integrations.psa.ticketdesk import Closing, TicketDesk
from integrations.psa.wanted import WantedTicket

NOTE_TITLE_LENGTH = 250
NOTE_LENGTH = 32_000
INTERNAL = "2"  # who may read a note; 1 turned out to reach customers in one database (seen)
PAUSE = 1.5  # a workflow rule takes that long to put a status back (seen)
FIELDS = (
    "id",
    "ticketNumber",
    "title",
    "externalID",
    "status",
    "queueID",
    "companyID",
    "createDate",
    "lastActivityResourceID",
    "creatorResourceID",
    "priority",
    "assignedResourceID",
    "problemTicketId",
)
FIRST = {
    "status_id": "status",
    "priority_id": "priority",
    "board_id": "queueID",
    "company_id": "companyID",
    "summary": "title",
}
# The note on the merged ticket names the other one; the note on that other one names this one, so the order counts.
_MERGED_INTO = re.compile(r"\bmerged (?:in)?to\b.{0,60}?\b(T\d{8}\.\d{4,})\b", re.IGNORECASE | re.DOTALL)
CLOSING_ADVICE = (
    "Only the status Complete closes a ticket of Autotask. Choose it as closing status here; if it was put back, look"
    " at Admin > Automation > Workflow Rules for a rule of this queue that changes the status."
)


def ticket_url(web_url: str, ticket_id: str) -> str:
    """Opens the ticket in a browser (seen; the documented ExecuteCommand page leads to the same)."""
    return f"{web_url}/Mvc/ServiceDesk/TicketDetail.mvc?ticketId={ticket_id}" if web_url else ""


class Tickets(TicketDesk):
    def __init__(self, rest: Rest, metadata: Metadata, pause: Callable[[float], None] = time.sleep) -> None:
        self._rest = rest
        self._metadata = metadata
        self._opening = Opening(metadata)
        self._pause = pause

    # --- Reading ------------------------------------------------------------------------------------------------

    def read(self, ticket_id: str) -> tuple[TicketState, Row]:
        """One read; two more when it is closed, to learn whether it was merged into another."""
        row = self._rest.get("Tickets", ticket_id)
        return self._state(row, self._merged_into(row)), row

    def search_ref(self, external_ref: str) -> list[TicketState]:
        return self._search(filters.equals("externalID", external_ref))

    def search_recent(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        return self._search(filters.since("createDate", since), filters.starts_with("externalID", ref_prefix))

    def _search(self, *conditions: filters.Condition) -> list[TicketState]:
        rows = self._rest.all("Tickets", *conditions, fields=FIELDS)
        return [self._state(row) for row in rows]

    def _state(self, row: Row, merged_into: str | None = None) -> TicketState:
        ticket_id = text_of(row, "id")
        return TicketState(
            id=ticket_id,
            number=text_of(row, "ticketNumber"),
            url=ticket_url(self._rest.zone().web_url, ticket_id),
            external_ref=text_of(row, "externalID"),
            summary=text_of(row, "title"),
            is_closed=id_of(row, "status") == COMPLETE,
            board_id=id_of(row, "queueID"),
            status_id=id_of(row, "status"),
            company_id=id_of(row, "companyID"),
            updated_by=text_of(row, "lastActivityResourceID"),
            entered_at=moment(text_of(row, "createDate")),
            merged_into=merged_into,
            parent_id=id_of(row, "problemTicketId"),
            entered_by=text_of(row, "creatorResourceID"),
            priority_id=id_of(row, "priority"),
            assignee_id=id_of(row, "assignedResourceID"),
        )

    def _merged_into(self, row: Row) -> str | None:
        """A merge completes the ticket and leaves a system note with the number of the other one; no field tells."""
        if id_of(row, "status") != COMPLETE:
            return None
        own = text_of(row, "ticketNumber")
        notes = self._rest.all(
            "TicketNotes",
            filters.equals("ticketID", number(text_of(row, "id"))),
            fields=("id", "ticketID", "title", "description"),
        )
        for note in sorted(notes, key=lambda note: number(text_of(note, "id")), reverse=True):
            if other := merge_target(note, own):
                return self._with_number(other)
        return None

    def _with_number(self, ticket_number: str) -> str | None:
        rows = self._rest.first(
            "Tickets", filters.equals("ticketNumber", ticket_number), fields=("id", "ticketNumber")
        )
        return next(
            (text_of(row, "id") for row in rows if text_of(row, "ticketNumber") == ticket_number), None
        )

    # --- Writing ------------------------------------------------------------------------------------------------

    def opening(self, wanted: WantedTicket) -> tuple[Request, Mapping[str, Any]]:
        return self._opening.request(wanted, datetime.now(UTC))

    def closing(self, wanted: WantedTicket, ticket: TicketState, row: Row) -> Closing:
        """Some databases want a resolution for closing, so the note goes there; one that a technician wrote is left
        alone (the note is then a note)."""
        status_id = wanted.closing_status_id or COMPLETE
        body: dict[str, Any] = {"id": number(ticket.id), "status": number(status_id, "closing_status")}
        has_resolution = bool(text_of(row, "resolution"))
        if not has_resolution:
            body["resolution"] = cut_text(wanted.note or "The problem is over.", NOTE_LENGTH)
        request = Request(method="PATCH", path="/Tickets", body=body)
        return Closing(status_id=status_id, request=request, has_note=not has_resolution)

    def noting(self, ticket_id: str, text: str) -> Request:
        return Request(
            method="POST",
            path=f"/Tickets/{number(ticket_id)}/Notes",
            body={
                "title": cut_summary(text, NOTE_TITLE_LENGTH),
                "description": cut_text(text, NOTE_LENGTH),
                "noteType": number(self._note_kind()),
                "publish": number(INTERNAL),
            },
        )

    def reopening(self, wanted: WantedTicket, ticket: TicketState, row: Row) -> Request:
        body = {"id": number(ticket.id), "status": number(wanted.status_id or NEW, "status")}
        return Request(method="PATCH", path="/Tickets", body=body)

    def notes(self, ticket_id: str) -> list[Note]:
        """Those of people: what Autotask writes by itself (workflow rules and the like) has no creator."""
        rows = self._rest.all(
            "TicketNotes",
            filters.equals("ticketID", number(ticket_id)),
            fields=("id", "ticketID", "description", "creatorResourceID"),
        )
        return [Note(text=text_of(row, "description"), by=text_of(row, "creatorResourceID")) for row in rows]

    def _note_kind(self) -> str:
        """ "Task Notes" where there is one; system kinds such as those of workflow rules are not for us."""
        try:
            field = self._metadata.fields("TicketNotes").get("notetype")
        except (NotPermitted, Rejected):
            field = None
        chosen = (
            (field.labelled("Task Notes", "Task Detail", "Task Summary") or field.default())
            if field
            else None
        )
        return chosen.id if chosen else "1"

    # --- What was written ---------------------------------------------------------------------------------------

    def created(self, record_id: str, body: Row) -> dict[str, Any]:
        """All that a create tells; the number comes with the first read (`found` of the closing plan)."""
        url = ticket_url(self._rest.zone().web_url, record_id)
        first = {ours: text_of(body, theirs) for ours, theirs in FIRST.items() if theirs in body}
        first["assignee_id"] = ""  # neither we nor a category assigns it to anybody
        return {"id": record_id, "number": "", "url": url, "is_closed": False, "first": first}

    def proven_closed(self, record_id: str, wanted_status: Any) -> dict[str, Any]:
        """Read back: an answer that says yes is no proof (seen: rules put the status back a moment later)."""
        try:
            ticket = self._state(self._rest.get("Tickets", record_id))
            if not ticket.is_closed:
                self._pause(PAUSE)
                ticket = self._state(self._rest.get("Tickets", record_id))
        except PsaError as error:
            error.outcome_unknown = True
            raise
        if not ticket.is_closed:
            raise _not_closed(ticket, str(wanted_status))
        return ticket.as_json()


def merge_target(note: Row, own_number: str) -> str:
    text = f"{text_of(note, 'title')} {text_of(note, 'description')}"
    return next((other for other in _MERGED_INTO.findall(text) if other != own_number), "")


def _not_closed(ticket: TicketState, wanted_status: str) -> Misconfigured:
    text = (
        f"Status {wanted_status} does not close tickets."
        if ticket.status_id == wanted_status
        else f"Autotask has ticket {ticket.number} at status {ticket.status_id} again; a rule does not let it close."
    )
    return Misconfigured(text, field="closing_status", advice=CLOSING_ADVICE)
