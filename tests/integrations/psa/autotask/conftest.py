from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from integrations.psa.autotask import AutotaskPsa
from integrations.psa.autotask.rest import headers_for, secrets_of
from integrations.psa.port import Exchange, SignIn
from integrations.psa.transport import SharedConnection, Transport
from integrations.psa.wanted import WantedLine, WantedLines, WantedTicket
from integrations.sandbox import Sandbox, running_sandbox
from tests.integrations.psa.conftest import LOCAL

Connect = Callable[..., AutotaskPsa]

BACKUP_QUEUE = "29682834"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.control.reset()
    running.control.clear_faults()
    return running


@pytest.fixture
def sign_in(sandbox: Sandbox) -> SignIn:
    keys = sandbox.control.get("credentials")
    return SignIn(
        site=sandbox.url,
        login_company=keys["integration_code"],
        public_key=keys["user_name"],
        secret=keys["secret"],
    )


@pytest.fixture
def calls() -> list[Exchange]:
    """Every call that the adapters of a test made."""
    return []


@pytest.fixture
def connected(sign_in: SignIn, calls: list[Exchange]) -> Iterator[Connect]:
    """Makes adapters over one shared connection; clock and pause are those of the adapter."""
    shared = SharedConnection(LOCAL)

    def make(*, keys: SignIn = sign_in, over: SharedConnection = shared, **options: object) -> AutotaskPsa:
        transport = Transport(
            keys.site,
            shared=over,
            headers=headers_for(keys),
            secrets=secrets_of(keys),
            deadline=3.0,
            on_call=calls.append,
        )
        return AutotaskPsa(keys, transport=transport, **{"pause": lambda seconds: None, **options})  # type: ignore[arg-type]

    yield make
    shared.close()


@pytest.fixture
def psa(connected: Connect) -> AutotaskPsa:
    """An adapter that knows its zone and what is kept for hours already, so that tests can count calls."""
    made = connected()
    made.choices("source")
    made.plan_ticket(backup_failed())
    made.transport.reads = 0
    return made


def backup_failed(**changes: object) -> WantedTicket:
    """Company 201 is the sandbox's first client; the queue is "Backup", priority 2 "Medium"."""
    values: dict[str, object] = {
        "external_ref": "portal:17:1",
        "state": "open",
        "company_id": "201",
        "summary": "Backup failed on SRV-01",
        "description": "The backup of SRV-01 failed.\nError 17.",
        "board_id": BACKUP_QUEUE,
        "priority_id": "2",
    }
    return WantedTicket(**{**values, **changes})  # type: ignore[arg-type]


def line(key: str, product_id: str, quantity: object, **more: object) -> WantedLine:
    values = {
        "key": key,
        "product_id": product_id,
        "product_name": key,
        "quantity": Decimal(str(quantity)),
        **more,
    }
    return WantedLine(**values)  # type: ignore[arg-type]


def lines(contract_id: str, *wanted: WantedLine) -> WantedLines:
    return WantedLines(
        agreement_id=contract_id, agreement_name="Backup Services", company_id="201", lines=wanted
    )
