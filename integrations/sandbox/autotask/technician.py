"""What people in the PSA do to tickets and contracts behind an integration's back, for the control door.

`ticket`, `company`, `contract` ... in the bodies are ids. Everything is done as another resource than the API user
and needs no permission; fields are named as the API names them, also those that only the server sets.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from integrations.sandbox.autotask.billing import BUNDLES, SERVICES, adjust
from integrations.sandbox.autotask.collection import Collection
from integrations.sandbox.autotask.desk import Desk, stored_day
from integrations.sandbox.autotask.entities import ENTITIES
from integrations.sandbox.autotask.picklists import COMPLETE, NEW, add_value, find_value
from integrations.sandbox.autotask.posting import post_period, unpost_period
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.tickets import write_history
from integrations.sandbox.autotask.validation import CONVERT

Body = Mapping[str, Any]
_TABLES = {entity.kind: entity.name for entity in reversed(ENTITIES.values())}
_NAMES = {"Companies": "companyName", "Contracts": "contractName", "Tickets": "title"}


TECHNICIAN = 29682902
"""Whose name stands at what the control door does: Marisol Reyes."""


class CannotDo(ValueError):
    """The body does not say enough, or names something that is not there."""


def create(desk: Desk, body: Body) -> Record:
    """`{fields}`: a ticket that a person opens."""
    fields = {"status": NEW, "priority": 2, "title": "A person's ticket", **dict(body.get("fields") or {})}
    row_id = Collection(ENTITIES["Tickets"], desk).create(fields)
    return _row(desk, "Tickets", row_id)


def move(desk: Desk, body: Body) -> Record:
    """`{ticket, queue}`"""
    return _change(desk, "Tickets", body["ticket"], {"queueID": body["queue"]})


def merge(desk: Desk, body: Body) -> Record:
    """`{ticket, into}`: the ticket is complete, and a note on each says so."""
    merged, kept = _row(desk, "Tickets", body["ticket"]), _row(desk, "Tickets", body["into"])
    note(
        desk, {"ticket": kept["id"], "text": f"Ticket {merged['ticketNumber']} was merged into this ticket."}
    )
    note(desk, {"ticket": merged["id"], "text": f"This ticket was merged into {kept['ticketNumber']}."})
    write_history(desk, merged["id"], "Merged", f"Merged into {kept['ticketNumber']}")
    return close(desk, {"ticket": merged["id"]})


def child(desk: Desk, body: Body) -> Record:
    """`{ticket, parent}`: an incident of that problem."""
    return _change(desk, "Tickets", body["ticket"], {"problemTicketId": body["parent"]})


def delete(desk: Desk, body: Body) -> Record:
    """`{ticket}`, `{contract}`, `{company}`, ...: gone for good; of a ticket a line stays in DeletedTicketLogs."""
    kind = _kind(body)
    row = _row(desk, _TABLES[kind], body[kind])
    desk.deleted(_TABLES[kind], row)
    if kind == "ticket":
        for child in desk.store.where("TicketNotes", "ticketID", row["id"]):
            desk.store.delete("TicketNotes", child["id"])
        line = {"id": desk.store.new_id("DeletedTicketLogs"), "ticketID": row["id"]}
        line |= {"ticketNumber": row["ticketNumber"], "ticketTitle": row["title"]}
        desk.store.put(
            "DeletedTicketLogs",
            {**line, "deletedByResourceID": desk.actor, "deletedDateTime": desk.now()},
        )
    return {"deleted": row["id"]}


def edit(desk: Desk, body: Body) -> Record:
    """`{ticket|company|contact|contract|service|..., fields: {...}}`: change fields as the API names them."""
    kind = _kind(body)
    return _change(desk, _TABLES[kind], body[kind], body["fields"])


def note(desk: Desk, body: Body) -> Record:
    """`{ticket, text, internal?}`"""
    publish = 2 if body.get("internal") else 1
    wanted = {"title": "Note", "description": str(body["text"]), "noteType": 3, "publish": publish}
    ticket = _row(desk, "Tickets", body["ticket"])
    row_id = Collection(ENTITIES["TicketNotes"], desk, ticket["id"]).create(wanted)
    return _row(desk, "TicketNotes", row_id)


def time(desk: Desk, body: Body) -> Record:
    """`{ticket, hours, text?}`: work that a person books. Time entries are not ours to read; that the ticket was
    worked on is."""
    ticket = _row(desk, "Tickets", body["ticket"])
    hours, text = float(body["hours"]), str(body.get("text") or "")
    write_history(desk, ticket["id"], "Time Entry", f"{hours:g} hours. {text}".strip())
    now = desk.now()
    touched = {"lastActivityDate": now, "lastTrackedModificationDateTime": now}
    return desk.store.put("Tickets", {**ticket, **touched, "lastActivityResourceID": desk.actor})


def close(desk: Desk, body: Body) -> Record:
    """`{ticket, status?}`"""
    return _change(desk, "Tickets", body["ticket"], {"status": body.get("status", COMPLETE)})


def reopen(desk: Desk, body: Body) -> Record:
    """`{ticket, status?}`"""
    return _change(desk, "Tickets", body["ticket"], {"status": body.get("status", NEW)})


def bounce(desk: Desk, body: Body) -> Record:
    """`{ticket, times?}`: a workflow rule undoes the next changes of its status, which are answered with success."""
    ticket = _row(desk, "Tickets", body["ticket"])
    return desk.store.put("Tickets", {**ticket, "_bounces": int(body.get("times", 1))})


def rename(desk: Desk, body: Body) -> Record:
    """`{picklist: "Tickets.status", value, name}` or `{company|contract|service|ticket|..., name}`"""
    if "picklist" in body:
        return desk.store.put("picklists", {**_value(desk, body), "label": str(body["name"])})
    kind = _kind(body)
    table = _TABLES[kind]
    return _change(desk, table, body[kind], {_NAMES.get(table, "name"): str(body["name"])})


def add(desk: Desk, body: Body) -> Record:
    """`{picklist: "Tickets.queueID", value, name, parent?}`: a new value of a picklist."""
    if find_value(desk.store, str(body["picklist"]), int(body["value"])):
        raise CannotDo("the picklist has that value already")
    parent = int(body["parent"]) if "parent" in body else None
    return add_value(desk.store, str(body["picklist"]), int(body["value"]), str(body["name"]), parent=parent)


def remove(desk: Desk, body: Body) -> Record:
    """`{picklist, value}`: the value is gone from the picklist."""
    row = _value(desk, body)
    desk.store.delete("picklists", row["id"])
    return row


def inactivate(desk: Desk, body: Body) -> Record:
    """`{contract}`, `{company}`, `{contact}`, `{service}`, ... or `{picklist, value}`"""
    if "picklist" in body:
        return desk.store.put("picklists", {**_value(desk, body), "isActive": False})
    kind = _kind(body)
    off: Record = {"status": 0} if kind == "contract" else {"isActive": 0 if kind == "contact" else False}
    return _change(desk, _TABLES[kind], body[kind], off)


def company(desk: Desk, body: Body) -> Record:
    """`{ticket, company}`: the ticket belongs to another company; `{company, fields}` edits the company itself."""
    if "ticket" not in body:
        return edit(desk, body)
    owned = ("contactID", "companyLocationID", "configurationItemID", "contractID")
    return _change(desk, "Tickets", body["ticket"], {"companyID": body["company"], **dict.fromkeys(owned)})


def cancel(desk: Desk, body: Body) -> Record:
    """`{contract, date?}`: inactive, and over after that day (default yesterday)."""
    day = date.fromisoformat(str(body["date"])) if "date" in body else desk.today() - timedelta(days=1)
    contract = _row(desk, "Contracts", body["contract"])
    end = max(stored_day(day), contract["startDate"])
    return _change(desk, "Contracts", contract["id"], {"status": 0, "endDate": end})


def adjustment(desk: Desk, body: Body) -> Record:
    """`{contract, service|bundle|line, date?, change}`: what a person adjusts, whatever is posted."""
    names = BUNDLES if "bundle" in body else SERVICES
    item = (
        {names.line: body["line"]}
        if "line" in body
        else {names.item: body.get("bundle", body.get("service"))}
    )
    day = str(body.get("date") or desk.today().isoformat())
    fields = ENTITIES[names.adjustments].shape.fields
    given = {"contractID": body["contract"], **item, "effectiveDate": day, "unitChange": body["change"]}
    adjust(desk, names, {name: CONVERT[fields[name].kind](raw, fields[name]) for name, raw in given.items()})
    return {"adjusted": int(body["contract"])}


def post(desk: Desk, body: Body) -> Record:
    """`{contract, date?}`: approve and post every period up to the one that holds the day (default today)."""
    made = post_period(desk, _row(desk, "Contracts", body["contract"]), _day(desk, body))
    return {"posted": len(made), "items": [item["id"] for item in made]}


def unpost(desk: Desk, body: Body) -> Record:
    """`{contract, date?}`: take the posting of the periods from that day on back."""
    return {"unposted": unpost_period(desk, _row(desk, "Contracts", body["contract"]), _day(desk, body))}


def invoice(desk: Desk, body: Body) -> Record:
    """`{contract, invoice}`: the posted billing items of a contract are on that invoice."""
    rows = desk.store.where("BillingItems", "contractID", int(body["contract"]))
    for row in rows:
        desk.store.put("BillingItems", {**row, "invoiceID": int(body["invoice"])})
    return {"invoiced": len(rows)}


def require(desk: Desk, body: Body) -> Record:
    """`{category, fields: ["issueType"], due_hours?, note_titles?}`: what tickets of a category need."""
    category = _row(desk, "TicketCategories", body["category"])
    rules = {"_requires": list(body.get("fields", category.get("_requires", ())))}
    rules |= {f"_{name}": body[name] for name in ("due_hours", "note_titles") if name in body}
    return desk.store.put("TicketCategories", {**category, **rules})


ACTIONS: dict[str, Callable[[Desk, Body], Record]] = {
    one.__name__: one
    for one in (
        create,
        move,
        merge,
        child,
        delete,
        edit,
        note,
        time,
        close,
        reopen,
        bounce,
        rename,
        add,
        remove,
        inactivate,
        company,
        cancel,
        adjustment,
        post,
        unpost,
        invoice,
        require,
    )
}


def _change(desk: Desk, table: str, row_id: Any, changes: Body) -> Record:
    return Collection(ENTITIES[table], desk).change(_row(desk, table, row_id), changes)


def _row(desk: Desk, table: str, row_id: Any) -> Record:
    found = desk.store.get(table, int(row_id))
    if found is None:
        raise CannotDo(f"there is no {table} {row_id}")
    return found


def _value(desk: Desk, body: Body) -> Record:
    found = find_value(desk.store, str(body["picklist"]), int(body["value"]))
    if found is None:
        raise CannotDo(f"there is no value {body['value']} in {body['picklist']}")
    return found


def _kind(body: Body) -> str:
    found = next((kind for kind in _TABLES if kind in body), None)
    if found is None:
        raise CannotDo("say which: ticket, company, contact, contract, service, configurationItem, ...")
    return found


def _day(desk: Desk, body: Body) -> date:
    return date.fromisoformat(str(body["date"])) if "date" in body else desk.today()
