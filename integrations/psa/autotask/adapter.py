"""The PSA port for Autotask (asked by connections, lanes, alerts and billing through `kinds.connect`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from integrations.psa.autotask.adjustments import Adjustments
from integrations.psa.autotask.callbacks import Callbacks
from integrations.psa.autotask.catalogue import Catalogue
from integrations.psa.autotask.contracts import LINE, Contracts
from integrations.psa.autotask.devices import Devices
from integrations.psa.autotask.following import Following
from integrations.psa.autotask.limits import Threshold
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.options import Options
from integrations.psa.autotask.permissions import Doctor
from integrations.psa.autotask.rest import Rest
from integrations.psa.autotask.tickets import Tickets
from integrations.psa.frame import Adapter
from integrations.psa.plan import AppliedItem, PlanItem
from integrations.psa.port import Check, Feature, SignIn
from integrations.psa.rights import asked
from integrations.psa.transport import Transport

# Which entity a write counts for in the limit of calls at once: children count for themselves (documented).
_ENTITIES = (
    ("/ServiceAdjustments", "ContractServiceAdjustments"),
    ("/Services", "ContractServices"),
    ("/Notes", "TicketNotes"),
)


class AutotaskPsa(Adapter):
    """One partner's Autotask."""

    kind = "autotask"

    def __init__(
        self,
        sign_in: SignIn,
        *,
        transport: Transport,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """Makes no call: the zone is discovered at the first, and remembered on the shared connection."""
        super().__init__(transport, on_close)
        self._rest = Rest(sign_in, transport)
        self._metadata = Metadata(self._rest)
        self._adjustments = Adjustments(self._rest, clock)
        self._own_tickets = Tickets(self._rest, self._metadata, pause)
        self.tickets = self._own_tickets
        self.agreements = Contracts(self._rest, self._metadata, self._adjustments, clock)
        self.reports = self.setup = Devices(self._rest, self._metadata)
        self.products = Catalogue(self._rest, self._metadata)
        self.options = Options(self._rest, self._metadata)
        self.following = Following(self._rest, self._metadata, pause)
        self.callbacks = Callbacks(self._rest)

    def check(self, features: Collection[Feature], observed: Collection[Feature] = ()) -> list[Check]:
        return Doctor(self._rest, self._metadata).examine(asked(features, observed))

    def threshold(self) -> Threshold:
        """How many calls all integrations of this Autotask have made in the running hour. Costs one itself."""
        return self._rest.threshold()

    def apply_item(self, item: PlanItem) -> AppliedItem:
        if item.record == LINE and item.request.method == "POST":
            return self._adjustments.adjust(item)
        request = item.request
        written = self._rest.write(
            request.method, request.path, request.body, entity=_entity_of(request.path)
        )
        record_id = item.record_id or written
        return AppliedItem(
            key=item.key,
            action=item.action,
            record_id=record_id,
            answer=self._answer(item, record_id, written),
        )

    def _answer(self, item: PlanItem, record_id: str, written: str) -> dict[str, object]:
        """Autotask answers ids only; whatever else is known was sent, or (a close) is read back."""
        if item.action == "note":
            return {"note_id": written}
        if item.record != "ticket":
            return {"id": record_id, **item.after}
        if item.key == "reopen":
            return {"id": record_id, **item.after}
        if item.key == "close":
            return self._own_tickets.proven_closed(record_id, item.after["status_id"])
        return self._own_tickets.created(record_id, item.request.body)


def _entity_of(path: str) -> str:
    parts = path.strip("/").split("/")
    if len(parts) > 1:
        return next((entity for end, entity in _ENTITIES if path.endswith(end)), parts[0])
    return parts[0]
