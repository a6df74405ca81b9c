"""Lines of files for spreadsheets: CSV whose cells no spreadsheet runs as formulas (asked by exports and imports)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

BEGINNING = "\ufeff"
"""A mark that tells spreadsheets the file is UTF-8."""

# What a spreadsheet would run as a formula when it opens the file; some take the full-width forms for the same.
RISKY = re.compile(r"^'*[=+\-@\t\r\n＝＋－＠]")
MAYBE_RISKY = frozenset("'=+-@\t\r\n＝＋－＠")


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: `=1+1` becomes `'=1+1`. `plain` undoes it exactly."""
    return f"'{cell}" if cell[:1] in MAYBE_RISKY and RISKY.match(cell) else cell


def plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and RISKY.match(cell) else cell


def line_of(cells: Sequence[str]) -> str:
    """One line, with its end."""
    return lines_of([cells])


def lines_of(rows: Iterable[Sequence[str]]) -> str:
    """Several lines, each with its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([neutral(cell) for cell in cells] for cells in rows)
    return out.getvalue()
