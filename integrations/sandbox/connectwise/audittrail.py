"""The audit trail of one record: `/system/audittrail?type=Ticket&id=10001` (ConnectWise REST 2026.4)."""

from typing import Any

from integrations.sandbox.connectwise.answers import bad_request, not_found
from integrations.sandbox.connectwise.auditing import TYPES
from integrations.sandbox.connectwise.calls import Call
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import KINDS
from integrations.sandbox.connectwise.lists import Listing, thinned
from integrations.sandbox.connectwise.resources import RESOURCES
from integrations.sandbox.connectwise.shapes import AUDIT_TRAIL_ENTRY
from integrations.sandbox.connectwise.store import Record, Table, public

Result = tuple[int, Any]
_FUNCTIONS = {one.table: one.function for one in reversed(RESOURCES)}


def listed(desk: Desk, call: Call) -> Result:
    """Oldest first, unless `orderBy` says otherwise. Entries have no ids at the wire."""
    fields = call.wish.query.get("fields", "")
    entries = [_bare(row) for row in _entries(desk, call).page(call.wish).records]
    return 200, [thinned(entry, fields) if fields else entry for entry in entries]


def counted(desk: Desk, call: Call) -> Result:
    return 200, {"count": _entries(desk, call).count(call.wish)}


def _entries(desk: Desk, call: Call) -> Listing:
    asked = call.wish.query.get("type", "").strip().lower()
    name = next((one for one in TYPES if one.lower() == asked), None)
    if name is None:
        raise bad_request("type is required: " + ", ".join(TYPES))
    row_id = call.wish.number("id", 0)
    if not row_id:
        raise bad_request("id is required")
    desk.require(_FUNCTIONS[TYPES[name]], "inquire", record=desk.store.get(TYPES[name], row_id))
    rows = [row for row in desk.store.under("audit", row_id) if row["_type"] == name]
    record = desk.store.get(TYPES[name], row_id)
    if record is None and not rows:
        raise not_found(KINDS[TYPES[name]].journal, row_id)
    table = Table("audit", KINDS["audit"])
    entries = [_creation(name, record)] if record else []
    entries += [_entry(row, text) for row in rows for text in row["texts"]]
    for number, entry in enumerate(entries, start=1):
        table.put({"id": number, **entry})
    return Listing(table, AUDIT_TRAIL_ENTRY, desk.settings.switches, None)


def _creation(name: str, record: Record) -> Record:
    info = record["_info"]
    made = {"enteredDate": info.get("dateEntered", ""), "enteredBy": info.get("enteredBy", "")}
    return {"text": f"{name} {record['id']} was created", **made, **_sort("Added", "API")}


def _entry(row: Record, text: str) -> Record:
    made = {"enteredDate": row["at"], "enteredBy": row["by"]}
    return {"text": text, **made, **_sort("Updated", "PSA" if row["in_psa"] else "API")}


def _sort(what: str, source: str) -> Record:
    return {"auditType": "Record", "auditSubType": what, "auditSource": source}


def _bare(row: Record) -> Record:
    return {name: value for name, value in public(row).items() if name not in ("id", "_info")}
