"""Can everybody use every page: no serious finding of axe, in light and dark, on a desk and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests import make
from tests.browser.desk import findings, keep, sign_in
from tests.portal.test_pages import MANAGER_PAGES, NO_WHOLE_PAGES, PAGES, Scene, address
from tests.portal.test_pages import scene as scene_fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(live_world: make.World) -> make.World:
    return live_world


scene = scene_fixture


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_shuts_anybody_out(scheme: str, page: Page, scene: Scene) -> None:
    page.emulate_media(color_scheme=scheme)
    found = {}
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nothing-here"):
        page.goto(path)
        found[path] = findings(page)
    sign_in(page, scene.manager.email)
    for name in [*(name for name in PAGES if name not in NO_WHOLE_PAGES), *MANAGER_PAGES]:
        page.goto(address(name, scene))
        found[name] = findings(page)
        keep(page, f"page-{scheme}-{name}")
    assert {name: rows for name, rows in found.items() if rows} == {}


def test_no_page_is_wider_than_a_phone(page: Page, scene: Scene) -> None:
    page.set_viewport_size({"width": 360, "height": 760})
    sign_in(page, scene.manager.email)
    too_wide = []
    for name in [*(name for name in PAGES if name not in NO_WHOLE_PAGES), *MANAGER_PAGES]:
        page.goto(address(name, scene))
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            too_wide.append(name)
        keep(page, f"phone-{name}")
    assert too_wide == []


def test_the_keyboard_reaches_the_content_first(page: Page, scene: Scene) -> None:
    sign_in(page, scene.manager.email)
    page.goto("/clients")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
