"""Every error code of the API is explained in docs/api.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "integrations", "billing", "alerts")
PLACE = {"Problem": 1, "FieldError": 1, "refusal": 1}


def codes_in_code() -> set[str]:
    found: set[str] = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE:
                    code = node.args[PLACE[node.func.id]] if len(node.args) > 1 else None
                    if isinstance(code, ast.Constant):
                        found.add(code.value)
    return found


def test_every_code_is_documented():
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "api.md").read_text()))
    assert codes_in_code() - documented == set()


def test_every_documented_code_exists():
    tables = (ROOT / "docs" / "api.md").read_text().split("## Errors")[1]
    first_cells = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", tables, re.MULTILINE)
    documented = {code for cell in first_cells for code in re.findall(r"`([a-z_]+)`", cell)}
    generic = {"unavailable", "internal_error", "too_many_requests"}
    assert documented - codes_in_code() - generic == set()
