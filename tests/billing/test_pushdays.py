"""Push days: on the day in the partner's time zone, once, late rather than never."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from billing import pushdays, schedule
from billing.models import BillingSettings, PushBatch, PushDay
from billing.proof_world import Billed
from billing.terms import DEFAULTS, Terms
from portal import clock
from portal.inheritance import Effective
from portal.models import Partner


def terms(**values: Any) -> Terms:
    return Terms("live", {name: Effective(value, None) for name, value in {**DEFAULTS, **values}.items()})


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime.fromisoformat(moment).replace(tzinfo=UTC))


@pytest.fixture
def monthly(shop: Billed) -> Billed:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    shop.settings(schedule="day", push_day=31, scheduled_at=long_ago)
    shop.use(12)
    return shop


def test_usage_waits_for_the_push_day(monthly: Billed) -> None:
    assert not monthly.is_asked()


@pytest.mark.parity("S1-24", "S1-30")
def test_s1_24_a_push_day_is_asked_for_once_and_as_one_batch(
    monthly: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "2026-11-30T09:00")
    monthly.use(12)
    assert not monthly.is_asked()
    assert [pushdays.ask_due(), pushdays.ask_due()] == [2, 0]
    assert PushDay.objects.get(client=monthly.client).due_on == date(2026, 11, 30)
    monthly.run()
    assert monthly.quantity() == 12
    assert PushBatch.objects.get().runs.count() == 1


@pytest.mark.parity("S1-24")
def test_s1_24_a_missed_day_is_made_up_for_once(monthly: Billed, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "2026-12-03T09:00")
    assert [pushdays.ask_due(), pushdays.ask_due()] == [2, 0]
    at(monkeypatch, "2026-12-31T09:00")
    assert pushdays.ask_due() == 2
    days = PushDay.objects.filter(client=monthly.client).values_list("due_on", flat=True)
    assert sorted(days) == [date(2026, 11, 30), date(2026, 12, 31)]


@pytest.mark.parity("S1-24")
def test_s1_24_the_day_is_the_partners(monthly: Billed, monkeypatch: pytest.MonkeyPatch) -> None:
    Partner.objects.update(time_zone="Pacific/Auckland")
    at(monkeypatch, "2026-11-29T11:30")
    assert pushdays.ask_due() == 2, "in Auckland the 30th has begun"
    Partner.objects.update(time_zone="America/Los_Angeles")
    PushDay.objects.all().delete()
    at(monkeypatch, "2026-11-30T07:30")
    pushdays.ask_due()
    assert PushDay.objects.get(client=monthly.client).due_on == date(2026, 10, 31), (
        "there it is still the 29th"
    )


def test_what_was_due_before_the_schedule_was_set_is_not_made_up_for(
    monthly: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    BillingSettings.objects.update(scheduled_at=datetime(2026, 12, 1, tzinfo=UTC))
    at(monkeypatch, "2026-12-03T09:00")
    assert pushdays.ask_due() == 0


def test_the_database_keeps_a_push_day_single(shop: Billed) -> None:
    day = {"partner": shop.partner, "client": shop.client, "due_on": date(2026, 11, 30)}
    PushDay.objects.create(**day)
    with pytest.raises(IntegrityError), transaction.atomic():
        PushDay.objects.create(**day)


@pytest.mark.parity("S1-24")
def test_days_before_the_next_invoice() -> None:
    found = terms(schedule="before_invoice", days_before_invoice=3)
    invoice = date(2026, 12, 1)
    assert schedule.last_due(found, date(2026, 11, 27), invoice) is None
    assert schedule.last_due(found, date(2026, 11, 28), invoice) == date(2026, 11, 28)
    assert schedule.next_due(found, date(2026, 11, 20), invoice) == date(2026, 11, 28)


@given(day=st.integers(1, 31), today=st.dates(date(2024, 1, 1), date(2030, 12, 31)))
@pytest.mark.parity("S1-24")
def test_s1_24_every_month_has_exactly_one_push_day(day: int, today: date) -> None:
    found = terms(schedule="day", push_day=day)
    last, following = schedule.last_due(found, today), schedule.next_due(found, today)
    assert last is not None
    assert following is not None
    assert last <= today < following <= last + timedelta(days=31)
    assert schedule.last_due(found, following) == following
    first_of_next = (last.replace(day=1) + timedelta(days=32)).replace(day=1)
    assert (following.year, following.month) == (first_of_next.year, first_of_next.month)
