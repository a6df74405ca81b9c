"""Where a client is: filled from the mapped PSA company, typed over by people (asked by pages, jobs and tickets)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from alerts.models import ClientAddress
from integrations import choices, connections, effective
from integrations.models import CompanyLink, Credentials
from integrations.psa.errors import PsaError, Rejected
from integrations.psa.port import Option, Psa
from portal import clock
from portal.models import Client

logger = logging.getLogger(__name__)
LINES: Mapping[str, int] = {
    "address_line_1": 128,
    "address_line_2": 128,
    "city": 50,
    "state": 50,
    "zip": 20,
}
"""The lines of an address, and how long each may be."""
AT_ONCE = 100
TRIED_EVERY = timedelta(hours=6)


def address_of(client: Client) -> ClientAddress | None:
    found: ClientAddress | None = ClientAddress.objects.filter(client=client).first()
    return found


# --- Typed over -------------------------------------------------------------------------------------------------------


def edit(client: Client, lines: Mapping[str, str], *, by: str) -> ClientAddress:
    """What a person says holds until somebody asks for the PSA's again."""
    row = address_of(client) or ClientAddress(partner_id=client.partner_id, client=client)
    for name in LINES:
        setattr(row, name, lines[name])
    is_as_read = all(lines[name] == row.read.get(name, "") for name in LINES)
    row.edited_by, row.edited_at = ("", None) if is_as_read else (by[:254], clock.now())
    row.save()
    return row


# --- Filled from the PSA ----------------------------------------------------------------------------------------------


def missing() -> Any:
    """Mapped clients whose address was never read, or of another company than the one they are mapped to now."""
    known = ClientAddress.objects.filter(
        Q(company_id=OuterRef("psa_company_id"), credentials=OuterRef("credentials"))
        | Q(tried_at__gt=clock.now() - TRIED_EVERY, linked_at_tried=OuterRef("linked_at")),
        client=OuterRef("client"),
    )
    return CompanyLink.objects.exclude(psa_company_id="").filter(~Exists(known))


def connections_with_missing() -> list[uuid.UUID]:
    return list(missing().order_by().values_list("credentials_id", flat=True).distinct())


def fill(credentials: Credentials) -> int:
    """Read what is missing at one connection, some clients at a time; returns how many."""
    links = list(missing().filter(credentials=credentials).select_related("client")[:AT_ONCE])
    return read_all(credentials, links)


def refresh(client: Client) -> bool:
    """Read one client's address anew, over what was typed. False when it could not be read."""
    lane = effective.lanes_of([client])[client.pk]
    if lane is None:
        return False
    link = CompanyLink.objects.filter(client=client, credentials=lane.credentials).exclude(psa_company_id="")
    return bool(read_all(lane.credentials, link.select_related("client"), overwrite=True))


def read_all(credentials: Credentials, links: Iterable[CompanyLink], *, overwrite: bool = False) -> int:
    count = 0
    try:
        with connections.psa_for(credentials) as psa:
            for link in links:
                count += read_one(credentials, link, psa, overwrite=overwrite)
    except PsaError as error:
        logger.warning("The addresses of %s could not be read: %s", credentials.pk, error.text)
    return count


def read_one(credentials: Credentials, link: CompanyLink, psa: Psa, *, overwrite: bool) -> bool:
    """Raises what says that the next company would fare no better."""
    trouble: PsaError | None = None
    sites: Iterable[Option] = ()
    try:
        sites = psa.choices("site", link.psa_company_id)
    except PsaError as error:
        trouble = error
    with transaction.atomic():
        # Looked up only now and locked: what a person typed while the PSA was asked is kept.
        locked = ClientAddress.objects.select_for_update(no_key=True).filter(client=link.client).first()
        row = locked or ClientAddress(partner_id=link.partner_id, client=link.client)
        row.tried_at, row.linked_at_tried = clock.now(), link.linked_at
        if trouble is not None:
            row.trouble = trouble.text[:300]
            row.save()
        else:
            take(row, credentials, link.psa_company_id, primary(sites), overwrite=overwrite)
    if trouble is not None and not isinstance(trouble, Rejected):
        raise trouble
    return trouble is None


def primary(sites: Iterable[Option]) -> Option | None:
    ordered = sorted(sites, key=lambda site: (site.data.get("default") is not True, len(site.id), site.id))
    return ordered[0] if ordered else None


def take(
    row: ClientAddress, credentials: Credentials, company_id: str, site: Option | None, *, overwrite: bool
) -> None:
    """Another company's address was typed for another company: it is not kept."""
    company = choices.company(credentials, company_id)
    told = site.data if site is not None else {}
    keeps_typed = bool(row.edited_by) and not overwrite and row.company_id in ("", company_id)
    row.read = {name: str(told.get(name) or "") for name in LINES}
    row.site_id = site.id if site is not None else ""
    if not keeps_typed:
        for name in LINES:
            setattr(row, name, row.read[name][: LINES[name]])
        row.edited_by, row.edited_at = "", None
    data = company.data if company is not None else {}
    row.location = str(data.get("territory") or "")[:100]
    row.id_number = str(data.get("identifier") or "")[:156]
    row.credentials, row.company_id = credentials, company_id
    row.read_at, row.trouble = clock.now(), ""
    row.save()
