"""Which rule that partners are used to is held by which test or guide? Asked by `make parity` and by tests.

Reads files, imports and runs nothing: rules from `rules.txt`, tests from `@pytest.mark.parity("S4-33", ...)` on test
functions, guide rows from anchors `<a id="s0-3"></a>` in `docs/guides`. That the tests pass is shown by `make test`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = Path(__file__).with_name("rules.txt")
PAGE = ROOT / "docs" / "parity.md"
COUNTS = {"S0": 39, "S1": 33, "S2": 44, "S3": 29, "S4": 70}
GROUPS = {
    "S0": "Tickets, for an organization and for each client",
    "S1": "Alerts and billing, switched on one by one",
    "S2": "Two PSAs, and what Autotask needs",
    "S3": "Subscriptions on agreements, tickets, and a tab",
    "S4": "Backup statistics, usage on agreements, and notifications",
}
_ID = re.compile(r"S[0-4]-[1-9]\d?")
_ANCHOR = re.compile(r'<a id="(s\d+-\d+)"></a>')
_SILENT = {"skip", "skipif", "xfail"}
"""A test with one of these may show nothing."""


@dataclass(frozen=True)
class Proof:
    path: str
    name: str

    @property
    def link(self) -> str:
        return f"[{self.name.removeprefix('test_')}](../{self.path})"


@dataclass(frozen=True)
class Row:
    """A rule with its proofs. `remark` says what is open or missing."""

    key: str
    rule: str
    place: str
    remark: str = ""
    tests: tuple[Proof, ...] = ()
    guides: tuple[str, ...] = ()

    @property
    def is_proven(self) -> bool:
        return bool(self.tests or self.guides)

    @property
    def proofs(self) -> list[str]:
        return [
            *(test.link for test in self.tests),
            *(f"[{name}](guides/{name}#{self.key.lower()})" for name in self.guides),
        ]


@dataclass
class Table:
    rows: list[Row]
    faults: list[str] = field(default_factory=list)

    @property
    def open(self) -> list[Row]:
        return [row for row in self.rows if not row.is_proven]

    def counted(self) -> str:
        tested = sum(bool(row.tests) for row in self.rows)
        guided = sum(bool(row.guides) and not row.tests for row in self.rows)
        partly = sum(row.is_proven and bool(row.remark) for row in self.rows)
        return (
            f"{len(self.rows)} rules: {tested} held by tests, {guided} answered by a guide, {len(self.open)} open."
            f" Of those that are held, {partly} name something that is still missing."
        )


# --- Reading ----------------------------------------------------------------------------------------------------------


def rules(text: str) -> list[Row]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        found.append(Row(*cells[:4]) if len(cells) == 4 else Row(key=cells[0], rule="", place=""))
    return found


def marked(source: str, path: str) -> Iterator[tuple[str, Proof]]:
    """Ids with their tests. Raises ValueError for a mark that proves nothing: elsewhere, of no id, of a silent test."""
    tree = ast.parse(source, filename=path)
    seen = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        marks = [mark for mark in node.decorator_list if _is_parity(mark)]
        seen += len(marks)
        if marks and any(_name_of(mark) in _SILENT for mark in node.decorator_list):
            raise ValueError(f"{path}: {node.name} has a parity mark and may be skipped")
        for mark in marks:
            arguments = mark.args if isinstance(mark, ast.Call) else []
            ids = [one.value for one in arguments if isinstance(one, ast.Constant)]
            if not ids or len(ids) != len(arguments):
                raise ValueError(f"{path}: {node.name} has a parity mark without plain ids")
            yield from ((str(key), Proof(path, node.name)) for key in ids)
    if seen != sum(_is_parity(node) for node in ast.walk(tree) if isinstance(node, ast.Call)):
        raise ValueError(f"{path}: a parity mark stands elsewhere than at a test function")


def _is_parity(node: ast.AST) -> bool:
    return _name_of(node) == "parity"


def _name_of(node: ast.AST) -> str:
    """`name` of `pytest.mark.name` and of a call of it."""
    named = node.func if isinstance(node, ast.Call) else node
    is_mark = isinstance(named, ast.Attribute) and isinstance(named.value, ast.Attribute)
    return named.attr if is_mark and named.value.attr == "mark" else ""


def anchored(text: str) -> list[str]:
    return [anchor.upper() for anchor in _ANCHOR.findall(text)]


# --- The table --------------------------------------------------------------------------------------------------------


def table(root: Path = ROOT) -> Table:
    found = rules(RULES.read_text(encoding="utf-8"))
    tests: dict[str, list[Proof]] = {}
    guides: dict[str, list[str]] = {}
    faults = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        try:
            for key, test in marked(path.read_text(encoding="utf-8"), str(path.relative_to(root))):
                tests.setdefault(key, []).append(test)
        except ValueError as no:
            faults.append(str(no))
    for path in sorted((root / "docs" / "guides").glob("*.md")):
        for key in anchored(path.read_text(encoding="utf-8")):
            guides.setdefault(key, []).append(path.name)
    rows = [
        replace(row, tests=tuple(tests.get(row.key, ())), guides=tuple(guides.get(row.key, ())))
        for row in found
    ]
    return Table(rows, [*faults, *faults_of(rows, tests, guides)])


def faults_of(rows: list[Row], tests: dict[str, list[Proof]], guides: dict[str, list[str]]) -> Iterator[str]:
    """What makes the table untrue, as sentences."""
    known = {row.key for row in rows}
    numbers = Counter(key.split("-")[0] for key in known)
    if dict(numbers) != COUNTS or len(rows) != len(known):
        yield f"The rules are not those that there are: {dict(numbers)} instead of {COUNTS}, {len(rows)} lines."
    for row in rows:
        if not _ID.fullmatch(row.key) or not row.rule or not row.place:
            yield f"{row.key}: the line has no id, rule, place and remark."
        kind = row.remark.partition(":")[0]
        if row.remark and kind not in ("open", "missing"):
            yield f"{row.key}: a remark begins with “open:” or “missing:”."
        if row.is_proven and kind == "open":
            yield f"{row.key} is said to be open and has {', '.join(row.proofs)}."
        if not row.is_proven and kind != "open":
            yield f"{row.key} has neither a test nor a guide row, and nobody says why: {row.rule}"
    for key in sorted({*tests, *guides} - known):
        named = [*(f"{test.path}::{test.name}" for test in tests.get(key, [])), *guides.get(key, [])]
        yield f"There is no rule {key}, which is named by {', '.join(named)}."
    for key, names in guides.items():
        if len(names) > 1:
            yield f"{key} has several rows in guides: {', '.join(names)}."


# --- The page ---------------------------------------------------------------------------------------------------------

_HEAD = """# What partners are used to

Partners come from other integrations of backup and security vendors. Each line below is something that they had there,
with the place where it is here, and what holds it: tests that fail when it is not so, or the row of a guide where it is
something to do in the PSA. Written by `make parity ARGS=--write`; do not edit."""


def page(found: Table) -> str:
    parts = [_HEAD, found.counted()]
    for group, title in GROUPS.items():
        rows = [row for row in found.rows if row.key.startswith(f"{group}-")]
        lines = [f"| {row.key} | {row.rule} | {row.place} | {_proof(row)} |" for row in rows]
        parts += [
            f"## {group}: {title}",
            "| id | rule | place | proof |\n|---|---|---|---|\n" + "\n".join(lines),
        ]
    return "\n\n".join(parts) + "\n"


def _proof(row: Row) -> str:
    if not row.is_proven:
        return f"**open**: {row.remark.partition(':')[2].strip()}"
    remark = f"; *{row.remark}*" if row.remark else ""
    return ", ".join(row.proofs) + remark


def printed(found: Table) -> str:
    """The same for a terminal."""
    lines = []
    for row in found.rows:
        proofs = [
            *(f"{test.path}::{test.name}" for test in row.tests),
            *(f"docs/guides/{name}" for name in row.guides),
        ]
        lines.append(f"{row.key:6} {row.rule}")
        lines += [f"       {proof}" for proof in proofs]
        lines += [f"       {row.remark}"] if row.remark else []
    return "\n".join(lines)
