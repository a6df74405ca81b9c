"""An evidence pack as a PDF: the same facts, the same bytes (asked by pages and links).

The font is the one that comes with reportlab (Bitstream Vera: Western European letters). A letter that it lacks is
shown by its base letter where there is one, else by its code, and the page says so; the web page shows it as it is.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from billing.evidence import NOTHING_KNOWN, Facts

REGULAR, BOLD = "Vera", "VeraBd"
MOST_ACCOUNTS, MOST_DEVICES, MOST_SERVICES = 8, 10, 12
SOFT = colors.HexColor("#5b6470")
LINE = colors.HexColor("#d5dae1")
WIDTHS = tuple(part * mm for part in (62, 24, 20, 24, 24, 24))


def made(facts: Facts, digest: str) -> bytes:
    """`digest` is empty for a month that is still open, or closed without anything known; the page says which."""
    fonts()
    writer = Writer()
    story = writer.story(facts, digest)
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=16 * mm,
        rightMargin=16 * mm,
        topMargin=14 * mm,
        bottomMargin=14 * mm,
        title=writer.shown(f"Evidence {facts['month']}"),
        author="PSA Portal",
        invariant=1,
    )
    document.build(story)
    return out.getvalue()


@cache
def fonts() -> frozenset[int]:
    """The letters that both cuts have."""
    letters: list[set[int]] = []
    for name in (REGULAR, BOLD):
        font = TTFont(name, f"{name}.ttf")
        pdfmetrics.registerFont(font)
        letters.append(set(font.face.charToGlyph))
    return frozenset(letters[0] & letters[1])


class Writer:
    """Text into flowables; remembers whether a letter had to be shown otherwise."""

    def __init__(self) -> None:
        self.lacked = False

    def shown(self, text: str) -> str:
        """With what the font has."""
        known = fonts()
        return "".join(letter if ord(letter) in known else self.instead(letter) for letter in text)

    def instead(self, letter: str) -> str:
        if letter in "\n\t\r":
            return " "
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Mn", "Me"):
            return ""
        self.lacked = True
        base = "".join(part for part in unicodedata.normalize("NFKD", letter) if ord(part) in fonts())
        return base or f"[U+{ord(letter):04X}]"

    def text(self, text: str, style: ParagraphStyle) -> Paragraph:
        return Paragraph(escape(self.shown(text)), style)

    def story(self, facts: Facts, digest: str) -> list[Flowable]:
        client = facts["client"]
        parts: list[Flowable] = [
            self.text(f"{client['name']} – {facts['month']}", TITLE),
            self.text(f"{facts['partner']} · {client['managed_id']} · days in {facts['time_zone']}", SMALL),
            Spacer(1, 3 * mm),
            self.text("What was protected, and what was billed for it", HEADING),
            self.services(facts["services"]),
        ]
        parts += self.accounts(facts["services"])
        parts += self.backups(facts.get("backups"))
        parts += self.tickets(facts.get("tickets"))
        parts.append(Spacer(1, 3 * mm))
        sealed = f"Closed month. SHA-256 of its facts: {digest}" if digest else "This month is still open."
        if facts.get(NOTHING_KNOWN):
            sealed = "Closed month. Nothing was known of this client when it was closed."
        parts.append(self.text(sealed, SMALL))
        if self.lacked:
            note = "Letters that this file's font lacks are shown by their base letter or code; the web page has them."
            parts.append(self.text(note, SMALL))
        return parts

    def services(self, services: Sequence[Facts]) -> Flowable:
        heading = ("Service", "Measured", "Included", "Billed", "On the agreement", "Invoiced")
        rows: list[list[Any]] = [[self.text(name, CELL_BOLD) for name in heading]]
        for service in services[:MOST_SERVICES]:
            line = f" · line {service['line_id']}" if service["line_id"] else ""
            invoices = ", ".join(f"no. {one['number']}" for one in service["invoices"])
            place = f" · {service['agreement']}{line}" if service["agreement"] else ""
            told = f"{service['counted']}{place}"
            name = [self.text(f"{service['name']} ({service['unit']})", CELL), self.text(told, SMALL)]
            if invoices:
                name.append(self.text(f"Invoices: {invoices}", SMALL))
            numbers = ("measured", "included", "billable", "in_agreement", "invoiced")
            rows.append([name, *(self.text(number_of(service, key), NUMBER) for key in numbers)])
        left = len(services) - MOST_SERVICES
        if left > 0:
            rows.append([self.text(f"... and {left} more services", SMALL), *[""] * 5])
        if not services:
            rows.append([self.text("Nothing was measured or billed.", CELL), *[""] * 5])
        return table(rows, WIDTHS)

    def accounts(self, services: Sequence[Facts]) -> list[Flowable]:
        parts: list[Flowable] = []
        for service in services[:MOST_SERVICES]:
            found = service["accounts"]
            if not found:
                continue
            told = [account_text(one, service["unit"]) for one in found[:MOST_ACCOUNTS]]
            left = len(found) - MOST_ACCOUNTS
            rest = f"; and {left} more" if left > 0 else ""
            parts.append(self.text(f"{service['name']}: {'; '.join(told)}{rest}.", BODY))
        return [self.text("By account", HEADING), *parts] if parts else []

    def backups(self, backups: Facts | None) -> list[Flowable]:
        if not backups:
            return [self.text("Backups", HEADING), self.text("No source told of backups.", BODY)]
        total = backups["successful"] + backups["failed"]
        text = (
            f"{backups['rate'] or '0'} % of {total} backups were successful; {backups['failed']} failed."
            f" Protected: servers {backups['servers']}, workstations {backups['workstations']}."
        )
        rows: list[list[Any]] = [
            [
                self.text(name, CELL_BOLD)
                for name in ("Device", "Successful", "Failed", "Rate", "Storage (GB)")
            ]
        ]
        for device in backups["devices"][:MOST_DEVICES]:
            values = (
                device["successful"],
                device["failed"],
                f"{device['rate']} %",
                device["storage_gb"] or "–",
            )
            rows.append([self.text(device["name"], CELL), *(self.text(str(one), NUMBER) for one in values)])
        left = len(backups["devices"]) - MOST_DEVICES
        if left > 0:
            rows.append([self.text(f"... and {left} more devices", SMALL), *[""] * 4])
        widths = tuple(part * mm for part in (82, 24, 24, 24, 24))
        return [self.text("Backups", HEADING), self.text(text, BODY), table(rows, widths)]

    def tickets(self, tickets: Facts | None) -> list[Flowable]:
        if not tickets:
            return []
        text = f"{tickets['opened']} opened, {tickets['closed']} closed."
        if tickets["seconds_to_ticket"] is not None:
            text += (
                f" A ticket was there after {tickets['seconds_to_ticket']} seconds (median;"
                f" slowest {tickets['slowest_seconds']})."
            )
        return [self.text("Tickets", HEADING), self.text(text, BODY)]


def number_of(service: Facts, key: str) -> str:
    value = service[key]
    return "–" if value is None else str(value)


def account_text(one: Facts, unit: str) -> str:
    notes = [
        *([f"joined {one['joined']}"] if one["joined"] else []),
        *([f"left after {one['left']}"] if one["left"] else []),
    ]
    name = one["name"] or one["account"]
    told = f" ({', '.join(notes)})" if notes else ""
    return f"{name} {one['quantity']} {unit}{told}"


def table(rows: list[list[Any]], widths: Sequence[float]) -> Table:
    made = Table(rows, colWidths=list(widths), repeatRows=1)
    made.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )
    return made


def style(name: str, size: float, font: str = REGULAR, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=size * 1.35, **more)


TITLE = style("title", 16, BOLD, spaceAfter=2)
HEADING = style("heading", 10, BOLD, spaceBefore=8, spaceAfter=3)
BODY = style("body", 8.5, spaceAfter=3)
SMALL = style("small", 7, textColor=SOFT)
CELL = style("cell", 8.5)
CELL_BOLD = style("cell_bold", 7.5, BOLD)
NUMBER = style("number", 8.5, alignment=2)
