"""Merging, children, configurations and documents of tickets at the pretend ConnectWise."""

import base64

from tests.integrations.sandbox.conftest import BAKERY


def merged(call, parent, *children, status):
    body = {"mergeTicketIds": [one["id"] for one in children], "status": {"id": status["id"]}}
    return call("POST", f"/service/tickets/{parent['id']}/merge", body)


def test_a_merged_ticket_is_closed_and_names_its_parent(call):
    parent, child = call.open_ticket(), call.open_ticket()
    assert merged(call, parent, child, status=call.status("Closed")).json["success"] is True
    child = call("GET", f"/service/tickets/{child['id']}").json
    assert child["closedFlag"] is True
    assert child["mergedParentTicket"]["id"] == parent["id"]
    assert call("GET", f"/service/tickets/{parent['id']}").json["hasMergedChildTicketFlag"] is True


def test_a_merge_needs_both_fields_the_right_status_and_its_own_permission(call, sandbox):
    parent, child = call.open_ticket(), call.open_ticket()
    reply = call("POST", f"/service/tickets/{parent['id']}/merge", {})
    assert [error["field"] for error in reply.json["errors"]] == ["mergeTicketIds", "status"]
    assert merged(call, parent, child, status=call.status("Closed", board=1)).status == 400
    assert merged(call, parent, parent, status=call.status("Closed")).status == 400
    sandbox.control.role(merge_tickets="None")
    assert merged(call, parent, child, status=call.status("Closed")).status == 403
    assert call("GET", f"/service/tickets/{child['id']}").json["closedFlag"] is False


def test_notes_of_a_merged_ticket_move_when_the_switch_says_so(call, sandbox):
    sandbox.control.switches(merged_notes="move")
    parent, child = call.open_ticket(), call.open_ticket(initialDescription="disk full")
    merged(call, parent, child, status=call.status("Closed"))
    notes = call("GET", f"/service/tickets/{parent['id']}/notes").json
    assert [note["text"] for note in notes] == ["disk full"]


def test_children_are_attached_and_cannot_have_children(call):
    parent, child, other = call.open_ticket(), call.open_ticket(), call.open_ticket()
    path = f"/service/tickets/{parent['id']}/attachChildren"
    assert call("POST", path, {"childTicketIds": [child["id"]]}).status == 200
    assert call("GET", f"/service/tickets/{child['id']}").json["parentTicketId"] == parent["id"]
    assert call("GET", f"/service/tickets/{parent['id']}").json["hasChildTicket"] is True
    path = f"/service/tickets/{child['id']}/attachChildren"
    assert call("POST", path, {"childTicketIds": [other["id"]]}).status == 400
    assert call("POST", path, {"childTicketIds": [424242]}).status == 400


def test_a_configuration_is_attached_by_id_or_device_and_leaves_again(call):
    ticket = call.open_ticket()
    device = {"name": "SRV-01", "type": {"id": 1}, "company": {"id": BAKERY}, "deviceIdentifier": "dev-1"}
    made = call("POST", "/company/configurations", device).json
    path = f"/service/tickets/{ticket['id']}/configurations"
    refused = call("POST", path, {})
    assert refused.json["errors"][0]["message"] == "id or deviceIdentifier is required."
    assert call("POST", path, {"deviceIdentifier": "dev-1"}).json["id"] == made["id"]
    assert [row["id"] for row in call("GET", path).json] == [made["id"]]
    assert "_configurations" not in call("GET", f"/service/tickets/{ticket['id']}").json
    assert call("DELETE", f"{path}/{made['id']}").status == 204
    assert call("GET", f"{path}/count").json == {"count": 0}


def uploaded(call, ticket, content=b"log of the night"):
    lines = [
        b'--cut\r\nContent-Disposition: form-data; name="recordType"\r\n\r\nTicket',
        b'--cut\r\nContent-Disposition: form-data; name="recordId"\r\n\r\n' + str(ticket["id"]).encode(),
        b'--cut\r\nContent-Disposition: form-data; name="title"\r\n\r\nNight',
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="night.log"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content,
        b"--cut--\r\n",
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    return call("POST", "/system/documents", b"\r\n".join(lines), headers=headers)


def test_a_document_comes_back_byte_for_byte(call, sandbox):
    sandbox.control.role(manage_attachments="All")
    ticket = call.open_ticket()
    content = bytes(range(256)) * 4
    document = uploaded(call, ticket, content)
    assert document.status == 201
    assert (document.json["fileName"], document.json["size"]) == ("night.log", 1024)
    assert call("GET", f"/system/documents/{document.json['id']}/download").body == content
    listed = call("GET", f"/service/tickets/{ticket['id']}/documents").json
    assert listed == [{"id": document.json["id"], "name": "Night"}]
    assert call("DELETE", f"/system/documents/{document.json['id']}").status == 204
    found = call("GET", "/system/documents", recordType="Ticket", recordId=ticket["id"])
    assert found.json == []


def test_documents_need_a_record_that_is_there_and_a_form(call):
    assert uploaded(call, {"id": 424242}).status == 400
    assert call("POST", "/system/documents", {"recordId": 1}).status == 415
    assert call("GET", "/system/documents").status == 400


def test_a_bundle_answers_each_request_for_itself(call):
    ticket = call.open_ticket()
    requests = [
        {"sequenceNumber": 1, "resourceType": "ticket", "apiRequest": {"id": ticket["id"]}},
        {
            "sequenceNumber": 2,
            "resourceType": "company",
            "apiRequest": {"filters": {"conditions": 'identifier="BakeryOtt"'}, "page": {"pageSize": 5}},
        },
        {"sequenceNumber": 3, "resourceType": "spaceship"},
    ]
    results = call("POST", "/system/bundles", {"requests": requests}).json["results"]
    assert [one["statusCode"] for one in results] == [200, 200, 400]
    assert results[0]["entities"][0]["summary"] == ticket["summary"]
    assert [row["id"] for row in results[1]["entities"]] == [BAKERY]


def test_configurations_are_written_many_at_once_and_answered_one_by_one(call, sandbox):
    sandbox.control.role(configurations="All")
    good = {"name": "SRV-01", "type": {"id": 1}, "company": {"id": BAKERY}}
    reply = call("POST", "/company/configurations/bulk", [good, {"name": "x"}])
    assert reply.status == 207
    assert [one["statusCode"] for one in reply.json["payload"]] == [201, 400]
    row_id = reply.json["payload"][0]["data"]["id"]
    assert call("DELETE", "/company/configurations/bulk", [{"id": row_id}]).status == 207
    assert call("GET", f"/company/configurations/{row_id}").status == 404


def basic(keys, company):
    pair = f"{company}+{keys['publicKey']}:{keys['privateKey']}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def test_a_member_token_speaks_for_the_member_until_the_keys_change(call, sandbox):
    path = "/system/members/mreyes/tokens"
    assert call("POST", path).status == 400
    keys = call("POST", path, headers={"x-cw-usertype": "member"}).json
    as_member = basic(keys, call.keys["company"])
    assert call("GET", "/system/myMembers", headers=as_member).json["identifier"] == "mreyes"
    note = {"text": "mine", "detailDescriptionFlag": True}
    ticket = call.open_ticket()
    made = call("POST", f"/service/tickets/{ticket['id']}/notes", note, headers=as_member).json
    assert made["_info"]["enteredBy"] == "mreyes"
    sandbox.control.rotate_keys()
    assert call("GET", "/system/myMembers", headers=as_member).status == 401
