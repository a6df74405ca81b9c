"""Cross-references as a CSV file: the sheet that a PSA administrator follows, and names taken in.

In, `service` (key or name) and `product` (the PSA's Product ID, exactly) count. A name that differs only in case or
blanks is told as a near miss and not taken: two products may differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from billing import crossreferences
from billing.crossreferences import Level, Wish
from billing.decisions import Decider, Refused
from billing.models import CrossReference, Service
from billing.sheets import Problem, Sheet, line_of
from integrations.models import Choice, Credentials

COLUMNS = ("service", "product", "billed", "level", "type", "configuration_type", "agreement_type")
SHEET = (
    "Level",
    "Type",
    "Configuration Type",
    "Agreement Type",
    "Product ID",
    "Description",
    "Unit of Measure",
    "Service",
    "Billed",
)
WORDS = ("level", "type", "configuration_type", "agreement_type")
YES, NO = {"yes", "y", "1", "true", "x", ""}, {"no", "n", "0", "false"}


def export(rows: Sequence[CrossReference]) -> Iterator[str]:
    """The PSA's own columns in the order of its page; our defaults where nothing is set."""
    yield "\ufeff" + line_of(SHEET)
    for row in rows:
        words = crossreferences.proposed_words(row.service)
        product = row.product
        yield line_of(
            (
                row.level or words["level"],
                row.type or words["type"],
                row.configuration_type or words["configuration_type"],
                row.agreement_type,
                product.name if product else "",
                str(product.data.get("description") or "") if product else "",
                str(product.data.get("uom") or "") if product else "",
                row.service.name,
                "yes" if row.is_billed else "no",
            )
        )


@dataclass
class Imported:
    """What a file did."""

    taken: int = 0
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def take_in(level: Level, connection: Credentials, content: bytes, *, by: Decider) -> Imported:
    """Lines with a mistake are told and left out; the others are taken. Raises Unreadable."""
    sheet = Sheet.of(content, needed=("service", "product"), known=COLUMNS)
    services = {key.casefold(): row for row in Service.objects.all() for key in (row.key, row.name)}
    products = list(connection.choices.filter(kind="product", vanished_at=None))
    found = Imported()
    for line in sheet.lines(found.problems):
        try:
            service = services.get(line["service"].casefold())
            if service is None:
                raise Refused("service", f"No service is called “{line['service'][:100]}”.")
            product = product_named(products, line["product"]) if line["product"] else None
            own = crossreferences.own_wish(level, service)
            crossreferences.save(level, service, wish_of(line, product, own, sheet.columns), by=by)
        except Refused as no:
            column = no.code if no.code in COLUMNS else ""
            found.problems.append(Problem(line.number, column, no.text))
            continue
        found.taken += 1
        if product is not None and (text := crossreferences.unit_mismatch(service, product)):
            found.warnings.append(Problem(line.number, "product", text))
    return found


def wish_of(line: dict[str, str], product: Choice | None, own: Wish, columns: Collection[str]) -> Wish:
    """What the file has no column for stays as it is."""
    billed = line["billed"].casefold()
    if billed not in YES | NO:
        raise Refused("billed", f"“{line['billed'][:100]}” is neither yes nor no.")
    words = {name: line[name] for name in WORDS if name in columns}
    for name, text in words.items():
        if len(text) > 255:
            raise Refused(name, f"It has {len(text)} characters; 255 are allowed.")
    is_billed = billed in YES if "billed" in columns else own.is_billed
    return replace(own, product=product, is_billed=is_billed, **words)  # type: ignore[arg-type]


def product_named(products: Sequence[Choice], name: str) -> Choice:
    """The product of exactly this Product ID. Raises Refused, naming what comes near."""
    exact = [row for row in products if name in (row.name, row.data.get("identifier"))]
    if len(exact) == 1:
        return exact[0]
    if exact:
        raise Refused("product", f"{len(exact)} products are called “{name}”; choose one on the page.")
    near = [row for row in products if squeezed(row.name) == squeezed(name)]
    if near:
        how = (
            "case"
            if near[0].name.strip().casefold() == name.casefold() and near[0].name.strip() != name
            else "blanks"
        )
        raise Refused(
            "product",
            f"“{name}” is not there; “{near[0].name}” is, and differs by {how} only. Write it exactly so.",
        )
    raise Refused("product", f"The PSA has no product “{name[:100]}”. Reload the options if it is new.")


def squeezed(text: str) -> str:
    return "".join(text.split()).casefold()
