"""Who may come in, by which path, and how a refusal looks."""

import pytest

from tests.integrations.sandbox.conftest import REST

BOARDS = REST + "/service/boards"


def test_discovery_names_the_codebase_of_a_company_and_null_for_a_stranger(call):
    known = call("GET", "/login/companyinfo/cirrus", headers={"Authorization": None, "clientId": None})
    assert (known.status, known.json["Codebase"]) == (200, "v2026_4/")
    assert call("GET", "/login/companyinfo/Cirrus").body == b"null"


@pytest.mark.parametrize(
    "path",
    [
        BOARDS,
        "/v2026_4/apis/3.0/service/boards",
        "/V4_6_Release/apis/3.0/Service/Boards/",
        BOARDS + "?unknown=1",
    ],
)
def test_paths_are_taken_as_clients_write_them(call, path):
    assert call("GET", path).status == 200


def test_a_wrong_codebase_is_answered_in_plain_text(call):
    reply = call("GET", "/v2024_1/apis/3.0/service/boards")
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (400, "text/plain")
    assert b"Cannot route" in reply.body


def test_after_an_upgrade_the_former_codebase_is_gone(call, sandbox):
    sandbox.control.switches(codebase="v2026_5")
    assert call("GET", "/v2026_4/apis/3.0/service/boards").status == 400
    assert call("GET", "/login/companyinfo/cirrus").json["Codebase"] == "v2026_5/"


def test_answers_carry_the_vendors_media_type_and_version(call):
    reply = call(
        "GET", "/service/boards", headers={"Accept": "application/vnd.connectwise.com+json; version=2025.1"}
    )
    assert reply.headers["content-type"] == "application/vnd.connectwise.com+json; version=2025.1"
    assert reply.headers["api-current-version"] == "2026.4"


@pytest.mark.parametrize("wrong", [None, "Basic eA==", "Bearer x"])
def test_wrong_credentials_are_a_401_in_json(call, wrong):
    reply = call("GET", "/service/boards", headers={"Authorization": wrong})
    assert (reply.status, reply.json["code"]) == (401, "Unauthorized")


@pytest.mark.parametrize("status", [400, 401])
def test_a_missing_client_id_is_refused_and_named(call, sandbox, status):
    sandbox.control.switches(client_id_status=status)
    reply = call("GET", "/service/boards", headers={"clientId": None})
    assert reply.status == status
    assert "clientid" in reply.json["message"].lower()


def test_rotated_keys_work_and_the_old_ones_no_longer(call, sandbox):
    new = sandbox.control.rotate_keys()
    assert call("GET", "/service/boards").status == 401
    call.keys = new
    assert call("GET", "/service/boards").status == 200


@pytest.mark.parametrize(
    ("function", "method", "path"),
    [
        ("agreements", "GET", "/finance/agreements"),
        ("agreements", "GET", "/finance/agreements/401/additions"),
        ("service_tickets", "POST", "/service/tickets"),
        ("table_setup", "GET", "/service/boards/1/statuses"),
        ("product_catalog", "GET", "/procurement/catalog"),
        ("company_maintenance", "GET", "/company/companies"),
        ("contacts", "GET", "/company/contacts"),
        ("member_maintenance", "GET", "/system/members"),
    ],
)
def test_each_module_of_the_role_closes_its_own_paths(call, sandbox, function, method, path):
    sandbox.control.role(**{function: "None"})
    reply = call(method, path, {} if method == "POST" else None)
    assert (reply.status, reply.json["code"]) == (403, "Security")
    assert call("GET", "/system/info").status == 200


def test_my_security_shows_the_role_as_it_is(call, sandbox):
    sandbox.control.role(agreements={"edit": "None"})
    rows = {row["moduleFunctionName"]: row for row in call("GET", "/system/mySecurity").json}
    assert (rows["Agreements"]["editLevel"], rows["Agreements"]["inquireLevel"]) == ("None", "All")


def test_closing_needs_a_right_of_its_own(call, sandbox):
    ticket = call.open_ticket()
    sandbox.control.role(close_service_tickets="None")
    closed = call.status("Closed")["id"]
    reply = call.patch(f"/service/tickets/{ticket['id']}", ("replace", "status", {"id": closed}))
    assert reply.status == 403
    assert not sandbox.control.tickets(id=ticket["id"])[0]["closedFlag"]


@pytest.mark.parametrize("told", ["forbidden", "missing"])
def test_my_security_can_be_switched_off(call, sandbox, told):
    sandbox.control.switches(my_security=told)
    assert {call("GET", path).status for path in ("/system/mySecurity", "/system/myMembers")} == {
        403 if told == "forbidden" else 404
    }


def test_a_level_of_my_reaches_only_what_the_member_owns(call, sandbox):
    ticket, other = call.open_ticket(), call.open_ticket()
    member = next(row for row in call("GET", "/system/members").json if row["identifier"] == "psaportal")
    call.patch(f"/service/tickets/{ticket['id']}", ("replace", "owner", {"id": member["id"]}))
    sandbox.control.role(service_tickets={"inquire": "My", "edit": "My", "add": "My"})
    assert [row["id"] for row in call("GET", "/service/tickets").json] == [ticket["id"]]
    assert call("GET", "/service/tickets/count").json == {"count": 1}
    assert call("GET", f"/service/tickets/{other['id']}").status == 403
    assert call("POST", f"/service/tickets/{other['id']}/notes", {"text": "x"}).status == 403
    assert call.patch(f"/service/tickets/{other['id']}", ("replace", "summary", "x")).status == 403
    assert call.patch(f"/service/tickets/{ticket['id']}", ("replace", "summary", "x")).status == 200
    assert call("POST", "/service/tickets", {"summary": "x", "company": {"id": 250}}).status == 403
    sandbox.control.role(company_maintenance={"inquire": "My"})
    assert call("GET", "/company/companies").json == []


def test_a_customize_list_closes_what_it_does_not_name(call, sandbox):
    sandbox.control.role(table_setup={"allow": "Service / Priority"}, agreements={"allow": ""})
    assert call("GET", "/service/priorities").status == 200
    assert call("GET", "/service/boards").status == call("GET", "/service/boards/2/statuses").status == 403
    assert call("GET", "/finance/agreements").status == 200
    assert call("GET", "/finance/agreements/401/additions").status == 403
    rows = {row["moduleFunctionName"]: row for row in call("GET", "/system/mySecurity").json}
    assert (rows["Table Setup"]["inquireLevel"], rows["Table Setup"]["customFlag"]) == ("All", True)
    items = call("GET", "/system/mySecurity/customizeItems/").json
    assert [row["itemIdentifier"] for row in items] == ["Service / Priority"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/system/connectWiseHostedScreens"),
        ("GET", "/company/management"),
        ("GET", "/service/boards/2/items/1/associations"),
        ("POST", "/company/management/1/executeManagedItSync"),
    ],
)
def test_side_records_and_actions_follow_the_customize_list_too(call, sandbox, method, path):
    assert call(method, path).status != 403
    sandbox.control.role(table_setup={"allow": "Service / Priority"})
    assert call(method, path).status == 403
    boards = {"requests": [{"resourceType": "board"}]}
    assert call("POST", "/system/bundles", boards).json["results"][0]["statusCode"] == 403


def test_an_action_on_a_ticket_needs_the_level_that_reaches_it(call, sandbox):
    ticket = call.open_ticket()
    path, device = f"/service/tickets/{ticket['id']}/configurations", {"id": 7001}
    assert call("POST", path, device).status == 201
    sandbox.control.role(service_tickets={"inquire": "My", "edit": "My"})
    assert call("GET", path).status == call("POST", path, device).status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/service/nothing", 404), ("PUT", "/service/boards", 405), ("GET", "/service/tickets/99", 404)],
)
def test_what_is_not_there_says_so(call, method, path, status):
    assert call(method, path).status == status


def test_a_body_must_be_json_and_say_so(call):
    as_text = call("POST", "/service/tickets", b"{}", headers={"Content-Type": "text/plain"})
    assert as_text.status == 415
    assert call("POST", "/service/tickets", b"{").status == 400
