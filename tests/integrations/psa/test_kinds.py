from __future__ import annotations

import subprocess
import sys

import pytest

from integrations.psa.addresses import AddressPolicy
from integrations.psa.errors import Misconfigured
from integrations.psa.kinds import ABILITIES, KINDS, connect
from integrations.psa.port import Psa, SignIn
from integrations.psa.transport import SharedConnection

SIGN_IN = SignIn(
    site="https://api-na.myconnectwise.net", login_company="cirrus", public_key="Pub", secret="S3cret"
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_connected_to_without_a_call(kind: str) -> None:
    psa: Psa = connect(kind, SIGN_IN, policy=AddressPolicy())
    assert psa.kind == kind
    assert ABILITIES[kind].summary_length >= 100
    psa.close()


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(Misconfigured):
        connect("halo", SIGN_IN, policy=AddressPolicy())


def test_closing_an_adapter_leaves_what_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[SharedConnection] = []
    monkeypatch.setattr(SharedConnection, "close", lambda self: closed.append(self))  # noqa: PLW0108 - a method, so it needs its self
    shared = SharedConnection(AddressPolicy())
    connect("connectwise", SIGN_IN, policy=AddressPolicy(), shared=shared).close()
    assert closed == []
    connect("connectwise", SIGN_IN, policy=AddressPolicy()).close()
    assert len(closed) == 1


def test_a_secret_is_not_in_the_repr() -> None:
    assert "S3cret" not in repr(SIGN_IN)


def test_the_library_needs_no_django() -> None:
    code = "import sys, integrations.psa.kinds; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
