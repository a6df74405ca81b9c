"""The demo's partner: environment, people, connection, mapping and rules (asked by the demo)."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings

from alerts.models import Notification, TicketSettings
from billing.models import AgreementLink, CrossReference, Service
from integrations import choices, companies, connections, doctor
from integrations.connections import Entered
from integrations.models import Action, Choice, Credentials
from portal import clients, clock, tokens
from portal.models import ApiToken, Client, Membership, Organization, Partner, Role, User

STARTED = "PSAP_DEMO"
VAR = Path(settings.BASE_DIR) / "var"
SECRETS = VAR / "demo-secrets.json"
RESULT = VAR / "demo.json"
CLIENT_NUMBER = 19652
COMPANY = "250"
AGREEMENT = "401"
SERVICE = "online-backup-servers"
PRODUCT = "OBS-SERVER"
ALL_SEVERITIES = ["info", "success", "warning", "error", "critical"]


@dataclass
class Demo:
    """What the demo works with."""

    partner: Partner
    client: Client
    token: str
    logins: dict[str, dict[str, str]]


# --- The environment: production's, but for https ------------------------------------------------------------------


def environment() -> dict[str, str]:
    """What the product is started with. Secrets are made at the first run and kept in var/ (mode 600)."""
    kept = kept_secrets()
    port, sandbox_port = os.environ.get("PORT", "8000"), os.environ.get("SANDBOX_PORT", "8800")
    return {
        "DATABASE_URL": f"sqlite:///{VAR / 'demo.sqlite3'}",
        "CONNECTWISE_CLIENT_ID": "5ca1ab1e-0000-4000-8000-000000000001",
        "LOG_JSON": "false",
        **os.environ,
        STARTED: "1",
        "PORT": port,
        "SANDBOX_PORT": sandbox_port,
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "SECRET_KEY": kept["secret_key"],
        "FIELD_ENCRYPTION_KEYS": kept["field_encryption_key"],
        "PSA_ALLOW_HTTP": "true",
        "PSA_ALLOWED_NETWORKS": "127.0.0.0/8",
        "PSA_ALLOWED_PORTS": f"443,{sandbox_port}",
    }


def kept_secrets() -> dict[str, str]:
    VAR.mkdir(exist_ok=True)
    if not SECRETS.exists():
        write_private(
            SECRETS,
            {
                "secret_key": secrets.token_urlsafe(50),
                "field_encryption_key": Fernet.generate_key().decode(),
                "manager": secrets.token_urlsafe(12),
                "staff": secrets.token_urlsafe(12),
            },
        )
    return dict(json.loads(SECRETS.read_text()))


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Readable by nobody else, from the first byte on."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    temporary.replace(path)


def trouble_with_ports(environment: Mapping[str, str]) -> str:
    """What is wrong with our ports and what to do, in one sentence; empty when both are free."""
    if environment["PORT"] == environment["SANDBOX_PORT"]:
        return f"PORT and SANDBOX_PORT are both {environment['PORT']}; they must differ."
    for name in ("PORT", "SANDBOX_PORT"):
        text = environment[name]
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
            return f"{name} is “{text}”; it must be a number from 1 to 65535."
        if not is_free(int(text)):
            other = next((port for port in range(int(text) + 10, 65536, 10) if is_free(port)), 8010)
            return f"Port {text} is in use. Choose another: {name}={other} make run"
    return ""


def is_free(port: int) -> bool:
    """Whether we could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --- The partner's set-up -------------------------------------------------------------------------------------------


def prepare(psa_url: str, keys: Mapping[str, str]) -> Demo:
    """Partner, people, client, connection, mapping, rules and cross-reference; the same again when there already."""
    partner, _ = Partner.objects.get_or_create(
        slug="northwind", defaults={"name": "Northwind MSP", "time_zone": "Europe/Berlin"}
    )
    organization = clients.top_level(partner)
    client = Client.objects.filter(number=CLIENT_NUMBER).first() or clients.add_client(
        partner, name="Bakery Ott", number=CLIENT_NUMBER
    )
    credentials = connect(organization, psa_url, keys)
    companies.link_company(client, credentials, psa_company_id=COMPANY, name="Bakery Ott")
    choose_tickets(organization, credentials)
    choose_billing(organization, client, credentials)
    return Demo(partner, client, fresh_token(partner), people(partner))


def people(partner: Partner) -> dict[str, dict[str, str]]:
    """A Partner Senior Manager and one of the vendor's staff; both passwords lie in var/demo.json."""
    kept = kept_secrets()
    manager = person("manager@northwind.example", kept["manager"])
    Membership.objects.get_or_create(user=manager, partner=partner, defaults={"role": Role.SENIOR_MANAGER})
    staff = person("staff@vendor.example", kept["staff"], is_staff=True, is_superuser=True)
    return {
        "manager": {"email": manager.email, "password": kept["manager"]},
        "staff": {"email": staff.email, "password": kept["staff"]},
    }


def person(email: str, password: str, **more: Any) -> User:
    found = User.objects.filter(email=email).first()
    if found is None:
        return User.objects.create_user(email, password, **more)
    found.set_password(password)
    found.save()
    return found


def fresh_token(partner: Partner) -> str:
    """One token a run; the former one ends."""
    ApiToken.objects.filter(partner=partner, name="demo", revoked_at=None).update(revoked_at=clock.now())
    return tokens.issue_token("demo", partner=partner, scopes=tokens.SCOPES)[1]


def connect(organization: Organization, psa_url: str, keys: Mapping[str, str]) -> Credentials:
    """Sign in as a partner would: site, login company and the two keys; test; then read the options.

    Raises RuntimeError when a check of Test It fails.
    """
    entered = Entered(
        kind="connectwise",
        site_url=psa_url,
        login_company=keys["company"],
        public_key=keys["public_key"],
        secret=keys["private_key"],
    )
    current = Credentials.objects.filter(organization=organization).first()
    credentials = connections.save_credentials(organization, entered, by=None, current=current)
    failed = [check for check in doctor.examine(credentials) if check.verdict == "failed"]
    if failed:
        raise RuntimeError(f"Test It says: {failed[0].name}: {failed[0].detail}")
    choices.reload(credentials)
    return credentials


def choice(credentials: Credentials, kind: str, **which: str) -> Choice:
    return credentials.choices.get(kind=kind, vanished_at=None, **which)


def choose_tickets(organization: Organization, credentials: Credentials) -> None:
    """Service board, its statuses, and the two notifications of every set-up."""
    board = choice(credentials, "board", name="Backup")
    TicketSettings.objects.update_or_create(
        organization=organization,
        defaults={
            "partner": organization.partner,
            "board": board,
            "new_status": choice(credentials, "status", name="New", within=board.psa_id),
            "closing_status": choice(credentials, "status", name="Completed", within=board.psa_id),
        },
    )
    for name, action, severities in (
        ("Open a ticket for warnings and errors", Action.TICKET, ["warning", "error", "critical"]),
        ("Statistics and billing", Action.SYNCHRONIZE, ALL_SEVERITIES),
    ):
        Notification.objects.get_or_create(
            partner=organization.partner, name=name, defaults={"action": action, "severities": severities}
        )


def choose_billing(organization: Organization, client: Client, credentials: Credentials) -> None:
    """One service is a product of the PSA, and the client's agreement is known."""
    products = credentials.choices.filter(kind="product", vanished_at=None)
    [product] = [row for row in products if PRODUCT in (row.name, row.data.get("identifier"))]
    CrossReference.objects.update_or_create(
        organization=organization,
        service=Service.objects.get(key=SERVICE),
        defaults={"partner": organization.partner, "product": product},
    )
    AgreementLink.objects.update_or_create(
        client=client,
        credentials=credentials,
        service=None,
        defaults={
            "partner": organization.partner,
            "agreement": choice(credentials, "agreement", psa_id=AGREEMENT),
        },
    )
