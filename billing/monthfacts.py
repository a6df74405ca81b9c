"""What is stored about clients and a month, in a fixed number of queries (asked by `months`, in chunks of clients)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from billing import quantities, usage, wanted
from billing.causes import Kind
from billing.crossreferences import CrossReferences
from billing.guards import amount
from billing.models import (
    AgreementLink,
    AgreementReading,
    CrossReference,
    PushItem,
    PushRun,
    Service,
    Usage,
)
from billing.reconciliation import Facts, Push, Reading, Reason
from billing.terms import TermsOf
from integrations import companies, effective
from integrations.models import Action, Credentials, Delivery, Status
from integrations.psa import kinds
from integrations.psa.port import InvoicedLine, LineState
from portal import clock, disabled
from portal.models import Client, Partner

Pair = tuple[uuid.UUID, uuid.UUID]
Links = dict[uuid.UUID, dict[tuple[uuid.UUID, uuid.UUID | None], AgreementLink]]
"""By client, then by connection and service."""
PARTS = Decimal("0.0001")
WENT = (PushItem.State.DONE, PushItem.State.UNCHANGED)
LONGEST_RUN = timedelta(days=62)
"""How long before the month's end what stopped a push may have happened and still be told."""
REASONS: Mapping[str, Kind] = {
    "unticked": Kind.UNTICKED,
    "no_product": Kind.NO_PRODUCT,
    "other_connection": Kind.NO_PRODUCT,
    "product_gone": Kind.PRODUCT_GONE,
    "no_agreement": Kind.NO_AGREEMENT,
    "agreement_gone": Kind.AGREEMENT_OVER,
    "agreement_over": Kind.AGREEMENT_OVER,
    "contract_inactive": Kind.AGREEMENT_OVER,
    "contract_not_recurring": Kind.AGREEMENT_OVER,
    "contract_out_of_range": Kind.AGREEMENT_OVER,
    "no_usage": Kind.STALE,
    "stale": Kind.STALE,
    "line_missing": Kind.LINE_MISSING,
    "line_out_of_range": Kind.LINE_MISSING,
    "line_cancelled": Kind.LINE_CANCELLED,
    "ambiguous_line": Kind.SHARED_LINE,
    "fraction": Kind.ROUNDING,
    "quantity_out_of_range": Kind.FAILED,
    "units_unclear": Kind.FAILED,
    "units_unsettled": Kind.FAILED,
    "units_in_doubt": Kind.FAILED,
    "period_posted": Kind.TIMING,
    "asked": Kind.HELD,
}
"""A push item's stored reason -> cause."""
AGREED_NOT_TO = ("unticked", "no_product", "other_connection", "no_agreement")
"""Reasons of `wanted.why_withheld` for which a service is not billable at all; for the others it is only not pushed."""


@dataclass(frozen=True)
class Month:
    """A calendar month where the partner is. `ends_at` is the first moment after it."""

    first: date
    last: date
    ends_at: datetime

    @classmethod
    def of(cls, partner: Partner, day: date) -> Month:
        first = day.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        ends_at = datetime.combine(following, time(), ZoneInfo(partner.time_zone))
        return cls(first, following - timedelta(days=1), ends_at)


@dataclass(frozen=True)
class Known:
    """The facts of one client and service, with what the row shows beside the numbers."""

    client: Client
    service: Service
    facts: Facts
    agreement_id: str = ""
    agreement_name: str = ""


@dataclass
class Stored:
    """All rows of some clients of one partner and month."""

    partner: Partner
    month: Month
    today: date
    references: CrossReferences
    terms: TermsOf
    levels: Mapping[uuid.UUID, Credentials]
    services: Mapping[uuid.UUID, Service]
    companies: Mapping[Pair, str] = field(default_factory=dict)
    links: Links = field(default_factory=dict)
    words: dict[Pair, list[Usage]] = field(default_factory=dict)
    went: dict[Pair, PushItem] = field(default_factory=dict)
    latest: dict[Pair, PushItem] = field(default_factory=dict)
    stopped: dict[Pair, PushItem] = field(default_factory=dict)
    deliveries: dict[uuid.UUID, Delivery] = field(default_factory=dict)
    off: Mapping[uuid.UUID, Any] = field(default_factory=dict)
    readings: dict[tuple[uuid.UUID, str], AgreementReading] = field(default_factory=dict)
    sharers: dict[tuple[uuid.UUID, str, str], list[tuple[Pair, Push]]] = field(default_factory=dict)


def begin(partner: Partner, month: Month) -> Stored:
    """What is the same for all clients. Seven queries."""
    return Stored(
        partner=partner,
        month=month,
        today=min(clock.today_in(partner.time_zone), month.last),
        references=CrossReferences.of(partner.pk),
        terms=TermsOf.of(partner.pk),
        levels=effective.by_level(partner.pk),
        services={row.pk: row for row in Service.objects.all()},
    )


def of_clients(stored: Stored, clients: Sequence[Client]) -> list[Known]:
    """Each service that was measured, or is on a line of ours. Ten queries, however many clients."""
    keys = [client.pk for client in clients]
    stored.companies = companies.links_of(keys, [row.pk for row in stored.levels.values()])
    stored.links = links_of(keys)
    stored.words = words_of(stored, keys)
    before = Q(run__started_at__lt=stored.month.ends_at)
    ended = Q(run__finished_at__lt=stored.month.ends_at) | Q(run__finished_at=None) & before
    stored.went = newest(keys, ended & Q(state__in=WENT))  # when it was carried out, which may be after a yes
    stored.latest = newest(keys, Q(state__in=WENT))
    recent = Q(run__started_at__gte=stored.month.ends_at - LONGEST_RUN)
    stored.stopped = newest(keys, before & recent & ~Q(state__in=WENT) & ~Q(run__state=PushRun.State.VOID))
    stored.deliveries = deliveries_of(stored, keys)
    stored.off = disabled.of(keys)
    stored.readings = readings_of(stored)
    stored.sharers = sharers_of(stored)
    found = []
    for client in clients:
        of_client = {row.service_id: row for row in stored.references.for_client(client)}
        connection = effective.credentials_for(client, stored.references.tree, stored.levels)
        services = {key for owner, key in (*stored.words, *stored.went) if owner == client.pk}
        for service in sorted(services, key=lambda key: stored.services[key].name):
            known = known_of(stored, client, stored.services[service], of_client.get(service), connection)
            if known is not None:
                found.append(known)
    return found


# --- Reading rows ----------------------------------------------------------------------------------------------------


def links_of(clients: Iterable[uuid.UUID]) -> Links:
    found: Links = {}
    for row in AgreementLink.objects.filter(client__in=clients).select_related("agreement"):
        found.setdefault(row.client_id, {})[(row.credentials_id, row.service_id)] = row
    return found


def words_of(stored: Stored, clients: Iterable[uuid.UUID]) -> dict[Pair, list[Usage]]:
    """Also those that a later word took the place of: what was known at a push tells them."""
    since = usage.oldest_needed(stored.month.first)
    rows = Usage.objects.filter(
        client__in=clients, measured_on__gte=since, measured_on__lte=stored.month.last
    )
    rows = rows.only(
        "client_id", "account_id", "service_id", "measured_on", "quantity", "recorded_at", "is_current"
    )
    found: dict[Pair, list[Usage]] = {}
    for row in rows.order_by("measured_on", "id"):
        found.setdefault((row.client_id, row.service_id), []).append(row)
    return found


def newest(clients: Iterable[uuid.UUID], which: Q) -> dict[Pair, PushItem]:
    """Of each client and service the newest item of these. Ids sort by time. Two queries."""
    rows = PushItem.objects.filter(which, run__client__in=clients)
    last = Window(RowNumber(), partition_by=[F("run__client"), F("service")], order_by=F("pk").desc())
    ids = list(rows.order_by().annotate(rank=last).filter(rank=1).values_list("pk", flat=True))
    found: QuerySet[Any] = PushItem.objects.filter(pk__in=ids).select_related("run__delivery", "question")
    found = found.annotate(lines_then=F("run__plan__found__lines")).defer(
        "run__plan", "run__delivery__exchanges", "run__delivery__plan"
    )
    return {(row.run.client_id, row.service_id): row for row in found}


def deliveries_of(stored: Stored, clients: Iterable[uuid.UUID]) -> dict[uuid.UUID, Delivery]:
    """Each client's newest synchronization that was asked for before the month's end. One query."""
    rows = Delivery.objects.filter(
        client__in=clients,
        action=Action.SYNCHRONIZE,
        created_at__lt=stored.month.ends_at,
        created_at__gte=stored.month.ends_at - LONGEST_RUN,
    )
    last = Window(RowNumber(), partition_by=[F("client")], order_by=F("pk").desc())
    ranked = rows.order_by().annotate(rank=last).filter(rank=1)
    return {row.client_id: row for row in ranked.defer("exchanges", "plan")}


def readings_of(stored: Stored) -> dict[tuple[uuid.UUID, str], AgreementReading]:
    rows = AgreementReading.objects.filter(
        credentials__in=[row.pk for row in stored.levels.values()], month=stored.month.first
    )
    return {(row.credentials_id, row.agreement_id): row for row in rows}


def sharers_of(stored: Stored) -> dict[tuple[uuid.UUID, str, str], list[tuple[Pair, Push]]]:
    """Who was pushed to each line last, of all of the partner's clients that share the agreements. One query."""
    agreements = {(item.run.credentials_id, item.run.agreement_id) for item in stored.went.values()}
    if not agreements:
        return {}
    shared = AgreementLink.objects.filter(
        credentials__in={key for key, _ in agreements}, agreement__psa_id__in={name for _, name in agreements}
    )
    users: dict[tuple[uuid.UUID, str], set[uuid.UUID]] = {}
    for credentials, agreement, client in shared.values_list(
        "credentials_id", "agreement__psa_id", "client_id"
    ):
        users.setdefault((credentials, agreement), set()).add(client)
    several = {client for members in users.values() if len(members) > 1 for client in members}
    strangers = several - {client for client, _ in stored.latest}
    items = {**stored.latest, **(newest(strangers, Q(state__in=WENT)) if strangers else {})}
    found: dict[tuple[uuid.UUID, str, str], list[tuple[Pair, Push]]] = {}
    for pair, item in items.items():
        push = push_of(item)
        if push is not None and push.line_id:
            line = item.run.credentials_id, item.run.agreement_id, push.line_id
            found.setdefault(line, []).append((pair, push))
    return found


# --- From rows to facts ----------------------------------------------------------------------------------------------


def known_of(
    stored: Stored,
    client: Client,
    service: Service,
    reference: CrossReference | None,
    connection: Credentials | None,
) -> Known | None:
    """None when neither the month nor a line of ours has anything to tell."""
    pair = client.pk, service.pk
    words = stored.words.get(pair, [])
    every = usage.carried([row for row in words if row.is_current])
    days = [day for day in every if day.on >= stored.month.first]
    went = stored.went.get(pair)
    pushed = push_of(went) if went is not None else None
    if not days and (pushed is None or not pushed.quantity):
        return None
    links = links_for(stored, client, connection)
    link = links.get(service.pk) or links.get(None)
    agreement = link.agreement if link is not None else None
    agreement_id = (went.run.agreement_id if went is not None else "") or (
        agreement.psa_id if agreement else ""
    )
    row = reading_row(stored, went, connection, agreement_id)
    stop = withheld_by(client, service, reference, connection, links, every, stored)
    product = reference.product if reference is not None else None
    then = product_then(went)
    facts = Facts(
        unit=service.unit,
        first=stored.month.first,
        last=stored.month.last,
        measured=measured_of(service, days),
        rounded=quantities.quantity_of(service, days) if days else Decimal(0),
        known_then=known_at(stored, service, words, went),
        not_billable=stop if stop is not None and stop.kind in NOT_BILLABLE else None,
        not_pushed=stopped_by(stored, client, pair, went) or (stop if stop is not None else None),
        stale=stale_text(every, stored.today),
        pushed=pushed,
        later=later_push(stored, pair, went),
        doubted=doubted_push(stored, pair, went),
        others=others_of(stored, pair, went),
        reading=reading_of(row, connection, stored.month.ends_at),
        product_id=then[0] or (product.psa_id if product is not None else ""),
        product_name=then[1] or (product.name if product is not None else ""),
        serial_number=client.managed_id,
        line_id=link.line_id if link is not None and link.agreement.psa_id == agreement_id else "",
        agreement_over=over_text(agreement)
        if agreement is not None and agreement.psa_id == agreement_id
        else "",
        catalogue_price=price_in(product.data if product is not None else {}),
        currency=str(agreement.data.get("currency") or "") if agreement is not None else "",
    )
    name = went.run.agreement_name if went is not None and went.run.agreement_name else ""
    return Known(
        client,
        service,
        facts,
        agreement_id=agreement_id,
        agreement_name=name or (agreement.name if agreement is not None else ""),
    )


NOT_BILLABLE = frozenset({Kind.UNTICKED, Kind.UNMAPPED, Kind.NO_PRODUCT, Kind.NO_AGREEMENT, Kind.NO_PSA})


def links_for(stored: Stored, client: Client, connection: Credentials | None) -> dict[object, AgreementLink]:
    if connection is None:
        return {}
    rows = stored.links.get(client.pk, {})
    return {service: row for (owner, service), row in rows.items() if owner == connection.pk}


def measured_of(service: Service, days: Sequence[usage.Day]) -> Decimal | None:
    """By the service's aggregation, not rounded; an average to four decimals."""
    if not days:
        return None
    return quantities.AGGREGATIONS[service.aggregation](days).quantize(PARTS)


def known_at(
    stored: Stored, service: Service, words: Sequence[Usage], went: PushItem | None
) -> Decimal | None:
    """What the last push could have known of: words of before it, about days until then. None: none of them."""
    if went is None:
        return None
    at = went.run.started_at
    on = at.astimezone(ZoneInfo(stored.partner.time_zone)).date()
    last: dict[tuple[Any, date], Usage] = {}
    for row in sorted(words, key=lambda row: (row.recorded_at, row.pk)):
        if row.recorded_at <= at and row.measured_on <= on:
            last[row.account_id, row.measured_on] = row
    days = usage.carried(sorted(last.values(), key=lambda row: (row.measured_on, row.pk)))
    return quantities.quantity_of(service, usage.of_newest_month(days)) if days else None


def stale_text(every: Sequence[usage.Day], today: date) -> str:
    if not every:
        return "No usage was measured in this month or shortly before."
    if usage.is_fresh(every, today):
        return ""
    return f"The newest usage is of {every[-1].on:%Y-%m-%d}; what was used since then nobody told."


def withheld_by(
    client: Client,
    service: Service,
    reference: CrossReference | None,
    connection: Credentials | None,
    links: dict[object, AgreementLink],
    every: Sequence[usage.Day],
    stored: Stored,
) -> Reason | None:
    """Why it cannot be billed as things are set up: what a person decided first, then what is missing."""
    references = ("cross_references", "")
    if reference is not None and not reference.is_billed:
        return Reason(kind=Kind.UNTICKED, text=f"{service.name} is not billed (unticked).", link=references)
    if connection is None:
        return Reason(kind=Kind.NO_PSA, text="No PSA connection is in effect for this client.")
    company = stored.companies.get((client.pk, connection.pk))
    if not company:
        text = "not mapped to a PSA company" if company is None else "mapped to “skip”"
        link = ("client_mapping", str(client.pk))
        return Reason(kind=Kind.UNMAPPED, text=f"{client.name} is {text}.", link=link)
    if reference is None:
        text = f"{service.name} has no cross-reference here, so no product to be billed as."
        return Reason(kind=Kind.NO_PRODUCT, text=text, link=references)
    withheld = wanted.why_withheld(reference, connection, links, [*every], stored.today)
    if withheld is None:
        return None
    link = ("client_agreement", str(client.pk)) if "agreement" in withheld.reason else references
    return Reason(kind=REASONS[withheld.reason], text=withheld.text, link=link)


def stopped_by(stored: Stored, client: Client, pair: Pair, went: PushItem | None) -> Reason | None:
    """Why the newest try after the last push that went through did not: its item, else its delivery."""
    item = stored.stopped.get(pair)
    if item is not None and (went is None or item.pk > went.pk):
        return reason_of(item)
    off = stored.off.get(client.pk)
    if off is not None:
        return Reason(kind=Kind.DISABLED, text=off.sentence, link=("client", str(client.pk)))
    delivery = stored.deliveries.get(client.pk)
    if delivery is not None and (went is None or delivery.created_at > went.run.started_at):
        found = reason_of_delivery(delivery)
        if found is not None:
            return found
    if not stored.terms.for_client(client)["is_enabled"]:
        link = ("billing_overview", "")
        return Reason(kind=Kind.BILLING_OFF, text=f"Billing is switched off for {client.name}.", link=link)
    return None


def reason_of(item: PushItem) -> Reason:
    run, state = item.run, PushItem.State
    link = ("push_run", str(run.pk))
    if item.state in (state.FAILED, state.IN_DOUBT):
        event = ("event", str(run.delivery.event_id)) if run.delivery is not None else link
        return Reason(kind=Kind.FAILED, text=item.text or run.error_text or "The PSA refused it.", link=event)
    if item.state == state.HELD:
        kind = REASONS.get(item.reason, Kind.HELD)
        if item.question_id is not None:
            kind, link = Kind.HELD, ("approvals", "")
        return Reason(kind=kind, text=item.text, link=link)
    if run.state == PushRun.State.OBSERVED:
        return Reason(
            kind=Kind.OBSERVE, text="Observe mode: the plan was kept, nothing was written.", link=link
        )
    if run.state in (PushRun.State.WAITING, PushRun.State.APPROVED):
        return Reason(kind=Kind.NOT_APPROVED, text="The plan waits for somebody’s yes.", link=link)
    if run.state == PushRun.State.REJECTED:
        text = f"The plan was rejected by {run.decided_as or 'somebody'}. {run.error_text}".strip()
        return Reason(kind=Kind.NOT_APPROVED, text=text, link=link)
    return Reason(kind=Kind.FAILED, text=run.error_text or "The push has not ended.", link=link)


def reason_of_delivery(delivery: Delivery) -> Reason | None:
    link = ("event", str(delivery.event_id))
    if delivery.status == Status.FAILED or (delivery.status == Status.WAITING and delivery.error_text):
        return Reason(kind=Kind.FAILED, text=delivery.error_text or delivery.outcome, link=link)
    if delivery.status == Status.HELD and delivery.reason == disabled.REASON:
        return Reason(kind=Kind.DISABLED, text=delivery.outcome, link=link)
    if delivery.status == Status.HELD and delivery.reason == companies.WAITS:
        return Reason(kind=Kind.UNMAPPED, text=delivery.outcome, link=link)
    return None


def push_of(item: PushItem | None) -> Push | None:
    """None for an item of before quantities were stored that does not tell one."""
    if item is None:
        return None
    quantity = item.quantity if item.quantity is not None else amount(item.after.get("quantity"))
    if quantity is None:
        return None
    return Push(
        quantity=quantity,
        at=item.run.finished_at or item.run.started_at,
        line_id=item.line_id,
        agreement_id=item.run.agreement_id,
        included=item.included,
        effective_on=str(item.after.get("effective_on") or ""),
        is_undo=item.run.undoes_id is not None,
        link=("push_run", str(item.run_id)),
    )


def product_then(went: PushItem | None) -> tuple[str, str]:
    """Id and name of the product that the line had when it was pushed; empty where the run does not tell.

    A cross-reference that is changed afterwards changes what is pushed next, and nothing on that line.
    """
    if went is None:
        return "", ""
    lines: list[dict[str, Any]] = getattr(went, "lines_then", None) or []
    found = next((line for line in lines if line["id"] == went.line_id), went.after)
    return str(found.get("product_id") or ""), str(found.get("product_name") or "")


def later_push(stored: Stored, pair: Pair, went: PushItem | None) -> Push | None:
    latest = stored.latest.get(pair)
    return push_of(latest) if latest is not None and (went is None or latest.pk > went.pk) else None


def doubted_push(stored: Stored, pair: Pair, went: PushItem | None) -> Push | None:
    item = stored.stopped.get(pair)
    is_last = item is not None and (went is None or item.pk > went.pk)
    return push_of(item) if is_last and item is not None and item.state == PushItem.State.IN_DOUBT else None


def others_of(stored: Stored, pair: Pair, went: PushItem | None) -> tuple[Push, ...]:
    if went is None:
        return ()
    line = went.run.credentials_id, went.run.agreement_id, went.line_id
    return tuple(push for owner, push in stored.sharers.get(line, ()) if owner != pair)


def over_text(agreement: Any) -> str:
    if agreement.vanished_at is not None:
        return f"Agreement {agreement.name} is no longer in the PSA."
    if agreement.data.get("recurring") is False:
        return f"Agreement {agreement.name}: {agreement.data.get('reason') or 'it does not recur.'}"
    return ""


def reading_row(
    stored: Stored, went: PushItem | None, connection: Credentials | None, agreement_id: str
) -> AgreementReading | None:
    owner = went.run.credentials_id if went is not None else connection.pk if connection is not None else None
    return stored.readings.get((owner, agreement_id)) if owner is not None else None


def reading_of(
    row: AgreementReading | None, connection: Credentials | None, ends_at: datetime
) -> Reading | None:
    if row is None:
        return None
    if row.read_at is None:
        return Reading(trouble=row.trouble)
    abilities = kinds.ABILITIES.get(connection.kind) if connection is not None else None
    return Reading(
        at=row.read_at,
        lines=tuple(LineState(**line) for line in row.lines),
        invoiced=tuple(InvoicedLine(**line) for line in row.invoiced),
        invoices_trouble=row.invoices_trouble,
        is_past=abilities is not None and abilities.past_lines and row.read_at >= ends_at,
        lines_are_told=abilities is not None and abilities.invoice_lines,
    )


def price_in(data: Mapping[str, Any]) -> Decimal | None:
    try:
        price = Decimal(str(data.get("price") or ""))
        return price.quantize(PARTS) if price.is_finite() else None
    except InvalidOperation:  # no number, or one with more digits than money has
        return None
