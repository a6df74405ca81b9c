"""Lines of files for spreadsheets: CSV whose cells no spreadsheet runs as formulas (asked by exports and imports)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

BEGINNING = "\ufeff"
"""A mark that tells spreadsheets the file is UTF-8."""

# What a spreadsheet would run as a formula when it opens the file; some take the full-width forms for the same.
RISKY = re.compile(r"^'*[=+\-@\t\r\n＝＋－＠]")


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: `=1+1` becomes `'=1+1`. `plain` undoes it exactly."""
    return f"'{cell}" if RISKY.match(cell) else cell


def plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and RISKY.match(cell) else cell


def line_of(cells: Sequence[str]) -> str:
    """One line, with its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([neutral(cell) for cell in cells])
    return out.getvalue()
