"""How tickets shall look at a level: what can be picked, what is refused, the saving (asked by the set-up pages and
REST)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from alerts import settinghistory, tickettexts
from alerts.models import SettingChange, TicketSettings
from alerts.models.settings import Level
from alerts.ticketsettings import (
    CHOICES,
    DEFAULTS,
    FIELDS,
    KINDS,
    NUMBERS,
    OF_A_BOARD,
    OF_A_COMPANY,
    SettingsOf,
    fits_type,
    is_of_board,
    is_of_company,
)
from integrations import choices, effective
from integrations.models import Choice, CompanyLink, Credentials
from integrations.models.connections import Kind
from integrations.psa import kinds
from portal import clock, inheritance
from portal.inheritance import Effective
from portal.models import Account, Client, Organization

LABELS: Mapping[str, str] = {
    "board": "Service Board",
    "new_status": "Initial Status",
    "closing_status": "Closing Status",
    "type": "Service Type",
    "subtype": "Service Subtype",
    "item": "Service Item",
    "category": "Ticket Category",
    "priority": "Ticket Priority",
    "priority_info": "Priority of info",
    "priority_warning": "Priority of warning",
    "priority_error": "Priority of error",
    "priority_critical": "Priority of critical",
    "source": "Source",
    "contact": "Contact",
    "agreement": "Agreement",
    "due_in_hours": "Due in (hours)",
    "summary_template": "Summary",
    "body_template": "Text",
    "automatic_closure": "Automatic Ticket Closure",
    "closes_only_untouched": "Close only if nobody touched it",
    "reopen_within_days": "Reopen within (days)",
    "notes_per_hour": "Notes per hour, at most",
    "reminder_after_hours": "Remind after (hours)",
    "reminder_opens_ticket": "Remind by a new ticket",
}
AUTOTASK_LABELS: Mapping[str, str] = {
    "board": "Queue",
    "new_status": "Status New",
    "closing_status": "Status Complete",
    "type": "Issue Type",
    "subtype": "Sub-issue Type",
    "item": "Ticket Type",
    "priority": "Priority",
    "agreement": "Contract",
}
MOST: Mapping[str, int] = {
    "due_in_hours": 8760,
    "reopen_within_days": 365,
    "notes_per_hour": 60,
    "reminder_after_hours": 8760,
}
OWN_TEMPLATES = ("summary_template", "body_template")
NEEDED_WITH_A_BOARD = ("new_status", "closing_status")
"""An inherited value that is not of the chosen board is refused for these; the PSA has defaults for the others."""


def nothing_of(name: str) -> str:
    """What a ticket gets in a field that no level says anything about."""
    return "the product’s template" if name in OWN_TEMPLATES else "the PSA’s default"


@dataclass(frozen=True)
class Setup:
    """The ticket settings of one level, with what is inherited and what can be picked.

    `company` is the mapped PSA company (a Choice), None at organizations and for clients that are not mapped.
    """

    level: Level
    row: TicketSettings | None
    connection: Credentials | None
    in_effect: Mapping[str, Effective[Any]]
    inherited: Mapping[str, Effective[Any]]
    offered: Mapping[str, list[Choice]] = field(default_factory=dict)
    age: choices.Age | None = None
    levels: Sequence[Level] = ()
    company: Choice | None = None
    said: Mapping[str, Effective[Any]] = field(default_factory=dict)
    boardless: frozenset[uuid.UUID] = frozenset()

    @property
    def board(self) -> Choice | None:
        return self.in_effect["board"].value

    @property
    def fields(self) -> list[str]:
        """Those that make sense at this level and for this PSA."""
        return [name for name in FIELDS if self.has(name)]

    def has(self, name: str) -> bool:
        if name in OF_A_COMPANY and isinstance(self.level, Organization):
            return False
        if name == "category" and self.connection is not None and self.connection.kind != Kind.AUTOTASK:
            return self.said[name].value is not None
        return True

    def label(self, name: str) -> str:
        return label(name, self.connection)

    def doubt(self, name: str) -> str:
        """Why a value that was chosen is not used; empty when it is."""
        found = self.said[name]
        choice = found.value
        if not isinstance(choice, Choice):
            return ""
        if self.connection is None or choice.credentials_id != self.connection.pk:
            return f"“{choice.name}” belongs to another connection and is left out."
        if name in OF_A_COMPANY and not is_of_company(choice, self.company.psa_id if self.company else None):
            return f"“{choice.name}” is not of the mapped company and is left out."
        if self.in_effect[name].value is None:
            return f"“{choice.name}” does not go with the {self.label('board')} and the choices before it; left out."
        return ""


def label(name: str, connection: Credentials | None) -> str:
    """What the field is called in the PSA of this connection."""
    own = AUTOTASK_LABELS if connection is not None and connection.kind == Kind.AUTOTASK else {}
    return own.get(name, LABELS[name])


def setup_of(level: Level) -> Setup:
    """Works while the PSA is down: everything comes from our copy of its options."""
    found = SettingsOf.of(level.partner_id)
    levels = found.levels(level)
    connection = connection_of(level, levels)
    company = company_of(level, connection)
    return Setup(
        level=level,
        row=found.rows.get(level.pk),
        connection=connection,
        in_effect={name: found.value(name, level) for name in FIELDS},
        inherited={
            name: inheritance.resolve(name, levels[1:], found.rows, default=DEFAULTS.get(name))
            for name in FIELDS
        },
        offered=offered_by(connection, company) if connection else {},
        age=choices.age_of(connection, *set(KINDS.values())) if connection else None,
        levels=levels,
        company=company,
        said={name: found.said(name, level) for name in FIELDS},
        boardless=found.boardless | boardless_of(connection),
    )


def boardless_of(connection: Credentials | None) -> frozenset[uuid.UUID]:
    """The connection itself when its statuses are the same in every queue, also before anything was chosen of it."""
    if connection is None or connection.kind != Kind.AUTOTASK:
        return frozenset()
    return frozenset({connection.pk})


def connection_of(level: Level, levels: Sequence[Level]) -> Credentials | None:
    """The connection whose options are picked from."""
    row = inheritance.nearest(levels, effective.by_level(level.partner_id))
    return None if row is None or row.kind == Kind.NONE else row


def company_of(level: Level, connection: Credentials | None) -> Choice | None:
    """Our copy of the PSA company that the level's client is mapped to."""
    client = level.client if isinstance(level, Account) else level
    if connection is None or not isinstance(client, Client):
        return None
    link = CompanyLink.objects.filter(client=client, credentials=connection).first()
    return choices.company(connection, link.psa_company_id) if link and link.psa_company_id else None


def offered_by(connection: Credentials, company: Choice | None) -> dict[str, list[Choice]]:
    """What each field may be, by name; a closing status must close, an initial one must not."""
    by_kind: dict[str, list[Choice]] = {kind: [] for kind in KINDS.values()}
    of_company = Q(kind__in=OF_A_COMPANY)
    wanted = Q(kind__in=set(by_kind) - set(OF_A_COMPANY))
    if company is not None:
        wanted |= of_company & Q(data__company_id=company.psa_id)
    for row in connection.choices.filter(wanted, vanished_at=None).order_by("name"):
        by_kind[row.kind].append(row)
    return {name: [row for row in by_kind[kind] if fits(name, row)] for name, kind in KINDS.items()}


def fits(name: str, choice: Choice) -> bool:
    if name == "closing_status":
        return choice.data.get("closed") is True
    return name != "new_status" or choice.data.get("closed") is not True


# --- Saving -----------------------------------------------------------------------------------------------------------


def save_ticket_settings(level: Level, values: Mapping[str, Any], *, by: str = "") -> TicketSettings | None:
    """Store what a level says itself; with nothing to say it inherits everything. What is not in `values` inherits.

    Raises ValidationError, by field and with codes, for combinations that the PSA would refuse.
    """
    refuse_misfits(level, values)
    return write(level, values, by=by, origin=SettingChange.Origin.SAVED)


def change_ticket_settings(
    level: Level, changes: Mapping[str, Any], *, by: str = ""
) -> TicketSettings | None:
    """As `save_ticket_settings`; what is not in `changes` stays."""
    found = SettingsOf.of(level.partner_id)
    own = settinghistory.own_values(found.rows.get(level.pk))
    return save_ticket_settings(level, {**own, **changes}, by=by)


def write(
    level: Level,
    values: Mapping[str, Any],
    *,
    by: str,
    origin: str,
    change: uuid.UUID | None = None,
    undoes: uuid.UUID | None = None,
) -> TicketSettings | None:
    """Row and history in one transaction; two who save at once come one after the other."""
    after = {name: values.get(name) for name in FIELDS}
    with transaction.atomic():
        type(level)._default_manager.select_for_update(no_key=True).get(pk=level.pk)
        row = TicketSettings.objects.filter(**of_level(level)).first()
        before = settinghistory.own_values(row)
        kept = settinghistory.keep(
            level, before, after, by=by, origin=origin, change=change or clock.new_id(), undoes=undoes
        )
        if not kept:
            return row
        if all(value is None for value in after.values()):
            TicketSettings.objects.filter(**of_level(level)).delete()
            return None
        row, _ = TicketSettings.objects.update_or_create(
            defaults={"partner_id": level.partner_id, "updated_at": clock.now(), **after}, **of_level(level)
        )
    return row


def of_level(level: Level) -> dict[str, Any]:
    name = (
        "account" if isinstance(level, Account) else "client" if isinstance(level, Client) else "organization"
    )
    return {name: level}


# --- What is refused --------------------------------------------------------------------------------------------------


def refuse_misfits(level: Level, values: Mapping[str, Any]) -> None:
    """Statuses and types belong to a board, subtypes to a type, contacts to a company: also to an inherited one."""
    setup = setup_of(level)
    after = {
        name: setup.inherited[name].value if values.get(name) is None else values[name] for name in FIELDS
    }
    refusals = {
        name: fault
        for name in FIELDS
        if values.get(name) is not None and (fault := misfit(name, values[name], after, setup))
    }
    for name in NEEDED_WITH_A_BOARD:
        from_above = setup.inherited[name].value
        is_inherited = values.get("board") and values.get(name) is None and from_above is not None
        if is_inherited and not is_of_board(from_above, after["board"], setup.boardless):
            text = f"The inherited “{from_above}” is not of the board {after['board']}; choose one that is."
            refusals[name] = ("wrong_board", text)
    if refusals:
        raise ValidationError(
            {name: [ValidationError(text, code=code)] for name, (code, text) in refusals.items()}
        )


def misfit(name: str, value: Any, after: Mapping[str, Any], setup: Setup) -> tuple[str, str] | None:
    """Why a value cannot be used, as code and sentence; None when it can. `after` is what would then be in effect."""
    if name in CHOICES:
        return choice_misfit(name, value, after, setup)
    if name in NUMBERS and not 0 <= value <= MOST[name]:
        return "out_of_range", f"Give a number from 0 to {MOST[name]}."
    if name in OWN_TEMPLATES:
        faults = template_faults(name, value, setup.connection)
        return faults[0] if faults else None
    return None


def template_faults(name: str, template: str, connection: Credentials | None) -> list[tuple[str, str]]:
    able = kinds.ABILITIES[connection.kind if connection is not None else Kind.CONNECTWISE]
    is_summary = name == "summary_template"
    length = able.summary_length if is_summary else able.description_length
    return tickettexts.faults_of(template, length=length, is_summary=is_summary)


def choice_misfit(
    name: str, choice: Choice, after: Mapping[str, Any], setup: Setup
) -> tuple[str, str] | None:
    connection, board = setup.connection, after["board"]
    if choice.kind != KINDS[name] or connection is None or choice.credentials_id != connection.pk:
        return "unknown_choice", f"“{choice.name}” is not offered here."
    if not fits(name, choice):
        return (
            ("not_closed", f"“{choice.name}” does not close a ticket; choose a closed status.")
            if name == "closing_status"
            else ("closed", f"“{choice.name}” is a closed status; a new ticket must be open.")
        )
    if name in OF_A_COMPANY:
        return company_misfit(choice, setup)
    if name not in OF_A_BOARD:
        return None
    if board is None:
        return "no_board", f"Choose a {setup.label('board').lower()} first: this belongs to it."
    if not is_of_board(choice, board, setup.boardless):
        return "wrong_board", f"“{choice.name}” is not of the board {board.name}."
    return None if fits_type(name, choice, after) else wrong_type(name, choice, after, setup)


def wrong_type(name: str, choice: Choice, after: Mapping[str, Any], setup: Setup) -> tuple[str, str]:
    kind = setup.label("type").lower()
    if after["type"] is None:
        return "no_type", f"Choose a {kind} first: “{choice.name}” goes with certain ones only."
    together = after["type"].name
    if name == "item" and after["subtype"] is not None:
        together += f" / {after['subtype'].name}"
    return "wrong_type", f"“{choice.name}” does not go with the {kind} {together}."


def company_misfit(choice: Choice, setup: Setup) -> tuple[str, str] | None:
    if setup.company is None:
        return "not_mapped", "Map the client to a PSA company first: this belongs to the company."
    if not is_of_company(choice, setup.company.psa_id):
        return "wrong_company", f"“{choice.name}” is not of the company {setup.company.name}."
    return None
