"""What would people rather look at than read: the numbers behind the charts (asked by a job and the Charts page).

A job counts each day and each month into a row; a page reads a few hundred rows, however many events there were.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber, TruncDate

from alerts.models import DailyFigures, MonthlyUsage, Ticket
from billing.models import Service, Usage
from billing.quantities import MOST
from integrations.models import Credentials, Delivery, Event, Status
from integrations.models.connections import Kind
from portal import clock
from portal.models import Partner

RECOUNTED = 3
"""Days that are counted again: what a delivery came to may change after its day."""
AT_FIRST_DAYS = 90
AT_FIRST_MONTHS = 12
MONTH_SETTLES = 5
"""Until this day of a month the one before is counted again."""
COUNTED = (
    "events",
    "deliveries",
    "opened",
    "closed",
    "outcomes",
    "timed",
    "half_within",
    "most_within",
    "counted_at",
)
PERIODS = (30, 90, 365)
MOST_SERVICES = 8
SHOWN: Mapping[str, tuple[str, ...]] = {
    "Done": (Status.DONE,),
    "Skipped": (Status.SKIPPED,),
    "Held": (Status.HELD,),
    "Failed": (Status.FAILED,),
    "On their way": (Status.WAITING, Status.RUNNING, Status.UNKNOWN),
}


# --- Counting --------------------------------------------------------------------------------------------------------


def connected() -> list[uuid.UUID]:
    """Partners that have anything to count."""
    rows = Credentials.objects.exclude(kind=Kind.NONE).values("partner")
    return list(Partner.objects.filter(pk__in=rows, is_active=True).values_list("pk", flat=True))


def count_days(partner: Partner, *, days: int | None = None) -> int:
    """Count the last days anew, at first those of three months; harmless to repeat. Returns how many days."""
    has_any = DailyFigures.objects.filter(partner=partner).exists()
    today = clock.today_in(partner.time_zone)
    first = today - timedelta(days=(days or (RECOUNTED if has_any else AT_FIRST_DAYS)) - 1)
    rows = figures_of(partner, first, today)
    DailyFigures.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["partner", "day"],
        update_fields=[
            "events",
            "deliveries",
            "opened",
            "closed",
            "outcomes",
            "timed",
            "half_within",
            "most_within",
            "counted_at",
        ],
    )
    return len(rows)


def figures_of(partner: Partner, first: date, last: date) -> list[DailyFigures]:
    """In five queries, each over rows of these days only; closed tickets may be older."""
    zone = ZoneInfo(partner.time_zone)
    since = datetime.combine(first, time.min, zone).astimezone(UTC)
    outcomes = outcomes_by_day(partner, since, zone)
    received = Event.objects.filter(partner=partner, received_at__gte=since).order_by()
    days = received.values_list(TruncDate("received_at", tzinfo=zone)).annotate(count=Count("pk"))
    events = Counter(dict(days))
    opened, times = openings(partner, since, zone)
    closed = Counter(
        at.astimezone(zone).date()  # type: ignore[union-attr]  # the filter leaves none that is null
        for at in Ticket.objects.filter(partner=partner, closed_at__gte=since).values_list(
            "closed_at", flat=True
        )
    )
    now = clock.now()
    rows = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        seconds = sorted(times[day])
        rows.append(
            DailyFigures(
                partner=partner,
                day=day,
                events=events[day],
                deliveries=sum(outcomes[day].values()),
                opened=opened[day],
                closed=closed[day],
                outcomes=outcomes[day],
                timed=len(seconds),
                half_within=within(seconds, 50),
                most_within=within(seconds, 95),
                counted_at=now,
            )
        )
    return rows


def outcomes_by_day(partner: Partner, since: datetime, zone: ZoneInfo) -> dict[date, dict[str, int]]:
    rows = Delivery.objects.filter(partner=partner, created_at__gte=since).order_by()
    days = rows.values_list(TruncDate("created_at", tzinfo=zone), "status").annotate(count=Count("pk"))
    found: dict[date, dict[str, int]] = defaultdict(dict)
    for day, status, count in days:
        found[day][status] = count
    return found


def openings(
    partner: Partner, since: datetime, zone: ZoneInfo
) -> tuple[Counter[date], dict[date, list[float]]]:
    """Tickets opened by day, and for those still of their condition's episode the seconds since its event came in."""
    rows = Ticket.objects.filter(partner=partner, opened_at__gte=since)
    opened: Counter[date] = Counter()
    times: dict[date, list[float]] = defaultdict(list)
    columns = ("opened_at", "condition__opened_by", "episode", "condition__episode")
    for at, event, episode, current in rows.values_list(*columns).iterator():
        day = at.astimezone(zone).date()
        opened[day] += 1
        if (
            event is not None
            and episode == current
            and (took := (at - moment_of(event)).total_seconds()) >= 0
        ):
            times[day].append(took)
    return opened, times


def moment_of(key: uuid.UUID) -> datetime:
    """When a row with a time-ordered id was made, to the millisecond."""
    return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)


def within(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest of these that as many of a hundred do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None


def count_months(partner: Partner) -> int:
    """This month's usage, the one before while it may still come in, at first a year's. Returns how many months."""
    today = clock.today_in(partner.time_zone)
    has_any = MonthlyUsage.objects.filter(partner=partner).exists()
    months = (2 if today.day <= MONTH_SETTLES else 1) if has_any else AT_FIRST_MONTHS
    for back in range(months):
        count_month(partner, month_before(today, back))
    return months


def count_month(partner: Partner, month: date) -> None:
    """A sum that no column holds (a source told nonsense) costs its own row, and no other month or service."""
    following = month_before(month, -1)
    rows = Usage.objects.filter(
        partner=partner, is_current=True, measured_on__gte=month, measured_on__lt=following
    )
    place = Window(
        RowNumber(),
        partition_by=[F("client"), F("account"), F("service")],
        order_by=F("measured_on").desc(),
    )
    total: dict[uuid.UUID, Decimal] = defaultdict(Decimal)
    clients: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    newest = rows.order_by().annotate(place=place).filter(place=1)
    for service, client, quantity in newest.values_list("service", "client", "quantity").iterator():
        total[service] += quantity
        if quantity:
            clients[service].add(client)
    MonthlyUsage.objects.bulk_create(
        [
            MonthlyUsage(
                partner=partner, service_id=key, month=month, quantity=quantity, clients=len(clients[key])
            )
            for key, quantity in total.items()
            if quantity <= MOST
        ],
        update_conflicts=True,
        unique_fields=["partner", "service", "month"],
        update_fields=["quantity", "clients", "counted_at"],
    )


def month_before(day: date, back: int) -> date:
    """The first of the month so many before; a negative number looks ahead."""
    number = day.year * 12 + day.month - 1 - back
    return date(number // 12, number % 12 + 1, 1)


# --- Showing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chart:
    """One picture: labels of the columns, and a row for each day or month with a value or None for each series."""

    key: str
    title: str
    text: str
    unit: str
    column: str
    series: Sequence[str]
    rows: Sequence[tuple[date, Sequence[float | None]]]
    is_empty: bool

    def as_json(self) -> dict[str, Any]:
        """Seconds since 1970 of each day at midnight UTC, then one list a series: what uPlot draws."""
        stamps = [int(datetime.combine(day, time.min, UTC).timestamp()) for day, _ in self.rows]
        columns = [[values[number] for _, values in self.rows] for number in range(len(self.series))]
        return {
            "series": list(self.series),
            "unit": self.unit,
            "by": self.column.lower(),
            "data": [stamps, *columns],
        }

    @property
    def data_id(self) -> str:
        return f"data-{self.key}"

    @property
    def newest_first(self) -> Sequence[tuple[date, Sequence[float | None]]]:
        return list(reversed(self.rows))


@dataclass(frozen=True)
class Charts:
    all: Sequence[Chart]
    counted_at: datetime | None


def of(partner: Partner, *, days: int) -> Charts:
    """Two queries, of at most a year of days and of months."""
    today = clock.today_in(partner.time_zone)
    first = today - timedelta(days=days - 1)
    rows = {row.day: row for row in DailyFigures.objects.filter(partner=partner, day__gte=first)}
    every = [first + timedelta(days=number) for number in range(days)]
    shown = [day for day in every if rows and day >= min(rows)]
    found = [rows.get(day) or DailyFigures(day=day) for day in shown]
    charts = [tickets(found), outcomes(found), times(found), usage(partner, today)]
    return Charts(charts, max((row.counted_at for row in rows.values()), default=None))


def tickets(rows: Sequence[DailyFigures]) -> Chart:
    opened, closed = sum(row.opened for row in rows), sum(row.closed for row in rows)
    return Chart(
        "tickets",
        "Tickets by day",
        f"{opened:,} opened and {closed:,} closed.",
        "",
        "Day",
        ("Opened", "Closed"),
        [(row.day, (row.opened, row.closed)) for row in rows],
        not (opened or closed),
    )


def outcomes(rows: Sequence[DailyFigures]) -> Chart:
    def counts(row: DailyFigures) -> list[float | None]:
        return [sum(row.outcomes.get(status, 0) for status in statuses) for statuses in SHOWN.values()]

    table = [(row.day, counts(row)) for row in rows]
    total = [sum(values[number] or 0 for _, values in table) for number in range(len(SHOWN))]
    text = ", ".join(f"{int(number):,} {name.lower()}" for name, number in zip(SHOWN, total, strict=True))
    return Chart(
        "outcomes", "What deliveries came to", f"{text}.", "", "Day", tuple(SHOWN), table, not any(total)
    )


def times(rows: Sequence[DailyFigures]) -> Chart:
    timed = [row for row in rows if row.timed]
    slowest = max((row.most_within or 0.0 for row in timed), default=0.0)
    text = f"On the slowest day 95 of 100 tickets were there within {slowest:,.1f} s." if timed else ""
    return Chart(
        "times",
        "From event to ticket",
        text or "No ticket was opened.",
        "s",
        "Day",
        ("Half within", "95 of 100 within"),
        [(row.day, (rounded(row.half_within), rounded(row.most_within))) for row in rows],
        not timed,
    )


def usage(partner: Partner, today: date) -> Chart:
    """The services that are used most, by the newest month; the others are left out."""
    first = month_before(today, AT_FIRST_MONTHS)
    rows = MonthlyUsage.objects.filter(partner=partner, month__gte=first).select_related("service")
    table: dict[date, dict[Service, float]] = defaultdict(dict)
    for row in rows:
        table[row.month][row.service] = float(row.quantity)
    months = sorted(table)
    newest = table[months[-1]] if months else {}
    services = sorted({service for month in table.values() for service in month}, key=lambda one: one.name)
    services.sort(key=lambda one: -newest.get(one, 0.0))
    shown = services[:MOST_SERVICES]
    text = f"{len(shown)} of {len(services)} services." if len(services) > len(shown) else "All services."
    return Chart(
        "usage",
        "Usage by month",
        f"The newest word of each account in the month, summed over all clients. {text}",
        "",
        "Month",
        tuple(f"{one.name}{f' ({one.unit})' if one.unit else ''}" for one in shown),
        [(month, [table[month].get(one) for one in shown]) for month in months],
        not months,
    )


def rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
