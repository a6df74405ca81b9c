"""Charts: days and months counted by a job, by the partner's own calendar, and drawn from a few rows."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts import charts, jobs
from alerts.models import DailyFigures, MonthlyUsage, Ticket
from billing.models import Service, Usage
from portal import clients, clock
from portal.models import Account, Partner
from tests import make
from tests.portal.test_pages import delivered, happened, signed_in

pytestmark = pytest.mark.django_db


def ticket(world: make.World, *, seconds: float, key: str) -> Ticket:
    """Opened so long after its event came in."""
    event = happened(world, condition_key=key)
    condition = make.condition(world, key=key, opened_by=event.pk, episode=1)
    return Ticket.objects.create(
        partner=world.partner,
        condition=condition,
        credentials=world.credentials,
        generation=1,
        external_ref=key,
        state="open",
        episode=1,
        opened_at=charts.moment_of(event.pk) + timedelta(seconds=seconds),
    )


def test_a_day_says_what_happened_on_it(world):
    for number, status in enumerate(["done", "done", "failed", "waiting"]):
        delivered(happened(world, condition_key=f"k{number}"), world, status=status)
    for number, seconds in enumerate([1.0, 2.0, 3.0, 40.0]):
        row = ticket(world, seconds=seconds, key=f"t{number}")
    row.closed_at = row.opened_at
    row.save()
    charts.count_days(world.partner)
    today = DailyFigures.objects.get(day=clock.today_in(world.partner.time_zone))
    assert (today.opened, today.closed, today.timed) == (4, 1, 4)
    assert (round(today.half_within), round(today.most_within)) == (2, 40)
    assert today.outcomes == {"done": 2, "failed": 1, "waiting": 1}


def test_a_day_begins_at_the_partners_midnight(world):
    Partner.objects.filter(pk=world.partner.pk).update(time_zone="Pacific/Auckland")
    world.partner.refresh_from_db()
    late = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)  # 01:30 on the 11th there
    row = ticket(world, seconds=1, key="t")
    Ticket.objects.filter(pk=row.pk).update(opened_at=late)
    rows = charts.figures_of(world.partner, date(2026, 3, 10), date(2026, 3, 11))
    assert [(one.day.day, one.opened) for one in rows] == [(10, 0), (11, 1)]


def test_counting_again_changes_no_sum_and_follows_what_deliveries_came_to(world):
    row = delivered(happened(world), world, status="waiting")
    charts.count_days(world.partner)
    row.status = "done"
    row.save()
    jobs.count_days_of(str(world.partner.pk))
    today = DailyFigures.objects.get(day=clock.today_in(world.partner.time_zone))
    assert (today.outcomes, DailyFigures.objects.count()) == ({"done": 1}, charts.AT_FIRST_DAYS)


def test_another_partners_events_are_not_counted(world, sandbox):
    other = make.world(sandbox, name="Tailspin IT", number=30001)
    delivered(happened(other), other)
    charts.count_days(world.partner)
    assert all(row.outcomes == {} for row in DailyFigures.objects.filter(partner=world.partner))


def test_a_month_is_the_newest_word_of_each_account(world):
    service = Service.objects.get(key="online-backup-servers")
    second = clients.add_client(world.partner, name="Second")
    account = Account.objects.create(partner=world.partner, client=world.client, key="SRV-1")
    words = [
        (world.client, None, 1, 5),
        (world.client, None, 20, 7),
        (world.client, account, 3, 10),
        (second, None, 28, 100),
    ]
    for client, of, day, quantity in words:
        Usage.objects.create(
            partner=world.partner, client=client, account=of, service=service,
            measured_on=date(2026, 3, day), quantity=quantity,
        )  # fmt: skip
    Usage.objects.create(
        partner=world.partner, client=second, service=service, measured_on=date(2026, 4, 1), quantity=999
    )
    charts.count_month(world.partner, date(2026, 3, 1))
    charts.count_month(world.partner, date(2026, 3, 1))
    row = MonthlyUsage.objects.get()
    assert (row.quantity, row.clients) == (Decimal(117), 2)


def test_the_page_holds_data_for_the_chart_and_the_same_as_a_table(world):
    ticket(world, seconds=1.5, key="t")
    charts.count_days(world.partner)
    text = signed_in(make.user(world.partner)).get(reverse("charts")).content.decode()
    told = json.loads(re.search(r'id="data-tickets" type="application/json">(.*?)</script>', text)[1])
    assert (told["series"], told["data"][1][-1], len(told["data"][0])) == (["Opened", "Closed"], 1, 30)
    table = re.search(r'id="table-tickets".*?</details>', text, re.DOTALL)[0]
    newest = clock.today_in(world.partner.time_zone).isoformat()
    assert re.search(rf'{newest}</th><td class="num">1</td><td class="num">0</td>', table)


def test_no_script_stands_in_the_page(world):
    charts.count_days(world.partner)
    delivered(happened(world), world)
    charts.count_days(world.partner)
    text = signed_in(make.user(world.partner)).get(reverse("charts")).content.decode()
    scripts = re.findall(r"<script([^>]*)>", text)
    assert [tag for tag in scripts if "src=" not in tag and "application/json" not in tag] == []
    assert not re.search(r'\sstyle="|\son\w+="', text)


def test_the_page_reads_rows_and_counts_nothing(world):
    def queries() -> list[dict[str, Any]]:
        browser = signed_in(make.user(world.partner))
        with CaptureQueriesContext(connection) as made:
            assert browser.get(reverse("charts"), {"days": "365"}).status_code == 200
        return made.captured_queries

    before = queries()
    for number in range(30):
        delivered(happened(world, condition_key=f"k{number}"), world)
    charts.count_days(world.partner)
    after = queries()
    assert (len(after), len(after) <= 12) == (len(before), True)
    assert [row["sql"] for row in after if "integrations_delivery" in row["sql"]] == []
