"""One connection's clients beside its PSA companies: searched, counted, and ready to be shown (asked by Company Mapping
and REST).

Every question here takes a fixed number of queries, however many clients and companies there are.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Lower

from integrations import companies, effective, suggestions
from integrations.companies import WAITS, State, Wish
from integrations.models import Choice, CompanyLink, CompanySuggestion, Credentials, Delivery, Status
from integrations.models.connections import Kind, Origin, Standing
from portal import clientlist, clients, inheritance, texts
from portal.models import Client, Organization

SHOWN = {
    "": "All clients",
    "unmapped": "Unmapped",
    "suggested": "Suggested",
    "mapped": "Mapped",
    "skipped": "Skipped",
    "trouble": "Trouble",
}
MOST_COMPANIES = 100


# --- The table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One client, what it is mapped to, and what may be said about that."""

    client: Client
    link: CompanyLink | None
    company: Choice | None
    suggestion: CompanySuggestion | None
    sharing: int
    waiting: int

    @property
    def state(self) -> State:
        return companies.state_of(self.link, self.company)

    @property
    def trouble(self) -> str:
        """A sentence; empty when all is well."""
        return companies.explain(self.state, self.link, self.company) if self.link is not None else ""


def clients_of(credentials: Credentials, *, text: str = "", show: str = "") -> QuerySet[Any]:
    """The active clients of a connection that match, ready to be paged by `sort_name`."""
    rows = effective.clients_of(credentials).filter(is_active=True)
    if show:
        rows = rows.filter(shown(credentials)[show])
    if text:
        named = Exists(of_client(credentials).filter(psa_company_name__icontains=text))
        rows = clientlist.search(rows, text) | rows.filter(named)
    return clientlist.by_name(rows)


def of_client(credentials: Credentials) -> QuerySet[Any]:
    return CompanyLink.objects.filter(client=OuterRef("pk"), credentials=credentials)


def shown(credentials: Credentials) -> Mapping[str, Any]:
    """The conditions behind the filters."""
    links = of_client(credentials)
    return {
        "unmapped": ~Exists(links),
        "suggested": Exists(suggestions.standing(credentials).filter(client=OuterRef("pk"))),
        "mapped": Exists(links.exclude(psa_company_id="")),
        "skipped": Exists(links.filter(psa_company_id="")),
        "trouble": Exists(companies.troubled(links)),
    }


def figures(credentials: Credentials) -> dict[str, int]:
    """How many clients each filter shows, in one query."""
    rows = effective.clients_of(credentials).filter(is_active=True)
    counts = {name: Count("pk", filter=condition) for name, condition in shown(credentials).items()}
    return {"": 0, **rows.aggregate(**counts, all=Count("pk"))}


def table(credentials: Credentials, shown_clients: Sequence[Client]) -> list[Row]:
    """The rows of one page, in five queries."""
    keys = [client.pk for client in shown_clients]
    links = {
        row.client_id: row for row in CompanyLink.objects.filter(credentials=credentials, client__in=keys)
    }
    ids = {link.psa_company_id for link in links.values() if link.psa_company_id}
    found = copies(credentials, ids)
    offered = {row.client_id: row for row in suggestions.standing(credentials).filter(client__in=keys)}
    sharing = sharing_of(credentials, ids)
    held = waiting_of(credentials, keys)
    rows = []
    for client in shown_clients:
        link = links.get(client.pk)
        company_id = link.psa_company_id if link else ""
        rows.append(
            Row(
                client,
                link,
                found.get(company_id),
                offered.get(client.pk),
                sharing.get(company_id, 0),
                held[client.pk].count if client.pk in held else 0,
            )
        )
    return rows


def row_of(credentials: Credentials, client: Client) -> Row:
    return table(credentials, [client])[0]


def label(link: CompanyLink | None) -> str:
    """What a client is, in a word: “Bakery Ott (250)”, “skipped”, “unmapped”."""
    if link is None:
        return "unmapped"
    return f"{link.psa_company_name} ({link.psa_company_id})" if link.psa_company_id else "skipped"


def copies(credentials: Credentials, ids: Iterable[str]) -> dict[str, Choice]:
    """Our copies of these PSA companies, also of those that have vanished."""
    rows = Choice.objects.filter(credentials=credentials, kind="company", within="", psa_id__in=list(ids))
    return {row.psa_id: row for row in rows}


def sharing_of(credentials: Credentials, ids: Iterable[str]) -> dict[str, int]:
    """How many clients each of these companies is mapped to."""
    rows = CompanyLink.objects.filter(credentials=credentials, psa_company_id__in=list(ids))
    return {
        row["psa_company_id"]: row["clients"]
        for row in rows.values("psa_company_id").annotate(clients=Count("pk"))
    }


# --- What waits -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """What is held for one client until it is mapped or skipped."""

    client: Client
    count: int
    tickets: int
    since: datetime
    suggestion: CompanySuggestion | None = None

    @property
    def quantities(self) -> int:
        return self.count - self.tickets


def held(credentials: Credentials) -> QuerySet[Any]:
    rows: QuerySet[Any] = Delivery.objects.filter(
        lane=credentials.lane, status=Status.HELD, reason=WAITS, partner=credentials.partner_id
    )
    return rows.order_by()


def inbox(credentials: Credentials) -> QuerySet[Any]:
    """Unmapped clients for which something waits, ready to be paged by `since`, the longest first."""
    first = held(credentials).filter(client=OuterRef("pk")).order_by("created_at").values("created_at")[:1]
    rows = effective.clients_of(credentials).filter(~Exists(of_client(credentials)))
    return rows.annotate(since=Subquery(first)).filter(since__isnull=False)


def waiting_of(credentials: Credentials, keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """How many deliveries wait for each of these clients, since when, and how many of them are tickets."""
    rows = held(credentials).filter(client__in=keys).values("client")
    counted = rows.annotate(
        count=Count("pk"), tickets=Count("pk", filter=Q(action="ticket")), since=Min("created_at")
    )
    return {row["client"]: Held(row["count"], row["tickets"], row["since"]) for row in counted}


@dataclass(frozen=True)
class Held:
    count: int
    tickets: int
    since: datetime


def inbox_rows(credentials: Credentials, shown_clients: Sequence[Client]) -> list[Waiting]:
    keys = [client.pk for client in shown_clients]
    counted = waiting_of(credentials, keys)
    offered = {row.client_id: row for row in suggestions.standing(credentials).filter(client__in=keys)}
    return [
        Waiting(client, there.count, there.tickets, there.since, offered.get(client.pk))
        for client in shown_clients
        if (there := counted.get(client.pk)) is not None
    ]


# --- All connections of a partner -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overview:
    """One connection and how far its mapping is."""

    credentials: Credentials
    clients: int
    decided: int

    @property
    def unmapped(self) -> int:
        return self.clients - self.decided


def overview(partner_id: uuid.UUID) -> list[Overview]:
    """Every connection of a partner with its clients counted; five queries for any number of connections."""
    rows = effective.by_level(partner_id)
    tree = inheritance.Tree.of(partner_id)
    connections = [row for row in rows.values() if row.kind != Kind.NONE]
    place_of: dict[uuid.UUID | None, uuid.UUID] = {}
    for node in tree.by_id:
        nearest = inheritance.nearest(tree.upwards(node), rows)
        if nearest is not None:
            place_of[node] = nearest.pk
    own = Credentials.objects.filter(client=OuterRef("pk"), standing=Standing.CURRENT)
    active = Client.objects.filter(partner=partner_id, is_active=True).order_by()
    inherited = active.filter(~Exists(own)).values("organization").annotate(count=Count("pk"))
    links = CompanyLink.objects.filter(
        ~Exists(Credentials.objects.filter(client=OuterRef("client"), standing=Standing.CURRENT)),
        partner=partner_id,
        client__is_active=True,
    )
    decided = links.order_by().values("credentials", "client__organization").annotate(count=Count("pk"))
    total: dict[uuid.UUID, int] = dict.fromkeys((row.pk for row in connections), 0)
    done: dict[uuid.UUID, int] = dict(total)
    for row in inherited:
        found = place_of.get(row["organization"])
        if found is not None and found in total:
            total[found] += row["count"]
    for linked in decided:
        place = linked["credentials"]
        if place in total and place == place_of.get(linked["client__organization"]):
            done[place] += linked["count"]
    count_own_clients(connections, total, done)
    named = {
        row.pk: row
        for row in Credentials.objects.filter(pk__in=total)
        .select_related("organization", "client")
        .defer("secret")
    }
    found_rows = [Overview(named[pk], total[pk], done[pk]) for pk in total if pk in named]
    return sorted(found_rows, key=lambda row: str(row.credentials.level).lower())


def count_own_clients(
    connections: Sequence[Credentials], total: dict[uuid.UUID, int], done: dict[uuid.UUID, int]
) -> None:
    """Clients with a connection of their own have just that."""
    of_client_id = {row.client_id: row.pk for row in connections if row.client_id}
    mapped = CompanyLink.objects.filter(client__in=of_client_id, credentials__in=of_client_id.values())
    linked = set(mapped.values_list("client_id", "credentials_id"))
    active = Client.objects.filter(pk__in=of_client_id, is_active=True).values_list("pk", flat=True)
    for client in active:
        connection = of_client_id[client]
        total[connection] = 1
        done[connection] = int((client, connection) in linked)


# --- PSA companies ----------------------------------------------------------------------------------------------------


def offered(credentials: Credentials) -> QuerySet[Any]:
    """PSA companies that are there and nothing speaks against."""
    rows: QuerySet[Any] = Choice.objects.filter(
        credentials=credentials, kind="company", within="", vanished_at=None
    )
    return rows


def find_companies(credentials: Credentials, text: str, most: int = MOST_COMPANIES) -> list[Choice]:
    """By a part of the name or identifier, or by id; by name."""
    return list(matching(offered(credentials), text).order_by("name", "pk")[:most])


def matching(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    if not text:
        return rows
    return rows.filter(Q(name__icontains=text) | Q(psa_id=text) | Q(data__identifier__icontains=text))


def without_client(credentials: Credentials, text: str = "") -> QuerySet[Any]:
    """PSA companies that no client is mapped to, ready to be paged by `sort_name`."""
    links = CompanyLink.objects.filter(credentials=credentials, psa_company_id=OuterRef("psa_id"))
    return matching(offered(credentials).filter(~Exists(links)), text).annotate(sort_name=Lower("name"))


# --- Changes ----------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """A mapping that makes no sense: a stable `code`, and a sentence for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def wish_for(client: Client, company_id: str, offered_by_id: Mapping[str, Choice]) -> Wish:
    """Raises Refused for a company that our copy of the PSA's list does not have."""
    if not company_id:
        return Wish(client, "", "")
    company = offered_by_id.get(company_id)
    if company is None or company.vanished_at is not None:
        raise Refused(
            "unknown_company",
            f"The PSA has no company with the id “{company_id}”. If it is new there, reload the options first.",
        )
    return Wish(client, company.psa_id, company.name)


def decide(credentials: Credentials, client: Client, company_id: str, *, by: str, origin: Origin) -> Row:
    """Map (or, with an empty id, skip) one client. Raises Refused."""
    wish = wish_for(client, company_id, copies(credentials, [company_id] if company_id else []))
    companies.link_all(credentials, [wish], by=by, origin=origin)
    return row_of(credentials, client)


@dataclass(frozen=True)
class Move:
    """What somebody confirmed for one client. `company` None unmaps, empty skips; `before` is what it was then."""

    client: uuid.UUID
    company: str | None
    before: str | None


@dataclass(frozen=True)
class Done:
    """How many of a list of moves were made; `left` changed meanwhile, or no longer make sense."""

    mapped: int = 0
    skipped: int = 0
    unmapped: int = 0
    left: int = 0


def carry_out(credentials: Credentials, moves: Sequence[Move], *, by: str, origin: Origin) -> Done:
    """Make these moves, but for clients that somebody else has decided about since the list was shown."""
    with transaction.atomic():
        current = dict(
            CompanyLink.objects.filter(credentials=credentials).values_list("client_id", "psa_company_id")
        )
        known = {client.pk: client for client in effective.clients_of(credentials)}
        there = {row.psa_id: row for row in offered(credentials)}
        wishes, gone = [], []
        for move in moves:
            if move.client not in known or current.get(move.client) != move.before:
                continue
            if move.company is None:
                gone.append(move.client)
                continue
            try:
                wishes.append(wish_for(known[move.client], move.company, there))
            except Refused:
                continue
        companies.link_all(credentials, wishes, by=by, origin=origin)
        unmapped = companies.unlink_all(credentials, gone)
    mapped = sum(1 for wish in wishes if wish.company_id)
    skipped = len(wishes) - mapped
    return Done(mapped, skipped, unmapped, left=len(moves) - mapped - skipped - unmapped)


@dataclass(frozen=True)
class Typed:
    """What stands in a client's box when the table is saved; `before` is the company id that was shown."""

    text: str
    before: str | None


def read_typed(
    credentials: Credentials, lines: Mapping[uuid.UUID, Typed]
) -> tuple[list[Move], dict[uuid.UUID, str]]:
    """The moves that a saved table asks for, and a sentence for each line that cannot be read.

    A line that says what it said before is no move: neither for a company that is gone, nor for an empty box of a
    client that nobody has decided about. Emptying a mapped line skips its client.
    """
    moves: list[Move] = []
    errors: dict[uuid.UUID, str] = {}
    links = CompanyLink.objects.filter(credentials=credentials, client__in=list(lines))
    labels = {link.client_id: label(link) for link in links}
    for client, line in lines.items():
        if line.text and line.text == labels.get(client):
            continue
        try:
            company = company_named(credentials, line.text).psa_id if line.text else ""
        except Refused as refused:
            errors[client] = refused.text
            continue
        if company != (line.before or ""):
            moves.append(Move(client, company, line.before))
    return moves, errors


def company_named(credentials: Credentials, text: str) -> Choice:
    """The company that somebody typed: “Bakery Ott (250)”, its id, identifier, or whole name. Raises Refused."""
    text = text.strip()
    rows = offered(credentials)
    tail = re.search(r"\(([^()]+)\)$", text)
    by_id = rows.filter(psa_id__in=[text[:50], tail[1][:50] if tail else text[:50]])
    for narrowed in (by_id, rows.filter(data__identifier__iexact=text), rows.filter(name__iexact=text)):
        found = list(narrowed[:2])
        if len(found) == 1:
            return found[0]
        if found:
            names = " and ".join(f"{row.name} ({row.psa_id})" for row in found)
            raise Refused("ambiguous_company", f"“{texts.shown(text)}” is {names}. Say which by its id.")
    raise Refused(
        "unknown_company", f"The PSA has no company “{texts.shown(text)}”, by name, identifier or id."
    )


# --- A new client from a PSA company ----------------------------------------------------------------------------------


def add_client(
    credentials: Credentials, company: Choice, *, name: str, organization: Organization, by: str
) -> tuple[Client, bool]:
    """A client with the company's name, mapped to it, both or neither; and whether it is new.

    When a client is mapped to the company already, that one is returned: pressing twice makes one client.
    """
    with transaction.atomic():
        Choice.objects.select_for_update().get(pk=company.pk)
        known = CompanyLink.objects.filter(credentials=credentials, psa_company_id=company.psa_id)
        if (link := known.select_related("client").first()) is not None:
            return link.client, False
        client = clients.add_client(credentials.partner, name=name, organization=organization)
        wish = Wish(client, company.psa_id, company.name)
        companies.link_all(credentials, [wish], by=by, origin=Origin.NEW_CLIENT)
        return client, True


def homes_of(credentials: Credentials) -> list[Organization]:
    """Organizations in which a new client would have this connection, by name; none for a client's own connection."""
    if credentials.client_id:
        return []
    rows = effective.by_level(credentials.partner_id)
    tree = inheritance.Tree.of(credentials.partner_id)
    found = [
        node
        for node in tree.by_id.values()
        if inheritance.nearest(tree.upwards(node.pk), rows) == credentials
    ]
    return sorted(found, key=lambda node: (node.pk != credentials.organization_id, node.name.lower()))
