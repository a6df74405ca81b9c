"""What the control door can do to this PSA beyond faults: role, keys, switches, technician, plain state, journal."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from integrations.sandbox.connectwise import role
from integrations.sandbox.connectwise.store import Record
from integrations.sandbox.connectwise.technician import ACTIONS
from integrations.sandbox.dialect import ControlCall, ControlError, Verb
from integrations.sandbox.verbs import SharedVerbs, by_id, object_of

if TYPE_CHECKING:
    from integrations.sandbox.connectwise.dialect import ConnectWise


def verbs(psa: "ConnectWise") -> Mapping[str, tuple[str, Verb]]:
    doors = _Doors(psa)
    shared = SharedVerbs(psa, changed=role.changed, actions=ACTIONS, act=psa.act)
    return {
        **shared.verbs(),
        "tickets": ("GET ?externalXRef=|id=|open=true: tickets as stored, with their notes", doors.tickets),
        "agreements": ("GET [?id=|company=]: agreements as stored, with their additions", doors.agreements),
        "invoices": ("GET [?agreement=]: invoices as stored", doors.invoices),
        "reports": ("GET: management summary reports as stored", doors.reports),
        "callbacks": (
            'GET the calls on their way and those that ended; POST {"lose": 2} loses the next ones',
            doors.callbacks,
        ),
    }


class _Doors:
    def __init__(self, psa: "ConnectWise") -> None:
        self._psa = psa

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
            found = by_id(store.table("agreements"), call.query.get("id"))
            if company := call.query.get("company"):
                found = [one for one in found if str(one["company"]["id"]) == company]
            return [{**one, "additions": store.under("additions", one["id"])} for one in found]

    def reports(self, call: ControlCall) -> list[Record]:
        with self._psa.store.lock:
            return list(self._psa.store.all("reports"))

    def callbacks(self, call: ControlCall) -> Any:
        deliveries = self._psa.deliveries
        if call.method == "POST":
            count = object_of(call.body).get("lose")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ControlError('send {"lose": a number}')
            deliveries.lose(count)
        return {"pending": deliveries.pending, "ended": list(deliveries.log)}

    def invoices(self, call: ControlCall) -> list[Record]:
        wanted = call.query.get("agreement")
        with self._psa.store.lock:
            rows = list(self._psa.store.all("invoices"))
        return [row for row in rows if wanted in (None, str(row.get("applyToId")))]

    def _wanted_tickets(self, query: Mapping[str, str]) -> Iterable[Record]:
        store = self._psa.store
        key = query.get("externalxref")
        if key is None:
            return by_id(store.table("tickets"), query.get("id"))
        ids = sorted(store.table("tickets").indexes["externalXRef"].equal(key))
        rows = [store.table("tickets").rows[row_id] for row_id in ids]
        return [row for row in rows if row["externalXRef"] == key]
