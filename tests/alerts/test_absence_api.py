"""Expected backups and saved searches over REST."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts import absence
from alerts.models import Expectation
from integrations.models import SavedSearch
from portal import clock
from tests import make

pytestmark = pytest.mark.django_db
EXPECTED, SEARCHES = "/api/v1/expectations", "/api/v1/saved-searches"


@pytest.fixture
def rival(world: make.World) -> Any:
    return make.api(make.token(make.partner("Rival")))


def test_what_is_said_takes_the_place_of_what_was_learnt_until_it_is_learnt_again(
    api: Any, world: make.World
) -> None:
    learnt = Expectation.objects.create(
        partner=world.partner, client=world.client, every_hours=30, learnt_from=9
    )
    url = f"{EXPECTED}/{learnt.pk}"
    assert api.get(url).json()["is_set"] is False
    said = api.post(EXPECTED, {"client": "19652", "every_hours": 24})
    assert (said.status_code, said.json()["id"]) == (201, str(learnt.pk))
    changed = api.patch(url, {"tolerance": "1.5"}).json()
    assert (changed["every_hours"], changed["tolerance"], changed["is_set"]) == ("24.00", "1.50", True)
    assert api.post(f"{url}/learn").json()["is_set"] is False


def test_what_nobody_watches_is_not_missing(api: Any, world: make.World) -> None:
    row = absence.set_expectation(world.client, every_hours=absence.Decimal(24))
    Expectation.objects.update(created_at=clock.now() - timedelta(days=9))
    assert absence.look() == 1
    [missing] = api.get(f"{EXPECTED}?missing=yes&client=19652").json()["results"]
    assert (missing["id"], missing["missing"]) == (str(row.pk), "backup")
    answer = api.patch(f"{EXPECTED}/{row.pk}", {"every_hours": "12", "is_enabled": False}).json()
    assert (answer["missing"], answer["missing_since"], answer["is_enabled"]) == ("", None, False)


@pytest.mark.parametrize(
    "body",
    [
        {"client": "19652", "every_hours": "0.1"},
        {"client": "19652", "every_hours": 9000},
        {"client": "19652", "every_hours": 24, "tolerance": 11},
        {"client": "19652", "every_hours": 24, "event_type": "backup.failed"},
        {"client": "19652", "every_hours": 24, "account": "nobody's"},
        {"client": "700", "every_hours": 24},
    ],
)
def test_what_cannot_be_expected_is_refused(api: Any, body: dict[str, Any]) -> None:
    assert api.post(EXPECTED, body).status_code == 400
    assert not Expectation.objects.exists()


def test_another_partner_finds_neither_and_names_no_foreign_client(
    api: Any, world: make.World, rival: Any
) -> None:
    expected = api.post(EXPECTED, {"client": "19652", "every_hours": 24}).json()["id"]
    search = api.post(SEARCHES, {"name": "x", "text": "x"}).json()["id"]
    assert rival.post(EXPECTED, {"client": "19652", "every_hours": 24}).status_code == 400
    for answer in (
        rival.patch(f"{EXPECTED}/{expected}", {"is_enabled": False}),
        rival.post(f"{EXPECTED}/{expected}/learn"),
        rival.put(f"{SEARCHES}/{search}", {"name": "x", "text": "y"}),
        rival.delete(f"{SEARCHES}/{search}"),
        rival.get(f"/api/v1/events?saved={search}"),
    ):
        assert answer.status_code == 404
    assert rival.get(SEARCHES).json()["results"] == rival.get(EXPECTED).json()["results"] == []


def test_a_saved_search_finds_what_its_conditions_and_more_say(api: Any, world: make.World) -> None:
    for account in ("SRV-01", "SRV-02"):
        api.post("/api/v1/events", make.event(account=account))
    made = api.post(
        SEARCHES, {"name": "Failed", "where": ["event_type = backup.failed"], "severity": "error"}
    )
    url = f"/api/v1/events?saved={made.json()['id']}"
    assert len(api.get(url).json()["results"]) == 2
    assert len(api.get(f"{url}&where=account = SRV-02").json()["results"]) == 1
    again = api.post(SEARCHES, {"name": "Failed", "text": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    for body in ({"name": "Everything"}, {"name": "x", "where": ["nonsense = 1"]}):
        assert api.post(SEARCHES, body).status_code == 400


def test_what_people_keep_for_themselves_is_not_told_and_what_they_share_is_theirs(
    api: Any, world: make.World
) -> None:
    person = make.user(world.partner)
    own, shared = (
        SavedSearch.objects.create(
            partner=world.partner, owner=person, name=name, is_shared=name == "shared", wanted={"text": "x"}
        )
        for name in ("own", "shared")
    )
    assert [row["name"] for row in api.get(SEARCHES).json()["results"]] == ["shared"]
    assert api.get(f"{SEARCHES}/{own.pk}").status_code == 404
    assert api.delete(f"{SEARCHES}/{own.pk}").status_code == 404
    refused = api.put(f"{SEARCHES}/{shared.pk}", {"name": "mine", "text": "y"})
    assert (refused.status_code, refused.json()["code"]) == (409, "persons_own")
    assert api.delete(f"{SEARCHES}/{shared.pk}").status_code == 204
    assert SavedSearch.objects.get() == own
