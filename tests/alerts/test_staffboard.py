"""Staff's board: one error at many partners is one line, reprocessed for those that were chosen, with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from unfold.admin import ModelAdmin

from alerts import charts
from integrations import bulkreprocess, incidents
from integrations.models import BulkReprocess, Delivery, Lane
from portal import clock
from portal.models import AuditEntry
from tests import make
from tests.portal.test_pages import delivered, happened, signed_in
from tests.portal.test_signin import at_the_same_moment

pytestmark = pytest.mark.django_db
REFUSED = "ConnectWise refused the ticket of “{}”: field 4711{} is not known."


def failed(world: make.World, *, text: str = "", number: int = 0, **fields: Any) -> Delivery:
    event = happened(world, condition_key=f"k{clock.new_id().hex}")
    text = text or REFUSED.format(world.client.name, number)
    return delivered(event, world, error_kind="rejected", error_text=text, **fields)


@pytest.fixture
def other(world: make.World, sandbox: Any) -> make.World:
    return make.world(sandbox, name="Tailspin IT", number=30001)


@pytest.fixture
def browser() -> Any:
    return signed_in(make.user(is_staff=True, is_superuser=True))


def run_all() -> None:
    for row in BulkReprocess.objects.filter(state="running"):
        bulkreprocess.take_turn(str(row.pk))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ticket 4471 was not found.", "Ticket 12 was not found."),
        ("“Bakery Ott” is not mapped.", "“Smith & Sons” is not mapped."),
        ("No answer from https://a.example/x?y=1 in 20 s", "No answer from http://b.example in 3.5 s"),
        ("Broken\nat 2026-03-01T10:00:00Z", "Broken\nat 2026-04-02T11:22:33Z"),
    ],
)
def test_names_and_numbers_do_not_make_another_error(first, second):
    assert incidents.pattern_of(first) == incidents.pattern_of(second)


def test_other_words_are_another_error():
    assert incidents.pattern_of("The board is gone.") != incidents.pattern_of("The status is gone.")


def test_the_error_of_most_partners_stands_first(world, other):
    for number in range(3):
        failed(world, text="Only here.", number=number)
    failed(world, number=1)
    failed(other, number=2)
    found = incidents.groups()
    assert [(len(group.partners), group.count) for group in found] == [(2, 2), (1, 3)]
    assert found[0].since < found[0].last


def test_an_incident_is_counted_then_reprocessed_for_those_who_were_chosen(world, other, browser):
    rows = [failed(world, number=1), failed(other, number=2)]
    different = failed(world, text="The status is gone.")
    third = make.world(world.sandbox, name="Third MSP", number=30002)
    left_out = failed(third)
    group = incidents.groups()[0]
    chosen = [str(world.partner.pk), str(other.partner.pk)]
    browser.post(
        reverse("incident_begin"), {"group": group.key, "partner": chosen, "reason": "Outage of Sunday"}
    )
    run_all()
    assert {row.status for row in Delivery.objects.all()} == {"failed"}
    case = BulkReprocess.objects.first().case
    page = browser.get(reverse("incident", args=[case])).content.decode()
    assert ("Reprocess 2 deliveries" in page, "Third MSP" in page) == (True, False)

    browser.post(reverse("incident_carry_out", args=[case]))
    run_all()
    assert [Delivery.objects.get(pk=row.pk).status for row in rows] == ["waiting", "waiting"]
    assert [Delivery.objects.get(pk=row.pk).status for row in (different, left_out)] == ["failed", "failed"]
    entries = AuditEntry.objects.filter(partner_id=other.partner.pk, action="incident reprocess")
    assert [entry.details["reason"] for entry in entries] == ["Outage of Sunday"]


def test_it_is_carried_out_once(world, browser):
    failed(world)
    group = incidents.groups()[0]
    asked = {"group": group.key, "partner": [str(world.partner.pk)], "reason": "x"}
    browser.post(reverse("incident_begin"), asked)
    run_all()
    case = BulkReprocess.objects.get().case
    for _ in range(2):
        browser.post(reverse("incident_carry_out", args=[case]))
    assert BulkReprocess.objects.filter(is_dry_run=False).count() == 1


def test_nothing_is_carried_out_before_it_was_counted(world, browser):
    failed(world)
    group = incidents.groups()[0]
    browser.post(
        reverse("incident_begin"), {"group": group.key, "partner": [str(world.partner.pk)], "reason": "x"}
    )
    browser.post(reverse("incident_carry_out", args=[BulkReprocess.objects.get().case]))
    assert BulkReprocess.objects.filter(is_dry_run=False).count() == 0


@pytest.mark.parametrize("left_out", ["reason", "partner", "group"])
def test_without_reason_or_partner_nothing_begins(world, browser, left_out):
    failed(world)
    group = incidents.groups()[0]
    asked = {"group": group.key, "partner": [str(world.partner.pk)], "reason": "Outage"}
    asked[left_out] = [] if left_out == "partner" else " "
    answer = browser.post(reverse("incident_begin"), asked)
    assert (answer.status_code, BulkReprocess.objects.exists()) == (302, False)


def test_a_partner_that_has_not_the_error_cannot_be_slipped_in(world, other, browser):
    failed(world)
    asked = {"group": incidents.groups()[0].key, "partner": [str(other.partner.pk)], "reason": "x"}
    browser.post(reverse("incident_begin"), asked)
    assert not BulkReprocess.objects.exists()


@pytest.mark.parametrize("name", ["staff_board", "incident_begin"])
def test_for_partners_the_board_does_not_exist(world, name):
    browser = signed_in(make.user(world.partner))
    assert (browser.get(reverse(name)).status_code, browser.post(reverse(name)).status_code) == (404, 404)


def test_staff_without_the_right_look_and_do_nothing(world):
    failed(world)
    person = make.user(is_staff=True)
    browser = signed_in(person)
    assert "Reprocess after the incident" not in browser.get(reverse("staff_board")).content.decode()
    assert browser.post(reverse("incident_begin")).status_code == 403
    person.user_permissions.add(Permission.objects.get(codename="change_delivery"))
    assert "Reprocess after the incident" in browser.get(reverse("staff_board")).content.decode()


def test_the_board_names_trouble_queues_and_growth(world, other, browser):
    Lane.objects.filter(pk=world.credentials.lane.pk).update(
        breaker="sign_in_refused", breaker_text="401.", breaker_since=clock.now()
    )
    delivered(happened(other), other, status="waiting")
    charts.count_days(other.partner)
    text = browser.get(reverse("staff_board")).content.decode()
    assert [word for word in ("Keys refused", "401.", "Tailspin IT") if word not in text] == []


def test_the_boards_queries_do_not_grow(world, other, browser):
    def queries() -> int:
        with CaptureQueriesContext(connection) as made:
            assert browser.get(reverse("staff_board")).status_code == 200
        return len(made)

    failed(world)
    before = queries()
    for number in range(5):
        failed(other, number=number)
        failed(world, text=f"Another {'x' * number} error.")
        delivered(happened(other, condition_key=f"w{number}"), other, status="waiting")
    assert (queries(), before <= 24) == (before, True)


def test_every_page_of_the_administration_has_the_modern_theme():
    plain = [
        model.__name__ for model, made in admin.site._registry.items() if not isinstance(made, ModelAdmin)
    ]
    assert plain == []


def test_lists_of_the_administration_say_how_many_and_since_when(world, browser):
    row = delivered(happened(world), world, status="waiting")
    partners = browser.get(reverse("admin:portal_partner_changelist")).context["cl"].result_list
    assert [(one.client_count, one.people_count) for one in partners] == [(1, 0)]
    lanes = browser.get(reverse("admin:integrations_lane_changelist")).context["cl"].result_list
    assert [lane.oldest for lane in lanes] == [row.due_at]


def test_a_reason_with_a_nul_is_a_reason(world, browser):
    failed(world)
    asked = {"group": incidents.groups()[0].key, "partner": str(world.partner.pk), "reason": "a\x00b"}
    browser.post(reverse("incident_begin"), asked)
    assert BulkReprocess.objects.get().reason == "ab"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's tests share one connection")
def test_of_many_who_carry_it_out_at_once_one_does(live_world):
    failed(live_world)
    staff = make.user(is_staff=True)
    wanted = incidents.filter_of(incidents.groups()[0])
    key = incidents.begin(wanted, [live_world.partner], reason="x", by=staff)
    run_all()
    answers = at_the_same_moment(6, lambda: incidents.carry_out(incidents.find_case(key), by=staff))
    assert answers.count(True) == 1
    assert BulkReprocess.objects.filter(is_dry_run=False).count() == 1
