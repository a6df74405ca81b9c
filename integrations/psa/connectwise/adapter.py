"""The PSA port for ConnectWise (asked by connections, lanes, alerts and billing through `kinds.connect`)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from integrations.psa.connectwise.agreements import Agreements, changed, require_taken
from integrations.psa.connectwise.callbacks import Callbacks
from integrations.psa.connectwise.catalogue import Catalogue
from integrations.psa.connectwise.crossreferences import RECORD as REFERENCE
from integrations.psa.connectwise.crossreferences import CrossReferences, require_reference
from integrations.psa.connectwise.following import Following
from integrations.psa.connectwise.options import Options
from integrations.psa.connectwise.permissions import Doctor
from integrations.psa.connectwise.reports import RECORD as REPORT_ENTRY
from integrations.psa.connectwise.reports import Reports, require_entry, shown_entry
from integrations.psa.connectwise.reportsetup import ReportSetup
from integrations.psa.connectwise.rest import Rest, Row, text_of
from integrations.psa.connectwise.tabs import Tabs
from integrations.psa.connectwise.tickets import Tickets, created, require_closed
from integrations.psa.errors import AlreadyThere, Unsettled
from integrations.psa.frame import Adapter
from integrations.psa.plan import AppliedItem, PlanItem
from integrations.psa.port import Check, Feature, SignIn
from integrations.psa.rights import asked
from integrations.psa.transport import Transport


class ConnectWisePsa(Adapter):
    """One partner's ConnectWise."""

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
        super().__init__(transport, on_close)
        self._sign_in = sign_in
        self._rest = Rest(sign_in, transport, codebase)
        self.tickets = Tickets(self._rest, sign_in)
        self.agreements = Agreements(self._rest)
        self.reports = Reports(self._rest)
        self.setup = ReportSetup(self._rest)
        self.references = CrossReferences(self._rest)
        self.products = Catalogue(self._rest)
        self.options = Options(self._rest)
        self.following = Following(self._rest, sign_in)
        self.callbacks = Callbacks(self._rest)
        self.tabs = Tabs(self._rest, sign_in, transport)

    def check(self, features: Collection[Feature], observed: Collection[Feature] = ()) -> list[Check]:
        return Doctor(self._rest).examine(asked(features, observed))

    def apply_item(self, item: PlanItem) -> AppliedItem:
        row = self._written(item)
        if item.key == "close":
            require_closed(row, item.after["status_id"])
        elif item.record == "agreement line":
            require_taken(row, item.after)
        elif item.record == REPORT_ENTRY:
            require_entry(row, item.after)
        elif item.record == REFERENCE:
            require_reference(row, item.request)
        record_id = item.record_id or text_of(row, "id")
        return AppliedItem(
            key=item.key, action=item.action, record_id=record_id, answer=self._answer(item, row)
        )

    def _written(self, item: PlanItem) -> Row:
        try:
            return self._rest.write(item.request.method, item.request.path, item.request.body)
        except AlreadyThere as error:
            raise Unsettled(
                f"Somebody made it meanwhile. {error.text}",
                advice="It is planned again by itself.",
                status=error.status,
            ) from None

    def _answer(self, item: PlanItem, row: Row) -> dict[str, object]:
        if item.record == "callback":
            return {"id": text_of(row, "id") or item.record_id}
        if item.action == "note":
            return {"note_id": text_of(row, "id")}
        if item.record == "ticket":
            return created(row, self._sign_in)
        if item.record == "agreement line":
            return changed(row)
        return shown_entry(row) if item.record == REPORT_ENTRY else dict(item.after)
