"""Webhooks: what is subscribed to, what a call looks like, what happens when nobody answers."""

import base64
import hashlib
import hmac
import time

import pytest

from tests.integrations.sandbox.autotask_caller import BAKERY, AutotaskCaller, where
from tests.integrations.sandbox.receiver import Receiver

SIGNING_KEY = "k" * 32


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.stop()


def subscribe(ask, receiver, stem="Ticket", fields=("title", "status"), always=("externalID",), **more):
    webhook = {
        "name": "Portal",
        "isActive": True,
        "webhookUrl": f"{receiver.url}/hook?c=1",
        "deactivationUrl": f"{receiver.url}/off",
        "secretKey": SIGNING_KEY,
        "sendThresholdExceededNotification": False,
        **{f"isSubscribedTo{action}Events": True for action in ("Create", "Update", "Delete")},
        **more,
    }
    made = ask.create(f"/{stem}Webhooks", webhook)
    described = ask("GET", f"/{stem}WebhookFields/entityInformation/fields").json["fields"]
    numbers = {one["label"]: one["value"] for one in described[1]["picklistValues"]}
    for name in (*fields, *always):
        body = {
            "fieldID": numbers[name],
            "isSubscribedField": name in fields,
            "isDisplayAlwaysField": name in always,
        }
        ask.create(f"/{stem}Webhooks/{made}/Fields", body)
    return made


def ended(sandbox, count):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = sandbox.control.get("webhooks")
        if len(found["ended"]) >= count and not found["pending"]:
            return found["ended"]
        time.sleep(0.01)
    raise AssertionError(found)


def test_a_webhook_is_ready_once_a_field_is_subscribed(ask, receiver):
    made = subscribe(ask, receiver, fields=(), always=())
    hook = ask.get("TicketWebhooks", made)
    assert (hook["isReady"], hook["ownerResourceID"]) == (False, 29682901)
    field = {"fieldID": 4, "isSubscribedField": True, "isDisplayAlwaysField": False}
    ask.create(f"/TicketWebhooks/{made}/Fields", field)
    assert ask.get("TicketWebhooks", made)["isReady"]


def test_a_change_is_told_with_its_fields_and_a_signature(ask, autotask, receiver):
    made = subscribe(ask, receiver)
    ticket = autotask.control.technician(
        "create", fields={"title": "Büro & Café", "companyID": BAKERY, "externalID": "e1", "queueID": 8}
    )
    autotask.control.technician("close", ticket=ticket["id"])
    first, second = receiver.payloads(2)
    assert first["Fields"] == {"title": "Büro & Café", "status": 1, "externalID": "e1"}
    assert second["Fields"] == {"status": 5, "externalID": "e1"}
    assert (first["Action"], second["Action"], second["EntityType"]) == ("Create", "Update", "Ticket")
    assert (second["Id"], second["SequenceNumber"], second["PersonID"]) == (ticket["id"], 2, 29682902)
    assert first["Guid"] == second["Guid"] == ask.get("TicketWebhooks", made)["webhookGUID"]
    call = receiver.calls[0]
    digest = hmac.new(SIGNING_KEY.encode(), call.body, hashlib.sha1).digest()
    assert call.headers["x-hook-signature"] == "sha1=" + base64.b64encode(digest).decode()
    assert call.target == "/hook?c=1"
    assert b"&" not in call.body


def test_other_changes_and_excluded_people_are_not_told(ask, autotask, receiver):
    made = subscribe(ask, receiver)
    ask.create(f"/TicketWebhooks/{made}/ExcludedResources", {"resourceID": 29682901})
    ask("PATCH", "/Tickets", {"id": 10001, "title": "By the API user"})
    autotask.control.technician("edit", ticket=10001, fields={"description": "Not subscribed"})
    autotask.control.technician("edit", ticket=10001, fields={"title": "By a person"})
    ended(autotask, 1)
    assert [one["Fields"]["title"] for one in receiver.payloads(1)] == ["By a person"]


def test_a_deletion_is_told_too(ask, autotask, receiver):
    subscribe(ask, receiver)
    autotask.control.technician("delete", ticket=10001)
    assert receiver.payloads(1)[0]["Action"] == "Delete"


def test_companies_go_by_their_old_name(ask, autotask, receiver):
    subscribe(ask, receiver, "Company", fields=("companyName",), always=())
    autotask.control.technician("rename", company=BAKERY, name="Ott & Sons")
    (payload,) = receiver.payloads(1)
    assert (payload["EntityType"], payload["Fields"]) == ("Account", {"companyName": "Ott & Sons"})


def test_a_call_is_tried_again_and_stays_in_order(ask, autotask, receiver):
    autotask.control.switches(webhook_retry_seconds=0.01)
    receiver.statuses = [500, 503, 200]
    subscribe(ask, receiver)
    for title in ("one", "two"):
        autotask.control.technician("edit", ticket=10001, fields={"title": title})
    assert [one["attempts"] for one in ended(autotask, 2)] == [3, 1]
    assert [one["SequenceNumber"] for one in receiver.payloads(4)] == [1, 1, 1, 2]


def test_what_failed_for_good_is_logged_and_too_much_of_it_ends_the_webhook(ask, autotask, receiver):
    autotask.control.switches(webhook_retry_seconds=0.0, webhook_attempts=2, webhook_failures_until_off=2)
    receiver.statuses = [500]
    made = subscribe(ask, receiver)
    for title in ("one", "two"):
        autotask.control.technician("edit", ticket=10001, fields={"title": title})
    ended(autotask, 2)
    errors = ask.query("WebhookEventErrorLogs", where("id", 0, "gte"))
    assert [row["sequenceNumber"] for row in errors] == [1, 2]
    assert "answered 500" in errors[0]["errorMessage"]
    assert receiver.payloads(5)[-1]["Action"] == "Deactivated"
    assert "x-hook-signature" not in receiver.calls[-1].headers
    assert not ask.get("TicketWebhooks", made)["isActive"]


def test_webhooks_are_limited_in_number_address_and_right(ask, autotask, receiver):
    subscribe(ask, receiver)
    with pytest.raises(AssertionError, match="already exists"):
        subscribe(ask, receiver)
    autotask.control.switches(most_webhooks=1)
    with pytest.raises(AssertionError, match="maximum number"):
        subscribe(ask, receiver, webhookUrl=f"{receiver.url}/other")
    autotask.control.switches(most_webhooks=9, webhook_urls="https")
    with pytest.raises(AssertionError, match="https"):
        subscribe(ask, receiver, webhookUrl=f"{receiver.url}/other")
    autotask.control.role(webhooks={"create": "None"})
    with pytest.raises(AssertionError, match="adequate permissions"):
        subscribe(ask, receiver, webhookUrl=f"{receiver.url}/other")


def test_a_webhook_can_be_deleted(ask, autotask, receiver):
    made = subscribe(ask, receiver)
    assert ask("DELETE", f"/TicketWebhooks/{made}").json == {"itemId": made}
    autotask.control.technician("edit", ticket=10001, fields={"title": "x"})
    assert autotask.control.get("webhooks")["pending"] == 0
