"""What does not agree with a vendor's document is noticed; otherwise "0 violations" would mean nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.validation import documented

TICKET = {"id": 7, "summary": "Backup failed", "company": {"id": 250}}
ITEM = {"id": 7, "companyID": 201, "priority": 2, "status": 1, "title": "Backup failed"}
NEW = {"companyID": 201, "priority": 2, "status": 1, "title": "Backup failed"}
ANY = {"filter": [{"op": "gt", "field": "id", "value": 0}]}


def problems(kind: str, call: str, body: Any, answer: Any, status: int = 200) -> str:
    method, target = call.split(" ")
    root = "/v4_6_release/apis/3.0" if kind == "connectwise" else "/ATServicesRest/V1.0"
    sent = b"" if body is None else json.dumps(body).encode()
    _, found = documented(kind).problems(method, root + target, sent, status, json.dumps(answer).encode())
    return "; ".join(found)


@pytest.mark.parametrize(
    ("call", "body", "answer", "status", "named"),
    [
        ("POST /service/tickets", {"summary": "x", "company": {"id": 1}}, TICKET, 201, ""),
        ("POST /service/tickets", {"company": {"id": 1}}, TICKET, 201, "body lacks summary"),
        ("POST /service/tickets", {**TICKET, "sumary": "x"}, TICKET, 201, "body.sumary does not exist"),
        ("POST /service/tickets", {**TICKET, "summary": "x" * 101}, TICKET, 201, "longer than 100"),
        ("POST /service/tickets", {**TICKET, "company": 250}, TICKET, 201, "body.company is no object"),
        ("POST /service/tickets", {**TICKET, "closedFlag": True}, TICKET, 201, "cannot be written"),
        ("POST /service/tickets", {**TICKET, "severity": "Huge"}, TICKET, 201, "none of Low"),
        ("POST /service/tickets", TICKET, {**TICKET, "colour": "red"}, 201, "answer.colour does not exist"),
        ("POST /service/tickets", TICKET, {**TICKET, "id": "7"}, 201, "should be of type integer"),
        ("POST /service/tickets", TICKET, TICKET, 200, "does not answer 200"),
        ("POST /service/tickets", TICKET, {"colour": "red"}, 400, "refusal.colour does not exist"),
        (
            "PATCH /service/tickets/7",
            [{"op": "replace", "path": "colour", "value": 1}],
            TICKET,
            200,
            "cannot be",
        ),
        (
            "PATCH /service/tickets/7",
            [{"op": "set", "path": "status", "value": {}}],
            TICKET,
            200,
            "operation set",
        ),
        ("PATCH /service/tickets/7", {"status": {"id": 1}}, TICKET, 200, "is no patch operation"),
        ("GET /service/tickets?fields=id,colour", None, [TICKET], 200, "no field colour"),
        ("GET /service/tickets?conditions=colour=1", None, [TICKET], 200, "no field colour"),
        ("GET /service/tickets?condition=id=1", None, [TICKET], 200, "no query parameter condition"),
        ("GET /service/tickets", None, TICKET, 200, "answer is no list"),
        ("GET /service/tikets", None, [], 200, "not among the operations"),
    ],
)
def test_connectwise(call: str, body: Any, answer: Any, status: int, named: str) -> None:
    found = problems("connectwise", call, body, answer, status)
    assert (named in found) if named else not found


@pytest.mark.parametrize(
    ("call", "body", "answer", "status", "named"),
    [
        ("POST /Tickets", NEW, {"itemId": 7}, 200, ""),
        ("POST /Tickets", {**NEW, "title": None}, {"itemId": 7}, 200, "body lacks title"),
        ("POST /Tickets", {**NEW, "titel": "x"}, {"itemId": 7}, 200, "body.titel does not exist"),
        ("POST /Tickets", {**NEW, "title": "x" * 256}, {"itemId": 7}, 200, "longer than 255"),
        ("POST /Tickets", {**NEW, "status": "1"}, {"itemId": 7}, 200, "should be of type integer"),
        ("POST /Tickets", {**NEW, "dueDateTime": "soon"}, {"itemId": 7}, 200, "no date and time"),
        ("POST /Tickets", {**NEW, "createDate": "2026-01-01"}, {"itemId": 7}, 200, "cannot be written"),
        ("POST /Tickets", NEW, {"itemId": 7, "colour": "red"}, 200, "answer.colour does not exist"),
        ("POST /Tickets", NEW, {"error": "no"}, 500, "refusal.error does not exist"),
        ("POST /Tickets/query", ANY, {"items": [ITEM]}, 200, ""),
        ("POST /Tickets/query", {"filter": []}, {"items": []}, 200, "needs a filter"),
        ("POST /Tickets/query", {**ANY, "includeFields": ["colour"]}, {"items": []}, 200, "no field colour"),
        ("POST /Tickets/query", {"filter": [{"op": "is", "field": "id"}]}, {"items": []}, 200, "operator is"),
        ("POST /Tickets/query", {"filter": [{"op": "eq", "field": "no"}]}, {"items": []}, 200, "no field no"),
        ("POST /Tickets/query", ANY, {"items": [{**ITEM, "no": 1}]}, 200, "items[0].no does not exist"),
        ("DELETE /Tickets/7", None, {}, 200, "not among the operations"),
    ],
)
def test_autotask(call: str, body: Any, answer: Any, status: int, named: str) -> None:
    found = problems("autotask", call, body, answer, status)
    assert (named in found) if named else not found
