"""How a client's tickets should look, and where each value comes from (asked by tickets and the settings pages).

Each field is inherited by itself: account, client, organization, its parent, ... up to the top.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from alerts.models import ClientAddress, TicketSettings
from alerts.models.settings import Level
from integrations.models import Choice, Credentials
from integrations.models.connections import Kind, Standing
from integrations.models.eventlog import Severity
from portal import clock, database
from portal.inheritance import Effective, Tree, level_id, resolve
from portal.models import Account, Client

OF_SEVERITY: Mapping[str, str] = {
    Severity.INFO: "priority_info",
    Severity.SUCCESS: "priority_info",
    Severity.WARNING: "priority_warning",
    Severity.ERROR: "priority_error",
    Severity.CRITICAL: "priority_critical",
}
# field -> the PSA's kind of record
KINDS: Mapping[str, str] = {
    "board": "board",
    "new_status": "status",
    "closing_status": "status",
    "type": "type",
    "subtype": "subtype",
    "item": "item",
    "category": "category",
    "priority": "priority",
    **dict.fromkeys(dict.fromkeys(OF_SEVERITY.values()), "priority"),
    "source": "source",
    "contact": "contact",
    "agreement": "agreement",
}
CHOICES = tuple(KINDS)
OF_A_BOARD = ("new_status", "closing_status", "type", "subtype", "item")
OF_A_COMPANY = ("contact", "agreement")
TEXTS = ("summary_template", "body_template")
SWITCHES = ("automatic_closure", "closes_only_untouched", "reminder_opens_ticket")
NUMBERS = ("due_in_hours", "reopen_within_days", "notes_per_hour", "reminder_after_hours")
FIELDS = (
    *CHOICES,
    "due_in_hours",
    *TEXTS,
    *SWITCHES,
    "reopen_within_days",
    "notes_per_hour",
    "reminder_after_hours",
)
DEFAULTS: Mapping[str, Any] = {
    "automatic_closure": True,
    "closes_only_untouched": True,
    "reopen_within_days": 0,
    "notes_per_hour": 0,
    "reminder_after_hours": 0,
    "reminder_opens_ticket": False,
}
"""What holds when no level says anything. What is not named here is None: the PSA decides."""

NOBODY = [clock.NIL_UUID]
_rows = database.Prepared(lambda partner: TicketSettings.objects.filter(partner_id=partner))
_rows_for = database.Prepared(
    lambda partner, clients, accounts: TicketSettings.objects.filter(partner_id=partner).filter(
        Q(organization__isnull=False) | Q(client__in=clients) | Q(account__in=accounts)
    )
)
_addresses = database.Prepared(lambda clients: ClientAddress.objects.filter(client__in=clients))
_boardless = database.Prepared(
    lambda partner: Credentials.objects.filter(
        partner_id=partner, kind=Kind.AUTOTASK, standing=Standing.CURRENT
    ).values_list("pk", flat=True)
)
_choices = database.Prepared(lambda keys: Choice.objects.filter(pk__in=keys))


@dataclass(frozen=True)
class SettingsOf:
    """All ticket settings of a partner, read once; `addresses` of clients only when they were asked for.

    `boardless` are connections to a PSA whose statuses and types are the same in every queue.
    """

    rows: Mapping[uuid.UUID, TicketSettings]
    tree: Tree
    addresses: Mapping[uuid.UUID, ClientAddress] = field(default_factory=dict)
    boardless: frozenset[uuid.UUID] = frozenset()

    @classmethod
    def of(
        cls,
        partner_id: uuid.UUID,
        *,
        clients: Collection[uuid.UUID] | None = None,
        accounts: Collection[uuid.UUID] = (),
    ) -> SettingsOf:
        """Four queries, however many levels there are. With `clients` only theirs, their `accounts`' and those of
        organizations are read, and their addresses by a fifth."""
        if clients is None:
            rows, addresses = _rows(partner_id), []
        else:
            rows = _rows_for(partner_id, list(clients) or NOBODY, list(accounts) or NOBODY)
            addresses = _addresses(list(clients)) if clients else []
        with_choices(rows)
        return cls(
            {level_id(row): row for row in rows},
            Tree.of(partner_id),
            {address.client_id: address for address in addresses},
            frozenset(_boardless(partner_id) if rows else ()),
        )

    def levels(self, level: Level) -> list[Level]:
        """The level and those above it, nearest first."""
        if isinstance(level, Account):
            return [level, *self.tree.levels_of(level.client)]
        return self.tree.levels_of(level) if isinstance(level, Client) else [*self.tree.upwards(level.pk)]

    def value(self, field: str, level: Level) -> Effective[Any]:
        """The value in effect at a level and its source, for tickets as for pages.

        What belongs to a board or type is None when the one in effect is another (somebody changed it above): the PSA's
        default for that board is better than a ticket that it refuses.
        """
        found = self.said(field, level)
        if field not in OF_A_BOARD or not isinstance(found.value, Choice):
            return found
        is_fitting = is_of_board(found.value, self.said("board", level).value, self.boardless)
        if is_fitting and field in ("subtype", "item"):
            others = ("type",) if field == "subtype" else ("type", "subtype")
            is_fitting = fits_type(
                field, found.value, {name: self.value(name, level).value for name in others}
            )
        return found if is_fitting else Effective(None, None)

    def said(self, field: str, level: Level) -> Effective[Any]:
        """The nearest value that was chosen, fitting or not."""
        return resolve(field, self.levels(level), self.rows, default=DEFAULTS.get(field))

    def priority(self, severity: str, level: Level) -> Effective[Any]:
        """The priority of a severity: the nearest level that says anything decides, by its table before its single
        value."""
        special = OF_SEVERITY.get(severity, "priority")
        for place in self.levels(level):
            row = self.rows.get(place.pk)
            for name in (special, "priority"):
                if row is not None and (found := getattr(row, name)) is not None:
                    return Effective(found, place)
        return Effective(None, None)

    def psa_id(self, field: str, level: Level, credentials: Credentials) -> str | None:
        """The PSA's id of the choice in effect; None when it belongs to another connection than the client's."""
        return id_at(self.value(field, level).value, credentials)


def id_at(choice: object, credentials: Credentials) -> str | None:
    if not isinstance(choice, Choice) or choice.credentials_id != credentials.pk:
        return None
    return choice.psa_id


def is_of_board(choice: Choice, board: Choice | None, boardless: Collection[uuid.UUID]) -> bool:
    if board is None or choice.credentials_id != board.credentials_id:
        return False
    return choice.within == board.psa_id or choice.credentials_id in boardless


def is_of_company(choice: Choice, company: str | None) -> bool:
    """Whether a contact or agreement is one of a PSA company's."""
    return bool(company) and choice.data.get("company_id") == company


def fits_type(field: str, choice: Choice, together: Mapping[str, Any]) -> bool:
    """Whether a subtype or item goes with the type (and subtype). One that names no types goes with all."""
    kind, subtype = together.get("type"), together.get("subtype")
    if field == "item" and (pairs := choice.data.get("pairs")):
        subtype_id = subtype.psa_id if subtype is not None else None
        return kind is not None and any(
            pair[0] == kind.psa_id and subtype_id in (None, pair[1]) for pair in pairs
        )
    types = choice.data.get("type_ids") if field in ("subtype", "item") else None
    return not types or (kind is not None and kind.psa_id in types)


def with_choices(rows: Sequence[TicketSettings]) -> None:
    """Give the rows the choices they name, in one query."""
    keys = {key for row in rows for name in CHOICES if (key := getattr(row, f"{name}_id"))}
    if not keys:
        return
    known = {choice.pk: choice for choice in _choices(sorted(keys))}
    for row in rows:
        for name in CHOICES:
            if key := getattr(row, f"{name}_id"):
                setattr(row, name, known[key])
