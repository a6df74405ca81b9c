"""The pages for people: companies, tickets, contracts with units by day, and what a technician can do there."""

from collections.abc import Mapping, Sequence

from integrations.sandbox.autotask.billing import BOTH, SERVICES, Names, rows_of
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.picklists import label_of, values_of
from integrations.sandbox.autotask.store import Record, Store
from integrations.sandbox.dialect import Cell, Form, Link, Section, View

ROWS = 50
LINKS = (
    Link("Tickets", "/view/tickets"),
    Link("Contracts", "/view/contracts"),
    Link("Companies", "/view/companies"),
)
_TICKET_COLUMNS = ("Number", "Company", "Queue", "Status", "Title", "External ID", "Last activity")
_CONTRACT_COLUMNS = ("Id", "Company", "Contract", "Status", "Units today", "Posted until")


def overview(desk: Desk) -> Sequence[Section]:
    return [_tickets(desk.store, 15), _contracts(desk, 20)]


def view(desk: Desk, name: str, rest: str, query: Mapping[str, str]) -> View | None:
    row_id = int(rest) if rest.isdigit() else None
    if name == "tickets":
        if row_id is not None:
            ticket = desk.store.get("Tickets", row_id)
            return _ticket(desk, ticket) if ticket else None
        before, text = query.get("before", ""), query.get("text", "")
        return View("Tickets", [_tickets(desk.store, ROWS, int(before) if before.isdigit() else None, text)])
    if name == "contracts":
        if row_id is not None:
            contract = desk.store.get("Contracts", row_id)
            return _contract(desk, contract) if contract else None
        return View("Contracts", [_contracts(desk, None)])
    if name == "companies" and not rest:
        return View("Companies", [_companies(desk.store, query.get("after", ""))])
    return None


def _tickets(store: Store, count: int, before: int | None = None, text: str = "") -> Section:
    table = store.table("Tickets")
    chosen = []
    for row_id in reversed(table.ids):
        row = table.rows[row_id]
        if (before is None or row_id < before) and text.casefold() in row["title"].casefold():
            chosen.append(row)
            if len(chosen) == count:
                break
    older = (
        Link("Older tickets", f"/view/tickets?before={chosen[-1]['id']}") if len(chosen) == count else None
    )
    rows = [_ticket_row(store, one) for one in chosen]
    return Section(f"Tickets ({len(table.ids)})", _TICKET_COLUMNS, rows, older)


def _ticket_row(store: Store, ticket: Record) -> Sequence[Cell]:
    queue = label_of(store, "Tickets.queueID", ticket.get("queueID"))
    status = label_of(store, "Tickets.status", ticket["status"])
    number = Link(ticket["ticketNumber"], f"/view/tickets/{ticket['id']}")
    shown = (ticket["title"], ticket.get("externalID"), ticket["lastActivityDate"])
    return (number, _company_name(store, ticket), queue, status, *shown)


def _ticket(desk: Desk, ticket: Record) -> View:
    store = desk.store
    notes = [
        (
            one["createDateTime"],
            _person(store, one.get("creatorResourceID")),
            one["publish"],
            one.get("title"),
            one["description"],
        )
        for one in store.where("TicketNotes", "ticketID", ticket["id"])
    ]
    history = [
        (one["date"], _person(store, one.get("resourceID")), one["action"], one["detail"])
        for one in store.where("TicketHistory", "ticketID", ticket["id"])
    ]
    fields = [(name, value) for name, value in ticket.items() if not name.startswith("_")]
    sections = [
        Section("Notes", ("Time", "By", "Publish", "Title", "Text"), notes),
        Section("History", ("Time", "By", "What", "Detail"), history),
        Section("Fields", ("Field", "Value"), fields),
    ]
    fixed = (("ticket", str(ticket["id"])),)
    forms = [
        _does("note", "Add the note", (("text", "Note", None, ""),), fixed),
        _does("close", "Complete", (), fixed),
        _does(
            "reopen",
            "Reopen",
            (("status", f"Status, if not New ({_values(store, 'status')})", (), ""),),
            fixed,
        ),
        _does("move", "Move", (("queue", f"Queue ({_values(store, 'queueID')})", (), ""),), fixed),
        _does("merge", "Merge", (("into", "Into ticket (id)", (), ""),), fixed),
        _does("bounce", "Undo the next change of status", (), fixed),
        _does("delete", "Delete for good", (), fixed),
    ]
    return View(f"Ticket {ticket['ticketNumber']}: {ticket['title']}", sections, forms)


def _contracts(desk: Desk, count: int | None) -> Section:
    rows = list(desk.store.all("Contracts"))
    more = Link("All contracts", "/view/contracts") if count is not None and len(rows) > count else None
    shown = [_contract_row(desk, one) for one in rows[:count]]
    return Section(f"Contracts ({len(rows)})", _CONTRACT_COLUMNS, shown, more)


def _contract_row(desk: Desk, contract: Record) -> Sequence[Cell]:
    lines = desk.store.where("ContractServices", "contractID", contract["id"])
    today = [(_item_name(desk.store, SERVICES, line), _units_today(desk, SERVICES, line)) for line in lines]
    units = ", ".join(f"{name}: {count}" for name, count in today)
    rows = desk.store.where(SERVICES.units, "contractID", contract["id"])
    posted = max((row["endDate"][:10] for row in rows if row.get("approveAndPostDate")), default="")
    number = Link(str(contract["id"]), f"/view/contracts/{contract['id']}")
    state = "Active" if contract["status"] == 1 else "Inactive"
    return (number, _company_name(desk.store, contract), contract["contractName"], state, units, posted)


def _contract(desk: Desk, contract: Record) -> View:
    fixed = (("contract", str(contract["id"])),)
    sections = []
    forms = [
        _does(
            "post", "Approve and post", (("date", "Up to the period with this day (today)", (), ""),), fixed
        ),
        _does("unpost", "Take the posting back", (("date", "From this day (today)", (), ""),), fixed),
        _does("inactivate", "Set inactive", (), fixed),
        _does("cancel", "End", (("date", "After this day (yesterday)", (), ""),), fixed),
    ]
    for names in BOTH:
        for line in desk.store.where(names.lines, "contractID", contract["id"]):
            sections.append(_line(desk, names, line))
            forms.append(_adjusts(desk, names, line))
    fields = [(name, value) for name, value in contract.items() if not name.startswith("_")]
    sections.append(Section("Fields", ("Field", "Value"), fields))
    return View(f"Contract {contract['id']}: {contract['contractName']}", sections, forms)


def _line(desk: Desk, names: Names, line: Record) -> Section:
    rows = [
        (
            row["startDate"][:10],
            row["endDate"][:10],
            row["units"],
            f"{row['price']:.2f}",
            (row.get("approveAndPostDate") or "")[:10],
        )
        for row in rows_of(desk, names, line["id"])
    ]
    columns = ("From", "To", "Units", "Price", "Posted")
    return Section(f"{_item_name(desk.store, names, line)} ({names.line} {line['id']})", columns, rows)


def _adjusts(desk: Desk, names: Names, line: Record) -> Form:
    fields = (
        ("change", f"{_item_name(desk.store, names, line)}: change of units", (), "1"),
        ("date", "From day (today)", (), ""),
    )
    fixed = [("contract", str(line["contractID"])), ("line", str(line["id"]))]
    if names is not SERVICES:
        fixed.append(("bundle", str(line[names.item])))
    return _does("adjustment", "Adjust", fields, fixed)


def _companies(store: Store, after: str) -> Section:
    table = store.table("Companies")
    first = int(after) if after.isdigit() else -1
    chosen = [row for row, _ in zip(table.after(first), range(ROWS), strict=False)]
    rows = [(one["id"], one["companyName"], one.get("companyNumber"), one.get("isActive")) for one in chosen]
    more = (
        Link("More companies", f"/view/companies?after={chosen[-1]['id']}") if len(chosen) == ROWS else None
    )
    return Section(f"Companies ({len(table.ids)})", ("Id", "Name", "Number", "Active"), rows, more)


def _does(
    action: str,
    label: str,
    fields: Sequence[tuple[str, str, Sequence[str] | None, str]],
    fixed: Sequence[tuple[str, str]],
) -> Form:
    return Form("/view/technician", label, fields, (("action", action), *fixed))


def _units_today(desk: Desk, names: Names, line: Record) -> int | None:
    today = desk.today().isoformat()
    rows = rows_of(desk, names, line["id"])
    return next((row["units"] for row in rows if row["startDate"][:10] <= today <= row["endDate"][:10]), None)


def _item_name(store: Store, names: Names, line: Record) -> str:
    return str((store.get(names.catalog, line[names.item]) or {}).get("name", line[names.item]))


def _company_name(store: Store, record: Record) -> str | None:
    return (store.get("Companies", record["companyID"]) or {}).get("companyName")


def _person(store: Store, row_id: int | None) -> str:
    row = store.get("Resources", row_id or -1) or {}
    return f"{row.get('firstName', '')} {row.get('lastName', '')}".strip()


def _values(store: Store, field: str) -> str:
    return ", ".join(f"{row['value']} {row['label']}" for row in values_of(store, f"Tickets.{field}"))
