"""The tab inside the sandbox's own parent page, in a real browser: seen there, and nothing else of the portal is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from integrations import hosted
from integrations.models import CompanyLink, HostedTab
from portal import clients
from tests import make
from tests.browser.desk import keep
from tests.flows.test_hosted_tab import OTHER, registered
from tests.portal.test_pages import delivered, happened

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def tab(live_world: make.World, live_server: Any, settings: Any) -> HostedTab:
    settings.PORTAL_URL = live_server.url
    delivered(happened(live_world), live_world)
    return registered(live_world.credentials)


@pytest.fixture
def parent(chromium: Browser, live_world: make.World, complaints: list[str]) -> Iterator[Page]:
    """A browser at the sandbox, which does not know the portal."""
    context = chromium.new_context(
        base_url=live_world.sandbox.url, viewport={"width": 1280, "height": 900}, color_scheme="dark"
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda said: complaints.append(said.text) if is_ours(said) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()


def is_ours(said: ConsoleMessage) -> bool:
    """Not that the sandbox has no icon."""
    return said.type == "error" and not said.location["url"].endswith("/favicon.ico")


def test_a_member_sees_the_company_in_the_tab(
    parent: Page, tab: HostedTab, live_world: make.World, complaints: list[str]
) -> None:
    parent.goto(f"/hosted/{tab.registered_id}?id=250&member=mreyes")
    frame = parent.frame_locator("#hosted")
    expect(frame.get_by_role("heading", name="Bakery Ott")).to_be_visible()
    expect(frame.get_by_text("Backup of SRV-FILE01 failed")).to_be_visible()
    parent.get_by_role("button", name="beforeSave").click()
    expect(parent.locator("#talk")).to_contain_text('"result":"success"')
    frame.locator("html").evaluate(
        """() => { for (const [origin, source, id] of [["https://evil.example", window.parent, "from-evil"],
          [new URL(document.getElementById("tab").dataset.parents).origin, window, "from-itself"]]) {
          window.dispatchEvent(new MessageEvent("message",
            {origin, source, data: JSON.stringify({event: "beforeSave", _id: id})})); } }"""
    )
    with parent.expect_response("**/panel") as again:
        frame.get_by_role("button", name="Refresh").click()
    assert again.value.status == 200
    expect(parent.locator("#talk")).not_to_contain_text("from-")
    keep(parent, "hosted-tab-dark")
    parent.emulate_media(color_scheme="light")
    parent.set_viewport_size({"width": 380, "height": 800})
    keep(parent, "hosted-tab-small")
    wide = frame.locator("html").evaluate("root => root.scrollWidth > root.clientWidth")
    assert not wide
    assert parent.context.cookies() == []
    assert complaints == []


def test_a_manager_maps_a_company_in_the_tab(
    parent: Page, tab: HostedTab, live_world: make.World, complaints: list[str]
) -> None:
    make.user(live_world.partner, email="mreyes@cirrus.example")
    client = clients.add_client(live_world.partner, name="Harbor Dental", number=19777)
    hosted.choose_mappers(live_world.credentials, "managers")
    parent.goto(f"/hosted/{tab.registered_id}?id={OTHER}&member=mreyes")
    frame = parent.frame_locator("#hosted")
    frame.get_by_label("Client that is not mapped").select_option(label="Harbor Dental (19777)")
    keep(parent, "hosted-tab-map")
    frame.get_by_role("button", name="Map").click()
    expect(frame.get_by_role("heading", name="Harbor Dental 19777", exact=True)).to_be_visible()
    assert CompanyLink.objects.get(client=client).psa_company_id == str(OTHER)
    assert complaints == []


def test_when_connectwise_does_not_answer_the_tab_says_so(
    parent: Page, tab: HostedTab, live_world: make.World
) -> None:
    live_world.sandbox.control.fault("status_500", path="myMembers")
    parent.goto(f"/hosted/{tab.registered_id}?id=250&member=mreyes")
    expect(parent.frame_locator("#hosted").get_by_role("alert")).to_contain_text(
        "ConnectWise does not answer"
    )


def test_a_page_of_another_site_gets_neither_the_tab_nor_any_page_into_a_frame(
    parent: Page, tab: HostedTab, live_world: make.World, live_server: Any, complaints: list[str]
) -> None:
    """The sandbox may frame the tab and nothing else; `localhost` is another origin and may frame nothing."""
    source = hosted.address_of(HostedTab.objects.get())
    there = live_world.sandbox.url
    elsewhere = there.replace("127.0.0.1", "localhost")
    refused = "chrome-error://chromewebdata/"
    for at, url, is_shown in (
        (there, source, True),
        (there, f"{live_server.url}/accounts/login/", False),
        (there, f"{live_server.url}/", False),
        (there, f"{source}/panel", False),
        (elsewhere, source, False),
    ):
        parent.goto(f"{at}/hosted/{tab.registered_id}?id=250&member=mreyes")
        parent.evaluate(
            """url => new Promise(done => { const frame = document.createElement("iframe"); frame.onload = done;
            frame.src = url; document.getElementById("hosted").replaceWith(frame); })""",
            url,
        )
        framed = addresses(parent)
        assert (framed == [url]) is is_shown, (at, url, framed)
        assert is_shown or framed == [refused], framed
    assert any("frame-ancestors" in text for text in complaints)


def addresses(page: Page) -> list[str]:
    """Of the frames in a page, as soon as each has one: a refused one gets its own a moment after its `onload`."""
    for _ in range(100):
        found = [frame.url for frame in page.frames[1:]]
        if all(found):
            return found
        page.wait_for_timeout(50)
    return found


def test_opened_by_itself_the_page_says_where_it_belongs(page: Page, tab: HostedTab) -> None:
    page.goto(hosted.address_of(HostedTab.objects.get()))
    expect(page.get_by_role("alert")).to_contain_text("inside ConnectWise only")
