"""Rows of the replay lab: what models have, without the models' cost (asked by `alerts.lab` and `alerts.labhistory`).

A hundred thousand of them are made a replay; a model's instance costs ten times as much. They have the names that
decisions ask for and no others: what asks for more fails at once. Nothing here can be stored.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from alerts.models import Condition, Ticket
from alerts.models.noise import HoldKind
from integrations.models import Credentials, Lane, Status
from portal import clock
from portal.models import Account, Client

NEW = SimpleNamespace(adding=True)
_numbers = itertools.count(1)
COLUMNS = (
    "pk", "client_id", "account_id", "source", "type", "severity", "action", "account_reference", "condition_key",
    "summary", "data", "occurred_at", "received_at", "trace",
)  # fmt: skip
"""Of an event so much is read, in the order of `PaperEvent`."""


@dataclass(slots=True, eq=False)
class PaperEvent:
    """An event of a known client."""

    pk: uuid.UUID
    client_id: uuid.UUID
    account_id: uuid.UUID | None
    source: str
    type: str
    severity: str
    action: str
    account_reference: str
    condition_key: str
    summary: str
    data: dict[str, Any]
    occurred_at: datetime
    received_at: datetime
    trace: list[dict[str, Any]]
    partner_id: uuid.UUID | None = None
    client: Client | None = None


@dataclass(slots=True, eq=False)
class PaperCondition:
    """What is wrong over time."""

    partner_id: uuid.UUID
    client: Client
    client_id: uuid.UUID
    account: Account | None
    account_id: uuid.UUID | None
    key: str
    pk: uuid.UUID
    state: str = Condition.State.FINE
    episode: int = 0
    wants_ticket: bool = False
    repeats: int = 0
    severity: str = ""
    summary: str = ""
    decided_at: datetime | None = None
    decided_by: uuid.UUID | None = None
    opened_by: uuid.UUID | None = None
    since: datetime | None = None
    decided_ahead_at: datetime | None = None


@dataclass(slots=True, eq=False)
class PaperTicket:
    """The intent to open a ticket, and what came of it."""

    partner_id: uuid.UUID
    condition: Condition
    credentials: Credentials
    generation: int
    external_ref: str
    summary: str
    episode: int
    created_at: datetime
    sent_at: datetime | None
    state: str = Ticket.State.OPENING
    psa_id: str = ""
    number: str = ""
    url: str = ""
    misses: int = 0
    was_answered: bool = False
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    seen_at: datetime | None = None
    changed_at: datetime | None = None
    changed_by: str = ""
    psa_status_id: str = ""
    psa_status: str = ""
    psa_closed_at: datetime | None = None
    board_id: str = ""
    moved_to: str = ""
    merged_into: str = ""
    child_of: str = ""
    company_id: str = ""
    moved_to_company: str = ""
    gone_at: datetime | None = None
    news: str = ""
    news_at: datetime | None = None
    first: dict[str, str] = field(default_factory=dict)
    touched_by: str = ""
    was_written_to: bool = False
    left_at: datetime | None = None
    left_why: str = ""
    acknowledged_at: datetime | None = None
    reminded_at: datetime | None = None
    pending_note: str = ""
    noted_repeats: int = 0
    notes_from: datetime | None = None
    notes_used: int = 0

    @property
    def credentials_id(self) -> uuid.UUID:
        return self.credentials.pk

    @property
    def condition_id(self) -> uuid.UUID:
        return self.condition.pk

    def __str__(self) -> str:
        return Ticket.__str__(self)  # type: ignore[arg-type]


@dataclass(slots=True, eq=False)
class PaperDelivery:
    """An order; its key is a number that nobody asks for."""

    partner_id: uuid.UUID
    event: Any
    client_id: uuid.UUID
    action: str
    subject: str
    notification_id: uuid.UUID | None
    notification_name: str
    notification_version: int
    priority: int
    due_at: datetime
    created_at: datetime
    status: str = Status.WAITING
    reason: str = ""
    outcome: str = ""
    lane: Lane | None = None
    attempts: int = 0
    search_first: bool = False
    pk: int = field(default_factory=_numbers.__next__)

    @property
    def event_id(self) -> uuid.UUID:
        found: uuid.UUID = self.event.pk
        return found


@dataclass(slots=True, eq=False)
class PaperHold:
    """What keeps a ticket from being opened; later ones have higher keys, as those that are stored."""

    partner_id: uuid.UUID
    condition: Condition
    since: datetime
    events: int
    kind: str = ""
    event: Any = None
    rule_id: uuid.UUID | None = None
    rule_name: str = ""
    notification_name: str = ""
    parent_id: uuid.UUID | None = None
    storm_id: uuid.UUID | None = None
    until: datetime | None = None
    text: str = ""
    pk: int = field(default_factory=_numbers.__next__)
    condition_id: uuid.UUID = field(init=False)

    def __post_init__(self) -> None:
        self.condition_id = self.condition.pk

    @property
    def _state(self) -> SimpleNamespace:
        return NEW

    def get_kind_display(self) -> str:
        return str(HoldKind(self.kind).label)


@dataclass(slots=True, eq=False)
class PaperSwings:
    """When a condition changed sides."""

    partner_id: uuid.UUID
    condition: Condition
    at: list[str]


@dataclass(slots=True, eq=False)
class PaperLead:
    """Whose ticket stands for a group."""

    partner_id: uuid.UUID
    client_id: uuid.UUID
    notification_id: uuid.UUID
    value: str
    condition: Condition | None = None

    @property
    def condition_id(self) -> uuid.UUID | None:
        return self.condition.pk if self.condition else None


@dataclass(slots=True, eq=False)
class PaperStorm:
    """A brake that is on."""

    partner_id: uuid.UUID
    client: Client | None
    home_id: uuid.UUID
    began_at: datetime
    last_at: datetime
    condition: Condition | None = None
    pk: uuid.UUID = field(default_factory=clock.new_id)

    @property
    def client_id(self) -> uuid.UUID | None:
        return self.client.pk if self.client else None
