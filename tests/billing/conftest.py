"""Billed clients at a pretend ConnectWise, pushed in the test's own thread."""

from __future__ import annotations

from typing import Any

import pytest

from billing.proof_world import Billed, billed
from integrations.sandbox import Sandbox


@pytest.fixture
def shop(db: Any, sandbox: Sandbox) -> Billed:
    """Two clients, each with ten servers on its agreement."""
    return billed(sandbox, count=2)
