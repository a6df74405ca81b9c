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
from billing.models import AgreementLink, BilledLine, CrossReference, Question, Service
from integrations import choices, companies, connections, doctor
from integrations.connections import Entered
from integrations.models import Action, Choice, Credentials
from portal import clients, clock, tokens
from portal.models import ApiToken, Client, Membership, Organization, Partner, Role, User

STARTED = "PSAP_DEMO"
VAR = Path(settings.BASE_DIR) / "var"
SECRETS = VAR / "demo-secrets.json"
RESULT = VAR / "demo.json"
ALL_SEVERITIES = ["info", "success", "warning", "error", "critical"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One demo partner at one PSA: what it is called, and which records of the sandbox it works with."""

    kind: str
    psa: str
    slug: str
    partner: str
    time_zone: str
    manager: str
    number: int
    client: str
    company: str
    agreement: str
    service: str
    product: str
    closing_status: str


CONNECTWISE = Part(
    kind="connectwise",
    psa="ConnectWise",
    slug="northwind",
    partner="Northwind MSP",
    time_zone="Europe/Berlin",
    manager="manager@northwind.example",
    number=19652,
    client="Bakery Ott",
    company="250",
    agreement="401",
    service="online-backup-servers",
    product="OBS-SERVER",
    closing_status="Completed",
)
AUTOTASK = Part(
    kind="autotask",
    psa="Autotask",
    slug="southwind",
    partner="Southwind MSP",
    time_zone="America/New_York",
    manager="manager@southwind.example",
    number=19653,
    client="Harbor Dental Group",
    company="202",
    agreement="402",
    service="bdr-servers",
    product="BDR Server",
    closing_status="Complete",
)


@dataclass
class Demo:
    """What the demo works with at one PSA."""

    part: Part
    partner: Partner
    client: Client
    token: str
    manager: dict[str, str]


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
        "PSA_ALLOWED_PORTS": ",".join(["443", *sandbox_ports(sandbox_port)]),
    }


def sandbox_ports(text: str) -> list[str]:
    """ConnectWise listens on SANDBOX_PORT, Autotask one above. What is no number is refused later."""
    is_number = text.isascii() and text.isdigit()
    return [text, str(int(text) + 1)] if is_number else [text]


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
    """What is wrong with our ports and what to do, in one sentence; empty when all are free."""
    sandboxes = sandbox_ports(environment["SANDBOX_PORT"])
    if environment["PORT"] in sandboxes:
        taken = " and the one above" if environment["PORT"] != sandboxes[0] else ""
        return f"The sandboxes take SANDBOX_PORT{taken}; PORT is {environment['PORT']} too. They must differ."
    for name, ports in (("PORT", [environment["PORT"]]), ("SANDBOX_PORT", sandboxes)):
        for text in ports:
            if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
                return f"{name} is “{environment[name]}”; it must be a number from 1 to {65536 - len(ports)}."
            if not is_free(int(text)):
                return f"Port {text} is in use. Choose another: {name}={free_port(int(text), len(ports))} make run"
    return ""


def free_port(taken: int, count: int) -> int:
    """A port of which the next ones are free as well."""
    for port in range(taken + 10, 65530, 10):
        if all(is_free(port + above) for above in range(count)):
            return port
    return 8010


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


def prepare(psa_url: str, keys: Mapping[str, str], part: Part = CONNECTWISE) -> Demo:
    """Partner, people, client, connection, mapping, rules and cross-reference; the same again when there already."""
    partner, _ = Partner.objects.get_or_create(
        slug=part.slug, defaults={"name": part.partner, "time_zone": part.time_zone}
    )
    organization = clients.top_level(partner)
    client = Client.objects.filter(number=part.number).first() or clients.add_client(
        partner, name=part.client, number=part.number
    )
    credentials = connect(organization, entered(part, psa_url, keys))
    companies.link_company(client, credentials, psa_company_id=part.company, name=part.client)
    choose_tickets(organization, credentials, part)
    choose_billing(organization, client, credentials, part)
    return Demo(part, partner, client, fresh_token(partner), manager_of(partner, part))


def manager_of(partner: Partner, part: Part) -> dict[str, str]:
    """A Partner Senior Manager; all passwords lie in var/demo.json."""
    password = kept_secrets()["manager"]
    manager = person(part.manager, password)
    Membership.objects.get_or_create(user=manager, partner=partner, defaults={"role": Role.SENIOR_MANAGER})
    return {"email": manager.email, "password": password}


def staff() -> dict[str, str]:
    """One of the vendor's people."""
    password = kept_secrets()["staff"]
    person("staff@vendor.example", password, is_staff=True, is_superuser=True)
    return {"email": "staff@vendor.example", "password": password}


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


def entered(part: Part, psa_url: str, keys: Mapping[str, str]) -> Entered:
    """What a partner types: site, login company or tracking identifier, and the two keys."""
    if part.kind == "autotask":
        return Entered(
            kind=part.kind,
            site_url=psa_url,
            login_company=keys["integration_code"],
            public_key=keys["user_name"],
            secret=keys["secret"],
        )
    return Entered(
        kind=part.kind,
        site_url=psa_url,
        login_company=keys["company"],
        public_key=keys["public_key"],
        secret=keys["private_key"],
    )


def connect(organization: Organization, entered: Entered) -> Credentials:
    """Sign in as a partner would; test; then read the options. Raises RuntimeError when a check of Test It fails."""
    current = Credentials.objects.filter(organization=organization).first()
    credentials = connections.save_credentials(organization, entered, by=None, current=current)
    failed = [check for check in doctor.examine(credentials) if check.verdict == "failed"]
    if failed:
        raise RuntimeError(f"Test It says: {failed[0].name}: {failed[0].detail}")
    choices.reload(credentials)
    return credentials


def choice(credentials: Credentials, kind: str, **which: str) -> Choice:
    return credentials.choices.get(kind=kind, vanished_at=None, **which)


def choose_tickets(organization: Organization, credentials: Credentials, part: Part) -> None:
    """Service board, its statuses, and the two notifications of every set-up."""
    board = choice(credentials, "board", name="Backup")
    TicketSettings.objects.update_or_create(
        organization=organization,
        defaults={
            "partner": organization.partner,
            "board": board,
            "new_status": choice(credentials, "status", name="New", within=board.psa_id),
            "closing_status": choice(credentials, "status", name=part.closing_status, within=board.psa_id),
        },
    )
    for name, action, severities in (
        ("Open a ticket for warnings and errors", Action.TICKET, ["warning", "error", "critical"]),
        ("Statistics and billing", Action.SYNCHRONIZE, ALL_SEVERITIES),
    ):
        Notification.objects.get_or_create(
            partner=organization.partner, name=name, defaults={"action": action, "severities": severities}
        )


def choose_billing(organization: Organization, client: Client, credentials: Credentials, part: Part) -> None:
    """One service is a product of the PSA, and the client's agreement is known."""
    products = credentials.choices.filter(kind="product", vanished_at=None)
    [product] = [row for row in products if part.product in (row.name, row.data.get("identifier"))]
    CrossReference.objects.update_or_create(
        organization=organization,
        service=Service.objects.get(key=part.service),
        defaults={"partner": organization.partner, "product": product},
    )
    # The pretend PSA begins anew with each start; its quantities are nobody's change by hand.
    BilledLine.objects.filter(client=client).delete()
    Question.objects.filter(client=client).delete()
    AgreementLink.objects.update_or_create(
        client=client,
        credentials=credentials,
        service=None,
        defaults={
            "partner": organization.partner,
            "agreement": choice(credentials, "agreement", psa_id=part.agreement),
        },
    )
