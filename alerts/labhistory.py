"""What really happened to a partner's events and tickets, for the replay lab to compare with (asked by
`alerts.replays`). Reads only.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Q

from alerts import conditions, stormtickets
from alerts.lab import Deed, RuleSet, Surroundings
from alerts.labrows import COLUMNS, PaperEvent
from alerts.lifecycle import STILL_FAILING
from alerts.models import (
    ClientAddress,
    Condition,
    DropFilter,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    NotificationVersion,
    SettingChange,
    Ticket,
)
from alerts.ticketattempts import came_of_it
from alerts.ticketsettings import SettingsOf
from integrations import companies, effective
from integrations.models import Action, CompanyLink, Delivery, Event, Status
from integrations.models.eventlog import UNSETTLED
from portal.inheritance import Tree
from portal.models import Account, AuditEntry, Client, Disabling, Partner

AT_ONCE = 2000
LOOK_BACK = timedelta(days=366)
"""So long ago a ticket may have been closed that is opened again."""
RULE_PAGES = ("filter", "window", "noise", "notification", "setup", "settings")
"""What of the audit log's actions may have changed how events are judged."""


# --- What is the same for all rules -----------------------------------------------------------------------------------


def rules_today(partner: Partner) -> RuleSet:
    """What is in effect now, in the order in which it is asked."""
    return RuleSet(
        notifications=list(
            Notification.objects.filter(partner=partner).order_by("position", "created_at", "pk")
        ),
        filters=list(DropFilter.objects.filter(partner=partner).order_by("created_at", "pk")),
        windows=list(
            MaintenanceWindow.objects.filter(partner=partner).select_related("account").order_by("pk")
        ),
        noise=NoiseSettings.objects.filter(partner=partner).select_related("storm_client").first(),
        settings=list(SettingsOf.of(partner.pk).rows.values()),
    )


def surroundings_of(partner: Partner, since: datetime, until: datetime) -> Surroundings:
    """The partner's clients, connections and mappings as they are today."""
    clients = {row.pk: row for row in Client.objects.filter(partner=partner)}
    accounts = {row.pk: row for row in Account.objects.filter(partner=partner)}
    lanes = effective.lanes_of(clients.values())
    credentials = {row.pk: row for row in effective.by_level(partner.pk).values()}
    caught = {}
    for key, row in credentials.items():
        row.partner = partner
        if (company := companies.catch_all_of(row)) is not None:
            caught[key] = company.psa_company_id
    settings = SettingsOf.of(partner.pk)
    addresses = ClientAddress.objects.filter(partner=partner)
    off = Disabling.objects.filter(partner=partner, began_at__lt=until)
    return Surroundings(
        partner=partner,
        since=since,
        until=until,
        clients=clients,
        accounts=accounts,
        tree=settings.tree if settings.tree.by_id else Tree.of(partner.pk),
        lanes=lanes,
        credentials=credentials,
        links=links_of(partner),
        caught=caught,
        disablings=list(off.filter(Q(ended_at=None) | Q(ended_at__gt=since))),
        settings=SettingsOf(
            settings.rows, settings.tree, {row.client_id: row for row in addresses}, settings.boardless
        ),
        conditions={
            (client, key): pk
            for client, key, pk in Condition.objects.filter(partner=partner).values_list(
                "client", "key", "pk"
            )
        },
    )


def links_of(partner: Partner) -> dict[tuple[uuid.UUID, uuid.UUID], str]:
    rows = CompanyLink.objects.filter(partner=partner)
    return {
        (client, credentials): company
        for client, credentials, company in rows.values_list("client", "credentials", "psa_company_id")
    }


# --- One event --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one event, as its trace tells: `kind` is dropped, held, kept_open, closing, ticket, folded,
    no_rule or nothing; `name` the filter or rule that did it."""

    kind: str
    name: str
    transition: str
    mails: int
    hooks: int

    def __str__(self) -> str:
        words = {
            "dropped": f"dropped by “{self.name}”",
            "held": f"held back by “{self.name}”",
            "kept_open": "flapping, its ticket stays open",
            "closing": "its ticket is closed",
            "ticket": "a ticket is asked for",
            "folded": "folded into its ticket",
            "no_rule": "no notification matches",
            "nothing": "nothing to do",
        }
        sent = [
            f"{number} {word}" for number, word in ((self.mails, "e-mail"), (self.hooks, "webhook")) if number
        ]
        return ", ".join([words[self.kind], *sent])


def fate_of(trace: Sequence[Mapping[str, Any]]) -> Fate:
    """Read it from the trace, up to what was added when a hold was over."""
    kind, name, transition, mails, hooks = "", "", "", 0, 0
    matched = False
    for step in trace:
        what = step.get("step")
        if what == "notification":
            matched = matched or bool(step.get("matched"))
        elif what == "released":
            break
        elif what == "condition":
            transition = str(step.get("transition", ""))
        elif what == "filter":
            return Fate("dropped", str(step.get("name", "")), "", 0, 0)
        elif what == "hold" and not kind and step.get("name"):
            is_flapping = step.get("kind") == "flapping"
            kind, name = ("kept_open", "flapping") if is_flapping else ("held", str(step.get("name")))
        elif what == "folded":
            kind = kind or "folded"
        elif what == "delivery":
            mails += step.get("action") == Action.EMAIL
            hooks += step.get("action") == Action.WEBHOOK
            if step.get("action") == Action.TICKET and kind in ("", "folded"):
                kind = "closing" if transition == "recovered" else "ticket"
    if not kind:
        kind = "nothing" if matched else "no_rule"
    return Fate(kind, name, transition, mails, hooks)


# --- The span ---------------------------------------------------------------------------------------------------------


@dataclass
class History:
    """What is known of a span besides its events. `guide` tells when orders were really attempted."""

    partner: Partner
    since: datetime
    until: datetime
    deeds: list[Deed] = field(default_factory=list)
    guide: dict[tuple[uuid.UUID, str], datetime] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    changes: list[tuple[datetime, str]] = field(default_factory=list)
    before: dict[uuid.UUID, list[Ticket]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, partner: Partner, since: datetime, until: datetime) -> History:
        self = cls(partner, since, until)
        self.read_deliveries()
        self.read_hands()
        self.read_changes()
        self.read_tickets_before()
        return self

    def events(self) -> Iterator[Event]:
        """In the order in which they came; those whose client is not known are not among them."""
        rows = Event.objects.filter(partner=self.partner, client__isnull=False, state=Event.State.ACCEPTED)
        rows = rows.filter(received_at__gte=self.since, received_at__lt=self.until)
        columns: Any = rows.order_by("received_at", "pk").values_list(*COLUMNS)
        return (cast(Event, PaperEvent(*row)) for row in columns.iterator(chunk_size=AT_ONCE))

    def read_deliveries(self) -> None:
        rows = Delivery.objects.filter(partner=self.partner, action=Action.TICKET)
        rows = rows.filter(created_at__gte=self.since, created_at__lt=self.until)
        rows = rows.exclude(notification_name=STILL_FAILING)
        for row in rows.order_by("finished_at", "id").values_list(
            "event_id", "event__type", "client_id", "subject", "status", "reason", "outcome", "started_at",
            "finished_at", "created_at", "search_first", "attempts",
        ).iterator(chunk_size=AT_ONCE):  # fmt: skip
            self.read_delivery(*row)

    def read_delivery(
        self,
        event_id: uuid.UUID,
        type_name: str,
        client_id: uuid.UUID,
        subject: str,
        status: str,
        reason: str,
        text: str,
        started_at: datetime | None,
        finished_at: datetime | None,
        created_at: datetime,
        search_first: bool,
        attempts: int,
    ) -> None:
        at = started_at or finished_at
        if status in UNSETTLED:
            self.reasons.setdefault(subject, "It is still on its way to the PSA.")
        elif at is not None:
            self.guide[event_id, subject] = at
            self.deeds.append(
                Deed(
                    finished_at or at,
                    subject,
                    client_id,
                    event_id,
                    came_of_it(status, reason, text),
                    type_name,
                )
            )
        if search_first:
            self.reasons.setdefault(subject, "Somebody reprocessed it.")
        elif status == Status.FAILED or attempts > 1:
            self.reasons.setdefault(subject, "The PSA refused it or was out of reach.")

    def read_hands(self) -> None:
        """Tickets at which people in the PSA did something."""
        rows = Ticket.objects.filter(partner=self.partner, condition__isnull=False)
        rows = rows.filter(Q(closed_at=None) | Q(closed_at__gte=self.since))
        touched = Q(acknowledged_at__isnull=False) | Q(left_at__isnull=False) | ~Q(merged_into="")
        touched |= ~Q(touched_by="") | Q(gone_at__isnull=False) | Q(state=Ticket.State.GONE) | ~Q(news="")
        for row in rows.filter(touched).iterator(chunk_size=AT_ONCE):
            self.reasons[conditions.subject_of(row.condition_id)] = hand_of(row)

    def read_changes(self) -> None:
        """When rules, filters, windows, noise or ticket settings were changed in the span, as far as it is known."""
        span = (self.since, self.until)
        found: list[tuple[datetime, str]] = []
        versions = NotificationVersion.objects.filter(partner=self.partner, saved_at__range=span)
        found += [(row.saved_at, f"notification “{row.document.get('name', '')}”") for row in versions]
        for model, what in ((DropFilter, "drop filter"), (MaintenanceWindow, "maintenance window")):
            rows: Any = model.objects.filter(partner=self.partner, created_at__range=span)
            found += [(at, f"{what} “{name}”") for at, name in rows.values_list("created_at", "name")]
        noise = NoiseSettings.objects.filter(partner=self.partner, updated_at__range=span)
        found += [(at, "noise settings") for at in noise.values_list("updated_at", flat=True)]
        settings = SettingChange.objects.filter(partner=self.partner, changed_at__range=span)
        found += [(at, "ticket settings") for at in settings.values_list("changed_at", flat=True)[:1000]]
        wanted = Q()
        for word in RULE_PAGES:
            wanted |= Q(action__icontains=word)
        audit = AuditEntry.objects.filter(wanted, partner_id=self.partner.pk, at__range=span)
        found += [(at, action) for at, action in audit.values_list("at", "action")[:1000]]
        self.changes = sorted(found)

    def read_tickets_before(self) -> None:
        rows = Ticket.objects.filter(partner=self.partner, created_at__lt=self.since).exclude(psa_id="")
        rows = rows.filter(Q(closed_at=None) | Q(closed_at__gte=self.since - LOOK_BACK))
        for row in rows.order_by("generation").iterator(chunk_size=AT_ONCE):
            self.before[row.condition_id].append(row)

    def beginning(
        self, event: Event, condition: Condition, trace: Sequence[Mapping[str, Any]]
    ) -> list[Ticket] | None:
        """Set the condition to what it was before the first event of the span that speaks of it, and return its
        tickets; None when it was new."""
        step = next((one for one in trace if one.get("step") == "condition"), None)
        if step is None:
            return None
        transition, episode = step.get("transition"), int(step.get("episode") or 0)
        tickets = self.before.get(condition.pk, [])
        if transition == "opened" and episode <= 1 and not tickets:
            return None
        was_failing = transition in ("repeated", "recovered")
        condition.state = Condition.State.FAILING if was_failing else Condition.State.FINE
        condition.episode = episode - 1 if transition == "opened" else episode
        condition.severity, condition.summary = event.severity, event.summary
        for ticket in tickets[:-1] if was_failing else tickets:
            ticket.state = Ticket.State.CLOSED
            ticket.closed_at = min(ticket.closed_at or self.since, self.since)
        if was_failing:
            condition.since = tickets[-1].created_at if tickets else self.since
            if tickets and (tickets[-1].closed_at is None or tickets[-1].closed_at >= self.since):
                tickets[-1].state, tickets[-1].closed_at = Ticket.State.OPEN, None
                condition.wants_ticket = True
        return tickets

    def reason_for(self, subject: str, at: datetime) -> str:
        """Why what happened then cannot be expected of a replay; empty when it can."""
        if self.changes and at < self.changes[-1][0]:
            when, what = next(change for change in self.changes if change[0] > at)
            return f"The rules were changed on {when:%Y-%m-%d}: {what}."
        return self.reasons.get(subject, "")


def hand_of(ticket: Ticket) -> str:
    if ticket.merged_into:
        return "A technician merged its ticket."
    if ticket.gone_at or ticket.state == Ticket.State.GONE:
        return "Its ticket was deleted, or left behind at a former connection."
    if ticket.acknowledged_at:
        return "A technician closed its ticket by hand."
    return "A technician worked on its ticket."


def is_own(event: Event) -> bool:
    """What the portal itself noticed of a storm: it follows from the rules, so it is not told to the lab."""
    return event.source == "portal" and event.type == stormtickets.TYPE
