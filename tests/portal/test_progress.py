"""Long work shows how far it is in one way everywhere: a part that htmx fetches again, a whole page without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from alerts.models import TicketTest
from integrations import incidents, reloading
from integrations.eventsearch import EventFilter
from integrations.models import BulkReprocess, Credentials, Reload
from portal import clock
from tests import make
from tests.portal.test_pages import signed_in

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]


def trying(world: make.World) -> str:
    Credentials.objects.update(test_asked_at=clock.now())
    return reverse("credentials_of", args=["organization", world.organization.pk])


def tried(world: make.World) -> None:
    Credentials.objects.update(tested_at=clock.now(), test_passed=True)


def reading(world: make.World) -> str:
    reloading.ask(world.credentials, by=None)
    return reverse("options_of", args=[world.credentials.pk])


def read(world: make.World) -> None:
    Reload.objects.update(state="done", finished_at=clock.now())


def bulk(world: make.World) -> str:
    person = make.user(is_staff=True)
    incidents.begin(EventFilter(text="x"), [world.partner], reason="x", by=person)
    return reverse("bulk_reprocess", args=[BulkReprocess.objects.get().pk])


def incident(world: make.World) -> str:
    bulk(world)
    return reverse("incident", args=[BulkReprocess.objects.get().case])


def gone_through(world: make.World) -> None:
    BulkReprocess.objects.update(state="done", finished_at=clock.now())


def opening(world: make.World) -> str:
    TicketTest.objects.create(
        partner=world.partner, client=world.client, credentials=world.credentials, external_ref="test:1"
    )
    return reverse("client_settings", args=[world.client.pk])


def opened(world: make.World) -> None:
    TicketTest.objects.update(state="passed", finished_at=clock.now())


def guided(world: make.World) -> str:
    trying(world)
    return reverse("guided_setup_of", args=[world.credentials.pk])


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (trying, tried),
        (reading, read),
        (bulk, gone_through),
        (incident, gone_through),
        (opening, opened),
        (guided, tried),
    ],
    ids=lambda one: one.__name__,
)
def test_work_under_way_is_looked_at_again_until_it_is_over(
    world: make.World, begin: Callable[[Any], str], end: Callable[[Any], None]
) -> None:
    browser = signed_in(make.user(is_staff=True, is_superuser=True))
    address = begin(world)
    text = browser.get(address).content.decode()
    part = re.search(r'hx-get="([^"]+)" hx-trigger="every 2s" hx-swap="outerHTML"', text)
    assert part is not None
    assert '<noscript><meta http-equiv="refresh"' in text
    fetched = browser.get(part[1])
    assert ("hx-get" in fetched.content.decode(), "HX-Refresh" in fetched) == (True, False)

    end(world)
    over = browser.get(part[1])
    assert "every 2s" not in over.content.decode()
    text = browser.get(address).content.decode()
    assert ("every 2s" in text, "http-equiv" in text) == (False, False)


def test_no_template_has_a_way_of_its_own() -> None:
    own = [
        path.name
        for path in ROOT.glob("*/templates/**/*.html")
        if re.search(r'hx-trigger="(every|load)|http-equiv="refresh"', path.read_text(encoding="utf-8"))
    ]
    assert own == []
