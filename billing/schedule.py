"""Which day is a client's push day (asked by push days, usage and pages; days are those of the partner's time zone)."""

from __future__ import annotations

import calendar
import uuid
from collections.abc import Iterable
from datetime import date, timedelta

from billing.models import BillingSettings, Schedule
from billing.terms import Terms, TermsOf
from portal.models import Client


def continuous(clients: Iterable[Client]) -> list[Client]:
    """Those whose usage is pushed whenever it comes in. One query when nobody has set anything else."""
    rows = list(clients)
    partners = {row.partner_id for row in rows}
    other = BillingSettings.objects.filter(partner__in=partners).exclude(schedule=None)
    elsewhere = set(other.exclude(schedule=Schedule.CONTINUOUS).values_list("partner_id", flat=True))
    found: dict[uuid.UUID, TermsOf] = {partner: TermsOf.of(partner) for partner in elsewhere}
    return [
        row
        for row in rows
        if row.partner_id not in found
        or found[row.partner_id].for_client(row)["schedule"] == Schedule.CONTINUOUS
    ]


def last_due(terms: Terms, today: date, next_invoice_on: date | None = None) -> date | None:
    """The newest push day up to today; None when there is none by the calendar."""
    schedule = terms["schedule"]
    if schedule == Schedule.DAY:
        return newest_of(terms["push_day"], today)
    if schedule == Schedule.LAST_DAY:
        return newest_of(31, today)
    if schedule == Schedule.BEFORE_INVOICE and next_invoice_on is not None:
        due = next_invoice_on - timedelta(days=terms["days_before_invoice"])
        return due if due <= today <= next_invoice_on else None
    return None


def next_due(terms: Terms, today: date, next_invoice_on: date | None = None) -> date | None:
    """The next push day after today, for pages."""
    if terms["schedule"] in (Schedule.DAY, Schedule.LAST_DAY):
        day = terms["push_day"] if terms["schedule"] == Schedule.DAY else 31
        here = day_in(today.year, today.month, day)
        following = today.replace(day=1) + timedelta(days=31)
        return here if here > today else day_in(following.year, following.month, day)
    if terms["schedule"] == Schedule.BEFORE_INVOICE and next_invoice_on is not None:
        due = next_invoice_on - timedelta(days=terms["days_before_invoice"])
        return due if due > today else None
    return None


def newest_of(day: int, today: date) -> date:
    here = day_in(today.year, today.month, day)
    if here <= today:
        return here
    before = today.replace(day=1) - timedelta(days=1)
    return day_in(before.year, before.month, day)


def day_in(year: int, month: int, day: int) -> date:
    """The 29th to 31st fall back to the last day of shorter months."""
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))
