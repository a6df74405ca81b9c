"""What should a client's agreements say (asked by pushes, previews and pages).

Usage x cross-reference x aggregation x rounding; what may not be pushed is withheld, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from billing import quantities, usage
from billing.crossreferences import CrossReferences
from billing.models import AgreementLink, CrossReference, Service
from billing.terms import Terms, for_client
from integrations.models import Credentials
from integrations.psa import kinds
from integrations.psa.wanted import WantedLine, WantedLines
from portal.models import Client


@dataclass(frozen=True)
class Withheld:
    """A service that is not pushed, and why: a stable reason and a sentence."""

    service: Service
    reason: str
    text: str


@dataclass
class Wanted:
    """What one client's agreements should say, and what is withheld. `references` and `days` are by service key.

    `next_invoices` is by agreement, an ISO date where the PSA tells one: that of our copy, at most an hour old.
    """

    agreements: list[WantedLines] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    references: dict[str, CrossReference] = field(default_factory=dict)
    days: dict[str, list[usage.Day]] = field(default_factory=dict)
    next_invoices: dict[str, str] = field(default_factory=dict)


def wanted_for(
    client: Client, credentials: Credentials, company_id: str, *, today: date, terms: Terms | None = None
) -> Wanted:
    """The lines that should be there. Unknown is not zero: without fresh usage a service is withheld."""
    terms = terms or for_client(client)
    references = CrossReferences.of(client.partner_id).for_client(client)
    links = agreement_links(client, credentials)
    days = usage.days_of(client, [row.service_id for row in references], today=today)
    wanted = Wanted()
    lines: dict[object, tuple[AgreementLink, list[WantedLine]]] = {}
    for row in references:
        withheld = why_withheld(row, credentials, links, days.get(row.service_id, []), today)
        if withheld is not None:
            wanted.withheld.append(withheld)
            continue
        link = links.get(row.service_id) or links[None]
        wanted.references[row.service.key] = row
        wanted.days[row.service.key] = days[row.service_id]
        line = wanted_line(row, link, client, days[row.service_id], terms)
        lines.setdefault(link.agreement_id, (link, []))[1].append(line)
    wanted.next_invoices = {
        link.agreement.psa_id: str(link.agreement.data.get("next_invoice_on") or "")
        for link, _ in lines.values()
    }
    wanted.agreements = [
        WantedLines(
            agreement_id=link.agreement.psa_id,
            agreement_name=link.agreement.name,
            company_id=company_id,
            lines=tuple(rows),
        )
        for link, rows in lines.values()
    ]
    return wanted


def agreement_links(client: Client, credentials: Credentials) -> dict[object, AgreementLink]:
    rows = AgreementLink.objects.filter(client=client, credentials=credentials).select_related(
        "agreement", "updated_by"
    )
    return {row.service_id: row for row in rows}


def why_withheld(
    row: CrossReference,
    credentials: Credentials,
    links: dict[object, AgreementLink],
    days: Sequence[usage.Day],
    today: date,
) -> Withheld | None:
    """The first reason not to push a service over this connection; None when it may go."""
    service = row.service
    if not row.is_billed:
        return Withheld(service, "unticked", "Not billed (unticked).")
    if row.product is None:
        return Withheld(service, "no_product", "No PSA product is chosen in the cross-reference.")
    if row.product.credentials_id != credentials.pk:
        return elsewhere(service, f"Product {row.product.name}", "a product")
    if row.product.vanished_at is not None:
        return Withheld(service, "product_gone", f"Product {row.product.name} is no longer in the PSA.")
    if row.service_id not in links and None not in links:
        return Withheld(service, "no_agreement", "No agreement is chosen for this service.")
    agreement = (links.get(row.service_id) or links[None]).agreement
    if agreement.credentials_id != credentials.pk:
        return elsewhere(service, f"Agreement {agreement.name}", "an agreement")
    if agreement.vanished_at is not None:
        return Withheld(service, "agreement_gone", f"Agreement {agreement.name} is no longer in the PSA.")
    if agreement.data.get("recurring") is False:
        reason = agreement.data.get("reason") or "It does not recur."
        return Withheld(
            service, "agreement_over", f"Agreement {agreement.name} cannot be billed on: {reason}"
        )
    if not days:
        return Withheld(
            service, "no_usage", "No usage was ever measured lately; nothing is pushed instead of 0."
        )
    if not usage.is_fresh(days, today):
        return Withheld(
            service, "stale", f"The newest usage is of {days[-1].on:%Y-%m-%d}; a stale number is not pushed."
        )
    if (quantity := quantities.quantity_of(service, days)) > quantities.MOST:
        text = f"The usage comes to {plain(quantity)} {service.unit}, which no agreement takes"
        return Withheld(service, "quantity_out_of_range", f"{text}; correct it at its source.")
    return None


def elsewhere(service: Service, what: str, another: str) -> Withheld:
    """Each PSA numbers its own records: what one calls 302 is something else in another."""
    text = f"{what} belongs to another PSA connection; choose {another} of the one in effect here."
    return Withheld(service, "other_connection", text)


def wanted_line(
    row: CrossReference, link: AgreementLink, client: Client, days: Sequence[usage.Day], terms: Terms
) -> WantedLine:
    assert row.product is not None  # else it was withheld
    quantity = quantities.quantity_of(row.service, days)
    tells = row.updates_description and terms["updates_descriptions"]
    limit = kinds.ABILITIES[link.credentials.kind].invoice_description_length
    return WantedLine(
        key=row.service.key,
        product_id=row.product.psa_id,
        product_name=row.product.name,
        quantity=quantity,
        serial_number=client.managed_id,
        line_id=link.line_id or None,
        invoice_description=(
            invoice_description(row.service, client, days, quantity, terms["description_template"], limit)
            if tells
            else None
        ),
        create_if_missing=link.creates_lines,
    )


PLACEHOLDERS = ("service", "quantity", "unit", "counted", "day", "month", "client", "managed_id", "accounts")


def invoice_description(
    service: Service,
    client: Client,
    days: Sequence[usage.Day],
    quantity: Decimal,
    template: str,
    limit: int,
) -> str:
    """The text of the invoice line: what was counted, when, and as many accounts' shares as fit into `limit`."""
    newest = days[-1].on
    values = {
        "service": service.name,
        "quantity": plain(quantity),
        "unit": service.unit,
        "counted": service.get_aggregation_display(),
        "day": f"{newest}",
        "month": f"{newest:%Y-%m}",
        "client": client.name,
        "managed_id": client.managed_id,
        "accounts": "",
    }
    rest = limit - len(filled(template, values))
    shares = usage.accounts_on(client, service.pk, newest) if "{accounts}" in template else []
    values["accounts"] = fitted([f"{key}: {plain(share)} {service.unit}" for key, share in shares], rest)
    return filled(template, values).strip()[:limit]


def filled(template: str, values: Mapping[str, str]) -> str:
    """Known names in braces are replaced in one go, so that no value is read as a name; all else stays."""
    return _NAMED.sub(lambda found: values.get(found[1], found[0]), template)


_NAMED = re.compile(r"\{(\w+)\}")


def fitted(lines: Sequence[str], length: int) -> str:
    """The first lines that fit, and how many were left out."""
    text = "\n".join(lines)
    kept = len(lines)
    while kept and len(text) > length:
        kept -= 1
        text = "\n".join([*lines[:kept], f"... and {len(lines) - kept} more"])
    return text if len(text) <= length else ""


def plain(number: Decimal) -> str:
    """A number without trailing zeros and without exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
