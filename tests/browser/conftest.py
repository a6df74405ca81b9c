"""A partner's manager with a real browser in front of the portal, a sandbox PSA behind it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Browser, Page, sync_playwright

from integrations.sandbox import Sandbox, running_sandbox
from portal import clients
from tests import make
from tests.browser.desk import Desk, sign_in

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite in a file: a database in memory is one connection, and server threads cannot share it safely."""
    default = connections["default"]
    if default.vendor == "sqlite":
        default.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("browser") / "portal.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _database_before_server(django_db_setup: None) -> None:
    """The server looks at the database's name to decide whether its threads share one connection."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    # Playwright runs an event loop in this thread, which is not Django's business.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said: errors, and what the Content-Security-Policy refused."""
    return []


@pytest.fixture
def page(chromium: Browser, live_server: Any, complaints: list[str]) -> Iterator[Page]:
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()


@pytest.fixture
def manager(live_world: make.World) -> Any:
    return make.user(live_world.partner, email="manager@northwind.example")


@pytest.fixture(scope="module")
def _autotask() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@pytest.fixture
def autotask(_autotask: Sandbox) -> Sandbox:
    _autotask.control.clear_faults()
    _autotask.control.reset()
    return _autotask


@pytest.fixture
def desk(request: Any, page: Page, transactional_db: None, complaints: list[str]) -> Iterator[Desk]:
    """Signed in; when the walk is over, no page shut anybody out and the browser had nothing to complain about."""
    seed, kind = request.param
    psa = request.getfixturevalue("autotask" if kind == "autotask" else "sandbox")
    make.catalogues()
    msp = make.partner()
    clients.top_level(msp)
    make.user(msp, email="manager@northwind.example")
    sign_in(page, "manager@northwind.example")
    desk = Desk(page, seed, msp, psa, kind)
    desk.look("dashboard")
    yield desk
    assert (desk.found, complaints) == ({}, [])
