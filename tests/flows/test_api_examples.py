"""The examples of docs/api.md run as they stand, against a server, and answer what the page shows."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import make

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANYTHING = "..."
LOUD_CURL = 'curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'


@dataclass(frozen=True)
class Example:
    """One fenced block, on which line it begins, and the answer that is shown below it (text, empty for none)."""

    language: str
    line: int
    text: str
    answer: str


def examples() -> list[Example]:
    page = PAGE.read_text(encoding="utf-8")
    blocks = [(hit[1], page[: hit.start()].count("\n") + 1, hit[2]) for hit in FENCE.finditer(page)]
    return [
        Example(language, line, text, answer_below(blocks[place + 1 :]))
        for place, (language, line, text) in enumerate(blocks)
        if language in {"sh", "python"}
    ]


def answer_below(blocks: list[tuple[str, int, str]]) -> str:
    """An answer belongs to the block before it, and to the same in the other language right before that."""
    for place, (language, _, text) in enumerate(blocks[:2]):
        if language == "json":
            return text
        if language != "python" or place:
            return ""
    return ""


EXAMPLES = examples()
CURL = [one for one in EXAMPLES if one.language == "sh"]
HEAD, *PYTHON = [one for one in EXAMPLES if one.language == "python"]


def difference(shown: Any, got: Any, path: str = "answer") -> str:
    """Where the answer has another shape than the page shows: fields, and kinds of values; empty when nowhere."""
    if shown is None or got is None or (isinstance(shown, str) and shown == ANYTHING):
        return ""
    if isinstance(shown, dict) and isinstance(got, dict):
        if shown.keys() != got.keys():
            return f"{path}: only one of them has {sorted(shown.keys() ^ got.keys())}"
        return next(
            filter(None, (difference(shown[name], got[name], f"{path}.{name}") for name in shown)), ""
        )
    if isinstance(shown, list) and isinstance(got, list):
        if not shown:
            return ""
        return difference(shown[0], got[0], f"{path}[0]") if got else f"{path}: is empty"
    return "" if type(shown) is type(got) else f"{path}: {shown!r} is shown, {got!r} came"


def run(one: Example, environment: dict[str, str]) -> str:
    """What it printed; what went wrong is told with its place in the page."""
    if one.language == "sh":
        command = ["bash", "-c", LOUD_CURL + one.text]
    else:
        command = [sys.executable, "-c", HEAD.text + one.text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.fail(f"{PAGE.name}:{one.line}\n{one.text}\n{done.stdout}\n{done.stderr}")
    return done.stdout


@pytest.mark.parametrize("language", [CURL, PYTHON], ids=["curl", "python"])
def test_every_example_runs_and_answers_what_is_shown(
    live_server: Any, live_world: make.World, language: list[Example]
) -> None:
    if language is CURL and not (shutil.which("curl") and shutil.which("bash")):
        pytest.skip("curl and bash are needed")
    token = make.token(live_world.partner, by=make.user(live_world.partner))
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL": live_server.url,
        "TOKEN": token,
        "CLIENT": str(live_world.client.pk),
        "CONNECTION": str(live_world.credentials.pk),
    }
    wrong = []
    for one in language:
        printed = run(one, environment)
        if one.answer:
            got = json.loads(printed) if one.language == "sh" else ast.literal_eval(printed)
            if found := difference(json.loads(one.answer), got):
                wrong.append(f"{PAGE.name}:{one.line} {found}")
    assert wrong == []


def test_the_most_used_calls_are_shown_in_both_languages() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(PYTHON) >= 10
    assert len(CURL) >= len(PYTHON)
    assert "http://127.0.0.1:8000/api" not in page
    assert not re.search(r"^```\n(curl|import|print)", page, re.MULTILINE)


def test_another_shape_is_noticed() -> None:
    shown = {"results": [{"id": "...", "number": 1}], "next": None}
    assert difference(shown, {"results": [{"id": 7, "number": 2}], "next": "x"}) == ""
    for got in (
        {"results": [{"id": 7, "number": "2"}], "next": None},
        {"results": [{"id": 7}], "next": None},
        {"results": [], "next": None},
        {"results": [{"id": 7, "number": 2, "more": 1}], "next": None},
        [],
    ):
        assert difference(shown, got)
