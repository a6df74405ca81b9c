"""One MSP three times: in memory, at a pretend ConnectWise and at a pretend Autotask (asked by every promise).

A house hides the dialect: promises speak of companies, boards, agreements, technicians and trouble, in our words.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal

import pytest

from integrations.psa.autotask import AutotaskPsa
from integrations.psa.autotask.rest import headers_for as autotask_headers
from integrations.psa.autotask.rest import secrets_of as autotask_secrets
from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.rest import headers_for as connectwise_headers
from integrations.psa.connectwise.rest import secrets_of as connectwise_secrets
from integrations.psa.errors import NotPermitted, SignInRefused, Throttled, Unreachable
from integrations.psa.kinds import ABILITIES
from integrations.psa.plan import Applied
from integrations.psa.port import Check, ChoiceKind, Exchange, InvoicedLine, Psa, SignIn
from integrations.psa.transport import SharedConnection, Transport
from integrations.psa.wanted import (
    WantedDevice,
    WantedLine,
    WantedLines,
    WantedProduct,
    WantedReport,
    WantedTicket,
)
from tests.contract.recorder import ListeningSandbox
from tests.integrations.psa.conftest import LOCAL
from tests.integrations.psa.fake import FakePsa

Trouble = Literal["lost answer", "lost request", "late", "trouble", "page", "web page", "cut off", "garbled"]
TROUBLES: dict[Trouble, tuple[str, dict[str, Any]]] = {
    "lost answer": ("commit_then_drop", {}),
    "lost request": ("drop", {}),
    "late": ("late_commit", {"delay": 0.15}),
    "trouble": ("status_500", {}),
    "page": ("html_503", {}),
    "web page": ("html_200", {}),
    "cut off": ("truncated_json", {}),
    "garbled": ("invalid_json", {}),
}
SENTENCES: dict[Trouble, str] = {name: f"The pretend PSA has a {name}." for name in TROUBLES}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One write as it reached the PSA."""

    method: str
    path: str
    body: Any


@dataclass(frozen=True, kw_only=True)
class Lack:
    """One right taken away: for the control door, and a word that the finding has to contain."""

    role: dict[str, Any]
    feature: str
    names: str

    def __str__(self) -> str:
        return json.dumps(self.role).translate(str.maketrans("", "", '{}" '))


class House:
    """What all three have in common. `company` has the agreement `agreement` with `product` on it once."""

    kind: ClassVar[str]
    company: ClassVar[str]
    board: ClassVar[str]
    other_board: ClassVar[str]
    agreement: ClassVar[str] = "401"
    product: ClassVar[str] = "301"
    missing_product: ClassVar[str] = "310"
    serial: ClassVar[str]  # of the one device of `company` that statistics go to
    category: ClassVar[str] = "Managed Services"  # what a new product belongs to
    secrets: tuple[str, ...] = ()
    psa: Psa
    exchanges: list[Exchange]
    _keys: ClassVar[Iterator[int]] = itertools.count(1)  # no two tests use the same key

    # --- Our wishes

    def key(self) -> str:
        return f"contract:{next(self._keys)}"

    def wanted(self, **changes: Any) -> WantedTicket:
        usual: dict[str, Any] = {
            "external_ref": changes.pop("external_ref", None) or self.key(),
            "state": "open",
            "company_id": self.company,
            "summary": "Backup failed on SRV-01",
            "description": "The backup of SRV-01 failed.\nError 17.",
            "board_id": self.board,
        }
        return WantedTicket(**{**usual, **changes})

    def opened(self, **changes: Any) -> WantedTicket:
        """A ticket that is there now, as the wish that knows it."""
        wanted = self.wanted(**changes)
        applied = self.psa.apply(self.psa.plan_ticket(wanted))
        return replace(wanted, known_id=applied.items[0].record_id)

    def over(self, wanted: WantedTicket, **changes: Any) -> WantedTicket:
        closing = self.closing_status(wanted.board_id or self.board)
        return replace(wanted, state="closed", **{"closing_status_id": closing, **changes})

    def closed(self, wanted: WantedTicket, **changes: Any) -> Applied:
        return self.psa.apply(self.psa.plan_ticket(self.over(wanted, **changes)))

    def closing_status(self, board: str) -> str:
        return next(one.id for one in self.psa.choices("status", board) if one.data["closed"])

    def working_status(self, board: str) -> str:
        return next(one.id for one in self.psa.choices("status", board) if not one.data["closed"])

    def line(self, quantity: object, **more: Any) -> WantedLine:
        usual = {"key": "storage", "product_id": self.product, "product_name": "Storage"}
        return WantedLine(quantity=Decimal(str(quantity)), **{**usual, **more})

    def lines(self, *wanted: WantedLine) -> WantedLines:
        return WantedLines(
            agreement_id=self.agreement,
            agreement_name="Backup Services",
            company_id=self.company,
            lines=wanted,
        )

    def device(self, **changes: Any) -> WantedDevice:
        usual = {
            "serial_number": self.serial,
            "name": "SRV-01",
            "successful_jobs": 30,
            "failed_jobs": 1,
            "last_backup_at": datetime(2026, 11, 20, 22, 5, tzinfo=UTC),
            "used_gb": Decimal("412.5"),
        }
        return WantedDevice(**{**usual, **changes})

    def report(self, *devices: WantedDevice, **changes: Any) -> WantedReport:
        usual: dict[str, Any] = {
            "company_id": self.company,
            "managed_id": "EFS-19652",
            "solution": "EFS Backup",
            "successful_jobs": 30,
            "failed_jobs": 1,
            "servers": 2,
            "workstations": 5,
        }
        return WantedReport(**{**usual, **changes}, devices=devices or (self.device(),))

    def product_wish(self, identifier: str = "EFS Backup per GB") -> WantedProduct:
        return WantedProduct(
            identifier=identifier,
            description="Backup storage",
            category=self.category,
            unit_price=Decimal("0.3"),
        )

    def rename(self, kind: ChoiceKind, psa_id: str, name: str) -> None:
        """A person renames a company, product or agreement."""
        raise NotImplementedError

    def quantity(self, product: str = "") -> Decimal:
        product = product or self.product
        found = [line for line in self.psa.lines(self.agreement) if line.product_id == product]
        assert len(found) == 1
        return Decimal(found[0].quantity)

    def ability(self, name: str) -> int:
        """A length, or 1 for "it can"."""
        return int(getattr(ABILITIES[self.psa.kind], name))

    def not_promised(self, because: str) -> None:
        pytest.skip(f"not promised because {because}")

    # --- What happens in the house

    def sent(self) -> list[Sent]:
        """Every write that arrived, in order."""
        raise NotImplementedError

    def writes(self) -> int:
        return len(self.sent())

    def stored(self, ticket_id: str) -> dict[str, str]:
        """Summary and description as the PSA keeps them."""
        raise NotImplementedError

    def of_company(self, kind: ChoiceKind) -> str:
        """The first contact, agreement or site of our company."""
        return self.psa.choices(kind, self.company)[0].id

    def placed(self, ticket_id: str) -> dict[str, str]:
        """Contact, agreement, site and due date (to the minute, UTC) as the PSA keeps them."""
        raise NotImplementedError

    def technician(self, action: str, ticket_id: str, **more: str) -> None:
        """`close`, `reopen`, `delete`, `move` (board=), `merge` (into=)."""
        raise NotImplementedError

    def trouble(self, what: Trouble, at: str, times: int | None = 1) -> None:
        """`at` is a verb of the port: a read, or "apply" for the next write."""
        raise NotImplementedError

    def throttle(self, at: str, seconds: int) -> None:
        raise NotImplementedError

    def rotate_keys(self) -> None:
        raise NotImplementedError

    def lacks(self) -> Sequence[Lack]:
        raise NotImplementedError

    def take_right(self, lack: Lack) -> None:
        raise NotImplementedError

    def give_rights_back(self) -> None:
        raise NotImplementedError

    def forbid_opening(self) -> None:
        """The API user may open no tickets from now on."""
        raise NotImplementedError

    def heal(self) -> None:
        raise NotImplementedError

    def settle(self) -> None:
        """What was late has happened now."""
        raise NotImplementedError

    def wait_out(self) -> None:
        """So much time passes that nothing can be on its way any more."""

    def unreachable(self) -> contextlib.AbstractContextManager[Psa]:
        """The same PSA while nothing listens at its address."""
        raise NotImplementedError

    def spoil(self, line_id: str) -> None:
        """A person does something to a line, so that what was planned for it does not fit any more."""
        raise NotImplementedError

    def forbid(self, verb: str) -> None:
        """The API user may not read what this verb of the port reads."""
        raise NotImplementedError

    def bill(self) -> None:
        """A person bills the agreement's running period: invoice 9001, where numbers can be chosen."""
        raise NotImplementedError

    def second_line(self) -> None:
        """The product stands on the agreement twice from now on."""
        raise NotImplementedError

    def fresh_violations(self) -> list[str]:
        return []


class FakeHouse(House):
    kind = "fake"
    serial = "SRV-01"
    company = "250"
    board = "2"
    other_board = "3"

    def __init__(self) -> None:
        self.exchanges = []
        self.psa = self.fake = FakePsa(now=datetime.now(UTC) - timedelta(minutes=30))
        for number in range(250, 262):
            self.fake.add_option(
                "company", str(number), "Bakery Ott" if number == 250 else f"Client {number}"
            )
            if number != 261:
                agreement = f"Backup Services {number}"
                self.fake.add_option("agreement", str(number + 151), agreement, str(number), recurring=True)
        self.fake.add_option("solution", "1", "EFS Backup")
        self.fake.add_option("contact", "2000", "Hanna Ott", "250", email="hanna@example.com")
        self.fake.add_option("site", "1000", "Main", "250", city="Freiburg", zip="", default=True)
        self.fake.add_device(self.company, self.serial)
        for kind in ("priority", "source"):
            for name in ("1", "2"):
                self.fake.add_option(kind, name, f"{kind} {name}")  # type: ignore[arg-type]
        for board in ("1", "2", "3"):
            self.fake.add_option("board", board, f"Board {board}")
            for kind in ("type", "subtype", "item"):
                for name in ("1", "2"):
                    self.fake.add_option(kind, f"{board}{name}", f"{kind} {name}", within=board)  # type: ignore[arg-type]
            for position, name in enumerate(("New", "In Progress", "Waiting", "Closed")):
                self.fake.add_option(
                    "status", f"{board}{position}", name, within=board, closed=name == "Closed"
                )
        for product in ("301", "302", "303", "310"):
            self.fake.add_option("product", product, f"Product {product}")
        for product, quantity in (("301", "250"), ("302", "2"), ("303", "10")):
            self.fake.add_line(self.agreement, product_id=product, product_name=product, quantity=quantity)

    def bill(self) -> None:
        today = f"{self.psa.now.date()}"
        self.psa.invoices[self.agreement] = [
            InvoicedLine(invoice_id="9001", number="9001", starts_on=today, amount="1"),
        ]

    def rename(self, kind: ChoiceKind, psa_id: str, name: str) -> None:
        self.fake.now += timedelta(minutes=30)
        within = next(one.within for one in self.fake.options if (one.kind, one.id) == (kind, psa_id))
        self.fake.change_option(kind, psa_id, name, within)

    def sent(self) -> list[Sent]:
        return [Sent(**item.request.as_json()) for item in self.fake.sent]

    def stored(self, ticket_id: str) -> dict[str, str]:
        return {
            "summary": self.fake.tickets[ticket_id].summary,
            "description": self.fake.described[ticket_id],
        }

    def placed(self, ticket_id: str) -> dict[str, str]:
        body = self.fake.sent[-1].request.body
        names = {name: body[f"{name}_id"] for name in ("contact", "agreement", "site")}
        return {**names, "due": body["due_at"][:16]}

    def technician(self, action: str, ticket_id: str, **more: str) -> None:
        self.fake.now = datetime.now(UTC)
        if action == "close":
            self.fake.technician_closes(ticket_id)
        elif action == "delete":
            self.fake.technician_deletes(ticket_id)
        elif action == "move":
            self.fake.technician_moves(ticket_id, more["board"], self.working_status(more["board"]))
        elif action == "merge":
            self.fake.technician_merges(ticket_id, more["into"])
        else:
            self.fake.technician_moves(ticket_id, self.board)
            self.fake.tickets[ticket_id] = replace(self.fake.tickets[ticket_id], is_closed=False)

    def trouble(self, what: Trouble, at: str, times: int | None = 1) -> None:
        is_write = at == "apply"
        how = {"lost answer": "yes", "late": "late"}.get(what, "no") if is_write else "no"
        error = Unreachable(SENTENCES[what], outcome_unknown=is_write)
        self.fake.fail(at, error, times=times, commits=how)  # type: ignore[arg-type]

    def throttle(self, at: str, seconds: int) -> None:
        self.fake.fail(at, Throttled("Slow down.", retry_after=seconds))

    def rotate_keys(self) -> None:
        for verb in ("choices", "ticket", "find_tickets", "lines"):
            self.fake.fail(verb, SignInRefused("Refused.", advice="Enter the keys again."), times=None)

    def lacks(self) -> Sequence[Lack]:
        return [
            Lack(role={name: "None"}, feature=name, names=name) for name in ("tickets", "closing", "billing")
        ]

    def take_right(self, lack: Lack) -> None:
        name = lack.feature
        self.fake.checks = [Check(name=name, verdict="failed", detail="It is needed.", fix=f"Grant {name}.")]

    def give_rights_back(self) -> None:
        self.fake.checks = []

    def forbid_opening(self) -> None:
        error = NotPermitted(
            "Not allowed.", module="Service Desk > Tickets", advice="Grant Service Desk > Tickets."
        )
        self.fake.fail("apply", error, times=None)

    def heal(self) -> None:
        self.fake.heal()

    def settle(self) -> None:
        self.fake.settle()

    @contextlib.contextmanager
    def unreachable(self) -> Iterator[Psa]:
        for verb in ("apply", "ticket", "find_tickets", "lines", "choices"):
            self.fake.fail(verb, Unreachable("Nothing listens there."), times=None)
        yield self.fake
        self.fake.heal()

    def spoil(self, line_id: str) -> None:
        kept = [line for line in self.fake.agreements[self.agreement] if line.id != line_id]
        self.fake.agreements[self.agreement] = kept

    def forbid(self, verb: str) -> None:
        self.fake.fail(verb, NotPermitted("Not allowed.", module="A module", advice="Grant it."))

    def second_line(self) -> None:
        self.fake.add_line(self.agreement, product_id=self.product, quantity="1", serial_number="EFS-2")


class SandboxHouse(House):
    """Behind the adapters of the product and a real HTTP connection."""

    sandbox: ListeningSandbox
    where: ClassVar[dict[str, dict[str, str]]]  # which calls a verb of the port makes

    def __init__(self, sandbox: ListeningSandbox) -> None:
        self.sandbox = sandbox
        self.sandbox.control.reset()
        self.role = self.sandbox.control.get("role")
        self.ahead = 0.0
        self.exchanges = []
        self.shared = SharedConnection(LOCAL)
        self.sign_in = self._signed_in(sandbox.url)
        self.psa = self.connected(self.sign_in)

    def close(self) -> None:
        self.shared.close()

    def fresh_violations(self) -> list[str]:
        found, self.sandbox.fresh_violations = self.sandbox.fresh_violations, []
        return found

    def _signed_in(self, url: str) -> SignIn:
        raise NotImplementedError

    def connected(self, sign_in: SignIn, shared: SharedConnection | None = None) -> Psa:
        raise NotImplementedError

    def _is_write(self, method: str, path: str) -> bool:
        return method != "GET" and "/query" not in path.lower()

    def sent(self) -> list[Sent]:
        return [
            Sent(method=row["method"], path=row["path"], body=json.loads(row["body"] or "null"))
            for row in self.sandbox.control.requests()
            if self._is_write(row["method"], row["path"])
        ]

    def trouble(self, what: Trouble, at: str, times: int | None = 1) -> None:
        fault, options = TROUBLES[what]
        self.sandbox.control.fault(fault, times=times, **self.where[at], **options)

    def throttle(self, at: str, seconds: int) -> None:
        self.sandbox.control.fault("status_429", times=1, retry_after=str(seconds), **self.where[at])

    def forbid(self, verb: str) -> None:
        self.sandbox.control.fault("status_403", **self.where[verb])

    def rotate_keys(self) -> None:
        self.sandbox.control.rotate_keys()

    def take_right(self, lack: Lack) -> None:
        self.sandbox.control.role(**lack.role)

    def give_rights_back(self) -> None:
        self.sandbox.control.role(**self.role)

    def heal(self) -> None:
        self.sandbox.control.clear_faults()

    def settle(self) -> None:
        self.sandbox.settle()

    def wait_out(self) -> None:
        self.ahead += 400.0

    @contextlib.contextmanager
    def unreachable(self) -> Iterator[Psa]:
        """What was learned of the PSA is still known; only its port is closed."""
        gone = ListeningSandbox(self.sandbox.kind)
        gone.start()
        shared = SharedConnection(LOCAL)
        psa = self.connected(self._signed_in(gone.url), shared)
        psa.find_tickets("nothing")
        gone.stop()
        yield psa
        shared.close()


class ConnectWiseHouse(SandboxHouse):
    kind = "connectwise"
    serial = "SRV-01-19652"
    company = "250"
    board = "2"
    other_board = "3"
    where = {
        "apply": {"method": "POST|PATCH"},
        "ticket": {"method": "GET", "path": r"service/tickets/\d+$"},
        "find_tickets": {"method": "GET", "path": r"service/tickets$"},
        "choices": {"method": "GET", "path": r"procurement/catalog"},
        "companies": {"method": "GET", "path": r"company/companies"},
        "lines": {"method": "GET", "path": r"additions$"},
        "plan_report": {"method": "GET", "path": r"managementItSolutions$"},
        "plan_product": {"method": "GET", "path": r"procurement/catalog"},
    }

    def _signed_in(self, url: str) -> SignIn:
        keys = self.sandbox.control.get("credentials")
        return SignIn(
            site=url,
            login_company=keys["company"],
            public_key=keys["public_key"],
            secret=keys["private_key"],
            client_id=keys["client_id"],
        )

    def connected(self, sign_in: SignIn, shared: SharedConnection | None = None) -> Psa:
        self.secrets = connectwise_secrets(sign_in)
        transport = Transport(
            sign_in.site,
            shared=shared or self.shared,
            headers=connectwise_headers(sign_in),
            secrets=self.secrets,
            deadline=3.0,
            on_call=self.exchanges.append,
        )
        return ConnectWisePsa(sign_in, transport=transport)

    def bill(self) -> None:
        self.sandbox.control.technician("invoice", agreement=int(self.agreement))

    def rename(self, kind: ChoiceKind, psa_id: str, name: str) -> None:
        self.sandbox.control.technician("rename", **{kind: int(psa_id), "name": name})

    def stored(self, ticket_id: str) -> dict[str, str]:
        row = self.sandbox.control.tickets(id=ticket_id)[0]
        first = next((note["text"] for note in row["notes"] if note.get("detailDescriptionFlag")), "")
        return {"summary": row["summary"], "description": first}

    def placed(self, ticket_id: str) -> dict[str, str]:
        row = self.sandbox.control.tickets(id=ticket_id)[0]
        names = {name: str(row[name]["id"]) for name in ("contact", "agreement", "site")}
        return {**names, "due": row["requiredDate"][:16]}

    def technician(self, action: str, ticket_id: str, **more: str) -> None:
        self.sandbox.control.technician(action, ticket=int(ticket_id), **more)

    def lacks(self) -> Sequence[Lack]:
        rows = (
            ("company_maintenance", ("inquire",), "choices", "Company Maintenance"),
            ("contacts", ("inquire",), "choices", "Contacts"),
            ("table_setup", ("inquire",), "tickets", "Table Setup"),
            ("service_tickets", ("add", "edit", "inquire"), "tickets", "Service Tickets"),
            ("close_service_tickets", ("edit", "inquire"), "closing", "Close Service Tickets"),
            ("agreements", ("add", "edit", "inquire"), "billing", "Agreements"),
            ("product_catalog", ("inquire",), "choices", "Product Catalog"),
        )
        return [
            Lack(role={function: {right: level}}, feature=feature, names=names)
            for function, rights, feature, names in rows
            for right in rights
            for level in ("None", "My")
        ]

    def forbid_opening(self) -> None:
        self.sandbox.control.role(service_tickets={"add": "None"})

    def spoil(self, line_id: str) -> None:
        self.sandbox.control.technician("delete", addition=int(line_id))

    def second_line(self) -> None:
        # Only a person can put a product on an agreement a second time: our own plan would change the first line.
        body = {
            "product": {"id": int(self.product)},
            "quantity": 1,
            "billCustomer": "Billable",
            "serialNumber": "2",
        }
        assert isinstance(self.psa, ConnectWisePsa)
        self.psa._rest.write("POST", f"/finance/agreements/{self.agreement}/additions", body)


class AutotaskHouse(SandboxHouse):
    kind = "autotask"
    serial = "SN19652"
    category = "Recurring Backup"
    company = "201"
    board = "29682834"
    other_board = "29682833"
    where = {
        "apply": {
            "method": "POST|PATCH",
            "path": r"v1\.0/(Tickets|.*/Notes|.*/ServiceAdjustments|.*/Services|Services|ConfigurationItems)$",
        },
        "ticket": {"method": "GET", "path": r"Tickets/\d+$"},
        "find_tickets": {"path": r"/Tickets/query"},
        "choices": {"path": r"/Services/query"},
        "companies": {"path": r"Companies/query"},
        "lines": {"path": r"ContractServiceUnits/query"},
        "plan_report": {"path": r"ConfigurationItems/query"},
        "plan_product": {"path": r"/Services/query"},
    }

    def _signed_in(self, url: str) -> SignIn:
        keys = self.sandbox.control.get("credentials")
        return SignIn(
            site=url,
            login_company=keys["integration_code"],
            public_key=keys["user_name"],
            secret=keys["secret"],
        )

    def connected(self, sign_in: SignIn, shared: SharedConnection | None = None) -> Psa:
        self.secrets = autotask_secrets(sign_in)
        transport = Transport(
            sign_in.site,
            shared=shared or self.shared,
            headers=autotask_headers(sign_in),
            secrets=self.secrets,
            deadline=3.0,
            on_call=self.exchanges.append,
        )
        return AutotaskPsa(
            sign_in,
            transport=transport,
            clock=lambda: time.time() + self.ahead,
            pause=lambda seconds: None,
        )

    def bill(self) -> None:
        self.sandbox.control.technician("post", contract=int(self.agreement))
        self.sandbox.control.technician("invoice", contract=int(self.agreement), invoice=9001)

    def rename(self, kind: ChoiceKind, psa_id: str, name: str) -> None:
        theirs = {"product": "service", "agreement": "contract"}.get(kind, kind)
        self.sandbox.control.technician("rename", **{theirs: int(psa_id), "name": name})

    def wanted(self, **changes: Any) -> WantedTicket:
        return super().wanted(**{"priority_id": "2", **changes})

    def stored(self, ticket_id: str) -> dict[str, str]:
        row = self.sandbox.control.tickets(id=ticket_id)[0]
        return {"summary": row["title"], "description": row.get("description", "")}

    def placed(self, ticket_id: str) -> dict[str, str]:
        row = self.sandbox.control.tickets(id=ticket_id)[0]
        fields = {"contact": "contactID", "agreement": "contractID", "site": "companyLocationID"}
        names = {ours: str(row[theirs]) for ours, theirs in fields.items()}
        return {**names, "due": row["dueDateTime"][:16]}

    def technician(self, action: str, ticket_id: str, **more: str) -> None:
        if "board" in more:
            more["queue"] = more.pop("board")
        self.sandbox.control.technician(action, ticket=int(ticket_id), **{k: int(v) for k, v in more.items()})

    def lacks(self) -> Sequence[Lack]:
        rows = (
            ("companies", ("query",), "tickets", "Organizations"),
            ("tickets", ("query", "create", "update"), "tickets", "Tickets"),
            ("ticket_notes", ("query", "create"), "tickets", "TicketNotes"),
            ("contacts", ("query",), "tickets", "Contacts"),
            ("contracts", ("query",), "billing", "Contracts"),
            ("contract_services", ("query", "create", "update"), "billing", "ContractService"),
            ("services", ("query",), "billing", "Services"),
            ("configuration_items", ("query", "update"), "statistics", "ConfigurationItems"),
        )
        return [
            Lack(role={area: {right: "None"}}, feature=feature, names=names)
            for area, rights, feature, names in rows
            for right in rights
        ]

    def forbid_opening(self) -> None:
        self.sandbox.control.role(tickets={"create": "None"})

    def spoil(self, line_id: str) -> None:
        self.sandbox.control.technician(
            "adjustment", contract=int(self.agreement), line=int(line_id), change=7
        )

    def second_line(self) -> None:
        self.not_promised("Autotask keeps each service on a contract once")


HOUSES: dict[str, type[House]] = {
    "fake": FakeHouse,
    "connectwise": ConnectWiseHouse,
    "autotask": AutotaskHouse,
}
