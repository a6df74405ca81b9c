"""What the control door can do to this PSA beyond faults: role, keys, switches, technician, usage, plain state."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from integrations.sandbox.autotask import role
from integrations.sandbox.autotask.billing import SERVICES, rows_of
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.information import threshold
from integrations.sandbox.autotask.picklists import COMPLETE
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.technician import ACTIONS
from integrations.sandbox.dialect import ControlCall, Verb
from integrations.sandbox.verbs import SharedVerbs, by_id, object_of

if TYPE_CHECKING:
    from integrations.sandbox.autotask.dialect import Autotask


def verbs(psa: "Autotask") -> Mapping[str, tuple[str, Verb]]:
    doors = _Doors(psa)
    shared = SharedVerbs(psa, changed=role.changed, actions=ACTIONS, act=psa.act)
    return {
        **shared.verbs(),
        "usage": ('GET calls of this hour; POST {"used": 4000} by others; DELETE forgets them', doors.usage),
        "tickets": ("GET ?externalID=|id=|open=true: tickets as stored, with their notes", doors.tickets),
        "contracts": ("GET [?id=|company=]: contracts with services and their units by day", doors.contracts),
        "agreements": ("GET: the same as contracts", doors.contracts),
        "adjustments": ("GET [?contract=]: adjustments made, which the API never shows", doors.adjustments),
        "items": ("GET [?company=]: configuration items as stored", doors.items),
        "webhooks": ("GET: calls to subscribers that ended, and how many are on their way", doors.webhooks),
    }


class _Doors:
    def __init__(self, psa: "Autotask") -> None:
        self._psa = psa

    def usage(self, call: ControlCall) -> Any:
        limits, switches = self._psa.limits, self._psa.settings.switches
        if call.method == "POST":
            limits.spend(int(object_of(call.body).get("used", 0)), self._psa.now())
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
            found = by_id(desk.store.table("Contracts"), call.query.get("id"))
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

    def _wanted_tickets(self, query: Mapping[str, str]) -> Iterable[Record]:
        key = query.get("externalid")
        if key is None:
            return by_id(self._psa.store.table("Tickets"), query.get("id"))
        return [
            row for row in self._psa.store.where("Tickets", "externalID", key) if row["externalID"] == key
        ]


def _services(desk: Desk, contract_id: int) -> list[Record]:
    lines = desk.store.where(SERVICES.lines, "contractID", contract_id)
    return [{**line, "units": rows_of(desk, SERVICES, line["id"])} for line in lines]
