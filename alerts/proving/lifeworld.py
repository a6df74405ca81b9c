"""One partner with one PSA in this process, for demonstrations of a ticket's life (asked by proofs and their tests).

The PSA is a sandbox behind real HTTP; events go in through intake and out through a dispatcher in this thread.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.conf import settings

from alerts import incoming, intake
from alerts.catalogue import EVENT_TYPES
from alerts.models import Condition, EventType, Notification, Ticket, TicketSettings
from integrations import choices, companies, connections
from integrations.connections import Entered
from integrations.dispatcher import Dispatcher
from integrations.models import Credentials, Delivery
from integrations.models.eventlog import UNSETTLED
from integrations.psa.port import Psa, TicketState
from integrations.sandbox import Sandbox
from portal import clients, clock, tokens
from portal.models import Client, Partner

Kind = Literal["connectwise", "autotask"]
KINDS: tuple[Kind, ...] = ("connectwise", "autotask")
BOARD_FIELD = {"connectwise": "board", "autotask": "queue"}
REF_FIELD = {"connectwise": "externalXRef", "autotask": "externalID"}
QUEUE = "29682834"
_numbers = itertools.count(1)


@dataclass
class LifeWorld:
    """A partner "Northwind MSP" with the client Bakery Ott, connected, with one rule for tickets."""

    kind: Kind
    sandbox: Sandbox
    partner: Partner
    client: Client
    credentials: Credentials
    actor: Any
    dispatcher: Dispatcher | None = None
    ids: Any = field(default_factory=lambda: itertools.count(1))

    # --- Events

    def event(self, account: str = "SRV-01", *, resolves: bool = False, **fields: Any) -> dict[str, Any]:
        word, severity = ("succeeded", "success") if resolves else ("failed", "error")
        return {
            "source": "backup",
            "id": f"{self.kind}-{next(_numbers)}",
            "type": f"backup.{word}",
            "severity": severity,
            "client": f"{self.client.number}",
            "account": account,
            "summary": f"Backup of {account} {word}",
            **fields,
        }

    def send(self, *items: Mapping[str, Any]) -> list[intake.Result]:
        read = [incoming.read(dict(item)) for item in items]
        good = [item for item in read if isinstance(item, incoming.Incoming)]
        if len(good) != len(read):
            raise ValueError("A demonstration sent an event that is not well-formed.")
        return intake.accept(good, actor=self.actor)

    def fails(self, account: str = "SRV-01", **fields: Any) -> None:
        self.send(self.event(account, **fields))

    def recovers(self, account: str = "SRV-01", **fields: Any) -> None:
        self.send(self.event(account, resolves=True, **fields))

    def drain(self, seconds: float = 30) -> None:
        """Until nothing is due within two seconds, or on its way."""
        dispatcher = self.dispatcher or Dispatcher()
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            dispatcher.turn()
            if not dispatcher.in_flight and not is_pending():
                break
            dispatcher.bell.wait(settings.DISPATCH_POLL)
            dispatcher.bell.clear()
        if self.dispatcher is None:
            dispatcher.stop()
            dispatcher.drain()

    # --- The ticket

    def condition(self, account: str = "SRV-01") -> Condition:
        found: Condition = Condition.objects.get(client=self.client, key=f"backup:{account}")
        return found

    def ticket(self, account: str = "SRV-01") -> Ticket:
        """The newest of the account's problem."""
        found: Ticket = Ticket.objects.filter(condition=self.condition(account)).latest("generation")
        return found

    def tickets(self, account: str = "SRV-01") -> list[Ticket]:
        return list(Ticket.objects.filter(condition=self.condition(account)).order_by("generation"))

    def outcomes(self) -> str:
        """What all deliveries say became of them: the trace."""
        return " | ".join(Delivery.objects.order_by("id").values_list("outcome", flat=True))

    def in_psa(self, psa_id: str) -> TicketState:
        with connections.psa_for(self.credentials) as psa:
            return psa.ticket(psa_id)

    def created(self) -> list[str]:
        """Our keys on all tickets that were ever created at the PSA."""
        rows = self.sandbox.control.journal(kind="ticket")
        return [row[REF_FIELD[self.kind]] for row in rows if row.get(REF_FIELD[self.kind])]

    def raw(self, psa_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sandbox.control.tickets(id=psa_id)[0]
        return found

    def notes(self, psa_id: str) -> list[str]:
        with connections.psa_for(self.credentials) as psa:
            return [note.text for note in desk_of(psa).notes(psa_id)]

    # --- The technician

    def technician(self, action: str, psa_id: str, **more: Any) -> dict[str, Any]:
        if "board" in more and self.kind == "autotask":
            more["queue"] = more.pop("board")
        done: dict[str, Any] = self.sandbox.control.technician(action, ticket=int(psa_id), **more)
        return done

    def other_board(self) -> str:
        rows = self.credentials.choices.filter(kind="board").exclude(psa_id=self.board().psa_id)
        return str(rows.order_by("psa_id")[0].psa_id)

    def board(self) -> Any:
        return TicketSettings.objects.get(partner=self.partner, client=None).board

    def priority_field(self, other_than: str | None) -> dict[str, Any]:
        """A change of priority, as this PSA names it."""
        rows = self.credentials.choices.filter(kind="priority").exclude(psa_id=other_than or "")
        chosen = int(rows.order_by("psa_id")[0].psa_id)
        return {"priority": chosen if self.kind == "autotask" else {"id": chosen}}

    def status_field(self, psa_id: str) -> dict[str, Any]:
        """A change to another status of an open ticket on the home board."""
        now = self.in_psa(psa_id)
        rows = self.credentials.choices.filter(kind="status", within__in=["", now.board_id or ""])
        usable = [row for row in rows if not row.data.get("closed") and row.psa_id != now.status_id]
        chosen = int(usable[0].psa_id)
        return {"status": chosen if self.kind == "autotask" else {"id": chosen}}

    def assignee_field(self) -> dict[str, Any]:
        if self.kind == "connectwise":
            return {"owner": {"identifier": "mreyes"}}
        return {"assignedResourceID": 29682902}

    def person_ticket(self, summary: str = "A person's ticket") -> str:
        """A ticket that a person opened."""
        name = "title" if self.kind == "autotask" else "summary"
        fields: dict[str, Any] = {name: summary}
        if self.kind == "autotask":
            link = self.client.company_links.get()
            fields |= {"companyID": int(link.psa_company_id), "queueID": int(QUEUE)}
        made = self.sandbox.control.technician("create", fields=fields)
        return str(made["id"])


def desk_of(psa: Psa) -> Any:
    """The adapter's part for tickets, which also reads notes."""
    return psa.tickets  # type: ignore[attr-defined]


def is_pending() -> bool:
    soon = clock.now() + clock.spread(2, by=0)
    return Delivery.objects.filter(status__in=UNSETTLED, lane__isnull=False, due_at__lte=soon).exists()


def build(kind: Kind, sandbox: Sandbox) -> LifeWorld:
    """In the current database; what the sandbox keeps from before stays."""
    if not EventType.objects.exists():
        EventType.objects.bulk_create([EventType(**seed._asdict()) for seed in EVENT_TYPES])
    partner = Partner.objects.create(name="Northwind MSP", slug=f"northwind-{kind}-{next(_numbers)}")
    organization = clients.top_level(partner)
    number = 19_652 + Client.objects.count()
    client = clients.add_client(partner, name="Bakery Ott", number=number)
    credentials = connections.save_credentials(organization, entered(kind, sandbox), by=None)
    choices.reload(credentials)
    company = credentials.choices.get(kind="company", name="Bakery Ott")
    companies.link_company(client, credentials, psa_company_id=company.psa_id, name=company.name)
    severities = ["warning", "error", "critical"]
    Notification.objects.create(partner=partner, name="Tickets", action="ticket", severities=severities)
    choose_settings(kind, organization, credentials)
    _, secret = tokens.issue_token("proof", partner=partner, scopes=("events:write",))
    actor = tokens.find_token(secret)
    return LifeWorld(kind, sandbox, partner, client, credentials, actor)


def entered(kind: Kind, sandbox: Sandbox) -> Entered:
    known = sandbox.dialect.credentials()
    names = {
        "connectwise": ("company", "public_key", "private_key"),
        "autotask": ("integration_code", "user_name", "secret"),
    }[kind]
    return Entered(
        kind=kind,
        site_url=sandbox.url,
        login_company=known[names[0]],
        public_key=known[names[1]],
        secret=known[names[2]],
    )


def choose_settings(kind: Kind, organization: Any, credentials: Credentials) -> None:
    offered = credentials.choices
    if kind == "connectwise":
        board = offered.get(kind="board", name="Backup")
        statuses = offered.filter(kind="status", within=board.psa_id)
        chosen: dict[str, Any] = {
            "new_status": statuses.get(name="New"),
            "closing_status": statuses.get(name="Completed"),
        }
    else:
        board = offered.get(kind="board", psa_id=QUEUE)
        closing = next(row for row in offered.filter(kind="status") if row.data.get("closed"))
        chosen = {"closing_status": closing, "priority": offered.filter(kind="priority").first()}
    TicketSettings.objects.create(
        partner_id=organization.partner_id, organization=organization, board=board, **chosen
    )


def count_of(items: Sequence[str]) -> dict[str, int]:
    return {item: items.count(item) for item in set(items)}
