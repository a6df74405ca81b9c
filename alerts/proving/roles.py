"""Does the permission doctor tell the truth? Random roles at a pretend PSA: what it says, beside what really works.

For each role the doctor examines first; then every feature's own calls are really made through the adapter, and the
two are compared feature by feature. The pretend PSA's list of requests tells whether the doctor wrote anything.
Asked by `manage.py proofs` (200 roles a PSA) and by a test (fewer).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from integrations.psa import kinds
from integrations.psa.addresses import ANY_PORT, AddressPolicy
from integrations.psa.autotask import AutotaskPsa
from integrations.psa.connectwise import ConnectWisePsa
from integrations.psa.connectwise.rest import Rest
from integrations.psa.errors import PsaError
from integrations.psa.port import Check, ChoiceKind, Feature, Psa, SignIn
from integrations.psa.transport import SharedConnection, Transport
from integrations.psa.wanted import WantedDevice, WantedLine, WantedLines, WantedReport, WantedTicket
from integrations.sandbox import Sandbox, running_sandbox
from integrations.sandbox.autotask import role as autotask_role
from integrations.sandbox.connectwise import role as connectwise_role

LOCAL = AddressPolicy(allow_http=True, allowed_networks=("127.0.0.0/8",), allowed_ports=(ANY_PORT,))
FEATURES: tuple[Feature, ...] = ("tickets", "closing", "billing", "statistics", "choices")
_CALLS_KEPT = 25  # roles over one connection; Autotask's budget of calls is counted on it
_UNHINDERED = {"requests_per_window": 10_000_000, "same_day_adjustment": "accept"}


class NotAsItShould(Exception):
    """A feature's calls were answered, and yet what they were for is not true at the PSA."""


@dataclass
class Tally:
    """What came of the roles of one PSA. `wrong` names each contradiction, `writes` each write of the doctor."""

    kind: str
    roles: int = 0
    works: Counter[Feature] = field(default_factory=Counter)
    broken: Counter[Feature] = field(default_factory=Counter)
    unsure: Counter[Feature] = field(default_factory=Counter)
    lines: int = 0
    wrong: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    most_calls: int = 0

    @property
    def held(self) -> bool:
        """True verdicts, no write, and both outcomes seen for every feature."""
        both = all(self.works[feature] and self.broken[feature] for feature in FEATURES)
        return both and not self.wrong and not self.writes

    def __str__(self) -> str:
        told = sum(self.works.values()) + sum(self.broken.values())
        return (
            f"{self.kind}: {self.roles} roles, {self.lines} lines; of {told + sum(self.unsure.values())} verdicts on"
            f" features {told} sure and {len(self.wrong)} of them wrong; at most {self.most_calls} calls,"
            f" {len(self.writes)} writes"
        )


@dataclass(frozen=True)
class Rolled:
    """A role in words. `is_told`: the PSA tells enough about it for every verdict to be sure."""

    role: str
    is_told: bool


class House(Protocol):
    """One pretend PSA: how a role is rolled, and what each feature really does there."""

    sandbox: Sandbox

    def connect(self, shared: SharedConnection) -> Psa: ...

    def full_rights(self) -> None: ...

    def take_rights(self, dice: random.Random) -> Rolled: ...

    def prepare(self, psa: Psa, turn: int) -> None:
        """With full rights: make what the features are tried on."""

    def trials(self, psa: Psa, turn: int) -> Mapping[Feature, Callable[[], None]]:
        """Each raises when its feature does not work."""

    def tidy(self) -> None: ...


def storm(kind: str, roles: int, seed: int = 1) -> Tally:
    """So many roles at a fresh pretend PSA of the kind."""
    tally = Tally(kind)
    dice = random.Random(f"{kind} {seed}")  # noqa: S311 - dice of a test, not of a secret
    with running_sandbox(kind=kind) as sandbox:
        house: House = HOUSES[kind](sandbox)
        for start in range(0, roles, _CALLS_KEPT):
            with connected(house) as psa:
                for turn in range(start, min(start + _CALLS_KEPT, roles)):
                    examine(house, psa, turn, dice, tally)
    return tally


@contextmanager
def connected(house: House) -> Iterator[Psa]:
    shared = SharedConnection(LOCAL)
    try:
        yield house.connect(shared)
    finally:
        shared.close()


def examine(house: House, psa: Psa, turn: int, dice: random.Random, tally: Tally) -> None:
    house.full_rights()
    house.prepare(psa, turn)
    rolled_role = house.take_rights(dice)
    before = house.sandbox.log.newest(1)[0].number
    checks = psa.check(FEATURES)
    calls = house.sandbox.log.since(before)
    tally.roles += 1
    tally.lines += len(checks)
    tally.most_calls = max(tally.most_calls, len(calls))
    tally.writes += [f"{call.method} {call.path}" for call in calls if not is_read(call.method, call.path)]
    tally.writes += [f"{call.method} {call.path} committed" for call in calls if call.committed]
    for feature, trial in house.trials(psa, turn).items():
        compare(tally, feature, said_of(feature, checks), tried(trial), rolled_role)
    tally.wrong += [
        f"{rolled_role.role}: “{check.name}” failed and breaks nothing"
        for check in checks
        if check.kind == "right" and check.verdict == "failed" and not check.breaks
    ]
    house.full_rights()
    house.tidy()


def is_read(method: str, path: str) -> bool:
    return method == "GET" or (method == "POST" and path.lower().endswith("/query"))


def said_of(feature: Feature, checks: Sequence[Check]) -> bool | None:
    """What the doctor says of a feature: works, does not, or None when he is not sure."""
    lines = [check for check in checks if check.kind == "right" and feature in check.features]
    if any(feature in check.breaks for check in lines):
        return False
    return True if all(check.verdict in ("passed", "failed") for check in lines) else None


def tried(trial: Callable[[], None]) -> tuple[bool, str]:
    try:
        trial()
    except (PsaError, NotAsItShould) as error:
        return False, str(error)
    return True, ""


def compare(
    tally: Tally, feature: Feature, said: bool | None, happened: tuple[bool, str], rolled_role: Rolled
) -> None:
    works, why = happened
    truth = f"{rolled_role.role}: {feature} {'works' if works else f'does not work ({why})'}"
    if said is None:
        tally.unsure[feature] += 1
        if rolled_role.is_told:
            tally.wrong.append(f"{truth}; the PSA tells enough, and the doctor was not sure")
    elif said is works:
        (tally.works if works else tally.broken)[feature] += 1
    else:
        tally.wrong.append(f"{truth}, told otherwise")


def must(is_so: object, what: str) -> None:
    if not is_so:
        raise NotAsItShould(what)


def apply(psa: Psa, wanted: WantedTicket) -> str:
    """Carry out and say which ticket it was."""
    applied = psa.apply(psa.plan_ticket(wanted))
    must(applied.items, "nothing was planned")
    return applied.items[0].record_id


def opened_and_found(psa: Psa, wanted: WantedTicket) -> None:
    """Opening a ticket: created, found again by its key, and told something."""
    ticket = apply(psa, wanted)
    must([found.id for found in psa.find_tickets(wanted.external_ref)] == [ticket], "not found again")
    apply(psa, replace(wanted, known_id=ticket, note="Failed again."))


def offered(psa: Psa, *what: tuple[ChoiceKind, str]) -> None:
    for kind, within in what:
        must(psa.choices(kind, within), f"no {kind} is offered")


def rolled(
    dice: random.Random, role: Mapping[str, Mapping[str, str]], levels: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Up to four rights of the role at another level; now and then (one in ten) all of it at random."""
    rights = [(area, right) for area, levels_of in role.items() for right in levels_of if right != "allow"]
    changed: dict[str, dict[str, str]] = {}
    chosen = rights if dice.random() < 0.1 else dice.sample(rights, dice.randrange(0, 5))
    for area, right in chosen:
        changed.setdefault(area, {})[right] = dice.choice(levels)
    return changed


# --- ConnectWise -----------------------------------------------------------------------------------------------------


class ConnectWiseHouse:
    """Company 250, board 2 (Backup) with closing status 12, agreement 401 with product 301 and without 310."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._lines = {row["id"] for row in self._additions()}
        self._here = self._moved = ""

    def connect(self, shared: SharedConnection) -> Psa:
        keys = self.sandbox.control.get("credentials")
        sign_in = SignIn(
            site=self.sandbox.url,
            login_company=keys["company"],
            public_key=keys["public_key"],
            secret=keys["private_key"],
            client_id=keys["client_id"],
        )
        transport = transport_for("connectwise", sign_in, shared)
        self._rest = Rest(sign_in, transport, None)
        return ConnectWisePsa(sign_in, transport=transport)

    def full_rights(self) -> None:
        self.sandbox.control.switches(my_security="on")
        self.sandbox.control.role(**connectwise_role.full())

    def take_rights(self, dice: random.Random) -> Rolled:
        changed = rolled(dice, connectwise_role.full(), ("None", "None", "My"))
        for area, function in connectwise_role.FUNCTIONS.items():
            if function.customize and dice.random() < 0.1:
                allowed = dice.sample(function.customize, len(function.customize) - 1)
                changed.setdefault(area, {})["allow"] = ", ".join(allowed)
        told = dice.choice(("on", "on", "on", "on", "on", "on", "forbidden", "missing"))
        self.sandbox.control.role(**changed)
        self.sandbox.control.switches(my_security=told)
        return Rolled(f"{changed}, mySecurity {told}", is_told=told == "on")

    def prepare(self, psa: Psa, turn: int) -> None:
        self._here = apply(psa, self._wanted(f"here:{turn}"))
        self._moved = apply(psa, self._wanted(f"moved:{turn}"))
        self.sandbox.control.technician("move", ticket=int(self._moved), board=3)

    def trials(self, psa: Psa, turn: int) -> Mapping[Feature, Callable[[], None]]:
        return {
            "tickets": lambda: opened_and_found(psa, self._wanted(f"new:{turn}")),
            "closing": lambda: self._close(psa, turn),
            "billing": lambda: self._bill(psa, turn),
            "statistics": lambda: self._report(turn),
            "choices": lambda: self._choose(psa),
        }

    def tidy(self) -> None:
        for row in self._additions():
            if row["id"] not in self._lines:
                self.sandbox.control.technician("delete", addition=row["id"])

    def _wanted(self, ref: str) -> WantedTicket:
        return WantedTicket(
            external_ref=f"doctor:{ref}",
            state="open",
            company_id="250",
            summary="Backup failed on SRV-01",
            board_id="2",
            closing_status_id="12",
        )

    def _close(self, psa: Psa, turn: int) -> None:
        """At home, and where a technician moved it: there the closing status has to be looked for."""
        for ref, ticket in (("here", self._here), ("moved", self._moved)):
            apply(psa, replace(self._wanted(f"{ref}:{turn}"), state="closed", known_id=ticket, note="Over."))

    def _bill(self, psa: Psa, turn: int) -> None:
        """The quantity of a line that is there, and a line that is missing."""
        lines = tuple(
            WantedLine(
                key=product,
                product_id=product,
                product_name=product,
                quantity=Decimal(turn + 2),
                create_if_missing=True,
            )
            for product in ("301", "310")
        )
        psa.apply(
            psa.plan_lines(
                WantedLines(agreement_id="401", agreement_name="Backup", company_id="250", lines=lines)
            )
        )
        rows = self._additions()
        shown = [
            (row["product"]["id"], row["quantity"]) for row in rows if row["product"]["id"] in (301, 310)
        ]
        must(sorted(shown) == [(301, turn + 2), (310, turn + 2)], "not the lines wanted")

    def _report(self, turn: int) -> None:
        must(self._rest.first("/company/managementItSolutions"), "no solution")
        path = "/company/companies/250/managementSummaryReports"
        reports = self._rest.first(path)
        must(reports, "no report")
        change = [{"op": "replace", "path": "successfulBackupJobs", "value": turn + 1}]
        row = self._rest.write("PATCH", f"{path}/{reports[0]['id']}", change)
        must(row["successfulBackupJobs"] == turn + 1, "not taken")

    def _choose(self, psa: Psa) -> None:
        offered(psa, ("company", ""), ("board", ""), ("status", "2"), ("type", "2"), ("priority", ""))
        offered(psa, ("source", ""), ("product", ""), ("agreement", "250"))
        must(self._rest.first("/company/contacts"), "no contact is offered")

    def _additions(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.sandbox.control.agreements(id=401)[0]["additions"]
        return rows


# --- Autotask --------------------------------------------------------------------------------------------------------


class AutotaskHouse:
    """Company 201 with contract 401 (service 301 on it) and one backup appliance; queue 29682834 is Backup."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._serial = str(sandbox.control.get("items")[0]["serialNumber"])
        self._here = self._done = self._merged = ""

    def connect(self, shared: SharedConnection) -> Psa:
        keys = self.sandbox.control.get("credentials")
        sign_in = SignIn(
            site=self.sandbox.url,
            login_company=keys["integration_code"],
            public_key=keys["user_name"],
            secret=keys["secret"],
        )
        transport = transport_for("autotask", sign_in, shared)
        return AutotaskPsa(sign_in, transport=transport, pause=lambda seconds: None)

    def full_rights(self) -> None:
        self.sandbox.control.switches(access_follows_user=True, permission_status=500, **_UNHINDERED)
        self.sandbox.control.role(**autotask_role.full())

    def take_rights(self, dice: random.Random) -> Rolled:
        changed = rolled(dice, autotask_role.full(), ("None", "None", "None", "Restricted"))
        told, status = dice.random() < 0.75, dice.choice((500, 403))
        self.sandbox.control.role(**changed)
        self.sandbox.control.switches(access_follows_user=told, permission_status=status)
        levels = [(right, level) for levels_of in changed.values() for right, level in levels_of.items()]
        is_told = (
            told and ("query", "None") in levels and not any(level == "Restricted" for _, level in levels)
        )
        return Rolled(f"{changed}, access of the user {told}", is_told=is_told)

    def prepare(self, psa: Psa, turn: int) -> None:
        self._here = apply(psa, self._wanted(f"here:{turn}"))
        self._merged = apply(psa, self._wanted(f"merged:{turn}"))
        other = apply(psa, self._wanted(f"other:{turn}"))
        self.sandbox.control.technician("merge", ticket=int(self._merged), into=int(other))

    def trials(self, psa: Psa, turn: int) -> Mapping[Feature, Callable[[], None]]:
        return {
            "tickets": lambda: opened_and_found(psa, self._wanted(f"new:{turn}")),
            "closing": lambda: self._close(psa, turn),
            "billing": lambda: self._bill(psa, turn),
            "statistics": lambda: self._report(psa, turn),
            "choices": lambda: self._choose(psa),
        }

    def tidy(self) -> None:
        """Nothing is made that stands in the way of the next role."""

    def _wanted(self, ref: str) -> WantedTicket:
        return WantedTicket(
            external_ref=f"doctor:{ref}",
            state="open",
            company_id="201",
            summary="Backup failed on SRV-01",
            board_id="29682834",
            priority_id="2",
        )

    def _close(self, psa: Psa, turn: int) -> None:
        """One that is open, and one that was merged: then the other one is told."""
        for ref, ticket in (("here", self._here), ("merged", self._merged)):
            apply(psa, replace(self._wanted(f"{ref}:{turn}"), state="closed", known_id=ticket, note="Over."))

    def _bill(self, psa: Psa, turn: int) -> None:
        line = WantedLine(
            key="301",
            product_id="301",
            product_name="301",
            quantity=Decimal(turn + 2),
            invoice_description=f"Backup, {turn + 2}",
        )
        psa.apply(
            psa.plan_lines(
                WantedLines(agreement_id="401", agreement_name="Backup", company_id="201", lines=(line,))
            )
        )
        shown = [row for row in psa.lines("401") if row.product_id == "301" and row.product_name]
        must([row.quantity for row in shown] == [str(turn + 2)], "not the units wanted")
        must([row.invoice_description for row in shown] == [f"Backup, {turn + 2}"], "not the text wanted")

    def _report(self, psa: Psa, turn: int) -> None:
        device = WantedDevice(serial_number=self._serial, name="SRV-01", successful_jobs=turn + 1)
        report = WantedReport(
            company_id="201",
            managed_id="EFS-19652",
            solution="EFS Backup",
            successful_jobs=turn + 1,
            failed_jobs=0,
            devices=(device,),
        )
        must(psa.apply(psa.plan_report(report)).items, "nothing was written")

    def _choose(self, psa: Psa) -> None:
        offered(psa, ("company", ""), ("contact", "201"), ("board", ""), ("status", ""), ("priority", ""))
        offered(psa, ("product", ""), ("agreement", "201"))


HOUSES: Mapping[str, Callable[[Sandbox], House]] = {
    "connectwise": ConnectWiseHouse,
    "autotask": AutotaskHouse,
}


def transport_for(kind: str, sign_in: SignIn, shared: SharedConnection) -> Transport:
    made = kinds.KINDS[kind]
    return Transport(
        sign_in.site,
        shared=shared,
        headers=made.headers(sign_in),
        secrets=made.secrets(sign_in),
        deadline=10.0,
    )
