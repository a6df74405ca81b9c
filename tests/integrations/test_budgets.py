from __future__ import annotations

import uuid
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction

from integrations import budgets, connections, lanes
from integrations.budgets import AccountBudget
from integrations.connections import Entered
from integrations.models import CallBudget, Credentials
from integrations.psa.errors import Throttled
from integrations.psa.port import Importance
from portal import clock
from portal.models import Organization
from tests import make

pytestmark = pytest.mark.django_db

LIMIT = 5_000
ORDER: tuple[Importance, ...] = ("ticket", "note", "report")


class HeldClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.seconds = 1_000.0

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    held = HeldClock()
    monkeypatch.setattr(clock, "now", lambda: held.at)
    monkeypatch.setattr(clock, "monotonic", lambda: held.seconds)
    return held


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_budgets", {})


def processes(count: int) -> list[AccountBudget]:
    """The same account in several processes."""
    partner = make.partner()
    return [AccountBudget(partner.pk, "autotask", "cirrus.example") for _ in range(count)]


def may(budget: AccountBudget, importance: Importance) -> bool:
    try:
        budget.take("Tickets", importance)
    except Throttled as error:
        return not (0 < error.retry_after <= 3600 and error.importance == importance)
    return True


def most_in_any_hour(calls: list[float]) -> int:
    running: deque[float] = deque()
    most = 0
    for at in calls:
        running.append(at)
        while running[0] <= at - 3600:
            running.popleft()
        most = max(most, len(running))
    return most


def test_an_hour_of_ten_thousand_events_keeps_to_half_and_sends_the_urgent_first(held: HeldClock) -> None:
    """10,000 events come evenly in an hour; in turn one wants a ticket, a note, a report. Three processes call, and
    know of each other by the database alone. In each second reports ask first: that is the worst order there is."""
    everyone = processes(3)
    waiting: Counter[Importance] = Counter()
    sent: Counter[Importance] = Counter()
    calls: list[float] = []
    longest: Counter[Importance] = Counter()
    out_of_turn = 0
    for second in range(0, 8 * 3600, 10):
        held.pass_by(10)
        while sum(waiting.values()) + sum(sent.values()) < min(10_000, (second + 10) * 10_000 // 3600):
            waiting[ORDER[(sum(waiting.values()) + sum(sent.values())) % 3]] += 1
        backlog = waiting["ticket"] > 20 or waiting["note"] > 20
        for kind in reversed(ORDER):
            for number in range(waiting[kind]):
                if not may(everyone[(second + number) % 3], kind):
                    break
                waiting[kind] -= 1
                sent[kind] += 1
                calls.append(held.seconds)
                out_of_turn += kind == "report" and backlog
            longest[kind] = max(longest[kind], waiting[kind])
        if not +waiting and second > 3600:
            break
    assert sum(sent.values()) == 10_000
    assert LIMIT * 0.9 <= most_in_any_hour(calls) <= LIMIT
    assert longest["ticket"] <= 20  # none waited, though 6,666 others wanted calls in the same hour
    assert out_of_turn == 0


def test_what_is_urgent_always_finds_half_of_it_free(held: HeldClock) -> None:
    one, other = processes(2)
    sent: Counter[Importance] = Counter()
    for budget, kind in zip((one, other, one), reversed(ORDER), strict=True):
        while may(budget, kind):
            sent[kind] += 1
            held.pass_by(0.05)
    assert sent["report"] <= LIMIT * 0.3
    assert sent["report"] + sent["note"] <= LIMIT * 0.5
    assert LIMIT * 0.98 <= sum(sent.values()) <= LIMIT
    assert not any(may(budget, kind) for budget in (one, other) for kind in ORDER)
    held.pass_by(3600 + 300)
    assert may(one, "report")


def test_few_calls_cost_a_write(held: HeldClock) -> None:
    [budget] = processes(1)
    taken = 0
    with_writes = 0
    before = None
    while taken < 1_000 and may(budget, "ticket"):
        taken += 1
        held.pass_by(0.3)
        row = CallBudget.objects.get()
        with_writes += row.used != before
        before = row.used
    assert (taken, with_writes < 40) == (1_000, True)


def test_calls_that_were_set_aside_and_not_made_are_given_back(held: HeldClock) -> None:
    [budget] = processes(1)
    for _ in range(6):
        assert may(budget, "note")
        held.pass_by(90)
    assert CallBudget.objects.get().used <= 6 + budgets.SMALL_BATCH


def test_without_a_database_nothing_is_called(held: HeldClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **more: object) -> None:
        raise OperationalError("gone")

    [budget] = processes(1)
    monkeypatch.setattr(budgets, "set_aside", fails)
    with pytest.raises(Throttled, match="database"):
        budget.take("Tickets", "ticket")


def test_the_database_itself_refuses_more_than_the_budget() -> None:
    with pytest.raises(IntegrityError, match="calls_within_the_budget"), transaction.atomic():
        CallBudget.objects.create(
            partner=make.partner(), kind="autotask", account="x", used=5_001, most=5_000
        )


def test_a_lower_limit_is_kept_from_then_on(held: HeldClock, settings: Any) -> None:
    [budget] = processes(1)
    while may(budget, "report"):
        held.pass_by(0.1)
    settings.AUTOTASK_CALLS_AN_HOUR = 100
    held.pass_by(120)
    assert not may(budget, "ticket")
    held.pass_by(3900)
    assert sum(may(budget, "ticket") for _ in range(200)) == 100


# --- Lanes and pages --------------------------------------------------------------------------------------------------


def credentials(kind: str = "autotask", key: str = "abc@cirrus.example", partner: Any = None) -> Credentials:
    partner = partner or make.partner()
    top = Organization.objects.filter(partner=partner, parent=None).first()
    organization = Organization.objects.create(partner=partner, parent=top, name=f"Organization {key}")
    site = "https://na.myconnectwise.net" if kind == "connectwise" else ""
    entered = Entered(kind=kind, site_url=site, login_company="cirrus", public_key=key, secret="s" * 20)
    return connections.save_credentials(organization, entered, by=None)


def test_while_reports_wait_tickets_go_on() -> None:
    lane = credentials().lane
    error = Throttled("Spent.", retry_after=600, importance="report")
    lanes.after_error(lane, "synchronize", error)
    assert lane.open_until is None
    assert lanes.blocked_actions(lane, clock.now()) == ["synchronize"]
    assert lanes.blocked_actions(lane, clock.now() + timedelta(seconds=601)) == []
    lanes.after_error(lane, "ticket", Throttled("Spent.", retry_after=60, importance="ticket"))
    assert lane.open_until is not None


def test_connections_to_one_autotask_share_a_budget_and_others_have_none() -> None:
    partner = make.partner()
    rows = [credentials(key=key, partner=partner) for key in ("abc@CIRRUS.example", "xyz@cirrus.example")]
    first, second = (budgets.budget_of(row) for row in rows)
    assert first is second
    assert first is not None
    assert first.turns._at_once == 1
    assert budgets.budget_of(credentials("connectwise")) is None


def test_one_page_at_a_time_reads_beside_the_lane(held: HeldClock) -> None:
    one, other = processes(2)
    with budgets.seat(one, wait=lambda: False):
        with pytest.raises(Throttled, match="reading"), budgets.seat(other, wait=lambda: False):
            pass
        held.pass_by(100)
        assert may(one, "note")  # the one that goes on calling keeps its seat
        held.pass_by(100)
        with pytest.raises(Throttled), budgets.seat(other, wait=lambda: False):
            pass
    with budgets.seat(other, wait=lambda: False):
        pass


def test_a_page_that_died_frees_its_seat(held: HeldClock) -> None:
    one, other = processes(2)
    budgets._sit_down(one, uuid.uuid4())
    held.pass_by(budgets.SEAT_FOR + 1)
    with budgets.seat(other, wait=lambda: False):
        pass


def test_a_lane_has_two_turns_and_a_page_one() -> None:
    row = credentials()
    lane = connections.OpenConnection(row)
    assert lane.shared.turns is budgets.budget_of(row).turns
    assert lane.shared.turns._at_once + budgets.TURNS_OF_A_PAGE <= 3
    lane.close()
