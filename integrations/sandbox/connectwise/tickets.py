"""The rules of service tickets and their notes (ConnectWise REST 2026.4, /service/tickets).

A board has its own statuses, types, subtypes and items; whether a ticket is closed follows from its status alone.
"""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid, missing, not_found_in
from integrations.sandbox.connectwise.companies import default_contact, default_site
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import BASE, KINDS
from integrations.sandbox.connectwise.slaclocks import on_the_clock
from integrations.sandbox.connectwise.store import Record

PLACES = ("detailDescriptionFlag", "internalAnalysisFlag", "resolutionFlag")
_FIRST_NOTES = dict(
    zip(("initialDescription", "initialInternalAnalysis", "initialResolution"), PLACES, strict=True)
)
_BOARD_BOUND = {"type": "types", "subType": "subtypes", "item": "items", "team": "teams"}


def prepare_ticket(desk: Desk, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without a board the ticket goes to the first active one, as if that were the member's default."""
    if given.get("board"):
        return given
    if desk.settings.switches.board_default == "reject":
        return given
    boards = (board for board in desk.store.all("boards") if not board.get("inactiveFlag"))
    return {**given, "board": {"id": next(boards)["id"]}}


def finish_ticket(desk: Desk, record: Record, before: Record | None) -> Record:
    """Defaults for a new ticket, then what follows from board, status and company."""
    if "board" not in record:
        raise invalid("ticket", [missing("ticket", "board")])
    if before is None:
        record = {"id": record["id"], **_new_ticket(desk, record), **record}
    record = _on_its_board(desk, record)
    record = _of_its_company(desk, record, before)
    _check_association(desk, record)
    return on_the_clock(desk, _closed_or_open(desk, record, before), before)


def is_hidden(desk: Desk, record: Record) -> bool:
    """Project tickets are elsewhere, when the switch says so."""
    gone = desk.settings.switches.project_tickets == "hidden"
    return gone and record.get("recordType") not in (None, "ServiceTicket")


def after_ticket(desk: Desk, record: Record, given: Mapping[str, Any]) -> None:
    """The texts sent along with a new ticket become its first notes."""
    for name, place in _FIRST_NOTES.items():
        if str(given.get(name) or "").strip():
            add_note(desk, record["id"], {"text": str(given[name]), place: True})


def add_note(desk: Desk, ticket_id: int, note: Record) -> Record:
    row_id = desk.store.new_id("notes")
    return desk.save_new("notes", finish_note(desk, {"id": row_id, "ticketId": ticket_id, **note}, None))


def after_note(desk: Desk, record: Record, given: Mapping[str, Any]) -> None:
    """A note is a change of its ticket, unless a switch has it otherwise."""
    ticket = desk.store.get("tickets", record["ticketId"])
    if ticket and desk.settings.switches.note_moves_ticket:
        desk.save("tickets", ticket)


def finish_note(desk: Desk, record: Record, before: Record | None) -> Record:
    if not str(record.get("text", "")).strip():
        raise invalid("serviceNote", [missing("serviceNote", "text")])
    flags = {place: bool(record.get(place)) for place in (*PLACES, "issueFlag")}
    if not any(flags.values()) and desk.settings.switches.note_without_flag == "reject":
        message = "One of " + ", ".join(PLACES) + " is required."
        raise invalid("serviceNote", [field_error("MissingRequiredField", message, "serviceNote", PLACES[0])])
    made = {"dateCreated": desk.now(), "createdBy": desk.actor} if before is None else {}
    internal = flags["internalAnalysisFlag"] and not flags["detailDescriptionFlag"]
    text = str(record["text"])
    if desk.settings.switches.newlines == "space":
        text = " ".join(text.splitlines())
    return {**record, "text": text, **flags, **made, "internalFlag": internal, "externalFlag": not internal}


def as_any_note(note: Record) -> Record:
    """A note the way `/allNotes` shows it, where it stands beside notes of time entries."""
    shown = {
        name: value for name, value in note.items() if name in ("id", "text", "member", "contact", "_info")
    }
    href = BASE + KINDS["tickets"].href.format(id=note["ticketId"])
    ticket = {"id": note["ticketId"], "_info": {"ticket_href": href}}
    flags = {place: note[place] for place in (*PLACES, "issueFlag")}
    fixed = {"noteType": "TicketNote", "bundledFlag": False, "mergedFlag": False, "isMarkdownFlag": False}
    return {**shown, **flags, **fixed, "ticket": ticket, "originalAuthor": note["createdBy"]}


def closed_status(desk: Desk, board_id: int) -> Record:
    """The first status of the board that closes."""
    return next(one for one in desk.store.under("statuses", board_id) if one["closedStatus"])


def default_status(desk: Desk, board_id: int) -> Record:
    rows = desk.store.under("statuses", board_id)
    return next((one for one in rows if one.get("defaultFlag")), rows[0])


def _new_ticket(desk: Desk, record: Record) -> Record:
    board = desk.store.get("boards", record["board"]["id"]) or {}
    priorities = [one for one in desk.store.all("priorities") if one.get("defaultFlag")]
    defaults: Record = {
        "recordType": "ServiceTicket",
        "status": desk.store.reference("statuses", default_status(desk, board["id"])["id"]),
        "severity": "Medium",
        "impact": "Medium",
        "location": board.get("location"),
        "department": board.get("department"),
        "hasChildTicket": False,
        "hasMergedChildTicketFlag": False,
        "customerUpdatedFlag": False,
        "actualHours": 0.0,
        "approved": False,
        "requestForChangeFlag": False,
        "integratorTags": [],
    }
    if priorities:
        defaults["priority"] = desk.store.reference("priorities", priorities[0]["id"])
    if not desk.settings.switches.contact_default:
        return defaults
    contact = default_contact(desk, record["company"]["id"])
    return {**defaults, "contact": contact} if contact else defaults


def _on_its_board(desk: Desk, record: Record) -> Record:
    """Refuse a status of another board; refuse or drop types left over from one, as the switch says."""
    board_id = record["board"]["id"]
    status = record.get("status") or desk.store.reference("statuses", default_status(desk, board_id)["id"])
    errors = (
        []
        if _is_on(desk, "statuses", status, board_id)
        else [_not_on_board("statuses", "status", status, board_id)]
    )
    stale = {
        name: table
        for name, table in _BOARD_BOUND.items()
        if name in record and not _is_on(desk, table, record[name], board_id)
    }
    if desk.settings.switches.stale_type == "reject" and not desk.is_technician:
        errors += [_not_on_board(table, name, record[name], board_id) for name, table in stale.items()]
    if errors:
        raise invalid("ticket", errors)
    return {**{name: value for name, value in record.items() if name not in stale}, "status": status}


def _is_on(desk: Desk, table: str, reference: Record, board_id: int) -> bool:
    row = desk.store.get(table, reference["id"])
    return row is not None and desk.store.table(table).parent_of(row) == board_id


def _not_on_board(table: str, name: str, reference: Record, board_id: int) -> dict[str, Any]:
    message = f"{KINDS[table].shown_as} {reference['id']} not found for Service Board {board_id}"
    return not_found_in("ticket", f"{name}/id", message)


def _of_its_company(desk: Desk, record: Record, before: Record | None) -> Record:
    """A ticket whose company changes takes the new company's site and contact unless some were sent."""
    company_id = record["company"]["id"]
    if before is not None and before["company"]["id"] != company_id:
        record = {name: value for name, value in record.items() if not _left_over(name, record, before)}
        if desk.settings.switches.contact_default and (contact := default_contact(desk, company_id)):
            record.setdefault("contact", contact)
    site = record.get("site") or default_site(desk, company_id)
    return {**record, "site": site, "siteName": site["name"]} if site else record


def _left_over(name: str, record: Record, before: Record) -> bool:
    return name in ("site", "siteName", "contact") and record[name] == before.get(name)


def _check_association(desk: Desk, record: Record) -> None:
    """Type, subtype and item must be a triple the board knows, as far as they are given."""
    wanted = {name: record[name]["id"] for name in ("type", "subType", "item") if name in record}
    if len(wanted) < 2 or desk.settings.switches.wrong_triple == "accept":
        return
    for row in desk.store.under("associations", record["board"]["id"]):
        if all(row.get(name, {}).get("id") == row_id for name, row_id in wanted.items()):
            return
    message = "The type, subtype and item are not associated on this board."
    raise invalid("ticket", [field_error("InvalidObject", message, "ticket", "subType")])


def _closed_or_open(desk: Desk, record: Record, before: Record | None) -> Record:
    status = desk.store.get("statuses", record["status"]["id"]) or {}
    closed, was_closed = bool(status.get("closedStatus")), bool(before and before.get("closedFlag"))
    if closed and not was_closed:
        for right in ("inquire", "edit"):
            desk.require("close_service_tickets", right, record=record)
        if desk.settings.switches.close_needs_type and "type" not in record and not desk.is_technician:
            raise invalid("ticket", [missing("ticket", "type")])
        return {**record, "closedFlag": True, "closedDate": desk.now(), "closedBy": desk.actor}
    if closed:
        return record
    kept = {name: value for name, value in record.items() if name not in ("closedDate", "closedBy")}
    return {**kept, "closedFlag": False}
