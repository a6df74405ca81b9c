"""Everything around a batch's tickets, looked up once, and the intents that are stored with it (asked by decisions).

Facts are looked up in bulk, about nine queries a batch, whatever its size; no network.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.conf import settings

from alerts import conditions
from alerts.lifecycle import Lifecycle, lifecycle_of
from alerts.models import ClosingStatus, Condition, Ticket
from alerts.ticketsettings import SettingsOf
from alerts.wantedticket import wanted_ticket
from integrations import companies, effective
from integrations.models import Credentials, Delivery, Event, Lane
from integrations.psa.wanted import WantedTicket
from portal import clock, database, disabled
from portal.models import Client, Disabling


@dataclass
class Facts:
    """What is known of one delivery's subject at the moment of the claim."""

    delivery: Delivery
    condition: Condition
    ticket: Ticket | None

    @property
    def is_wanted(self) -> bool:
        return self.condition.state == Condition.State.FAILING and self.condition.wants_ticket


def condition_of(delivery: Delivery) -> uuid.UUID:
    return conditions.of_subject(delivery.subject)


def open_tickets(condition_ids: set[uuid.UUID]) -> dict[uuid.UUID, Ticket]:
    return {row.condition_id: row for row in _open_tickets(condition_ids)}


_open_tickets = database.Prepared(
    lambda conditions: Ticket.objects.filter(condition__in=conditions, closed_at=None)
)
_conditions = database.Prepared(
    lambda keys: Condition.objects.filter(pk__in=keys).select_related("client", "account")
)
_events = database.Prepared(lambda keys: Event.objects.filter(pk__in=keys))
_former = database.Prepared(
    lambda conditions: Ticket.objects.filter(condition__in=conditions, closed_at__isnull=False).order_by(
        "generation"
    )
)
INTENT = (
    "sent_at",
    "misses",
    "was_answered",
    "state",
    "closed_at",
    "credentials",
    "episode",
    "pending_note",
    "acknowledged_at",
    "reminded_at",
)


def facts_of(deliveries: Sequence[Delivery]) -> list[Facts]:
    by_condition = {condition_of(delivery): delivery for delivery in deliveries}
    rows: list[Condition] = _conditions(by_condition)
    tickets = open_tickets(set(by_condition))
    return [Facts(by_condition[row.pk], row, tickets.get(row.pk)) for row in rows]


class Circumstances:
    """Everything around a batch's tickets, looked up once: connection, companies, settings, modes, opening events.

    `now` is the moment for which is decided.
    """

    ticket_row: Any = Ticket

    def __init__(self, credentials: Credentials, now: datetime) -> None:
        self.credentials = credentials
        self.now = now
        self.lanes: dict[uuid.UUID, Lane | None] = {}
        self.companies: dict[tuple[uuid.UUID, uuid.UUID], str] = {}
        self.catch_all: str | None = None
        self.disabled: Mapping[uuid.UUID, Disabling] = {}
        self.settings: dict[uuid.UUID, SettingsOf] = {}
        self.events: dict[uuid.UUID, Event] = {}
        self.former: dict[uuid.UUID, Ticket] = {}
        self.shared: set[str] = set()
        self.statuses: dict[str, str] = {}
        self.new: list[Ticket] = []
        self.touched: list[Ticket] = []

    @classmethod
    def of(cls, facts: Sequence[Facts]) -> Circumstances:
        """All facts are of one lane, hence of one connection and one partner."""
        lane = facts[0].delivery.lane
        assert lane is not None  # a running delivery has one, a constraint says
        self = cls(lane.credentials, clock.now())
        clients = {fact.condition.client_id for fact in facts}
        self.lanes = effective.lanes_of(
            {fact.condition.client_id: fact.condition.client for fact in facts}.values()
        )
        self.disabled = disabled.of(clients)
        self.companies = companies.links_of(clients, [self.credentials.pk])
        if len(self.companies) < len(clients) and (found := companies.catch_all_of(self.credentials)):
            self.catch_all = found.psa_company_id
        partner, accounts = (
            self.credentials.partner_id,
            {key for fact in facts if (key := fact.condition.account_id)},
        )
        self.settings = {partner: SettingsOf.of(partner, clients=clients, accounts=accounts)}
        opening = [fact for fact in facts if fact.is_wanted and not (fact.ticket and fact.ticket.psa_id)]
        self.events = {event.pk: event for event in _events({fact.condition.opened_by for fact in opening})}
        for ticket in _former([fact.condition.pk for fact in opening]):  # by generation
            self.former[ticket.condition_id] = ticket
        self.look_up_closing(facts)
        return self

    def look_up_closing(self, facts: Sequence[Facts]) -> None:
        """For tickets that may be closed: into which of them others were merged whose problem goes on, and the closing
        statuses of other boards."""
        ids = [
            fact.ticket.psa_id for fact in facts if fact.ticket and fact.ticket.psa_id and not fact.is_wanted
        ]
        if not ids:
            return
        failing = Ticket.objects.filter(credentials=self.credentials, merged_into__in=ids, closed_at=None)
        failing = failing.filter(condition__state=Condition.State.FAILING)
        self.shared = set(failing.values_list("merged_into", flat=True))
        chosen = ClosingStatus.objects.filter(credentials=self.credentials)
        self.statuses = dict(chosen.values_list("board__psa_id", "status__psa_id"))

    def life_of(self, condition: Condition) -> Lifecycle:
        return lifecycle_of(self.settings[condition.partner_id], condition)

    def company_of(self, client: Client) -> str | None:
        """Empty for an explicit skip, None when nobody has decided and there is no catch-all company."""
        return self.companies.get((client.pk, self.credentials.pk), self.catch_all)

    def is_caught(self, client: Client) -> bool:
        """In the catch-all company a ticket begins with the client's name."""
        return self.catch_all is not None and (client.pk, self.credentials.pk) not in self.companies

    def wanted(
        self, condition: Condition, ticket: Ticket, company: str, state: Literal["open", "closed"]
    ) -> WantedTicket:
        """How the condition's ticket should look at this connection."""
        return wanted_ticket(
            condition,
            self.events.get(condition.opened_by or clock.NIL_UUID),
            settings=self.settings[condition.partner_id],
            credentials=self.credentials,
            company=company,
            external_ref=ticket.external_ref,
            state=state,
            known_id=ticket.psa_id or None,
            created_at=ticket.created_at,
            is_caught=self.is_caught(condition.client),
        )

    def new_ticket(self, condition: Condition) -> Ticket:
        """The intent to open a ticket, stored before anything is sent."""
        former = self.former.get(condition.pk)
        generation = former.generation + 1 if former else 1
        ticket: Ticket = self.ticket_row(
            partner_id=condition.partner_id,
            condition=condition,
            credentials=self.credentials,
            generation=generation,
            external_ref=f"{settings.INSTALLATION}:{condition.pk.hex}:{generation}",
            summary=condition.summary,
            episode=condition.episode,
            created_at=self.now,
            sent_at=self.now,
        )
        self.new.append(ticket)
        return ticket

    def store_intents(self) -> None:
        touched = {ticket.pk: ticket for ticket in self.touched}
        database.save_all(list(touched.values()), INTENT)
        Ticket.objects.bulk_create(self.new)
