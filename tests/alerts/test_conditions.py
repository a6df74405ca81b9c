"""A condition ends in the state its newest news says, in whatever order the news arrives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import Transition, move
from alerts.models import Condition
from integrations.models import Event

START = datetime(2026, 11, 21, tzinfo=UTC)
NEWS = st.lists(
    st.tuples(st.integers(0, 10_000), st.booleans()), min_size=1, max_size=30, unique_by=lambda news: news[0]
)


def event(second: int, fails: bool) -> Event:
    moment = START + timedelta(seconds=second)
    return Event(
        action="trigger" if fails else "resolve",
        severity="error" if fails else "success",
        summary="x",
        occurred_at=moment,
        received_at=START + timedelta(days=1),
    )


@given(NEWS)
def test_the_newest_news_decides(news: list[tuple[int, bool]]) -> None:
    condition = Condition()
    for second, fails in news:
        move(condition, event(second, fails))
    newest = max(news)
    assert (condition.state == Condition.State.FAILING) == newest[1]


@given(NEWS)
def test_episodes_begin_only_from_fine_and_end_only_from_failing(news: list[tuple[int, bool]]) -> None:
    condition = Condition()
    opened = recovered = 0
    for second, fails in news:
        before = condition.state
        transition = move(condition, event(second, fails))
        opened += transition is Transition.OPENED
        recovered += transition is Transition.RECOVERED
        if transition is Transition.OPENED:
            assert before == Condition.State.FINE
        if transition is Transition.RECOVERED:
            assert before == Condition.State.FAILING
        assert 0 <= opened - recovered <= 1
    assert condition.episode == opened


@given(NEWS)
def test_a_new_episode_asks_for_its_own_ticket(news: list[tuple[int, bool]]) -> None:
    condition = Condition()
    for second, fails in news:
        if move(condition, event(second, fails)) is Transition.OPENED:
            assert not condition.wants_ticket
            condition.wants_ticket = True


def skewed(*, occurred: timedelta, received: timedelta, fails: bool) -> Event:
    return Event(
        action="trigger" if fails else "resolve",
        severity="error" if fails else "success",
        summary="x",
        occurred_at=START + occurred,
        received_at=START + received,
    )


def test_of_a_clock_that_is_a_day_ahead_the_order_is_still_known() -> None:
    condition, day = Condition(), timedelta(days=1)
    move(condition, skewed(occurred=day + timedelta(minutes=9), received=timedelta(0), fails=False))
    late = skewed(occurred=day, received=timedelta(seconds=5), fails=True)
    assert move(condition, late) is Transition.STALE
    again = skewed(occurred=day + timedelta(hours=1), received=timedelta(hours=1), fails=True)
    assert move(condition, again) is Transition.OPENED


def test_a_clock_that_was_set_right_is_believed_at_once() -> None:
    condition = Condition()
    move(condition, skewed(occurred=timedelta(days=1), received=timedelta(0), fails=True))
    right = skewed(occurred=timedelta(minutes=5), received=timedelta(minutes=5), fails=False)
    assert move(condition, right) is Transition.RECOVERED


def test_of_a_clock_that_is_a_day_behind_failures_and_recoveries_follow_each_other() -> None:
    condition, behind = Condition(), timedelta(days=-1)
    for hour in range(4):
        fails = hour % 2 == 0
        moved = move(
            condition,
            skewed(occurred=behind + timedelta(hours=hour), received=timedelta(hours=hour), fails=fails),
        )
        assert moved is (Transition.OPENED if fails else Transition.RECOVERED)


def test_a_recovery_that_comes_before_its_failure_keeps_all_well() -> None:
    condition = Condition()
    assert move(condition, event(50, False)) is Transition.STILL_FINE
    assert move(condition, event(20, True)) is Transition.STALE
    assert condition.state == Condition.State.FINE
