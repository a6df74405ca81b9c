"""`ETag` and `If-Match` at every call that reads and changes the same thing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.urls import get_resolver
from rest_framework.test import APIClient

from alerts import absence, drafts, filters, labhistory, notifications, webhooks, windows
from alerts.models import RuleDraft
from integrations import repointing, savedsearches
from integrations.connections import Entered
from integrations.eventsearch import EventFilter
from portal import preconditions
from portal.models import ApiToken, Membership, Role
from tests import make
from tests.make import World

pytestmark = pytest.mark.django_db
CHANGES = ("PUT", "PATCH", "DELETE")
HOOK = "http://127.0.0.1:9999/hook"


def guarded() -> dict[str, Any]:
    """Route -> view, of everything that has GET and a way to change it."""
    found = {}
    for pattern in get_resolver().url_patterns:
        if str(pattern.pattern) != "api/":
            continue
        for group in pattern.url_patterns:
            for route in getattr(group, "url_patterns", ()):
                view = getattr(route.callback, "cls", None)
                methods = getattr(view, "scopes", {})
                if "GET" in methods and any(name in methods for name in CHANGES):
                    found[str(route.pattern)] = view
    return found


ROUTES = guarded()


def test_the_calls_were_found() -> None:
    assert {
        "notifications/<uuid:pk>",
        "ticket-settings/<uuid:pk>",
        "noise-settings",
        "cross-references",
    } <= set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_every_call_that_changes_what_it_reads_is_guarded(route: str) -> None:
    assert issubclass(ROUTES[route], preconditions.Guarded), (
        "let the view inherit from portal.preconditions.Guarded"
    )


@pytest.fixture
def things(world: World) -> dict[str, str]:
    """Something at the address of each route."""
    rule = notifications.add_synchronization(world.partner)
    dropped = filters.save_filter(world.partner, filters.Entered(name="x", sources=["a"]))
    window = windows.save_window(
        world.partner,
        windows.Entered(
            name="x",
            first_on=windows.date(2026, 1, 1),
            starts_at=windows.time(1),
            ends_at=windows.time(2),
        ),
    )
    make.billing(world)
    other = Entered(
        kind="connectwise",
        site_url=world.sandbox.url,
        login_company="Another",
        public_key="a" * 16,
        secret="b" * 16,
    )
    repointing.begin(world.credentials, other, by=None)
    document = drafts.document_of(labhistory.rules_today(world.partner))
    draft = RuleDraft.objects.create(partner=world.partner, name="x", document=document, origin=document)
    hook, _ = webhooks.save_endpoint(world.partner, name="x", url=HOOK)
    expected = absence.set_expectation(world.client, every_hours=Decimal(24))
    search = savedsearches.add(world.partner, EventFilter(text="x"), name="x")
    manager = make.user(world.partner)
    ApiToken.objects.update(created_by=manager)
    member = Membership.objects.get(user=make.user(world.partner, role=Role.VIEWER))
    return {
        "expectations/<uuid:pk>": str(expected.pk),
        "saved-searches/<uuid:pk>": str(search.pk),
        "team/<uuid:pk>": str(member.pk),
        "webhooks/<uuid:pk>": str(hook.pk),
        "organizations/<uuid:pk>": str(world.organization.pk),
        "connections/<uuid:pk>": str(world.credentials.pk),
        "connections/<uuid:pk>/change": str(world.credentials.pk),
        "rule-drafts/<uuid:pk>": str(draft.pk),
        "notifications/<uuid:pk>": str(rule.pk),
        "drop-filters/<uuid:pk>": str(dropped.pk),
        "maintenance-windows/<uuid:pk>": str(window.pk),
        "ticket-settings/<uuid:pk>": str(world.client.pk),
        "clients/<uuid:pk>": str(world.client.pk),
        "clients/<uuid:pk>/disabled": str(world.client.pk),
        "company-links/<uuid:pk>": str(world.client.pk),
    }


BODIES: dict[str, Any] = {
    "expectations/<uuid:pk>": {"every_hours": "12"},
    "saved-searches/<uuid:pk>": {"name": "New", "where": ["severity = error"]},
    "webhooks/<uuid:pk>": {"name": "New", "url": HOOK},
    "mail-settings": {"address": "alarm@a.example", "no_backup": True},
    "organizations/<uuid:pk>": {"name": "New"},
    "rule-drafts/<uuid:pk>": {"document": {}},
    "connections/<uuid:pk>": {"public_key": "another-public-key"},
    "notifications/<uuid:pk>": {"name": "New", "action": "ticket"},
    "drop-filters/<uuid:pk>": {"name": "New", "sources": ["b"]},
    "maintenance-windows/<uuid:pk>": {
        "name": "New",
        "first_on": "2026-02-01",
        "starts_at": "01:00",
        "ends_at": "02:00",
    },
    "ticket-settings/<uuid:pk>": {"notes_per_hour": 7},
    "clients/<uuid:pk>": {"name": "New"},
    "clients/<uuid:pk>/disabled": {"reason": "New"},
    "company-links/<uuid:pk>": {"company": ""},
    "noise-settings": {"storm_minutes": 11},
    "agreement-links": {"client": "19652", "agreement": "401", "creates_lines": True},
    "cross-references": {"service": "online-backup-servers", "client": "19652", "product": "302"},
}


def address(route: str, things: dict[str, str]) -> str:
    if "<" in route and route not in things:
        pytest.fail(f"“{route}” is new: say in `things` and BODIES of this test what it is about.")
    return "/api/v1/" + route.replace("<uuid:pk>", things.get(route, ""))


@pytest.mark.parametrize("route", ROUTES)
def test_a_change_is_made_only_to_what_was_read(route: str, things: dict[str, str], api: APIClient) -> None:
    url = address(route, things)
    first = api.get(url)
    tag = first["ETag"]
    assert tag.startswith('"')
    assert api.get(url)["ETag"] == tag
    methods = [name for name in CHANGES if name in ROUTES[route].scopes]
    for method in methods:
        answer = api.generic(method, url, b"{}", content_type="application/json", HTTP_IF_MATCH='"other"')
        assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile"), method
        answer = api.generic(method, url, b"{}", content_type="application/json", HTTP_IF_MATCH="other")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_if_match"), method
    assert api.get(url)["ETag"] == tag
    if methods == ["DELETE"]:
        assert api.delete(url, HTTP_IF_MATCH=tag).status_code == 204
        return
    change = getattr(api, methods[0].lower())
    if methods == ["DELETE"]:
        assert change(url, HTTP_IF_MATCH=tag).status_code == 204
        assert api.get(url).status_code == 404
        return
    done = change(url, BODIES[route], HTTP_IF_MATCH=tag)
    assert done.status_code == 200, done.content
    changed = api.get(url)["ETag"]
    assert changed != tag
    if "ETag" in done:
        assert done["ETag"] == changed
    assert change(url, BODIES[route], HTTP_IF_MATCH=tag).status_code == 412
    assert change(url, BODIES[route], HTTP_IF_MATCH="*").status_code == 200
    assert change(url, BODIES[route]).status_code == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_vendors", [(True, True), (True, False)])
def test_of_two_with_the_same_tag_at_once_one_wins_also_with_vendor_wide_tokens(
    world: World, is_vendors: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/api/v1/clients/{world.client.pk}"
    callers = [make.api(make.token(None if vendor else world.partner)) for vendor in is_vendors]
    tag = callers[0].get(url)["ETag"]
    ready = threading.Barrier(2)
    really = preconditions.digest_of

    def slowly(data: Any) -> str:
        found = really(data)
        time.sleep(0.3)  # both have read before one writes, unless one waits for the other
        return found

    monkeypatch.setattr(preconditions, "digest_of", slowly)

    def put(number: int) -> int:
        ready.wait()
        try:
            return int(callers[number].patch(url, {"name": f"New {number}"}, HTTP_IF_MATCH=tag).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(put, range(2))) == [200, 412]


def test_what_is_taken_back_is_counted_all_the_same(world: World) -> None:
    stranger = make.api("psap_unknown")
    answers = [
        stranger.put("/api/v1/noise-settings", {}, HTTP_IF_MATCH='"x"').status_code for _ in range(105)
    ]
    assert 429 in answers
    ApiToken.objects.update(requests_a_minute=5)
    caller = make.api(world.token)
    answers = [caller.put("/api/v1/noise-settings", {}, HTTP_IF_MATCH='"x"').status_code for _ in range(12)]
    assert set(answers) == {412, 429}


def test_what_happens_by_itself_does_not_change_the_tag() -> None:
    one = preconditions.digest_of([{"name": "x", "matched_at": None, "below": {"held": 1}}])
    assert one == preconditions.digest_of([{"name": "x", "matched_at": "2026", "below": {"held": 2}}])
    assert one != preconditions.digest_of([{"name": "y", "matched_at": None, "below": {"held": 1}}])
