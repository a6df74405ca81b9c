"""A checker that cannot fail proves nothing: every kind of violation is put into good histories and must be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alerts.proving import checker
from alerts.proving.checker import (
    Histories,
    Key,
    PsaTicket,
    Sent,
    StoredCondition,
    StoredDelivery,
    StoredEvent,
    StoredTicket,
)

SERVER = Key("19652", "backup:SRV-01")  # failed, recovered
LAPTOP = Key("19652", "backup:LAP-07")  # failed, recovered, failed again


def histories() -> Histories:
    """A quiet day: one condition is fine again and its ticket closed, one fails for the second time."""
    return Histories(
        sent=[
            Sent("s0", SERVER, True, 100, ("e0", "e0")),
            Sent("s1", SERVER, False, 101, ("e1",)),
            Sent("l0", LAPTOP, True, 100, ("e2",)),
            Sent("l2", LAPTOP, True, 102, ("e4", "e4")),
            Sent("l1", LAPTOP, False, 101, ("e3",)),
        ],
        events=[
            StoredEvent("e0", "s0", SERVER),
            StoredEvent("e1", "s1", SERVER),
            StoredEvent("e2", "l0", LAPTOP),
            StoredEvent("e3", "l1", LAPTOP),
            StoredEvent("e4", "l2", LAPTOP),
        ],
        conditions=[
            StoredCondition("C1", SERVER, False, True, "e1"),
            StoredCondition("C2", LAPTOP, True, True, "e4"),
        ],
        tickets=[
            StoredTicket("C1", 1, "psap:C1:1", "501", False, 1000.2, 1010.0),
            StoredTicket("C2", 1, "psap:C2:1", "502", False, 1000.3, 1011.0),
            StoredTicket("C2", 2, "psap:C2:2", "503", True, 1012.9, None),
        ],
        deliveries=[
            StoredDelivery("d1", "C1", "done"),
            StoredDelivery("d2", "C1", "done"),
            StoredDelivery("d3", "C2", "skipped"),
        ],
        psa_tickets=[
            PsaTicket("psa", "501", "psap:C1:1", False, 1000.1, 1009.0),
            PsaTicket("psa", "502", "psap:C2:1", False, 1000.2, 1010.0),
            PsaTicket("psa", "503", "psap:C2:2", True, 1012.8),
        ],
    )


def changed(table: str, row: int, **values: Any) -> Callable[[Histories], Histories]:
    def change(good: Histories) -> Histories:
        rows = list(getattr(good, table))
        rows[row] = replace(rows[row], **values)
        return replace(good, **{table: rows})

    return change


def without(table: str, row: int) -> Callable[[Histories], Histories]:
    def change(good: Histories) -> Histories:
        rows = list(getattr(good, table))
        del rows[row]
        return replace(good, **{table: rows})

    return change


def added(table: str, row: object) -> Callable[[Histories], Histories]:
    return lambda good: replace(good, **{table: [*getattr(good, table), row]})


def kinds_in(bad: Histories) -> set[str]:
    verdict = checker.check(bad)
    assert verdict.is_good == (not verdict.findings)
    return {kind for kind, count in verdict.counts.items() if count}


def test_a_quiet_day_has_no_findings() -> None:
    verdict = checker.check(histories())
    assert verdict.findings == []
    assert verdict.is_good
    assert verdict.sentence() == "0 lost, 0 duplicate tickets, 0 open after recovery, 0 stuck"


VIOLATIONS = {
    "never acknowledged": ("unacknowledged", changed("sent", 0, answers=())),
    "refused": ("unacknowledged", changed("sent", 0, refusals=("rejected",))),
    "acknowledged, then gone": ("lost", without("events", 0)),
    "acknowledged with another event's id": ("lost", changed("sent", 0, answers=("e3",))),
    "acknowledged with two ids": ("lost", changed("sent", 0, answers=("e0", "e9"))),
    "stored for another condition": ("lost", changed("events", 0, condition=LAPTOP)),
    "condition is missing": ("lost", without("conditions", 0)),
    "an older event decided": ("lost", changed("conditions", 1, decided_by="e2")),
    "the recovery did not count": ("lost", changed("conditions", 0, is_failing=True)),
    "failing, but nobody wants a ticket": ("lost", changed("conditions", 1, wants_ticket=False)),
    "two tickets with one key": (
        "duplicate",
        added("psa_tickets", PsaTicket("psa", "504", "psap:C1:1", False, 1001, 1002.0)),
    ),
    "two open tickets of one condition": (
        "duplicate",
        changed("psa_tickets", 1, is_open=True, closed_at=None),
    ),
    "two rows of one generation": (
        "duplicate",
        added("tickets", StoredTicket("C1", 1, "psap:C1:1b", "", False)),
    ),
    "fine, but its ticket is open": ("open", changed("psa_tickets", 0, is_open=True, closed_at=None)),
    "fine, but a ticket that nobody knows is open": (
        "open",
        added("psa_tickets", PsaTicket("psa", "504", "psap:C1:1", True, 1001)),
    ),
    "failing, and its ticket was never made": ("missing", without("psa_tickets", 2)),
    "failing, and its ticket is closed": (
        "missing",
        changed("psa_tickets", 2, is_open=False, closed_at=1020.0),
    ),
    "a delivery still waits": ("stuck", changed("deliveries", 2, status="waiting")),
    "a delivery is running for ever": ("stuck", changed("deliveries", 2, status="running")),
    "a delivery is unknown for ever": ("stuck", changed("deliveries", 2, status="unknown")),
    "a delivery is held": ("stuck", changed("deliveries", 2, status="held")),
    "a delivery failed": ("stuck", changed("deliveries", 2, status="failed")),
    "a ticket whose key no row has": (
        "orphan",
        added("psa_tickets", PsaTicket("psa", "504", "psap:C9:1", False, 1001, 1002.0)),
    ),
    "a row that does not know its ticket": ("orphan", changed("tickets", 0, psa_id="")),
    "a row that thinks it is closed": ("orphan", changed("tickets", 2, is_open=False, closed_at=1020.0)),
    "a row closed before it was opened": ("order", changed("tickets", 0, closed_at=999.0)),
    "a ticket closed before it was created": ("order", changed("psa_tickets", 0, closed_at=990.0)),
    "the next ticket before the last was closed": ("order", changed("psa_tickets", 1, closed_at=1014.0)),
}


@pytest.mark.parametrize(("kind", "change"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_violation_is_found(kind: str, change: Callable[[Histories], Histories]) -> None:
    assert kind in kinds_in(change(histories()))


@pytest.mark.parametrize("kind", checker.KINDS)
def test_every_kind_has_a_violation_that_shows_it(kind: str) -> None:
    assert kind in {shown for shown, _ in VIOLATIONS.values()}


def test_a_finding_names_its_condition() -> None:
    bad = changed("psa_tickets", 0, is_open=True, closed_at=None)(histories())
    assert checker.check(bad).conditions() == [SERVER]


def test_a_double_that_the_sweep_closed_is_no_duplicate_but_there_may_be_few() -> None:
    double = PsaTicket("psa", "504", "psap:C1:1", False, 1001, 1002.0, is_swept=True)
    verdict = checker.check(added("psa_tickets", double)(histories()))
    assert verdict.findings == []
    assert verdict.transient == 1
    assert not verdict.is_good, "one in four is more than one in a thousand"


def test_events_that_overtook_each_other_count_by_when_they_occurred() -> None:
    late_trigger = Sent("s9", SERVER, True, 100.5, ("e9",))
    good = added("sent", late_trigger)(added("events", StoredEvent("e9", "s9", SERVER))(histories()))
    assert checker.check(good).is_good


def test_a_second_of_rounding_at_the_psa_is_no_disorder() -> None:
    """ConnectWise writes closing times in whole seconds."""
    good = changed("psa_tickets", 1, closed_at=1012.0)(histories())
    assert checker.check(good).is_good
