"""Every error code of the API is explained in docs/api.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "integrations", "billing", "alerts")
PLACE = {"Problem": 1, "FieldError": 1, "refusal": 1, "refuse": 1}
REFUSALS = {"Refused": 0}
CODE = re.compile(r"[a-z_]+")


def codes_in_code(places: Mapping[str, int] = PLACE) -> set[str]:
    found: set[str] = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = called(node)
                if name == "refuse" and not path.name.endswith("api.py"):
                    continue
                if isinstance(node, ast.Call) and name in places and len(node.args) > 1:
                    code = node.args[places[name]]
                    if isinstance(code, ast.Constant) and CODE.fullmatch(str(code.value)):
                        found.add(code.value)
    return found


def called(node: ast.AST) -> str:
    """The name of what a call calls, of an object's method too."""
    func = getattr(node, "func", None)
    return getattr(func, "id", "") or getattr(func, "attr", "")


def test_every_code_is_documented():
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "api.md").read_text()))
    assert codes_in_code() - documented == set()


def test_every_documented_code_exists():
    tables = (ROOT / "docs" / "api.md").read_text().split("## Errors")[1]
    first_cells = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", tables, re.MULTILINE)
    documented = {code for cell in first_cells for code in re.findall(r"`([a-z_]+)`", cell)}
    generic = {"unavailable", "internal_error", "too_many_requests"}
    assert documented - codes_in_code(PLACE | REFUSALS) - generic == set()
