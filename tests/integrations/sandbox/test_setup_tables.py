"""Set-up tables, boards' parts, contacts' addresses and hosted tabs at the pretend ConnectWise."""

import json
import re

import pytest

from integrations.sandbox.connectwise.dialect import ConnectWise
from integrations.sandbox.connectwise.resources import RESOURCES
from tests.integrations.sandbox.conftest import BACKUP_BOARD, BAKERY

BOARD = f"/service/boards/{BACKUP_BOARD}"
PARENTS = {
    "companies": 250,
    "contacts": 2000,
    "boards": 2,
    "tickets": 10001,
    "agreements": 401,
    "solutions": 1,
}


@pytest.mark.parametrize("path", [one.path for one in RESOURCES])
def test_every_collection_can_be_read_and_counted(call, path):
    resource = next(one for one in RESOURCES if one.path == path)
    if resource.parent_table == "devicesIntegrations":
        integration = {"name": "EFS", "solution": "EFS", "loginBy": "Global", "defaultBillingLevel": "Detail"}
        parent = call("POST", "/company/managedDevicesIntegrations", integration).json["id"]
    else:
        parent = PARENTS.get(resource.parent_table or "", 0)
    path = "/" + path.replace("*", str(parent))
    rows = call("GET", path, pageSize=1000)
    assert rows.status == 200, rows.body
    assert call("GET", path + "/count").json == {"count": len(rows.json)}
    for row in rows.json[:3]:
        assert call("GET", f"{path}/{row['id']}").json == row
    assert not [name for row in rows.json for name in row if name.startswith("_") and name != "_info"]


def test_a_subtype_belongs_to_the_types_it_names(call, sandbox):
    sandbox.control.role(table_setup="All")
    types = [row["id"] for row in call("GET", f"{BOARD}/types").json]
    made = call("POST", f"{BOARD}/subtypes", {"name": "Tape", "typeAssociationIds": types[:1]}).json
    triples = call("GET", f"{BOARD}/typeSubTypeItemAssociations", conditions=f"subType/id={made['id']}").json
    assert [row["type"]["id"] for row in triples] == types[:1]
    ticket = call.open_ticket(type={"id": types[0]}, subType={"id": made["id"]})
    wrong = {"summary": "x", "company": {"id": BAKERY}, "board": {"id": BACKUP_BOARD}}
    wrong |= {"type": {"id": types[1]}, "subType": {"id": made["id"]}}
    assert call("POST", "/service/tickets", wrong).status == 400
    assert call("DELETE", f"{BOARD}/subtypes/{made['id']}").status == 409
    call("DELETE", f"/service/tickets/{ticket['id']}")
    assert call("DELETE", f"{BOARD}/subtypes/{made['id']}").status == 204


def test_an_item_is_given_to_subtypes_of_a_type(call):
    item = call("POST", f"{BOARD}/items", {"name": "Escalate"}).json["id"]
    path = f"{BOARD}/items/{item}/associations"
    kind = call("GET", path).json[0]["id"]
    subtypes = call("GET", f"{BOARD}/typeSubTypeItemAssociations", conditions=f"type/id={kind}").json
    one = subtypes[0]["subType"]["id"]
    assert call("PUT", f"{path}/{kind}", {"subTypeAssociationIds": [one]}).json["subTypeAssociationIds"] == [
        one
    ]
    assert call("PUT", f"{path}/{kind}", {"subTypeAssociationIds": [424242]}).status == 400


def test_a_status_that_tickets_have_cannot_be_deleted(call, sandbox):
    sandbox.control.role(table_setup="All")
    ticket = call.open_ticket()
    assert call("DELETE", f"{BOARD}/statuses/{ticket['status']['id']}").status == 409
    made = call("POST", f"{BOARD}/statuses", {"name": "Parked"}).json
    assert call("DELETE", f"{BOARD}/statuses/{made['id']}").status == 204


def test_references_of_set_up_are_looked_up(call):
    wanted = {"summary": "x", "company": {"id": BAKERY}, "serviceLocation": {"id": 99}}
    reply = call("POST", "/service/tickets", wanted)
    assert [error["field"] for error in reply.json["errors"]] == ["serviceLocation/id"]
    assert call.open_ticket(serviceLocation={"name": "Remote"})["serviceLocation"]["id"] == 2


def test_addresses_of_a_contact_are_records_and_items_alike(call, sandbox):
    sandbox.control.role(contacts="All")
    path = "/company/contacts/2000/communications"
    made = call("POST", path, {"type": {"id": 1}, "value": "new@bakery.example"}).json
    assert made["communicationType"] == "Email"
    found = call("GET", "/company/contacts", childConditions='communicationItems/value="new@bakery.example"')
    assert [row["id"] for row in found.json] == [2000]
    call("DELETE", f"{path}/{made['id']}")
    items = call("GET", "/company/contacts/2000").json["communicationItems"]
    assert made["id"] not in [item["id"] for item in items]


def test_types_of_a_company_only_count_when_it_is_created(call):
    reply = call.patch(f"/company/companies/{BAKERY}", ("replace", "types", [{"id": 2}]))
    assert reply.status == 400
    assert "only be used when creating" in reply.json["errors"][0]["message"]


def hosted(call, url="http://portal.example/tab?id=[cw_id]&screen=[cw_screen]", **more):
    body = {"screenId": 1, "description": "Backups", "url": url, "type": "Tab", **more}
    return call("POST", "/system/connectWiseHostedSetups", body)


def facts_of(page):
    found = re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1].replace("\\u003c", "<"))


def test_the_parent_page_fills_in_the_record_and_knows_the_member(call):
    setup = hosted(call).json["id"]
    text = call.raw(f"/hosted/{setup}?id=250&member=tlund")
    assert 'src="http://portal.example/tab?id=250&amp;screen=company"' in text
    facts = facts_of(text)
    assert facts["origin"] == "http://portal.example"
    assert facts["screen"] == {"screen": "company", "id": 250, "hostedAs": "tab"}
    assert facts["member"]["memberid"] == "tlund"


def test_cookies_of_the_hosted_tab_prove_the_member_and_nobody_else(call):
    facts = facts_of(call.raw(f"/hosted/{hosted(call).json['id']}?id=250&member=tlund"))["member"]
    crumbs = {"companyName": facts["companyid"], "memberId": facts["memberid"], "memberContext": "web"}
    cookie = "; ".join(f"{name}={value}" for name, value in crumbs.items())
    headers = {"Authorization": None, "Cookie": f"{cookie}; memberHash={facts['memberHash']}"}
    assert call("GET", "/system/myMembers", headers=headers).json["identifier"] == "tlund"
    forged = {**headers, "Cookie": f"{cookie.replace('tlund', 'mreyes')}; memberHash={facts['memberHash']}"}
    assert call("GET", "/system/myMembers", headers=forged).status == 401


def test_a_hosted_tab_needs_a_screen_and_an_address(call):
    assert hosted(call, screenId=99).status == 400
    assert hosted(call, url="javascript:alert(1)").status == 400
    assert hosted(call, description="x" * 51).status == 400
    assert call.raw("/hosted/4242").startswith("There is no such")


def test_the_screen_report_names_the_screens(call):
    report = call("GET", "/system/reports/ConnectWiseHostedApiScreen").json
    assert [1, "company", "Company"] in report["row_values"]
    assert call("GET", "/system/reports/Spaceships").status == 404


def test_a_state_file_from_before_the_set_up_tables_is_taken_over(tmp_path):
    state = tmp_path / "state.jsonl"
    ConnectWise(state).close()
    tables = tuple(f'"{name}"' for name in ("locations", "billingStatuses", "companyStatuses"))
    lines = [json.loads(line) for line in state.read_text().splitlines()]
    for line in lines:
        line["changes"] = [one for one in line["changes"] if f'"{one[1]}"' not in tables]
    lines[0]["changes"].append(["put", "units", {"id": 1, "name": "Each"}])
    state.write_text("".join(json.dumps(line) + "\n" for line in lines))
    psa = ConnectWise(state)
    assert psa.store.reference("billingStatuses", 1)["name"] == "New"
    assert psa.store.reference("companyStatuses", 1)["name"] == "Active"
    psa.close()
