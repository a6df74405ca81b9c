"""Every switch of a sandbox stands in docs/psa/sandbox.md with its default."""

from pathlib import Path

import pytest

from integrations.sandbox import switching
from integrations.sandbox.autotask import settings as autotask
from integrations.sandbox.connectwise import settings as connectwise

PAGE = Path(__file__).parents[2] / "docs" / "psa" / "sandbox.md"


@pytest.mark.parametrize("dialect", [connectwise, autotask])
def test_every_switch_is_documented_with_its_default(dialect):
    text = PAGE.read_text()
    for switch in switching.explained(dialect.Switches(), dialect.CHOICES):
        assert f"| `{switch.name}` | `{switch.default!r}` |" in text
