"""A partner at each PSA, and a manager of theirs with a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser

from integrations.sandbox import Sandbox, running_sandbox
from tests import make
from tests.portal.test_pages import signed_in


@pytest.fixture(scope="session")
def _autotask() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@pytest.fixture
def autotask(db: None, _autotask: Sandbox) -> make.World:
    _autotask.control.clear_faults()
    _autotask.control.reset()
    return make.autotask_world(_autotask)


@pytest.fixture(params=["connectwise", "autotask"])
def either(request: Any) -> make.World:
    """The same at both PSAs."""
    found: make.World = request.getfixturevalue("world" if request.param == "connectwise" else "autotask")
    return found


@pytest.fixture
def browser(world: make.World) -> Browser:
    return signed_in(make.user(world.partner, email="manager@northwind.example"))
