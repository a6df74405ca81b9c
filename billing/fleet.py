"""Do many clients change at once (asked by guards): what was billed last, beside what would be pushed now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings

from billing import quantities, usage
from billing.models import BilledLine, Service, Usage

SMALL_SHARE = 4
"""Of few clients, a quarter is many; but never fewer than two."""


@dataclass(frozen=True)
class Look:
    """How many of a partner's billed clients would change notably the same way, and how many are billed at all."""

    changed: int
    billed: int

    def is_many(self, limit: int) -> bool:
        return self.changed > min(limit, max(2, self.billed // SMALL_SHARE))


def is_notable(before: Decimal, after: Decimal, percent: int) -> bool:
    """More than so many percent; from a fleet's view half as much is enough, because chance does not do that."""
    return bool(before) and abs(after - before) * 100 >= before * min(percent, 50)


def look(partner_id: uuid.UUID, service: Service, *, percent: int, falls: bool, today: date) -> Look:
    """Two queries, the second as long as the clients' usage of the days that count."""
    lines = BilledLine.objects.filter(partner_id=partner_id, service=service, client__is_active=True)
    billed = dict(lines.exclude(quantity=None).values_list("client_id", "quantity"))
    is_sum = service.aggregation == Service.Aggregation.SUM
    changed = 0
    for client_id, rows in rows_by_client(partner_id, service, today).items():
        days = usage.of_newest_month(usage.carried(rows))
        before = billed.get(client_id)
        if before is None or not usage.is_fresh(days, today):
            continue
        after = quantities.quantity_of(service, days)
        if is_sum:
            earlier = usage.same_days_last_month(rows, days[-1].on)
            before = quantities.quantity_of(service, earlier) if earlier else after
        changed += (after < before) == falls and is_notable(before, after, percent)
    return Look(changed, len(billed))


def rows_by_client(partner_id: uuid.UUID, service: Service, today: date) -> dict[uuid.UUID, list[Usage]]:
    """For all clients and one service, what counts, in order of days. The last value needs the fresh days alone, a sum
    the month before as well.
    """
    since = usage.oldest_needed(today)
    if service.aggregation == Service.Aggregation.LAST:
        since = today - timedelta(days=2 * settings.USAGE_FRESH_DAYS)
    elif service.aggregation == Service.Aggregation.SUM:
        since = (since.replace(day=1) - timedelta(days=1)).replace(day=1)
    rows = Usage.objects.filter(
        partner_id=partner_id,
        service=service,
        is_current=True,
        measured_on__gte=since,
        measured_on__lte=today,
    )
    rows = rows.only("client_id", "account_id", "measured_on", "quantity").order_by("measured_on", "id")
    by_client: dict[uuid.UUID, list[Usage]] = {}
    for row in rows.iterator():
        by_client.setdefault(row.client_id, []).append(row)
    return by_client
