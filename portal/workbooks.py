"""XLSX files whose cells no spreadsheet runs as formulas (asked by exports; CSV is next door in `sheets`)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO

import xlsxwriter
from django.http import FileResponse

from portal.sheets import neutral

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_ROWS = 1_048_576
LONGEST = 32_767
"""What a sheet and a cell can hold."""
IN_MEMORY = 5_000_000
MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""Told as the moment of making, so that the same rows are the same file."""
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}

FORBIDDEN = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""What no XML may hold, and the writer does not take out itself."""

Cell = str | int | Decimal | None


def made(rows: Iterable[Sequence[Cell]], *, name: str) -> IO[bytes]:
    """A file at its beginning, with one sheet; the first row is its heading, and stays in sight.

    Texts are texts, whatever they begin with, and get the apostrophe that they have in CSV; numbers are numbers. What
    is more than a sheet holds is cut, and the last row says so.
    """
    out = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the answer closes it
    book = xlsxwriter.Workbook(out, OPTIONS)
    book.set_properties({"created": MADE})
    sheet = book.add_worksheet(name[:31])
    bold = book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for at, cells in enumerate(rows):
        if at == MOST_ROWS - 1:
            sheet.write_string(at, 0, "Not everything: a sheet holds no more rows.")
            break
        for column, cell in enumerate(cells):
            write(sheet, at, column, cell, bold if at == 0 else None)
    book.close()
    out.seek(0)
    return out


def write(sheet: object, row: int, column: int, cell: Cell, shape: object) -> None:
    """By the cell's type; never `write()`, which guesses."""
    if cell is None or cell == "":
        return
    if isinstance(cell, str):
        sheet.write_string(row, column, FORBIDDEN.sub("", neutral(cell))[:LONGEST], shape)  # type: ignore[attr-defined]
    else:
        sheet.write_number(row, column, cell, shape)  # type: ignore[attr-defined]


def answer(content: IO[bytes], name: str) -> FileResponse:
    return FileResponse(content, as_attachment=True, filename=name, content_type=CONTENT_TYPE)
