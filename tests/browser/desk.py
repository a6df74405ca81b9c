"""A manager at a browser: what walks through the portal have in common, each page looked at by axe and kept as a
picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from billing.models import PushItem, PushRun
from integrations.models import Credentials
from integrations.sandbox import Sandbox
from portal import clock
from portal.models import Client, Partner
from tests import make

ARTEFACTS = Path(__file__).resolve().parents[2] / "var" / "artefacts"
PASSWORD = "correct horse battery"
SERIOUS = {"serious", "critical"}
TITLES = {"connectwise": "ConnectWise PSA", "autotask": "Autotask PSA"}
COMPANIES = {"connectwise": "Bakery Ott", "autotask": "Harbor Dental Group"}


def keep(page: Page, name: str) -> None:
    """A screenshot for people to look at."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


def picture(page: Page, name: str, *, at: Locator | None = None, of: Locator | None = None) -> None:
    """A screenshot for the guides: of the page from its top or from `at`, or `of` one element.

    Taken when PICTURES names their folder (`make pictures`).
    """
    if not (folder := os.environ.get("PICTURES")):
        return
    before = page.viewport_size
    page.set_viewport_size({"width": 1240, "height": 720})
    page.evaluate("scrollTo(0, 0)")
    if at is not None:
        at.evaluate("element => element.scrollIntoView({behavior: 'instant'})")
    path = Path(folder) / f"{name}.png"
    if of is None:
        page.screenshot(path=path, animations="disabled")
    else:
        of.screenshot(path=path, animations="disabled")
    if before:
        page.set_viewport_size(before)


def findings(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [
        f"{found['id']}: {node['html'][:120]}"
        for found in violations
        if found["impact"] in SERIOUS
        for node in found["nodes"]
    ]


def sign_in(page: Page, email: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Dashboard", level=1).wait_for()


def walks(*pairs: str) -> pytest.MarkDecorator:
    """Walks of the test's `desk`: the seed and the kind of PSA, such as "S2 autotask"."""
    return pytest.mark.parametrize(
        "desk",
        [tuple(pair.split()) for pair in pairs],
        indirect=True,
        ids=[pair.replace(" ", "-") for pair in pairs],
    )


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
        return Client.objects.get(partner=self.partner, name=self.company)

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

    def unfold(self, summary: str) -> None:
        """What a page keeps folded away."""
        self.page.locator("summary").get_by_text(summary, exact=True).click()

    def part(self, heading: str) -> Locator:
        """A part of the page, by its heading."""
        return self.page.get_by_role("region", name=heading, exact=True)

    def tab(self, name: str, *, client: str = "") -> None:
        """Of the client."""
        self.menu("Clients")
        self.open(client or self.company)
        self.open(name, within=self.page.get_by_role("navigation", name=client or self.company))

    def pick(self, label: str, option: str, *, within: Locator | None = None) -> None:
        """In a drop-down; the option by how its text begins."""
        box = (within or self.page).get_by_role("combobox", name=label, exact=True)
        texts = [text.strip() for text in box.locator("option").all_text_contents()]
        fitting = [text for text in texts if text.startswith(option)]
        assert fitting, f"{label} offers {texts}, not {option}"
        box.select_option(label=fitting[0])

    def says(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    # --- What every set-up has

    def fill_keys(self) -> None:
        """Site, login company and keys, as the sandbox knows them."""
        known = self.psa.dialect.credentials()
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

    def connect(self) -> None:
        """Keys, Test It, the options: the first three steps of the guided set-up."""
        self.menu("Guided Set-up")
        self.look("guided-set-up")
        self.open(TITLES[self.kind])
        self.fill_keys()
        self.look("keys")
        self.page.keyboard.press("Enter")
        self.says("Calls go to")
        self.go_on()
        self.press("Test It")
        self.done("Test It")
        if not self.is_done("Read the options of the PSA"):
            self.press("Reload Options from PSA")
        self.done("Read the options of the PSA")
        self.look("connected")

    def reload_options(self) -> None:
        """On the page of the keys."""
        self.press("Reload Options from PSA")
        self.says("Read · everything")

    def go_on(self) -> None:
        """To the steps of the guided set-up, by the menu."""
        self.menu("Guided Set-up")
        self.page.get_by_role("main").get_by_role("link", name=self.partner.name).click()

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
        self.make_client(self.company)
        self.steps()
        self.done("Map clients to PSA companies")

    def make_client(self, company: str) -> None:
        """On the page of PSA companies without a client."""
        self.page.get_by_label("Name, identifier or id").fill(company)
        self.page.keyboard.press("Enter")
        self.open(f"Create client from {company}")
        self.look("new-client")
        self.press("Create client")
        self.says(f"{company} was made")

    def test_ticket(self) -> None:
        self.press("Open and close a test ticket")
        self.done("A test ticket that cleans up")
        self.look("test-ticket")

    # --- What machines do meanwhile

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The vendor's product speaks over REST."""
        answer = make.api(make.token(self.partner)).post(f"/api/v1{path}", body, format="json")
        assert answer.status_code in (201, 202), answer.content
        return answer.json()

    def event(self, **fields: Any) -> None:
        """The vendor's product tells what happened, and the dispatcher does what follows."""
        self.post("/events", make.event(**{"client": self.client.managed_id, **fields}))
        make.drain()

    def recover(self, **fields: Any) -> None:
        self.event(
            type="backup.succeeded", severity="success", summary="Backup of SRV-01 succeeded", **fields
        )

    def usage(self, service: str, quantity: int, *, client: Client | None = None) -> None:
        self.post(
            "/usage",
            {
                "client": (client or self.client).number,
                "account": "SRV-01",
                "service": service,
                "quantity": quantity,
                "measured_on": clock.today_in(self.partner.time_zone).isoformat(),
                "source": "backup",
            },
        )

    def backups(self, *, account: str = "SRV-01", kind: str = "server", good: int = 3, bad: int = 1) -> None:
        """What the backups of one device did today."""
        now = clock.now()
        self.post(
            "/statistics",
            {
                "client": self.client.number,
                "account": account,
                "kind": kind,
                "measured_on": clock.today_in(self.partner.time_zone).isoformat(),
                "successful": good,
                "failed": bad,
                "last_backup_at": (now - timedelta(hours=2)).isoformat(),
                "storage_gb": 412.5,
            },
        )
        make.drain()

    def tickets(self) -> list[dict[str, Any]]:
        """As the PSA's own people see them, newest last; test tickets not."""
        name = "title" if self.kind == "autotask" else "summary"
        rows = self.psa.control.tickets()
        return [row for row in rows if "SRV-01" in row.get(name, "")]

    def quantities(self, company: str) -> dict[str, float]:
        """Of the agreements of a company in ConnectWise, by product."""
        rows = [row for row in self.psa.control.agreements() if row["company"]["name"] == company]
        return {line["product"]["identifier"]: line["quantity"] for row in rows for line in row["additions"]}

    # --- Billing

    def choose_product(self, service: str, product: str, **words: str) -> None:
        form = self.part("Set a service")
        form.get_by_role("combobox", name="Service", exact=True).select_option(label=service)
        self.pick("PSA product", product, within=form)
        for label, text in words.items():
            form.get_by_label(label.replace("_", " "), exact=True).fill(text)
        self.press("Save", within=form)
        self.says(f"{service} is saved.")

    def choose_agreement(self, *, adds_lines: bool = False) -> None:
        form = self.part("Choose Agreement")
        form.get_by_role("combobox", name="Choose Agreement").select_option(index=0)
        if adds_lines:
            form.get_by_label("Create missing lines").check()
        self.look("agreement")
        self.press("Save", within=form)

    def billing_settings(self, **values: str) -> None:
        self.menu("Billing Settings")
        self.open(f"Edit {self.partner.name}")
        for label, option in values.items():
            self.pick(label.replace("_", " "), option)
        self.look("billing-settings")
        self.press("Save")
        self.says(f"The billing settings of {self.partner.name} are saved.")

    def preview(self) -> None:
        self.menu("Preview")
        self.open(self.company)
        self.press("Read the PSA and preview")
        self.says("nothing was written or stored")
        self.look("preview")

    def push(self) -> PushRun:
        """By the button, and what came of it."""
        self.menu("Preview")
        self.page.get_by_label(f"Tick {self.company}").check()
        self.press("Push selected now")
        self.says("1 client is synchronized now")
        make.drain()
        run = PushRun.objects.latest("started_at")
        self.page.goto(f"/billing/runs/{run.pk}")
        self.look("push")
        return run

    def pushed(self) -> dict[str, str]:
        rows = PushItem.objects.filter(partner=self.partner, state="done").select_related("service")
        return {row.service.key: str(row.after["quantity"]) for row in rows}
