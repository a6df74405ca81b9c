"""Configurations of tickets and agreements, and many configurations at once (ConnectWise REST 2026.4).

A ticket and an agreement keep the ids of their configurations; lists of them hold references only.
"""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.connectwise.answers import (
    Refused,
    field_error,
    invalid,
    not_found,
    not_found_in,
)
from integrations.sandbox.connectwise.calls import Call, page_of
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.resources import RESOURCES, Collection
from integrations.sandbox.connectwise.store import Record

RESOURCE = "configurationReference"
IDS = "_configurations"
Result = tuple[int, Any]
_CONFIGURATIONS = next(one for one in RESOURCES if one.table == "configurations")


def configurations(desk: Desk, call: Call) -> Result:
    return 200, [_shown(desk, row_id) for row_id in page_of(_ids(_owner(desk, call)[1]), call.wish)]


def count(desk: Desk, call: Call) -> Result:
    return 200, {"count": len(_ids(_owner(desk, call)[1]))}


def one(desk: Desk, call: Call) -> Result:
    return 200, _shown(desk, _attached(_owner(desk, call)[1], call.ids[1]))


def attach(desk: Desk, call: Call) -> Result:
    table, owner = _owner(desk, call)
    row_id = _wanted(desk, call.fields())
    if row_id not in _ids(owner):
        desk.save(table, {**owner, IDS: [*_ids(owner), row_id]})
    return 201, _shown(desk, row_id)


def detach(desk: Desk, call: Call) -> Result:
    table, owner = _owner(desk, call)
    row_id = _attached(owner, call.ids[1])
    desk.save(table, {**owner, IDS: [one for one in _ids(owner) if one != row_id]})
    return 204, None


def bulk(desk: Desk, call: Call) -> Result:
    """Each is done or refused for itself; 207 tells which."""
    given = call.body
    if not isinstance(given, list):
        raise Refused(400, "InvalidObject", "the body must be an array")
    results = [_one_of_many(desk, call.request.method, place, body) for place, body in enumerate(given)]
    return 207, {"payload": results}


def _one_of_many(desk: Desk, method: str, place: int, body: Any) -> Record:
    collection = Collection(_CONFIGURATIONS, desk, None)
    try:
        if method == "POST":
            status, data = 201, collection.shown(collection.create(body))
        else:
            row_id = body.get("id") if isinstance(body, Mapping) else None
            if not isinstance(row_id, int):
                raise invalid("configuration", [_id_missing("configuration")])
            if method == "PUT":
                status, data = 200, collection.shown(collection.put(row_id, body))
            else:
                collection.delete(row_id)
                status, data = 204, {"id": row_id}
    except Refused as refused:
        error = {"success": False, "originalIndex": place, "statusCode": refused.status}
        return {**error, "error": refused.body}
    return {"success": True, "originalIndex": place, "statusCode": status, "data": data}


def _owner(desk: Desk, call: Call) -> tuple[str, Record]:
    table, kind = ("tickets", "ticket") if call.is_below("service/tickets") else ("agreements", "agreement")
    found = desk.store.get(table, call.ids[0])
    if found is None:
        raise not_found(kind, call.ids[0])
    return table, found


def _ids(owner: Record) -> list[int]:
    found: list[int] = owner.get(IDS, [])
    return found


def _attached(owner: Record, row_id: int) -> int:
    if row_id not in _ids(owner):
        raise not_found(RESOURCE, row_id)
    return row_id


def _wanted(desk: Desk, given: Record) -> int:
    row_id, device = given.get("id"), given.get("deviceIdentifier")
    if not row_id and not device:
        raise invalid(RESOURCE, [_id_missing(RESOURCE)])
    for row in desk.store.all("configurations"):
        if str(row["id"]) == str(row_id) if row_id else row.get("deviceIdentifier") == device:
            return int(row["id"])
    message = f"Configuration {row_id or device} not found"
    raise invalid(RESOURCE, [not_found_in(RESOURCE, "id" if row_id else "deviceIdentifier", message)])


def _id_missing(resource: str) -> Record:
    return field_error("MissingRequiredField", "id or deviceIdentifier is required.", resource, "id")


def _shown(desk: Desk, row_id: int) -> Record:
    """Only the id and the device, as the list is said to hold; the rest has to be read where it stands."""
    if desk.store.get("configurations", row_id) is None:
        return {"id": row_id}
    row = desk.store.table("configurations").rows[row_id]
    named = {"deviceIdentifier": row["deviceIdentifier"]} if row.get("deviceIdentifier") else {}
    return {"id": row_id, **named, "_info": desk.store.reference("configurations", row_id)["_info"]}
