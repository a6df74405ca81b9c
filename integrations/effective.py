"""Which connection is in effect for a client (asked by intake, the event log and billing)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from integrations.models import Credentials, Lane
from integrations.models.connections import Kind, Standing
from portal import database, inheritance
from portal.models import Client

_rows_of = database.Prepared(
    lambda partner: (
        Credentials.objects.filter(partner_id=partner, standing=Standing.CURRENT)
        .select_related("lane")
        .defer("secret")
    )
)


def by_level(partner_id: uuid.UUID) -> dict[uuid.UUID, Credentials]:
    """All credentials of a partner, by the organization or client they are configured at."""
    rows: list[Credentials] = _rows_of(partner_id)
    return {inheritance.level_id(row): row for row in rows}


def credentials_for(
    client: Client, tree: inheritance.Tree, rows: Mapping[uuid.UUID, Credentials]
) -> Credentials | None:
    """The credentials in effect for a client: the nearest level that has any, unless it says "No PSA"."""
    row = inheritance.nearest(tree.levels_of(client), rows)
    return None if row is None or row.kind == Kind.NONE else row


def clients_of(connection: Credentials) -> QuerySet[Any]:
    """The clients for which a connection is in effect. Two queries; the result is one to build upon."""
    if connection.client_id:
        return Client.objects.filter(pk=connection.client_id)
    rows = by_level(connection.partner_id)
    tree = inheritance.Tree.of(connection.partner_id)
    organizations = [
        node for node in tree.by_id if inheritance.nearest(tree.upwards(node), rows) == connection
    ]
    own = Credentials.objects.filter(client=OuterRef("pk"), standing=Standing.CURRENT)
    return Client.objects.filter(
        ~Exists(own), partner_id=connection.partner_id, organization__in=organizations
    )


def lanes_of(clients: Iterable[Client]) -> dict[uuid.UUID, Lane | None]:
    """The lane of each client's connection, None where no PSA is configured. Two queries a partner."""
    by_partner: dict[uuid.UUID, list[Client]] = {}
    for client in clients:
        by_partner.setdefault(client.partner_id, []).append(client)
    found: dict[uuid.UUID, Lane | None] = {}
    for partner_id, members in by_partner.items():
        rows = by_level(partner_id)
        tree = inheritance.Tree.of(partner_id) if rows else inheritance.Tree({})
        for client in members:
            credentials = credentials_for(client, tree, rows)
            found[client.pk] = credentials.lane if credentials else None
    return found
