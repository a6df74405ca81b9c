"""Zones, headers, permissions and limits of the pretend Autotask."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from integrations.sandbox import running_sandbox
from integrations.sandbox.autotask.answers import Refused
from integrations.sandbox.autotask.limits import Limits
from integrations.sandbox.autotask.settings import Switches
from tests.integrations.sandbox.autotask_caller import BAKERY, TICKET, AutotaskCaller

ALL = {"filter": [{"op": "exist", "field": "id"}]}


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


def test_the_zone_is_told_without_signing_in(ask, autotask):
    ask.keys = dict.fromkeys(ask.keys, "")
    user = autotask.dialect.credentials()["user_name"]
    zone = ask("GET", "/atservicesrest/v1.0/zoneInformation", user=user).json
    assert zone["url"] == f"{autotask.url}/ATServicesRest/"
    assert set(zone) == {"zoneName", "url", "webUrl", "ci"}


def test_an_unknown_user_has_no_zone(ask):
    reply = ask("GET", "/zoneInformation", user="nobody@example.com")
    assert (reply.status, reply.json) == (500, {"errors": ["Zone information could not be determined"]})


@pytest.mark.parametrize("header", ["UserName", "Secret", "ApiIntegrationCode"])
@pytest.mark.parametrize("value", [None, "wrong"])
def test_a_wrong_header_is_a_401_that_says_nothing(ask, header, value):
    reply = ask("GET", "/Version", headers={header: value})
    assert (reply.status, reply.body, reply.headers["content-length"]) == (401, b"", "0")
    assert reply.headers["www-authenticate"].startswith("Basic Realm=")


def test_a_database_that_moved_answers_401_at_its_old_zone(ask, autotask):
    autotask.control.switches(zone_path="zone7")
    assert ask("GET", "/Version").status == 401
    url = ask("GET", "/zoneInformation", user=ask.keys["user_name"]).json["url"]
    assert url == f"{autotask.url}/zone7/ATServicesRest/"
    assert ask("GET", "/zone7/ATServicesRest/v1.0/Version").status == 200


@pytest.mark.parametrize(
    "path", ["/ATServicesRest/V1.0/Tickets/10001", "/atservicesrest/v1.0/tickets/10001/"]
)
def test_paths_come_in_any_case_and_with_a_slash(ask, path):
    assert ask("GET", path).json["item"]["id"] == 10001


def test_what_the_service_says_about_itself(ask):
    assert ask("GET", "/atservicesrest/versioninformation").json == {"apiVersions": ["v1.0"]}
    assert set(ask("GET", "/Version").json) == {"majorVersion", "minorVersion", "build", "customerType"}
    assert all(set(one) == {"key", "value"} for one in ask("GET", "/Modules").json["modules"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/Tickets/10001", 405),
        ("GET", "/Tickets", 405),
        ("PATCH", "/Tickets/10001", 405),
        ("POST", "/TicketNotes", 404),
        ("POST", "/Tickets/10001/Notes/query", 404),
        ("GET", "/Nothing/1", 404),
    ],
)
def test_what_is_not_routed_says_message(ask, method, path, status):
    reply = ask(method, path, {})
    assert (reply.status, list(reply.json)) == (status, ["Message"])


@pytest.mark.parametrize(
    ("right", "method", "path", "body"),
    [
        ("query", "POST", "/Tickets/query", ALL),
        ("query", "GET", "/Tickets/10001", None),
        ("create", "POST", "/Tickets", TICKET),
        ("update", "PATCH", "/Tickets", {"id": 10001, "title": "x"}),
    ],
)
def test_a_missing_right_is_a_500_that_names_it(ask, autotask, right, method, path, body):
    autotask.control.role(tickets={right: "None"})
    reply = ask(method, path, body)
    assert reply.status == 500
    assert reply.json["errors"][0].endswith(f"adequate permissions to {right} this entity type.")
    assert autotask.control.journal() == []
    autotask.control.switches(permission_status=403)
    assert ask(method, path, body).status == 403


def test_entity_information_follows_the_role_unless_switched(ask, autotask):
    autotask.control.role(contracts={"update": "None"})
    info = ask("GET", "/Contracts/entityInformation").json["info"]
    assert (info["canUpdate"], info["userAccessForUpdate"], info["userAccessForQuery"]) == (
        True,
        "None",
        "All",
    )
    autotask.control.switches(access_follows_user=False)
    assert ask("GET", "/Contracts/entityInformation").json["info"]["userAccessForUpdate"] == "All"


def test_a_module_that_is_off_is_read_only(ask, autotask):
    autotask.control.switches(modules_off="contracts")
    assert ask("GET", "/Contracts/401").status == 200
    assert ask("PATCH", "/Contracts", {"id": 401, "contractName": "x"}).status == 500


def test_a_restricted_line_of_business_misses_rows_in_silence(ask, autotask):
    everyone = ask.query("Companies", ALL["filter"][0])
    autotask.control.role(companies={"query": "Restricted"}, tickets={"query": "Restricted"})
    some = ask.query("Companies", ALL["filter"][0])
    assert 0 < len(some) < len(everyone)
    assert {row["companyID"] for row in ask.query("Tickets", ALL["filter"][0])} < {BAKERY, 202, 203}
    hidden = {row["id"] for row in everyone} - {row["id"] for row in some}
    assert ask("GET", f"/Companies/{min(hidden)}").json == {"item": None}


def test_who_is_impersonated_becomes_the_creator(ask, autotask):
    as_reyes = {"ImpersonationResourceId": "29682902"}
    made = ask("POST", "/Tickets", TICKET, headers=as_reyes).json["itemId"]
    ticket = ask.get("Tickets", made)
    assert (ticket["creatorResourceID"], ticket["impersonatorCreatorResourceID"]) == (29682902, 29682901)
    assert ask("POST", "/Tickets/query", ALL, headers=as_reyes).status == 500
    autotask.control.switches(impersonation="refused")
    assert ask("POST", "/Tickets", TICKET, headers=as_reyes).status == 500


def test_usage_is_counted_for_everybody(ask, autotask):
    autotask.control.post("usage", {"used": 120})
    ask("GET", "/Version")
    usage = ask("GET", "/ThresholdInformation").json
    assert usage == {
        "externalRequestThreshold": 10_000,
        "requestThresholdTimeframe": 60,
        "currentTimeframeRequestCount": 122,
    }


def test_at_the_limit_everything_is_refused_until_it_is_raised(ask, autotask):
    autotask.control.switches(requests_per_window=3, slow_seconds=0, slower_seconds=0, retry_after="7")
    assert [ask("GET", "/Version").status for _ in range(4)] == [200, 200, 200, 429]
    assert ask("GET", "/ThresholdInformation").headers["retry-after"] == "7"
    autotask.control.switches(requests_per_window=0)
    assert ask("GET", "/Version").status == 200


def test_the_window_rolls_and_slows_down_before_it_ends():
    limits = Limits()
    switches = Switches(requests_per_window=4, window_seconds=60)
    assert [limits.enter(at, switches) for at in (0, 1, 2, 3)] == [0.0, 0.5, 1.0, 1.0]
    with pytest.raises(Refused):
        limits.enter(59, switches)
    assert limits.enter(60.5, switches) == 1.0
    assert limits.used(62.5, switches) == 2


def test_the_fourth_call_at_once_for_one_entity_is_too_many(ask, autotask):
    autotask.control.switches(answer_seconds=0.3)
    replies = []

    def read(path):
        replies.append((path, ask("GET", path).status))

    threads = [threading.Thread(target=read, args=("/Tickets/10001",)) for _ in range(4)]
    threads.append(threading.Thread(target=read, args=("/Companies/201",)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for path, status in replies if "Tickets" in path) == [200, 200, 200, 429]
    assert ("/Companies/201", 200) in replies


def test_time_may_be_told_by_the_test():
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    with running_sandbox(kind="autotask") as sandbox:
        sandbox.dialect._clock = lambda: now[0]
        sandbox.control.post("usage", {"used": 5})
        now[0] += timedelta(hours=2)
        assert sandbox.control.get("usage")["currentTimeframeRequestCount"] == 0
