"""Time that people book on a ticket, and the list that shows notes and time together (ConnectWise REST 2026.4).

The API of time entries itself is not part of what integrations of our kind are given; a ticket lists references only,
and `/allNotes` tells their texts.
"""

from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid, not_found
from integrations.sandbox.connectwise.calls import Call, page_of
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import BASE, KINDS
from integrations.sandbox.connectwise.store import Record, Table
from integrations.sandbox.connectwise.tickets import PLACES, as_any_note

RESOURCE = "timeEntry"
Result = tuple[int, Any]


def listed(desk: Desk, call: Call) -> Result:
    return 200, [
        desk.store.reference("timeEntries", row["id"]) for row in page_of(_rows(desk, call), call.wish)
    ]


def counted(desk: Desk, call: Call) -> Result:
    return 200, {"count": len(_rows(desk, call))}


def book(desk: Desk, ticket: Record, hours: float, text: str, place: str) -> Record:
    """What a person enters; a status may forbid it. The ticket counts the hours and was touched by him."""
    status = desk.store.get("statuses", ticket["status"]["id"]) or {}
    if status.get("timeEntryNotAllowed"):
        message = f"Time entry is not allowed in status {status['name']}."
        raise invalid(RESOURCE, [field_error("InvalidObject", message, RESOURCE, "chargeToId")])
    row = {"id": desk.store.new_id("timeEntries"), "ticketId": ticket["id"], "actualHours": hours}
    row |= {"text": text, **{name: name == place for name in PLACES}, "timeEnd": desk.now()}
    saved = desk.save_new("timeEntries", {**row, "createdBy": desk.actor, "dateCreated": desk.now()})
    desk.save("tickets", {**ticket, "actualHours": ticket.get("actualHours", 0.0) + hours})
    return saved


def with_notes(desk: Desk, ticket_id: int) -> Table:
    """Notes, then what was written with time."""
    found = Table("allNotes", KINDS["notes"])
    for note in desk.store.under("notes", ticket_id):
        found.put(note)
    for entry in desk.store.under("timeEntries", ticket_id):
        found.put({**entry, "_time": True})
    return found


def as_note(row: Record) -> Record:
    """As `/allNotes` shows it."""
    if not row.get("_time"):
        return as_any_note(row)
    href = BASE + KINDS["tickets"].href.format(id=row["ticketId"])
    flags = {place: row[place] for place in PLACES}
    fixed = {"issueFlag": False, "bundledFlag": False, "mergedFlag": False, "isMarkdownFlag": False}
    return {
        "id": row["id"],
        "noteType": "TimeEntryNote",
        "ticket": {"id": row["ticketId"], "_info": {"ticket_href": href}},
        "text": row["text"],
        **flags,
        **fixed,
        "timeEnd": row["timeEnd"],
        "originalAuthor": row["createdBy"],
        "_info": row["_info"],
    }


def _rows(desk: Desk, call: Call) -> list[Record]:
    if desk.store.get("tickets", call.ids[0]) is None:
        raise not_found("ticket", call.ids[0])
    return desk.store.under("timeEntries", call.ids[0])
