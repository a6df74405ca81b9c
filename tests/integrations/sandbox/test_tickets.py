"""What may be stored as a ticket, how it changes, and when it is closed."""

import pytest

from tests.integrations.sandbox.conftest import BACKUP_BOARD, BAKERY


def errors_of(reply):
    return {(error["code"], error["field"]) for error in reply.json["errors"]}


def test_a_ticket_is_created_whole_with_what_it_did_not_say(call):
    ticket = call.open_ticket(externalXRef="portal:event:1", initialDescription="Disk full")
    assert ticket["status"]["name"] == "New"
    assert (ticket["site"]["name"], ticket["contact"]["name"]) == ("Main", "Hanna Ott")
    assert (ticket["closedFlag"], ticket["_info"]["enteredBy"]) == (False, "psaportal")
    assert "initialDescription" not in ticket


def test_creation_answers_where_the_record_is(call):
    reply = call("POST", "/service/tickets", {"summary": "x", "company": {"id": BAKERY}})
    assert reply.headers["location"].endswith(f"/service/tickets/{reply.json['id']}")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"summary": None}, ("MissingRequiredField", "summary")),
        ({"company": None}, ("MissingRequiredField", "company")),
        ({"summary": "x" * 101}, ("MaxLengthField", "summary")),
        ({"externalXRef": "x" * 101}, ("MaxLengthField", "externalXRef")),
        ({"company": {"id": 9999}}, ("NotFound", "company/id")),
        ({"company": {"identifier": "Nobody"}}, ("NotFound", "company/identifier")),
        ({"status": {"id": 1}}, ("NotFound", "status/id")),
        ({"type": {"id": 1}}, ("NotFound", "type/id")),
        ({"status": {"name": "No Such"}}, ("NotFound", "status/name")),
        ({"severity": "Extreme"}, ("InvalidField", "severity")),
        ({"requiredDate": "2026-02-01T10:00:00.123Z"}, ("UnsupportedFormat", "requiredDate")),
        ({"budgetHours": "many"}, ("InvalidField", "budgetHours")),
        ({"type": {"name": "Storage"}, "subType": {"name": "Server"}}, ("InvalidObject", "subType")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, (tuple, dict)) else None,
)
def test_a_ticket_that_cannot_be_is_refused_by_field(call, sandbox, wrong, error):
    body = {"summary": "x", "company": {"id": BAKERY}, "board": {"id": BACKUP_BOARD}, **wrong}
    reply = call("POST", "/service/tickets", body)
    assert (reply.status, reply.json["code"]) == (400, "InvalidObject")
    assert error in errors_of(reply)
    assert sandbox.control.journal() == []


def test_a_status_of_another_board_is_named_with_both(call):
    body = {"summary": "x", "company": {"id": BAKERY}, "board": {"id": 2}, "status": {"id": 1}}
    errors = call("POST", "/service/tickets", body).json["errors"]
    assert errors[0]["message"] == "Service Status 1 not found for Service Board 2"


def test_references_go_by_name_or_identifier_too(call):
    ticket = call.open_ticket(
        company={"identifier": "harbordental"}, board={"name": "Alerts"}, status={"name": "In Progress"}
    )
    assert ticket["company"]["name"] == "Harbor Dental Group"
    assert (ticket["board"]["id"], ticket["status"]["id"]) == (3, 14)


def test_closing_follows_from_the_status_and_so_does_reopening(call):
    ticket = call.open_ticket()
    path = f"/service/tickets/{ticket['id']}"
    closed = call.patch(path, ("replace", "status", {"id": call.status("Closed")["id"]})).json
    assert closed["closedFlag"]
    assert closed["closedBy"] == "psaportal"
    reopened = call.patch(path, ("replace", "status", {"name": "Reopened"})).json
    assert not reopened["closedFlag"]
    assert "closedDate" not in reopened


@pytest.mark.parametrize("path", ["status", "/status", "status/id", "/status/id", "status/name"])
def test_patch_paths_come_in_every_form_in_use(call, path):
    value = {"status": {"id": "8"}, "status/id": "8", "status/name": "In Progress"}[path.removeprefix("/")]
    ticket = call.open_ticket()
    reply = call.patch(f"/service/tickets/{ticket['id']}", ("replace", path, value))
    assert (reply.status, reply.json["status"]["name"]) == (200, "In Progress")


def test_a_nested_path_may_be_ignored_with_a_200(call, sandbox):
    sandbox.control.switches(nested_patch="ignore")
    ticket = call.open_ticket()
    reply = call.patch(f"/service/tickets/{ticket['id']}", ("replace", "status/id", 8))
    assert (reply.status, reply.json["status"]["name"]) == (200, "New")


@pytest.mark.parametrize(
    "operation",
    [
        ("replace", "Summary", "x"),
        ("replace", "nope", 1),
        ("swap", "summary", "x"),
        ("replace", "status/color", 1),
    ],
)
def test_an_unknown_path_or_operation_is_refused(call, operation):
    ticket = call.open_ticket()
    assert call.patch(f"/service/tickets/{ticket['id']}", operation).status == 400


def test_fields_are_cleared_by_remove_null_or_nothing(call):
    ticket = call.open_ticket(poNumber="7", contactName="Hanna", externalXRef="k")
    path = f"/service/tickets/{ticket['id']}"
    reply = call.patch(
        path, ("remove", "poNumber", None), ("replace", "contactName", ""), ("add", "externalXRef", None)
    )
    assert not {"poNumber", "contactName", "externalXRef"} & set(reply.json)
    assert call.patch(path, ("remove", "summary", None)).status == 400
    assert call.patch(path, ("remove", "board", None)).status == 400


def test_what_the_server_computes_cannot_be_set(call):
    ticket = call.open_ticket()
    reply = call.patch(f"/service/tickets/{ticket['id']}", ("replace", "closedFlag", True))
    assert (reply.status, reply.json["closedFlag"]) == (200, False)


def test_moving_needs_a_status_and_a_type_of_the_new_board(call, sandbox):
    ticket = call.open_ticket(type={"name": "Storage"})
    path = f"/service/tickets/{ticket['id']}"
    board, status = ("replace", "board", {"id": 3}), ("replace", "status", {"id": 13})
    assert ("NotFound", "status/id") in errors_of(call.patch(path, board))
    assert ("NotFound", "type/id") in errors_of(call.patch(path, board, status))
    sandbox.control.switches(stale_type="clear")
    moved = call.patch(path, board, status).json
    assert moved["board"]["name"] == "Alerts"
    assert "type" not in moved


def test_the_first_texts_become_notes(call):
    ticket = call.open_ticket(initialDescription="Seen", initialInternalAnalysis="Why")
    notes = call("GET", f"/service/tickets/{ticket['id']}/notes").json
    assert [(note["text"], note["internalAnalysisFlag"]) for note in notes] == [
        ("Seen", False),
        ("Why", True),
    ]
    every = call("GET", f"/service/tickets/{ticket['id']}/allNotes").json
    assert [note["noteType"] for note in every] == ["TicketNote", "TicketNote"]


def test_a_note_needs_a_text_and_a_place(call, sandbox):
    path = f"/service/tickets/{call.open_ticket()['id']}/notes"
    assert call("POST", path, {"text": "Fixed", "detailDescriptionFlag": True}).status == 201
    assert call("POST", path, {"text": " ", "detailDescriptionFlag": True}).status == 400
    assert call("POST", path, {"text": "Nowhere"}).status == 400
    sandbox.control.switches(note_without_flag="accept")
    assert call("POST", path, {"text": "Nowhere"}).status == 201


def test_a_deleted_ticket_is_gone_with_its_notes_path(call, sandbox):
    ticket = call.open_ticket(externalXRef="gone")
    sandbox.control.technician("delete", ticket=ticket["id"])
    assert call("GET", f"/service/tickets/{ticket['id']}").status == 404
    assert call("GET", f"/service/tickets/{ticket['id']}/notes").status == 404
    assert call("GET", "/service/tickets", conditions='externalXRef="gone"').json == []
