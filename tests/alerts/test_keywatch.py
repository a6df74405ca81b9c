"""Keys that change with every event are told at the door; names are not suspected (6.11, K1)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from alerts import eventtypes
from alerts.models import EventType, KeyShape
from tests import make


def warnings(api: Any, **fields: Any) -> list[str]:
    answer = api.post("/api/v1/events", make.event(**fields)).json()
    return [one["code"] for one in answer["results"][0]["warnings"]]


def test_a_time_in_a_key_is_told_with_the_first_event(api: Any) -> None:
    assert warnings(api, condition_key="nightly 2026-11-21T02:00:00Z") == ["volatile_key"]


def test_an_id_that_is_new_each_time_is_told_with_the_third_event(api: Any) -> None:
    runs = ["9f86d081-884c-4d63-a15d-3dea2c1f0a01", "1c2d3e4f-0a1b-4c3d-9e5f-6a7b8c9d0e1f"]
    assert [warnings(api, condition_key=f"run {run}") for run in runs] == [[], []]
    assert warnings(api, condition_key="run 5b6c7d8e-9f00-4111-a222-333444555666") == ["volatile_key"]
    assert "an id that is new each time" in KeyShape.objects.get().suspicion


def test_devices_named_by_ids_are_believed_once_they_come_again(api: Any) -> None:
    devices = [f"{number}f86d081-884c-4d63-a15d-3dea2c1f0a01" for number in range(2)]
    for _ in range(3):
        assert [warnings(api, condition_key=f"device {name}") for name in devices] == [[], []]
    assert warnings(api, condition_key="device 7f86d081-884c-4d63-a15d-3dea2c1f0a01") == []


@pytest.mark.parametrize("names", [["SRV-01", "SRV-02", "SRV-03"], ["4711", "9022", "15377"]])
def test_names_with_numbers_are_no_counters(api: Any, names: list[str]) -> None:
    assert [warnings(api, account="", data={"job": name}) for name in names] == [[], [], []]


def test_keys_without_such_parts_are_not_watched(api: Any) -> None:
    for _ in range(3):
        assert warnings(api) == []
    assert not KeyShape.objects.exists()


def test_another_key_definition_is_saved_only_after_its_effect_was_seen(world: make.World, api: Any) -> None:
    for number in range(4):
        data = {"job": "Nightly", "disk": f"D{number}"}
        api.post("/api/v1/events", make.event(type="backup.failed", data=data))
    seen = eventtypes.preview("backup.failed", family="backup", condition_fields=["job", "disk"])
    assert (seen.events, seen.now, seen.then) == (4, 1, 4)
    row = EventType.objects.get(name="backup.failed")
    browser = Browser()
    browser.force_login(make.user(is_staff=True, is_superuser=True))
    form = {
        "name": row.name,
        "title": row.title,
        "family": row.family,
        "default_action": row.default_action,
        "condition_fields": '["job", "disk"]',
    }
    answer = browser.post(f"/admin/alerts/eventtype/{row.pk}/change/", form)
    assert "4 events would have been 4 conditions instead of 1" in answer.content.decode()
    row.refresh_from_db()
    assert row.condition_fields == ["job"]
    browser.post(f"/admin/alerts/eventtype/{row.pk}/change/", {**form, "seen": "on"})
    row.refresh_from_db()
    assert row.condition_fields == ["job", "disk"]


def test_the_pages_show_types_and_suspected_keys(world: make.World, api: Any) -> None:
    for number in range(3):
        api.post("/api/v1/events", make.event(condition_key=f"run {number + 700}"))
    browser = Browser()
    browser.force_login(make.user(world.partner))
    assert "backup.succeeded" in browser.get("/event-types").content.decode()
    page = browser.get("/event-types/keys").content.decode()
    assert "a counter (700, 701, 702)" in page
    assert "Worth a look" in browser.get("/").content.decode()


def test_an_event_tells_who_made_its_key(world: make.World, api: Any) -> None:
    sent = api.post("/api/v1/events", make.event(condition_key="own key")).json()["results"][0]
    made = api.post("/api/v1/events", make.event()).json()["results"][0]
    steps = [
        next(step for step in api.get(one["url"]).json()["trace"] if step["step"] == "condition")
        for one in (sent, made)
    ]
    assert steps[0]["key_from"] == "sent by the source"
    assert "family backup" in steps[1]["key_from"]
