"""What holds tickets back: each kind of hold, what it says, and that nothing stays behind when it is over."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import filters, incoming, intake, release, windows
from alerts.incoming import Incoming
from alerts.models import (
    Condition,
    DropFilter,
    Hold,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    Storm,
    Suppression,
)
from integrations.models import Delivery, Event
from portal import clients, clock
from portal.models import ApiToken, Client, Partner
from tests import make

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = START
        monkeypatch.setattr(clock, "now", lambda: self.at)

    def pass_minutes(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)


@pytest.fixture
def time_stands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Site:
    """A partner with one client and one rule that opens tickets, and no PSA behind it."""

    def __init__(self) -> None:
        make.catalogues()
        self.partner: Partner = make.partner()
        organization = clients.top_level(self.partner)
        self.organization = organization
        self.client: Client = clients.add_client(self.partner, name="Bakery Ott", number=19652)
        self.rule = Notification.objects.create(partner=self.partner, name="Tickets", action="ticket")
        self.actor = _token(self.partner)

    def send(self, *events: dict[str, Any]) -> list[Event]:
        read = [incoming.read(make.event(occurred_at=clock.now().isoformat(), **fields)) for fields in events]
        good = [item for item in read if isinstance(item, Incoming)]
        assert len(good) == len(read), read
        ids = [result.event_id for result in intake.accept(good, actor=self.actor)]
        found = Event.objects.in_bulk(ids)
        return [found[key] for key in ids]

    def fail(self, account: str = "SRV-01", **more: Any) -> Event:
        return self.send({"account": account, "summary": f"Backup of {account} failed", **more})[0]

    def recover(self, account: str = "SRV-01", **more: Any) -> Event:
        values = {"type": "backup.succeeded", "severity": "success", "account": account, **more}
        return self.send(values)[0]


def _token(partner: Partner) -> ApiToken:
    make.token(partner)
    return ApiToken.objects.get(partner=partner)


@pytest.fixture
def site(db: None, time_stands: Clock) -> Site:
    return Site()


def orders() -> list[str]:
    return list(
        Delivery.objects.filter(action="ticket").order_by("id").values_list("notification_name", flat=True)
    )


def texts(event: Event) -> str:
    return " | ".join(str(step.get("text")) for step in Event.objects.get(pk=event.pk).trace)


def window(site: Site, **more: Any) -> MaintenanceWindow:
    """From now on for an hour."""
    now = clock.now()
    values: dict[str, Any] = {
        "name": "Patch night",
        "first_on": now.date(),
        "starts_at": now.time(),
        "ends_at": (now + timedelta(hours=1)).time(),
    }
    return windows.save_window(site.partner, windows.Entered(**{**values, **more}))


# --- Drop filters -----------------------------------------------------------------------------------------------------


@pytest.mark.parity("S2-44")
def test_s2_44_a_dropped_event_is_kept_says_which_filter_and_leads_to_nothing(site: Site) -> None:
    row = filters.save_filter(
        site.partner,
        filters.Entered(name="Agents", reason="They come and go.", phrases=["CONNECTION  lost", "restored"]),
    )
    event = site.fail(summary="Agent: connection LOST to the server")
    other = site.fail("SRV-02")
    assert orders() == ["Tickets"]
    assert "Dropped by the filter “Agents”. They come and go." in texts(event)
    assert "Dropped" not in texts(other)
    assert list(Condition.objects.values_list("key", flat=True)) == ["backup:SRV-02"]
    row.refresh_from_db()
    assert (row.dropped, row.matched_at) == (1, clock.now())
    assert Suppression.objects.get().event == event


@pytest.mark.parity("S2-44")
def test_s2_44_the_recovery_of_what_is_failing_is_never_dropped(site: Site) -> None:
    site.fail()
    filters.save_filter(site.partner, filters.Entered(name="All of it", sources=["backup"]))
    assert "Dropped" in texts(site.fail())
    site.recover()
    assert orders() == ["Tickets", "recovery"]
    assert "Dropped" in texts(site.recover())  # nothing fails any more


@pytest.mark.parametrize(
    ("change", "drops"),
    [
        ({}, True),
        ({"sources": ["rmm"]}, False),
        ({"event_types": ["appliance.offline"]}, False),
        ({"severities": ["warning"]}, False),
        ({"is_enabled": False}, False),
        ({"expires_at": START}, False),
        ({"expires_at": START + timedelta(seconds=1)}, True),
        ({"phrases": ["SRV-02", "srv-01"]}, True),
    ],
    ids=str,
)
@pytest.mark.parity("S2-44")
def test_s2_44_each_part_of_a_filter_must_match(site: Site, change: dict[str, Any], drops: bool) -> None:
    filters.save_filter(site.partner, filters.Entered(**{"name": "F", "phrases": ["failed"], **change}))
    site.fail()
    assert (orders() == []) == drops


def test_a_filter_of_another_client_or_organization_drops_nothing(site: Site) -> None:
    elsewhere = clients.add_client(site.partner, name="Other", number=7)
    filters.save_filter(site.partner, filters.Entered(name="F", phrases=["failed"], client=elsewhere))
    site.fail()
    assert orders() == ["Tickets"]
    filters.save_filter(
        site.partner, filters.Entered(name="G", phrases=["failed"], organization=site.organization)
    )
    site.fail("SRV-09")
    assert orders() == ["Tickets"]


# --- Maintenance windows ----------------------------------------------------------------------------------------------


def test_what_fails_in_a_window_gets_its_ticket_when_the_window_is_over(
    site: Site, time_stands: Clock
) -> None:
    window(site)
    event = site.fail()
    site.fail("SRV-02")
    site.recover("SRV-02")
    assert orders() == []
    assert "In the maintenance window “Patch night” until 2026-03-02 13:00 UTC" in texts(event)
    hold = Hold.objects.get()
    assert (hold.kind, hold.rule_name, hold.condition.wants_ticket) == ("window", "Patch night", False)
    time_stands.pass_minutes(59)
    assert release.release_due() == 0
    time_stands.pass_minutes(1)
    assert release.release_due() == 1
    assert release.release_due() == 0
    assert orders() == ["Tickets"]
    assert not Hold.objects.exists()
    assert "holds it no longer" in texts(event)


def test_a_hold_that_cannot_be_judged_keeps_no_other(
    site: Site, time_stands: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    window(site)
    for account in ("SRV-01", "SRV-02", "SRV-03"):
        site.fail(account)
    poison = Hold.objects.order_by("pk")[1]
    judge = release.judge_again

    def stumble(hold: Hold, *more: Any) -> None:
        if hold.pk == poison.pk:
            raise ValueError("odd")
        judge(hold, *more)

    monkeypatch.setattr(release, "judge_again", stumble)
    time_stands.pass_minutes(60)
    assert release.release_due() == 2
    assert list(Hold.objects.all()) == [poison]
    assert orders() == ["Tickets", "Tickets"]


def test_a_window_that_ends_early_or_is_deleted_releases_and_an_extended_one_goes_on(
    site: Site, time_stands: Clock
) -> None:
    row = window(site)
    site.fail()
    assert windows.extend(row, minutes=30)
    time_stands.pass_minutes(70)
    release.release_due()
    assert orders() == []
    assert windows.end_now(row)
    release.release_due()
    assert orders() == ["Tickets"]
    second = window(site, name="Second")
    site.fail("SRV-02")
    windows.delete_window(second)
    release.release_due()
    assert orders() == ["Tickets", "Tickets"]


def test_recoveries_pass_through_a_window(site: Site) -> None:
    site.fail()
    window(site)
    site.recover()
    assert orders() == ["Tickets", "recovery"]


@pytest.mark.parametrize(
    ("scope", "holds"), [("client", True), ("organization", True), ("other client", False), ("account", True)]
)
def test_a_window_holds_within_its_scope_only(site: Site, scope: str, holds: bool) -> None:
    site.recover()  # makes the account
    other = clients.add_client(site.partner, name="Other", number=7)
    wanted: dict[str, Any] = {
        "client": {"client": site.client},
        "organization": {"organization": site.organization},
        "other client": {"client": other},
        "account": {"account": site.client.accounts.get()},
    }[scope]
    window(site, **wanted)
    site.fail()
    assert (orders() == []) == holds


BERLIN = {"first_on": date(2026, 3, 22), "starts_at": time(1, 30), "ends_at": time(3, 30)}


@pytest.mark.parametrize(
    ("values", "inside", "outside"),
    [
        pytest.param(
            {**BERLIN, "repeats": "weekly"},
            ["2026-03-22T00:30", "2026-03-22T02:29", "2026-03-29T00:30", "2026-03-29T01:29"],
            ["2026-03-22T02:30", "2026-03-29T01:30", "2026-03-28T01:00", "2026-03-15T01:00"],
            id="weekly over the clocks going forward",
        ),
        pytest.param(
            {**BERLIN, "first_on": date(2026, 10, 25), "starts_at": time(2, 15), "ends_at": time(2, 45)},
            ["2026-10-25T00:15", "2026-10-25T01:44"],
            ["2026-10-25T00:14", "2026-10-25T01:45"],
            id="in the hour that comes twice",
        ),
        pytest.param(
            {**BERLIN, "first_on": date(2026, 1, 31), "repeats": "monthly_day"},
            ["2026-01-31T01:00", "2026-02-28T01:00"],
            ["2026-02-27T01:00", "2026-03-01T01:00"],
            id="the 31st in a month that has none",
        ),
        pytest.param(
            {
                **BERLIN,
                "first_on": date(2026, 3, 10),
                "repeats": "monthly_weekday",
                "starts_at": time(22),
                "ends_at": time(2),
                "days": 1,
            },
            ["2026-03-10T22:00", "2026-04-14T20:00", "2026-04-14T23:59"],
            ["2026-04-07T21:00", "2026-04-21T21:00", "2026-04-15T00:00"],
            id="second Tuesday, over midnight",
        ),
        pytest.param(
            {**BERLIN, "repeats": "weekly", "weekdays": [0, 2], "last_on": date(2026, 3, 25)},
            ["2026-03-23T01:00", "2026-03-25T01:00"],
            ["2026-03-24T01:00", "2026-03-30T01:00"],
            id="Mondays and Wednesdays until a day",
        ),
    ],
)
def test_a_window_is_open_by_the_clocks_of_the_time_zone(
    db: None, values: dict[str, Any], inside: list[str], outside: list[str]
) -> None:
    partner = make.partner()
    partner.time_zone = "Europe/Berlin"
    row = windows.save_window(partner, windows.Entered(name="W", **values))
    zone = ZoneInfo("Europe/Berlin")

    def is_open(text: str) -> bool:
        return windows.current(row, datetime.fromisoformat(text).replace(tzinfo=UTC), zone) is not None

    assert [text for text in inside if not is_open(text)] == []
    assert [text for text in outside if is_open(text)] == []


# --- Minimum duration, flapping ---------------------------------------------------------------------------------------


@pytest.mark.parity("S2-43")
def test_a_ticket_waits_for_the_minimum_duration(site: Site, time_stands: Clock) -> None:
    Notification.objects.update(min_minutes=10)
    site.fail()
    site.fail("SRV-02")
    time_stands.pass_minutes(5)
    site.fail()
    site.recover("SRV-02")
    release.release_due()
    assert orders() == []
    time_stands.pass_minutes(5)
    release.release_due()
    assert orders() == ["Tickets"]


def test_a_minimum_duration_may_be_of_an_event_type_and_a_late_repeat_ends_it(
    site: Site, time_stands: Clock
) -> None:
    NoiseSettings.objects.create(partner=site.partner, durations={"backup.failed": 10})
    site.fail()
    time_stands.pass_minutes(11)
    site.fail()
    assert orders() == ["Tickets"]
    assert not Hold.objects.exists()


@pytest.mark.parity("S2-43")
def test_a_flapping_condition_keeps_one_ticket_until_it_is_quiet(site: Site, time_stands: Clock) -> None:
    NoiseSettings.objects.create(partner=site.partner, flap_changes=4, flap_minutes=30)
    for _ in range(4):
        site.fail()
        time_stands.pass_minutes(1)
        site.recover()
        time_stands.pass_minutes(1)
    # The first spell closes as ever; the second is the fourth change: from there on it stays open.
    assert orders() == ["Tickets", "recovery", "Tickets"]
    hold = Hold.objects.get()
    assert hold.kind == "flapping"
    time_stands.pass_minutes(29)
    release.release_due()
    release.release_due()
    assert orders() == ["Tickets", "recovery", "Tickets", "recovery"]
    assert not Hold.objects.exists()


# --- Groups, outages, storms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends_failing", [True, False])
def test_what_flaps_inside_a_window_gets_no_ticket_there(
    site: Site, time_stands: Clock, ends_failing: bool
) -> None:
    NoiseSettings.objects.create(partner=site.partner, flap_changes=4, flap_minutes=20)
    window(site, ends_at=(clock.now() + timedelta(hours=3)).time())
    for _ in range(4):
        site.fail()
        time_stands.pass_minutes(1)
        site.recover()
        time_stands.pass_minutes(1)
    if ends_failing:
        site.fail()
    time_stands.pass_minutes(25)
    release.release_due()
    release.release_due()
    assert set(orders()) <= {"recovery", ""}, "in the window nothing is opened"
    assert not Condition.objects.get().wants_ticket
    assert [hold.kind for hold in Hold.objects.all()] == (["window"] if ends_failing else [])
    time_stands.pass_minutes(180)
    release.release_due()
    assert not Hold.objects.exists()
    assert orders().count("Tickets") == int(ends_failing)


def test_a_ticket_whose_problem_flaps_and_mends_inside_a_window_is_closed(
    site: Site, time_stands: Clock
) -> None:
    NoiseSettings.objects.create(partner=site.partner, flap_changes=4, flap_minutes=20)
    site.fail()
    assert orders() == ["Tickets"]
    time_stands.pass_minutes(1)
    window(site, ends_at=(clock.now() + timedelta(hours=3)).time())
    for _ in range(3):
        site.recover()
        time_stands.pass_minutes(1)
        site.fail()
        time_stands.pass_minutes(1)
    site.recover()
    time_stands.pass_minutes(25)
    release.release_due()
    assert not Hold.objects.exists()
    assert orders() == ["Tickets", "recovery"], "the first recovery closes it, although the window is on"
    assert not Condition.objects.get().wants_ticket, "and in the window nothing opens it again"


def test_one_ticket_stands_for_a_group_and_the_next_takes_over(site: Site) -> None:
    Notification.objects.update(grouping="client")
    site.send(*({"account": f"SRV-{number}", "summary": f"SRV-{number} failed"} for number in range(3)))
    assert orders() == ["Tickets"]
    assert Hold.objects.filter(kind="group").count() == 2
    site.recover("SRV-0")
    release.release_due()
    release.release_due()
    assert orders() == ["Tickets", "recovery", "Tickets"]
    assert Hold.objects.filter(kind="group").count() == 1


def test_an_outage_of_the_appliance_hides_its_jobs_until_it_is_back(site: Site) -> None:
    NoiseSettings.objects.create(partner=site.partner, parent_types=["appliance.offline"])
    site.fail(type="appliance.offline", summary="SRV-01 is offline")
    child = site.fail()
    site.fail("SRV-02")
    assert len(orders()) == 2
    assert "“SRV-01 is offline” explains it" in texts(child)
    site.recover(type="appliance.online")
    release.release_due()
    assert orders() == ["Tickets", "Tickets", "recovery", "Tickets"]


def test_an_outage_that_has_to_last_hides_what_comes_with_it(site: Site) -> None:
    NoiseSettings.objects.create(
        partner=site.partner, parent_types=["appliance.offline"], durations={"appliance.offline": 10}
    )
    site.send({"type": "appliance.offline"}, {})
    assert orders() == []
    assert set(Hold.objects.values_list("kind", flat=True)) == {"duration", "parent"}


def test_an_outage_that_nobody_wants_a_ticket_for_hides_nothing(site: Site) -> None:
    NoiseSettings.objects.create(partner=site.partner, parent_types=["appliance.offline"])
    Notification.objects.update(all_event_types=False, event_types=["backup.failed"])
    site.send({"type": "appliance.offline"}, {})
    assert orders() == ["Tickets"]


@pytest.mark.parametrize("brake", ["storm_client_tickets", "storm_partner_tickets"])
def test_a_storm_goes_into_one_ticket_and_what_still_fails_gets_its_own(
    site: Site, time_stands: Clock, brake: str
) -> None:
    NoiseSettings.objects.create(partner=site.partner, storm_minutes=10, **{brake: 3})
    site.send(*({"account": f"SRV-{number}", "summary": f"SRV-{number} failed"} for number in range(8)))
    assert orders() == ["Tickets"] * 3
    assert Hold.objects.filter(kind="storm").count() == 5
    release.release_due()
    release.release_due()
    assert orders() == [*["Tickets"] * 3, "storm brake"]
    told = Event.objects.get(type="portal.storm")
    assert told.details.count("Bakery Ott: SRV-") == 5
    site.recover("SRV-7")
    for _ in range(4):
        time_stands.pass_minutes(11)
        release.release_due()
        release.release_due()
    assert orders() == [*["Tickets"] * 3, "storm brake", *["Tickets"] * 4, "recovery"]
    storm = Storm.objects.get()
    assert storm.ended_at is not None
    assert storm.condition is not None
    assert storm.condition.state == "fine"


def test_what_is_held_goes_on_when_the_setting_that_held_it_is_gone(site: Site, time_stands: Clock) -> None:
    settings = NoiseSettings.objects.create(
        partner=site.partner, storm_client_tickets=1, durations={"a.b": 60}
    )
    site.send({"account": "A"}, {"account": "B"}, {"account": "C", "type": "a.b", "condition_key": "c"})
    assert Hold.objects.count() == 2
    settings.delete()
    time_stands.pass_minutes(61)
    release.release_due()
    assert orders() == ["Tickets"] * 3
    assert not Hold.objects.exists()


def test_a_held_ticket_that_no_rule_wants_any_more_is_not_opened(site: Site, time_stands: Clock) -> None:
    window(site)
    event = site.fail()
    Notification.objects.update(is_enabled=False)
    time_stands.pass_minutes(61)
    release.release_due()
    assert orders() == []
    assert "no notification asks for a ticket any more" in texts(event)


# --- Speed ------------------------------------------------------------------------------------------------------------


def batch(number: int, start: int = 0) -> list[Incoming]:
    read = [incoming.read(make.event(account=f"SRV-{start + place}")) for place in range(number)]
    return [item for item in read if isinstance(item, Incoming)]


def queries_of(site: Site, number: int, start: int, capture: Any) -> int:
    rows = batch(number, start)
    with capture() as context:
        intake.accept(rows, actor=site.actor)
    return len(context)


@pytest.fixture
def capture() -> Any:
    return lambda: CaptureQueriesContext(connection)


def test_noise_costs_a_partner_without_any_one_query_a_batch(site: Site, capture: Any) -> None:
    queries_of(site, 2, 0, capture)
    few, many = queries_of(site, 5, 100, capture), queries_of(site, 200, 200, capture)
    assert many <= few + 4  # inserts in pieces by the number of parameters


def test_noise_costs_a_constant_number_of_queries_a_batch(site: Site, capture: Any) -> None:
    DropFilter.objects.create(partner=site.partner, name="F", phrases=["nothing like it"])
    NoiseSettings.objects.create(
        partner=site.partner,
        flap_changes=5,
        parent_types=["appliance.offline"],
        storm_client_tickets=10_000,
        storm_partner_tickets=10,
        durations={"x": 1},
    )
    Notification.objects.update(grouping="site")
    queries_of(site, 2, 0, capture)
    few, many = queries_of(site, 5, 100, capture), queries_of(site, 200, 200, capture)
    assert many <= few + 8
