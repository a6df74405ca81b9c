"""The PSA port: what every PSA adapter promises (asked by connections, lanes, alerts and billing).

`plan_*` reads and never writes; `apply` is the only verb that writes. An adapter object serves one connection and
one thread at a time; it is cheap to make, its transport (kept-alive session) is what is shared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

from integrations.psa.plan import Applied, Plan
from integrations.psa.reportsetup import WantedSetup
from integrations.psa.wanted import (
    WantedCallback,
    WantedLines,
    WantedProduct,
    WantedReport,
    WantedTab,
    WantedTicket,
)

Verdict = Literal["passed", "failed", "probably", "not needed", "skipped"]
Feature = Literal[
    "tickets", "closing", "billing", "statistics", "choices", "inbound", "hosted_tab", "cross_references"
]
# How long a call may wait when a PSA counts calls: opens and closes go first, then notes and what a person waits for.
Importance = Literal["ticket", "note", "report"]
ChoiceKind = Literal[
    "company",
    "board",
    "status",
    "type",
    "subtype",
    "item",
    "priority",
    "source",
    "product",
    "agreement",
    "contact",
    "category",
    "solution",
    "team",
    "site",
]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of "Test It". `fix` tells the click path in the PSA when the verdict is not `passed`.

    `kind`: a step of the ladder, a right, advice that stops nothing, or rights that nobody needs (excess). `needs` are
    the levels that `features` need in `area`, as the PSA's page shows them; `breaks` what does not work as it is now;
    `excess` what is granted and not needed. "skipped" means that it was not tried.
    """

    name: str
    verdict: Verdict
    detail: str = ""
    fix: str = ""
    seconds: float = 0.0
    kind: Literal["step", "right", "advice", "excess"] = "step"
    area: str = ""
    needs: tuple[str, ...] = ()
    features: tuple[Feature, ...] = ()
    breaks: tuple[Feature, ...] = ()
    why: str = ""
    excess: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Option:
    """One value a picker may offer. `within` is the id of the record it belongs to (a status belongs to a board).

    `data` holds what decides about its use: `closed` for a status, `default`, `recurring` and `reason` for an
    agreement, `company_id`, `xref`; `inactive` (True) only in answers to `changed_since`, for what is not offered any
    more.
    """

    kind: ChoiceKind
    id: str
    name: str
    within: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TicketState:
    """A ticket as the PSA shows it now. Times are aware (UTC).

    `changed_at` (by the PSA's clock) is told by `changed_tickets` and `tickets_by_id` only; searches do not always tell
    `merged_into`. `entered_by` and `updated_by` are what the PSA calls people, in the same words.
    """

    id: str
    number: str
    url: str
    external_ref: str
    summary: str
    is_closed: bool
    board_id: str | None
    status_id: str | None
    company_id: str | None
    updated_by: str = ""
    entered_at: datetime | None = None
    merged_into: str | None = None
    parent_id: str | None = None
    changed_at: datetime | None = None
    entered_by: str = ""
    priority_id: str | None = None
    assignee_id: str | None = None
    has_time: bool = False

    def as_json(self) -> dict[str, Any]:
        """What plans and answers tell of it."""
        return {
            "id": self.id,
            "number": self.number,
            "url": self.url,
            "is_closed": self.is_closed,
            "status_id": self.status_id,
            "board_id": self.board_id,
            "merged_into": self.merged_into,
            "updated_by": self.updated_by,
            "company_id": self.company_id,
        }

    def as_first(self) -> dict[str, str]:
        """What is compared later to know whether a person changed it; empty text for what has no value."""
        return {name: getattr(self, name) or "" for name in OWNED}


@dataclass(frozen=True, kw_only=True)
class TabClaim:
    """What the page around our tab says of who looks at which company: nothing is believed before the PSA said so.

    `proof` is what the PSA gave the member's browser to prove who he is.
    """

    login_company: str
    member: str
    proof: str = field(repr=False)
    company_id: str


@dataclass(frozen=True, kw_only=True)
class TabViewer:
    """A member as the PSA itself tells it, and a company that this member may see there."""

    member: str
    email: str
    company_id: str
    company_name: str


OWNED = ("status_id", "priority_id", "assignee_id", "board_id", "company_id", "summary", "parent_id")
"""What of a ticket a person may have changed, besides writing notes and entering time."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note of a ticket: its text, and who wrote it (as in `TicketState.entered_by`; empty when nobody did)."""

    text: str
    by: str


@dataclass(frozen=True, kw_only=True)
class LineState:
    """An agreement line as the PSA shows it. Numbers are decimal text, so that nothing is lost on the way.

    `changed_by` and `changed_at` (aware ISO text) say who changed it last, where the PSA tells; else they are empty.
    """

    id: str
    product_id: str
    product_name: str
    quantity: str
    less_included: str
    serial_number: str
    invoice_description: str
    cancelled_on: str | None
    unit_price: str | None = None
    agreement_status: str = ""
    changed_by: str = ""
    changed_at: str = ""


@dataclass(frozen=True, kw_only=True)
class InvoicedLine:
    """What was billed of an agreement: one line of an invoice, or a whole invoice where a PSA does not tell its lines.

    `line_id` is the agreement line's, empty for a whole invoice, whose `quantity` is None. `invoice_id` is empty for
    what is approved and not yet on an invoice. Days are ISO text, both included; amounts are decimal text, without tax.
    """

    invoice_id: str
    number: str
    starts_on: str
    ends_on: str = ""
    line_id: str = ""
    quantity: str | None = None
    amount: str | None = None
    currency: str = ""


class Psa(Protocol):
    """One connection to one partner's PSA. All methods raise `errors.PsaError` kinds and nothing else."""

    kind: str

    def check(self, features: Collection[Feature], observed: Collection[Feature] = ()) -> list[Check]:
        """The doctor: every right that the features need, probed by reading. `observed` ones need not write."""

    def companies(self, like: str = "") -> list[Option]: ...

    def choices(
        self, kind: ChoiceKind, within: str = "", changed_since: datetime | None = None
    ) -> list[Option]:
        """All active options of a kind. `within` narrows to one board (status, type, ...) or company (agreement, ...).

        With `changed_since` (aware): only those that the PSA changed then or later, by its own clock, so leave a few
        minutes' overlap. What is not offered any more is among them, with `data["inactive"]` True; what was deleted
        is told by nobody, so read everything now and then. Kinds that are not in `Abilities.incremental` ignore it
        and answer everything.
        """

    def each_choice(
        self, kind: ChoiceKind, within: str = "", changed_since: datetime | None = None
    ) -> Iterable[Option]:
        """The same, read page by page while it is taken: for lists that are too long to be held. Errors come then."""

    def lines(self, agreement_id: str, *, on: date | None = None) -> list[LineState]:
        """As they are now; `on` is a past day, heeded where PSAs keep them (`Abilities.past_lines`)."""

    def invoiced(self, agreement_id: str, first: date, last: date) -> list[InvoicedLine]:
        """What was billed for a time that begins in these days. A few calls, however many lines."""

    def ticket(self, ticket_id: str) -> TicketState:
        """Raises `errors.NotFound` when it was deleted."""

    def find_tickets(self, external_ref: str) -> list[TicketState]:
        """All tickets that carry exactly this key, oldest first."""

    def recent_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """All tickets entered since then whose key starts with the prefix, oldest first (for the sweep)."""

    def changed_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """All tickets changed since then (by the PSA's clock) whose key starts with the prefix. Deleted ones are not
        among them."""

    def tickets_by_id(self, ids: Sequence[str]) -> list[TicketState]:
        """Those of these tickets that are there, for many ids in few calls."""

    def plan_ticket(self, wanted: WantedTicket) -> Plan: ...

    def plan_callback(self, wanted: WantedCallback) -> Plan:
        """The next writes on the way to being told of changed tickets; empty when the PSA does tell us."""

    def plan_lines(self, wanted: WantedLines) -> Plan: ...

    def plan_report(self, wanted: WantedReport) -> Plan:
        """The management report's entries and the devices' counters, as they should be. Counters are absolute."""

    def check_report_setup(self, wanted: WantedSetup) -> list[Check]:
        """Whether what an administrator sets up once for the report is as it must be; reads only."""

    def plan_references(self, wanted: WantedSetup) -> Plan:
        """The PSA's own table of cross-references as it should be: items by their words, what is only there as
        findings `reference_only_there`. Raises `errors.Misconfigured` where `Abilities.cross_references` is False."""

    def plan_product(self, wanted: WantedProduct) -> Plan:
        """Nothing to do when it is there: then `found` has its `id`. What stands in the way is a finding."""

    def plan_tab(self, wanted: WantedTab) -> Plan:
        """Our tab on the PSA's companies. Raises `errors.Misconfigured` where `Abilities.hosted_tab` is False."""

    def tab_viewer(self, claim: TabClaim) -> TabViewer:
        """Asks the PSA, as the member, who that is and whether the company may be seen. Raises `errors.Rejected` for
        what the PSA does not confirm, and `errors.Misconfigured` where `Abilities.hosted_tab` is False."""

    def apply(self, plan: Plan) -> Applied: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a PSA can do at all; pages hide the rest. Lengths are characters.

    `cross_references` whether the PSA has a table of them that we may keep in step.
    `incremental` names the kinds of choices that can be asked for what changed since a moment.
    `invoice_lines` whether invoices tell their lines, `past_lines` whether agreement lines of a past day can be read.
    `writes_settle_after` (seconds): how long the PSA may go on carrying out a write after we stopped waiting for it.
    """

    summary_length: int
    description_length: int
    invoice_description_length: int
    fractional_quantities: bool
    statistics: bool
    hosted_tab: bool
    cross_references: bool = False
    incremental: frozenset[ChoiceKind] = frozenset()
    writes_settle_after: float = 0.0
    invoice_lines: bool = False
    past_lines: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """How to reach and sign in at a PSA. `secret` never appears in `repr`, logs or exceptions."""

    site: str
    login_company: str
    public_key: str
    secret: str = field(repr=False)
    client_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One call as the event log keeps it: redacted, bodies cut to a sane length."""

    method: str
    path: str
    status: int | None
    seconds: float
    request: str
    response: str
    error: str = ""


ExchangeLog = Sequence[Exchange]


class AtOnce(Protocol):
    """How many calls about one entity may be under way, where a PSA bounds that."""

    def turn(self, entity: str) -> AbstractContextManager[None]:
        """Raises `errors.Throttled` when no turn comes up in time."""


class Budget(Protocol):
    """Calls that may still be made at a PSA, counted by whoever can: this process, or a row that all share."""

    def take(self, entity: str, importance: Importance = "note") -> None:
        """Before every call. Raises `errors.Throttled` when there is none left for now; nothing is sent then."""
