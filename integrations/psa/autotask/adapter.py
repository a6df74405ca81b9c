"""The PSA port for Autotask (asked by connections, lanes, alerts and billing through `kinds.connect`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from integrations.psa.autotask.adjustments import Adjustments
from integrations.psa.autotask.callbacks import Callbacks
from integrations.psa.autotask.catalogue import Catalogue
from integrations.psa.autotask.checks import Checks
from integrations.psa.autotask.contracts import LINE, Contracts
from integrations.psa.autotask.devices import Devices
from integrations.psa.autotask.following import Following
from integrations.psa.autotask.limits import Threshold
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.options import Options
from integrations.psa.autotask.rest import Rest
from integrations.psa.autotask.tickets import Tickets
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.plan import Applied, AppliedItem, Plan, PlanItem
from integrations.psa.port import Check, ChoiceKind, Feature, LineState, Option, SignIn, TicketState
from integrations.psa.transport import Transport
from integrations.psa.wanted import WantedCallback, WantedLines, WantedProduct, WantedReport, WantedTicket

# Which entity a write counts for in the limit of calls at once: children count for themselves (documented).
_ENTITIES = (
    ("/ServiceAdjustments", "ContractServiceAdjustments"),
    ("/Services", "ContractServices"),
    ("/Notes", "TicketNotes"),
)


class AutotaskPsa:
    """One partner's Autotask. For one thread; what threads share is the transport's `SharedConnection`."""

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
        self.transport = transport
        self._on_close = on_close
        self._rest = Rest(sign_in, transport)
        self._metadata = Metadata(self._rest)
        self._tickets = Tickets(self._rest, self._metadata, pause)
        self._adjustments = Adjustments(self._rest, clock)
        self._contracts = Contracts(self._rest, self._metadata, self._adjustments, clock)
        self._devices = Devices(self._rest, self._metadata)
        self._catalogue = Catalogue(self._rest, self._metadata)
        self._options = Options(self._rest, self._metadata)
        self._following = Following(self._rest, self._metadata, pause)
        self._callbacks = Callbacks(self._rest)

    def check(self, features: Collection[Feature]) -> list[Check]:
        return Checks(self._rest, self._metadata).run(features)

    def threshold(self) -> Threshold:
        """How many calls all integrations of this Autotask have made in the running hour. Costs one itself."""
        return self._rest.threshold()

    def companies(self, like: str = "") -> list[Option]:
        return self._options.companies(like)

    def choices(self, kind: ChoiceKind, within: str = "") -> list[Option]:
        return self._options.choices(kind, within)

    def lines(self, agreement_id: str) -> list[LineState]:
        return self._contracts.lines(agreement_id)

    def ticket(self, ticket_id: str) -> TicketState:
        return self._tickets.one(ticket_id)

    def find_tickets(self, external_ref: str) -> list[TicketState]:
        return self._tickets.with_ref(external_ref)

    def recent_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        return self._tickets.recent(ref_prefix, since)

    def changed_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        return self._following.changed(ref_prefix, since)

    def tickets_by_id(self, ids: Sequence[str]) -> list[TicketState]:
        return self._following.by_id(ids)

    def plan_callback(self, wanted: WantedCallback) -> Plan:
        """Holds the steps that can be taken now: plan again until there are none."""
        return self._callbacks.plan(wanted)

    def plan_ticket(self, wanted: WantedTicket) -> Plan:
        """Creating reads nothing but what is kept for hours; closing reads the ticket once."""
        return self._tickets.plan(wanted)

    def plan_lines(self, wanted: WantedLines) -> Plan:
        return self._contracts.plan(wanted)

    def plan_report(self, wanted: WantedReport) -> Plan:
        return self._devices.plan(wanted)

    def plan_product(self, wanted: WantedProduct) -> Plan:
        return self._catalogue.plan(wanted)

    def apply(self, plan: Plan) -> Applied:
        """Item by item, each sent once. An error carries what was carried out before it as `applied`."""
        done: list[AppliedItem] = []
        for item in plan.items:
            try:
                done.append(self._applied(item))
            except PsaError as error:
                error.applied = tuple(done)
                raise
        return Applied(items=tuple(done))

    def close(self) -> None:
        """Ends the network connections, unless they are shared with other adapters."""
        if self._on_close:
            self._on_close()

    def _applied(self, item: PlanItem) -> AppliedItem:
        if item.record == LINE and item.request.method == "POST":
            return self._adjustments.adjust(item)
        written = self._written(item)
        record_id = item.record_id or written
        return AppliedItem(
            key=item.key,
            action=item.action,
            record_id=record_id,
            answer=self._answer(item, record_id, written),
        )

    def _written(self, item: PlanItem) -> str:
        request = item.request
        try:
            return self._rest.write(
                request.method, request.path, request.body, entity=_entity_of(request.path)
            )
        except Misconfigured as error:
            if item.key == "close" and error.field == "status":
                error.field = "closing_status"
            raise

    def _answer(self, item: PlanItem, record_id: str, written: str) -> dict[str, object]:
        """Autotask answers ids only; whatever else is known was sent, or (a close) is read back."""
        if item.action == "note":
            return {"note_id": written}
        if item.record != "ticket":
            return {"id": record_id, **item.after}
        if item.key == "close":
            return self._tickets.proven_closed(record_id, item.after["status_id"])
        return self._tickets.created(record_id)


def _entity_of(path: str) -> str:
    parts = path.strip("/").split("/")
    if len(parts) > 1:
        return next((entity for end, entity in _ENTITIES if path.endswith(end)), parts[0])
    return parts[0]
