"""Where a chaos run happens: its compressed times, its database, its partners (asked by the chaos command)."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from psycopg import sql

from alerts.models import Notification, TicketSettings
from integrations import choices, companies, connections
from integrations.connections import Entered
from integrations.models import Choice, Credentials
from integrations.models.connections import Kind
from portal import clients, tokens
from portal.models import Client, Organization, Partner

PARTNERS = 3
CLIENTS_EACH = 8
FIRST_NUMBER = 20_001
STARTED = "CHAOS_FOLDER"
SCALE = 12.5
LATEST_COMMIT = 0.6
"""How late, in seconds, a PSA may still commit a request whose connection it dropped."""
LANE_LEASE = 15 / SCALE
PSA_DEADLINE = 20 / SCALE
SEARCH_DELAYS = (5 / SCALE, 30 / SCALE)
SEARCH_DELAYS_ANSWERED = (3 / SCALE, 7 / SCALE)
RETRY_DELAYS = (0.1, 0.2, 0.4, 0.8, 1.0, 1.5, 2.0, 2.0, 2.0)
BREAKER_PROBES = (0.2, 0.4, 0.6)
DISPATCH_POLL = 0.1
SPREAD = 0.8
"""A delay may come out a fifth shorter than it says."""


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """What the product's processes run with: production mode, times compressed, loopback PSAs allowed."""
    if sum(SEARCH_DELAYS) * SPREAD < PSA_DEADLINE + LATEST_COMMIT:
        raise ValueError(
            "The second search would come before the latest commit: the run would not be honest."
        )
    return {
        **os.environ,
        STARTED: str(folder),
        "DATABASE_URL": database_url,
        "REDIS_URL": "",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "CONNECTWISE_CLIENT_ID": "5ca1ab1e-0000-4000-8000-000000000001",
        "EMAIL_URL": "dummymail://",
        "PSA_ALLOW_HTTP": "true",
        "PSA_ALLOWED_NETWORKS": "127.0.0.0/8",
        "DISPATCH_THREADS": "16",
        "LOG_LEVEL": "WARNING",
        **times(),
    }


def times() -> dict[str, str]:
    """The compressed settings as the environment has them."""
    return {
        "LANE_LEASE": f"{LANE_LEASE:g}",
        "PSA_DEADLINE": f"{PSA_DEADLINE:g}",
        "SEARCH_DELAYS": listed(SEARCH_DELAYS),
        "SEARCH_DELAYS_ANSWERED": listed(SEARCH_DELAYS_ANSWERED),
        "RETRY_DELAYS": listed(RETRY_DELAYS),
        "BREAKER_PROBES": listed(BREAKER_PROBES),
        "DISPATCH_POLL": f"{DISPATCH_POLL:g}",
    }


def listed(seconds: Sequence[float]) -> str:
    return ",".join(f"{one:g}" for one in seconds)


def what_was_compressed() -> list[str]:
    shown = "  ".join(f"{name} {value}" for name, value in times().items())
    return [
        f"lease, deadline and search delays are the defaults divided by {SCALE:g}; retries and probes are shorter",
        f"{shown}  latest commit {LATEST_COMMIT}",
    ]


# --- The database ----------------------------------------------------------------------------------------------------


class OwnDatabase:
    """A database of this run's own: a file, or a PostgreSQL database beside the given one."""

    def __init__(self, given: str, folder: Path) -> None:
        self.is_postgres = given.startswith(("postgres://", "postgresql://", "psql://", "pgsql://"))
        self.url = f"sqlite:///{folder / 'chaos.sqlite3'}"
        if self.is_postgres:
            parts = urlsplit(given)
            self.name = f"{parts.path.strip('/') or 'psap'}_{os.getpid()}"
            self.url = parts._replace(path=f"/{self.name}").geturl()
            self.server = parts._replace(scheme="postgresql", path="/postgres", query="").geturl()

    def create(self) -> None:
        if self.is_postgres:
            self._tell(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))

    def drop(self) -> None:
        if self.is_postgres:
            self._tell(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))

    def _tell(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement)


# --- The partners ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConnectedPartner:
    """One partner with a PSA of its own, as the client of the run sees it."""

    name: str
    token: str
    credentials_id: str
    psa_url: str
    clients: Sequence[int]


def connect_partners(psas: Sequence[tuple[str, Mapping[str, str]]]) -> list[ConnectedPartner]:
    """One partner a PSA, given as (URL, keys); each with eight clients, one rule for tickets, and a token."""
    settings.PSA_ALLOWED_PORTS = tuple(urlsplit(url).port or 0 for url, _ in psas)
    return [
        connect_partner(f"Chaos MSP {place + 1}", FIRST_NUMBER + place * CLIENTS_EACH, url, keys)
        for place, (url, keys) in enumerate(psas)
    ]


def connect_partner(name: str, first_number: int, url: str, keys: Mapping[str, str]) -> ConnectedPartner:
    partner = Partner.objects.create(name=name, slug=name.lower().replace(" ", "-"))
    organization = clients.top_level(partner)
    credentials = sign_in(organization, url, keys)
    Notification.objects.create(partner=partner, name="Tickets", action="ticket")
    choose_ticket_settings(organization, credentials)
    numbers = range(first_number, first_number + CLIENTS_EACH)
    for number, company in zip(
        numbers, credentials.choices.filter(kind="company").order_by("psa_id"), strict=False
    ):
        link(partner, credentials, number, company)
    _, token = tokens.issue_token("chaos", partner=partner, scopes=("events:write",))
    return ConnectedPartner(name, token, str(credentials.pk), url, list(numbers))


def sign_in(organization: Organization, url: str, keys: Mapping[str, str]) -> Credentials:
    entered = Entered(
        kind=Kind.CONNECTWISE,
        site_url=url,
        login_company=keys["company"],
        public_key=keys["public_key"],
        secret=keys["private_key"],
    )
    credentials = connections.save_credentials(organization, entered, by=None)
    choices.reload(credentials)
    return credentials


def choose_ticket_settings(organization: Organization, credentials: Credentials) -> None:
    board = credentials.choices.get(kind="board", name="Backup")
    statuses = credentials.choices.filter(kind="status", within=board.psa_id)
    TicketSettings.objects.create(
        partner_id=organization.partner_id,
        organization=organization,
        board=board,
        new_status=statuses.get(name="New"),
        closing_status=statuses.get(name="Completed"),
    )


def link(partner: Partner, credentials: Credentials, number: int, company: Choice) -> Client:
    client = clients.add_client(partner, name=company.name, number=number)
    companies.link_company(client, credentials, psa_company_id=company.psa_id, name=company.name)
    return client
