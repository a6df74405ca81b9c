"""What nobody else has, each with the demonstration we can give today (asked by `manage.py proofs`)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from alerts.proving import chaos_world, configproof, freshclone, lifeproofs, observed, roles
from billing import proof_adjustments, proof_months, proof_push
from integrations.psa.addresses import ANY_PORT

PATIENCE = 300.0


@dataclass(frozen=True)
class Proof:
    """One capability. `show` returns whether it held and its figure; None says that it is not built yet."""

    number: str
    title: str
    show: Callable[[], tuple[bool, str]] | None = None


def one_condition_one_ticket() -> tuple[bool, str]:
    """A PSA that fails a fifth of its calls, every event sent twice, processes killed at random."""
    argv = ["chaos", "--events", "200", "--kills", "20", "--seed", "7"]
    finished = subprocess.run(
        [sys.executable, "manage.py", *argv],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    last = (finished.stdout.strip().splitlines() or ["no output"])[-1]
    return finished.returncode == 0, f"200 events, 20 kill -9: {last}"


LIFE = {
    "6.2": "one_ticket_over_50_seeds",
    "6.3": "every_movement",
    "6.9": "replay_lab",
    "6.11": "volatile_keys",
    "6.13": "three_days_out",
    "6.14": "human_hands",
}
"""Demonstrations in `alerts.proving.lifeproofs`."""
CONFIG = "6.12"
BILLING = {**proof_push.PROOFS, **proof_months.PROOFS}
HERE = (*LIFE, *BILLING, "6.1", CONFIG)
"""What needs a database of its own: `manage.py proofs --here NUMBER` shows it in the one at hand."""


def in_its_own_database(number: str) -> tuple[bool, str]:
    """Run one of `HERE` in a process of its own, with an empty SQLite; those of `LIFE` with short times."""
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_of(number, Path(folder))
        said = ""
        for argv in (["migrate", "--verbosity", "0"], ["proofs", "--here", number]):
            finished = subprocess.run(
                [sys.executable, "manage.py", *argv],
                cwd=settings.BASE_DIR,
                env=environment,
                capture_output=True,
                text=True,
                timeout=2 * PATIENCE,
                check=False,
            )
            said = (finished.stdout.strip().splitlines() or [finished.stderr.strip()[-300:] or "no output"])[
                -1
            ]
            if finished.returncode:
                return False, said
    return True, said


def environment_of(number: str, folder: Path) -> dict[str, str]:
    database = f"sqlite:///{folder / 'proof.sqlite3'}"
    if number in LIFE:
        life = chaos_world.environment(folder, database)
        return {**life, "PSA_ALLOWED_PORTS": "", "LOG_LEVEL": "ERROR"}
    return {
        **os.environ,
        "DATABASE_URL": database,
        "DEBUG": "true",
        "PSA_ALLOW_HTTP": "true",
        "PSA_ALLOWED_NETWORKS": "127.0.0.0/8",
        "PSA_ALLOWED_PORTS": str(ANY_PORT),
        "CONNECTWISE_CLIENT_ID": "5ca1ab1e-0000-4000-8000-000000000001",
        "LOG_LEVEL": "ERROR",
    }


def show_here(number: str) -> tuple[bool, str]:
    """One of `HERE`, in the database at hand."""
    if number == CONFIG:
        return configproof.configuration_as_code()
    if number == "6.1":
        return observed.show()
    return lifeproofs.show(LIFE[number]) if number in LIFE else BILLING[number]()


def two_ways_to_one_ticket() -> tuple[bool, str]:
    """Many small worlds in one process, then whole processes killed."""
    first, second = in_its_own_database("6.2"), one_condition_one_ticket()
    return first[0] and second[0], f"{first[1]}; {second[1]}"


def permission_doctor() -> tuple[bool, str]:
    """What the doctor says of 200 random roles at each pretend PSA, beside what then really works."""
    tallies = [roles.storm(kind, 200) for kind in ("connectwise", "autotask")]
    return all(tally.held for tally in tallies), "; ".join(str(tally) for tally in tallies)


def plan_before_write() -> tuple[bool, str]:
    return in_its_own_database("6.1")


def undo_for_billing() -> tuple[bool, str]:
    """ConnectWise in full; of Autotask that an adjustment, also a counter-adjustment, is never doubled."""
    held, figure = in_its_own_database("6.5")
    storm = proof_adjustments.storm(500, seed=65, start=time.time())
    return held and storm.held, f"{figure}; Autotask: {storm}"


def quantity_guards() -> tuple[bool, str]:
    return in_its_own_database("6.6")


PROOFS = (
    Proof("6.1", "Plan before write", plan_before_write),
    Proof("6.2", "One condition, one ticket", two_ways_to_one_ticket),
    Proof("6.3", "Follow the ticket wherever it goes", partial(in_its_own_database, "6.3")),
    Proof("6.4", "Reconciliation that ends in words", partial(in_its_own_database, "6.4")),
    Proof("6.5", "Undo for billing", undo_for_billing),
    Proof("6.6", "Quantity guards", quantity_guards),
    Proof("6.7", "Permission doctor", permission_doctor),
    Proof("6.8", "A PSA in the box", freshclone.show),
    Proof("6.9", "Replay lab", partial(in_its_own_database, "6.9")),
    Proof("6.10", "A log that can be believed"),
    Proof("6.11", "Condition identity that cannot silently fail", partial(in_its_own_database, "6.11")),
    Proof("6.12", "Configuration as code", partial(in_its_own_database, CONFIG)),
    Proof("6.13", "Outage behaviour you would choose yourself", partial(in_its_own_database, "6.13")),
    Proof("6.14", "Respect for human hands", partial(in_its_own_database, "6.14")),
    Proof("6.15", "The evidence pack", partial(in_its_own_database, "6.15")),
)


def run(say: Callable[[str], None], only: str = "") -> bool:
    """One line a capability; False when a demonstration did not hold."""
    held = True
    for proof in PROOFS:
        if only not in ("", proof.number):
            continue
        if proof.show is None:
            say(f"{proof.number:5} {proof.title:48} not built yet")
            continue
        is_shown, figure = proof.show()
        held = held and is_shown
        say(f"{proof.number:5} {proof.title:48} {'shown' if is_shown else 'NOT SHOWN'}: {figure}")
    return held
