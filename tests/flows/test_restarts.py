"""Problems, people, faults of the PSA and processes that die at any named place, in any order: one problem, one ticket.

A death is a BaseException at the place: nothing behind it runs, open transactions are rolled back, what was sent was
sent, and the lease of whoever died runs out. `RESTART_EXAMPLES` asks for more examples than a daily run makes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import ticketsweep
from alerts.models import Condition, Ticket, TicketSettings
from alerts.proving import lifeworld
from alerts.proving.lifeworld import LifeWorld
from alerts.proving.oneticket import CREATES
from integrations.dispatcher import Dispatcher
from integrations.models import Delivery, Lane
from integrations.models.eventlog import UNSETTLED
from integrations.sandbox import running_sandbox
from portal import chaos, clock

EXAMPLES = int(os.environ.get("RESTART_EXAMPLES", "8"))
PLACES = (*chaos.DISPATCHER, *chaos.NOTES)
WRITES = {"connectwise": ("PATCH", r"/service/tickets/\d+$"), "autotask": ("PATCH", "/Tickets/?$")}
STEPS = st.one_of(
    st.tuples(st.just("fails"), st.just("")),
    st.tuples(st.just("fails"), st.just("")),
    st.tuples(st.just("recovers"), st.just("")),
    st.tuples(st.just("recovers"), st.just("")),
    st.tuples(st.just("work"), st.just("")),
    st.tuples(st.just("die"), st.sampled_from(PLACES)),
    st.tuples(st.just("die"), st.sampled_from(PLACES)),
    st.tuples(st.just("lost intake"), st.sampled_from(chaos.WEB)),
    st.tuples(st.just("sweep dies"), st.sampled_from(chaos.SWEEPER)),
    st.tuples(
        st.just("create"),
        st.sampled_from(["commit_then_drop", "drop", "status_500", "html_503", "committed"]),
    ),
    st.tuples(st.just("write"), st.sampled_from(["commit_then_drop", "drop", "status_500", "committed"])),
    st.tuples(st.just("person"), st.sampled_from(["note", "status", "close"])),
)


class Killed(BaseException):
    """The process ends here."""


class Reaper:
    """Stands at one named place and ends whoever passes."""

    def __init__(self) -> None:
        self.place = ""
        self.deaths = 0
        self.has_struck = False

    def point(self, name: str) -> None:
        if self.place == name:
            self.place, self.has_struck = "", True
            self.deaths += 1
            raise Killed(name)


@pytest.fixture(scope="module", params=lifeworld.KINDS)
def kind(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Reaper:
    found = Reaper()
    monkeypatch.setattr(chaos, "point", found.point)
    monkeypatch.setattr(chaos, "soon_after", found.point)
    return found


@pytest.fixture
def world(kind: Any, transactional_db: None) -> Iterator[LifeWorld]:
    with running_sandbox(kind=kind) as sandbox:
        yield lifeworld.build(kind, sandbox)


class Life:
    """One problem's history, and what people did to its tickets last."""

    def __init__(self, world: LifeWorld, reaper: Reaper) -> None:
        self.world, self.reaper = world, reaper
        self.account = f"R{Condition.objects.count()}"
        self.by_people: dict[str, tuple[str, str]] = {}

    def do(self, step: str, what: str) -> None:
        if step in ("fails", "recovers"):
            getattr(self.world, step)(self.account)
        elif step == "work":
            self.work()
        elif step == "die":
            self.reaper.place = what
            self.work()
            self.reaper.place = ""
        elif step == "lost intake":
            self.intake_dies(what)
        elif step == "sweep dies":
            self.sweep_dies(what)
        elif step in ("create", "write"):
            self.fault(step, what)
        else:
            self.person(what)

    def work(self, seconds: float = 8) -> None:
        """A dispatcher works until nothing is due, or until it dies with all it has in hand."""
        dispatcher = Dispatcher()
        ends_at = clock.monotonic() + seconds
        try:
            while clock.monotonic() < ends_at and not self.reaper.has_struck:
                dispatcher.turn()
                if not dispatcher.in_flight and not lifeworld.is_pending():
                    break
                dispatcher.bell.wait(0.02)
                dispatcher.bell.clear()
            if not self.reaper.has_struck:
                dispatcher.stop()
                dispatcher.drain()
        except Killed:
            pass
        if self.reaper.has_struck:
            self.bury(dispatcher)

    def bury(self, dispatcher: Dispatcher) -> None:
        """What its threads had sent is answered to nobody; its leases run out."""
        dispatcher.pool.shutdown(wait=True)
        for lane in dispatcher.lanes.values():
            lane.connection.close()
        Lane.objects.filter(holder=dispatcher.id).update(held_until=clock.now() - clock.spread(3600, by=0))
        self.reaper.has_struck = False

    def intake_dies(self, place: str) -> None:
        """The source gets no answer, and sends it again."""
        event = self.world.event(self.account)
        self.reaper.place = place
        with contextlib.suppress(Killed):
            self.world.send(event)
        self.reaper.place, self.reaper.has_struck = "", False
        self.world.send(event)

    def sweep_dies(self, place: str) -> None:
        self.reaper.place = place
        with contextlib.suppress(Killed):
            ticketsweep.sweep(self.world.credentials)
        self.reaper.place, self.reaper.has_struck = "", False

    def fault(self, step: str, what: str) -> None:
        method, path = ("POST", CREATES[self.world.kind]) if step == "create" else WRITES[self.world.kind]
        more = {"commit": True} if what == "committed" else {}
        name = "status_500" if what == "committed" else what
        self.world.sandbox.control.fault(name, method=method, path=path, times=1, **more)

    def person(self, what: str) -> None:
        newest = Ticket.objects.filter(condition__key=f"backup:{self.account}").order_by("generation").last()
        if newest is None or not newest.psa_id:
            return
        if what == "note":
            self.world.technician("note", newest.psa_id, text="A person was here")
        elif what == "close":
            self.world.technician("close", newest.psa_id)
        else:
            self.world.technician("edit", newest.psa_id, fields=self.world.status_field(newest.psa_id))
        state = self.world.in_psa(newest.psa_id)
        self.by_people[newest.psa_id] = (what, state.status_id or "")

    # --- What must be true ------------------------------------------------------------------------------------------

    def check(self) -> None:
        rows = Ticket.objects.filter(condition__key=f"backup:{self.account}")
        assert rows.filter(closed_at=None).count() <= 1
        refs = [ref for ref in self.world.created() if ref]
        assert len(refs) == len(set(refs)), "one key was used twice"

    def come_to_rest(self) -> None:
        self.world.sandbox.control.clear_faults()
        for _ in range(4):
            self.work()
            if not Delivery.objects.filter(status__in=UNSETTLED).exists():
                break

    def check_rest(self) -> None:
        self.check()
        told = list(Delivery.objects.order_by("id").values_list("status", "reason", "outcome", "error_text"))
        assert not Delivery.objects.filter(status__in=UNSETTLED).exists(), told
        condition = Condition.objects.filter(key=f"backup:{self.account}").first()
        if condition is None:
            return
        tickets = Ticket.objects.filter(condition=condition)
        psa_ids = [row.psa_id for row in tickets if row.psa_id]
        open_there = [key for key in psa_ids if not self.world.in_psa(key).is_closed]
        assert len(open_there) <= 1, told
        for key, (what, status) in self.by_people.items():
            state = self.world.in_psa(key)
            assert what == "note" or state.status_id == status, (what, told)
        untouched = [key for key in open_there if key not in self.by_people]
        if condition.state == Condition.State.FINE:
            assert not untouched, told
        elif not self.by_people:
            assert len(open_there) == 1, told


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=4, max_size=12), reopens=st.booleans())
def test_whoever_dies_wherever_one_problem_has_one_ticket(
    world: LifeWorld, reaper: Reaper, steps: list[tuple[str, str]], reopens: bool, short_waits: None
) -> None:
    TicketSettings.objects.update(reopen_within_days=2 if reopens else None)
    if world.kind == "autotask":
        world.sandbox.control.delete("/usage")  # each life in an hour of its own, however many there are
    life = Life(world, reaper)
    life.do("fails", "")
    for step, what in steps:
        life.do(step, what)
        life.check()
    life.come_to_rest()
    life.check_rest()
    world.recovers(life.account)
    life.come_to_rest()
    life.check_rest()


@pytest.fixture
def short_waits(settings: Any) -> None:
    """Shorter than any real PSA, and long enough for this one."""
    settings.PSA_DEADLINE, settings.SEARCH_DELAYS, settings.SEARCH_DELAYS_ANSWERED = (
        0.3,
        (0.05, 0.1),
        (0.02, 0.05),
    )
    settings.RETRY_DELAYS = (0.05,) * 9
    settings.AUTOTASK_CALLS_AN_HOUR = 1_000_000
