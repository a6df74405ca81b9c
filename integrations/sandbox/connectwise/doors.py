"""What the control door can do to this PSA beyond faults: role, keys, switches, technician, plain state, journal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from integrations.sandbox.connectwise import role
from integrations.sandbox.connectwise.answers import Refused
from integrations.sandbox.connectwise.settings import BadSetting
from integrations.sandbox.connectwise.store import Record, Store
from integrations.sandbox.connectwise.technician import ACTIONS, CannotDo
from integrations.sandbox.dialect import ControlCall, ControlError, Section, Verb

if TYPE_CHECKING:
    from integrations.sandbox.connectwise.dialect import ConnectWise

SHOWN_ROWS = 100


def verbs(psa: "ConnectWise") -> Mapping[str, tuple[str, Verb]]:
    doors = _Doors(psa)
    actions = "|".join(ACTIONS)
    return {
        "role": ('GET the role; POST {"agreements": "None"} or {"agreements": {"edit": "None"}}', doors.role),
        "keys": ("GET the keys; POST {} for new ones, or public_key, private_key, company", doors.keys),
        "switches": ("GET the switches for unsure facts; POST some of them", doors.switches),
        "technician": (f"POST technician/{{{actions}}}", doors.technician),
        "tickets": ("GET ?externalXRef=|id=|open=true: tickets as stored, with their notes", doors.tickets),
        "agreements": ("GET [?id=|company=]: agreements as stored, with their additions", doors.agreements),
        "reports": ("GET: management summary reports as stored", doors.reports),
        "callbacks": (
            'GET the calls on their way and those that ended; POST {"lose": 2} loses the next ones',
            doors.callbacks,
        ),
        "journal": ("GET [?kind=ticket&since=N]: committed creations in order", doors.journal),
    }


class _Doors:
    def __init__(self, psa: "ConnectWise") -> None:
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
        store = self._psa.store
        with store.lock:
            try:
                return ACTIONS[call.rest](
                    self._psa.desk(actor="technician", technician=True), _object(call.body)
                )
            except (CannotDo, Refused, KeyError, TypeError) as error:
                detail = error.body if isinstance(error, Refused) else repr(error)
                raise ControlError(f"{call.rest}: {detail}") from error
            finally:
                store.commit()

    def tickets(self, call: ControlCall) -> list[Record]:
        store = self._psa.store
        with store.lock:
            found = self._wanted_tickets(call.query)
            if call.query.get("open", "").lower() == "true":
                found = [ticket for ticket in found if not ticket["closedFlag"]]
            return [{**ticket, "notes": store.under("notes", ticket["id"])} for ticket in found]

    def agreements(self, call: ControlCall) -> list[Record]:
        store = self._psa.store
        with store.lock:
            found = _by_id(store, "agreements", call.query.get("id"))
            if company := call.query.get("company"):
                found = [one for one in found if str(one["company"]["id"]) == company]
            return [{**one, "additions": store.under("additions", one["id"])} for one in found]

    def reports(self, call: ControlCall) -> list[Record]:
        with self._psa.store.lock:
            return list(self._psa.store.all("reports"))

    def callbacks(self, call: ControlCall) -> Any:
        deliveries = self._psa.deliveries
        if call.method == "POST":
            count = _object(call.body).get("lose")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ControlError('send {"lose": a number}')
            deliveries.lose(count)
        return {"pending": deliveries.pending, "ended": list(deliveries.log)}

    def journal(self, call: ControlCall) -> list[Record]:
        kind, since = call.query.get("kind"), int(call.query.get("since", -1))
        with self._psa.store.lock:
            lines = list(self._psa.store.journal)
        return [one for one in lines if kind in (None, one["kind"]) and (one["request"] or 0) > since]

    def _wanted_tickets(self, query: Mapping[str, str]) -> Iterable[Record]:
        store = self._psa.store
        key = query.get("externalxref")
        if key is None:
            return _by_id(store, "tickets", query.get("id"))
        ids = sorted(store.table("tickets").index.equal(key))
        rows = [store.table("tickets").rows[row_id] for row_id in ids]
        return [row for row in rows if row["externalXRef"] == key]


def sections(store: Store) -> Sequence[Section]:
    tickets = [store.table("tickets").rows[row_id] for row_id in store.table("tickets").ids[-SHOWN_ROWS:]]
    additions = [
        (agreement["company"]["name"], agreement["name"], agreement["agreementStatus"], *_addition_row(one))
        for agreement in list(store.all("agreements"))[:SHOWN_ROWS]
        for one in store.under("additions", agreement["id"])
    ]
    ticket_columns = ("Id", "Company", "Board", "Status", "Summary", "External reference", "Updated")
    addition_columns = (
        "Company",
        "Agreement",
        "Status",
        "Id",
        "Product",
        "Serial no.",
        "Quantity",
        "Included",
        "Billed",
    )
    return [
        Section("Tickets", ticket_columns, [_ticket_row(one) for one in reversed(tickets)]),
        Section("Agreements", addition_columns, additions),
    ]


def _ticket_row(ticket: Record) -> Sequence[Any]:
    names = (ticket["company"]["name"], ticket["board"]["name"], ticket["status"]["name"])
    return (
        ticket["id"],
        *names,
        ticket["summary"],
        ticket.get("externalXRef"),
        ticket["_info"]["lastUpdated"],
    )


def _addition_row(one: Record) -> Sequence[Any]:
    amounts = (one["quantity"], one["lessIncluded"], one["billedQuantity"])
    return (one["id"], one["product"]["identifier"], one.get("serialNumber"), *amounts)


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
