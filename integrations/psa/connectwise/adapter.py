"""The PSA port for ConnectWise (asked by connections, lanes, alerts and billing through `kinds.connect`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from integrations.psa.connectwise.agreements import Agreements, changed, require_taken
from integrations.psa.connectwise.callbacks import Callbacks
from integrations.psa.connectwise.checks import Checks
from integrations.psa.connectwise.following import Following
from integrations.psa.connectwise.options import Options
from integrations.psa.connectwise.rest import Rest, Row, text_of
from integrations.psa.connectwise.tickets import Tickets, created, require_closed
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.plan import Applied, AppliedItem, Plan, PlanItem
from integrations.psa.port import Check, ChoiceKind, Feature, LineState, Option, SignIn, TicketState
from integrations.psa.transport import Transport
from integrations.psa.wanted import WantedCallback, WantedLines, WantedTicket


class ConnectWisePsa:
    """One partner's ConnectWise. For one thread; what threads share is the transport's `SharedConnection`."""

    kind = "connectwise"

    def __init__(
        self,
        sign_in: SignIn,
        *,
        transport: Transport,
        codebase: str | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        """`codebase` None: discovered at the first call, and remembered on the shared connection."""
        self.transport = transport
        self._sign_in = sign_in
        self._on_close = on_close
        self._rest = Rest(sign_in, transport, codebase)
        self._tickets = Tickets(self._rest, sign_in)
        self._agreements = Agreements(self._rest)
        self._options = Options(self._rest)
        self._following = Following(self._rest, sign_in)
        self._callbacks = Callbacks(self._rest)

    def check(self, features: Collection[Feature]) -> list[Check]:
        return Checks(self._rest).run(features)

    def companies(self, like: str = "") -> list[Option]:
        return self._options.companies(like)

    def choices(self, kind: ChoiceKind, within: str = "") -> list[Option]:
        return self._options.choices(kind, within)

    def lines(self, agreement_id: str) -> list[LineState]:
        return self._agreements.lines(agreement_id)

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
        return self._callbacks.plan(wanted)

    def plan_ticket(self, wanted: WantedTicket) -> Plan:
        """Creating costs no read here; closing reads the ticket once."""
        return self._tickets.plan(wanted)

    def plan_lines(self, wanted: WantedLines) -> Plan:
        return self._agreements.plan(wanted)

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
        row = self._written(item)
        if item.key == "close":
            require_closed(row, item.after["status_id"])
        elif item.record == "agreement line":
            require_taken(row, item.after)
        record_id = item.record_id or text_of(row, "id")
        return AppliedItem(
            key=item.key, action=item.action, record_id=record_id, answer=self._answer(item, row)
        )

    def _written(self, item: PlanItem) -> Row:
        try:
            return self._rest.write(item.request.method, item.request.path, item.request.body)
        except Misconfigured as error:
            if item.key == "close" and error.field == "status":
                error.field = "closing_status"
            raise

    def _answer(self, item: PlanItem, row: Row) -> dict[str, object]:
        if item.record == "callback":
            return {"id": text_of(row, "id") or item.record_id}
        if item.action == "note":
            return {"note_id": text_of(row, "id")}
        return created(row, self._sign_in) if item.record == "ticket" else changed(row)
