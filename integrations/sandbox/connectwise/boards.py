"""Which types, subtypes and items of a board go together? (ConnectWise REST 2026.4, /service/boards/{id}/...)

The associations of a board are triples of type, subtype and item; a subtype without items has one without an item.
"""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.connectwise.answers import invalid, not_found, not_found_in
from integrations.sandbox.connectwise.calls import Call, json_body, page_of
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record

Result = tuple[int, Any]
RESOURCE = "boardItemAssociation"


def after_subtype(desk: Desk, record: Record, given: Mapping[str, Any]) -> None:
    """`typeAssociationIds` decides which types have the subtype; new ones begin without items."""
    board = record["board"]["id"]
    wanted = [int(one) for one in record.get("typeAssociationIds", ()) if str(one).isdigit()]
    if record.get("addAllTypesFlag"):
        wanted = [row["id"] for row in desk.store.under("types", board)]
    elif record.get("removeAllTypesFlag"):
        wanted = []
    present = _rows(desk, board, subType=record["id"])
    for row in present:
        if row["type"]["id"] not in wanted:
            desk.store.delete("associations", row["id"])
    for type_id in dict.fromkeys(wanted):
        if desk.store.get("types", type_id) and not _rows(desk, board, subType=record["id"], type=type_id):
            _add(desk, board, type_id, record["id"], None)
    flags = ("addAllTypesFlag", "removeAllTypesFlag")
    kept = {name: value for name, value in record.items() if name not in flags}
    desk.store.put("subtypes", {**kept, "typeAssociationIds": wanted})


def drop_associations(desk: Desk, record: Record) -> None:
    """What a type, subtype or item was part of goes with it."""
    for row in desk.store.under("associations", record["board"]["id"]):
        for name, table in (("type", "types"), ("subType", "subtypes"), ("item", "items")):
            if row.get(name, {}).get("id") == record["id"] and desk.store.get(table, record["id"]) is None:
                desk.store.delete("associations", row["id"])
                break


def item_associations(desk: Desk, call: Call) -> Result:
    item = _item(desk, call)
    return 200, page_of([_shown(desk, item, row) for row in _types(desk, item)], call.wish)


def count_item_associations(desk: Desk, call: Call) -> Result:
    return 200, {"count": len(_types(desk, _item(desk, call)))}


def item_association(desk: Desk, call: Call) -> Result:
    return 200, _shown(desk, _item(desk, call), _type(desk, call))


def change_item_association(desk: Desk, call: Call) -> Result:
    """Which subtypes of a type have the item: `subTypeAssociationIds`, by PUT or PATCH."""
    item, kind = _item(desk, call), _type(desk, call)
    board = item["board"]["id"]
    wanted = _wanted(desk, call, board, kind)
    for row in _rows(desk, board, type=kind["id"], item=item["id"]):
        if row["subType"]["id"] not in wanted:
            desk.store.delete("associations", row["id"])
    for subtype in wanted:
        if not _rows(desk, board, type=kind["id"], subType=subtype, item=item["id"]):
            _add(desk, board, kind["id"], subtype, item["id"])
    return 200, _shown(desk, item, kind)


def _wanted(desk: Desk, call: Call, board: int, kind: Record) -> list[int]:
    body = json_body(call.request)
    given = (
        {one.get("path", "").strip("/"): one.get("value") for one in body} if isinstance(body, list) else body
    )
    known = {row["subType"]["id"] for row in _rows(desk, board, type=kind["id"])}
    if given.get("removeAllSubTypesFlag"):
        return []
    if given.get("addAllSubTypesFlag"):
        return sorted(known)
    wanted = [int(one) for one in given.get("subTypeAssociationIds") or ()]
    if unknown := [one for one in wanted if one not in known]:
        message = f"Service SubType {unknown[0]} not found for Service Type {kind['id']}"
        raise invalid(RESOURCE, [not_found_in(RESOURCE, "subTypeAssociationIds", message)])
    return wanted


def _shown(desk: Desk, item: Record, kind: Record) -> Record:
    rows = _rows(desk, item["board"]["id"], type=kind["id"], item=item["id"])
    return {
        "id": kind["id"],
        "subTypeAssociationIds": sorted({row["subType"]["id"] for row in rows}),
        "item": desk.store.reference("items", item["id"]),
        "board": item["board"],
    }


def _item(desk: Desk, call: Call) -> Record:
    found = desk.store.get("items", call.ids[1])
    if found is None or found["board"]["id"] != call.ids[0]:
        raise not_found("item", call.ids[1])
    return found


def _types(desk: Desk, item: Record) -> list[Record]:
    return desk.store.under("types", item["board"]["id"])


def _type(desk: Desk, call: Call) -> Record:
    """An association goes by the id of its type."""
    found = desk.store.get("types", call.ids[2])
    if found is None or found["board"]["id"] != call.ids[0]:
        raise not_found(RESOURCE, call.ids[2])
    return found


def _rows(desk: Desk, board: int, **wanted: int) -> list[Record]:
    rows = desk.store.under("associations", board)
    return [
        one for one in rows if all(one.get(name, {}).get("id") == row_id for name, row_id in wanted.items())
    ]


def _add(desk: Desk, board: int, type_id: int, subtype_id: int, item_id: int | None) -> None:
    refer = desk.store.reference
    row = {
        "id": desk.store.new_id("associations"),
        "type": refer("types", type_id),
        "subType": refer("subtypes", subtype_id),
        "board": refer("boards", board),
    }
    desk.save("associations", row if item_id is None else {**row, "item": refer("items", item_id)})
