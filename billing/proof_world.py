"""A partner with billed clients at a pretend ConnectWise, pushed in this thread (asked by proofs and tests)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from billing import synchronize, usage
from billing.catalogue import SERVICES
from billing.models import AgreementLink, BillingSettings, CrossReference, PushRun, Service
from billing.push import Pushes, PushTask
from billing.usage import Measured
from integrations import choices, companies, connections
from integrations.connections import Entered
from integrations.models import Credentials, Delivery, Status
from integrations.outcomes import Outcome
from integrations.psa.errors import PsaError
from integrations.psa.port import Psa
from integrations.sandbox import Sandbox
from integrations.sandbox.connectwise.seed import (
    Seeder,
    add_addition,
    add_agreement,
    add_company,
    add_contact,
)
from portal import clients, clock
from portal.models import Client, Organization, Partner

PRODUCTS: Mapping[str, str] = {
    "online-backup-servers": "OBS-SERVER",
    "online-backup-desktops": "OBS-DESKTOP",
    "bdr-servers": "BDR-SERVER",
    "bdr-desktops": "BDR-DESKTOP",
    "email-archiving-mailboxes": "EMAIL-ARCHIVE",
}
"""Service -> product of the pretend PSA; the first of them is what `use` speaks of by itself."""
FIRST = 40_000


@dataclass
class Billed:
    """Clients with an agreement each. `lines` are ids of additions by client and service key."""

    partner: Partner
    organization: Organization
    credentials: Credentials
    sandbox: Sandbox
    clients: list[Client]
    lines: dict[tuple[uuid.UUID, str], int]
    services: dict[str, Service]

    @property
    def client(self) -> Client:
        return self.clients[0]

    @property
    def service(self) -> Service:
        return next(iter(self.services.values()))

    def use(
        self, quantity: int | str, client: Client | None = None, *, days_ago: int = 0, service: str = ""
    ) -> None:
        self.use_all([(client or self.client, service or self.service.key, quantity)], days_ago=days_ago)

    def use_all(self, words: Sequence[tuple[Client, str, int | str]], *, days_ago: int = 0) -> None:
        """Each client's usage of a day, as one batch of its own."""
        usage.record(
            [
                Measured(
                    client=client,
                    service=self.services[key],
                    quantity=Decimal(quantity),
                    measured_on=usage.today_for(client) - timedelta(days=days_ago),
                )
                for client, key, quantity in words
            ]
        )

    def line(self, client: Client | None = None, service: str = "") -> dict[str, Any]:
        key = (client or self.client).pk, service or self.service.key
        found = self.sandbox.dialect.store.get("additions", self.lines[key])  # type: ignore[attr-defined]
        assert found is not None
        return dict(found)

    def quantity(self, client: Client | None = None, service: str = "") -> Decimal:
        return Decimal(str(self.line(client, service)["quantity"]))

    def by_hand(self, client: Client | None = None, **fields: Any) -> None:
        """What a person changes at the line in the PSA."""
        store = self.sandbox.dialect.store  # type: ignore[attr-defined]
        with store.lock:
            store.put("additions", {**self.line(client), **fields})

    def agreement_by_hand(self, client: Client | None = None, **fields: Any) -> None:
        store = self.sandbox.dialect.store  # type: ignore[attr-defined]
        with store.lock:
            agreement = store.get("agreements", self.line(client)["agreementId"])
            store.put("agreements", {**agreement, **fields})
            if status := fields.get("agreementStatus"):
                store.put("additions", {**self.line(client), "agreementStatus": status})

    def reload(self) -> None:
        choices.reload(self.credentials)

    def writes(self) -> int:
        return int(self.sandbox.control.counts()["writes"])

    def settings(self, **values: Any) -> None:
        BillingSettings.objects.update_or_create(
            organization=self.organization, defaults={"partner": self.partner, **values}
        )

    def mode(self, mode: str) -> None:
        Organization.objects.filter(pk=self.organization.pk).update(billing_mode=mode)

    def sync(self, client: Client | None = None, psa: Psa | None = None) -> Outcome:
        """One synchronization, as the dispatcher would run it, in this thread; an error of the PSA is raised."""
        synchronize.request(client or self.client, cause="button", at_once=True)
        return self.run(client, psa)

    def run(self, client: Client | None = None, psa: Psa | None = None) -> Outcome:
        """The synchronization that waits for a client."""
        waiting = Delivery.objects.filter(
            subject=synchronize.subject_of((client or self.client).pk), status=Status.WAITING
        )
        delivery = waiting.select_related("event", "client", "lane").latest("pk")
        task = PushTask(delivery, self.credentials)
        try:
            if psa is not None:
                outcome = task.run(psa)
            else:
                with connections.psa_for(self.credentials) as psa:
                    outcome = task.run(psa)
        except PsaError as error:
            Delivery.objects.filter(pk=delivery.pk).update(status=Status.FAILED, error_text=error.text)
            raise
        delivery.status, delivery.reason, delivery.outcome = outcome.status, outcome.reason, outcome.text
        Pushes().record([(delivery, outcome)])
        delivery.save()
        return outcome

    def is_asked(self, client: Client | None = None) -> bool:
        subject = synchronize.subject_of((client or self.client).pk)
        return Delivery.objects.filter(subject=subject, status=Status.WAITING).exists()


def billed(sandbox: Sandbox, *, count: int = 1, quantity: float = 10, services: int = 1) -> Billed:
    """New companies with an agreement each at the sandbox, and a partner whose clients they are."""
    if not Service.objects.exists():
        Service.objects.bulk_create([Service(**seed._asdict()) for seed in SERVICES])
    products = dict(list(PRODUCTS.items())[:services])
    first = FIRST + 10 * Client.objects.count()  # client ids are unique over all partners
    agreements, additions = pretended(sandbox, first, count, list(products.values()), quantity)
    partner = Partner.objects.create(name="Northwind MSP", slug=f"proof-{clock.new_id().hex[-12:]}")
    organization = clients.top_level(partner)
    credentials = connected(organization, sandbox)
    rows = [
        Client(partner=partner, organization=organization, name=f"Billed {n}", number=n)
        for n in range(first, first + count)
    ]
    Client.objects.bulk_create(rows)
    offered = {row.psa_id: row for row in credentials.choices.filter(kind__in=("agreement",))}
    for client, (company, agreement) in zip(rows, agreements, strict=True):
        companies.link_company(client, credentials, psa_company_id=str(company), name=client.name)
        AgreementLink.objects.create(
            partner=partner, client=client, credentials=credentials, agreement=offered[str(agreement)]
        )
    known = {row.key: row for row in Service.objects.filter(key__in=products)}
    for key, identifier in products.items():
        product = credentials.choices.get(kind="product", name=identifier)
        CrossReference.objects.create(
            partner=partner, organization=organization, service=known[key], product=product
        )
    lines = {
        (client.pk, key): line
        for client, made in zip(rows, additions, strict=True)
        for key, line in zip(products, made, strict=True)
    }
    return Billed(
        partner, organization, credentials, sandbox, rows, lines, {key: known[key] for key in products}
    )


def pretended(
    sandbox: Sandbox, first: int, count: int, products: Sequence[str], quantity: float
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Ids of companies and agreements at the pretend PSA, and of each agreement's lines."""
    store = sandbox.dialect.store  # type: ignore[attr-defined]
    agreements, additions = [], []
    with store.lock:
        seeder = Seeder(store)
        for number in range(first, first + count):
            company = add_company(seeder, f"Billed{number}", f"Billed {number}", "Springfield", str(number))
            contact = add_contact(seeder, company, "Alex", "Reed", f"alex{number}@example.com")
            agreement = add_agreement(seeder, "Managed Services", company, contact)
            for product in products:
                add_addition(seeder, agreement, f"EFS-{number}", product, quantity, 0)
            agreements.append((company["id"], agreement["id"]))
            additions.append(sorted(row["id"] for row in store.under("additions", agreement["id"])))
    return agreements, additions


def connected(level: Organization | Client, sandbox: Sandbox) -> Credentials:
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


def pass_time(seconds: float) -> None:
    """What was sent, was sent so much earlier."""
    for run in PushRun.objects.exclude(sent_at=None):
        assert run.sent_at is not None
        PushRun.objects.filter(pk=run.pk).update(sent_at=run.sent_at - timedelta(seconds=seconds))
