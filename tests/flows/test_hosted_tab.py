"""The tab inside ConnectWise: registered through the port, opened as the sandbox's parent page would, and attacked."""

from __future__ import annotations

import html
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client as Browser
from django.urls import reverse

from alerts.models import Condition, Ticket
from billing.models import BilledLine, Service
from integrations import connections, hosted
from integrations.connections import Entered
from integrations.models import Choice, CompanyLink, CompanySuggestion, Credentials, HostedTab, TabTicket
from integrations.models.connections import Origin, Standing
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.port import TabClaim
from integrations.psa.wanted import WantedTab
from integrations.sandbox import Sandbox, running_sandbox
from portal import clients, clock
from portal.models import AuditEntry, Role
from tests import make
from tests.portal.test_pages import delivered, happened, signed_in

pytestmark = pytest.mark.django_db
COMPANY = 250
OTHER = 251


@dataclass
class Inside:
    """A member in front of a company in ConnectWise, with our tab on it; no session, no cookies."""

    url: str
    claim: dict[str, Any]
    browser: Browser = field(default_factory=lambda: Browser(enforce_csrf_checks=True))
    ticket: str = ""

    def enter(self, **changes: Any) -> Any:
        answer = self.post("/enter", **changes)
        self.ticket = answer.json().get("ticket", self.ticket)
        return answer

    def post(self, where: str, **changes: Any) -> Any:
        body = {**self.claim, **changes}
        return self.browser.post(f"{self.url}{where}", json.dumps(body), content_type="application/json")

    def panel(self, ticket: str | None = None, url: str = "") -> Any:
        given = self.ticket if ticket is None else ticket
        answer = self.browser.get(f"{url or self.url}/panel", headers={"Authorization": f"Tab {given}"})
        if ticket is None and answer.status_code == 200:
            self.ticket = answer.json()["ticket"]
        return answer


def facts_of(
    sandbox: Sandbox, setup: str, *, company: int = COMPANY, member: str = "mreyes"
) -> dict[str, Any]:
    """What the parent page would answer the tab's script."""
    address = f"{sandbox.url}/hosted/{setup}?id={company}&member={member}"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - the sandbox's own
        text = answer.read().decode()
    found = re.search(r'id="facts">(.*?)</script>', text, re.DOTALL)
    assert found
    facts = json.loads(found[1].replace("\\u003c", "<"))
    source = re.search(r'<iframe id="hosted"[^>]* src="([^"]*)"', text)
    assert source
    return {**facts, "source": html.unescape(source[1])}


def registered(row: Credentials) -> HostedTab:
    hosted.prepare(row)
    hosted.register(row, hosted.preview(row, "present").digest)
    return HostedTab.objects.get(credentials=row)


def standing_before(tab: HostedTab, sandbox: Sandbox, **more: Any) -> Inside:
    facts = facts_of(sandbox, tab.registered_id, **more)
    claim = {name: facts["member"][name] for name in ("companyid", "memberid", "memberHash")}
    claim |= {"screen": facts["screen"]["screen"], "id": facts["screen"]["id"]}
    return Inside(facts["source"].removeprefix(configured.PORTAL_URL), claim)


@pytest.fixture
def tab(world: make.World) -> HostedTab:
    return registered(world.credentials)


@pytest.fixture
def inside(tab: HostedTab, world: make.World) -> Inside:
    return standing_before(tab, world.sandbox)


@pytest.fixture
def unmapped(world: make.World) -> Any:
    """A client that nobody mapped, and company 251 that nobody is mapped to."""
    return clients.add_client(world.partner, name="Harbor Dental", number=19777)


# --- Registered and removed -------------------------------------------------------------------------------------------


def test_a_manager_sees_what_is_written_then_registers_then_removes(world: make.World) -> None:
    manager = signed_in(make.user(world.partner))
    page = reverse("hosted_tab", args=[world.credentials.pk])
    answer = manager.post(page, {"do": "prepare"}, follow=True)
    assert b"ConnectWise does not show the tab yet." in answer.content
    tab = HostedTab.objects.get()
    assert (tab.is_enabled, tab.registration) == (False, "none")
    manager.post(page, {"do": "register", "digest": answer.context["digest"]})
    tab.refresh_from_db()
    assert (tab.is_enabled, tab.registration, bool(tab.registered_id)) == (True, "registered", True)
    world.credentials.refresh_from_db()
    assert "hosted_tab" in world.credentials.also_used
    facts = facts_of(world.sandbox, tab.registered_id)
    assert facts["source"].startswith(f"{configured.PORTAL_URL}/hosted/connectwise/")
    assert b"all is as wanted already" in manager.post(page, {"do": "prepare"}, follow=True).content
    shown = manager.get(page, {"do": "remove"})
    manager.post(page, {"do": "remove", "digest": shown.context["digest"]})
    tab.refresh_from_db()
    assert (tab.is_enabled, tab.registration) == (False, "none")
    assert Browser().get(facts["source"].removeprefix(configured.PORTAL_URL)).status_code == 404
    with pytest.raises(urllib.error.HTTPError):
        facts_of(world.sandbox, "1")
    assert AuditEntry.objects.filter(action="post hosted_tab").count() >= 3


def test_registering_again_makes_no_second_tab_and_another_address(world: make.World, tab: HostedTab) -> None:
    first = facts_of(world.sandbox, tab.registered_id)["source"]
    hosted.remove(world.credentials, hosted.preview(world.credentials, "absent").digest)
    again = registered(world.credentials)
    assert again.registered_id == tab.registered_id
    assert facts_of(world.sandbox, again.registered_id)["source"] != first


def test_what_was_not_shown_is_not_written(world: make.World) -> None:
    hosted.prepare(world.credentials)
    with pytest.raises(Misconfigured, match="has changed"):
        hosted.register(world.credentials, "another digest")
    assert HostedTab.objects.get().is_enabled is False


def test_a_missing_right_is_told_with_the_click_path(world: make.World) -> None:
    hosted.prepare(world.credentials)
    world.sandbox.control.fault("status_403", path="connectwisehostedsetups")
    with pytest.raises(PsaError) as refused:
        hosted.preview(world.credentials, "present")
    assert "Manage Hosted API" in f"{refused.value.text} {refused.value.advice}"


def test_an_answer_that_got_lost_leaves_one_tab_after_all(world: make.World) -> None:
    hosted.prepare(world.credentials)
    digest = hosted.preview(world.credentials, "present").digest
    world.sandbox.control.fault("commit_then_drop", path="connectwisehostedsetups", method="POST")
    with pytest.raises(PsaError):
        hosted.register(world.credentials, digest)
    tab = HostedTab.objects.get()
    assert (tab.registration, tab.is_enabled) == ("asked", True)
    plan = hosted.preview(world.credentials, "present")
    assert not plan.items
    hosted.register(world.credentials, plan.digest)
    assert HostedTab.objects.get().registration == "registered"


def test_a_viewer_looks_and_changes_nothing_and_strangers_find_nothing(world: make.World) -> None:
    page = reverse("hosted_tab", args=[world.credentials.pk])
    viewer = signed_in(make.user(world.partner, role=Role.VIEWER))
    assert viewer.get(page).status_code == 200
    assert viewer.post(page, {"do": "prepare"}).status_code == 403
    assert signed_in(make.user(make.partner("Tailspin IT"))).get(page).status_code == 404


def test_after_a_change_of_connection_the_tab_that_stays_behind_is_told(
    world: make.World, tab: HostedTab
) -> None:
    page = reverse("connection_changed", args=[world.credentials.pk])
    manager = signed_in(make.user(world.partner))
    assert "does not move along" not in manager.get(page).content.decode()
    Credentials.objects.update(standing=Standing.FORMER, replaced_at=clock.now(), left_empty=[])
    assert "does not move along" in manager.get(page).content.decode()


def test_autotask_offers_no_tab(db: None) -> None:
    with running_sandbox(kind="autotask") as sandbox:
        world = make.autotask_world(sandbox)
        manager = signed_in(make.user(world.partner))
        assert manager.get(reverse("hosted_tab", args=[world.credentials.pk])).status_code == 404
        page = manager.get(reverse("credentials_of", args=["organization", world.organization.pk]))
        assert b"Tab in ConnectWise" not in page.content
        with connections.psa_for(world.credentials) as psa, pytest.raises(Misconfigured):
            psa.plan_tab(WantedTab(name="x", state="present", url="", prefix="", origin=""))


# --- What is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parity("S3-3", "S3-29")
def test_the_mapped_client_is_shown_to_the_member_that_connectwise_names(
    world: make.World, inside: Inside
) -> None:
    delivered(happened(world), world)
    condition = Condition.objects.get()
    Ticket.objects.create(
        partner=world.partner,
        condition=condition,
        credentials=world.credentials,
        generation=1,
        external_ref="psap:1",
        state="open",
        psa_id="4471",
        number="4471",
        url="https://psa.example/4471",
        summary="<script>alert(1)</script>",
    )
    service = Service.objects.get(key="online-backup-servers")
    BilledLine.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        service=service,
        agreement_id="401",
        quantity=7,
    )
    answer = inside.enter()
    text = answer.json()["html"]
    for part in (
        "Bakery Ott",
        "Backup of SRV-FILE01 failed",
        "#4471",
        "https://psa.example/4471",
        service.name,
        ">7<",
    ):
        assert part in text
    assert "<script>" not in text
    assert "Seen by mreyes" in text
    assert inside.panel().status_code == 200
    assert not answer.cookies
    assert HostedTab.objects.get().shown_to == "mreyes"


def test_the_ticket_and_the_proof_are_stored_nowhere(inside: Inside, caplog: Any) -> None:
    inside.enter()
    row = HostedTab.objects.values().get()
    assert inside.claim["memberHash"] not in repr(row) + caplog.text
    assert inside.ticket not in repr(row) + caplog.text


def test_an_unmapped_company_shows_nothing_of_anybody(world: make.World, tab: HostedTab) -> None:
    other = standing_before(tab, world.sandbox, company=OTHER)
    text = other.enter().json()["html"]
    assert "is not mapped yet" in text
    assert "Bakery Ott" not in text
    assert "data-map" not in text


# --- Mapping in the tab -----------------------------------------------------------------------------------------------


def test_a_manager_by_address_maps_the_company_and_it_is_written_down(
    world: make.World, tab: HostedTab, unmapped: Any
) -> None:
    make.user(world.partner, email="mreyes@cirrus.example")
    company = Choice.objects.get(credentials=world.credentials, kind="company", psa_id=str(OTHER))
    CompanySuggestion.objects.create(
        partner=world.partner,
        client=unmapped,
        credentials=world.credentials,
        client_name=unmapped.name,
        psa_company_id=company.psa_id,
        psa_company_name=company.name,
        score=91,
        reason="spelled almost the same",
    )
    here = standing_before(tab, world.sandbox, company=OTHER)
    assert "data-map" not in here.enter().json()["html"]  # nobody was chosen yet
    hosted.choose_mappers(world.credentials, "managers")
    shown = here.enter().json()["html"]
    assert "91 of 100, spelled almost the same" in shown
    answer = here.post("/map", client=str(unmapped.pk))
    assert "Harbor Dental" in answer.json()["html"]
    link = CompanyLink.objects.get(client=unmapped)
    assert (link.psa_company_id, link.psa_company_name) == (str(OTHER), company.name)
    assert (link.origin, link.linked_by) == (Origin.TAB, "mreyes (mreyes@cirrus.example) in ConnectWise")
    entry = AuditEntry.objects.get(action="map a company in the tab")
    assert (entry.actor, entry.partner_id) == (link.linked_by, world.partner.pk)
    assert here.post("/map", client=str(unmapped.pk)).status_code == 409


def test_who_is_not_a_manager_here_maps_nothing(world: make.World, tab: HostedTab, unmapped: Any) -> None:
    hosted.choose_mappers(world.credentials, "managers")
    here = standing_before(tab, world.sandbox, company=OTHER)
    person = make.user(world.partner, role=Role.VIEWER, email="mreyes@cirrus.example")
    for becomes in ("a viewer", "an inactive manager", "somebody else's manager", "nobody"):
        if becomes == "an inactive manager":
            person.memberships.update(role=Role.SENIOR_MANAGER)
            type(person).objects.update(is_active=False)
        elif becomes == "somebody else's manager":
            type(person).objects.update(is_active=True)
            person.memberships.update(partner=make.partner("Tailspin IT"))
        elif becomes == "nobody":
            person.memberships.all().delete()
        assert "data-map" not in here.enter().json()["html"], becomes
        answer = here.post("/map", client=str(unmapped.pk), memberEmail="mreyes@cirrus.example")
        assert answer.status_code == 403, becomes
    assert not CompanyLink.objects.filter(client=unmapped).exists()


def test_only_own_unmapped_clients_can_be_picked(world: make.World, tab: HostedTab, unmapped: Any) -> None:
    make.user(world.partner, email="mreyes@cirrus.example")
    hosted.choose_mappers(world.credentials, "managers")
    rival = make.partner("Tailspin IT")
    clients.top_level(rival)
    foreign = clients.add_client(rival, name="Someone Else", number=30001)
    here = standing_before(tab, world.sandbox, company=OTHER)
    for pick in (foreign.pk, world.client.pk, clock.new_id()):
        assert here.post("/map", client=str(pick)).status_code == 404
    assert here.post("/map", client="nonsense").status_code == 400
    assert CompanyLink.objects.count() == 1


def test_a_ticket_alone_maps_nothing(world: make.World, tab: HostedTab, unmapped: Any) -> None:
    make.user(world.partner, email="mreyes@cirrus.example")
    hosted.choose_mappers(world.credentials, "managers")
    here = standing_before(tab, world.sandbox, company=OTHER)
    here.enter()
    body = json.dumps({"client": str(unmapped.pk), "screen": "company", "id": OTHER})
    answer = here.browser.post(
        f"{here.url}/map",
        body,
        content_type="application/json",
        headers={"Authorization": f"Tab {here.ticket}"},
    )
    assert answer.status_code == 400
    assert not CompanyLink.objects.filter(client=unmapped).exists()


# --- Attacks ----------------------------------------------------------------------------------------------------------


UNCONFIRMED: tuple[dict[str, Any], ...] = (
    {"memberid": "tlund"},
    {"memberid": "MREYES2"},
    {"memberHash": "0" * 64},
    {"memberHash": "x; memberId=tlund"},
    {"memberHash": "x\r\nAuthorization: Basic eA=="},
    {"memberid": "mreyes; memberContext=web"},
    {"companyid": "another_company"},
    {"id": 999999},
    {"id": "\u0662\u0665\u0660"},
)
NO_CLAIMS: tuple[dict[str, Any], ...] = (
    {"id": "250/../1"},
    {"id": ""},
    {"id": "\u00b2"},
    {"id": [1]},
    {"id": "9" * 19},
    {"screen": "ticket"},
    {"memberid": ""},
)


def test_what_connectwise_does_not_confirm_shows_nothing(inside: Inside) -> None:
    for changes in UNCONFIRMED:
        answer = inside.enter(**changes)
        assert answer.status_code == 403, (changes, answer.json())
        assert set(answer.json()) == {"error", "advice", "again_in", "is_over"}
        assert "Bakery" not in answer.content.decode()
    assert inside.enter().status_code == 200


def test_what_is_not_a_claim_is_refused_before_anybody_is_asked(inside: Inside, world: make.World) -> None:
    before = len(world.sandbox.control.requests())
    for changes in NO_CLAIMS:
        assert inside.enter(**changes).status_code == 400, changes
    assert len(world.sandbox.control.requests()) == before


def test_our_own_key_is_not_sent_when_a_member_is_asked_for(inside: Inside, world: make.World) -> None:
    """Else ConnectWise would answer about the API member, whoever asks; and the posted site is not called at all."""
    assert inside.enter(site="http://127.0.0.1:1/").status_code == 200
    world.sandbox.control.rotate_keys()
    assert (
        inside.enter().status_code == 403
    )  # the proof was of the former keys; ours is not used in its place


def test_a_ticket_ends_after_ten_minutes(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    inside.enter()
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=9))
    assert inside.panel().status_code == 200
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=10, seconds=2))
    answer = inside.panel()
    assert (answer.status_code, answer.json()["is_over"]) == (401, True)


def test_a_ticket_is_good_for_one_look_and_the_ten_minutes_count_from_the_first(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside.enter()
    overheard = inside.ticket
    assert inside.panel().status_code == 200
    again = inside.panel(overheard)
    assert (again.status_code, again.json()["is_over"], "html" in again.json()) == (401, True, False)
    assert inside.panel().status_code == 200
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=10, seconds=2))
    assert inside.panel().status_code == 401
    inside.enter()
    assert TabTicket.objects.count() == 1


def test_a_ticket_is_of_one_company_one_tab_and_one_connection(
    inside: Inside, world: make.World, tab: HostedTab
) -> None:
    inside.enter()
    rival = make.world(world.sandbox, name="Tailspin IT", number=30001)
    theirs = standing_before(registered(rival.credentials), world.sandbox)
    assert theirs.url != inside.url
    assert theirs.panel(inside.ticket).status_code == 401
    assert "EFS-19652" not in theirs.enter().json()["html"]
    assert inside.panel(f"{inside.ticket}x").status_code == 401
    assert inside.panel("").status_code == 401
    text, _, mark = inside.ticket.rpartition(":")
    assert inside.panel(f"{text[:-4]}AAAA:{mark}").status_code == 401


def test_a_ticket_is_worth_nothing_after_unmapping_changed_keys_or_removal(
    inside: Inside, world: make.World, tab: HostedTab
) -> None:
    inside.enter()
    CompanyLink.objects.all().delete()
    assert "is not mapped yet" in inside.panel().json()["html"]
    known = world.sandbox.dialect.credentials()
    entered = Entered(
        kind="connectwise",
        site_url=world.sandbox.url,
        login_company=known["company"],
        public_key=known["public_key"],
        secret=known["private_key"],
    )
    connections.save_credentials(world.organization, entered, by=None, current=world.credentials)
    assert inside.panel().status_code == 401
    inside.enter()
    Credentials.objects.filter(pk=world.credentials.pk).update(standing=Standing.FORMER)
    assert inside.panel().status_code == 404
    assert inside.enter().status_code == 404


def test_a_client_of_another_connection_is_not_shown(inside: Inside, world: make.World) -> None:
    """The link is still there, but another connection is in effect for the client by now."""
    make.connect(world.client, world.sandbox)
    assert "is not mapped yet" in inside.enter().json()["html"]


def test_when_connectwise_does_not_answer_that_is_told(inside: Inside, world: make.World) -> None:
    world.sandbox.control.fault("status_500", path="myMembers")
    answer = inside.enter()
    assert answer.status_code == 503
    assert "ConnectWise does not answer" in answer.json()["error"]
    world.credentials.lane.__class__.objects.update(breaker="unreachable")
    before = len(world.sandbox.control.requests())
    assert inside.enter().status_code == 503
    assert len(world.sandbox.control.requests()) == before


def test_one_tab_is_not_opened_more_often_than_its_minute_allows(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "REQUESTS_A_MINUTE", 2)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    assert [inside.enter().status_code for _ in range(3)] == [200, 200, 429]
    assert inside.panel().status_code == 429
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=1))
    assert inside.panel().status_code == 200


def test_one_thread_of_a_process_asks_at_a_time(inside: Inside) -> None:
    with hosted._seat:
        answer = inside.enter()
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert inside.enter().status_code == 200


def test_nonsense_is_refused(inside: Inside) -> None:
    for body in (b"", b"[]", b"{", b"x" * 20_000, b"[" * 10_000):
        for where in ("/enter", "/map"):
            answer = inside.browser.post(inside.url + where, body, content_type="application/json")
            assert answer.status_code == 400, (where, body[:10])
    assert inside.browser.post(inside.url + "/enter", inside.claim).status_code == 400


# --- Frames -----------------------------------------------------------------------------------------------------------


def test_only_the_stored_site_may_frame_the_tab_and_nothing_else_may_be_framed(
    inside: Inside, world: make.World
) -> None:
    shell = inside.browser.get(inside.url)
    policy = shell["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors {world.sandbox.url}")
    assert "X-Frame-Options" not in shell
    assert not shell.cookies
    assert b"Bakery" not in shell.content
    manager = signed_in(make.user(world.partner))
    for url in (
        "/",
        "/accounts/login/",
        "/clients",
        f"{inside.url}/panel",
        "/hosted/connectwise/nonsense",
        "/readyz",
    ):
        answer = manager.get(url)
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"], url
        assert answer["X-Frame-Options"] == "DENY", url


@pytest.mark.parametrize(
    ("site", "framers"),
    [
        (
            "https://api-na.myconnectwise.net",
            ["https://api-na.myconnectwise.net", "https://na.myconnectwise.net"],
        ),
        ("https://psa.example:8443/cw", ["https://psa.example:8443"]),
    ],
)
def test_the_framer_is_where_people_open_the_site(site: str, framers: list[str]) -> None:
    assert hosted.parents(HostedTab(credentials=Credentials(site_url=site))) == framers


def test_a_signed_in_person_is_nobody_in_the_tab(inside: Inside, world: make.World) -> None:
    inside.browser = signed_in(make.user(world.partner))
    assert inside.panel("").status_code == 401
    assert inside.enter(memberHash="0" * 64).status_code == 403


def test_the_port_names_the_member_by_connectwises_word(world: make.World, tab: HostedTab) -> None:
    facts = facts_of(world.sandbox, tab.registered_id, member="tlund")["member"]
    claim = TabClaim(
        login_company=facts["companyid"], member="TLUND", proof=facts["memberHash"], company_id="0250"
    )
    assert facts["memberHash"] not in repr(claim)
    with connections.psa_for(world.credentials) as psa, pytest.raises(PsaError):
        psa.tab_viewer(claim)  # the proof is of `tlund`, and this sandbox minds the case
    with connections.psa_for(world.credentials) as psa:
        viewer = psa.tab_viewer(TabClaim(**{**vars(claim), "member": "tlund"}))
    assert (viewer.member, viewer.email, viewer.company_id) == ("tlund", "tlund@cirrus.example", "250")


@pytest.fixture(autouse=True)
def _free_seat() -> Iterator[None]:
    yield
    assert hosted._seat.acquire(blocking=False)
    hosted._seat.release()
