"""Tickets of ConnectWise: how they look, what to write to open and close one, what an answer proves.

Facts: ConnectWise REST 2026.4, `/service/tickets`; which of them are documented and which only seen stands in
docs/psa/connectwise.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import Rest, Row, id_of, info_of, number, setting_reference, text_of
from integrations.psa.errors import Misconfigured
from integrations.psa.plan import Request
from integrations.psa.port import Note, SignIn, TicketState
from integrations.psa.site import ui_origin
from integrations.psa.texts import cut_summary, cut_text
from integrations.psa.ticketdesk import Closing, TicketDesk, wanted_ids
from integrations.psa.wanted import WantedAddress, WantedTicket

SUMMARY_LENGTH = 100
EXTERNAL_REF_LENGTH = 100
DESCRIPTION_LENGTH = 30_000  # ours: the specification names no limit for initialDescription
FIELDS = (
    "id,summary,externalXRef,closedFlag,board/id,board/name,status/id,status/name,company/id,mergedParentTicket,"
    "priority/id,owner/id,actualHours,parentTicketId,"
    "_info/dateEntered,_info/enteredBy,_info/updatedBy,_info/lastUpdated"
)


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
        parent_id=text_of(row, "parentTicketId").lstrip("0") or None,
        entered_by=text_of(info, "enteredBy"),
        priority_id=id_of(row, "priority"),
        assignee_id=id_of(row, "owner"),
        has_time=bool(row.get("actualHours")),
    )


def moment(text: str) -> datetime | None:
    """ConnectWise writes UTC as `2026-02-01T10:00:00Z`, now and then with fractions."""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Tickets(TicketDesk):
    def __init__(self, rest: Rest, sign_in: SignIn) -> None:
        self._rest = rest
        self._sign_in = sign_in

    def read(self, ticket_id: str) -> tuple[TicketState, Row]:
        row = self._rest.get(f"/service/tickets/{number(ticket_id)}", fields=FIELDS)
        return ticket_state(row, self._sign_in), row

    def search_ref(self, external_ref: str) -> list[TicketState]:
        return self._search(conditions.equals("externalXRef", external_ref))

    def search_recent(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """Asked by `lastUpdated`, which is documented to be filterable; `dateEntered` is not."""
        return self._search(
            conditions.both(
                conditions.since("lastUpdated", since), conditions.starts_with("externalXRef", ref_prefix)
            )
        )

    def _search(self, wanted: str) -> list[TicketState]:
        rows = self._rest.all("/service/tickets", conditions=wanted, fields=FIELDS)
        return [ticket_state(row, self._sign_in) for row in rows]

    def opening(self, wanted: WantedTicket) -> tuple[Request, Mapping[str, Any]]:
        body = _create_body(wanted)
        after = {"summary": body["summary"], "is_closed": False, **wanted_ids(wanted, _CHOSEN)}
        return Request(method="POST", path="/service/tickets", body=body), after

    def closing(self, wanted: WantedTicket, ticket: TicketState, row: Row) -> Closing:
        status_id = self._closing_status(wanted, ticket)
        change = {"op": "replace", "path": "status", "value": setting_reference("closing_status", status_id)}
        request = Request(method="PATCH", path=f"/service/tickets/{number(ticket.id)}", body=[change])
        return Closing(status_id=status_id, request=request)

    def noting(self, ticket_id: str, text: str) -> Request:
        """A note of the discussion; ConnectWise wants at least one kind of note to be marked (field)."""
        return Request(
            method="POST",
            path=f"/service/tickets/{number(ticket_id)}/notes",
            body={"text": cut_text(text, DESCRIPTION_LENGTH), "detailDescriptionFlag": True},
        )

    def reopening(self, wanted: WantedTicket, ticket: TicketState, row: Row) -> Request:
        status_id = wanted.status_id
        if not status_id or wanted.board_id not in (None, ticket.board_id):
            status_id = self._open_status_of(ticket.board_id or "")
        change = {"op": "replace", "path": "status", "value": setting_reference("status", status_id)}
        return Request(method="PATCH", path=f"/service/tickets/{number(ticket.id)}", body=[change])

    def notes(self, ticket_id: str) -> list[Note]:
        rows = self._rest.all(f"/service/tickets/{number(ticket_id)}/notes")
        return [Note(text=text_of(row, "text"), by=text_of(row, "createdBy")) for row in rows]

    def _closing_status(self, wanted: WantedTicket, ticket: TicketState) -> str:
        """The chosen one as long as the ticket is on the chosen board; a technician may have moved it."""
        if chosen := self.chosen_status(wanted, ticket):
            return chosen
        if ticket.board_id is None:
            raise Misconfigured("No closing status is chosen.", field="closing_status", advice=CLOSING_ADVICE)
        return self._closed_status_of(ticket.board_id)

    def _open_status_of(self, board_id: str) -> str:
        rows = self._rest.all(f"/service/boards/{number(board_id)}/statuses")
        usable = [row for row in rows if not row.get("closedStatus") and row.get("inactive") is not True]
        if not usable:
            raise Misconfigured(
                f"Board {board_id} of ConnectWise has no status of an open ticket.",
                field="status",
                advice="Choose an initial status here.",
            )
        return text_of(next((row for row in usable if row.get("defaultFlag")), usable[0]), "id")

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
        "agreement": wanted.agreement_id,
        "site": wanted.site_id,
    }
    return {
        "summary": cut_summary(wanted.summary, SUMMARY_LENGTH),
        "recordType": "ServiceTicket",
        "externalXRef": wanted.external_ref,
        **(
            {"initialDescription": cut_text(wanted.description, DESCRIPTION_LENGTH)}
            if wanted.description
            else {}
        ),
        **{name: setting_reference(name.lower(), value) for name, value in references.items() if value},
        **({"requiredDate": f"{wanted.due_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if wanted.due_at else {}),
        **(_address(wanted.address) if wanted.address else {}),
    }


def _address(address: WantedAddress) -> dict[str, str]:
    fields = {
        "addressLine1": cut_text(address.line_1, 50),
        "addressLine2": cut_text(address.line_2, 50),
        "city": cut_text(address.city, 50),
        "stateIdentifier": cut_text(address.state, 50),
        "zip": cut_text(address.zip, 12),
    }
    return {name: value for name, value in fields.items() if value}


_CHOSEN = (
    "company_id",
    "board_id",
    "status_id",
    "type_id",
    "subtype_id",
    "item_id",
    "priority_id",
    "source_id",
    "contact_id",
    "agreement_id",
    "site_id",
)


def created(row: Row, sign_in: SignIn) -> dict[str, Any]:
    state = ticket_state(row, sign_in)
    return {**state.as_json(), "first": {**state.as_first(), "entered_by": state.entered_by}}


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
