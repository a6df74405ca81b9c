"""An Autotask adjustment is never doubled, whatever befalls it (asked by proofs and a test). Needs no database."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from decimal import Decimal

from integrations.psa import kinds
from integrations.psa.addresses import ANY_PORT, AddressPolicy
from integrations.psa.autotask import AutotaskPsa
from integrations.psa.autotask.adjustments import SETTLED_AFTER
from integrations.psa.autotask.limits import RollingBudget
from integrations.psa.errors import PsaError
from integrations.psa.port import SignIn
from integrations.psa.transport import SharedConnection, Transport
from integrations.psa.wanted import WantedLine, WantedLines
from integrations.sandbox import Sandbox, running_sandbox

FAULTS = ("commit_then_drop", "drop", "status_500", "html_503", "truncated_json", "late_commit")
PLACES = (("POST", "ServiceAdjustments"), ("POST", "ServiceAdjustments"), ("", "ServiceUnits"))
"""Two faults of three befall the write itself."""
LATE = 0.02
CONTRACT, SERVICE = "401", "302"
MOST_TRIES = 12
LOCAL = AddressPolicy(allow_http=True, allowed_networks=("127.0.0.0/8",), allowed_ports=(ANY_PORT,))


@dataclass
class Storm:
    """What came of the runs: how many ended as wanted, and what was sent."""

    runs: int = 0
    settled: int = 0
    faults: int = 0
    lost_answers: int = 0
    moved: int = 0
    wanted: int = 0

    @property
    def held(self) -> bool:
        """Every run ended at what was wanted, and all adjustments together move exactly so much; answers were lost."""
        return self.settled == self.runs and self.moved == self.wanted and self.lost_answers > 0

    def __str__(self) -> str:
        return (
            f"{self.settled} of {self.runs} runs ended as wanted, {self.faults} calls failed,"
            f" {self.lost_answers} writes without an answer; adjustments add up to {self.moved:+d},"
            f" wanted {self.wanted:+d}"
        )


class Hours:
    """A clock that is put forward instead of waiting."""

    def __init__(self, start: float) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now


def storm(runs: int, *, seed: int, start: float) -> Storm:
    """`start` is a POSIX time within the sandbox's periods, for example the present one."""
    dice = random.Random(seed)  # noqa: S311 - the same storm again
    with running_sandbox(kind="autotask") as sandbox:
        sandbox.control.switches(requests_per_window=10_000_000, same_day_adjustment="accept")
        clock = Hours(start)
        psa = adapter(sandbox, clock)
        told = Storm(runs=runs)
        first = units_now(psa)
        for _ in range(runs):
            one(psa, sandbox, clock, dice, told)
        told.wanted = units_now(psa) - first
        changes = sandbox.control.get("adjustments", contract=CONTRACT)
        told.moved = sum(int(row["unitChange"]) for row in changes)
        psa.close()
        return told


def one(psa: AutotaskPsa, sandbox: Sandbox, clock: Hours, dice: random.Random, told: Storm) -> None:
    quantity = dice.randint(0, 40)
    wanted = WantedLines(
        agreement_id=CONTRACT,
        agreement_name="Contract",
        company_id="",
        lines=(
            WantedLine(key="servers", product_id=SERVICE, product_name="Servers", quantity=Decimal(quantity)),
        ),
    )
    sandbox.control.clear_faults()
    for fault in dice.choices(FAULTS, k=dice.randint(0, 3)):
        method, path = dice.choice(PLACES)
        late = {"delay": LATE} if fault == "late_commit" else {}
        sandbox.control.fault(fault, method=method, path=path, times=1, **late)
    for _ in range(MOST_TRIES):
        try:
            plan = psa.plan_lines(wanted)
            if plan.items:
                psa.apply(plan)
            elif not plan.findings:
                told.settled += units_now(psa) == quantity
                return
        except PsaError as error:
            told.faults += 1
            told.lost_answers += error.outcome_unknown
            time.sleep(2 * LATE * error.outcome_unknown)  # what was carried out late, is
        clock.now += SETTLED_AFTER + 1


def units_now(psa: AutotaskPsa) -> int:
    for _ in range(MOST_TRIES):
        try:
            [line] = [row for row in psa.lines(CONTRACT) if row.product_id == SERVICE]
            return int(line.quantity)
        except PsaError:
            continue
    raise RuntimeError("The pretend Autotask does not answer")


def adapter(sandbox: Sandbox, clock: Hours) -> AutotaskPsa:
    known = sandbox.dialect.credentials()
    sign_in = SignIn(
        site=sandbox.url,
        login_company=known["integration_code"],
        public_key=known["user_name"],
        secret=known["secret"],
    )
    made = kinds.KINDS["autotask"]
    transport = Transport(
        sign_in.site,
        shared=SharedConnection(LOCAL, budget=RollingBudget(clock=clock)),  # its hours pass as the others do
        headers=made.headers(sign_in),
        secrets=made.secrets(sign_in),
        deadline=10.0,
    )
    return AutotaskPsa(sign_in, transport=transport, clock=clock, pause=lambda seconds: None)
