"""What people in the PSA do to tickets and agreements behind an integration's back, for the control door.

`ticket`, `company` ... in the bodies are ids. Everything is recorded as done by "technician" and needs no permission.
"""

from collections.abc import Callable, Mapping
from typing import Any

from integrations.sandbox.connectwise import invoicing, timeentries
from integrations.sandbox.connectwise.agreements import after_agreement
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.kinds import KINDS
from integrations.sandbox.connectwise.resources import RESOURCES, Collection
from integrations.sandbox.connectwise.store import Record
from integrations.sandbox.connectwise.ticketactions import (
    convert_one,
    merge_one,
)
from integrations.sandbox.connectwise.tickets import (
    PLACES,
    add_note,
    after_note,
    closed_status,
    default_status,
)

Body = Mapping[str, Any]
_RESOURCES = {resource.table: resource for resource in reversed(RESOURCES) if resource.shown is None}


class CannotDo(ValueError):
    """The body does not say enough, or names something that is not there."""


def create(desk: Desk, body: Body) -> Record:
    """`{fields}`: a ticket that a person opens; without a company it is the first one's."""
    usual = {"summary": "A person's ticket", "company": {"id": KINDS["companies"].first_id}}
    return Collection(_RESOURCES["tickets"], desk, None).create({**usual, **dict(body.get("fields") or {})})


def move(desk: Desk, body: Body) -> Record:
    """`{ticket, board, status?}`: to another board, by default into its first status; the type is lost."""
    board = _row(desk, "boards", body["board"])
    status = body.get("status") or default_status(desk, board["id"])["id"]
    return _change(desk, "tickets", body["ticket"], {"board": {"id": board["id"]}, "status": {"id": status}})


def merge(desk: Desk, body: Body) -> Record:
    """`{ticket, into, status?}`: the ticket is closed and names the one it went into."""
    child, parent = _row(desk, "tickets", body["ticket"]), _row(desk, "tickets", body["into"])
    status = body.get("status") or closed_status(desk, child["board"]["id"])["id"]
    return merge_one(desk, child, parent, {"id": status})


def child(desk: Desk, body: Body) -> Record:
    """`{ticket, parent}`: make it a child."""
    parent = _row(desk, "tickets", body["parent"])
    desk.save("tickets", {**parent, "hasChildTicket": True})
    return desk.save("tickets", {**_row(desk, "tickets", body["ticket"]), "parentTicketId": parent["id"]})


def delete(desk: Desk, body: Body) -> Record:
    """`{ticket}`, `{addition}`, `{agreement}`, `{company}`, ...: gone for good."""
    table = _named_table(body)
    row = _row(desk, table, body[KINDS[table].journal])
    desk.store.delete(table, row["id"])
    return {"deleted": row["id"]}


def edit(desk: Desk, body: Body) -> Record:
    """`{ticket|addition|agreement|company|..., fields: {...}}`: change fields as the API names them."""
    table = _named_table(body)
    return _change(desk, table, body[KINDS[table].journal], body["fields"])


def note(desk: Desk, body: Body) -> Record:
    """`{ticket, text, internal?}`"""
    ticket = _row(desk, "tickets", body["ticket"])
    place = "internalAnalysisFlag" if body.get("internal") else "detailDescriptionFlag"
    added = add_note(desk, ticket["id"], {"text": str(body["text"]), place: True})
    after_note(desk, added, {})
    return added


def time(desk: Desk, body: Body) -> Record:
    """`{ticket, hours, text?, place?}`: work that a person books; `place` is discussion, internal or resolution."""
    places = {"discussion": PLACES[0], "internal": PLACES[1], "resolution": PLACES[2]}
    place = places[str(body.get("place") or "discussion")]
    ticket = _row(desk, "tickets", body["ticket"])
    return timeentries.book(desk, ticket, float(body["hours"]), str(body.get("text") or ""), place)


def convert(desk: Desk, body: Body) -> Record:
    """`{ticket}`: it becomes a project ticket."""
    return convert_one(desk, _row(desk, "tickets", body["ticket"]))


def close(desk: Desk, body: Body) -> Record:
    """`{ticket, status?}`"""
    ticket = _row(desk, "tickets", body["ticket"])
    status = body.get("status") or closed_status(desk, ticket["board"]["id"])["id"]
    return _change(desk, "tickets", ticket["id"], {"status": {"id": status}})


def reopen(desk: Desk, body: Body) -> Record:
    """`{ticket, status?}`"""
    ticket = _row(desk, "tickets", body["ticket"])
    status = body.get("status") or default_status(desk, ticket["board"]["id"])["id"]
    return _change(desk, "tickets", ticket["id"], {"status": {"id": status}})


def rename(desk: Desk, body: Body) -> Record:
    """`{board|status|company|product|agreement|ticket|..., name}`: also wherever others refer to it."""
    table = _named_table(body)
    row = _row(desk, table, body[KINDS[table].journal])
    field = {"tickets": "summary", "catalog": "identifier"}.get(table, "name")
    renamed = desk.save(table, {**row, field: str(body["name"])})
    _refer_anew(desk, table, row["id"])
    return renamed


def company(desk: Desk, body: Body) -> Record:
    """`{ticket, company}`: the ticket belongs to another company; `{company, fields}` edits the company itself."""
    if "ticket" in body:
        return _change(desk, "tickets", body["ticket"], {"company": {"id": body["company"]}})
    return edit(desk, body)


def cancel(desk: Desk, body: Body) -> Record:
    """`{agreement, date?}` or `{addition, date?}`: no longer billed from that day (default today)."""
    day = desk.midnight(str(body.get("date") or ""))
    if "addition" in body:
        return desk.save("additions", {**_row(desk, "additions", body["addition"]), "cancelledDate": day})
    cancelled = {"cancelledFlag": True, "dateCancelled": day, "agreementStatus": "Cancelled"}
    saved = desk.save("agreements", {**_row(desk, "agreements", body["agreement"]), **cancelled})
    after_agreement(desk, saved, {})
    return saved


def invoice(desk: Desk, body: Body) -> Record:
    """`{agreement}`: bill the period that is due."""
    return invoicing.bill(desk, _row(desk, "agreements", body["agreement"]))


def post(desk: Desk, body: Body) -> Record:
    """`{invoice}`: closed, and protected from changes."""
    return invoicing.post(desk, _row(desk, "invoices", body["invoice"]))


def unpost(desk: Desk, body: Body) -> Record:
    """`{invoice}`: open again."""
    return invoicing.unpost(desk, _row(desk, "invoices", body["invoice"]))


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
        convert,
        close,
        reopen,
        rename,
        company,
        cancel,
        invoice,
        post,
        unpost,
    )
}


def _change(desk: Desk, table: str, row_id: Any, changes: Body) -> Record:
    before = _row(desk, table, row_id)
    parent = desk.store.table(table).parent_of(before) if _RESOURCES[table].parent_table else None
    return Collection(_RESOURCES[table], desk, parent).change(before, changes)


def _row(desk: Desk, table: str, row_id: Any) -> Record:
    found = desk.store.get(table, int(row_id))
    if found is None:
        raise CannotDo(f"there is no {KINDS[table].journal} {row_id}")
    return found


def _named_table(body: Body) -> str:
    for table, kind in KINDS.items():
        if kind.journal in body and table in _RESOURCES:
            return table
    raise CannotDo("say which: ticket, addition, agreement, company, board, status, product, ...")


def _refer_anew(desk: Desk, table: str, row_id: int) -> None:
    """Put the new name into every record that refers to the row."""
    fresh = desk.store.reference(table, row_id)
    for other, resource in _RESOURCES.items():
        fields = [field.name for field in resource.shape.fields.values() if field.table == table]
        for record in list(desk.store.all(other)):
            stale = {name: fresh for name in fields if record.get(name, {}).get("id") == row_id}
            if stale:
                desk.store.put(other, {**record, **stale})
