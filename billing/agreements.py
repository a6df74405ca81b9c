"""Which agreement a client's services are billed on (asked by the Agreement tab and REST)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from billing import hands, schedule, synchronize
from billing.decisions import Decider, Refused
from billing.models import AgreementLink, Service
from integrations.models import Choice, Credentials
from portal import clock, database
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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A service of a client, or all without an agreement of their own, and the PSA's id of an agreement."""

    client: Client
    connection: Credentials
    company: str
    agreement_id: str
    service: Service | None = None
    creates_lines: bool = False
    line_id: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return self.client.pk, self.connection.pk, self.service.pk if self.service else None


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
    asked = Asked(
        client=client,
        connection=connection,
        company=company,
        agreement_id=agreement_id,
        service=service,
        creates_lines=creates_lines,
        line_id=line_id,
    )
    [link] = choose_many([asked], by=by)
    if isinstance(link, Refused):
        raise link
    return link


def choose_many(asked: Sequence[Asked], *, by: Decider) -> list[AgreementLink | Refused]:
    """In their order; of two about the same service of a client the later holds. A few queries a connection."""
    results: list[AgreementLink | Refused] = []
    touched: dict[tuple[object, ...], AgreementLink] = {}
    with transaction.atomic():
        agreements, known = agreements_of(asked), links_of(asked)
        for one in asked:
            agreement = agreements.get((one.connection.pk, one.agreement_id))
            if no := refusal(one, agreement):
                results.append(no)
                continue
            assert agreement is not None  # else it was refused
            row = known.get(one.key) or AgreementLink(
                partner_id=one.client.partner_id,
                client=one.client,
                credentials=one.connection,
                service=one.service,
            )
            row.agreement, row.creates_lines, row.line_id = agreement, one.creates_lines, one.line_id
            row.updated_at, row.updated_by = clock.now(), by.author
            known[one.key] = touched[one.key] = row
            results.append(row)
        new = [row for row in touched.values() if row._state.adding]
        raced = {row.pk for row in new} - database.insert_new(new)
        AgreementLink.objects.bulk_update(
            [row for row in touched.values() if not row._state.adding],
            ["agreement", "creates_lines", "line_id", "updated_at", "updated_by"],
            batch_size=500,
        )
        hands.note(touched.values(), by.author)
        clients = {row.client_id: row.client for row in touched.values() if row.pk not in raced}
        continuous = schedule.continuous(clients.values())
        synchronize.request_many(continuous, cause="settings", by=by.author)
    return [RACED if isinstance(row, AgreementLink) and row.pk in raced else row for row in results]


RACED = Refused(
    "changed", "Somebody else chose an agreement here at the same moment; look and send it again."
)


def agreements_of(asked: Iterable[Asked]) -> dict[tuple[object, str], Choice]:
    """Our copies of the agreements named, by connection and the PSA's id."""
    ids: dict[Credentials, set[str]] = {}
    for one in asked:
        ids.setdefault(one.connection, set()).add(one.agreement_id)
    return {
        (connection.pk, row.psa_id): row
        for connection, keys in ids.items()
        for row in connection.choices.filter(kind="agreement", psa_id__in=keys)
    }


def links_of(asked: Sequence[Asked]) -> dict[tuple[object, ...], AgreementLink]:
    rows = AgreementLink.objects.filter(client__in={one.client.pk for one in asked}).order_by("pk")
    rows = rows.select_related("client__partner").select_for_update(no_key=True, of=("self",))
    return {(row.client_id, row.credentials_id, row.service_id): row for row in rows}


def refusal(one: Asked, agreement: Choice | None) -> Refused | None:
    is_theirs = agreement is not None and one.company in (
        agreement.within,
        str(agreement.data.get("company_id") or ""),
    )
    if agreement is None or not is_theirs:
        text = "The client's PSA company has no such agreement; reload the options from the PSA."
        return Refused("unknown_agreement", text)
    if why := why_hidden(agreement):
        return Refused("agreement_not_billable", why)
    if one.line_id and one.service is None:
        return Refused("line_without_service", "A line is of one service; choose the service too.")
    return None


def forget(client: Client, connection: Credentials, service: Service | None, *, by: Decider) -> bool:
    """No agreement of its own any more; its line in the PSA stays as it is."""
    with transaction.atomic():
        hands.note([AgreementLink(partner_id=client.partner_id, client=client, service=service)], by.author)
        rows = AgreementLink.objects.filter(client=client, credentials=connection, service=service)
        return bool(rows.delete()[0])


def repointed(former: Credentials, matched: Mapping[uuid.UUID, Choice | None], *, by: str) -> None:
    """A client goes to another PSA: lines that were chosen by their id are none of that one's."""
    AgreementLink.objects.filter(credentials=former).exclude(line_id="").update(line_id="")
