"""The same walk over the other PSA: nothing above the port knows which one it talks to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alerts.models import Ticket
from integrations import budgets, doctor
from integrations.models import CallBudget, Credentials, Delivery
from integrations.sandbox import Sandbox, running_sandbox
from portal import clock
from tests import make


@pytest.fixture(scope="module")
def autotask() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


@pytest.fixture
def token(transactional_db: None, autotask: Sandbox) -> str:
    """A partner whose PSA is Autotask, with client Bakery Ott."""
    return make.autotask_world(autotask).token


@pytest.mark.parity("S2-1")
def test_an_event_opens_and_its_recovery_closes_an_autotask_ticket(
    token: str, autotask: Sandbox, drain: Any
) -> None:
    api = make.api(token)
    api.post("/api/v1/events", make.event())
    drain()
    ticket = Ticket.objects.get()
    assert ticket.state == Ticket.State.OPEN, list(Delivery.objects.values("status", "outcome", "advice"))
    api.post("/api/v1/events", make.event(type="backup.succeeded", severity="success"))
    drain()
    ticket.refresh_from_db()
    assert ticket.state == Ticket.State.CLOSED, list(Delivery.objects.values("status", "outcome", "advice"))
    assert ticket.number.startswith("T20")
    assert len([row for row in autotask.control.journal(kind="ticket") if row["externalID"]]) == 1
    budget = CallBudget.objects.get()
    assert 0 < budget.used <= budget.most == 5_000
    assert budget.seat_holder is None


def test_reports_that_have_to_wait_do_not_keep_a_ticket_waiting(
    token: str, autotask: Sandbox, drain: Any, settings: Any
) -> None:
    """Of 40 calls an hour 12 may be for reports and 20 for notes; all others are for tickets."""
    settings.AUTOTASK_CALLS_AN_HOUR = 40
    row = CallBudget.objects.get()
    row.slices, row.used, row.most = {str(int(clock.now().timestamp()) // budgets.SLICE): 25}, 25, 40
    row.save()
    budgets.budget_of(Credentials.objects.get())._batch.left = 0  # type: ignore[union-attr]
    report = doctor.examine(Credentials.objects.get())
    assert "kept for tickets" in " ".join(check.detail for check in report)
    make.api(token).post("/api/v1/events", make.event())
    drain()
    assert Ticket.objects.get().state == Ticket.State.OPEN


def test_a_create_that_was_committed_and_then_lost_is_found_at_autotask_too(
    token: str, autotask: Sandbox, drain: Any
) -> None:
    autotask.control.fault("commit_then_drop", method="POST", path="/Tickets/?$", times=1)
    make.api(token).post("/api/v1/events", make.event(account="SRV-77"))
    drain()
    ticket = Ticket.objects.get()
    assert ticket.state == Ticket.State.OPEN, list(Delivery.objects.values("status", "outcome", "advice"))
    keys = [row["externalID"] for row in autotask.control.journal(kind="ticket")]
    assert keys.count(ticket.external_ref) == 1
