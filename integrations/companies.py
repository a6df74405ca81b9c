"""Which PSA company a client is (asked by tickets, pushes and the mapping pages)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import transaction

from integrations import eventlog
from integrations.models import CompanyLink, Credentials
from portal import clock, database
from portal.models import Client


def link_company(client: Client, credentials: Credentials, *, psa_company_id: str, name: str) -> CompanyLink:
    """Map a client; an empty id is an explicit skip. What was held for want of a company waits again."""
    with transaction.atomic():
        link, _ = CompanyLink.objects.update_or_create(
            client=client,
            credentials=credentials,
            defaults={
                "partner_id": client.partner_id,
                "psa_company_id": psa_company_id,
                "psa_company_name": name,
                "linked_at": clock.now(),
            },
        )
        eventlog.release(client.partner_id, reasons=("no_company",), client_id=client.pk)
    return link


def links_of(
    clients: Iterable[uuid.UUID], credentials: Iterable[uuid.UUID]
) -> dict[tuple[uuid.UUID, uuid.UUID], str]:
    """PSA company ids by (client, credentials)."""
    return {(client, connection): company for client, connection, company in _links(clients, credentials)}


_links = database.Prepared(
    lambda clients, credentials: CompanyLink.objects.filter(
        client__in=clients, credentials__in=credentials
    ).values_list("client_id", "credentials_id", "psa_company_id")
)
