"""The pages for people: companies, tickets, agreements with quantities and invoices, and what can be done there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.invoicing import invoices_of
from integrations.sandbox.connectwise.store import Record, Store
from integrations.sandbox.dialect import Cell, Form, Link, Section, View

ROWS = 50
LINKS = (
    Link("Tickets", "/view/tickets"),
    Link("Agreements", "/view/agreements"),
    Link("Companies", "/view/companies"),
    Link("Hosted tabs", "/view/hosted"),
)
_TICKET_COLUMNS = ("Id", "Company", "Board", "Status", "Summary", "External reference", "Updated")
_AGREEMENT_COLUMNS = ("Id", "Company", "Agreement", "Status", "Serial no.", "Additions", "Next invoice")


def overview(desk: Desk) -> Sequence[Section]:
    return [_tickets(desk.store, 15), _agreements(desk.store, 20)]


def view(desk: Desk, name: str, rest: str, query: Mapping[str, str]) -> View | None:
    row_id = int(rest) if rest.isdigit() else None
    if name == "tickets":
        if row_id is not None:
            ticket = desk.store.get("tickets", row_id)
            return _ticket(desk, ticket) if ticket else None
        before, text = query.get("before", ""), query.get("text", "")
        return View("Tickets", [_tickets(desk.store, ROWS, int(before) if before.isdigit() else None, text)])
    if name == "agreements":
        if row_id is not None:
            agreement = desk.store.get("agreements", row_id)
            return _agreement(desk, agreement) if agreement else None
        return View("Agreements", [_agreements(desk.store, None)])
    if name == "companies" and not rest:
        return View("Companies", [_companies(desk.store, query.get("after", ""))])
    if name == "hosted" and not rest:
        return View("Hosted tabs", [_hosted(desk.store)])
    return None


def _tickets(store: Store, count: int, before: int | None = None, text: str = "") -> Section:
    table = store.table("tickets")
    chosen = []
    for row_id in reversed(table.ids):
        row = table.rows[row_id]
        if (before is None or row_id < before) and text.casefold() in row["summary"].casefold():
            chosen.append(row)
            if len(chosen) == count:
                break
    older = (
        Link("Older tickets", f"/view/tickets?before={chosen[-1]['id']}") if len(chosen) == count else None
    )
    return Section(
        f"Tickets ({len(table.ids)})", _TICKET_COLUMNS, [_ticket_row(one) for one in chosen], older
    )


def _ticket_row(ticket: Record) -> Sequence[Cell]:
    names = (ticket["company"]["name"], ticket["board"]["name"], ticket["status"]["name"])
    shown = (ticket["summary"], ticket.get("externalXRef"), ticket["_info"]["lastUpdated"])
    return (Link(str(ticket["id"]), f"/view/tickets/{ticket['id']}"), *names, *shown)


def _ticket(desk: Desk, ticket: Record) -> View:
    notes = [
        (
            one["_info"]["dateEntered"],
            one["createdBy"],
            "internal" if one["internalFlag"] else "",
            one["text"],
        )
        for one in desk.store.under("notes", ticket["id"])
    ]
    sections = [
        Section("Notes", ("Time", "By", "", "Text"), notes),
        Section("Fields", ("Field", "Value"), list(_plain(ticket))),
    ]
    fixed = (("ticket", str(ticket["id"])),)
    statuses = [(row["id"], row["name"]) for row in desk.store.under("statuses", ticket["board"]["id"])]
    told = ", ".join(f"{row_id} {name}" for row_id, name in statuses)
    boards = ", ".join(f"{row['id']} {row['name']}" for row in desk.store.all("boards"))
    forms = [
        _does("note", "Add the note", (("text", "Note", None, ""),), fixed),
        _does(
            "close", "Close", (("status", f"Status, if not the first that closes ({told})", (), ""),), fixed
        ),
        _does("reopen", "Reopen", (("status", "Status, if not the first", (), ""),), fixed),
        _does("move", "Move", (("board", f"Board ({boards})", (), ""),), fixed),
        _does("merge", "Merge", (("into", "Into ticket", (), ""),), fixed),
        _does("delete", "Delete for good", (), fixed),
    ]
    return View(f"Ticket {ticket['id']}: {ticket['summary']}", sections, forms)


def _agreements(store: Store, count: int | None) -> Section:
    rows = list(store.all("agreements"))
    more = Link("All agreements", "/view/agreements") if count is not None and len(rows) > count else None
    shown = [_agreement_row(store, one) for one in rows[:count]]
    return Section(f"Agreements ({len(rows)})", _AGREEMENT_COLUMNS, shown, more)


def _agreement_row(store: Store, one: Record) -> Sequence[Cell]:
    additions = store.under("additions", one["id"])
    parts = ", ".join(f"{row['product']['identifier']}: {row['quantity']:g}" for row in additions)
    serials = ", ".join(sorted({row["serialNumber"] for row in additions if row.get("serialNumber")}))
    number = Link(str(one["id"]), f"/view/agreements/{one['id']}")
    names = (one["company"]["name"], one["name"], one["agreementStatus"])
    return (number, *names, serials, parts, one.get("nextInvoiceDate", "")[:10])


def _agreement(desk: Desk, agreement: Record) -> View:
    additions = [
        (
            one["id"],
            one["product"]["identifier"],
            one.get("serialNumber"),
            f"{one['quantity']:g}",
            f"{one['lessIncluded']:g}",
            f"{one['billedQuantity']:g}",
            f"{one['extPrice']:.2f}",
            one.get("invoiceDescription"),
            one.get("_invoicedUntil"),
            _does("cancel", "Cancel", (), (("addition", str(one["id"])),)),
        )
        for one in desk.store.under("additions", agreement["id"])
    ]
    columns = (
        "Id",
        "Product",
        "Serial no.",
        "Quantity",
        "Included",
        "Billed",
        "Price",
        "Invoice text",
        "Invoiced until",
    )
    invoices = [
        (
            one["invoiceNumber"],
            " to ".join(one["_period"]),
            f"{one['total']:.2f}",
            one["status"]["name"],
            _posts(one),
        )
        for one in invoices_of(desk, agreement["id"])
    ]
    fixed = (("agreement", str(agreement["id"])),)
    sections = [
        Section("Additions", (*columns, ""), additions),
        Section("Invoices", ("Number", "Period", "Total", "Status", ""), invoices),
        Section("Fields", ("Field", "Value"), list(_plain(agreement))),
    ]
    forms = [
        _does("invoice", "Invoice the period that is due", (), fixed),
        _does("cancel", "Cancel the agreement", (("date", "From day (today)", (), ""),), fixed),
    ]
    return View(f"Agreement {agreement['id']}: {agreement['name']}", sections, forms)


def _posts(invoice: Record) -> Form:
    action = "unpost" if "_posted" in invoice else "post"
    return _does(action, action.capitalize(), (), (("invoice", str(invoice["id"])),))


def _companies(store: Store, after: str) -> Section:
    table = store.table("companies")
    first = int(after) if after.isdigit() else 0
    chosen = [row for row, _ in zip(table.after(first), range(ROWS), strict=False)]
    rows = [
        (one["id"], one["identifier"], one["name"], one.get("accountNumber"), one["status"]["name"])
        for one in chosen
    ]
    more = (
        Link("More companies", f"/view/companies?after={chosen[-1]['id']}") if len(chosen) == ROWS else None
    )
    return Section(
        f"Companies ({len(table.ids)})", ("Id", "Identifier", "Name", "Number", "Status"), rows, more
    )


def _hosted(store: Store) -> Section:
    people = [row["identifier"] for row in store.all("members")][1:]
    rows = []
    for one in store.all("hostedSetups"):
        screen = store.get("hostedScreens", one["screenId"]) or {}
        link = Link("Open", f"/hosted/{one['id']}?id=250&member={people[0]}")
        rows.append((one["id"], one["description"], screen.get("name"), one["type"], one["url"], link))
    return Section(
        "Hosted tabs", ("Id", "Description", "Screen", "Type", "Address", "As a person sees it"), rows
    )


def _does(
    action: str,
    label: str,
    fields: Sequence[tuple[str, str, Sequence[str] | None, str]],
    fixed: Sequence[tuple[str, str]],
) -> Form:
    return Form("/view/technician", label, fields, (("action", action), *fixed))


def _plain(record: Record) -> Iterable[tuple[str, Any]]:
    """References by their names, the rest as it is; not the sandbox's own fields."""
    for name, value in record.items():
        if isinstance(value, dict):
            value = value.get("name") or value.get("identifier") or value.get("id")
        if not name.startswith("_"):
            yield name, value
