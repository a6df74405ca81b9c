"""What did not come: learnt or set, told once, over with the next success, and never guessed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import absence, portalevents
from alerts.models import Condition, Expectation
from integrations.models import Delivery, Event
from portal import clients, clock
from tests.alerts.test_noise import Clock, Site


@pytest.fixture
def time_stands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def site(db: None, time_stands: Clock) -> Site:
    return Site()


def nightly(site: Site, time_stands: Clock, nights: int = 6, account: str = "SRV-01") -> None:
    """One success a night; the last one just now."""
    for night in range(nights):
        if night:
            time_stands.pass_minutes(24 * 60)
        site.recover(account)


def told() -> list[str]:
    return list(Event.objects.filter(source="portal").order_by("id").values_list("type", flat=True))


@pytest.mark.parity("S4-2")
def test_s4_2_a_missing_backup_opens_one_ticket_and_the_next_success_closes_it(
    site: Site, time_stands: Clock
) -> None:
    nightly(site, time_stands)
    absence.learn()
    row = Expectation.objects.get()
    assert (row.every_hours, row.learnt_from, row.is_set) == (Decimal(24), 6, False)
    time_stands.pass_minutes(47 * 60)
    assert absence.look() == 0
    time_stands.pass_minutes(2 * 60)
    assert absence.look() == 1
    assert absence.look() == 0
    event = Event.objects.get(source="portal")
    assert event.type == "backup.missing"
    assert "learnt from 6 successes" in event.details
    assert Condition.objects.get(key="backup.missing:SRV-01").state == "failing"
    site.recover()
    absence.look()
    assert Condition.objects.get(key="backup.missing:SRV-01").state == "fine"
    assert list(Delivery.objects.order_by("id").values_list("notification_name", flat=True)) == [
        "Tickets",
        "recovery",
    ]


def test_s4_60_backups_that_run_and_fail_are_no_error_free_backup(site: Site, time_stands: Clock) -> None:
    nightly(site, time_stands)
    absence.learn()
    for _ in range(3):
        time_stands.pass_minutes(24 * 60)
        site.fail()
    absence.look()
    assert told() == ["backup.error_free_missing"]
    time_stands.pass_minutes(72 * 60)  # now not even failures
    absence.look()
    assert told() == ["backup.error_free_missing", "backup.error_free_resumed", "backup.missing"]


def test_without_a_history_nothing_is_missing_unless_somebody_said_so(site: Site, time_stands: Clock) -> None:
    site.recover()
    absence.learn()
    time_stands.pass_minutes(100 * 24 * 60)
    assert absence.look() == 0
    absence.set_expectation(site.client, every_hours=Decimal(24), tolerance=Decimal(1))
    Expectation.objects.update(created_at=clock.now())
    assert absence.look() == 0
    time_stands.pass_minutes(25 * 60)
    absence.look()
    assert told() == ["backup.missing"]


def test_a_client_as_a_whole_is_satisfied_by_any_of_its_accounts(site: Site, time_stands: Clock) -> None:
    absence.set_expectation(site.client, every_hours=Decimal(24), tolerance=Decimal(1))
    for number in range(5):
        time_stands.pass_minutes(20 * 60)
        site.recover(f"SRV-{number}")
        absence.look()
    assert told() == []


def test_what_a_person_set_is_not_learnt_over_and_can_be_given_back(site: Site, time_stands: Clock) -> None:
    nightly(site, time_stands)
    account = site.client.accounts.get()
    row = absence.set_expectation(site.client, account=account, every_hours=Decimal(100))
    absence.learn()
    row.refresh_from_db()
    assert row.every_hours == 100
    absence.learn_again(row)
    row.refresh_from_db()
    assert (row.every_hours, row.is_set) == (24, False)


def test_two_workers_tell_once(site: Site, time_stands: Clock) -> None:
    nightly(site, time_stands)
    absence.learn()
    time_stands.pass_minutes(50 * 60)
    here, there = Expectation.objects.get(), Expectation.objects.get()
    assert absence.report(here, "backup") == 1
    assert absence.report(there, "backup") == 0
    assert told() == ["backup.missing"]


def test_who_is_not_watched_any_more_is_not_missing_either(site: Site, time_stands: Clock) -> None:
    nightly(site, time_stands)
    absence.learn()
    time_stands.pass_minutes(50 * 60)
    absence.look()
    absence.switch(Expectation.objects.get(), is_enabled=False)
    assert Condition.objects.get(key="backup.missing:SRV-01").state == "fine"


@pytest.mark.parametrize(
    "values", [{"every_hours": Decimal(0)}, {"every_hours": Decimal(1), "tolerance": Decimal(0)}]
)
def test_an_expectation_that_cannot_be_met_is_refused(site: Site, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        absence.set_expectation(site.client, **values)


def test_looking_costs_as_many_queries_for_many_as_for_few(site: Site, time_stands: Clock) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            absence.look()
        return len(context)

    absence.set_expectation(site.client, every_hours=Decimal(24))
    few = queries()
    for number in range(40):
        other = clients.add_client(site.partner, name=f"Client {number}", number=1000 + number)
        absence.set_expectation(other, every_hours=Decimal(24))
    assert queries() == few


def test_the_portals_own_event_is_noticed_once(site: Site) -> None:
    def noticed() -> bool:
        event = portalevents.make_event(
            site.client,
            type_name="backup.missing",
            severity="error",
            action="trigger",
            condition_key="backup.missing",
            source_id="once",
            summary="No backup",
        )
        return portalevents.take(event)

    assert [noticed(), noticed()] == [True, False]
    assert clock.now() - Event.objects.get().received_at < timedelta(seconds=1)
