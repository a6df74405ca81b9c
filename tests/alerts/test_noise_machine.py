"""Failures, recoveries, windows, flapping, storms, late and doubled jobs in any order: nothing doubled or lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import conditions, release, windows
from alerts.models import Condition, Hold, MaintenanceWindow, NoiseSettings, Notification, Storm, Ticket
from integrations.models import Credentials, Delivery, Lane
from portal import clock
from tests.alerts.test_noise import Clock, Site, window

ACCOUNTS = ("SRV-01", "SRV-02", "SRV-03", "SRV-04")
accounts = st.sampled_from(ACCOUNTS)
STEPS = st.one_of(
    st.tuples(st.just("fail"), accounts),
    st.tuples(st.just("fail"), accounts),
    st.tuples(st.just("recover"), accounts),
    st.tuples(st.just("flap"), accounts),
    st.tuples(st.just("flood"), st.just("")),
    st.tuples(st.just("outage"), accounts),
    st.tuples(st.just("back"), accounts),
    st.tuples(st.just("open window"), st.just("")),
    st.tuples(st.just("end window"), st.just("")),
    st.tuples(st.just("delete window"), st.just("")),
    st.tuples(st.just("release"), st.just("")),
    st.tuples(st.just("drain"), st.just("")),
    st.tuples(st.just("wait"), st.sampled_from(["1", "7", "40"])),
)


class Night:
    """A partner's night, and a dispatcher that does what the facts of the moment say."""

    def __init__(self, time_stands: Clock, *, minutes: int, grouping: str, storms: bool) -> None:
        self.clock = time_stands
        self.site = Site()
        self.credentials = Credentials.objects.create(
            partner=self.site.partner, organization=self.site.organization
        )
        Lane.objects.create(partner=self.site.partner, credentials=self.credentials)
        Notification.objects.update(min_minutes=minutes, grouping=grouping)
        NoiseSettings.objects.create(
            partner=self.site.partner,
            flap_changes=4,
            flap_minutes=20,
            parent_types=["appliance.offline"],
            storm_client_tickets=3 if storms else None,
            storm_partner_tickets=5 if storms else None,
            storm_minutes=10,
        )

    def do(self, step: str, what: str) -> None:
        self.clock.pass_minutes(0.1)
        if step == "fail":
            self.site.fail(what)
        elif step == "recover":
            self.site.recover(what)
        elif step == "flap":
            for _ in range(3):
                self.site.fail(what)
                self.clock.pass_minutes(0.1)
                self.site.recover(what)
                self.clock.pass_minutes(0.1)
        elif step == "flood":
            self.site.send(*({"account": f"X-{number}", "summary": f"X-{number}"} for number in range(6)))
        elif step in {"outage", "back"}:
            is_out = step == "outage"
            values = {"type": "appliance.offline" if is_out else "appliance.online", "account": what}
            self.site.send(
                {**values, "severity": "error" if is_out else "success", "summary": f"{what} is off"}
            )
        elif step == "wait":
            self.clock.pass_minutes(int(what))
        else:
            self.do_to_windows(step)

    def do_to_windows(self, step: str) -> None:
        newest = MaintenanceWindow.objects.order_by("-pk").first()
        if step == "open window":
            end = clock.now() + timedelta(minutes=30)
            days = (end.date() - clock.now().date()).days
            window(self.site, ends_at=end.time(), days=days)
        elif step == "end window" and newest:
            windows.end_now(newest)
        elif step == "delete window" and newest:
            windows.delete_window(newest)
        elif step == "release":
            release.release_due()
            release.release_due()
        elif step == "drain":
            self.drain()

    def drain(self) -> None:
        """As `alerts.tickets` decides: failing and wanted means one open ticket, else none."""
        for delivery in Delivery.objects.filter(action="ticket").exclude(status="done").order_by("id"):
            condition = Condition.objects.get(pk=conditions.of_subject(delivery.subject))
            ticket = Ticket.objects.filter(condition=condition, closed_at=None).first()
            is_wanted = condition.state == "failing" and condition.wants_ticket
            if is_wanted and ticket is None:
                generation = Ticket.objects.filter(condition=condition).count() + 1
                Ticket.objects.create(
                    partner=self.site.partner,
                    condition=condition,
                    credentials=self.credentials,
                    generation=generation,
                    external_ref=f"{condition.pk}:{generation}",
                )
            elif not is_wanted and ticket is not None:
                Ticket.objects.filter(pk=ticket.pk).update(closed_at=clock.now(), state="closed")
            Delivery.objects.filter(pk=delivery.pk).update(status="done")

    def check(self) -> None:
        """Every failing problem has asked for its ticket, or says what holds it back; never both."""
        holds = {hold.condition_id: hold for hold in Hold.objects.all()}
        for condition in Condition.objects.filter(since__isnull=False):
            hold = holds.get(condition.pk)
            if condition.state == "failing":
                assert condition.wants_ticket or hold is not None, condition
            if hold is not None and hold.kind != "flapping":
                assert condition.state == "failing", (condition, hold.kind)
                assert not condition.wants_ticket, (condition, hold.kind)

    def come_to_rest(self) -> None:
        """Nothing happens any more; all windows and waits end."""
        for _ in range(40):
            self.clock.pass_minutes(11)
            release.release_due()
            self.drain()
            self.check()
            ends_by_time = (
                Hold.objects.exclude(kind__in=["parent", "group"]).exists() or release.due().exists()
            )
            if not ends_by_time and not Storm.objects.filter(ended_at=None).exists():
                break

    def check_rest(self) -> None:
        open_now = set(Ticket.objects.filter(closed_at=None).values_list("condition", flat=True))
        for condition in Condition.objects.filter(since__isnull=False):
            hold = Hold.objects.filter(condition=condition).first()
            if condition.state == "fine":
                assert condition.pk not in open_now, f"{condition} is fine and has a ticket"
                assert hold is None
            elif hold is None:
                assert condition.pk in open_now, f"{condition} fails without a ticket"
            else:
                assert hold.kind in {"parent", "group"}, hold.text
                assert covered_by(hold) in open_now, hold.text
        assert not Storm.objects.filter(ended_at=None).exists()


def covered_by(hold: Hold) -> Any:
    """The condition whose ticket stands for it, perhaps by way of another."""
    for _ in range(5):
        further = Hold.objects.filter(condition=hold.parent_id).first()
        if further is None:
            break
        hold = further
    return hold.parent_id


@pytest.mark.parametrize("grouping", ["", "client", "cause"], ids=["alone", "a client", "a cause"])
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=4, max_size=14), minutes=st.sampled_from([0, 5]), storms=st.booleans())
def test_nothing_is_doubled_and_nothing_is_lost(
    db: None, time_stands: Clock, grouping: str, steps: list[tuple[str, str]], minutes: int, storms: bool
) -> None:
    with transaction.atomic():
        night = Night(time_stands, minutes=minutes, grouping=grouping, storms=storms)
        for step, what in steps:
            night.do(step, what)
            night.check()
        night.come_to_rest()
        night.check_rest()
        transaction.set_rollback(True)


@pytest.fixture
def time_stands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
