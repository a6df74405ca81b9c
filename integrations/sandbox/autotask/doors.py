"""What the control door can do to this PSA beyond faults: role, keys, switches, technician, usage, plain state."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from integrations.sandbox.autotask import role
from integrations.sandbox.autotask.answers import Refused
from integrations.sandbox.autotask.billing import SERVICES, rows_of
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.information import threshold
from integrations.sandbox.autotask.picklists import COMPLETE, label_of
from integrations.sandbox.autotask.settings import BadSetting
from integrations.sandbox.autotask.store import Record, Store
from integrations.sandbox.autotask.technician import ACTIONS
from integrations.sandbox.dialect import ControlCall, ControlError, Section, Verb

if TYPE_CHECKING:
    from integrations.sandbox.autotask.dialect import Autotask

SHOWN_ROWS = 100
TECHNICIAN = 29682902


def verbs(psa: "Autotask") -> Mapping[str, tuple[str, Verb]]:
    doors = _Doors(psa)
    actions = "|".join(ACTIONS)
    return {
        "role": ('GET the role; POST {"contracts": "None"} or {"contracts": {"update": "None"}}', doors.role),
        "keys": (
            "GET the keys; POST {} for a new secret, or user_name, secret, integration_code",
            doors.keys,
        ),
        "switches": ("GET the switches for unsure facts and limits; POST some of them", doors.switches),
        "technician": (f"POST technician/{{{actions}}}", doors.technician),
        "usage": ('GET calls of this hour; POST {"used": 4000} by others; DELETE forgets them', doors.usage),
        "tickets": ("GET ?externalID=|id=|open=true: tickets as stored, with their notes", doors.tickets),
        "contracts": ("GET [?id=|company=]: contracts with services and their units by day", doors.contracts),
        "agreements": ("GET: the same as contracts", doors.contracts),
        "adjustments": ("GET [?contract=]: adjustments made, which the API never shows", doors.adjustments),
        "items": ("GET [?company=]: configuration items as stored", doors.items),
        "webhooks": ("GET: calls to subscribers that ended, and how many are on their way", doors.webhooks),
        "journal": ("GET [?kind=ticket&since=N]: committed creations in order", doors.journal),
    }


class _Doors:
    def __init__(self, psa: "Autotask") -> None:
        self._psa = psa

    def role(self, call: ControlCall) -> Any:
        if call.method == "POST":
            try:
                changed = role.changed(self._psa.settings.role, _object(call.body))
            except role.BadRole as error:
                raise ControlError(str(error)) from error
            self._psa.change_settings(replace(self._psa.settings, role=changed))
        return self._psa.settings.role

    def keys(self, call: ControlCall) -> Any:
        if call.method == "POST":
            self._psa.change_settings(_tried(self._psa.settings.with_keys, call.body))
        return self._psa.credentials()

    def switches(self, call: ControlCall) -> Any:
        if call.method == "POST":
            self._psa.change_settings(_tried(self._psa.settings.with_switches, call.body))
        return asdict(self._psa.settings.switches)

    def technician(self, call: ControlCall) -> Any:
        if call.method != "POST" or call.rest not in ACTIONS:
            raise ControlError(f"POST one of: {', '.join(ACTIONS)}")
        with self._psa.store.lock:
            desk = self._psa.desk(actor=TECHNICIAN, technician=True)
            try:
                return ACTIONS[call.rest](desk, _object(call.body))
            except (Refused, KeyError, TypeError, ValueError) as error:
                detail = error.body if isinstance(error, Refused) else repr(error)
                raise ControlError(f"{call.rest}: {detail}") from error
            finally:
                self._psa.committed(desk)

    def usage(self, call: ControlCall) -> Any:
        limits, switches = self._psa.limits, self._psa.settings.switches
        if call.method == "POST":
            limits.spend(int(_object(call.body).get("used", 0)), self._psa.now())
        elif call.method == "DELETE":
            limits.clear()
        return threshold(switches, limits.used(self._psa.now(), switches))

    def tickets(self, call: ControlCall) -> list[Record]:
        store = self._psa.store
        with store.lock:
            found = self._wanted_tickets(call.query)
            if call.query.get("open", "").lower() == "true":
                found = [ticket for ticket in found if ticket["status"] != COMPLETE]
            return [{**one, "notes": store.where("TicketNotes", "ticketID", one["id"])} for one in found]

    def contracts(self, call: ControlCall) -> list[Record]:
        with self._psa.store.lock:
            desk = self._psa.desk()
            found = _by_id(desk.store, "Contracts", call.query.get("id"))
            if company := call.query.get("company"):
                found = [one for one in found if str(one["companyID"]) == company]
            return [{**one, "services": _services(desk, one["id"])} for one in found]

    def adjustments(self, call: ControlCall) -> list[Record]:
        with self._psa.store.lock:
            rows = list(self._psa.store.all(SERVICES.adjustments))
        wanted = call.query.get("contract")
        return [row for row in rows if wanted in (None, str(row["contractID"]))]

    def items(self, call: ControlCall) -> list[Record]:
        with self._psa.store.lock:
            rows = list(self._psa.store.all("ConfigurationItems"))
        wanted = call.query.get("company")
        return [row for row in rows if wanted in (None, str(row["companyID"]))]

    def webhooks(self, call: ControlCall) -> Any:
        return {"pending": self._psa.deliveries.pending, "ended": list(self._psa.deliveries.log)}

    def journal(self, call: ControlCall) -> list[Record]:
        kind, since = call.query.get("kind"), int(call.query.get("since", -1))
        with self._psa.store.lock:
            lines = list(self._psa.store.journal)
        return [one for one in lines if kind in (None, one["kind"]) and (one["request"] or 0) > since]

    def _wanted_tickets(self, query: Mapping[str, str]) -> Iterable[Record]:
        key = query.get("externalid")
        if key is None:
            return _by_id(self._psa.store, "Tickets", query.get("id"))
        return [
            row for row in self._psa.store.where("Tickets", "externalID", key) if row["externalID"] == key
        ]


def sections(desk: Desk) -> Sequence[Section]:
    store = desk.store
    tickets = [store.table("Tickets").rows[row_id] for row_id in store.table("Tickets").ids[-SHOWN_ROWS:]]
    services = [
        (
            _company_name(store, contract),
            contract["contractName"],
            _contract_state(contract),
            *_line_row(desk, line),
        )
        for contract in list(store.all("Contracts"))[:SHOWN_ROWS]
        for line in store.where("ContractServices", "contractID", contract["id"])
    ]
    ticket_columns = ("Id", "Number", "Company", "Queue", "Status", "Title", "External ID", "Last activity")
    service_columns = ("Company", "Contract", "Status", "Id", "Service", "Units today", "Posted until")
    return [
        Section("Tickets", ticket_columns, [_ticket_row(store, one) for one in reversed(tickets)]),
        Section("Contract services", service_columns, services),
    ]


def _services(desk: Desk, contract_id: int) -> list[Record]:
    lines = desk.store.where(SERVICES.lines, "contractID", contract_id)
    return [{**line, "units": rows_of(desk, SERVICES, line["id"])} for line in lines]


def _ticket_row(store: Store, ticket: Record) -> Sequence[Any]:
    queue = label_of(store, "Tickets.queueID", ticket.get("queueID"))
    status = label_of(store, "Tickets.status", ticket["status"])
    names = (ticket["ticketNumber"], _company_name(store, ticket), queue, status, ticket["title"])
    return (ticket["id"], *names, ticket.get("externalID"), ticket["lastActivityDate"])


def _line_row(desk: Desk, line: Record) -> Sequence[Any]:
    today = desk.today().isoformat()
    rows = rows_of(desk, SERVICES, line["id"])
    now = next((row for row in rows if row["startDate"][:10] <= today <= row["endDate"][:10]), None)
    posted = [row["endDate"][:10] for row in rows if row.get("approveAndPostDate")]
    service = desk.store.get("Services", line["serviceID"]) or {}
    return (line["id"], service.get("name"), now["units"] if now else None, max(posted, default=None))


def _company_name(store: Store, record: Record) -> str | None:
    return (store.get("Companies", record["companyID"]) or {}).get("companyName")


def _contract_state(contract: Record) -> str:
    return "Active" if contract["status"] == 1 else "Inactive"


def _by_id(store: Store, table: str, row_id: str | None) -> list[Record]:
    if row_id is None:
        return list(store.all(table))
    found = store.get(table, int(row_id)) if row_id.isdigit() else None
    return [found] if found else []


def _object(body: Any) -> dict[str, Any]:
    if body is not None and not isinstance(body, dict):
        raise ControlError("send a JSON object")
    return body or {}


def _tried(change: Any, body: Any) -> Any:
    try:
        return change(_object(body))
    except BadSetting as error:
        raise ControlError(str(error)) from error
