"""What should be true at a PSA, in our words (asked by adapters; filled in by alerts and billing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class WantedAddress:
    """Where a ticket's work is, when it is not as the PSA has it. `state` is the PSA's own code for it, or empty."""

    line_1: str = ""
    line_2: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""


@dataclass(frozen=True, kw_only=True)
class WantedTicket:
    """One condition's ticket as it should be now.

    `external_ref` is our key on the PSA's record (at most 100 characters). Ids are the PSA's own, as text; None
    leaves the choice to the PSA's default. `known_id` is the PSA id when we know it; None means it is to be created.

    Of a known ticket: `only_untouched` leaves it open, with the `parting_note`, when a person has worked on it.
    `first` is how it was at first (`TicketState.as_first`), `was_written_to` that we wrote to it since, so that its
    last writer says nothing; `touched_by` who had before that. `reopens` opens one that we closed again.
    `may_have_note`: the note may be there from an earlier attempt. `closing_statuses` are those of other boards, by
    board, for a ticket that was moved.
    """

    external_ref: str
    state: Literal["open", "closed"]
    company_id: str
    summary: str
    description: str = ""
    known_id: str | None = None
    board_id: str | None = None
    status_id: str | None = None
    closing_status_id: str | None = None
    type_id: str | None = None
    subtype_id: str | None = None
    item_id: str | None = None
    priority_id: str | None = None
    source_id: str | None = None
    contact_id: str | None = None
    category_id: str | None = None
    agreement_id: str | None = None
    site_id: str | None = None
    address: WantedAddress | None = None
    due_at: datetime | None = None
    note: str = ""
    parting_note: str = ""
    only_untouched: bool = False
    first: Mapping[str, str] = field(default_factory=dict)
    was_written_to: bool = False
    touched_by: str = ""
    reopens: bool = False
    may_have_note: bool = False
    closing_statuses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WantedLine:
    """One agreement line as it should be now.

    `quantity` is absolute, already aggregated and rounded. The line is found by `line_id`, else by product and
    `serial_number`, else by product alone when just one line has it. `invoice_description` None leaves it untouched.
    `ends_on` ends the line on that day where a PSA knows such a day; nothing is ever deleted. `effective_on` is the
    day from which people have seen the change count, and is kept to while the PSA still allows it; None: now.
    """

    key: str
    product_id: str
    product_name: str
    quantity: Decimal
    serial_number: str = ""
    line_id: str | None = None
    invoice_description: str | None = None
    create_if_missing: bool = False
    ends_on: date | None = None
    effective_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class WantedLines:
    """All lines that one agreement should show for one client."""

    agreement_id: str
    agreement_name: str
    company_id: str
    lines: tuple[WantedLine, ...] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class WantedDevice:
    """Backup statistics of one protected device. `last_backup_at` is aware; `used_gb` is what it takes up."""

    serial_number: str
    name: str
    successful_jobs: int = 0
    failed_jobs: int = 0
    last_backup_at: datetime | None = None
    used_gb: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class WantedReport:
    """What the PSA's management report should show of one client for a month.

    `managed_id` is the client's managed ID (`EFS-19652`), `solution` the name of the management solution in the PSA.
    All counters are absolute: those of the month so far. `month` is any day of that month.
    """

    company_id: str
    managed_id: str
    solution: str
    successful_jobs: int
    failed_jobs: int
    servers: int = 0
    workstations: int = 0
    devices: tuple[WantedDevice, ...] = field(default_factory=tuple)
    month: date | None = None


@dataclass(frozen=True, kw_only=True)
class WantedCallback:
    """Whether, and where, a PSA should tell us of changed tickets.

    `name` (at most 50 characters) tells our registrations from those of others, `url` ends with a slash. `secret` (at
    most 64 characters) is for PSAs that sign with a key of ours; `renew` sends it although one is registered.
    """

    name: str
    state: Literal["present", "absent"]
    url: str
    secret: str = field(default="", repr=False)
    renew: bool = False


@dataclass(frozen=True, kw_only=True)
class WantedTab:
    """Whether a PSA should show a page of ours as a tab on its companies.

    `name` (at most 50 characters) stands on the tab. Addresses that begin with `prefix` are ours, whatever follows.
    """

    name: str
    state: Literal["present", "absent"]
    url: str
    prefix: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class WantedProduct:
    """A product (Autotask: a service) that should exist in the PSA's catalogue. Prices are the PSA administrator's.

    `category`, `kind` and `unit` are names in the PSA's set-up tables: ConnectWise's subcategory, product type and
    unit of measure; Autotask's billing code (`category`) alone.
    """

    identifier: str
    description: str
    unit: str = "Each"
    category: str = "Managed Services"
    kind: str = "Software"
    unit_price: Decimal | None = None
