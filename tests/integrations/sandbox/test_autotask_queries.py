"""What a query finds, what it refuses, and how its pages follow each other."""

import gzip
import json
from urllib.parse import quote

import pytest

from tests.integrations.sandbox.autotask_caller import BAKERY, HARBOR, AutotaskCaller, where

ANY = {"op": "gte", "field": "id", "value": 0}


@pytest.fixture
def ask(autotask):
    return AutotaskCaller(autotask, autotask.dialect.credentials())


def names(rows):
    return [row["companyName"] for row in rows]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (where("companyName", "bakery ott"), ["Bakery Ott"]),
        (where("COMPANYNAME", "Bakery Ott"), ["Bakery Ott"]),
        (where("companyNumber", "19652"), ["Bakery Ott"]),
        (where("companyName", "oTT", "contains"), ["Bakery Ott"]),
        (where("companyName", "Bak", "beginsWith"), ["Bakery Ott"]),
        (where("companyName", " Ott", "endsWith"), ["Bakery Ott"]),
        (where("companyName", "O'Neil", "contains"), ["Quarry & Stone O'Neil"]),
        (where("id", [0, BAKERY, 9999], "in"), ["Cirrus Managed IT", "Bakery Ott"]),
        (where("id", 0), ["Cirrus Managed IT"]),
        (where("id", BAKERY, "lte"), ["Cirrus Managed IT", "Bakery Ott"]),
        (where("id", str(BAKERY)), ["Bakery Ott"]),
        (where("companyNumber", None, "notExist"), ["Cirrus Managed IT"]),
        (where("Vendor Client Number", "19653", udf=True), ["Harbor Dental Group"]),
        (
            {"op": "or", "items": [where("id", HARBOR), where("companyName", "Bakery", "beginsWith")]},
            ["Bakery Ott", "Harbor Dental Group"],
        ),
        ({"op": "and", "items": [where("isActive", True), where("id", 1, "lt")]}, ["Cirrus Managed IT"]),
    ],
    ids=lambda value: value.get("op") if isinstance(value, dict) else "",
)
def test_each_operator_finds_what_it_says(ask, condition, found):
    assert names(ask.query("Companies", condition)) == found


@pytest.mark.parametrize("op", ["noteq", "notIn"])
def test_what_is_not_there_is_not_different_from_anything(ask, op):
    value = ["19652"] if op == "notIn" else "19652"
    found = names(ask.query("Companies", where("companyNumber", value, op)))
    assert "Cirrus Managed IT" not in found
    assert "Bakery Ott" not in found
    assert len(found) == 11


def test_conditions_side_by_side_must_all_hold(ask):
    assert ask.query("Companies", where("id", BAKERY), where("companyName", "Harbor", "beginsWith")) == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "filter"),
        ({"filter": []}, "filter"),
        ({"filter": [where("nope", 1)]}, "Unable to find nope in the Ticket Entity."),
        ({"filter": [where("creatorType", 1)]}, "cannot be queried"),
        ({"filter": [where("status", "open")]}, "Conversion failed when converting"),
        ({"filter": [where("createDate", "soon")]}, "Conversion failed when converting date"),
        ({"filter": [ANY], "maxRecords": 501}, "between 1 and 500"),
        ({"filter": [ANY], "maxRecords": 0}, "between 1 and 500"),
        ({"filter": [ANY], "includeFields": ["id", "nope"]}, "Unable to find nope"),
        ({"filter": [where("id", list(range(501)), "in")]}, "500 or fewer 'OR'"),
        ({"filter": [where("Alert Key", "a", udf=True)] * 2}, "only one user-defined field"),
        ({"filter": [where("isVisibleToComanaged", None)]}, "must be true or false"),
    ],
)
def test_a_query_that_cannot_be_is_a_500_with_a_reason(ask, body, error):
    assert error in ask.errors("POST", "/Tickets/query", body)[0]


def test_a_misspelt_operator_lets_every_row_through_unless_switched(ask, autotask):
    condition = where("externalID", None, "noteExist")
    assert len(ask.query("Tickets", condition)) == 3
    autotask.control.switches(unknown_operator="reject")
    assert "noteExist" in ask.errors("POST", "/Tickets/query", {"filter": [condition]})[0]


def test_history_is_found_by_ticket_only(ask):
    ticket = ask.open_ticket()
    assert [row["action"] for row in ask.query("TicketHistory", where("ticketID", ticket))] == ["Created"]
    assert ask("POST", "/TicketHistory/query", {"filter": [ANY]}).status == 500


def test_only_the_wanted_fields_come_and_otherwise_every_one(ask):
    (thin,) = ask.query("Tickets", where("id", 10001), includeFields=["ID", "externalID"])
    assert thin == {"id": 10001, "externalID": None}
    (whole,) = ask.query("Tickets", where("id", 10001))
    assert whole["resolution"] is None
    assert whole["userDefinedFields"] == [{"name": "Alert Key", "value": None}]


def test_a_get_carries_its_search_and_so_do_its_pages(ask):
    search = json.dumps({"MaxRecords": 5, "Filter": [ANY]})
    first = ask("GET", "/Companies/query", search=search).json
    assert len(first["items"]) == 5
    url = first["pageDetails"]["nextPageUrl"]
    assert "search=" in url
    second = ask("GET", url[url.index("/ATS") :]).json
    assert second["items"][0]["id"] > first["items"][-1]["id"]
    back = second["pageDetails"]["prevPageUrl"]
    assert ask("GET", back[back.index("/ATS") :]).json["items"] == first["items"]


def test_pages_of_a_post_are_posted_again_with_the_body(ask):
    body = {"maxRecords": 5, "filter": [ANY], "includeFields": ["id"]}
    path, seen = "/Companies/query", []
    while path:
        reply = ask("POST", path, body).json
        seen += [row["id"] for row in reply["items"]]
        url = reply["pageDetails"]["nextPageUrl"]
        if url:
            path = url[url.index("/ATS") :]
            assert "search=" not in url
            assert ask("GET", path).status == 405
        else:
            path = None
    assert seen == [0, *range(201, 213)]


def test_a_last_page_that_is_full_may_name_an_empty_one(ask, autotask):
    body = {"maxRecords": 13, "filter": [ANY]}
    assert ask("POST", "/Companies/query", body).json["pageDetails"]["nextPageUrl"] is None
    autotask.control.switches(empty_last_page=True)
    assert ask("POST", "/Companies/query", body).json["pageDetails"]["nextPageUrl"]


def test_counting_goes_both_ways(ask):
    body = {"filter": [where("companyID", 0, "gt")]}
    assert ask("POST", "/Contacts/query/count", body).json == {"queryCount": 12}
    path = f"/Contacts/query/count?search={quote(json.dumps(body))}"
    assert ask("GET", path).json == {"queryCount": 12}


def test_what_is_not_there_is_null_or_404(ask, autotask):
    assert ask("GET", "/Tickets/999999").json == {"item": None}
    autotask.control.switches(missing_item="404")
    assert ask("GET", "/Tickets/999999").status == 404


def test_dates_are_utc_with_or_without_saying_so(ask, autotask):
    ticket = ask.open_ticket(dueDateTime="2030-01-01T18:30:00+01:00")
    assert ask.get("Tickets", ticket)["dueDateTime"] == "2030-01-01T17:30:00.000"
    autotask.control.switches(dates="zulu")
    assert ask.get("Tickets", ticket)["dueDateTime"] == "2030-01-01T17:30:00.000Z"


def test_changes_since_a_moment_are_found(ask):
    before = ask.get("Tickets", ask.open_ticket())["lastActivityDate"]
    ask("PATCH", "/Tickets", {"id": 10002, "title": "Changed"})
    found = ask.query("Tickets", where("lastActivityDate", before, "gte"), includeFields=["id"])
    assert {row["id"] for row in found} == {10002, 10004}


def test_children_are_listed_below_their_parent_only(ask):
    rows = ask("GET", "/Companies/201/Contacts").json
    assert [row["lastName"] for row in rows["items"]] == ["Ott"]
    assert ask("GET", f"/Companies/202/Contacts/{rows['items'][0]['id']}").json == {"item": None}


def test_bodies_may_be_compressed_when_switched(ask, autotask):
    packed = gzip.compress(json.dumps({"filter": [ANY]}).encode())
    headers = {"Content-Encoding": "gzip"}
    assert ask("POST", "/Tickets/query", packed, headers=headers).status == 500
    autotask.control.switches(accepts_gzip=True)
    assert len(ask("POST", "/Tickets/query", packed, headers=headers).json["items"]) == 3


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000])
def test_a_body_that_is_no_query_is_refused(ask, body):
    assert ask("POST", "/Tickets/query", body).status == 500


@pytest.mark.parametrize("day", ["2000-01-01", "20000101", "2000-01-01T23:59:00-05:00"])
def test_a_day_is_taken_as_written(ask, day):
    contract = {
        "companyID": BAKERY,
        "contractName": "Old",
        "contractType": 7,
        "startDate": day,
        "endDate": "2001-01-01",
        "status": 1,
        "timeReportingRequiresStartAndStopTimes": 0,
    }
    made = ask.create("/Contracts", contract)
    (found,) = ask.query("Contracts", where("startDate", day), includeFields=["id", "startDate"])
    assert found == {"id": made, "startDate": "2000-01-01T00:00:00.000"}
