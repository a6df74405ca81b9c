"""Merging tickets and making them children of one (ConnectWise REST 2026.4, /service/tickets).

A merged ticket is closed by the status that has to be sent along, and names the one it went into. What becomes of its
notes is not documented, hence a switch.
"""

from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid, missing, not_found, not_found_in
from integrations.sandbox.connectwise.calls import Call
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.resources import TICKETS, Collection
from integrations.sandbox.connectwise.slaclocks import as_of
from integrations.sandbox.connectwise.store import Record

Result = tuple[int, Any]
SUCCESS = {"success": True, "message": "Success"}


def merge(desk: Desk, call: Call) -> Result:
    parent, given = _ticket(desk, call.ids[0]), call.fields()
    errors = [missing("ticketMerge", name) for name in ("mergeTicketIds", "status") if not given.get(name)]
    if errors:
        raise invalid("ticketMerge", errors)
    children = _tickets(desk, given["mergeTicketIds"], "ticketMerge", "mergeTicketIds")
    for child in children:
        if child["id"] == parent["id"]:
            raise _refused("ticketMerge", "mergeTicketIds", "A ticket cannot be merged into itself.")
        if child.get("mergedParentTicket"):
            raise _refused("ticketMerge", "mergeTicketIds", f"Ticket {child['id']} has been merged already.")
    for child in children:
        merge_one(desk, child, parent, given["status"])
    return 200, SUCCESS


def merge_one(desk: Desk, child: Record, parent: Record, status: Any) -> Record:
    """Close the child with the status, name the parent on it, and mark the parent."""
    closed = Collection(TICKETS, desk, None).change(child, {"status": status})
    merged = {**closed, "mergedParentTicket": desk.store.reference("tickets", parent["id"])}
    if desk.settings.switches.merged_notes == "move":
        for note in desk.store.under("notes", child["id"]):
            desk.save("notes", {**note, "ticketId": parent["id"]})
    current = desk.store.get("tickets", parent["id"]) or parent
    desk.save("tickets", {**current, "hasMergedChildTicketFlag": True})
    return desk.save("tickets", merged)


def attach_children(desk: Desk, call: Call) -> Result:
    parent, given = _ticket(desk, call.ids[0]), call.fields()
    if not given.get("childTicketIds"):
        raise invalid("ticketBundle", [missing("ticketBundle", "childTicketIds")])
    if parent.get("parentTicketId"):
        raise _refused("ticketBundle", "childTicketIds", "A child ticket cannot have children of its own.")
    children = _tickets(desk, given["childTicketIds"], "ticketBundle", "childTicketIds")
    for child in children:
        if child["id"] == parent["id"] or child.get("hasChildTicket"):
            raise _refused("ticketBundle", "childTicketIds", f"Ticket {child['id']} cannot become a child.")
    for child in children:
        desk.save("tickets", {**child, "parentTicketId": parent["id"]})
    desk.save("tickets", {**parent, "hasChildTicket": True})
    return 200, SUCCESS


def convert(desk: Desk, call: Call) -> Result:
    ticket, given = _ticket(desk, call.ids[0]), call.fields()
    errors = [missing("convertToProject", name) for name in ("phase", "wbsCode") if not given.get(name)]
    if errors:
        raise invalid("convertToProject", errors)
    convert_one(desk, ticket, str(given.get("recordType") or "ProjectTicket"))
    return 200, SUCCESS


def convert_one(desk: Desk, ticket: Record, record_type: str = "ProjectTicket") -> Record:
    """The ticket belongs to a project from now on; whether service tickets still show it is a switch."""
    if record_type not in ("ProjectTicket", "ProjectIssue"):
        raise _refused(
            "convertToProject", "recordType", "A ticket becomes a ProjectTicket or a ProjectIssue."
        )
    return desk.save("tickets", {**ticket, "recordType": record_type})


def calculated_sla(desk: Desk, call: Call) -> Result:
    """The tickets asked for, with their clocks as of now."""
    collection = Collection(TICKETS, desk, None)
    now = desk.clock()
    return 200, [collection.shown(as_of(desk, row, now)) for row in collection.page(call.wish).records]


def nothing(desk: Desk, call: Call) -> Result:
    """Products of a ticket: nobody here enters any."""
    _ticket(desk, call.ids[0])
    return 200, []


def no_count(desk: Desk, call: Call) -> Result:
    _ticket(desk, call.ids[0])
    return 200, {"count": 0}


def _ticket(desk: Desk, row_id: int) -> Record:
    found = desk.store.get("tickets", row_id)
    if found is None:
        raise not_found("ticket", row_id)
    return found


def _tickets(desk: Desk, ids: Any, resource: str, field: str) -> list[Record]:
    if not isinstance(ids, list) or not all(str(one).isdigit() for one in ids):
        raise _refused(resource, field, f"The field {field} must be an array of ids.")
    found = {int(one): desk.store.get("tickets", int(one)) for one in ids}
    errors = [
        not_found_in(resource, field, f"Ticket {row_id} not found")
        for row_id, row in found.items()
        if not row
    ]
    if errors:
        raise invalid(resource, errors)
    return [row for row in found.values() if row]


def _refused(resource: str, field: str, message: str) -> Exception:
    return invalid(resource, [field_error("InvalidObject", message, resource, field)])
