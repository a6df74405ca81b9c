"""Who may do what at every door: each route and method says its rule here, and the product keeps to it.

A route that is new, or a method more than was said, fails until its rule is written down in `rights.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction
from django.test import Client as Browser
from django.urls import get_resolver

from portal import tokens
from portal.models import Partner
from tests import make
from tests.flows.rights import API, PAGES
from tests.flows.test_every_url import Scene, address, browser, ours, scene  # noqa: F401 - a fixture

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def views() -> dict[str, Any]:
    """Every route of ours with its view."""

    def walk(patterns: Any, prefix: str = "") -> Any:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns, route)
            else:
                yield route, pattern.callback

    return dict(walk(get_resolver().url_patterns))


def test_every_call_of_the_api_says_its_scope_here() -> None:
    found = {
        (route, method): scope
        for route, view in views().items()
        if route.startswith("api/v1/")
        for method, scope in getattr(view.cls, "scopes", {}).items()
    }
    by_key = {route for route in views() if route.startswith("api/v1/compat/pagerduty")}
    assert {key: scope for key, scope in API.items() if key[0] not in by_key} == found


def test_every_page_says_its_rule_here() -> None:
    """But for one's own pages under accounts/: tests/portal/test_signin.py."""
    pages = {route for route in ours() if not route.startswith(("api/v1/", "accounts/"))}
    assert set(PAGES) == pages


@pytest.mark.parametrize("scope", [*tokens.SCOPES, "none"])
def test_a_token_may_do_what_its_scope_says_and_nothing_else(scene: Scene, scope: str) -> None:  # noqa: F811
    northwind = scene.things[Partner]
    token = make.token(northwind, (scope,) if scope != "none" else (), by=scene.people["manager"])  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {token}"}
    for (route, method), needed in API.items():
        url = address(route, scene)
        more = {} if method == "GET" else {"data": json.dumps({}), "content_type": "application/json"}
        answer = getattr(Browser(), method.lower())(url, headers=headers, **more)
        if needed == "key":
            assert answer.status_code == 401, (route, method, answer.status_code)
        elif needed == scope:
            assert answer.status_code not in {401, 403, 405}, (route, method, answer.status_code)
        else:
            told = json.loads(answer.content)
            assert (answer.status_code, told["code"], told["scope"]) == (403, "missing_scope", needed), route
    if scope != "none":
        return
    allowed = {route: {m for r, m in API if r == route} for route, _ in API}
    for route, methods in allowed.items():
        for method in set(METHODS) - methods:
            answer = getattr(Browser(), method.lower())(address(route, scene), headers=headers)
            assert answer.status_code == 405, (route, method, answer.status_code)


MAY = {
    "nobody": set(),
    "viewer": {"viewer", "manager", "staff"},
    "manager": {"manager", "staff"},
    "staff": {"staff"},
}


ASKED_BY_OTHERS = {"anonymous": (), "viewer": (), "manager": ("viewer",), "staff": ("viewer", "manager")}
"""Who may do more also may do what those may who are asked for it: that costs a whole page each."""


@pytest.mark.parametrize("who", ["anonymous", "viewer", "manager", "staff"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_page_is_for_those_its_rule_names(scene: Scene, who: str, method: str) -> None:  # noqa: F811
    """What is refused never changes anything: `test_every_url.py` compares all rows before and after."""
    for route, rule in PAGES.items():
        role = rule[0 if method == "get" else 1]
        if role in ASKED_BY_OTHERS[who]:
            continue
        answer = ask(scene, who, method, route)
        place = (route, who, answer.status_code, answer.get("Location", ""))
        if who == "anonymous":
            assert is_refused(answer), place
        else:
            assert is_refused(answer) is (who not in MAY[role]), place


def ask(scene: Scene, who: str, method: str, route: str) -> Any:  # noqa: F811
    """The answer to somebody who just signed in; what it changed is taken back."""
    scene.browsers.pop(who, None)
    with transaction.atomic():
        answer = getattr(browser(scene, who), method)(address(route, scene))
        transaction.set_rollback(True)
    return answer


def is_refused(answer: Any) -> bool:
    return answer.status_code in {403, 404, 405} or "/accounts/login" in answer.get("Location", "")
