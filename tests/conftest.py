"""What all tests share: a partner with a client, a sandbox PSA over real HTTP, and a dispatcher to drain lanes with."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from alerts import eventtypes
from integrations import wake
from integrations.sandbox import Sandbox, running_sandbox
from portal import audittriggers, rest
from tests import make


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests that commit empty every table afterwards, which the audit log's triggers refuse: its own tests bring them
    back."""
    with django_db_blocker.unblock():
        audittriggers.remove(connection)


@functools.cache
def documented_codes() -> frozenset[str]:
    """The error codes that docs/api.md explains: the first cells of the tables of its last chapter."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", page.split("\n## Errors\n")[1], re.MULTILINE)
    return frozenset(code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell))


@pytest.fixture(scope="session", autouse=True)
def _codes_are_documented() -> Iterator[None]:
    """Whatever the API answers to any test, its codes stand in docs/api.md."""
    describe = rest.describe

    def checked(error: Exception) -> tuple[int, str, str, dict[str, Any]]:
        found = describe(error)
        codes = {found[1], *(one["code"] for one in found[3].get("errors", ()))}
        assert codes <= documented_codes(), f"{codes - documented_codes()}: explain it in docs/api.md"
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rest, "describe", checked)
        yield


@pytest.fixture(autouse=True)
def _small_world(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback PSAs are allowed, waits are short, nobody else's dispatcher is woken."""
    settings.PSA_ALLOW_HTTP = True
    settings.PSA_ALLOWED_NETWORKS = ("127.0.0.0/8",)
    settings.PSA_ALLOWED_PORTS = tuple(range(1024, 65536))
    settings.PSA_CLIENT_IDS = {
        "connectwise": "5ca1ab1e-0000-4000-8000-000000000001",
        "autotask": "SANDBOXTRACKINGIDENTIFIER01",
    }
    settings.SEARCH_DELAYS = (0.05, 0.1)
    settings.SEARCH_DELAYS_ANSWERED = (0.02, 0.05)
    settings.RETRY_DELAYS = (0.05,) * 9
    settings.BREAKER_PROBES = (0.1,)
    settings.DISPATCH_POLL = 0.02
    monkeypatch.setattr(wake, "SOCKETS", tmp_path / "wake")
    eventtypes.forget()


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Sandbox:
    """A ConnectWise sandbox as seeded, without faults."""
    _sandbox.control.clear_faults()
    _sandbox.control.reset()
    return _sandbox


@pytest.fixture
def world(db: None, sandbox: Sandbox) -> make.World:
    """Partner "Northwind MSP" with client Bakery Ott (19652), connected to the sandbox, one rule for tickets."""
    return make.world(sandbox)


@pytest.fixture
def live_world(transactional_db: None, sandbox: Sandbox) -> make.World:
    """The same, visible to other threads."""
    return make.world(sandbox)


@pytest.fixture
def drain() -> Callable[..., None]:
    """Runs a dispatcher in this thread until nothing is due any more."""
    return make.drain


@pytest.fixture
def api(world: make.World) -> APIClient:  # a world of either kind
    """A client with the partner's token and all scopes."""
    return make.api(world.token)
