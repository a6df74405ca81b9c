"""The control door of the pretend Autotask: technician, journal, page, reset, state file, metadata, faults."""

import http.client

import pytest

from integrations.sandbox import running_sandbox
from tests.integrations.sandbox.autotask_caller import BAKERY, CONTRACT, TICKET, AutotaskCaller, where


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


def field_of(ask, entity, name):
    fields = ask("GET", f"/{entity}/entityInformation/fields").json["fields"]
    return next(one for one in fields if one["name"] == name)


def test_the_door_tells_what_it_can_do(ask):
    help_text = ask("GET", "/__sandbox__/").json
    assert help_text["kind"] == "autotask"
    assert {
        "faults",
        "requests",
        "journal",
        "technician",
        "role",
        "keys",
        "switches",
        "usage",
        "webhooks",
    } <= {name.rpartition("/")[2] for name in help_text["verbs"]}


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("role", {"contracts": "Some"}),
        ("role", {"nothing": "All"}),
        ("switches", {"nothing": 1}),
        ("switches", {"missing_item": "maybe"}),
        ("switches", {"threads_per_entity": "3"}),
        ("keys", {"user": "x"}),
        ("technician/dance", {}),
        ("technician/move", {"ticket": 10001}),
        ("technician/close", {"ticket": 99}),
        ("technician/edit", {"fields": {}}),
        ("technician/rename", {"picklist": "Tickets.status", "value": 77, "name": "x"}),
        ("reset", {"large": {"boats": 1}}),
    ],
)
def test_what_cannot_be_done_is_a_400_with_a_sentence(ask, verb, body):
    reply = ask("POST", f"/__sandbox__/{verb}", body)
    assert reply.status == 400
    assert reply.json["error"]


def test_new_keys_shut_the_old_ones_out(ask, autotask):
    keys = autotask.control.rotate_keys()
    assert ask("GET", "/Version").status == 401
    ask.keys = keys
    assert ask("GET", "/Version").status == 200


def test_requests_are_remembered_without_secrets(ask, autotask):
    ask.open_ticket(externalID="portal:1")
    seen = autotask.control.requests()
    assert seen[-1]["committed"]
    assert "portal:1" in seen[-1]["body"]
    assert ask.keys["secret"] not in str(seen)
    assert [line["request"] for line in autotask.control.journal("ticket")] == [seen[-1]["number"]]


def test_a_commit_whose_answer_is_lost_is_in_the_journal(ask, autotask):
    autotask.control.fault("commit_then_drop", method="POST", path="/Tickets$", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask("POST", "/Tickets", {**TICKET, "externalID": "lost"})
    assert [line["externalID"] for line in autotask.control.journal("ticket")] == ["lost"]


def test_faults_speak_as_autotask_does(ask, autotask):
    autotask.control.fault("status_429", path="/Tickets", retry_after="3", times=1)
    reply = ask("GET", "/Tickets/10001")
    assert (reply.status, reply.headers["retry-after"]) == (429, "3")
    assert "thread threshold of 3 threads has been exceeded" in reply.json["errors"][0]
    autotask.control.fault("status_401", times=1)
    assert ask("GET", "/Tickets/10001").body == b""
    autotask.control.fault("status_403", module="contracts", times=1)
    assert ask("GET", "/Tickets/10001").status == 200
    assert "permissions" in ask("GET", f"/Contracts/{CONTRACT}").json["errors"][0]


def test_picklists_can_be_renamed_retired_and_extended(ask, autotask):
    do = autotask.control.technician
    do("rename", picklist="Tickets.queueID", value=29682834, name="Backups & Restores")
    do("inactivate", picklist="Tickets.queueID", value=29682835)
    do("add", picklist="Tickets.queueID", value=777, name="New Queue")
    do("remove", picklist="Tickets.queueID", value=6)
    values = {one["value"]: one for one in field_of(ask, "Tickets", "queueID")["picklistValues"]}
    assert values["29682834"]["label"] == "Backups & Restores"
    assert not values["29682835"]["isActive"]
    assert values["777"]["label"] == "New Queue"
    assert "6" not in values
    assert "queueID" in ask.errors("POST", "/Tickets", {**TICKET, "queueID": 29682835})[0]


def test_records_can_be_renamed_and_inactivated(ask, autotask):
    do = autotask.control.technician
    assert do("rename", company=BAKERY, name="Ott & Sons")["companyName"] == "Ott & Sons"
    assert do("rename", contract=CONTRACT, name="Backup")["contractName"] == "Backup"
    assert do("inactivate", company=BAKERY)["isActive"] is False
    assert do("inactivate", contract=CONTRACT)["status"] == 0
    assert do("inactivate", contact=3001)["isActive"] == 0
    assert "companyID" in ask.errors("POST", "/Tickets", TICKET)[0]
    autotask.control.switches(inactive_references="accept")
    assert ask("POST", "/Tickets", TICKET).status == 200


def test_a_cancelled_contract_is_inactive_and_over(ask, autotask):
    cancelled = autotask.control.technician("cancel", contract=CONTRACT)
    assert cancelled["status"] == 0
    found = ask.query("Contracts", where("id", CONTRACT), where("endDate", "2020-01-01", "gt"))
    assert found[0]["endDate"] == cancelled["endDate"]


def test_an_invoice_is_written_onto_the_items(ask, autotask):
    autotask.control.technician("post", contract=CONTRACT)
    assert autotask.control.technician("invoice", contract=CONTRACT, invoice=9)["invoiced"] > 0
    assert {row["invoiceID"] for row in ask.query("BillingItems", where("contractID", CONTRACT))} == {9}


def test_a_field_is_described_with_its_flags_and_values(ask):
    status = field_of(ask, "Tickets", "status")
    assert (status["isRequired"], status["isPickList"], status["dataType"]) == (True, True, "integer")
    assert {"value": "5", "label": "Complete", "isSystem": True}.items() <= status["picklistValues"][
        1
    ].items()
    sub = field_of(ask, "Tickets", "subIssueType")
    assert sub["picklistParentValueField"] == "issueType"
    assert {one["parentValue"] for one in sub["picklistValues"]} == {"10", "11", "12"}
    company = field_of(ask, "Tickets", "companyID")
    assert (company["isReference"], company["referenceEntityType"]) == (True, "Company")
    assert field_of(ask, "Tickets", "title")["length"] == 255
    assert not field_of(ask, "Tickets", "creatorType")["isQueryable"]


def test_user_defined_fields_are_described(ask):
    fields = ask("GET", "/Companies/entityInformation/userDefinedFields").json["fields"]
    assert [one["name"] for one in fields] == ["Vendor Client Number", "Customer Ranking"]
    assert [one["value"] for one in fields[1]["picklistValues"]] == ["Golden", "Silver"]


def test_every_entity_is_described_at_once(ask):
    described = ask("GET", "/EntityInformation").json["entityDescriptions"]
    infos = {one["info"]["name"]: one["info"] for one in described}
    assert (infos["Ticket"]["canCreate"], infos["Ticket"]["canDelete"]) == (True, False)
    assert not infos["ContractServiceAdjustment"]["canQuery"]


def test_the_page_shows_tickets_and_escapes_them(ask):
    ask.open_ticket(title="<script>alert(1)</script>")
    page = ask("GET", "/").body.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "Backup Services - Bakery Ott" in page


def test_resetting_brings_the_seed_back_the_same(ask, autotask):
    before = ask("POST", "/Companies/query", {"filter": [where("id", 0, "gte")]}).body
    ask.open_ticket()
    autotask.control.technician("rename", company=BAKERY, name="x")
    autotask.control.role(tickets="None")
    autotask.control.reset()
    assert ask("POST", "/Companies/query", {"filter": [where("id", 0, "gte")]}).body == before
    assert ask("POST", "/Tickets/query/count", {"filter": [where("id", 0, "gte")]}).json == {"queryCount": 3}
    assert ask.open_ticket() == 10004


def test_a_restart_keeps_everything_acknowledged(tmp_path):
    state = tmp_path / "state.jsonl"
    with running_sandbox(kind="autotask", state=state) as sandbox:
        ask = AutotaskCaller(sandbox, sandbox.dialect.credentials())
        kept = ask.open_ticket(externalID="kept", userDefinedFields=[{"name": "Alert Key", "value": "k"}])
        number = ask.get("Tickets", kept)["ticketNumber"]
        sandbox.control.technician("delete", ticket=10001)
        sandbox.control.switches(missing_item="404")
        keys = sandbox.control.rotate_keys()
    with state.open("ab") as file:
        file.write(b'{"changes": [["put", "Ti')
    with running_sandbox(kind="autotask", state=state) as sandbox:
        ask = AutotaskCaller(sandbox, keys)
        (found,) = ask.query("Tickets", where("externalID", "KEPT"))
        assert (found["id"], found["ticketNumber"]) == (kept, number)
        assert ask("GET", "/Tickets/10001").status == 404
        assert [line["externalID"] for line in sandbox.control.journal("ticket")] == ["kept"]
        after = ask.get("Tickets", ask.open_ticket())["ticketNumber"]
        assert after != number


def test_a_few_thousand_are_seeded_on_request(ask, autotask):
    sizes = {"companies": 40, "contacts": 60, "queues": 9, "services": 20, "contracts": 30, "tickets": 90}
    autotask.control.reset(large=sizes)
    everything = {"filter": [where("id", 0, "gte")]}
    for entity in ("Companies", "Contacts", "Services", "Contracts", "Tickets"):
        count = ask("POST", f"/{entity}/query/count", everything).json["queryCount"]
        assert count == sizes[entity.lower()]
    assert len(field_of(ask, "Tickets", "queueID")["picklistValues"]) == 9
    autotask.control.reset()
