"""The Status page: each module with its mode, its last run and its next."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.urls import reverse

from billing import statusboard
from billing.models import BillingSettings, SynchronizeWindow
from integrations.models import Lane
from portal import clock
from portal.models import Partner
from tests import make
from tests.portal.test_pages import delivered, happened, signed_in

pytestmark = pytest.mark.django_db


def modules(world: make.World) -> dict[str, statusboard.Module]:
    def rows(model: Any) -> Any:
        return model.objects.of(world.partner)

    lanes = list(Lane.objects.filter(partner=world.partner))
    return {row.title: row for row in statusboard.modules(rows, lanes, world.partner)}


def sync(world: make.World, *, subject: str, **fields: Any) -> Any:
    return delivered(happened(world), world, action="synchronize", subject=subject, **fields)


def test_a_module_says_when_it_last_did_something(world):
    at = clock.now() - timedelta(hours=2)
    delivered(happened(world), world, status="done", finished_at=at)
    sync(world, subject=f"sync:{world.client.pk}", status="failed")
    SynchronizeWindow.objects.create(partner=world.partner, client=world.client, last_success_at=at)
    found = modules(world)
    assert (found["Tickets"].state, found["Tickets"].last_at) == ("working", at)
    assert (found["Billing"].state, found["Billing"].fact, found["Billing"].last_at) == (
        "failed",
        "1 failed",
        at,
    )


def test_what_waits_is_the_next_run(world):
    soon = clock.now() + timedelta(hours=3)
    sync(world, subject=f"report:{world.client.pk}", status="waiting", due_at=soon)
    found = modules(world)
    assert (found["Backup statistics"].next_at, found["Billing"].next_at) == (soon, None)


def test_the_next_push_day_is_by_the_partners_calendar(world, monkeypatch):
    Partner.objects.filter(pk=world.partner.pk).update(time_zone="Pacific/Auckland")
    world.partner.refresh_from_db()
    BillingSettings.objects.create(
        partner=world.partner, organization=world.organization, schedule="day", push_day=15
    )
    monkeypatch.setattr(clock, "today_in", lambda zone: date(2026, 3, 20))
    found = modules(world)["Billing"].next_at
    assert (found.date(), found.utcoffset()) == (date(2026, 4, 15), timedelta(hours=12))


def test_a_stopped_connection_stops_its_modules(world):
    Lane.objects.update(breaker="unreachable")
    found = modules(world)
    assert [found[name].state for name in ("Tickets", "Billing")] == ["stopped", "stopped"]


def test_modes_are_told(world):
    world.organization.billing_mode = "observe"
    world.organization.save()
    found = modules(world)
    told = [found[name].mode for name in ("Tickets", "Billing", "Backup statistics")]
    assert told == ["live", "observe", "switched off"]


def test_another_partners_runs_are_not_told(world, sandbox):
    other = make.world(sandbox, name="Tailspin IT", number=30001)
    delivered(happened(other), other, status="done", finished_at=clock.now())
    assert modules(world)["Tickets"].last_at is None


def test_the_page_shows_all_of_it(world):
    text = signed_in(make.user(world.partner)).get(reverse("status")).content.decode()
    for title in (
        "Tickets",
        "Billing",
        "Backup statistics",
        "Options from the PSA",
        "Changes made in the PSA",
    ):
        assert title in text
