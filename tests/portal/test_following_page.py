"""“Changes made in the PSA” on the page of a connection: seen by all of a partner, switched by its managers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import Ticket
from integrations.models import Following
from portal import background, clock
from portal.models import Role
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(background, "enqueue", lambda *job: asked.append(job))
    return asked


def signed_in(world: make.World, role: str = Role.SENIOR_MANAGER) -> Browser:
    browser = Browser()
    browser.force_login(
        make.user(world.partner, role=role),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    return browser


def page(world: make.World, browser: Browser) -> str:
    url = reverse("credentials_of", args=["organization", world.organization.pk])
    return browser.get(url).content.decode()


def press(world: make.World, browser: Browser, what: str) -> int:
    return browser.post(reverse("change_following", args=[world.credentials.pk]), {"do": what}).status_code


def test_a_manager_switches_it_on_and_off(world: make.World, jobs: Any) -> None:
    browser = signed_in(world)
    assert "Switch on" in page(world, browser)
    assert press(world, browser, "on") == 302
    row = Following.objects.get()
    text = page(world, browser)
    assert row.is_enabled
    assert "Switch off" in text
    assert "being registered" in text.lower()
    assert "New key" not in text  # ConnectWise has its own
    assert ("integrations.jobs.register_callback", str(world.credentials.pk)) in jobs
    press(world, browser, "off")
    assert not Following.objects.get().is_enabled


def test_the_secret_address_and_key_are_shown_nowhere(world: make.World) -> None:
    browser = signed_in(world)
    press(world, browser, "on")
    row = Following.objects.get()
    secret: Any = row.secret
    staff = make.user(None, is_staff=True, is_superuser=True)
    admin = Browser()
    admin.force_login(staff, backend="allauth.account.auth_backends.AuthenticationBackend")
    shown = (
        page(world, browser) + admin.get(f"/admin/integrations/following/{row.pk}/change/").content.decode()
    )
    for word in (secret["token"], row.token_digest, *secret["keys"]):
        assert word not in shown


def test_a_viewer_sees_and_does_not_switch(world: make.World) -> None:
    press(world, signed_in(world), "on")
    browser = signed_in(world, Role.VIEWER)
    Following.objects.update(refused=3, refused_because="the signature is wrong", refused_at=clock.now())
    text = page(world, browser)
    assert "the signature is wrong" in text
    assert "Switch off" not in text
    assert press(world, browser, "off") == 403
    assert Following.objects.get().is_enabled


@pytest.mark.parametrize("what", ["off", "check", "renew", "nonsense", ""])
def test_what_is_not_followed_cannot_be_changed_but_switched_on(world: make.World, what: str) -> None:
    assert press(world, signed_in(world), what) == 302
    assert not Following.objects.exists()


def test_a_ticket_shows_what_was_done_to_it_in_the_psa(world: make.World) -> None:
    Ticket.objects.create(
        partner=world.partner,
        condition=make.condition(world),
        credentials=world.credentials,
        generation=1,
        external_ref="psap:1:1",
        state="open",
        psa_id="700",
        number="700",
        opened_at=clock.now(),
        seen_at=clock.now(),
        psa_status="Completed",
        psa_closed_at=clock.now(),
        news="closed",
        news_at=clock.now(),
        changed_by="Marisol",
    )
    browser = signed_in(world)
    for url in (reverse("tickets"), reverse("client_activity", args=[world.client.pk])):
        text = browser.get(url).content.decode()
        assert "Closed by Marisol" in text
        assert "Completed" in text
