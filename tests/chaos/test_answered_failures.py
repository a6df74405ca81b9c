"""A PSA that says itself that a create failed is searched sooner than one whose answer was lost; nothing is doubled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alerts.models import Ticket
from integrations.models import Delivery, Status
from integrations.psa.answers import is_own_failure
from integrations.sandbox import Sandbox, running_sandbox
from integrations.sandbox.faults import FAULTS
from tests import make
from tests.chaos.test_late_answers import turn_until

CREATES = {"connectwise": "/service/tickets$", "autotask": "/Tickets/?$"}
KEYS = {"connectwise": "externalXRef", "autotask": "externalID"}
JSON = {"Content-Type": "application/json"}
MORE = {
    "latency": {"seconds": 0.2},
    "late_commit": {"delay": 0.6},
    "drip": {"seconds": 0.002},
    "status_429": {"retry_after": "1"},
}
EVERY = [(name, {**MORE.get(name, {})}) for name in FAULTS] + [
    (name, {"commit": True}) for name, fault in FAULTS.items() if "commit" in fault.parameters
]


@pytest.fixture
def world_of(transactional_db: None, sandbox: Sandbox) -> Any:
    def made(kind: str) -> make.World:
        if kind == "connectwise":
            return make.world(sandbox)
        return make.autotask_world(autotask)

    with running_sandbox(kind="autotask") as autotask:
        yield made


@pytest.fixture(autouse=True)
def _waits(settings: Any) -> None:
    """A lost create is carried out after both searches for an answered one, and before the last for a lost one."""
    settings.SEARCH_DELAYS, settings.SEARCH_DELAYS_ANSWERED = (0.1, 1.0), (0.05, 0.1)
    settings.RETRY_DELAYS = (0.05,) * 9


@pytest.mark.parametrize("kind", CREATES)
@pytest.mark.parametrize(
    ("fault", "more"), EVERY, ids=[f"{name}{'-committed' * ('commit' in more)}" for name, more in EVERY]
)
def test_whatever_befalls_creates_there_is_one_ticket(
    world_of: Callable[[str], make.World],
    drain: Callable[..., None],
    kind: str,
    fault: str,
    more: dict[str, Any],
) -> None:
    world = world_of(kind)
    world.sandbox.control.fault(fault, method="POST", path=CREATES[kind], times=2, **more)
    answer = make.api(world.token).post("/api/v1/events", make.event())
    assert answer.status_code == 202
    drain(seconds=20)
    world.sandbox.settle()
    ref = Ticket.objects.get().external_ref
    assert len(world.sandbox.control.tickets(**{KEYS[kind]: ref})) == 1
    assert Delivery.objects.get().status == Status.DONE


@pytest.mark.parametrize("kind", CREATES)
@pytest.mark.parametrize(
    ("fault", "is_answered"),
    [("status_500", True), ("html_503", False), ("html_200", False), ("drop", False)],
)
def test_only_the_own_words_of_a_psa_shorten_the_search(
    world_of: Callable[[str], make.World],
    drain: Callable[..., None],
    kind: str,
    fault: str,
    is_answered: bool,
) -> None:
    world = world_of(kind)
    world.sandbox.control.fault(fault, method="POST", path=CREATES[kind])
    make.api(world.token).post("/api/v1/events", make.event())
    turn_until(lambda: Delivery.objects.filter(status=Status.UNKNOWN).exists())
    assert Ticket.objects.get().was_answered is is_answered


def test_a_lost_answer_after_an_answered_one_is_waited_for_in_full(
    world_of: Callable[[str], make.World], drain: Callable[..., None]
) -> None:
    world = world_of("connectwise")
    fault = world.sandbox.control.fault
    fault("status_500", method="POST", path=CREATES["connectwise"], times=1)
    fault("late_commit", method="POST", path=CREATES["connectwise"], times=1, delay=0.6)
    make.api(world.token).post("/api/v1/events", make.event())
    drain(seconds=20)
    world.sandbox.settle()
    assert len(world.sandbox.control.tickets(externalXRef=Ticket.objects.get().external_ref)) == 1


@pytest.mark.parametrize(
    ("status", "body", "headers", "is_own"),
    [
        (500, b'{"code": "InternalServerError"}', JSON, True),
        (500, b'{"errors": ["Execution Timeout Expired."]}', {"Content-Type": "text/json"}, True),
        (500, b'{"code": "", "message": "Internal server error"}', JSON, False),
        (500, b'{"message": "Internal server error"}', JSON, False),
        (500, b'{"statusCode": 500, "message": "Internal server error", "activityId": "1"}', JSON, False),
        (500, b"<html>Server Error</html>", {"Content-Type": "text/html"}, False),
        (500, b'{"code": "Internal', JSON, False),
        (500, b"", JSON, False),
        (500, b"{}", JSON, False),
        (500, b'"oops"', JSON, False),
        (500, b'{"code": "x"}', {"Content-Type": "text/plain"}, False),
        (502, b'{"message": "Bad gateway"}', JSON, False),
        (503, b'{"message": "Busy"}', JSON, False),
        (504, b'{"message": "Endpoint request timed out"}', JSON, False),
    ],
)
def test_what_counts_as_the_own_words_of_a_psa(
    status: int, body: bytes, headers: dict[str, str], is_own: bool
) -> None:
    assert is_own_failure(status, body, headers) is is_own
