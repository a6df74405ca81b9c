"""Facts nobody is sure of can be either way at the pretend ConnectWise; and a large one is found its way by indexes."""

import pytest

from integrations.sandbox.connectwise.dialect import ConnectWise
from integrations.sandbox.connectwise.matching import candidates, condition_test
from integrations.sandbox.connectwise.settings import Switches
from integrations.sandbox.connectwise.shapes import TICKET
from tests.integrations.sandbox.conftest import BAKERY


def test_calls_over_the_limit_are_a_429_until_it_is_lifted(call, sandbox):
    sandbox.control.switches(requests_per_window=2, retry_after="7")
    replies = [call("GET", "/system/info") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].headers["retry-after"] == "7"
    assert "code" not in replies[2].json
    sandbox.control.switches(requests_per_window=0)
    assert call("GET", "/system/info").status == 200


def test_a_level_of_my_may_mean_what_the_member_entered_or_nothing_at_all(call, sandbox):
    own = call.open_ticket()
    sandbox.control.role(service_tickets={"add": "My", "edit": "My", "inquire": "My"})
    assert call("GET", "/service/tickets").json == []
    sandbox.control.switches(my_level="entered")
    assert [row["id"] for row in call("GET", "/service/tickets").json] == [own["id"]]
    assert call("GET", "/service/tickets/10001").status == 404
    assert call.patch(f"/service/tickets/{own['id']}", ("replace", "summary", "x")).status == 200
    assert call.open_ticket()["id"] == own["id"] + 1
    sandbox.control.switches(my_level="all")
    assert call.patch("/service/tickets/10001", ("replace", "summary", "x")).status == 200
    assert call("GET", "/service/tickets/count").json["count"] > 2


@pytest.mark.parametrize(
    ("switch", "value", "method", "path", "status"),
    [
        ("unknown_company", "404", "GET", "/login/companyinfo/stranger", 404),
        ("wrong_codebase", 404, "GET", "/v1_1/apis/3.0/system/info", 404),
        ("my_security", "forbidden", "GET", "/system/mySecurity", 403),
    ],
)
def test_an_answer_that_sources_disagree_on(call, sandbox, switch, value, method, path, status):
    assert call(method, path).status != status
    sandbox.control.switches(**{switch: value})
    assert call(method, path).status == status


def test_a_missing_record_may_be_told_before_a_missing_right(call, sandbox):
    sandbox.control.role(service_tickets={"edit": "None"})
    assert call("PATCH", "/service/tickets/0", []).status == 403
    sandbox.control.switches(permission_first=False)
    assert call("PATCH", "/service/tickets/0", []).status == 404


def test_defaults_of_a_new_ticket_can_be_missing(call, sandbox):
    wanted = {"summary": "x", "company": {"id": BAKERY}}
    assert call("POST", "/service/tickets", wanted).json["contact"]
    sandbox.control.switches(contact_default=False, board_default="reject")
    refused = call("POST", "/service/tickets", wanted)
    assert [error["field"] for error in refused.json["errors"]] == ["board"]
    assert "contact" not in call.open_ticket()


def test_a_board_may_want_a_type_before_a_ticket_closes(call, sandbox):
    sandbox.control.switches(close_needs_type=True)
    ticket = call.open_ticket()
    closed = ("replace", "status", {"id": call.status("Closed")["id"]})
    assert call.patch(f"/service/tickets/{ticket['id']}", closed).status == 400
    kind = ("replace", "type", {"name": "Backup Failure"})
    assert call.patch(f"/service/tickets/{ticket['id']}", kind, closed).json["closedFlag"] is True


def test_what_is_billed_and_when_days_begin_can_differ(call, sandbox):
    sandbox.control.switches(billed_quantity="quantity", midnight="server")
    body = {"product": {"id": 301}, "billCustomer": "Billable", "quantity": 10, "lessIncluded": 4}
    made = call("POST", "/finance/agreements/401/additions", body).json
    assert made["billedQuantity"] == 10
    assert made["effectiveDate"].endswith("T04:00:00Z")


@pytest.mark.parametrize(
    ("conditions", "most"),
    [
        ('externalXRef="seed:000300"', 1),
        ('externalXRef like "seed:00030%"', 10),
        ("company/id=300 and closedFlag=false", 10),
        ("id in (10005, 10006)", 2),
        ("lastUpdated>[2026-01-06T04:00:00Z]", 400),
    ],
)
def test_a_condition_on_what_is_indexed_looks_at_few_rows(conditions, most):
    psa = ConnectWise()
    few = {"contacts": 0, "statuses": 0, "products": 0, "agreements": 0}
    psa.reset({"large": {"companies": 200, "boards": 4, "tickets": 1000, **few}})
    table = psa.store.table("tickets")
    node, test = condition_test(conditions, TICKET, Switches().comparing)
    found = candidates(node, table)
    assert found is not None
    assert len(list(found)) <= most
    assert {row["id"] for row in table.rows.values() if test(row)} <= set(found)


def test_an_index_forgets_what_was_changed_and_deleted(call):
    first = call.open_ticket(externalXRef="a:1")
    call.patch(f"/service/tickets/{first['id']}", ("replace", "externalXRef", "a:2"))
    second = call.open_ticket(externalXRef="a:3")
    call("DELETE", f"/service/tickets/{second['id']}")
    for key, ids in (("a:1", []), ("a:2", [first["id"]]), ("a:3", [])):
        found = call("GET", "/service/tickets", conditions=f'externalXRef="{key}"').json
        assert [row["id"] for row in found] == ids
