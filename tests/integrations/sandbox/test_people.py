"""What people leave behind in the pretend PSAs, and how an integration can tell it from its own."""

import pytest

from tests.integrations.sandbox.autotask_caller import TICKET, AutotaskCaller, where

SERVER_PRODUCT = 501


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


def trail(call, ticket):
    return call("GET", "/system/auditTrail", type="Ticket", id=ticket["id"], pageSize=100).json


def test_the_audit_trail_tells_a_technicians_change_from_ours(call, sandbox):
    ticket = call.open_ticket()
    call.patch(f"/service/tickets/{ticket['id']}", ("replace", "summary", "Backup failed twice"))
    sandbox.control.technician("edit", ticket=ticket["id"], fields={"summary": "Tape drive is dirty"})
    entries = trail(call, ticket)
    assert [(one["enteredBy"], one["text"]) for one in entries] == [
        ("psaportal", f"Ticket {ticket['id']} was created"),
        ("psaportal", 'summary changed from "Backup failed" to "Backup failed twice"'),
        ("technician", 'summary changed from "Backup failed twice" to "Tape drive is dirty"'),
    ]
    found = call(
        "GET", "/system/audittrail", type="Ticket", id=ticket["id"], conditions='enteredBy="technician"'
    )
    assert len(found.json) == 1
    assert call("GET", "/system/audittrail/count", type="ticket", id=ticket["id"]).json == {"count": 3}


def test_the_audit_trail_wants_a_type_a_record_and_the_right_to_see_it(call, sandbox):
    ticket = call.open_ticket()
    assert call("GET", "/system/audittrail").status == 400
    assert call("GET", "/system/audittrail", type="Ticket").status == 400
    assert call("GET", "/system/audittrail", type="Ticket", id=424242).status == 404
    sandbox.control.role(service_tickets="None")
    assert call("GET", "/system/audittrail", type="Ticket", id=ticket["id"]).status == 403


def test_booked_time_is_listed_told_among_the_notes_and_counted(call, sandbox):
    ticket = call.open_ticket(initialDescription="Backup failed")
    sandbox.control.technician(
        "time", ticket=ticket["id"], hours=0.5, text="Changed the tape", place="resolution"
    )
    (reference,) = call("GET", f"/service/tickets/{ticket['id']}/timeentries").json
    assert reference["_info"]["timeEntry_href"].endswith(f"/time/entries/{reference['id']}")
    told = call("GET", f"/service/tickets/{ticket['id']}/allNotes").json
    assert [(one["noteType"], one["text"], one["resolutionFlag"]) for one in told] == [
        ("TicketNote", "Backup failed", False),
        ("TimeEntryNote", "Changed the tape", True),
    ]
    assert len(call("GET", f"/service/tickets/{ticket['id']}/notes").json) == 1
    after = call("GET", f"/service/tickets/{ticket['id']}").json
    assert (after["actualHours"], after["_info"]["updatedBy"]) == (0.5, "technician")


def test_the_clocks_of_the_service_level_stop_with_the_status(call, sandbox):
    ticket = call.open_ticket()
    assert (ticket["isInSla"], ticket["slaStatus"].split(" by ")[0]) == (True, "Respond")
    assert "dateResponded" not in ticket
    path = f"/service/tickets/{ticket['id']}"
    responded = call.patch(path, ("replace", "status", {"id": call.status("In Progress")["id"]})).json
    assert responded["respondedBy"] == "psaportal"
    assert responded["slaStatus"].startswith("Plan by")
    closed = call.patch(path, ("replace", "status", {"id": call.status("Completed")["id"]})).json
    assert (closed["slaStatus"], "dateResolved" in closed) == ("Resolved", True)
    again = call.patch(path, ("replace", "status", {"id": call.status("Reopened")["id"]})).json
    assert "dateResponded" not in again
    (now,) = call("GET", "/service/tickets/calculateSla", conditions=f"id={ticket['id']}").json
    assert now["respondMinutes"] == 0


def test_a_ticket_becomes_a_project_ticket_and_may_leave_the_service_desk(call, sandbox):
    ticket = call.open_ticket()
    path = f"/service/tickets/{ticket['id']}"
    refused = call("POST", f"{path}/convert", {"recordType": "ProjectTicket"}).json
    assert [error["field"] for error in refused["errors"]] == ["phase", "wbsCode"]
    body = {"recordType": "ProjectTicket", "phase": {"id": 1}, "wbsCode": "1.1"}
    assert call("POST", f"{path}/convert", body).status == 200
    assert call("GET", path).json["recordType"] == "ProjectTicket"
    sandbox.control.switches(project_tickets="hidden")
    assert call("GET", path).status == 404
    assert call("GET", "/service/tickets", conditions=f"id={ticket['id']}").json == []


def test_custom_fields_are_defined_shown_and_checked(call):
    field = {
        "podId": 1,
        "caption": "Rack",
        "sequenceNumber": 1,
        "fieldTypeIdentifier": "Number",
        "screenId": "ticket",
    }
    before = call.open_ticket()
    assert call("POST", "/system/userDefinedFields", {**field, "caption": "x" * 26}).status == 400
    made = call("POST", "/system/userDefinedFields", field).json
    (shown,) = call("GET", f"/service/tickets/{before['id']}").json["customFields"]
    assert (shown["id"], shown["caption"], "value" in shown) == (made["id"], "Rack", False)
    path = f"/service/tickets/{before['id']}"
    assert call.patch(path, ("replace", "customFields", [{"id": 99, "value": 1}])).status == 400
    assert call.patch(path, ("replace", "customFields", [{"id": made["id"], "value": "tall"}])).status == 400
    changed = call.patch(path, ("replace", "customFields", [{"id": made["id"], "value": 7}])).json
    assert changed["customFields"][0]["value"] == 7
    found = call("GET", "/service/tickets", customFieldConditions='caption="Rack" AND value=7').json
    assert [one["id"] for one in found] == [before["id"]]
    assert call("GET", "/system/userDefinedFields/info").json[0]["caption"] == "Rack"


# --- Autotask -------------------------------------------------------------------------------------------------------


def test_history_tells_who_changed_which_field_of_a_ticket(ask, autotask):
    ticket = ask.open_ticket()
    ask("PATCH", "/Tickets", {"id": ticket, "title": "Backup failed twice"})
    autotask.control.technician("edit", ticket=ticket, fields={"priority": 4})
    autotask.control.technician("time", ticket=ticket, hours=0.5, text="Changed the tape")
    lines = ask.query("TicketHistory", where("ticketID", ticket))
    assert [(line["resourceID"], line["detail"]) for line in lines] == [
        (29682901, "Ticket created"),
        (29682901, "Title changed from Backup failed to Backup failed twice"),
        (29682902, "Priority changed from Medium to Critical"),
        (29682902, "0.5 hours. Changed the tape"),
    ]
    assert ask.get("Tickets", ticket)["lastActivityResourceID"] == 29682902


def test_a_ticket_is_charged_below_it_until_it_is_billed(ask):
    ticket = ask.open_ticket()
    charge = {
        "name": "Tape",
        "datePurchased": "2026-11-01",
        "chargeType": 1,
        "unitQuantity": 2,
        "unitPrice": 30,
    }
    made = ask.create(f"/Tickets/{ticket}/Charges", charge)
    assert ask.get("TicketCharges", made)["billableAmount"] == 60
    assert ask("POST", "/TicketCharges", charge).status == 404
    assert "name" in ask.errors("POST", f"/Tickets/{ticket}/Charges", {**charge, "name": None})[0]
    assert ask("DELETE", f"/Tickets/{ticket}/Charges/{made}").status == 200


def test_a_device_is_billed_a_product_once_at_a_time(ask):
    device = ask.query("ConfigurationItems", where("id", 0, "gt"))[0]["id"]
    product = ask.query("Products", where("id", 0, "gt"))[0]["id"]
    path = f"/ConfigurationItems/{device}/BillingProductAssociations"
    body = {"billingProductID": product, "effectiveDate": "2026-11-01"}
    made = ask.create(path, body)
    assert "already" in ask.errors("POST", path, body)[0]
    ended = {"id": made, "effectiveDate": "2026-11-01", "expirationDate": "2026-11-30"}
    assert ask("PATCH", path, ended).status == 200
    ask.create(path, {**body, "effectiveDate": "2026-12-01"})


def test_a_vendors_insight_is_made_changed_and_taken_away(ask, autotask):
    made = ask.create(
        "/IntegrationVendorInsights", {"title": "Backups", "referenceUrl": "https://portal.example/insight"}
    )
    ask("PATCH", "/IntegrationVendorInsights", {"id": made, "height": 300})
    row = ask.get("IntegrationVendorInsights", made)
    assert (row["height"], row["isActive"]) == (300, True)
    assert ask("DELETE", f"/IntegrationVendorInsights/{made}").status == 200
    autotask.control.role(insights="None")
    assert ask("POST", "/IntegrationVendorWidgets", {"title": "x", "referenceUrl": "https://x"}).status == 500
    assert ask("POST", "/Tickets", TICKET).status == 200
