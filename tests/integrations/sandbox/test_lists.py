"""Pages, links, order, counts and thinned records."""

import re

import pytest

from integrations.sandbox.connectwise.seedlarge import seed_large
from tests.integrations.sandbox.conftest import REST


def linked(reply):
    return {name: url for url, name in re.findall(r'<([^>]+)>; rel="(\w+)"', reply.headers.get("link", ""))}


@pytest.fixture
def many(call, sandbox):
    sizes = {"companies": 60, "contacts": 0, "boards": 4, "statuses": 0, "products": 0, "agreements": 0}
    seed_large(sandbox.dialect.store, **sizes, tickets=1100)
    return call


def test_a_page_has_25_rows_unless_asked_and_1000_at_most(many, sandbox):
    assert len(many("GET", "/service/tickets").json) == 25
    assert len(many("GET", "/service/tickets", pageSize=5000).json) == 1000
    sandbox.control.switches(large_page_size="reject")
    assert many("GET", "/service/tickets", pageSize=5000).status == 400


def test_links_carry_the_conditions_and_end_with_the_page(many):
    links = linked(many("GET", "/service/tickets", conditions="board/id=2", pageSize=100, page=2))
    assert set(links) == {"next", "last", "first", "prev"}
    assert all(re.search(r"[?&]page=\d+$", url) and "board" in url for url in links.values())


def test_following_next_visits_every_row_once(many):
    seen, path = [], REST + "/service/tickets?pageSize=300"
    while path:
        reply = many("GET", path)
        seen += [row["id"] for row in reply.json]
        path = linked(reply).get("next", "").partition(str(many.sandbox.port))[2]
    assert seen == sorted(set(seen))
    assert len(seen) == many("GET", "/service/tickets/count").json["count"] == 1100


def test_forward_only_pages_go_on_after_an_id_and_always_name_a_next(many):
    forward = {"pagination-type": "forward-only"}
    first = many("GET", "/service/tickets", headers=forward, pageSize=1000, orderBy="id desc")
    last_id = first.json[-1]["id"]
    assert linked(first)["next"].endswith(f"pageId={last_id}")
    second = many("GET", "/service/tickets", headers=forward, pageSize=1000, pageId=last_id)
    assert len(second.json) == 100
    assert "next" in linked(many("GET", "/service/tickets", headers=forward, pageId=second.json[-1]["id"]))


def test_counting_takes_the_same_conditions(many):
    expected = len(many("GET", "/service/tickets", conditions="board/id=2", pageSize=1000).json)
    assert many("GET", "/service/tickets/count", conditions="board/id=2").json == {"count": expected}


def test_order_goes_by_several_fields(call):
    rows = call("GET", "/procurement/catalog", orderBy="price desc, identifier asc").json
    assert [row["price"] for row in rows] == sorted((row["price"] for row in rows), reverse=True)


def test_fields_thin_the_answer(call):
    row = call(
        "GET", "/service/tickets", fields="id,status/id,company/identifier,_info/lastUpdated,nope"
    ).json[0]
    assert set(row) == {"id", "status", "company", "_info"}
    assert set(row["status"]) == {"id"}
    assert set(row["_info"]) == {"lastUpdated"}


def test_child_conditions_reach_into_lists(call):
    query = {"childConditions": 'communicationItems/value="hanna.ott@bakeryott.example"'}
    assert [row["lastName"] for row in call("GET", "/company/contacts", **query).json] == ["Ott"]


def test_custom_fields_are_found_by_caption_and_value(call):
    ticket = call.open_ticket(customFields=[{"id": 3, "caption": "Portal Id", "value": "42"}])
    call.open_ticket(customFields=[{"id": 3, "caption": "Portal Id", "value": "43"}])
    query = {"customFieldConditions": 'caption="Portal Id" AND value="42"'}
    assert [row["id"] for row in call("GET", "/service/tickets", **query).json] == [ticket["id"]]


def test_a_search_reads_its_body_whatever_the_case_of_its_keys(call):
    ticket = call.open_ticket(externalXRef="portal:1")
    body = {"Conditions": 'externalXRef="portal:1"', "orderBy": "id"}
    assert [row["id"] for row in call("POST", "/service/tickets/search", body, fields="id").json] == [
        ticket["id"]
    ]


def test_a_bad_condition_is_a_400_that_explains_literals(call):
    reply = call("GET", "/service/tickets", conditions="closedFlag=1")
    assert reply.status == 400
    assert "Expected a boolean value, not a number" in reply.json["message"]


def test_our_key_finds_its_ticket_among_many_at_once(many):
    many.open_ticket(externalXRef="Portal:event:7")
    exact = many("GET", "/service/tickets", conditions='externalXRef="portal:EVENT:7" and closedFlag=false')
    prefix = many("GET", "/service/tickets", conditions='externalXRef like "portal:event:%"', pageSize=5)
    assert len(exact.json) == len(prefix.json) == 1
    table = many.sandbox.dialect.store.table("tickets")
    assert len(table.indexes["externalXRef"].equal("portal:event:7")) == 1


def test_an_overlong_url_is_refused(call, sandbox):
    sandbox.control.switches(longest_url=2000)
    assert call("GET", "/service/tickets", conditions="id in (" + "1," * 1000 + "1)").status == 414


@pytest.mark.parametrize(
    "path", ["/service/boards", "/service/boards/2/statuses", "/company/companies/250/sites"]
)
def test_null_fields_are_left_out_and_references_link(call, path):
    for row in call("GET", path).json:
        assert None not in row.values()
        assert "lastUpdated" in row["_info"]


def test_a_status_reference_carries_its_sort_with_a_capital(call):
    assert call.open_ticket()["status"]["Sort"] == 0
