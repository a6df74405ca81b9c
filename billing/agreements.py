"""Which agreement a client's services are billed on (asked by the Agreement tab and REST)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from billing import schedule, synchronize
from billing.decisions import Decider, Refused
from billing.models import AgreementLink, Service
from integrations.models import Choice, Credentials
from portal import clock
from portal.models import Client


@dataclass(frozen=True)
class Offered:
    """A company's agreements: those that can be chosen, and those that cannot, each with its reason."""

    billable: Sequence[Choice]
    hidden: Sequence[tuple[Choice, str]]


def offered(connection: Credentials, company: str) -> Offered:
    """From our copy of the PSA's options. One query."""
    rows = connection.choices.filter(kind="agreement").filter(Q(within=company) | Q(data__company_id=company))
    rows = rows.order_by("name", "psa_id")
    billable = [row for row in rows if not why_hidden(row)]
    return Offered(billable, [(row, reason) for row in rows if (reason := why_hidden(row))])


def why_hidden(agreement: Choice) -> str:
    """Why usage cannot be billed on it; empty when it can."""
    if agreement.vanished_at is not None:
        return "It is no longer in the PSA."
    if agreement.data.get("recurring") is not True:
        return str(agreement.data.get("reason") or "It does not recur.")
    return ""


def choose(
    client: Client,
    connection: Credentials,
    company: str,
    *,
    agreement_id: str,
    service: Service | None,
    creates_lines: bool,
    line_id: str,
    by: Decider,
) -> AgreementLink:
    """Bill a service, or all without an agreement of their own, on this one; it is pushed at once or on the push day.

    Raises Refused.
    """
    found = offered(connection, company)
    agreement = next((row for row in found.billable if row.psa_id == agreement_id), None)
    if agreement is None:
        hidden = next((why for row, why in found.hidden if row.psa_id == agreement_id), None)
        text = hidden or "The client's PSA company has no such agreement; reload the options from the PSA."
        raise Refused("agreement_not_billable" if hidden else "unknown_agreement", text)
    if line_id and service is None:
        raise Refused("line_without_service", "A line is of one service; choose the service too.")
    with transaction.atomic():
        link, _ = AgreementLink.objects.update_or_create(
            client=client,
            credentials=connection,
            service=service,
            defaults={
                "partner_id": client.partner_id,
                "agreement": agreement,
                "creates_lines": creates_lines,
                "line_id": line_id,
                "updated_at": clock.now(),
                "updated_by": by.user,
            },
        )
        synchronize.request_many(schedule.continuous([client]), cause="settings", by=by.user)
    return link


def forget(client: Client, connection: Credentials, service: Service | None) -> bool:
    """No agreement of its own any more; its line in the PSA stays as it is."""
    return bool(
        AgreementLink.objects.filter(client=client, credentials=connection, service=service).delete()[0]
    )
