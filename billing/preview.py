"""What would be written now (asked by the preview page and REST). Reads the PSA, writes nothing, stores nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from billing import synchronize, terms, usage
from billing.decisions import Decider, Refused, of_the_psa
from billing.guards import Guarded, Guards
from billing.models import PushBatch
from billing.wanted import Withheld, wanted_for
from integrations import companies, connections, effective
from integrations.models import Credentials
from integrations.psa.errors import PsaError
from integrations.psa.wanted import WantedLines
from portal import inheritance
from portal.models import Client, Partner


@dataclass(frozen=True)
class AgreementPreview:
    """One agreement: what would be written, what is held, what stays."""

    lines: WantedLines
    guarded: Guarded

    def as_json(self) -> dict[str, Any]:
        plan = self.guarded.plan
        return {
            "agreement_id": self.lines.agreement_id,
            "agreement_name": self.lines.agreement_name,
            "digest": plan.digest,
            "items": [item.as_json() for item in plan.items],
            "unchanged": list(plan.unchanged),
            "findings": [finding.as_json() for finding in plan.findings],
            "held": [{"service": key, "text": text} for key, text in sorted(self.guarded.held.items())],
        }


@dataclass
class Preview:
    """All agreements of a client. `withheld` are services that are not pushed at all, with the reason."""

    mode: str
    agreements: list[AgreementPreview] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)

    @property
    def writes(self) -> int:
        return sum(len(one.guarded.plan.items) for one in self.agreements)

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "agreements": [one.as_json() for one in self.agreements],
            "withheld": [
                {"service": row.service.key, "reason": row.reason, "text": row.text} for row in self.withheld
            ],
        }


def connection_of(client: Client) -> tuple[Credentials, str]:
    """The connection in effect and the client's PSA company there. Raises Refused."""
    connection = effective.credentials_for(
        client, inheritance.Tree.of(client.partner_id), effective.by_level(client.partner_id)
    )
    if connection is None:
        raise Refused(
            "no_psa", "No PSA connection is configured for this client. Enter PSA Credentials first."
        )
    company = companies.links_of([client.pk], [connection.pk]).get((client.pk, connection.pk))
    if not company:
        raise Refused("no_company", f"{client.name} is not mapped to a PSA company. Map it first.")
    return connection, company


def of_client(client: Client) -> Preview:
    """Raises Refused for what is not set up or not answered; a few reads of the PSA, under one deadline."""
    connection, company = connection_of(client)
    in_effect = terms.for_client(client)
    today = usage.today_for(client)
    wanted = wanted_for(client, connection, company, today=today, terms=in_effect)
    found = Preview(in_effect.mode, withheld=wanted.withheld)
    if not wanted.agreements:
        return found
    guards = Guards.of(client, connection, in_effect, today)
    try:
        with connections.psa_for(connection, reads_within=settings.PSA_PAGE_DEADLINE) as psa:
            for lines in wanted.agreements:
                found.agreements.append(AgreementPreview(lines, guards.look(psa.plan_lines(lines), wanted)))
    except PsaError as error:
        raise of_the_psa(error) from error
    return found


def push_now(partner: Partner, clients: Iterable[Client], *, by: Decider) -> PushBatch:
    """Synchronize these clients of one partner at once, as a batch that can be undone as a whole."""
    batch = PushBatch.objects.create(partner=partner, cause="button", asked_by=by.author)
    synchronize.request_many(clients, cause="button", by=by.author, at_once=True, batch=batch)
    return batch
