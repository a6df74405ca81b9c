"""What both adapters have in common: every verb of the port is one part's affair, and writes go item by item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Protocol

from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.plan import Applied, AppliedItem, Plan, PlanItem
from integrations.psa.port import (
    Check,
    ChoiceKind,
    Feature,
    InvoicedLine,
    LineState,
    Option,
    TabClaim,
    TabViewer,
    TicketState,
)
from integrations.psa.reportsetup import WantedSetup
from integrations.psa.ticketdesk import TicketDesk
from integrations.psa.transport import Transport
from integrations.psa.wanted import (
    WantedCallback,
    WantedLines,
    WantedProduct,
    WantedReport,
    WantedTab,
    WantedTicket,
)


class Pickers(Protocol):
    def companies(self, like: str) -> list[Option]: ...

    def each(self, kind: ChoiceKind, within: str, changed_since: datetime | None) -> Iterable[Option]: ...


class Billing(Protocol):
    def lines(self, agreement_id: str, *, on: date | None = None) -> list[LineState]: ...

    def invoiced(self, agreement_id: str, first: date, last: date) -> list[InvoicedLine]: ...

    def plan(self, wanted: WantedLines) -> Plan: ...


class Reporting(Protocol):
    def plan(self, wanted: WantedReport) -> Plan: ...


class SetUp(Protocol):
    def check(self, wanted: WantedSetup) -> list[Check]: ...


class References(Protocol):
    def plan(self, wanted: WantedSetup) -> Plan: ...


class NoReferences:
    """For PSAs that have no table of cross-references of their own."""

    def plan(self, wanted: WantedSetup) -> Plan:
        raise Misconfigured("This PSA has no table of cross-references.", field="kind")


class Products(Protocol):
    def plan(self, wanted: WantedProduct) -> Plan: ...


class Followed(Protocol):
    def changed(self, ref_prefix: str, since: datetime) -> list[TicketState]: ...

    def by_id(self, ids: Sequence[str]) -> list[TicketState]: ...


class Calling(Protocol):
    def plan(self, wanted: WantedCallback) -> Plan: ...


class Tabbed(Protocol):
    def plan(self, wanted: WantedTab) -> Plan: ...

    def viewer(self, claim: TabClaim) -> TabViewer: ...


class NoTabs:
    """For PSAs that show no pages of others."""

    def plan(self, wanted: WantedTab) -> Plan:
        raise Misconfigured("This PSA shows no tabs of others.", field="kind")

    def viewer(self, claim: TabClaim) -> TabViewer:
        raise Misconfigured("This PSA shows no tabs of others.", field="kind")


class Adapter(ABC):
    """For one thread; what threads share is the transport's `SharedConnection`."""

    kind: str
    tickets: TicketDesk
    agreements: Billing
    reports: Reporting
    setup: SetUp
    products: Products
    options: Pickers
    following: Followed
    callbacks: Calling
    tabs: Tabbed = NoTabs()
    references: References = NoReferences()

    def __init__(self, transport: Transport, on_close: Callable[[], None] | None) -> None:
        self.transport = transport
        self._on_close = on_close

    @abstractmethod
    def check(self, features: Collection[Feature]) -> list[Check]: ...

    @abstractmethod
    def apply_item(self, item: PlanItem) -> AppliedItem:
        """One write, sent at most once, and proven as far as the answer allows."""

    def companies(self, like: str = "") -> list[Option]:
        return self.options.companies(like)

    def choices(
        self, kind: ChoiceKind, within: str = "", changed_since: datetime | None = None
    ) -> list[Option]:
        return list(self.each_choice(kind, within, changed_since))

    def each_choice(
        self, kind: ChoiceKind, within: str = "", changed_since: datetime | None = None
    ) -> Iterable[Option]:
        return self.options.each(kind, within, changed_since)

    def lines(self, agreement_id: str, *, on: date | None = None) -> list[LineState]:
        return self.agreements.lines(agreement_id, on=on)

    def invoiced(self, agreement_id: str, first: date, last: date) -> list[InvoicedLine]:
        return self.agreements.invoiced(agreement_id, first, last)

    def ticket(self, ticket_id: str) -> TicketState:
        return self.tickets.one(ticket_id)

    def find_tickets(self, external_ref: str) -> list[TicketState]:
        return self.tickets.with_ref(external_ref)

    def recent_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        return self.tickets.recent(ref_prefix, since)

    def changed_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        return self.following.changed(ref_prefix, since)

    def tickets_by_id(self, ids: Sequence[str]) -> list[TicketState]:
        return self.following.by_id(ids)

    def plan_callback(self, wanted: WantedCallback) -> Plan:
        """Holds the steps that can be taken now: plan again until there are none."""
        return self.callbacks.plan(wanted)

    def plan_ticket(self, wanted: WantedTicket) -> Plan:
        """Creating costs no read but of what is kept for hours; closing reads the ticket once."""
        return self.tickets.plan(wanted)

    def plan_lines(self, wanted: WantedLines) -> Plan:
        return self.agreements.plan(wanted)

    def plan_report(self, wanted: WantedReport) -> Plan:
        return self.reports.plan(wanted)

    def check_report_setup(self, wanted: WantedSetup) -> list[Check]:
        return self.setup.check(wanted)

    def plan_references(self, wanted: WantedSetup) -> Plan:
        return self.references.plan(wanted)

    def plan_product(self, wanted: WantedProduct) -> Plan:
        return self.products.plan(wanted)

    def plan_tab(self, wanted: WantedTab) -> Plan:
        return self.tabs.plan(wanted)

    def tab_viewer(self, claim: TabClaim) -> TabViewer:
        return self.tabs.viewer(claim)

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

    def _applied(self, item: PlanItem) -> AppliedItem:
        usual = self.transport.importance
        try:
            if item.action == "note" and usual == "ticket":
                self.transport.importance = "note"
            return self.apply_item(item)
        except Misconfigured as error:
            if item.key == "close" and error.field == "status":
                error.field = "closing_status"
            raise
        finally:
            self.transport.importance = usual

    def close(self) -> None:
        """Ends the network connections, unless they are shared with other adapters."""
        if self._on_close:
            self._on_close()
