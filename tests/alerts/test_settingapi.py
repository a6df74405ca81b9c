"""Ticket settings over REST: sources, errors by field, nothing half done, not yours is not found."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.models import SettingChange, TicketSettings
from portal.models import Account
from tests import make

pytestmark = pytest.mark.django_db


def url(level: Any, more: str = "") -> str:
    return f"/api/v1/ticket-settings/{level.pk}{more}"


def test_each_field_is_told_with_its_source(api: Any, world: make.World) -> None:
    account = Account.objects.create(partner=world.partner, client=world.client, key="SRV-01")
    api.patch(url(world.client), {"due_in_hours": 4}, format="json")
    body = api.get(url(account)).json()
    found = body["settings"]
    assert body["level"] == "account"
    assert (found["due_in_hours"]["value"], found["due_in_hours"]["source"]["name"]) == (4, "Bakery Ott")
    assert found["due_in_hours"]["set_by"].startswith("API: ")
    assert (found["board"]["name"], found["board"]["source"]["level"]) == ("Backup", "organization")
    assert (found["closes_only_untouched"]["value"], found["closes_only_untouched"]["source"]) == (True, None)


def test_choices_are_the_psas_ids_and_null_inherits(api: Any, world: make.World) -> None:
    board = make.choice(world.credentials, "board", "Backup")
    status = make.choice(world.credentials, "status", "Completed", board.psa_id)
    answer = api.patch(url(world.client), {"closing_status": status.psa_id}, format="json")
    assert answer.json()["settings"]["closing_status"]["own"] == status.psa_id
    api.patch(url(world.client), {"closing_status": None}, format="json")
    assert not TicketSettings.objects.filter(client=world.client).exists()


def test_every_fault_is_named_with_its_code_and_nothing_is_changed(api: Any, world: make.World) -> None:
    board = make.choice(world.credentials, "board", "Backup")
    new = make.choice(world.credentials, "status", "New", board.psa_id)
    for body, expected in (
        ({"colour": "red"}, {("colour", "unknown_field")}),
        ({"board": "987654", "due_in_hours": 4}, {("board", "unknown_choice")}),
        ({"due_in_hours": -1}, {("due_in_hours", "min_value")}),
        ({"closing_status": new.psa_id, "due_in_hours": 4}, {("closing_status", "not_closed")}),
        ({"summary_template": "{nobody} {summary}"}, {("summary_template", "unknown_placeholder")}),
    ):
        answer = api.patch(url(world.client), body, format="json")
        assert answer.status_code == 400, body
        assert {(one["field"], one["code"]) for one in answer.json()["errors"]} == expected
    assert api.patch(url(world.client), [1], format="json").status_code == 400
    assert not TicketSettings.objects.filter(client=world.client).exists()


def test_a_reset_is_taken_back_through_the_history(api: Any, world: make.World) -> None:
    api.patch(url(world.client), {"due_in_hours": 4}, format="json")
    assert api.delete(url(world.client)).json()["settings"]["due_in_hours"]["value"] is None
    [reset, saved] = api.get(url(world.client, "/history")).json()["results"]
    assert (reset["origin"], saved["origin"]) == ("reset", "saved")
    answer = api.post(url(world.client, "/undo"), {"change": reset["change"]}, format="json")
    assert answer.json() == {"undone": ["Due in (hours)"], "left": []}
    assert api.get(url(world.client)).json()["settings"]["due_in_hours"]["value"] == 4
    again = api.post(url(world.client, "/undo"), {"change": reset["change"]}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "not_undone")
    assert [row["id"] for row in api.get("/api/v1/ticket-settings").json()["results"]] == [
        str(world.client.pk),
        str(world.organization.pk),
    ]


def test_another_partners_level_and_change_are_not_found(world: make.World) -> None:
    rival = make.api(make.token(make.partner("Rival")))
    assert {rival.get(url(level)).status_code for level in (world.client, world.organization)} == {404}
    assert rival.patch(url(world.client), {"due_in_hours": 1}, format="json").status_code == 404
    assert not SettingChange.objects.exists()


def test_a_token_without_the_scope_is_refused(world: make.World) -> None:
    reader = make.api(make.token(world.partner, ("settings:read",)))
    assert reader.get(url(world.client)).status_code == 200
    assert reader.patch(url(world.client), {}, format="json").status_code == 403


def test_a_client_is_switched_off_and_on(api: Any, world: make.World) -> None:
    where = f"/api/v1/clients/{world.client.pk}/disabled"
    assert api.get(where).json()["is_disabled"] is False
    past = api.put(where, {"until": "2020-01-01T00:00:00Z"}, format="json")
    assert past.json()["errors"][0]["code"] == "in_the_past"
    answer = api.put(where, {"reason": "moving house"}, format="json").json()
    assert (answer["is_disabled"], answer["reason"], answer["until"]) == (True, "moving house", None)
    assert api.delete(where).json()["is_disabled"] is False
