"""Which PSA company a client is (asked by tickets, pushes, the mapping pages and REST).

A client without a link is unmapped: what is about it waits, or goes to the catch-all company when the connection has
one. A link with an empty company id is an explicit skip. Nothing here is ever written to the PSA.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from integrations import eventlog
from integrations.models import (
    Action,
    CatchAllCompany,
    Choice,
    CompanyLink,
    CompanySuggestion,
    Credentials,
    Delivery,
    Status,
)
from integrations.models.connections import Origin
from integrations.psa.errors import PsaError
from portal import clock, database
from portal.models import Client

WAITS = "no_company"
"""The reason of a delivery that is held because its client is not mapped."""
AT_ONCE = 500


# --- Mapping and unmapping --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """A client and the PSA company it shall be; both texts are empty for an explicit skip."""

    client: Client
    company_id: str
    name: str


def link_company(
    client: Client,
    credentials: Credentials,
    *,
    psa_company_id: str,
    name: str,
    by: str = "",
    origin: Origin = Origin.PORTAL,
) -> CompanyLink:
    """Map one client; an empty id is an explicit skip. What was held for want of a company waits again."""
    link_all(credentials, [Wish(client, psa_company_id, name)], by=by, origin=origin)
    found: CompanyLink = CompanyLink.objects.get(client=client, credentials=credentials)
    return found


def link_all(credentials: Credentials, wishes: Sequence[Wish], *, by: str, origin: Origin) -> None:
    """Map many clients of one connection in one transaction; `by` is who did it, for the record."""
    now = clock.now()
    rows = [
        CompanyLink(
            partner_id=credentials.partner_id,
            client=wish.client,
            credentials=credentials,
            psa_company_id=wish.company_id,
            psa_company_name=wish.name[:300],
            linked_at=now,
            linked_by=by[:254],
            origin=origin,
        )
        for wish in wishes
    ]
    with transaction.atomic():
        CompanyLink.objects.bulk_create(
            rows,
            batch_size=AT_ONCE,
            update_conflicts=True,
            unique_fields=["client", "credentials"],
            update_fields=["psa_company_id", "psa_company_name", "linked_at", "linked_by", "origin"],
        )
        for some in in_pieces([wish.client.pk for wish in wishes]):
            CompanySuggestion.objects.filter(credentials=credentials, client__in=some).delete()
            eventlog.release(credentials.partner_id, reasons=(WAITS,), clients=some)


def unlink_all(credentials: Credentials, clients: Sequence[uuid.UUID]) -> int:
    """Forget mappings and skips: what comes from now on waits until somebody decides. Returns how many there were."""
    count = 0
    with transaction.atomic():
        for some in in_pieces(clients):
            rows = CompanyLink.objects.filter(credentials=credentials, client__in=some)
            count += rows.delete()[0]
    return count


def accept_name(link: CompanyLink, name: str, *, by: str) -> None:
    """The company was renamed in the PSA and is still the right one."""
    link.psa_company_name, link.linked_at, link.linked_by = name[:300], clock.now(), by[:254]
    link.save(update_fields=["psa_company_name", "linked_at", "linked_by"])


def in_pieces(keys: Sequence[uuid.UUID]) -> Iterable[Sequence[uuid.UUID]]:
    return (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE))


def release_decided() -> int:
    """Held deliveries whose client has been decided about meanwhile wait again; returns how many.

    An attempt may look for the mapping just before somebody makes it, and be held just after.
    """
    held = Delivery.objects.filter(status=Status.HELD, reason=WAITS)
    links = CompanyLink.objects.filter(
        client=OuterRef("client"), credentials=OuterRef("lane__credentials"), partner=OuterRef("partner")
    )
    caught = CatchAllCompany.objects.filter(credentials=OuterRef("lane__credentials"))
    decided = held.filter(Exists(links) | Q(Exists(caught), action=Action.TICKET))
    return eventlog.reprocess_many(decided) if decided.exists() else 0


# --- The catch-all company --------------------------------------------------------------------------------------------


def choose_catch_all(credentials: Credentials, company: Choice | None, *, by: str) -> None:
    """Where tickets of unmapped clients go; None for nowhere. Tickets that waited for a mapping go there now."""
    if company is None:
        CatchAllCompany.objects.filter(credentials=credentials).delete()
        return
    with transaction.atomic():
        CatchAllCompany.objects.update_or_create(
            credentials=credentials,
            defaults={
                "partner_id": credentials.partner_id,
                "psa_company_id": company.psa_id,
                "psa_company_name": company.name,
                "chosen_at": clock.now(),
                "chosen_by": by[:254],
            },
        )
        eventlog.release(
            credentials.partner_id, reasons=(WAITS,), lane=credentials.lane, action=Action.TICKET
        )


def catch_all_of(credentials: Credentials) -> CatchAllCompany | None:
    return CatchAllCompany.objects.filter(credentials=credentials).first()


# --- Looking up -------------------------------------------------------------------------------------------------------


def links_of(
    clients: Iterable[uuid.UUID], credentials: Iterable[uuid.UUID]
) -> dict[tuple[uuid.UUID, uuid.UUID], str]:
    """PSA company ids by (client, credentials)."""
    return {(client, connection): company for client, connection, company in _links(clients, credentials)}


_links = database.Prepared(
    lambda clients, credentials: CompanyLink.objects.filter(
        client__in=clients, credentials__in=credentials
    ).values_list("client_id", "credentials_id", "psa_company_id")
)


# --- Is it still what was mapped? -------------------------------------------------------------------------------------


class State(models.TextChoices):
    """How a client's mapping stands, compared with our copy of the PSA's companies."""

    UNMAPPED = "unmapped"
    SKIPPED = "skipped"
    OK = "ok"
    RENAMED = "renamed"
    MISSING = "missing"
    MERGED = "merged"
    INACTIVE = "inactive"


TROUBLE = (State.RENAMED, State.MISSING, State.MERGED, State.INACTIVE)

# What our copy of a company says in `data`: `status` is ConnectWise's word; `inactive` and `merged_into` are ours.
INACTIVE = Q(data__inactive=True) | Q(data__status__iexact="inactive")
MERGED = Q(data__has_key="merged_into")


def state_of(link: CompanyLink | None, company: Choice | None) -> State:
    """`company` is our copy of the mapped company, None when there is none."""
    if link is None:
        return State.UNMAPPED
    if not link.psa_company_id:
        return State.SKIPPED
    flag = flag_of(company.data) if company is not None else None
    if flag == State.MERGED:
        return flag
    if company is None or company.vanished_at is not None:
        return State.MISSING
    return flag or (State.OK if company.name == link.psa_company_name else State.RENAMED)


def flag_of(data: Mapping[str, Any]) -> State | None:
    """What our copy of a company says against using it."""
    if "merged_into" in data:
        return State.MERGED
    if data.get("inactive") is True or str(data.get("status", "")).lower() == "inactive":
        return State.INACTIVE
    return None


def explain(state: State, link: CompanyLink, company: Choice | None) -> str:
    """One sentence on a mapping in trouble; empty when all is well."""
    name = f"“{link.psa_company_name}” (company {link.psa_company_id})"
    if state == State.RENAMED and company is not None:
        return f"{name} is called “{company.name}” in the PSA now. The mapping goes on working."
    if state == State.MERGED and company is not None:
        return (
            f"{name} was merged into company {company.data['merged_into']} in the PSA. Map that one instead."
        )
    if state == State.INACTIVE:
        return f"{name} is inactive in the PSA, which may refuse tickets and quantities for it."
    if state == State.MISSING:
        return (
            f"{name} is no longer among the PSA’s companies: it was deleted, merged or made inactive there."
        )
    return ""


def troubled(links: models.QuerySet[CompanyLink]) -> models.QuerySet[CompanyLink]:
    """Of these links, those that are not quite right any more; the same question as `state_of`, for the database."""
    copies = Choice.objects.filter(
        credentials=OuterRef("credentials"), kind="company", within="", psa_id=OuterRef("psa_company_id")
    )
    fine = copies.filter(vanished_at=None, name=OuterRef("psa_company_name"))
    flagged = copies.filter(INACTIVE | MERGED)
    return links.exclude(psa_company_id="").filter(~Exists(fine) | Exists(flagged))


def copy_of(credentials_id: uuid.UUID, company_id: str) -> Choice | None:
    """Our copy of one PSA company, also when it has vanished."""
    rows = Choice.objects.filter(credentials=credentials_id, kind="company", within="")
    return rows.filter(psa_id=company_id).first()


def advise(delivery: Delivery, error: PsaError | None) -> None:
    """The PSA refused the company: say on the delivery what we know about that company, and where to map again."""
    if error is None or getattr(error, "field", "") != "company" or delivery.lane is None:
        return
    connection = delivery.lane.credentials_id
    link = CompanyLink.objects.filter(client=delivery.client_id, credentials=connection).first()
    known = ""
    if link is not None and link.psa_company_id:
        company = copy_of(connection, link.psa_company_id)
        known = explain(state_of(link, company), link, company)
    where = (
        "Map the client again on My Partnership > Company Mapping, then reprocess."
        if link is not None
        else "Choose another catch-all company on My Partnership > Company Mapping, or map the client."
    )
    delivery.advice = " ".join(part for part in (known, delivery.advice, where) if part)
