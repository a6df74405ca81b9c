"""Passkeys with a real browser and a pretend authenticator: added, used after the password, used alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import Browser, Page, expect

from tests import make
from tests.browser.desk import PASSWORD, findings, keep

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(chromium: Browser, live_server: Any, complaints: list[str]) -> Iterator[Page]:
    """On localhost, which browsers take for safe enough; with a finger that is always there."""
    context = chromium.new_context(base_url=live_server.url.replace("127.0.0.1", "localhost"))
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    finger = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": finger})
    yield page
    context.close()


def password(page: Page, email: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_passkey_is_added_and_opens_the_door_with_and_without_the_password(
    page: Page, live_world: make.World, complaints: list[str]
):
    person = make.user(live_world.partner, email="manager@northwind.example")
    password(page, person.email)
    page.get_by_role("link", name="Sign-in and security").click()
    keep(page, "passkey-1-security")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Work laptop")
    keep(page, "passkey-2-add")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes", level=1)).to_be_visible()
    keep(page, "passkey-3-codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("rowheader", name="Passkey “Work laptop”")).to_be_visible()
    assert Authenticator.objects.filter(user=person, type="webauthn").count() == 1

    page.get_by_role("button", name="Sign out").click()
    password(page, person.email)
    expect(page.get_by_role("heading", name="Your second factor")).to_be_visible()
    keep(page, "passkey-4-factor")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Dashboard", level=1)).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/?next=/clients")
    keep(page, "passkey-5-login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_signing_in_shut_nobody_out(scheme: str, page: Page, live_world: make.World):
    page.emulate_media(color_scheme=scheme)
    person = make.user(live_world.partner, email="manager@northwind.example")
    password(page, person.email)
    page.get_by_role("heading", name="Dashboard", level=1).wait_for()
    found = {}
    for path in (
        "security/",
        "security/app/add/",
        "security/passkeys/add/",
        "sign-ins/",
        "confirm/",
        "password/change/",
    ):
        page.goto(f"/accounts/{path}")
        found[path] = findings(page)
        keep(page, f"signin-{scheme}-{path.strip('/').replace('/', '-')}")
    page.goto("/partnership/team")
    found["team"] = findings(page)
    keep(page, f"signin-{scheme}-team")
    assert {name: rows for name, rows in found.items() if rows} == {}
