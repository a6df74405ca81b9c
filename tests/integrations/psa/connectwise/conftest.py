from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.kinds import connect
from integrations.psa.port import SignIn
from integrations.psa.transport import SharedConnection
from integrations.psa.wanted import WantedTicket
from integrations.sandbox import Sandbox, running_sandbox
from tests.integrations.psa.conftest import LOCAL

Connect = Callable[..., ConnectWisePsa]
SHARED = "shared"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with running_sandbox(kind="connectwise") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.control.reset()
    return running


@pytest.fixture
def sign_in(sandbox: Sandbox) -> SignIn:
    keys = sandbox.control.get("credentials")
    return SignIn(
        site=sandbox.url,
        login_company=keys["company"],
        public_key=keys["public_key"],
        secret=keys["private_key"],
        client_id=keys["client_id"],
    )


@pytest.fixture
def connected(sign_in: SignIn) -> Iterator[Connect]:
    """Makes adapters over one shared connection; options as for `connect`, or fields of the sign-in."""
    shared = SharedConnection(LOCAL)

    def make(**options: object) -> ConnectWisePsa:
        options.setdefault("sign_in", sign_in)
        options.setdefault("shared", shared)
        options.setdefault("deadline", 3.0)
        psa = connect("connectwise", policy=LOCAL, **options)  # type: ignore[arg-type]
        assert isinstance(psa, ConnectWisePsa)
        return psa

    yield make
    shared.close()


@pytest.fixture
def psa(connected: Connect) -> ConnectWisePsa:
    """An adapter that has already discovered its codebase, so that tests can count calls."""
    made = connected()
    made.choices("source")
    made.transport.reads = 0
    return made


def backup_failed(**changes: object) -> WantedTicket:
    """Board 2 is "Backup" of the sandbox, its statuses are 7 (New) to 12 (Closed); 250 is Bakery Ott."""
    values: dict[str, object] = {
        "external_ref": "portal-17-1",
        "state": "open",
        "company_id": "250",
        "summary": "Backup failed on SRV-01",
        "description": "The backup of SRV-01 failed.\nError 17.",
        "board_id": "2",
        "closing_status_id": "12",
    }
    return WantedTicket(**{**values, **changes})  # type: ignore[arg-type]
