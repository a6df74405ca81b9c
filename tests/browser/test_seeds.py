"""Everything that a partner's manager does from signing in to the first ticket and the first quantity, with mouse and
keyboard: walks of two kinds of integration that partners know, each page looked at by axe and kept as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from billing.models import PushItem, PushRun
from integrations.models import Credentials
from integrations.sandbox import Sandbox, running_sandbox
from portal import clients, clock
from portal.models import Client, Partner
from tests import make
from tests.browser.conftest import keep, sign_in
from tests.browser.test_accessible import findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TITLES = {"connectwise": "ConnectWise PSA", "autotask": "Autotask PSA"}
COMPANIES = {"connectwise": "Bakery Ott", "autotask": "Harbor Dental Group"}


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
def sandboxes(sandbox: Sandbox, autotask: Sandbox) -> dict[str, Sandbox]:
    return {"connectwise": sandbox, "autotask": autotask}


@dataclass
class Desk:
    """A partner that begins today, its manager at a browser, and the PSA."""

    page: Page
    seed: str
    partner: Partner
    psa: Sandbox
    kind: str
    seen: list[str] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)

    @property
    def company(self) -> str:
        return COMPANIES[self.kind]

    @property
    def client(self) -> Client:
        return Client.objects.get(partner=self.partner)

    @property
    def connection(self) -> Credentials:
        return Credentials.objects.get(partner=self.partner)

    def look(self, name: str) -> None:
        """What axe finds is told at the end, of all pages together; the picture is kept in any case."""
        self.seen.append(name)
        keep(self.page, f"{self.seed}-{self.kind}-{len(self.seen):02}-{name}")
        if rows := findings(self.page):
            self.found[name] = rows

    def menu(self, name: str) -> None:
        menu = self.page.get_by_role("navigation", name="Main")
        menu.get_by_role("link", name=name, exact=True).click()

    def press(self, name: str, *, within: Locator | None = None) -> None:
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def open(self, name: str, *, within: Locator | None = None) -> None:
        (within or self.page).get_by_role("link", name=name, exact=True).click()

    def tab(self, name: str) -> None:
        """Of the client."""
        self.menu("Clients")
        self.open(self.company)
        self.open(name, within=self.page.get_by_role("navigation", name=self.company))

    def pick(self, label: str, option: str) -> None:
        """In a drop-down; the option by how its text begins."""
        box = self.page.get_by_role("combobox", name=label, exact=True)
        texts = [text.strip() for text in box.locator("option").all_text_contents()]
        fitting = [text for text in texts if text.startswith(option)]
        assert fitting, f"{label} offers {texts}, not {option}"
        box.select_option(label=fitting[0])

    def says(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    # --- What every set-up has

    def connect(self) -> None:
        """Keys, Test It, the options: the first three steps."""
        known = self.psa.dialect.credentials()
        self.menu("Guided Set-up")
        self.look("guided-set-up")
        self.open(TITLES[self.kind])
        page = self.page
        page.get_by_label("Site URL").fill(f"{self.psa.url}/")
        if self.kind == "connectwise":
            page.get_by_label("Login company (MSP company ID)").fill(known["company"])
            page.get_by_label("Public key (API key)").fill(f" {known['public_key']} ")
            page.get_by_label("Private key (API secret)").fill(known["private_key"])
        else:
            page.get_by_label("Login company (MSP company ID)").fill(known["integration_code"])
            page.get_by_label("Public key (API key)").fill(known["user_name"])
            page.get_by_label("Private key (API secret)").fill(known["secret"])
        self.look("keys")
        page.keyboard.press("Enter")
        self.says("Calls go to")
        self.menu("Guided Set-up")
        page.get_by_role("main").get_by_role("link", name=self.partner.name).click()
        self.press("Test It")
        self.done("Test It")
        if not self.is_done("Read the options of the PSA"):
            self.press("Reload Options from PSA")
        self.done("Read the options of the PSA")
        self.look("connected")

    def step(self, title: str) -> Locator:
        heading = self.page.get_by_role("heading", name=title, exact=True)
        return self.page.get_by_role("listitem").filter(has=heading)

    def is_done(self, title: str) -> bool:
        return self.step(title).get_by_text("Done", exact=True).count() == 1

    def done(self, title: str) -> None:
        expect(self.step(title).get_by_text("Done", exact=True)).to_be_visible()

    def steps(self) -> None:
        self.open("Back to the steps")

    def map_client(self) -> None:
        """There is no client yet: one is made from its company in the PSA, and is mapped with that."""
        self.open("PSA companies", within=self.step("Map clients to PSA companies"))
        self.page.get_by_label("Name, identifier or id").fill(self.company)
        self.page.keyboard.press("Enter")
        self.open(f"Create client from {self.company}")
        self.look("new-client")
        self.press("Create client")
        self.steps()
        self.done("Map clients to PSA companies")

    def test_ticket(self) -> None:
        self.press("Open and close a test ticket")
        self.done("A test ticket that cleans up")
        self.look("test-ticket")

    def leave_out(self, *titles: str) -> None:
        for title in titles:
            self.press(f"Leave it out: {title}")
            expect(self.step(title).get_by_text("Left out", exact=True)).to_be_visible()

    # --- What machines do meanwhile

    def event(self, **fields: Any) -> None:
        """The vendor's product tells what happened, and the dispatcher does what follows."""
        body = make.event(client=self.client.managed_id, **fields)
        answer = make.api(make.token(self.partner)).post("/api/v1/events", body, format="json")
        assert answer.status_code == 202, answer.content
        make.drain()

    def usage(self, service: str, quantity: int) -> None:
        body = {
            "client": self.client.number,
            "account": "SRV-01",
            "service": service,
            "quantity": quantity,
            "measured_on": clock.today_in(self.partner.time_zone).isoformat(),
            "source": "backup",
        }
        answer = make.api(make.token(self.partner)).post("/api/v1/usage", body, format="json")
        assert answer.status_code == 202, answer.content

    def tickets(self) -> list[dict[str, Any]]:
        """As the PSA's own people see them, newest last; test tickets not."""
        name = "title" if self.kind == "autotask" else "summary"
        rows = self.psa.control.tickets()
        return [row for row in rows if "SRV-01" in row.get(name, "")]


@pytest.fixture
def desk(
    request: Any, page: Page, sandboxes: dict[str, Sandbox], transactional_db: None, complaints: list[str]
) -> Iterator[Desk]:
    """Signed in; when the walk is over, no page shut anybody out and the browser had nothing to complain about."""
    seed, kind = request.param
    make.catalogues()
    msp = make.partner(f"Begin {seed} MSP")
    clients.top_level(msp)
    make.user(msp, email="manager@begin.example")
    sign_in(page, "manager@begin.example")
    desk = Desk(page, seed, msp, sandboxes[kind], kind)
    desk.look("dashboard")
    yield desk
    assert (desk.found, complaints) == ({}, [])


def walks(*pairs: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "desk",
        [tuple(pair.split()) for pair in pairs],
        indirect=True,
        ids=[pair.replace(" ", "-") for pair in pairs],
    )


def choose_product(desk: Desk, service: str, product: str) -> None:
    form = desk.page.get_by_role("region", name="Set a service")
    form.get_by_role("combobox", name="Service", exact=True).select_option(label=service)
    box = form.get_by_label("PSA product")
    texts = box.locator("option").all_text_contents()
    box.select_option(label=next(text.strip() for text in texts if text.strip().startswith(product)))
    desk.press("Save", within=form)
    desk.says(f"{service} is saved.")


def choose_agreement(desk: Desk, *, adds_lines: bool) -> None:
    form = desk.page.get_by_role("region", name="Choose Agreement")
    form.get_by_role("combobox", name="Choose Agreement").select_option(index=0)
    if adds_lines:
        form.get_by_label("Create missing lines").check()
    desk.look("agreement")
    desk.press("Save", within=form)


def billing_settings(desk: Desk, **values: str) -> None:
    desk.menu("Billing Settings")
    desk.open(f"Edit {desk.partner.name}")
    for label, option in values.items():
        desk.pick(label.replace("_", " "), option)
    desk.look("billing-settings")
    desk.press("Save")
    desk.says(f"The billing settings of {desk.partner.name} are saved.")


def push(desk: Desk) -> None:
    """From the preview to what came of it."""
    desk.menu("Preview")
    desk.open(desk.company)
    desk.press("Read the PSA and preview")
    desk.says("nothing was written or stored")
    desk.look("preview")
    desk.menu("Preview")
    desk.page.get_by_label(f"Tick {desk.company}").check()
    desk.press("Push selected now")
    make.drain()
    run = PushRun.objects.latest("started_at")
    desk.page.goto(f"/billing/runs/{run.pk}")
    desk.look("push")
    assert run.state == "done", (run.state, run.error_text)


def pushed(desk: Desk) -> dict[str, str]:
    rows = PushItem.objects.filter(partner=desk.partner, state="done").select_related("service")
    return {row.service.key: str(row.after["quantity"]) for row in rows}


@walks("S1 connectwise")
def test_usage_goes_on_an_agreement_and_an_alert_goes_to_the_psa(desk: Desk):
    page = desk.page
    desk.connect()
    desk.map_client()
    desk.press("Use these settings")
    desk.done("Say how tickets look")
    desk.menu("Cross-references")
    desk.open(f"Edit {desk.partner.name}")
    for service, product in (
        ("Number of accounts", "ACCOUNT"),
        ("Total storage", "TOTAL-GB"),
        ("File Server Enablement", "FSE"),
    ):
        choose_product(desk, service, product)
    desk.look("products")
    billing_settings(desk, Billing_Enabled="Yes", Push_Date="On the last day of the month")
    desk.steps()
    desk.done("Cross-references: services and products")
    desk.open(f"Agreement of {desk.company}")
    choose_agreement(desk, adds_lines=True)
    desk.usage("accounts", 7)
    desk.usage("total-storage", 310)
    desk.usage("file-server-enablement", 1)
    desk.steps()
    desk.done("Agreements")
    push(desk)
    assert pushed(desk) == {"accounts": "7", "total-storage": "310", "file-server-enablement": "1"}

    desk.tab("Activity")
    desk.open("Create Alert")
    page.get_by_label("Name").fill("Alerts of Bakery Ott")
    desk.pick("Notification Action", "Open a PSA ticket")
    desk.look("alert")
    desk.press("Create")
    desk.event()
    [ticket] = desk.tickets()
    assert ticket["company"]["name"] == desk.company
    desk.menu("Event Log")
    desk.look("event-log")
    desk.says("Backup of SRV-01 failed")


@walks("S2 connectwise", "S2 autotask")
def test_advanced_tickets_a_test_and_a_drop_filter_at_either_psa(desk: Desk):
    page, is_autotask = desk.page, desk.kind == "autotask"
    desk.connect()
    desk.map_client()
    desk.open("Choose others", within=desk.step("Say how tickets look"))
    desk.pick("Queue" if is_autotask else "Service Board", "Backup")
    desk.pick("Status New" if is_autotask else "Initial Status", "New")
    desk.pick("Status Complete" if is_autotask else "Closing Status", "Complete")
    if is_autotask:
        desk.pick("Priority", "High")
    else:
        desk.pick("Priority of critical", "Priority 1")
    page.get_by_label("Notes per hour, at most").fill("4")
    desk.press("Save Ticket Configuration")
    desk.press("Preview the texts")
    desk.look("texts")
    desk.steps()
    desk.done("Say how tickets look")
    desk.press("Open tickets for warnings and errors")
    desk.test_ticket()

    desk.menu("PSA Credentials")
    desk.open(f"Edit {desk.partner.name}")
    desk.says("PSA, site and login company are locked")
    desk.press("Test It")
    desk.says("Connection Succeeded")
    desk.look("tested-again")
    desk.open("Change connection…")
    desk.look("change-connection")

    desk.menu("Partner Notifications")
    desk.open("Drop filters")
    desk.open("New drop filter")
    page.get_by_label("Name").fill("Agents that come and go")
    page.get_by_label("Summary contains one of").fill("connection lost\nconnection restored")
    desk.look("drop-filter")
    desk.press("Save")
    desk.event(id="dropped", summary="SRV-01: connection lost")
    assert desk.tickets() == []
    desk.event()
    assert len(desk.tickets()) == 1
    desk.menu("Event Log")
    desk.open("SRV-01: connection lost")
    desk.says("Agents that come and go")
    desk.look("dropped")
