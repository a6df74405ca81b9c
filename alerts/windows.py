"""When is a maintenance window open (asked by noise, the sweep and the pages), and windows made and changed.

An occurrence begins and ends at wall-clock times of the partner's time zone, so that "22:00 to 02:00" keeps its meaning
when the clocks change.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts.models import Hold, MaintenanceWindow
from alerts.models.noise import HoldKind
from portal import background, clock
from portal.models import Account, Client, Organization, Partner

LONGEST_DAYS = 14
FIRST_YEAR, LAST_YEAR = 2000, 2200
"""Far enough from the ends of the calendar, at which reckoning fails."""
Repeats = MaintenanceWindow.Repeats


@dataclass(frozen=True)
class Span:
    """One occurrence, in UTC."""

    start: datetime
    end: datetime


# --- Reckoning --------------------------------------------------------------------------------------------------------


def moment(day: date, at: time, zone: ZoneInfo, *, late: bool = False) -> datetime:
    """A wall-clock time as UTC. An hour that comes twice: the first, or with `late` the second. An hour that is left
    out: as if the clocks had not been changed yet."""
    return datetime.combine(day, at, zone).replace(fold=int(late)).astimezone(UTC)


def occurs_on(window: MaintenanceWindow, day: date) -> bool:
    """Whether an occurrence begins on this day."""
    if day < window.first_on or (window.last_on is not None and day > window.last_on):
        return False
    if window.repeats == Repeats.ONCE:
        return day == window.first_on
    if window.repeats == Repeats.WEEKLY:
        return day.weekday() in (window.weekdays or [window.first_on.weekday()])
    if window.repeats == Repeats.MONTHLY_DAY:
        last = calendar.monthrange(day.year, day.month)[1]
        return day.day == min(window.first_on.day, last)
    return day.weekday() == window.first_on.weekday() and week_of(day) == week_of(window.first_on)


def week_of(day: date) -> int:
    """The how-manieth of its weekday in the month; a fifth one counts as the last, which some months have fourth."""
    nth = (day.day - 1) // 7 + 1
    is_last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
    return 5 if nth == 5 or (nth == 4 and is_last) else nth


def span_of(window: MaintenanceWindow, day: date, zone: ZoneInfo) -> Span:
    start = moment(day, window.starts_at, zone)
    end = moment(day + timedelta(days=window.days), window.ends_at, zone, late=True)
    if window.changed_start == start and window.changed_end is not None:
        end = window.changed_end
    return Span(start, max(start, end))


def spans(window: MaintenanceWindow, zone: ZoneInfo, begin: date, end: date) -> Iterator[Span]:
    """Occurrences that begin on the days from `begin` to `end`."""
    for offset in range((end - begin).days + 1):
        day = begin + timedelta(days=offset)
        if occurs_on(window, day):
            yield span_of(window, day, zone)


def current(window: MaintenanceWindow, now: datetime, zone: ZoneInfo) -> Span | None:
    """The occurrence that is on at this moment; of several the one that ends last."""
    if window.over_at is not None and window.over_at <= now:
        return None
    begin = now.astimezone(zone).date() - timedelta(days=LONGEST_DAYS + 1)
    if window.changed_start is not None:
        begin = min(begin, window.changed_start.astimezone(zone).date())
        if window.changed_end is not None and window.changed_end <= now:
            begin = now.astimezone(zone).date() - timedelta(days=LONGEST_DAYS + 1)
    begin = max(begin, window.first_on)
    on = [
        span
        for span in spans(window, zone, begin, now.astimezone(zone).date())
        if span.start <= now < span.end
    ]
    return max(on, key=lambda span: span.end, default=None)


def upcoming(window: MaintenanceWindow, now: datetime, zone: ZoneInfo) -> Span | None:
    """The next occurrence that begins after this moment, within the next 400 days."""
    day = max(window.first_on, now.astimezone(zone).date())
    return next(
        (span for span in spans(window, zone, day, day + timedelta(days=400)) if span.start > now), None
    )


def end_of_all(window: MaintenanceWindow, zone: ZoneInfo) -> datetime | None:
    """When the last occurrence is over; None when there is none such."""
    if window.repeats == Repeats.ONCE:
        return span_of(window, window.first_on, zone).end
    if window.last_on is None:
        return None
    last = datetime.combine(window.last_on + timedelta(days=window.days + 1), window.ends_at, zone)
    return max(last.astimezone(UTC), window.changed_end or last.astimezone(UTC))


# --- Operations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What a window should be. It has one scope at most; times are of the partner's time zone."""

    name: str
    first_on: date
    starts_at: time
    ends_at: time
    days: int = 0
    reason: str = ""
    repeats: str = Repeats.ONCE
    weekdays: Sequence[int] = ()
    last_on: date | None = None
    organization: Organization | None = None
    client: Client | None = None
    account: Account | None = None


def save_window(
    partner: Partner, entered: Entered, *, by: str = "", current: MaintenanceWindow | None = None
) -> MaintenanceWindow:
    """Make or change a window; what is held back by it is looked at again at once.

    Raises ValidationError, by field.
    """
    refuse(entered)
    with transaction.atomic():
        row = MaintenanceWindow(partner=partner, created_by=by)
        if current is not None:
            row = MaintenanceWindow.objects.select_for_update().get(pk=current.pk)
            row.changed_start = row.changed_end = None
        for name, value in vars(entered).items():
            setattr(row, name, value)
        row.weekdays = sorted(set(entered.weekdays)) if entered.repeats == Repeats.WEEKLY else []
        row.over_at = end_of_all(row, ZoneInfo(partner.time_zone))
        row.save()
        look_again(row)
    return row


def refuse(entered: Entered) -> None:
    if sum(scope is not None for scope in (entered.organization, entered.client, entered.account)) > 1:
        raise ValidationError({"client": "Choose one scope: an organization, a client or an account."})
    for name in ("first_on", "last_on"):
        day: date | None = getattr(entered, name)
        if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise ValidationError(
                {
                    name: f"Say a day of the years {FIRST_YEAR} to {LAST_YEAR}. Without a last day it has no end."
                }
            )
    if entered.days == 0 and entered.ends_at <= entered.starts_at:
        raise ValidationError(
            {"ends_at": "It ends before it begins. A window over midnight ends a day later."}
        )
    if entered.days > LONGEST_DAYS:
        raise ValidationError({"days": f"A window lasts {LONGEST_DAYS} days at most."})
    if entered.last_on is not None and entered.last_on < entered.first_on:
        raise ValidationError({"last_on": "The last day lies before the first."})
    if any(day not in range(7) for day in entered.weekdays):
        raise ValidationError({"weekdays": "Weekdays are numbers from 0 (Monday) to 6 (Sunday)."})


def end_now(row: MaintenanceWindow) -> bool:
    """End the occurrence that is on; what still fails gets its ticket now. False when none is on."""
    return change_end(row, clock.now())


def extend(row: MaintenanceWindow, *, minutes: int) -> bool:
    """Let the occurrence that is on last longer; False when none is on, or it would get too long."""
    zone = ZoneInfo(row.partner.time_zone)
    span = current(row, clock.now(), zone)
    if span is None or not 0 < minutes <= LONGEST_DAYS * 24 * 60:
        return False
    end = span.end + timedelta(minutes=minutes)
    return end - span.start <= timedelta(days=LONGEST_DAYS) and change_end(row, end)


def change_end(row: MaintenanceWindow, end: datetime) -> bool:
    zone = ZoneInfo(row.partner.time_zone)
    with transaction.atomic():
        locked = MaintenanceWindow.objects.select_for_update().get(pk=row.pk)
        span = current(locked, clock.now(), zone)
        if span is None:
            return False
        locked.changed_start, locked.changed_end = span.start, max(end, span.start)
        locked.over_at = end_of_all(locked, zone)
        locked.save(update_fields=["changed_start", "changed_end", "over_at"])
        look_again(locked)
    return True


def delete_window(row: MaintenanceWindow) -> None:
    """What it held back is looked at again at once."""
    with transaction.atomic():
        look_again(row)
        row.delete()


def look_again(row: MaintenanceWindow) -> None:
    """Holds of this window are due now: whether it is still on is seen then."""
    if Hold.objects.filter(kind=HoldKind.WINDOW, rule_id=row.pk).update(until=clock.now()):
        background.enqueue("alerts.jobs.release_due")


def is_in_scope(
    row: MaintenanceWindow, client: Client, account_id: object, organization_ids: Sequence[object]
) -> bool:
    """Whether a window is about this client and account."""
    if row.account_id:
        return row.account_id == account_id
    if row.client_id:
        return bool(row.client_id == client.pk)
    return row.organization_id is None or row.organization_id in organization_ids
