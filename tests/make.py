"""Things to test with, each with sensible values of its own."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework.test import APIClient

from alerts.catalogue import EVENT_TYPES
from alerts.models import Condition, EventType, Notification, TicketSettings
from billing.catalogue import SERVICES
from billing.models import AgreementLink, BillingSettings, CrossReference, Service
from integrations import choices, companies, connections
from integrations.connections import Entered
from integrations.dispatcher import Dispatcher
from integrations.models import Choice, Credentials, Delivery
from integrations.models.eventlog import UNSETTLED
from integrations.sandbox import Sandbox
from portal import clients, clock, tokens
from portal.models import Client, Membership, Organization, Partner, Role, User

_numbers = itertools.count(1)


@dataclass
class World:
    """One partner, connected."""

    partner: Partner
    organization: Organization
    client: Client
    credentials: Credentials
    token: str
    sandbox: Sandbox


def partner(name: str = "Northwind MSP", slug: str = "") -> Partner:
    return Partner.objects.create(
        name=name, slug=slug or f"{name.lower().replace(' ', '-')}-{next(_numbers)}"
    )


def user(
    partner: Partner | None = None, *, role: str = Role.SENIOR_MANAGER, email: str = "", **more: Any
) -> User:
    person = User.objects.create_user(
        email or f"person{next(_numbers)}@example.com", "correct horse battery", **more
    )
    if partner is not None:
        Membership.objects.create(user=person, partner=partner, role=role)
    return person


def token(
    partner: Partner | None,
    scopes: tuple[str, ...] = tokens.SCOPES,
    *,
    by: User | None = None,
) -> str:
    return tokens.issue_token("test", partner=partner, scopes=scopes, by=by)[1]


def api(token: str) -> APIClient:
    caller = APIClient()
    caller.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return caller


def catalogues() -> None:
    """What migrations store; a test that truncates all tables takes it away."""
    if not Service.objects.exists():
        Service.objects.bulk_create([Service(**seed._asdict()) for seed in SERVICES])
    if not EventType.objects.exists():
        EventType.objects.bulk_create([EventType(**seed._asdict()) for seed in EVENT_TYPES])


def world(sandbox: Sandbox, *, name: str = "Northwind MSP", number: int = 19652) -> World:
    catalogues()
    msp = partner(name)
    organization = clients.top_level(msp)
    client = clients.add_client(msp, name="Bakery Ott", number=number)
    credentials = connect(organization, sandbox)
    companies.link_company(client, credentials, psa_company_id="250", name="Bakery Ott")
    Notification.objects.create(partner=msp, name="Tickets", action="ticket")
    choose_ticket_settings(organization, credentials)
    return World(msp, organization, client, credentials, token(msp), sandbox)


def autotask_world(sandbox: Sandbox) -> World:
    """The same with an Autotask: another partner, whose client has the same number."""
    catalogues()
    msp = partner("Southwind MSP")
    organization = clients.top_level(msp)
    client = clients.add_client(msp, name="Bakery Ott", number=19652)
    known = sandbox.dialect.credentials()
    entered = Entered(
        kind="autotask",
        site_url=sandbox.url,
        login_company=known["integration_code"],
        public_key=known["user_name"],
        secret=known["secret"],
    )
    credentials = connections.save_credentials(organization, entered, by=None)
    choices.reload(credentials)
    company = credentials.choices.get(kind="company", name="Bakery Ott")
    companies.link_company(client, credentials, psa_company_id=company.psa_id, name=company.name)
    Notification.objects.create(partner=msp, name="Tickets", action="ticket")
    statuses = credentials.choices.filter(kind="status")
    TicketSettings.objects.create(
        partner=msp,
        organization=organization,
        board=credentials.choices.get(kind="board", psa_id="29682834"),
        closing_status=next(row for row in statuses if row.data.get("closed")),
        priority=credentials.choices.filter(kind="priority").first(),
    )
    return World(msp, organization, client, credentials, token(msp), sandbox)


def connect(level: Organization | Client, sandbox: Sandbox) -> Credentials:
    known = sandbox.dialect.credentials()
    entered = Entered(
        kind="connectwise",
        site_url=sandbox.url,
        login_company=known["company"],
        public_key=known["public_key"],
        secret=known["private_key"],
    )
    credentials = connections.save_credentials(level, entered, by=None)
    choices.reload(credentials)
    return credentials


def choice(credentials: Credentials, kind: str, name: str, within: str = "") -> Choice:
    return credentials.choices.get(kind=kind, name=name, within=within)


def choose_ticket_settings(organization: Organization, credentials: Credentials) -> TicketSettings:
    board = choice(credentials, "board", "Backup")
    return TicketSettings.objects.create(
        partner_id=organization.partner_id,
        organization=organization,
        board=board,
        new_status=choice(credentials, "status", "New", board.psa_id),
        closing_status=choice(credentials, "status", "Completed", board.psa_id),
    )


def billing(world: World, service: str = "online-backup-servers", product: str = "302") -> CrossReference:
    """Bakery Ott's servers are billed on agreement 401."""
    AgreementLink.objects.get_or_create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        agreement=world.credentials.choices.get(kind="agreement", psa_id="401"),
    )
    return CrossReference.objects.create(
        partner=world.partner,
        organization=world.organization,
        service=Service.objects.get(key=service),
        product=world.credentials.choices.get(kind="product", psa_id=product),
    )


def credulous(world: World) -> None:
    """No change of a quantity is too large to be believed."""
    BillingSettings.objects.create(
        partner=world.partner, organization=world.organization, jump_percent=1_000_000, jump_least=1_000_000
    )


def event(**fields: Any) -> dict[str, Any]:
    """A well-formed event as a source sends it."""
    number = next(_numbers)
    return {
        "source": "backup",
        "id": f"event-{number}",
        "type": "backup.failed",
        "severity": "error",
        "client": "EFS-19652",
        "account": "SRV-01",
        "summary": "Backup of SRV-01 failed",
        **fields,
    }


def condition(world: World, **fields: Any) -> Condition:
    """Something that fails at Bakery Ott."""
    values = {
        "key": f"backup:{next(_numbers)}",
        "state": "failing",
        "wants_ticket": True,
        "since": clock.now(),
    }
    return Condition.objects.create(partner=world.partner, client=world.client, **{**values, **fields})


def drain(*, seconds: float = 10) -> None:
    """Drain all lanes in this thread until nothing is due or on its way (what waits for later than 2 s is left)."""
    dispatcher = Dispatcher()
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        dispatcher.turn()
        soon = clock.now() + clock.spread(2, by=0)
        if not dispatcher.in_flight and not pending(soon):
            break
        dispatcher.bell.wait(settings.DISPATCH_POLL)
        dispatcher.bell.clear()
    dispatcher.stop()
    dispatcher.drain()


def pending(until: Any) -> bool:
    return Delivery.objects.filter(status__in=UNSETTLED, lane__isnull=False, due_at__lte=until).exists()
