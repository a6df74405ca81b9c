"""Tickets of ConnectWise: how they look, what to write to open and close one, what an answer proves.

Facts: ConnectWise REST 2026.4, `/service/tickets`; which of them are documented and which only seen stands in
docs/psa/connectwise.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import Rest, Row, id_of, info_of, number, setting_reference, text_of
from integrations.psa.errors import Misconfigured
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import SignIn, TicketState
from integrations.psa.site import ui_origin
from integrations.psa.wanted import WantedTicket

SUMMARY_LENGTH = 100
EXTERNAL_REF_LENGTH = 100
DESCRIPTION_LENGTH = 30_000  # ours: the specification names no limit for initialDescription
FIELDS = (
    "id,summary,externalXRef,closedFlag,board/id,board/name,status/id,status/name,company/id,mergedParentTicket,"
    "_info/dateEntered,_info/updatedBy,_info/lastUpdated"
)
_ELLIPSIS = " … "


def ticket_url(sign_in: SignIn, ticket_id: str) -> str:
    """Opens the ticket in a browser. Seen in the field on cloud and on-premise; needs no codebase of the day."""
    origin = f"{ui_origin(sign_in.site)}/v4_6_release/services/system_io/Service/fv_sr100_request.rails"
    return f"{origin}?service_recid={ticket_id}&companyName={_url_text(sign_in.login_company)}"


def _url_text(text: str) -> str:
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-.") else "" for letter in text
    )


def ticket_state(row: Row, sign_in: SignIn) -> TicketState:
    ticket_id = text_of(row, "id")
    info = info_of(row)
    return TicketState(
        id=ticket_id,
        number=ticket_id,
        url=ticket_url(sign_in, ticket_id),
        external_ref=text_of(row, "externalXRef"),
        summary=text_of(row, "summary"),
        is_closed=row.get("closedFlag") is True,
        board_id=id_of(row, "board"),
        status_id=id_of(row, "status"),
        company_id=id_of(row, "company"),
        updated_by=text_of(info, "updatedBy"),
        entered_at=moment(text_of(info, "dateEntered")),
        merged_into=id_of(row, "mergedParentTicket"),
    )


def moment(text: str) -> datetime | None:
    """ConnectWise writes UTC as `2026-02-01T10:00:00Z`, now and then with fractions."""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Tickets:
    def __init__(self, rest: Rest, sign_in: SignIn) -> None:
        self._rest = rest
        self._sign_in = sign_in

    def one(self, ticket_id: str) -> TicketState:
        row = self._rest.get(f"/service/tickets/{number(ticket_id)}", fields=FIELDS)
        return ticket_state(row, self._sign_in)

    def with_ref(self, external_ref: str) -> list[TicketState]:
        found = self._search(conditions.equals("externalXRef", external_ref))
        return [ticket for ticket in found if ticket.external_ref == external_ref]

    def recent(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """Asked by `lastUpdated`, which is documented to be filterable; `dateEntered` is not."""
        found = self._search(
            conditions.both(
                conditions.since("lastUpdated", since), conditions.starts_with("externalXRef", ref_prefix)
            )
        )
        ours = [ticket for ticket in found if ticket.external_ref.startswith(ref_prefix)]
        return [ticket for ticket in ours if ticket.entered_at is None or ticket.entered_at >= since]

    def _search(self, wanted: str) -> list[TicketState]:
        rows = self._rest.all("/service/tickets", conditions=wanted, fields=FIELDS)
        tickets = [ticket_state(row, self._sign_in) for row in rows]
        return sorted(tickets, key=lambda ticket: (len(ticket.id), ticket.id))

    def plan(self, wanted: WantedTicket) -> Plan:
        if wanted.state == "closed":
            return self._plan_close(wanted)
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, items=(create_item(wanted),))
        notes = (note_item(wanted, wanted.known_id, wanted.note),) if wanted.note else ()
        return Plan(subject=wanted.external_ref, items=notes, unchanged=() if notes else ("ticket",))

    def _plan_close(self, wanted: WantedTicket) -> Plan:
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",))
        ticket = self.one(wanted.known_id)
        found = _found(ticket)
        if ticket.merged_into:
            return _plan_merged(wanted, ticket)
        if ticket.is_closed:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",), found=found)
        items = [self._close_item(wanted, ticket)]
        if wanted.note:
            items.append(note_item(wanted, ticket.id, wanted.note))
        return Plan(subject=wanted.external_ref, items=tuple(items), found=found)

    def _close_item(self, wanted: WantedTicket, ticket: TicketState) -> PlanItem:
        status_id = self._closing_status(wanted, ticket)
        change = {"op": "replace", "path": "status", "value": setting_reference("closing_status", status_id)}
        return PlanItem(
            key="close",
            action="update",
            record="ticket",
            record_id=ticket.id,
            before={"status_id": ticket.status_id, "is_closed": False},
            after={"status_id": status_id, "is_closed": True},
            reason="The problem is over.",
            request=Request(method="PATCH", path=f"/service/tickets/{number(ticket.id)}", body=[change]),
        )

    def _closing_status(self, wanted: WantedTicket, ticket: TicketState) -> str:
        """The chosen one as long as the ticket is on the chosen board; a technician may have moved it."""
        is_at_home = wanted.board_id is None or ticket.board_id in (None, wanted.board_id)
        if wanted.closing_status_id and is_at_home:
            return wanted.closing_status_id
        if ticket.board_id is None:
            raise Misconfigured("No closing status is chosen.", field="closing_status", advice=CLOSING_ADVICE)
        return self._closed_status_of(ticket.board_id)

    def _closed_status_of(self, board_id: str) -> str:
        rows = self._rest.all(f"/service/boards/{number(board_id)}/statuses")
        closed = [row for row in rows if row.get("closedStatus") is True and row.get("inactive") is not True]
        if not closed:
            raise Misconfigured(
                f"Board {board_id} of ConnectWise has no status that closes a ticket.",
                field="closing_status",
                advice=CLOSING_ADVICE,
            )
        return text_of(min(closed, key=_closes_best), "id")


CLOSING_ADVICE = (
    "In ConnectWise, System > Setup Tables > Service Board > (board) > Statuses: one active status must be marked"
    " Closed. Then choose it as closing status here."
)


def _closes_best(row: Row) -> tuple[int, int, int]:
    """A status that is simply called closed goes before "Cancelled" and the like; then the board's own order."""
    name = text_of(row, "name").strip(" >").lower()
    rank = 0 if name == "closed" else 1 if name.startswith(("closed", "completed", "resolved")) else 2
    return rank, _whole(row.get("sortOrder")), _whole(row.get("id"))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _plan_merged(wanted: WantedTicket, ticket: TicketState) -> Plan:
    """The parent may hold other people's problems too: it gets a note, and a person closes it."""
    parent = ticket.merged_into or ""
    text = wanted.note or f"The problem of ticket #{ticket.number}, which was merged into this one, is over."
    return Plan(
        subject=wanted.external_ref,
        items=(note_item(wanted, parent, text),),
        findings=(
            Finding(
                key="ticket",
                code="merged",
                text=f"Ticket #{ticket.number} was merged into #{parent}; #{parent} gets a note and stays open.",
            ),
        ),
        found=_found(ticket),
    )


def _found(ticket: TicketState) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "number": ticket.number,
        "url": ticket.url,
        "is_closed": ticket.is_closed,
        "status_id": ticket.status_id,
        "board_id": ticket.board_id,
        "merged_into": ticket.merged_into,
        "updated_by": ticket.updated_by,
    }


def create_item(wanted: WantedTicket) -> PlanItem:
    """Our key travels with the create itself, so that a create with an unknown outcome can be found again."""
    body = _create_body(wanted)
    return PlanItem(
        key="create",
        action="create",
        record="ticket",
        record_id=None,
        before={},
        after={"summary": body["summary"], "is_closed": False, **_wanted_ids(wanted)},
        reason="The problem has no ticket yet.",
        request=Request(method="POST", path="/service/tickets", body=body),
    )


def _create_body(wanted: WantedTicket) -> dict[str, Any]:
    """Fields without a value are left out: ConnectWise then fills in the board's defaults."""
    if len(wanted.external_ref) > EXTERNAL_REF_LENGTH:
        raise ValueError("external_ref is longer than externalXRef")
    references = {
        "company": wanted.company_id,
        "board": wanted.board_id,
        "status": wanted.status_id,
        "type": wanted.type_id,
        "subType": wanted.subtype_id,
        "item": wanted.item_id,
        "priority": wanted.priority_id,
        "source": wanted.source_id,
        "contact": wanted.contact_id,
    }
    return {
        "summary": cut_summary(wanted.summary),
        "recordType": "ServiceTicket",
        "externalXRef": wanted.external_ref,
        **(
            {"initialDescription": cut_text(wanted.description, DESCRIPTION_LENGTH)}
            if wanted.description
            else {}
        ),
        **{name: setting_reference(name.lower(), value) for name, value in references.items() if value},
    }


def _wanted_ids(wanted: WantedTicket) -> dict[str, Any]:
    names = (
        "company_id",
        "board_id",
        "status_id",
        "type_id",
        "subtype_id",
        "item_id",
        "priority_id",
        "source_id",
    )
    return {name: getattr(wanted, name) for name in names if getattr(wanted, name)}


def cut_text(text: str, length: int) -> str:
    """At most that long, without NUL: answers are read without it, so it would look like a change for ever."""
    return text.replace("\0", "")[:length]


def cut_summary(summary: str, length: int = SUMMARY_LENGTH) -> str:
    """One line of at most that length. What is cut goes from the middle: the tail tells which thing it is about."""
    line = " ".join(summary.replace("\0", "").split())
    if len(line) <= length:
        return line
    tail = (length - len(_ELLIPSIS)) // 3
    head = length - len(_ELLIPSIS) - tail
    return f"{line[:head].rstrip()}{_ELLIPSIS}{line[-tail:].lstrip()}"


def note_item(wanted: WantedTicket, ticket_id: str, text: str) -> PlanItem:
    """A note of the discussion; ConnectWise wants at least one kind of note to be marked (field)."""
    return PlanItem(
        key="note",
        action="note",
        record="ticket",
        record_id=ticket_id,
        before={},
        after={"text": text},
        reason="The ticket is told what happened.",
        request=Request(
            method="POST",
            path=f"/service/tickets/{number(ticket_id)}/notes",
            body={"text": cut_text(text, DESCRIPTION_LENGTH), "detailDescriptionFlag": True},
        ),
    )


def created(row: Row, sign_in: SignIn) -> dict[str, Any]:
    return _found(ticket_state(row, sign_in))


def require_closed(row: Row, wanted_status: Any) -> None:
    """A board's rules may bounce a change with 200 and the old status, so the answer itself is the proof."""
    status_id = id_of(row, "status")
    is_there = status_id in (None, str(wanted_status))
    if row.get("closedFlag") is True or ("closedFlag" not in row and is_there):
        return
    text = (
        f"Status {wanted_status} does not close tickets of this board."
        if is_there
        else f"ConnectWise put the ticket back to status {status_id}; a rule of its board does not let it close."
    )
    raise Misconfigured(text, field="closing_status", advice=CLOSING_ADVICE)


__all__ = ["Tickets", "created", "cut_summary", "cut_text", "require_closed", "ticket_state", "ticket_url"]
