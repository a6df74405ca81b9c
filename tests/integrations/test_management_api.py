"""Set-up over REST: organizations, connections, options, webhooks; secrets go in, and come out once or never."""

from __future__ import annotations

from typing import Any

import pytest

from alerts import webhooks
from alerts.models import WebhookEndpoint
from integrations.models import Credentials, Delivery
from portal.models import IdempotentRequest
from tests import make

pytestmark = pytest.mark.django_db
HOOK = "http://127.0.0.1:9999/hook"


@pytest.fixture
def rival(world: make.World) -> Any:
    return make.api(make.token(make.partner("Rival")))


def keys(world: make.World) -> dict[str, Any]:
    known = world.sandbox.dialect.credentials()
    return {
        "kind": "connectwise",
        "site_url": world.sandbox.url,
        "login_company": known["company"],
        "public_key": known["public_key"],
        "secret": known["private_key"],
    }


# --- Organizations ----------------------------------------------------------------------------------------------------


def test_an_organization_hangs_where_it_is_told_and_never_below_itself(api: Any, world: make.World) -> None:
    east = api.post("/api/v1/organizations", {"name": "East"}, format="json").json()
    assert east["parent"] == str(world.organization.pk)
    inner = api.post("/api/v1/organizations", {"name": "Inner", "parent": east["id"]}, format="json").json()
    for pk, parent in (
        (east["id"], inner["id"]),
        (east["id"], east["id"]),
        (str(world.organization.pk), east["id"]),
    ):
        answer = api.patch(f"/api/v1/organizations/{pk}", {"parent": parent}, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "parent")
    moved = api.patch(
        f"/api/v1/organizations/{inner['id']}",
        {"parent": str(world.organization.pk), "tickets_mode": "observe"},
        format="json",
    )
    assert (moved.json()["parent"], moved.json()["tickets_mode"]) == (str(world.organization.pk), "observe")


def test_organizations_of_a_list_are_made_but_for_those_that_are_wrong(
    api: Any, world: make.World, rival: Any
) -> None:
    theirs = rival.post("/api/v1/organizations", {"name": "Theirs"}, format="json").json()["id"]
    body = {
        "organizations": [{"name": "One"}, {"name": ""}, {"name": "Two", "parent": theirs}, {"name": "Three"}]
    }
    results = api.post("/api/v1/organizations", body, format="json").json()["results"]
    assert [one["status"] for one in results] == ["accepted", "rejected", "rejected", "accepted"]
    assert [one["errors"][0]["field"] for one in results[1:3]] == ["name", "parent"]
    assert {row["name"] for row in api.get("/api/v1/organizations").json()["results"]} == {
        "Northwind MSP",
        "One",
        "Three",
    }
    assert (
        rival.patch(f"/api/v1/organizations/{results[0]['id']}", {"name": "x"}, format="json").status_code
        == 404
    )


def test_a_token_of_one_partner_sees_that_partner_alone(api: Any, world: make.World, rival: Any) -> None:
    assert [row["slug"] for row in api.get("/api/v1/partners").json()["results"]] == [world.partner.slug]
    assert rival.get(f"/api/v1/partners/{world.partner.pk}").status_code == 404
    vendor = make.api(make.token(None))
    assert len(vendor.get("/api/v1/partners").json()["results"]) == 2
    named = vendor.post(
        "/api/v1/organizations", {"name": "East", "partner": world.partner.slug}, format="json"
    )
    assert named.json()["partner"] == str(world.partner.pk)


# --- Connections ------------------------------------------------------------------------------------------------------


def test_a_connection_is_made_tested_and_never_tells_its_secret(api: Any, world: make.World) -> None:
    secret = keys(world)["secret"]
    made = api.post(
        "/api/v1/connections", {**keys(world), "client": "19652"}, format="json", HTTP_IDEMPOTENCY_KEY="a"
    )
    assert made.status_code == 201, made.content
    url = f"/api/v1/connections/{made.json()['id']}"
    assert (made.json()["client"], made.json()["level"]) == (str(world.client.pk), "Bakery Ott")
    assert api.post(f"{url}/test").json()["passed"] is True
    told = [
        made,
        api.get(url),
        api.get("/api/v1/connections"),
        api.patch(url, {"secret": secret}, format="json"),
    ]
    assert all(answer.status_code in (200, 201) for answer in told)
    assert not any(secret in answer.content.decode() for answer in told)
    assert not IdempotentRequest.objects.filter(answer__contains=secret).exists()
    again = api.post("/api/v1/connections", {**keys(world), "client": "19652"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "exists")


def test_keys_are_changed_and_a_stored_secret_goes_to_no_other_host(api: Any, world: make.World) -> None:
    url = f"/api/v1/connections/{world.credentials.pk}"
    kept = Credentials.objects.get().secret
    answer = api.patch(url, {"public_key": "another-key"}, format="json")
    assert (answer.json()["public_key"], answer.json()["test_passed"]) == ("another-key", None)
    assert Credentials.objects.get().secret == kept
    for body, field in (
        ({"site_url": "http://127.0.0.1:1999"}, "site_url"),
        ({"site_url": "http://127.0.0.1:1999", "is_same_psa": True}, "secret"),
        ({"kind": "autotask"}, "kind"),
        ({"public_key": "with blank"}, "public_key"),
    ):
        refused = api.patch(url, body, format="json")
        assert (refused.status_code, refused.json()["field"]) == (400, field), refused.content
    assert api.get(url).json()["site_url"] == world.credentials.site_url


def test_connections_are_those_of_the_token(api: Any, world: make.World, rival: Any) -> None:
    url = f"/api/v1/connections/{world.credentials.pk}"
    for path in ("", "/choices", "/options"):
        assert rival.get(url + path).status_code == 404
    assert rival.patch(url, {"public_key": "mine"}, format="json").status_code == 404
    assert rival.post(f"{url}/options").status_code == 404
    body = {**keys(world), "organization": str(world.organization.pk)}
    assert rival.post("/api/v1/connections", body, format="json").status_code == 400
    reader = make.api(make.token(world.partner, ("connections:read",)))
    assert reader.patch(url, {"public_key": "mine"}, format="json").status_code == 403


def test_options_are_told_with_their_age_and_read_anew(api: Any, world: make.World) -> None:
    url = f"/api/v1/connections/{world.credentials.pk}"
    boards = api.get(f"{url}/choices?kind=board").json()["results"]
    assert {"Backup"} <= {row["name"] for row in boards}
    board = next(row for row in boards if row["name"] == "Backup")
    statuses = api.get(f"{url}/choices?kind=status&within={board['id']}").json()["results"]
    assert statuses
    assert {row["within"] for row in statuses} == {board["id"]}
    assert [
        row["id"] for row in api.get(f"{url}/choices?kind=board&search={board['id']}").json()["results"]
    ] == [board["id"]]
    assert api.get(f"{url}/choices?kind=nonsense").json()["code"] == "unknown_value"
    options = api.get(f"{url}/options").json()
    assert next(one for one in options["kinds"] if one["kind"] == "board")["read_at"]
    asked = api.post(f"{url}/options")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    assert api.post(f"{url}/options").json()["id"] == asked.json()["id"]


# --- Webhooks ---------------------------------------------------------------------------------------------------------


def test_a_webhooks_secret_is_told_once_and_kept_by_no_repeat(api: Any, world: make.World) -> None:
    def make_it() -> Any:
        return api.post(
            "/api/v1/webhooks", {"name": "Status", "url": HOOK}, format="json", HTTP_IDEMPOTENCY_KEY="w"
        )

    first, repeat = make_it(), make_it()
    secret = first.json()["secret"]
    row = WebhookEndpoint.objects.get()
    assert secret == webhooks.secret_of(row)
    assert (repeat["Idempotency-Replayed"], repeat.json()) == ("true", {**first.json(), "secret": None})
    assert not IdempotentRequest.objects.filter(answer__contains=secret).exists()
    url = f"/api/v1/webhooks/{row.pk}"
    for answer in (
        api.get(url),
        api.get("/api/v1/webhooks"),
        api.put(url, {"name": "S", "url": HOOK + "2"}, format="json"),
    ):
        assert secret not in answer.content.decode()
    renewed = api.post(f"{url}/secret", HTTP_IDEMPOTENCY_KEY="r").json()["secret"]
    assert renewed != secret
    assert webhooks.secret_of(WebhookEndpoint.objects.get()) == renewed
    assert not IdempotentRequest.objects.filter(answer__contains=renewed).exists()
    elsewhere = api.put(url, {"name": "S", "url": "http://127.0.0.2:9999/"}, format="json").json()
    assert elsewhere["secret"] not in (None, renewed)


def test_a_webhook_with_a_rule_is_not_deleted(api: Any, world: make.World, rival: Any) -> None:
    hook = api.post("/api/v1/webhooks", {"name": "Status", "url": HOOK}, format="json").json()["id"]
    rule = {"name": "Tell", "action": "webhook", "webhook": hook, "severities": ["error"]}
    made = api.post("/api/v1/notifications", rule, format="json").json()
    url = f"/api/v1/webhooks/{hook}"
    assert api.delete(url).json()["code"] == "in_use"
    assert rival.delete(url).status_code == rival.get(f"{url}/deliveries").status_code == 404
    assert (
        rival.post(f"{url}/secret").status_code
        == rival.put(url, {"name": "x", "url": HOOK}).status_code
        == 404
    )
    api.delete(f"/api/v1/notifications/{made['id']}")
    assert api.delete(url).status_code == 204
    assert api.post("/api/v1/webhooks", {"name": "x", "url": "file:///etc"}, format="json").status_code == 400


def test_deliveries_are_sent_again_one_result_each(api: Any, world: make.World) -> None:
    hook = api.post("/api/v1/webhooks", {"name": "Status", "url": HOOK}, format="json").json()["id"]
    rule = {"name": "Tell", "action": "webhook", "webhook": hook, "severities": ["error"]}
    api.post("/api/v1/notifications", rule, format="json")
    for _ in range(2):
        api.post("/api/v1/events", make.event(), format="json")
    url = f"/api/v1/webhooks/{hook}"
    newer, older = api.get(f"{url}/deliveries").json()["results"]
    Delivery.objects.filter(pk=older["id"]).update(status="done")
    ticket = str(Delivery.objects.filter(action="ticket").first().pk)
    answer = api.post(f"{url}/redeliver", {"deliveries": [older["id"], newer["id"], ticket]}, format="json")
    found = [(one["status"], [error["code"] for error in one["errors"]]) for one in answer.json()["results"]]
    assert found == [("accepted", []), ("rejected", ["under_way"]), ("rejected", ["not_found"])]
    assert Delivery.objects.get(pk=older["id"]).reason == "reprocess"


def test_mail_settings_keep_what_is_left_out(api: Any, world: make.World) -> None:
    url = "/api/v1/mail-settings"
    assert api.put(url, {"no_backup": True}, format="json").json()["errors"][0]["field"] == "address"
    api.put(url, {"no_backup": True, "address": "alarm@northwind.example"}, format="json")
    api.put(url, {"connector_addresses": ["psa@northwind.example"]}, format="json")
    found = api.get(url).json()
    assert (found["no_backup"], found["address"], found["connector_addresses"]) == (
        True,
        "alarm@northwind.example",
        ["psa@northwind.example"],
    )


# --- What is wrong ----------------------------------------------------------------------------------------------------


def test_conditions_and_tickets_are_found_by_client_and_state(
    api: Any, world: make.World, drain: Any, rival: Any
) -> None:
    api.post("/api/v1/events", make.event(), format="json")
    drain()
    condition = api.get("/api/v1/conditions?state=failing&client=19652").json()["results"][0]
    ticket = api.get(f"/api/v1/tickets/{condition['ticket']}").json()
    assert (ticket["state"], ticket["client"], ticket["condition"]) == ("open", "EFS-19652", condition["id"])
    assert ticket["number"]
    assert ticket["url"]
    for query, expected in (
        (f"tickets?number={ticket['number']}", 1),
        (f"tickets?condition={condition['id']}&state=open", 1),
        ("tickets?state=closed", 0),
        ("tickets?client=1", 0),
        ("conditions?severity=info", 0),
        ("conditions?client=EFS-19652", 1),
    ):
        assert len(api.get(f"/api/v1/{query}").json()["results"]) == expected, query
    assert api.get("/api/v1/tickets?state=ajar").json()["code"] == "unknown_value"
    assert (
        rival.get("/api/v1/conditions").json()["results"]
        == rival.get("/api/v1/tickets").json()["results"]
        == []
    )
    assert rival.get(f"/api/v1/tickets/{ticket['id']}").status_code == 404


def test_lists_of_conditions_and_tickets_take_as_many_queries_for_many(
    api: Any, world: make.World, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        make.condition(world, key=f"k{number}")
    for path in ("conditions", "tickets", "organizations", "connections", "webhooks"):
        api.get(f"/api/v1/{path}")
        with django_assert_max_num_queries(5):
            assert api.get(f"/api/v1/{path}").status_code == 200


# --- Synchronize ------------------------------------------------------------------------------------------------------


def test_a_client_is_synchronized_once_however_often_it_is_asked(
    api: Any, world: make.World, rival: Any
) -> None:
    url = f"/api/v1/clients/{world.client.pk}/synchronize"
    first, second = api.post(url), api.post(url)
    assert (first.status_code, first.json()["status"], second.json()["status"]) == (
        202,
        "asked",
        "waits_already",
    )
    assert first.json()["delivery"] == second.json()["delivery"] == api.get(url).json()["delivery"]
    assert api.get(f"/api/v1/deliveries/{first.json()['delivery']}").json()["action"] == "synchronize"
    assert rival.post(url).status_code == rival.get(url).status_code == 404
    assert "online-backup-servers" in {row["key"] for row in api.get("/api/v1/services").json()["results"]}
