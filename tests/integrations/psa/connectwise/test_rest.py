"""Codebase, pages and odd answers, where the sandbox is too well-behaved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.rest import PAGE_SIZE
from integrations.psa.errors import (
    AlreadyThere,
    Misconfigured,
    NotFound,
    NotPermitted,
    PsaError,
    Rejected,
    SignInRefused,
    Throttled,
    Unreachable,
)
from integrations.psa.port import Exchange, SignIn
from integrations.sandbox import Sandbox
from tests.integrations.psa.connectwise.conftest import Connect, backup_failed

SITE = "https://api-na.myconnectwise.net"
INFO = f"{SITE}/login/companyinfo/cirrus"
TICKET_17 = f"{SITE}/v2026_4/apis/3.0/service/tickets/17"
STATUSES = f"{SITE}/v2026_4/apis/3.0/service/boards/2/statuses"
CLOUD = SignIn(site=SITE, login_company="cirrus", public_key="Pub", secret="S3cretKey", client_id="c-1")


@pytest.fixture
def cloud() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def cloud_psa(connected: Connect, cloud: responses.RequestsMock) -> ConnectWisePsa:
    cloud.get(INFO, json={"CompanyName": "Cirrus", "Codebase": "v2026_4/", "IsCloud": True})
    return connected(sign_in=CLOUD)


# --- codebase ----------------------------------------------------------------------------------------------------


def test_the_codebase_is_asked_for_once_and_shared(connected: Connect, sandbox: Sandbox) -> None:
    for _ in range(3):
        connected().choices("source")
    asked = [row for row in sandbox.control.requests() if "companyinfo" in row["path"]]
    assert len(asked) == 1


def test_an_upgrade_of_the_psa_is_noticed_in_the_middle_of_a_write(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    sandbox.control.switches(codebase="v2027_1")
    assert psa.apply(psa.plan_ticket(backup_failed())).items[0].record_id
    assert len(sandbox.control.journal("ticket")) == 1


def test_a_record_that_is_gone_is_asked_for_once_when_the_codebase_is_right(
    psa: ConnectWisePsa, sandbox: Sandbox
) -> None:
    seen = len(sandbox.control.requests())
    with pytest.raises(NotFound):
        psa.ticket("99999")
    assert [row["path"].rsplit("/", 1)[-1] for row in sandbox.control.requests()[seen:]] == [
        "99999",
        "cirrus",
    ]


def test_an_unknown_login_company_is_told(connected: Connect, sign_in: SignIn) -> None:
    wrong = SignIn(site=sign_in.site, login_company="cumulus", public_key="p", secret="s")
    with pytest.raises(SignInRefused, match="cumulus"):
        connected(sign_in=wrong).companies()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 404, "json": {"code": "NotFound"}}, SignInRefused),
        ({"status": 404, "body": "<html>no</html>", "content_type": "text/html"}, Misconfigured),
        ({"status": 200, "body": "<html>hi</html>", "content_type": "text/html"}, Unreachable),
        ({"status": 503, "body": "<html>later</html>", "content_type": "text/html"}, Unreachable),
        ({"status": 302, "headers": {"Location": "https://evil.example/"}}, Unreachable),
        ({"status": 200, "json": []}, SignInRefused),
    ],
)
def test_a_discovery_that_fails_says_why(
    answer: dict[str, Any], expected: type[PsaError], connected: Connect, cloud: responses.RequestsMock
) -> None:
    cloud.get(INFO, **answer)
    with pytest.raises(PsaError) as caught:
        connected(sign_in=CLOUD).companies()
    assert type(caught.value) is expected


@pytest.mark.parametrize("codebase", ["../../evil", "", None, "v2026_4/../x", "http://evil.example", 41])
def test_a_codebase_that_is_none_is_replaced_by_the_usual_one(
    codebase: object, connected: Connect, cloud: responses.RequestsMock
) -> None:
    cloud.get(INFO, json={"Codebase": codebase})
    cloud.get(f"{SITE}/v4_6_release/apis/3.0/service/sources", json=[])
    assert connected(sign_in=CLOUD).choices("source") == []


def test_every_call_carries_sign_in_client_id_and_the_pinned_version(
    cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock
) -> None:
    cloud.get(f"{SITE}/v2026_4/apis/3.0/service/sources", json=[])
    cloud_psa.choices("source")
    headers = cloud.calls[-1].request.headers
    assert headers["Authorization"] == "Basic Y2lycnVzK1B1YjpTM2NyZXRLZXk="
    assert headers["clientId"] == "c-1"
    assert headers["Accept"] == "application/vnd.connectwise.com+json; version=2026.4"


# --- pages -------------------------------------------------------------------------------------------------------

Answering = Callable[[requests.PreparedRequest], tuple[int, dict[str, str], str]]


def listing(total: int, *, knows_forward_only: bool = True, knows_pages: bool = True) -> Answering:
    """A list of so many statuses that understands some ways of paging."""

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        query = parse_qs(urlsplit(request.url or "").query)
        size = int(query["pageSize"][0])
        start = 0
        if "pageId" in query and knows_forward_only:
            start = int(query["pageId"][0])
        elif "page" in query and knows_pages:
            start = (int(query["page"][0]) - 1) * size
        rows = [{"id": number, "name": f"Status {number}"} for number in range(start + 1, total + 1)[:size]]
        return 200, {"Content-Type": "application/json"}, json.dumps(rows)

    return answer


@pytest.mark.parametrize(
    "total", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE, 3 * PAGE_SIZE + 7]
)
@pytest.mark.parametrize("knows_forward_only", [True, False])
def test_every_row_is_read_once(
    total: int, knows_forward_only: bool, cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock
) -> None:
    cloud.add_callback("GET", STATUSES, listing(total, knows_forward_only=knows_forward_only))
    found = cloud_psa.choices("status", "2")
    assert [int(option.id) for option in found] == list(range(1, total + 1))


def test_a_list_that_knows_no_pages_at_all_ends(
    cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock
) -> None:
    cloud.add_callback("GET", STATUSES, listing(PAGE_SIZE, knows_forward_only=False, knows_pages=False))
    assert len(cloud_psa.choices("status", "2")) == PAGE_SIZE
    assert len(cloud.calls) <= 5


def test_a_list_without_end_is_given_up(
    cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.psa.connectwise.rest.MAX_PAGES", 4)
    cloud.add_callback("GET", STATUSES, listing(10**6))
    with pytest.raises(Unreachable, match="end"):
        cloud_psa.choices("status", "2")


@pytest.mark.parametrize(
    "rows", [[None, 1, "x", []], [{"name": "no id"}], [{"id": "9", "name": "text"}], [{"id": [1]}]]
)
def test_odd_rows_do_no_harm(
    rows: list[Any], cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock
) -> None:
    cloud.get(STATUSES, json=rows)
    assert len(cloud_psa.choices("status", "2")) <= 1


def test_an_old_ticket_that_was_changed_lately_is_not_recent(
    cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock
) -> None:
    old = {"id": 17, "externalXRef": "portal-17-1", "_info": {"dateEntered": "2026-01-01T10:00:00Z"}}
    new = {"id": 18, "externalXRef": "portal-18-1", "_info": {"dateEntered": "2026-02-01T10:00:00Z"}}
    cloud.get(f"{SITE}/v2026_4/apis/3.0/service/tickets", json=[old, new])
    assert [
        ticket.id for ticket in cloud_psa.recent_tickets("portal-", datetime(2026, 2, 1, tzinfo=UTC))
    ] == ["18"]


# --- refusals ----------------------------------------------------------------------------------------------------


def invalid(field: str | None, message: str, code: str = "NotFound") -> dict[str, Any]:
    error = {"code": code, "message": message, "resource": "ticket", "field": field}
    return {"code": "InvalidObject", "message": "ticket object is invalid", "errors": [error]}


NO_CLIENT = {"code": "BadRequest", "message": "The clientId is required"}
OTHER_BOARD = "Service Status 17 not found for Service Board 21"

REFUSALS: dict[str, tuple[int, Any, type[PsaError], str]] = {
    "401": (401, {"code": "Unauthorized", "message": "bad key"}, SignInRefused, ""),
    "401 in other words": (401, {"code": "ConnectWiseApi", "message": "UserNotAuthenticated"}, SignInRefused, ""),
    "401 without a body": (401, "", SignInRefused, ""),
    "client id 400": (400, NO_CLIENT, Misconfigured, "connectwise_client_id"),
    "client id 401": (401, {"error": "x", "message": "Client ID is invalid"}, Misconfigured, "connectwise_client_id"),
    "client id in text": (401, "clientId missing", Misconfigured, "connectwise_client_id"),
    "403": (403, {"code": "Security", "message": "no", "errors": None}, NotPermitted, "Service Desk > Service Tickets"),
    "403 without JSON": (403, "no", NotPermitted, "Service Desk > Service Tickets"),
    "403 of a firewall": (403, "<html>Attention Required</html>", Unreachable, ""),
    "ssl": (403, {"code": "Security", "message": "SSL is required.", "errors": None}, Misconfigured, "site_url"),
    "404": (404, {"code": "NotFound", "message": "Ticket 17 not found"}, NotFound, ""),
    "404 without a body": (404, "", NotFound, ""),
    "405": (405, "", Rejected, ""),
    "409": (409, {"code": "Conflict", "message": "in use"}, Unreachable, ""),
    "409 exists": (409, invalid("identifier", "Already in use.", "ObjectExists"), AlreadyThere, "identifier"),
    "415": (415, "", Rejected, ""),
    "429": (429, {"error": "ConnectWiseAPI", "message": "try again in 30 seconds"}, Throttled, ""),
    "too long": (400, invalid("summary", "maximum length of 100", "MaxLengthField"), Rejected, "summary"),
    "status": (400, invalid("status/id", OTHER_BOARD), Misconfigured, "status"),
    "status in words": (400, {"code": "InvalidObject", "message": OTHER_BOARD}, Misconfigured, "status"),
    "board": (400, invalid("board", "Board 5 not found"), Misconfigured, "board"),
    "subtype": (400, invalid("subType/id", "not found"), Misconfigured, "subtype"),
    "priority": (400, invalid("priority.id", "not found"), Misconfigured, "priority"),
    "company": (400, invalid("company/id", "not found"), Misconfigured, "company"),
    "no field": (400, invalid(None, "something else"), Rejected, "ticket"),
    "errors null": (400, {"code": "BadRequest", "message": "odd", "errors": None}, Rejected, ""),
    "errors odd": (400, {"code": 5, "message": ["x"], "errors": ["x", None, {"field": 3}]}, Rejected, ""),
    "errors a text": (400, {"errors": "text"}, Rejected, ""),
    "a list": (400, [1, 2], Rejected, ""),
    "null": (400, None, Rejected, ""),
    "text": (400, "Bad Request", Rejected, ""),
    "nothing": (400, "", Rejected, ""),
    "cannot route": (400, "Cannot route. Codebase/company is invalid", Misconfigured, "login_company"),
    "422": (422, {"message": "unprocessable"}, Rejected, ""),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "about"), REFUSALS.values(), ids=REFUSALS.keys())
def test_each_refusal_says_what_happens_next(
    status: int,
    body: Any,
    kind: type[PsaError],
    about: str,
    cloud_psa: ConnectWisePsa,
    cloud: responses.RequestsMock,
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    cloud.get(TICKET_17, status=status, body=text, content_type="application/json")
    with pytest.raises(PsaError) as caught:
        cloud_psa.ticket("17")
    error = caught.value
    assert type(error) is kind, repr(error)
    assert not error.outcome_unknown
    named = getattr(error, "field", getattr(error, "module", " ".join(getattr(error, "fields", ()))))
    assert about in named
    assert str(error)


def test_the_psas_own_words_reach_the_person(
    cloud_psa: ConnectWisePsa, cloud: responses.RequestsMock
) -> None:
    cloud.get(
        TICKET_17, status=400, json=invalid("poNumber", "The field poNumber is too long.", "MaxLengthField")
    )
    with pytest.raises(Rejected, match=r"The field poNumber is too long\."):
        cloud_psa.ticket("17")


def test_no_secret_leaves_by_errors_or_exchanges(connected: Connect, cloud: responses.RequestsMock) -> None:
    calls: list[Exchange] = []
    echo = f"key S3cretKey and Basic Y2lycnVzK1B1YjpTM2NyZXRLZXk= for {CLOUD.login_company}"
    cloud.get(INFO, json={"Codebase": "v2026_4", "Echo": echo})
    cloud.get(TICKET_17, status=400, json=invalid("summary", echo))
    with pytest.raises(Rejected) as caught:
        connected(sign_in=CLOUD, on_call=calls.append).ticket("17")
    everything = repr(caught.value) + repr(caught.value.fields) + repr(calls) + repr(CLOUD)
    assert "[secret]" in everything
    assert "S3cretKey" not in everything
    assert "Y2lycnVz" not in everything


def test_a_wrong_key_is_refused(connected: Connect, sandbox: Sandbox) -> None:
    psa = connected()
    sandbox.control.rotate_keys()
    with pytest.raises(SignInRefused) as caught:
        psa.companies()
    assert "API Keys" in caught.value.advice


@pytest.mark.parametrize("status", [400, 401])
def test_a_missing_client_id_is_the_operators_to_set(
    status: int, connected: Connect, sandbox: Sandbox
) -> None:
    sandbox.control.switches(client_id_status=status)
    keys = sandbox.control.get("credentials")
    bare = SignIn(
        site=sandbox.url, login_company="cirrus", public_key=keys["public_key"], secret=keys["private_key"]
    )
    with pytest.raises(Misconfigured) as caught:
        connected(sign_in=bare).companies()
    assert caught.value.field == "connectwise_client_id"
