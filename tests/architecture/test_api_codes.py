"""Every error code that the API can answer is explained in the tables of docs/api.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.urls import get_resolver
from rest_framework import serializers

from portal import rest
from tests.conftest import documented_codes

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "integrations", "billing", "alerts")
CODE = re.compile(r"[a-z_]+")
PLACE = {"Problem": 1, "FieldError": 1, "refusal": 1, "Refused": 0, "Refusal": 2, "wrong": 3}
"""Where the code stands among the arguments."""
BY_DEFAULT = {"refused", "invalid_value", "unreadable_document", "invalid"}
"""What faults of a document, and fields that an operation refuses, are called when nothing else is said."""
PAIRS = ("alerts/setup.py", "alerts/tickettexts.py")
"""Where a refusal is a pair of code and sentence."""
ON_PAGES = {
    "billing/crossreferencesheet.py": "a file sent to a page",
    "billing/evidencelinks.py": "links are made on a page",
    "billing/months.py": "months are counted and closed on a page; REST says unknown_value of a month",
    "billing/monthviews.py": "a page",
    "billing/products.py": "products are made on a page",
    "billing/referenceruns.py": "the PSA's own cross-references are written on a page",
    "billing/setupviews.py": "a page",
    "integrations/hosted.py": "a tab inside the PSA",
    "integrations/hostedviews.py": "a tab inside the PSA",
    "integrations/mapping.py": "REST says unknown_company",
    "portal/secondfactor.py": "a page",
}
"""Whose refusals no call tells, or tells by another code."""
NEVER = {"does_not_exist", "incorrect_type", "invalid_unicode", "unique"}
"""Codes of fields that only answers have."""


def codes_in_code() -> dict[str, str]:
    """Code -> where it is answered."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            place = str(path.relative_to(ROOT))
            if {"sandbox", "psa", "proving", "migrations", "commands"} & set(path.parts):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                for code in codes_of(node, place):
                    found.setdefault(code, f"{place}:{node.lineno}")
    return found


def codes_of(node: Any, place: str) -> Iterator[str]:
    """The codes that this node gives to an error of the API."""
    name, is_door = called(node), place.endswith("api.py")
    if isinstance(node, ast.Dict) and is_door:
        pairs = zip(node.keys, node.values, strict=True)
        yield from (code for key, value in pairs if constant(key) == "code" for code in told(value))
    if place in PAIRS and isinstance(node, ast.Tuple) and len(node.elts) == 2 and is_sentence(node.elts[1]):
        yield from told(node.elts[0])
    if not isinstance(node, ast.Call) or (name in ("Refused", "Problem") and place in ON_PAGES):
        return
    at = PLACE.get(name, -1)
    if name == "refuse":
        at = 1 if is_door else 2 if "config" in place else -1
    if at >= 0 and len(node.args) > at:
        yield from told(node.args[at])
    if name == "ValidationError" and not place.endswith(("forms.py", "views.py")):
        yield from (code for word in node.keywords if word.arg == "code" for code in told(word.value))


def is_sentence(node: Any) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Name) or constant(node).endswith(".")


def told(code: Any) -> Iterator[str]:
    """The text, or both texts of an `a if b else c`."""
    for part in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
        if CODE.fullmatch(str(constant(part))):
            yield constant(part)


def constant(node: Any) -> Any:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def called(node: ast.AST) -> str:
    """The name of what a call calls, of an object's method too."""
    func = getattr(node, "func", None)
    return getattr(func, "id", "") or getattr(func, "attr", "")


def codes_of_fields() -> set[str]:
    """What the fields of bodies can answer, and their validators."""
    list(get_resolver().url_patterns)
    found: set[str] = set()
    for shape in shapes(serializers.Serializer):
        if shape.__module__.partition(".")[0] in ROOMS:
            found |= set(codes_below(shape()))
    return found - NEVER


def shapes(base: Any) -> Iterator[Any]:
    for shape in base.__subclasses__():
        yield shape
        yield from shapes(shape)


def codes_below(field: Any) -> Iterator[str]:
    yield from field.error_messages
    yield from (one.code for one in field.validators if isinstance(getattr(one, "code", None), str))
    children = field.fields.values() if isinstance(field, serializers.Serializer) else ()
    for child in (*children, *filter(None, [getattr(field, "child", None)])):
        if not child.read_only:
            yield from codes_below(child)


def all_codes() -> set[str]:
    return {*codes_in_code(), *codes_of_fields(), *rest.CODES.values(), *BY_DEFAULT, "internal_error"}


def test_every_code_is_documented() -> None:
    where = codes_in_code()
    missing = all_codes() - documented_codes()
    assert missing == set(), {code: where.get(code, "a field of a body") for code in sorted(missing)}


def test_every_documented_code_exists() -> None:
    assert documented_codes() - all_codes() == set()


def test_codes_are_found_wherever_they_are_said() -> None:
    found = codes_in_code()
    for code in (
        "not_found",
        "unknown_client",
        "four_eyes",
        "second_top_level",
        "unknown_template",
        "wrong_board",
    ):
        assert code in found
    assert {"blank", "max_length", "invalid_choice"} <= codes_of_fields()


def test_what_only_pages_refuse_is_no_doors_business() -> None:
    """A door that begins to use one of these modules has to tell its codes."""
    for place in ON_PAGES:
        module = Path(place).stem
        if module in ("months", "mapping", "crossreferencesheet", "secondfactor"):
            continue  # REST asks these for more than their refusals
        for room in ROOMS:
            for door in (ROOT / room).glob("*api.py"):
                assert not re.search(rf"import .*\b{module}\b", door.read_text()), (door.name, module)
