"""What may be stored as a ticket or a note of the pretend Autotask, and what the server makes of it."""

import re
from datetime import UTC, datetime

import pytest

from tests.integrations.sandbox.autotask_caller import (
    ALERTS_QUEUE,
    BACKUP_QUEUE,
    BAKERY,
    HARBOR,
    TICKET,
    AutotaskCaller,
    where,
)

REYES, SERVICE_DESK_ROLE, ENGINEER_ROLE = 29682902, 29683436, 29683437
STANDARD, BACKUP_ALERT, STRICT_INTAKE, RETIRED = 3, 101, 102, 103


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


def test_a_create_answers_an_id_and_nothing_else(ask, autotask):
    reply = ask("POST", "/Tickets", {**TICKET, "externalID": "portal:1"})
    assert (reply.status, list(reply.json)) == (200, ["itemId"])
    (line,) = autotask.control.journal("ticket")
    assert (line["id"], line["externalID"]) == (reply.json["itemId"], "portal:1")


def test_the_server_numbers_dates_and_signs_a_new_ticket(ask):
    tickets = [ask.get("Tickets", ask.open_ticket()) for _ in range(2)]
    day = datetime.now(UTC).strftime("%Y%m%d")
    assert [one["ticketNumber"] for one in tickets] == [f"T{day}.0001", f"T{day}.0002"]
    assert (tickets[0]["creatorResourceID"], tickets[0]["apiVendorID"]) == (29682901, 42)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", tickets[0]["createDate"])
    assert tickets[0]["completedDate"] is None


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"title": None}, "Value does not exist for the required field title. ; on record number [1]."),
        ({"companyID": None}, "Value does not exist for the required field companyID."),
        ({"priority": 3}, "Picklist value [3] does not exist for priority. ; on record number [1]."),
        ({"queueID": 77}, "Picklist value [77] does not exist for queueID."),
        ({"queueID": 29682836}, "Picklist value [29682836] does not exist for queueID."),
        ({"ticketCategory": RETIRED}, "Picklist value [103] does not exist for ticketCategory."),
        ({"dueDateTime": None}, "dueDateTime is required.; on record number [0]."),
        ({"queueID": None}, "queueID is required"),
        ({"title": "x" * 256}, "exceeds the maximum length of 255"),
        ({"externalID": "x" * 51}, "exceeds the maximum length of 50"),
        ({"companyID": 999}, "Reference value on field: companyID of type: Company does not exist"),
        ({"contactID": 3002}, "Reference value on field: contactID of type: Contact does not exist"),
        ({"contractID": 402}, "Reference value on field: contractID of type: Contract"),
        ({"configurationItemID": 7002}, "configurationItemID of type: ConfigurationItem"),
        ({"companyLocationID": 2001}, "companyLocationID of type: CompanyLocation"),
        ({"issueType": 10, "subIssueType": 111}, "Picklist value [111] does not exist for subIssueType."),
        ({"assignedResourceID": REYES}, "you must assign both"),
        (
            {"assignedResourceID": REYES, "assignedResourceRoleID": ENGINEER_ROLE},
            "combination is not currently defined",
        ),
        (
            {"assignedResourceID": 29682901, "assignedResourceRoleID": SERVICE_DESK_ROLE},
            "combination is not currently defined",
        ),
        ({"assignedResourceID": 29682905}, "Reference value on field: assignedResourceID of type: Resource"),
        ({"dueDateTime": "tomorrow"}, "Could not convert string to DateTime"),
        ({"priority": "high"}, "Error converting value"),
        ({"userDefinedFields": [{"name": "Nope", "value": "1"}]}, "UserDefinedField Nope does not exist"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_ticket_that_cannot_be_is_refused_with_a_sentence(ask, autotask, wrong, error):
    errors = ask.errors("POST", "/Tickets", {**TICKET, **wrong})
    assert any(error in one for one in errors), errors
    assert autotask.control.journal() == []
    assert not autotask.control.requests()[-1]["committed"]


def test_every_mistake_is_named_at_once(ask):
    errors = ask.errors("POST", "/Tickets", {"companyID": BAKERY, "priority": 77})
    assert {"title", "status", "priority"} <= {
        word for one in errors for word in one.replace(".", "").split()
    }


def test_a_category_fills_in_what_it_knows(ask):
    made = ask.create(
        "/Tickets", {"title": "x", "companyID": BAKERY, "status": 1, "ticketCategory": BACKUP_ALERT}
    )
    ticket = ask.get("Tickets", made)
    assert (ticket["queueID"], ticket["priority"], ticket["issueType"]) == (BACKUP_QUEUE, 2, 10)
    assert ticket["dueDateTime"]


def test_a_category_says_what_it_requires(ask):
    errors = ask.errors("POST", "/Tickets", {**TICKET, "ticketCategory": STRICT_INTAKE})
    assert [one.split(" ")[0] for one in errors] == ["issueType", "subIssueType", "source"]
    more = {"issueType": 10, "subIssueType": 101, "source": 8}
    assert ask.open_ticket(ticketCategory=STRICT_INTAKE, **more)


def test_an_administrator_may_require_more(ask, autotask):
    autotask.control.technician("require", category=STANDARD, fields=["contactID"])
    assert "contactID is required" in ask.errors("POST", "/Tickets", TICKET)[0]


def test_neither_queue_nor_resource_is_refused_unless_switched(ask, autotask):
    autotask.control.technician("require", category=STANDARD, fields=[])
    body = {**TICKET, "queueID": None}
    assert "cannot all be empty" in ask.errors("POST", "/Tickets", body)[0]
    autotask.control.switches(queue_or_resource="optional")
    assert ask("POST", "/Tickets", body).status == 200


def test_field_names_come_in_any_case_and_unknown_ones_are_passed_over(ask):
    made = ask.create("/Tickets", {**{name.upper(): value for name, value in TICKET.items()}, "nope": 1})
    assert ask.get("Tickets", made)["title"] == "Backup failed"


def test_what_only_the_server_sets_is_ignored_in_silence(ask):
    made = ask.open_ticket(creatorResourceID=REYES, completedDate="2020-01-01T00:00:00Z", rmmAlertID="x")
    ticket = ask.get("Tickets", made)
    assert (ticket["creatorResourceID"], ticket["completedDate"], ticket["rmmAlertID"]) == (
        29682901,
        None,
        None,
    )


def test_completing_sets_the_dates_and_reopening_takes_them_away(ask):
    ticket = ask.open_ticket()
    reply = ask("PATCH", "/Tickets", {"id": ticket, "status": 5, "resolution": "Backup runs again"})
    assert (reply.status, reply.json) == (200, {"itemId": ticket})
    closed = ask.get("Tickets", ticket)
    assert closed["completedDate"] == closed["resolvedDateTime"]
    assert closed["completedByResourceID"] == 29682901
    ask("PATCH", "/Tickets", {"id": ticket, "status": 1})
    assert ask.get("Tickets", ticket)["completedDate"] is None


def test_a_patch_leaves_the_rest_and_a_put_empties_it(ask):
    ticket = ask.open_ticket(description="Long story", externalID="k")
    ask("PATCH", "/Tickets", {"id": ticket, "title": "New"})
    assert ask.get("Tickets", ticket)["description"] == "Long story"
    assert ask("PUT", "/Tickets", {"id": ticket, **TICKET}).status == 200
    after = ask.get("Tickets", ticket)
    assert (after["description"], after["externalID"], after["title"]) == (None, None, "Backup failed")
    assert after["ticketNumber"].startswith("T20")


@pytest.mark.parametrize("row_id", [None, 999999, "abc"])
def test_a_patch_of_nothing_is_refused(ask, row_id):
    assert "No matching records" in ask.errors("PATCH", "/Tickets", {"id": row_id, "title": "x"})[0]


def test_a_status_may_bounce_behind_a_200(ask, autotask):
    ticket = ask.open_ticket()
    autotask.control.technician("bounce", ticket=ticket)
    assert ask("PATCH", "/Tickets", {"id": ticket, "status": 5}).status == 200
    assert ask.get("Tickets", ticket)["status"] == 1
    ask("PATCH", "/Tickets", {"id": ticket, "status": 5})
    assert ask.get("Tickets", ticket)["status"] == 5


def test_a_resolution_may_be_demanded(ask, autotask):
    autotask.control.switches(resolution_required=True)
    ticket = ask.open_ticket()
    assert "resolution" in ask.errors("PATCH", "/Tickets", {"id": ticket, "status": 5})[0]


def test_the_default_contract_comes_by_itself_when_switched(ask, autotask):
    assert ask.get("Tickets", ask.open_ticket())["contractID"] is None
    autotask.control.switches(default_contract=True)
    assert ask.get("Tickets", ask.open_ticket())["contractID"] == 401


def test_another_company_means_another_contact(ask):
    ticket = ask.open_ticket(contactID=3001)
    errors = ask.errors("PATCH", "/Tickets", {"id": ticket, "companyID": HARBOR})
    assert "contactID" in errors[0]
    reply = ask("PATCH", "/Tickets", {"id": ticket, "companyID": HARBOR, "contactID": 3002})
    assert reply.status == 200


def test_user_defined_fields_are_texts_that_can_be_found(ask):
    ticket = ask.open_ticket(userDefinedFields=[{"name": "alert key", "value": 17}])
    assert ask.get("Tickets", ticket)["userDefinedFields"] == [{"name": "Alert Key", "value": "17"}]
    (found,) = ask.query("Tickets", where("Alert Key", "17", udf=True), includeFields=["id"])
    assert found["id"] == ticket


def test_a_note_needs_text_type_and_publish(ask, autotask):
    ticket = ask.open_ticket()
    errors = ask.errors("POST", f"/Tickets/{ticket}/Notes", {"title": "x"})
    assert len(errors) == 3
    note = {"title": "Retry", "description": "Runs again", "noteType": 1, "publish": 2}
    made = ask.create(f"/Tickets/{ticket}/Notes", note)
    assert ask.get("TicketNotes", made)["ticketID"] == ticket
    assert [row["id"] for row in ask("GET", f"/Tickets/{ticket}/Notes").json["items"]] == [made]
    assert autotask.control.tickets(id=ticket)[0]["notes"][0]["description"] == "Runs again"


def test_editing_a_note_sends_type_and_publish_again(ask):
    ticket = ask.open_ticket()
    note = {"title": "Retry", "description": "Runs again", "noteType": 1, "publish": 2}
    made = ask.create(f"/Tickets/{ticket}/Notes", note)
    path = f"/Tickets/{ticket}/Notes"
    assert "noteType" in ask.errors("PATCH", path, {"id": made, "description": "x"})[0]
    reply = ask("PATCH", path, {"id": made, "description": "x", "noteType": 1, "publish": 2})
    assert reply.json == {"itemId": made}


def test_a_note_to_nothing_is_refused(ask):
    note = {"title": "x", "description": "x", "noteType": 1, "publish": 1}
    assert "No matching records" in ask.errors("POST", "/Tickets/999999/Notes", note)[0]


def test_activity_moves_the_ticket(ask):
    ticket = ask.open_ticket()
    before = ask.get("Tickets", ticket)["lastActivityDate"]
    note = {"title": "x", "description": "x", "noteType": 1, "publish": 1}
    ask.create(f"/Tickets/{ticket}/Notes", note)
    assert ask.get("Tickets", ticket)["lastActivityDate"] >= before


def test_the_technician_works_on_tickets(ask, autotask):
    one, two = ask.open_ticket(), ask.open_ticket()
    do = autotask.control.technician
    assert do("move", ticket=one, queue=ALERTS_QUEUE)["queueID"] == ALERTS_QUEUE
    assert do("edit", ticket=one, fields={"title": "Edited"})["lastActivityResourceID"] == 29682902
    assert do("note", ticket=one, text="Looking", internal=True)["publish"] == 2
    assert do("company", ticket=one, company=HARBOR)["companyID"] == HARBOR
    assert do("merge", ticket=one, into=two)["status"] == 5
    assert do("reopen", ticket=one)["status"] == 1
    assert do("close", ticket=one)["completedByResourceID"] == 29682902


def test_a_deleted_ticket_leaves_a_line_in_the_log(ask, autotask):
    ticket = ask.open_ticket(externalID="gone")
    autotask.control.technician("delete", ticket=ticket)
    assert ask("GET", f"/Tickets/{ticket}").json == {"item": None}
    assert ask.query("Tickets", where("externalID", "gone")) == []
    (line,) = ask.query("DeletedTicketLogs", where("ticketID", ticket))
    assert line["ticketTitle"] == "Backup failed"


def test_contacts_and_locations_are_made_below_their_company(ask):
    person = {"firstName": "Ida", "lastName": "Ott", "isActive": 1}
    contact = ask.create(f"/Companies/{BAKERY}/Contacts", person)
    assert ask.get("Contacts", contact)["companyID"] == BAKERY
    assert ask("DELETE", f"/Companies/{BAKERY}/Contacts/{contact}").json == {"itemId": contact}
    assert "No matching records" in ask("DELETE", f"/Companies/{BAKERY}/Contacts/{contact}").json["errors"][0]
    assert ask.create(f"/Companies/{BAKERY}/Locations", {"name": "Shop"})


def test_a_device_takes_its_statistics_in_user_defined_fields(ask):
    values = [{"name": "Failed Backups", "value": "3"}, {"name": "Backup Status", "value": "Failed"}]
    ask("PATCH", "/ConfigurationItems", {"id": 7001, "companyID": HARBOR, "userDefinedFields": values})
    (item,) = ask.query("ConfigurationItems", where("Failed Backups", 2, "gt", udf=True))
    assert (item["id"], item["companyID"]) == (7001, BAKERY)
    shown = {one["name"]: one["value"] for one in item["userDefinedFields"]}
    assert (shown["Backup Status"], shown["Successful Backups"]) == ("Failed", "0")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([{"name": "Failed Backups", "value": "many"}], "must be a number"),
        ([{"name": "Recovery Key", "value": "x"}], "is protected"),
        ("text", "must be a list"),
    ],
)
def test_a_user_defined_value_must_fit(ask, values, error):
    body = {"id": 7001, "userDefinedFields": values}
    assert error in ask.errors("PATCH", "/ConfigurationItems", body)[0]


def test_a_protected_field_shows_stars(ask, autotask):
    fields = {"userDefinedFields": [{"name": "Recovery Key", "value": "abc"}]}
    autotask.control.technician("edit", configurationItem=7001, fields=fields)

    def shown():
        values = ask.get("ConfigurationItems", 7001)["userDefinedFields"]
        return next(one["value"] for one in values if one["name"] == "Recovery Key")

    assert shown() == "*****"
    autotask.control.switches(protected_udfs_visible=True)
    assert shown() == "abc"


def test_a_device_needs_a_product_that_exists(ask):
    errors = ask.errors(
        "POST", "/ConfigurationItems", {"companyID": BAKERY, "productID": 9, "isActive": True}
    )
    assert "productID of type: Product" in errors[0]
    made = ask.create("/ConfigurationItems", {"companyID": BAKERY, "productID": 501, "isActive": True})
    assert ask.get("ConfigurationItems", made)["configurationItemCategoryID"] == 1
