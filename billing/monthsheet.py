"""A month's reconciliation as CSV or XLSX, a line for each client and service (asked by the Reconciliation page)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import IO, Any

from django.db.models import QuerySet

from billing.causes import Kind, plain
from billing.models import MonthNumbers
from portal import sheets, workbooks

PIECE = 1_000
NUMBERS = ("measured", "billable", "pushed", "in_agreement", "invoiced")
HEADING = (
    "Month",
    "Client Id",
    "Client",
    "Service",
    "Unit",
    "Measured",
    "Billable",
    "Pushed",
    "In Agreement",
    "Invoiced",
    "Included",
    "Written to Line",
    "Agreement",
    "Line",
    "Unit Price",
    "Currency",
    "Units at Risk",
    "Revenue at Risk",
    "Causes",
    "Not Readable",
    "Read at (UTC)",
)


def csv(rows: QuerySet[Any]) -> Iterator[str]:
    """One query a thousand lines."""
    yield sheets.BEGINNING + sheets.line_of(HEADING)
    for cells in cells_of(rows):
        yield sheets.line_of(
            [plain(cell) if isinstance(cell, Decimal) else str(cell or "") for cell in cells]
        )


def xlsx(rows: QuerySet[Any]) -> IO[bytes]:
    def lines() -> Iterator[Any]:
        yield HEADING
        yield from cells_of(rows)

    return workbooks.made(lines(), name="Reconciliation")


def cells_of(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    found = rows.select_related("client", "service").order_by("place", "pk")
    return (line(row) for row in found.iterator(chunk_size=PIECE))


def line(row: MonthNumbers) -> list[Any]:
    return [
        f"{row.month:%Y-%m}",
        str(row.client.number),
        row.client.name,
        row.service.name,
        row.service.unit,
        *(getattr(row, name) for name in NUMBERS),
        row.included,
        row.written,
        row.agreement_name,
        row.line_id,
        row.unit_price,
        row.currency,
        row.units_at_risk,
        row.at_risk if row.at_risk is not None else "price unknown",
        in_words(row.steps),
        " ".join(filter(None, (row.unread, row.not_invoiced))),
        f"{row.read_at:%Y-%m-%d %H:%M}" if row.read_at is not None else "",
    ]


def in_words(steps: Iterable[Any]) -> str:
    """`billable: Rounding 0.5; pushed: Push failed -2 (The PSA refused it.)`."""
    return "; ".join(
        f"{step['name'].replace('_', ' ')}: {Kind(cause['kind']).label} {cause['amount']} ({cause['text']})"
        for step in steps
        for cause in step["causes"]
    )


def file_name(month: date, kind: str) -> str:
    return f"reconciliation-{month:%Y-%m}.{kind}"
