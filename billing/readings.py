"""What agreements say in the PSA for a month, read in the background (asked by `months`, pages and jobs).

Two calls an agreement, whatever is on it: its lines, and what was invoiced. A turn of work is short; what it did not
reach, the next one does. What cannot be read keeps what was read before, with the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from billing.models import AgreementLink, AgreementReading, PushRun, ReadingOrder
from billing.monthfacts import Month
from integrations import connections
from integrations.models import Credentials
from integrations.psa.errors import NotFound, NotPermitted, PsaError
from integrations.psa.port import Psa
from portal import background, clock
from portal.models import Partner

JOB = "billing.jobs.read_agreements"
TURN = 60.0
LEASE = timedelta(minutes=5)
"""A turn that has said nothing for so long has died; another may begin."""


def ask(partner: Partner, month: date, *, by: str) -> ReadingOrder:
    """Read all agreements that this partner's clients are billed on, soon. One order at a time a month."""
    first = month.replace(day=1)
    try:
        with transaction.atomic():
            order = ReadingOrder.objects.create(partner=partner, month=first, asked_as=by[:254])
    except IntegrityError:
        standing = ReadingOrder.objects.filter(partner=partner, month=first, finished_at=None).first()
        return standing or ask(partner, month, by=by)  # it ended in between
    background.enqueue(JOB, str(order.pk))
    return order


def last_order(partner: Partner, month: date) -> ReadingOrder | None:
    return ReadingOrder.objects.filter(partner=partner, month=month).order_by("-asked_at", "-id").first()


def abandoned() -> list[uuid.UUID]:
    """Orders whose turn has died, or never came."""
    rows = ReadingOrder.objects.filter(finished_at=None, turn_at__lt=clock.now() - LEASE)
    return list(rows.values_list("pk", flat=True))


def take_turn(order_id: uuid.UUID) -> ReadingOrder | None:
    """Read for a minute at most; the order, when all of it is read: then it is to be finished.

    May run twice or beside itself."""
    order = ReadingOrder.objects.select_related("partner").filter(pk=order_id, finished_at=None).first()
    if order is None:
        return None
    wanted = agreements_of(order)
    left = not_read_since(order, wanted)
    ReadingOrder.objects.filter(pk=order.pk).update(total=len(wanted), turn_at=clock.now())
    ends_at = clock.monotonic() + TURN
    for credentials, agreements in by_connection(left):
        if not read_connection(order, credentials, agreements, ends_at):
            background.enqueue(JOB, str(order.pk))
            return None
    return order


def agreements_of(order: ReadingOrder) -> list[tuple[uuid.UUID, str]]:
    """Connection and agreement: those that are chosen now, and those that were pushed to in the month."""
    month = Month.of(order.partner, order.month)
    chosen = AgreementLink.objects.filter(partner=order.partner)
    pushed = PushRun.objects.filter(
        Q(items__state="done") | Q(items__state="unchanged"),
        partner=order.partner,
        started_at__gte=month.ends_at - timedelta(days=32),
        started_at__lt=month.ends_at,
    )
    return sorted(
        {
            *chosen.values_list("credentials_id", "agreement__psa_id").distinct(),
            *pushed.order_by().values_list("credentials_id", "agreement_id").distinct(),
        },
        key=str,
    )


def not_read_since(order: ReadingOrder, wanted: list[tuple[uuid.UUID, str]]) -> list[tuple[uuid.UUID, str]]:
    rows = AgreementReading.objects.filter(
        partner=order.partner, month=order.month, tried_at__gte=order.asked_at
    )
    done = set(rows.values_list("credentials_id", "agreement_id"))
    return [one for one in wanted if one not in done]


def by_connection(left: list[tuple[uuid.UUID, str]]) -> Iterator[tuple[Credentials, list[str]]]:
    rows = Credentials.objects.select_related("lane").in_bulk({key for key, _ in left})
    for key, credentials in rows.items():
        yield credentials, [agreement for owner, agreement in left if owner == key]


def read_connection(
    order: ReadingOrder, credentials: Credentials, agreements: list[str], ends_at: float
) -> bool:
    """False when time is up. An error that is not about one agreement alone ends the connection's reading."""
    try:
        with connections.psa_for(credentials) as psa:
            for agreement in agreements:
                if clock.monotonic() > ends_at:
                    return False
                read_one(order, psa, credentials, agreement)
    except PsaError as error:
        missed = [key for owner, key in not_read_since(order, [(credentials.pk, one) for one in agreements])]
        for agreement in missed:
            keep(order, credentials, agreement, {"trouble": said(error)})
    return True


def read_one(order: ReadingOrder, psa: Psa, credentials: Credentials, agreement: str) -> None:
    """Raises PsaError for what is wrong with the connection as a whole."""
    month = Month.of(order.partner, order.month)
    is_past = clock.now() >= month.ends_at
    found: dict[str, Any] = {}
    try:
        lines = psa.lines(agreement, on=month.last if is_past else None)
    except (NotFound, NotPermitted) as error:
        keep(order, credentials, agreement, {"trouble": said(error)})
        return
    found |= {"lines": [asdict(line) for line in lines], "read_at": clock.now(), "trouble": ""}
    try:
        rows = psa.invoiced(agreement, month.first, month.last)
    except (NotFound, NotPermitted) as error:
        found |= {"invoiced": [], "invoices_trouble": f"Not readable: {said(error)}"[:500]}
    else:
        found |= {"invoiced": [asdict(row) for row in rows], "invoices_trouble": ""}
    keep(order, credentials, agreement, found)


def said(error: PsaError) -> str:
    return f"{error.text} {error.advice}".strip()[:490]


def keep(order: ReadingOrder, credentials: Credentials, agreement: str, found: dict[str, Any]) -> None:
    with transaction.atomic():
        AgreementReading.objects.update_or_create(
            credentials=credentials,
            agreement_id=agreement,
            month=order.month,
            defaults={"partner_id": order.partner_id, "tried_at": clock.now(), **found},
        )
        ReadingOrder.objects.filter(pk=order.pk).update(
            done=F("done") + 1, failed=F("failed") + int(bool(found.get("trouble"))), turn_at=clock.now()
        )


def finish(order: ReadingOrder) -> None:
    ReadingOrder.objects.filter(pk=order.pk, finished_at=None).update(finished_at=clock.now())
