"""The company mapping as a CSV file, out and in again (asked by Company Mapping).

Out: one line for each active client of a connection. In: `client_id` (19652, EFS-19652) and `psa_company_id` count,
everything else is for people. A blank company id is an explicit skip, unless the line says `unmapped`, as an exported
one does for clients that nobody has decided about. Lines with a mistake are told and left out; the others are taken.
"""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from integrations import companies, mapping, suggestions
from integrations.companies import State, Wish
from integrations.mapping import Move
from integrations.models import Choice, CompanyLink, Credentials
from portal import sheets, texts
from portal.models import Client
from portal.models.partners import client_number_of

COLUMNS = (
    "client_id",
    "client",
    "mapping",
    "psa_company_id",
    "psa_company",
    "suggested_company_id",
    "suggested_company",
    "score",
    "reason",
    "mapped_at",
    "mapped_by",
)
MOST_BYTES = 4 * 1024 * 1024
MOST_LINES = 20_000
MOST_PROBLEMS = 500
"""So many are listed; the others are counted."""

# --- Out --------------------------------------------------------------------------------------------------------------


def export(credentials: Credentials) -> Iterator[str]:
    """The file's lines: UTF-8 with a mark at the beginning, so that spreadsheets read umlauts right."""
    links = {row.client_id: row for row in CompanyLink.objects.filter(credentials=credentials)}
    found = {row.psa_id: row for row in mapped_companies(credentials)}
    offered = {row.client_id: row for row in suggestions.standing(credentials)}
    yield sheets.BEGINNING + sheets.line_of(COLUMNS)
    for client in mapping.clients_of(credentials).order_by("sort_name", "pk"):
        link, suggestion = links.get(client.pk), offered.get(client.pk)
        state = companies.state_of(link, found.get(link.psa_company_id) if link else None)
        yield sheets.line_of(
            (
                client.managed_id,
                client.name,
                state.value,
                link.psa_company_id if link else "",
                link.psa_company_name if link else "",
                suggestion.psa_company_id if suggestion else "",
                suggestion.psa_company_name if suggestion else "",
                str(suggestion.score) if suggestion else "",
                suggestion.reason if suggestion else "",
                link.linked_at.isoformat(timespec="seconds") if link else "",
                link.linked_by if link else "",
            )
        )


def mapped_companies(credentials: Credentials) -> Sequence[Choice]:
    used = CompanyLink.objects.filter(credentials=credentials).exclude(psa_company_id="")
    rows = Choice.objects.filter(credentials=credentials, kind="company", within="")
    return list(rows.filter(psa_id__in=used.values("psa_company_id")))


# --- In ---------------------------------------------------------------------------------------------------------------


class Unreadable(Exception):
    """The file as a whole cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one line. `line` counts from 1, with the heading."""

    line: int
    column: str
    text: str


@dataclass(frozen=True)
class Planned:
    """One line that can be taken: who becomes what, and what it was."""

    line: int
    wish: Wish
    link: CompanyLink | None

    @property
    def before(self) -> str:
        return mapping.label(self.link)

    @property
    def after(self) -> str:
        return f"{self.wish.name} ({self.wish.company_id})" if self.wish.company_id else "skipped"

    @property
    def move(self) -> Move:
        before = self.link.psa_company_id if self.link is not None else None
        return Move(self.wish.client.pk, self.wish.company_id, before)


@dataclass
class Preview:
    """What an import would do, before anything is done."""

    changes: list[Planned] = field(default_factory=list)
    unchanged: int = 0
    left_unmapped: int = 0
    problems: list[Problem] = field(default_factory=list)
    more_problems: int = 0

    def refuse(self, line: int, column: str, text: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(line, column, text))
        else:
            self.more_problems += 1

    @property
    def mapped(self) -> int:
        return sum(1 for change in self.changes if change.wish.company_id)

    @property
    def skipped(self) -> int:
        return len(self.changes) - self.mapped

    @property
    def refused(self) -> int:
        return len(self.problems) + self.more_problems


def preview(credentials: Credentials, content: bytes) -> Preview:
    """Read a file and say what it would change. Raises Unreadable."""
    columns, lines = rows_of(content)
    by_number = {client.number: client for client in mapping.clients_of(credentials)}
    offered = {row.psa_id: row for row in mapping.offered(credentials)}
    links = {row.client_id: row for row in CompanyLink.objects.filter(credentials=credentials)}
    found = Preview()
    seen: dict[uuid.UUID, int] = {}
    for number, cells in lines:
        if isinstance(cells, str):
            found.refuse(number, "", cells)
            continue
        take_line(found, number, Line.of(cells, columns), by_number, offered, links, seen)
    return found


@dataclass(frozen=True)
class Line:
    client: str
    company: str
    mapping: str
    is_short: bool

    @classmethod
    def of(cls, cells: Sequence[str], columns: Mapping[str, int]) -> Line:
        def cell(name: str) -> str:
            at = columns.get(name, -1)
            return sheets.plain(cells[at]).strip() if 0 <= at < len(cells) else ""

        is_short = columns["psa_company_id"] >= len(cells)
        return cls(cell("client_id"), cell("psa_company_id"), cell("mapping").lower(), is_short)


def take_line(
    found: Preview,
    number: int,
    line: Line,
    by_number: Mapping[int, Client],
    offered: Mapping[str, Choice],
    links: Mapping[uuid.UUID, CompanyLink],
    seen: dict[uuid.UUID, int],
) -> None:
    if not line.client:
        found.refuse(number, "client_id", "The client id is missing.")
        return
    client = by_number.get(client_number_of(line.client) or 0)
    if client is None:
        text = f"No client of this connection has the client id “{texts.shown(line.client)}”."
        found.refuse(number, "client_id", text)
        return
    if line.is_short:
        found.refuse(
            number, "psa_company_id", "The line ends before this column; a skip needs an empty cell."
        )
        return
    if client.pk in seen:
        text = f"{client.name} is in line {seen[client.pk]} already; that one is taken."
        found.refuse(number, "client_id", text)
        return
    seen[client.pk] = number
    link = links.get(client.pk)
    if not line.company and line.mapping == State.UNMAPPED and link is None:
        found.left_unmapped += 1
        return
    if link is not None and link.psa_company_id == line.company:
        found.unchanged += 1
        return
    try:
        wish = mapping.wish_for(client, line.company, offered)
    except mapping.Refused as refused:
        found.refuse(number, "psa_company_id", texts.shown(refused.text))
        return
    found.changes.append(Planned(number, wish, link))


# --- The file itself --------------------------------------------------------------------------------------------------


def rows_of(content: bytes) -> tuple[dict[str, int], list[tuple[int, Sequence[str] | str]]]:
    """Where each column is, and the lines with their numbers; a line that is no CSV is a sentence instead."""
    heading, lines = rows_of_text(content)
    return columns_of(heading), lines


def rows_of_text(content: bytes) -> tuple[Sequence[str], list[tuple[int, Sequence[str] | str]]]:
    """The heading, and the lines with their numbers. Raises Unreadable."""
    if len(content) > MOST_BYTES:
        raise Unreadable(f"The file has more than {MOST_BYTES // 1024 // 1024} MB. Split it.")
    text = decoded(content)
    heading = text.split("\n", 1)[0]
    separator = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        first = next(reader)
    except (StopIteration, csv.Error):
        raise Unreadable("The file is empty, or its first line is no heading.") from None
    lines: list[tuple[int, Sequence[str] | str]] = []
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return first, lines
        except csv.Error as error:
            lines.append(
                (number, f"From here on the file is no CSV: {error}. Look for a quote that is not closed.")
            )
            continue
        if any(cell.strip() for cell in cells):
            lines.append((number, cells))
        if len(lines) > MOST_LINES:
            raise Unreadable(f"The file has more than {MOST_LINES:,} lines. Split it.")


def decoded(content: bytes) -> str:
    """UTF-8 with or without mark, UTF-16 with one, else what Windows writes in the West."""
    is_utf_16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if is_utf_16 else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            break
        return text
    raise Unreadable("The file is no text in UTF-8 or Windows-1252. Save it as “CSV UTF-8”.")


NAMED = {
    "client_id": {"client_id", "clientid", "client_no", "managed_id", "id_number"},
    "psa_company_id": {"psa_company_id", "company_id", "psacompanyid", "companyid"},
    "mapping": {"mapping", "state"},
}


def columns_of(heading: Sequence[str]) -> dict[str, int]:
    """Raises Unreadable when a column that counts is not there, or there twice."""
    cleaned = [re.sub(r"[\s_-]+", "_", cell.strip().lower()) for cell in heading]
    found: dict[str, int] = {}
    for name, also in NAMED.items():
        places = [at for at, cell in enumerate(cleaned) if cell in also]
        if len(places) > 1:
            raise Unreadable(f"The heading has the column {name} more than once.")
        if places:
            found[name] = places[0]
    missing = [name for name in ("client_id", "psa_company_id") if name not in found]
    if missing:
        named = ", ".join(f"“{texts.shown(cell)}”" for cell in heading[:12])
        raise Unreadable(f"The heading lacks {' and '.join(missing)}. It has {named}.")
    return found
