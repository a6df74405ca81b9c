"""The PSA port: what every PSA adapter promises (asked by connections, lanes, alerts and billing).

`plan_*` reads and never writes; `apply` is the only verb that writes. An adapter object serves one connection and
one thread at a time; it is cheap to make, its transport (kept-alive session) is what is shared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from integrations.psa.plan import Applied, Plan
from integrations.psa.wanted import WantedLines, WantedTicket

Verdict = Literal["passed", "failed", "probably", "skipped"]
Feature = Literal["tickets", "closing", "billing", "statistics"]
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
]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of "Test It". `fix` tells the click path in the PSA when the verdict is not `passed`."""

    name: str
    verdict: Verdict
    detail: str = ""
    fix: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Option:
    """One value a picker may offer. `within` is the id of the record it belongs to (a status belongs to a board).

    `data` holds what decides about its use: `closed` for a status, `default`, `inactive`, `recurring` and `reason`
    for an agreement, `company_id`, `xref`.
    """

    kind: ChoiceKind
    id: str
    name: str
    within: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TicketState:
    """A ticket as the PSA shows it now. `entered_at` is aware (UTC)."""

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


@dataclass(frozen=True, kw_only=True)
class LineState:
    """An agreement line as the PSA shows it now. Numbers are decimal text, so that nothing is lost on the way."""

    id: str
    product_id: str
    product_name: str
    quantity: str
    less_included: str
    serial_number: str
    invoice_description: str
    cancelled_on: str | None
    unit_price: str | None = None


class Psa(Protocol):
    """One connection to one partner's PSA. All methods raise `errors.PsaError` kinds and nothing else."""

    kind: str

    def check(self, features: Collection[Feature]) -> list[Check]: ...

    def companies(self, like: str = "") -> list[Option]: ...

    def choices(self, kind: ChoiceKind, within: str = "") -> list[Option]:
        """All active options of a kind. `within` narrows to one board (status, type, ...) or company (agreement)."""

    def lines(self, agreement_id: str) -> list[LineState]: ...

    def ticket(self, ticket_id: str) -> TicketState:
        """Raises `errors.NotFound` when it was deleted."""

    def find_tickets(self, external_ref: str) -> list[TicketState]:
        """All tickets that carry exactly this key, oldest first."""

    def recent_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """All tickets entered since then whose key starts with the prefix, oldest first (for the sweep)."""

    def plan_ticket(self, wanted: WantedTicket) -> Plan: ...

    def plan_lines(self, wanted: WantedLines) -> Plan: ...

    def apply(self, plan: Plan) -> Applied: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a PSA can do at all; pages hide the rest. Lengths are characters.

    `writes_settle_after` (seconds): how long the PSA may go on carrying out a write after we stopped waiting for it.
    """

    summary_length: int
    description_length: int
    invoice_description_length: int
    fractional_quantities: bool
    statistics: bool
    hosted_tab: bool
    writes_settle_after: float = 0.0
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


class Budget(Protocol):
    """Calls that may still be made at a PSA, counted by whoever can: this process, or a row that all share."""

    def take(self, entity: str) -> None:
        """Before every call. Raises `errors.Throttled` when there is none left for now; nothing is sent then."""
