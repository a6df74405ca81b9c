"""A partner's months: their numbers, counted anew while they are open and frozen when they are closed.

Asked by pages, REST and jobs. A row of `BillingMonth` is locked while its numbers are written, so that nothing is
counted anew while, or after, it is closed.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from billing import evidence, readings
from billing.causes import NOTHING, Kind, Step
from billing.decisions import Refused
from billing.models import AgreementLink, BillingMonth, MonthNumbers, Usage
from billing.monthfacts import Known, Month, begin, of_clients
from billing.quantities import MOST
from billing.reconciliation import Reconciliation, reconcile
from portal import background, clock
from portal.models import Client, Partner

logger = logging.getLogger(__name__)
CHUNK = 200
CLOSES_ON = 5
"""The day of the following month, where the partner is, on which a month is closed by itself."""
ANEW = timedelta(hours=1)
CALCULATE, CLOSE = "billing.jobs.calculate_month", "billing.jobs.close_month"
BY_ITSELF = "the portal"
PARTS = Decimal("0.0001")
WRITTEN_MONTH = re.compile(r"2[01][0-9]{2}-(0[1-9]|1[0-2])")


def month_of(text: str) -> date:
    """`2026-10` as its first day. Raises Refused."""
    if not WRITTEN_MONTH.fullmatch(text.strip()):
        raise Refused("month_unreadable", "A month is written like 2026-10.")
    return date.fromisoformat(f"{text.strip()}-01")


def current(partner: Partner) -> date:
    return clock.today_in(partner.time_zone).replace(day=1)


def before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def row_of(partner: Partner, month: date) -> BillingMonth:
    return BillingMonth.objects.get_or_create(partner=partner, month=month)[0]


def known(partner: Partner) -> list[BillingMonth]:
    """The months that have numbers, newest first; three years at most."""
    return list(BillingMonth.objects.filter(partner=partner).order_by("-month")[:36])


# --- Counting --------------------------------------------------------------------------------------------------------


def ask(partner: Partner, month: date) -> None:
    """Count a month anew, soon. Raises Refused when it is closed, or still to come."""
    refuse_closed(partner, month)
    background.enqueue(CALCULATE, str(partner.pk), f"{month:%Y-%m}")


def refuse_closed(partner: Partner, month: date) -> None:
    """Also one that is still to come."""
    if month > current(partner):
        raise Refused("month_to_come", f"{month:%Y-%m} has not begun yet.")
    if row_of(partner, month).closing_at is not None:
        raise Refused("month_closed", f"{month:%Y-%m} is closed; its numbers stay as they are.")


def calculate(partner: Partner, month: date) -> int:
    """Count all clients anew; returns how many rows there are. Nothing for a month that is closed."""
    row_of(partner, month)
    stored = begin(partner, Month.of(partner, month))
    clients = list(Client.objects.filter(partner=partner).select_related("partner").order_by("pk"))
    seen = 0
    for start in range(0, len(clients), CHUNK):
        chunk = clients[start : start + CHUNK]
        as_of = clock.now()
        every = (numbers_that_fit(known, month, as_of) for known in of_clients(stored, chunk))
        rows = [row for row in every if row is not None]
        with transaction.atomic():
            if lock_open(partner, month) is None:
                return 0
            store(chunk, month, rows)
        seen += len(rows)
    BillingMonth.objects.filter(partner=partner, month=month, closed_at=None).update(
        calculated_at=clock.now()
    )
    return seen


def lock_open(partner: Partner, month: date) -> BillingMonth | None:
    """The row of an open month, locked; None when it is closed, or being closed."""
    rows = BillingMonth.objects.select_for_update(no_key=True).filter(partner=partner, month=month)
    row = rows.first()
    return row if row is not None and row.closing_at is None else None


def read_on(order_id: uuid.UUID) -> bool:
    """A turn at an order to read agreements; when all are read, the month is counted with it. False: not yet."""
    order = readings.take_turn(order_id)
    if order is None:
        return False
    calculate(order.partner, order.month)
    readings.finish(order)
    return True


WRITTEN = (
    "place",
    "measured",
    "billable",
    "pushed",
    "in_agreement",
    "invoiced",
    "included",
    "written",
    "steps",
    "kinds",
    "differs",
    "units_at_risk",
    "unit_price",
    "at_risk",
    "currency",
    "agreement_id",
    "agreement_name",
    "line_id",
    "unread",
    "not_invoiced",
    "invoices",
    "read_at",
    "calculated_at",
)


def store(clients: Sequence[Client], month: date, rows: Sequence[MonthNumbers]) -> None:
    """These clients' rows of the month are exactly these; what is there keeps its id."""
    there = MonthNumbers.objects.filter(client__in=clients, month=month)
    keys = {(row.client_id, row.service_id) for row in rows}
    gone = [
        pk
        for pk, client, service in there.values_list("pk", "client_id", "service_id")
        if (client, service) not in keys
    ]
    MonthNumbers.objects.filter(pk__in=gone).delete()
    MonthNumbers.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["client", "service", "month"],
        update_fields=WRITTEN,
        batch_size=500,
    )


def numbers_of(known: Known, month: date, as_of: datetime) -> MonthNumbers:
    found = reconcile(known.facts)
    numbers = found.numbers
    return MonthNumbers(
        partner_id=known.client.partner_id,
        client=known.client,
        service=known.service,
        month=month,
        place=f"{known.client.name.casefold()[:200]}\t{known.service.name[:200]}",
        measured=known.facts.measured,
        billable=numbers["billable"] or NOTHING,
        pushed=numbers["pushed"] or NOTHING,
        in_agreement=numbers["in_agreement"],
        invoiced=numbers["invoiced"],
        included=found.included,
        written=found.written,
        steps=[as_json(step) for step in found.steps],
        kinds=kinds_of(found),
        differs=found.differs,
        units_at_risk=found.units_at_risk,
        unit_price=found.unit_price.quantize(PARTS) if found.unit_price is not None else None,
        at_risk=found.at_risk,
        currency=found.currency[:40],
        agreement_id=known.agreement_id,
        agreement_name=known.agreement_name,
        line_id=found.line_id or (known.facts.pushed.line_id if known.facts.pushed else ""),
        unread=found.unread[:500],
        not_invoiced=found.not_invoiced[:500],
        invoices=list(found.invoices),
        read_at=found.seen_at,
        calculated_at=as_of,
    )


def numbers_that_fit(known: Known, month: date, as_of: datetime) -> MonthNumbers | None:
    """None for what no column holds (a source told nonsense): that row is missing, and those of others are not."""
    try:
        row = numbers_of(known, month, as_of)
        told = (row.measured, row.billable, row.pushed, row.in_agreement, row.invoiced, row.written)
        money = (row.unit_price, row.at_risk)
        if all(abs(one or NOTHING) <= MOST for one in (*told, *money, row.included, row.units_at_risk)):
            return row
    except InvalidOperation:
        pass
    logger.error("Month %s: the numbers of client %s are too large to be stored", month, known.client.pk)
    return None


def as_json(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "difference": f"{step.difference:f}" if step.is_compared else None,
        "causes": [cause.as_json() for cause in step.causes],
    }


def kinds_of(found: Reconciliation) -> str:
    names = sorted({str(cause.kind) for cause in found.causes})
    return f",{','.join(names)}," if names else ""


# --- Looking ---------------------------------------------------------------------------------------------------------


def row_of_month(partner: Partner, month: date) -> BillingMonth | None:
    return BillingMonth.objects.filter(partner=partner, month=month).first()


def narrowed(
    rows: QuerySet[Any],
    *,
    client: uuid.UUID | None = None,
    service: str = "",
    cause: str = "",
    only_differences: bool = False,
    text: str = "",
) -> QuerySet[Any]:
    """Those that a page, file or call shows, of the rows of a month."""
    if client is not None:
        rows = rows.filter(client=client)
    if service:
        rows = rows.filter(service__key=service)
    if cause:
        rows = rows.filter(kinds__contains=f",{Kind(cause)},")
    if only_differences:
        rows = rows.filter(differs=True)
    if text:
        rows = rows.filter(client__name__icontains=text)
    return rows


# --- Closing ---------------------------------------------------------------------------------------------------------


def ask_close(partner: Partner, month: date, *, by: str) -> None:
    """Close a month that is over, soon. Raises Refused."""
    refuse_running(partner, month)
    row_of(partner, month)
    open_ones = BillingMonth.objects.filter(partner=partner, month=month, closed_at=None, close_asked_as="")
    open_ones.update(close_asked_as=by[:254])
    background.enqueue(CLOSE, str(partner.pk), f"{month:%Y-%m}")


def refuse_running(partner: Partner, month: date) -> None:
    if month >= current(partner):
        raise Refused("month_not_over", f"{month:%Y-%m} is not over yet; it can be closed from the 1st on.")


def close(partner: Partner, month: date, *, by: str) -> BillingMonth:
    """Freeze a month that is over: its numbers, then each client's evidence. Raises Refused.

    May be repeated, and run beside itself; one that was interrupted goes on where it was, with what was known then.
    """
    refuse_running(partner, month)
    if row_of(partner, month).closing_at is None:
        calculate(partner, month)
        with transaction.atomic():
            row = lock_open(partner, month)
            if row is not None:
                row.closing_at, row.closed_as = clock.now(), by[:254]
                row.save(update_fields=["closing_at", "closed_as"])
    row = row_of(partner, month)
    evidence.freeze(partner, month, as_of=row.closing_at or clock.now())
    digest = evidence.digest_of_month(partner, month)
    BillingMonth.objects.filter(partner=partner, month=month, closed_at=None).update(
        closed_at=clock.now(), digest=digest
    )
    return row_of(partner, month)


def close_due(partner: Partner, month: date) -> BillingMonth | None:
    """When somebody asked; else by itself, and then the agreements are read first, so it takes a second time."""
    row = row_of(partner, month)
    if row.close_asked_as or row.closing_at is not None:
        return close(partner, month, by=row.close_asked_as or BY_ITSELF)
    ends_at = Month.of(partner, month).ends_at
    order = readings.last_order(partner, month)
    if order is None or order.asked_at < ends_at:
        readings.ask(partner, month, by=BY_ITSELF)
        return None
    return close(partner, month, by=BY_ITSELF) if order.finished_at is not None else None


def look_after() -> None:
    """Open months are counted anew once an hour, those that are over are closed, and readings that died go on."""
    for order in readings.abandoned():
        background.enqueue(readings.JOB, str(order))
    for partner in billed_partners():
        today = clock.today_in(partner.time_zone)
        last = before(today.replace(day=1))
        rows = {row.month: row for row in BillingMonth.objects.filter(partner=partner, month__gte=last)}
        for month in (today.replace(day=1), last):
            if is_due(rows.get(month), partner, month):
                background.enqueue(CALCULATE, str(partner.pk), f"{month:%Y-%m}")
        row = rows.get(last)
        if today.day >= CLOSES_ON and row is not None and row.closed_at is None:
            background.enqueue(CLOSE, str(partner.pk), f"{last:%Y-%m}")
    asked = BillingMonth.objects.filter(closed_at=None).exclude(close_asked_as="", closing_at=None)
    for partner_id, month in asked.values_list("partner_id", "month"):
        background.enqueue(CLOSE, str(partner_id), f"{month:%Y-%m}")


def is_due(row: BillingMonth | None, partner: Partner, month: date) -> bool:
    if row is None:
        return Usage.objects.filter(partner=partner, measured_on__gte=month).exists()
    return row.closing_at is None and (row.calculated_at is None or row.calculated_at < clock.now() - ANEW)


def billed_partners() -> Iterable[Partner]:
    billed = AgreementLink.objects.order_by().values("partner")
    used = (
        Usage.objects.filter(recorded_at__gte=clock.now() - timedelta(days=62)).order_by().values("partner")
    )
    return Partner.objects.filter(Q(pk__in=billed) | Q(pk__in=used), is_active=True)
