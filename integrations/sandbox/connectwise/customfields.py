"""Custom fields that a partner defines, and their values on records (ConnectWise REST 2026.4, userDefinedFields).

A definition names the screen it stands on. Which identifiers screens have is not public, so the names of the record
kinds are taken. A record shows every field of its screen; what a write leaves out of the array loses its value.
"""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.connectwise.answers import field_error, invalid, not_found_in
from integrations.sandbox.connectwise.calls import Call, page_of
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import KINDS
from integrations.sandbox.connectwise.store import Record

RESOURCE = "userDefinedField"
SCREENS = {
    KINDS[table].journal: table
    for table in ("tickets", "companies", "contacts", "agreements", "additions", "configurations", "catalog")
}
_SCREEN_OF = {table: screen for screen, table in SCREENS.items()}
_NUMBERS = ("Number", "Percent", "Currency")
_NOT_TOLD = ("screenId", "connectWiseID", "addAllBusinessUnits", "removeAllBusinessUnits")
Result = tuple[int, Any]


def told(desk: Desk, call: Call) -> Result:
    """`/info`: the definitions for everybody, without where they stand."""
    rows = page_of(list(desk.store.all("customFields")), call.wish)
    return 200, [{name: value for name, value in row.items() if name not in _NOT_TOLD} for row in rows]


def finish_definition(desk: Desk, record: Record, before: Record | None) -> Record:
    if not 1 <= record["sequenceNumber"] <= 500:
        message = "The field sequenceNumber must be between 1 and 500."
        raise invalid(RESOURCE, [field_error("InvalidField", message, RESOURCE, "sequenceNumber")])
    screen = str(record.get("screenId", "ticket"))
    if screen not in SCREENS:
        message = f"Screen {screen} not found"
        raise invalid(RESOURCE, [not_found_in(RESOURCE, "screenId", message)])
    made = {"dateCreated": desk.now()} if before is None else {}
    return {
        "entryTypeIdentifier": "EntryField",
        "displayOnScreenFlag": True,
        **record,
        **made,
        "screenId": screen,
    }


def show_everywhere(desk: Desk, definition: Record, given: Mapping[str, Any]) -> None:
    """Records that are there already show a new field, without a value."""
    _show_anew(desk, definition)


def show_nowhere(desk: Desk, definition: Record) -> None:
    _show_anew(desk, definition)


def with_custom_fields(desk: Desk, table: str, record: Record) -> Record:
    """The record with one entry for each field of its screen; as it was sent, where nobody defined any."""
    fields = _of(desk, table)
    if not fields:
        return record
    resource = KINDS[table].journal
    values, errors = {}, []
    for entry in record.get("customFields", ()):
        named = entry.get("id") if isinstance(entry, dict) else None
        field = fields.get(named) if isinstance(named, int) else None
        if field is None:
            message = f"Custom field {named} not found"
            errors.append(not_found_in(resource, "customFields/id", message))
        elif _is_wrong(field, entry.get("value")):
            message = f"The custom field {field['caption']} must be a number."
            errors.append(field_error("InvalidField", message, resource, "customFields/value"))
        else:
            values[field["id"]] = entry.get("value")
    if errors:
        raise invalid(resource, errors)
    return {**record, "customFields": [_entry(field, values.get(row_id)) for row_id, field in fields.items()]}


def _show_anew(desk: Desk, definition: Record) -> None:
    table = SCREENS[definition["screenId"]]
    fields = _of(desk, table)
    for record in list(desk.store.all(table)):
        kept = {
            one["id"]: one.get("value") for one in record.get("customFields", ()) if isinstance(one, dict)
        }
        entries = [_entry(field, kept.get(row_id)) for row_id, field in fields.items()]
        desk.store.put(table, {**record, "customFields": entries})


def _of(desk: Desk, table: str) -> dict[int, Record]:
    """Definitions by id, in the order in which they are shown."""
    rows = [row for row in desk.store.all("customFields") if row["screenId"] == _SCREEN_OF.get(table)]
    return {row["id"]: row for row in sorted(rows, key=lambda row: row["sequenceNumber"])}


def _entry(field: Record, value: Any) -> Record:
    entry = {"id": field["id"], "caption": field["caption"], "type": field["fieldTypeIdentifier"]}
    entry |= {"entryMethod": field["entryTypeIdentifier"], "numberOfDecimals": field.get("numberDecimals", 0)}
    return {**entry, "value": value} if value not in (None, "") else entry


def _is_wrong(field: Record, value: Any) -> bool:
    if value in (None, "") or field["fieldTypeIdentifier"] not in _NUMBERS:
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return True
    return False
