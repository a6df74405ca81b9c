"""Several reads in one request (ConnectWise REST 2026.4, /system/bundles).

Which `resourceType` values there are is not documented, so a record's name, its plural and its path are all taken.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from integrations.sandbox.connectwise.answers import Refused, bad_request, invalid, missing
from integrations.sandbox.connectwise.calls import Call
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import KINDS
from integrations.sandbox.connectwise.resources import RESOURCES, Collection, Resource
from integrations.sandbox.connectwise.store import Record

Result = tuple[int, Any]
_BY_NAME: dict[str, Resource] = {}
for _one in reversed(RESOURCES):
    if _one.shown is None:
        _BY_NAME |= dict.fromkeys((KINDS[_one.table].journal.lower(), _one.table.lower(), _one.path), _one)


def read(desk: Desk, call: Call) -> Result:
    return 200, {"results": [_answered(desk, call, one, counts=False) for one in _requests(call)]}


def count(desk: Desk, call: Call) -> Result:
    return 200, {"results": [_answered(desk, call, one, counts=True) for one in _requests(call)]}


def _requests(call: Call) -> list[Any]:
    found = call.fields().get("requests")
    if not isinstance(found, list) or not found:
        raise invalid("bundleRequestsCollection", [missing("bundleRequestsCollection", "requests")])
    return found


def _answered(desk: Desk, call: Call, asked: Any, *, counts: bool) -> Record:
    asked = asked if isinstance(asked, Mapping) else {}
    named = {name: asked[name] for name in ("sequenceNumber", "resourceType", "version") if name in asked}
    try:
        entities, number = _read(desk, call, asked, counts=counts)
    except Refused as refused:
        return {**named, "success": False, "statusCode": refused.status, "error": refused.body}
    return {**named, "entities": entities, "count": number, "success": True, "statusCode": 200}


def _read(desk: Desk, call: Call, asked: Mapping[str, Any], *, counts: bool) -> tuple[list[Record], int]:
    resource = _BY_NAME.get(str(asked.get("resourceType", "")).strip("/").lower())
    if resource is None:
        raise bad_request(f"There is no resourceType {asked.get('resourceType')!r}.")
    desk.require(resource.function, "inquire", resource.entry)
    wanted = asked.get("apiRequest") or {}
    parent = wanted.get("parentId") if resource.parent_table else None
    if resource.parent_table and not isinstance(parent, int):
        raise bad_request(f"{asked['resourceType']} needs a parentId.")
    collection = Collection(resource, desk, parent)
    if wanted.get("id") is not None:
        return [collection.shown(collection.get(int(wanted["id"])))], 1
    given = {**(wanted.get("filters") or {}), **(wanted.get("page") or {})}
    query = {str(name).lower(): str(value) for name, value in given.items() if value is not None}
    wish = replace(call.wish, query=query, raw_query="", forward_only=False)
    if counts:
        return [], collection.count(wish)
    rows = [collection.shown(row) for row in collection.page(wish).records]
    return rows, len(rows)
