"""Reprocess with a dry run first: one, some, all that match; what is counted is what happens."""

from __future__ import annotations

from collections import Counter

import pytest
from django.urls import reverse

from integrations import bulkreprocess, eventlog, wake
from integrations.eventgrammar import WITH_ERRORS
from integrations.eventlog import Verdict
from integrations.eventsearch import EventFilter
from integrations.models import BulkReprocess, Credentials, Delivery, Event
from portal import clock
from tests import make
from tests.portal.test_pages import Scene, delivered, happened, signed_in
from tests.portal.test_pages import scene as scene_fixture

pytestmark = pytest.mark.django_db
scene = scene_fixture
ERRORS = EventFilter(conditions=(WITH_ERRORS,))


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch, tmp_path):
    monkeypatch.setattr(wake, "SOCKETS", tmp_path)


def statuses() -> Counter[str]:
    return Counter(Delivery.objects.values_list("status", flat=True))


@pytest.mark.parity("S4-55")
def test_the_preview_counts_what_then_happens_and_writes_nothing(scene):
    same = delivered(scene.event, scene.world, status="skipped")
    waiting = delivered(happened(scene.world, condition_key="b"), scene.world, status="waiting")
    Delivery.objects.filter(pk=waiting.pk).update(due_at=clock.now() + clock.spread(9000))
    busy = delivered(happened(scene.world, condition_key="c"), scene.world, status="unknown")
    behind = delivered(happened(scene.world, condition_key="c"), scene.world)
    before = list(Delivery.objects.order_by("pk").values())
    verdicts = eventlog.foresee(Delivery.objects.all())
    assert list(Delivery.objects.order_by("pk").values()) == before
    assert verdicts == {
        scene.delivery.pk: Verdict.OLDER,
        same.pk: Verdict.AGAIN,
        waiting.pk: Verdict.SOONER,
        busy.pk: Verdict.ON_ITS_WAY,
        behind.pk: Verdict.ON_ITS_WAY,
    }
    done = eventlog.reprocess(Delivery.objects.all())
    assert done == sum(verdict in (Verdict.AGAIN, Verdict.SOONER) for verdict in verdicts.values())


def test_without_a_psa_the_preview_says_so(scene):
    Credentials.objects.update(kind="none")
    mail = delivered(scene.event, scene.world, action="email", subject="email:1")
    assert eventlog.foresee(Delivery.objects.all()) == {
        scene.delivery.pk: Verdict.NO_PSA,
        mail.pk: Verdict.AGAIN,
    }
    assert eventlog.reprocess(Delivery.objects.filter(pk=mail.pk)) == 1


def test_the_page_previews_ticked_events(scene):
    browser = signed_in(scene.manager)
    answer = browser.post(reverse("reprocess_selected"), {"event": [str(scene.event.pk)], "preview": "1"})
    assert "Tried again, beginning with a search" in answer.content.decode()
    assert statuses() == {"failed": 1}


def test_all_that_match_are_counted_first_and_reprocessed_when_confirmed(scene, monkeypatch):
    monkeypatch.setattr(bulkreprocess, "STEP", 2)
    keys = [
        delivered(happened(scene.world, condition_key=f"k{n}"), scene.world, error_text="Refused.").pk
        for n in range(5)
    ]
    fine = delivered(happened(scene.world, condition_key="fine"), scene.world, status="done", error_text="")
    dry = bulkreprocess.begin(scene.world.partner, ERRORS, is_dry_run=True, by="a@example.com")
    later = delivered(happened(scene.world, condition_key="later"), scene.world, error_text="Refused.")
    bulkreprocess.take_turn(str(dry.pk))
    dry.refresh_from_db()
    assert (dry.state, dry.verdicts) == ("done", {"again": 6})
    assert statuses() == {"failed": 7, "done": 1}
    wet = bulkreprocess.begin(scene.world.partner, ERRORS, is_dry_run=False, by="a@example.com")
    bulkreprocess.take_turn(str(wet.pk))
    wet.refresh_from_db()
    assert wet.verdicts == {"again": 7}
    assert set(Delivery.objects.filter(status="waiting").values_list("pk", flat=True)) == {
        *keys,
        scene.delivery.pk,
        later.pk,
    }
    fine.refresh_from_db()
    assert fine.status == "done"


def test_another_partners_deliveries_are_not_touched(scene):
    other = make.partner("Other MSP", "other-msp")
    row = bulkreprocess.begin(other, ERRORS, is_dry_run=False, by="a@example.com")
    bulkreprocess.take_turn(str(row.pk))
    row.refresh_from_db()
    assert (row.state, row.events) == ("done", 0)
    assert statuses() == {"failed": 1}


def test_a_turn_that_comes_twice_or_after_the_end_does_nothing_more(scene):
    row = bulkreprocess.begin(scene.world.partner, ERRORS, is_dry_run=True, by="a@example.com")
    for _ in range(3):
        bulkreprocess.take_turn(str(row.pk))
    row.refresh_from_db()
    assert row.verdicts == {"again": 1}


def test_it_goes_on_where_it_was_and_stops_when_told(scene, monkeypatch):
    monkeypatch.setattr(bulkreprocess, "STEP", 1)
    for number in range(4):
        delivered(happened(scene.world, condition_key=f"k{number}"), scene.world, error_text="Refused.")
    row = bulkreprocess.begin(scene.world.partner, ERRORS, is_dry_run=True, by="a@example.com")
    assert bulkreprocess.step(str(row.pk))
    assert bulkreprocess.step(str(row.pk))
    row.refresh_from_db()
    assert row.verdicts == {"again": 2}
    assert bulkreprocess.stop(row)
    assert not bulkreprocess.step(str(row.pk))
    assert not bulkreprocess.stop(row)


def test_a_lost_job_is_handed_over_again(scene, monkeypatch):
    row = bulkreprocess.begin(scene.world.partner, ERRORS, is_dry_run=True, by="a@example.com")
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr("portal.background.enqueue", lambda *call: asked.append(call))
    bulkreprocess.look_after()
    assert asked == []
    BulkReprocess.objects.update(moved_at=clock.now() - 2 * bulkreprocess.LOST_AFTER)
    bulkreprocess.look_after()
    assert (bulkreprocess.JOB, str(row.pk)) in asked


@pytest.mark.django_db(transaction=True)
def test_the_page_counts_shows_and_does(live_world):
    delivered(happened(live_world), live_world, error_text="Refused.")
    browser = signed_in(make.user(live_world.partner))
    query = {"matching": "1", "field": "error_list", "op": "LIKE", "term": "?*"}
    text = browser.post(reverse("reprocess_selected"), query, follow=True).content.decode()
    assert "What reprocessing all that match would do" in text
    assert "Reprocess 1 delivery" in text
    text = browser.post(
        reverse("change_bulk", args=[BulkReprocess.objects.get().pk]), follow=True
    ).content.decode()
    assert "1 event matched" in text
    assert statuses() == {"waiting": 1}


def test_a_viewer_may_not(scene: Scene):
    viewer = signed_in(make.user(scene.world.partner, role="viewer", email="viewer@example.com"))
    assert (
        viewer.post(reverse("reprocess_selected"), {"matching": "1", "only_errors": "on"}).status_code == 403
    )
    assert not BulkReprocess.objects.exclude(pk=scene.bulk.pk).exists()
    assert Event.objects.exists()
