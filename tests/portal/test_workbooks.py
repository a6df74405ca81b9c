"""Cells of files are never run as formulas, and numbers stay numbers."""

from __future__ import annotations

import io
import itertools
from decimal import Decimal

import openpyxl
import pytest

from portal import sheets, workbooks

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
PAYLOADS = ("1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x")', "SUM(A1:A9)", "", "'=1")
CELLS = ["".join(parts) for parts in itertools.product(("", "'", "''"), BEGINNINGS, PAYLOADS)]


def opened(rows: list[list[workbooks.Cell]]) -> openpyxl.worksheet.worksheet.Worksheet:
    return openpyxl.load_workbook(io.BytesIO(file_of(rows))).active


def file_of(rows: list[list[workbooks.Cell]]) -> bytes:
    with workbooks.made(iter(rows), name="Sheet") as content:
        return content.read()


def test_no_payload_is_a_formula_in_either_file() -> None:
    assert len(CELLS) >= 190
    sheet = opened([["Heading"], *([cell] for cell in CELLS)])
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    assert all(sheets.neutral(cell)[0] == "'" for cell in CELLS)
    assert all(sheets.plain(sheets.neutral(cell)) == cell for cell in CELLS)


def test_numbers_are_numbers_and_nothing_is_empty() -> None:
    sheet = opened([["a", "b", "c", "d"], [Decimal("-2.5"), 3, None, ""]])
    assert [cell.value for cell in sheet[2]][:2] == [-2.5, 3]
    assert sheet["C2"].value is None


def test_the_same_rows_are_the_same_file() -> None:
    assert file_of([["a"], ["b"]]) == file_of([["a"], ["b"]])


def test_what_no_cell_can_hold_is_cut() -> None:
    assert len(opened([["a"], ["x" * 40_000]])["A2"].value) == workbooks.LONGEST


@pytest.mark.parametrize("letter", ["a\x01b", "\ufffe", "a\u202eb"])
def test_letters_that_xml_forbids_do_not_stop_a_file(letter: str) -> None:
    assert opened([["a"], [letter]]).max_row == 2
