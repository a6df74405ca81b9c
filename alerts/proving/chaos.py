"""Kill the product while it works, and count what was lost (run by `manage.py chaos`).

Web, dispatchers and sweeper are real processes against PSAs that fail; a stubborn client sends events over HTTP. After
the storm everything may settle, one sweep runs, and the checker compares what the client was told, what the PSAs
committed, and what the database says.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.core.management import call_command
from django.db import connections

from alerts.proving import chaos_client, chaos_story, checker
from alerts.proving.chaos_client import Planned, Progress, Sender
from alerts.proving.chaos_processes import (
    Kind,
    Nursery,
    dispatch,
    last_sweep,
    serve_web,
    sweep_for_ever,
    warm_up,
)
from alerts.proving.chaos_psa import SandboxPsa, serve
from alerts.proving.chaos_storm import Storm
from alerts.proving.chaos_world import LATEST_COMMIT, ConnectedPartner, connect_partners, what_was_compressed
from alerts.proving.checker import Verdict
from integrations import wake
from integrations.models import Delivery
from integrations.models.eventlog import UNSETTLED
from portal import chaos

SECONDS_A_KILL = 0.9
SECONDS_AN_EVENT = 0.05
SWEEP_EVERY = 4.0
KILLS_A_STOP = 25
SHOWN_STORIES = 5

Say = Callable[[str], None]


@dataclass
class Run:
    """One run: what was asked for, and what came of it."""

    folder: Path
    events: int
    kills: int
    stops: int | None
    seed: int
    say: Say
    web: int = 1
    dispatchers: int = 2
    faults: Counter[str] = field(default_factory=Counter)
    slowed: int = 0
    calls: int = 0
    swept: int = 0
    timings: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nursery = Nursery(self.folder / "processes.log")
        self.history = self.folder / "client.jsonl"
        self.stops = self.kills // KILLS_A_STOP if self.stops is None else self.stops
        self.seconds = max(self.kills * SECONDS_A_KILL, self.events * SECONDS_AN_EVENT, 5.0)

    def go(self) -> bool:
        """True when nothing was lost, doubled, left open or stuck."""
        try:
            return self.prove()
        finally:
            self.nursery.end_all()

    def prove(self) -> bool:
        wake.SOCKETS = self.folder / "wake"
        for line in self.headline():
            self.say(line)
        with self.timed("set up"):
            psas, partners = self.set_up()
            planned = self.plan(partners)
        kinds, listener = self.kinds()
        with self.timed("storm"):
            self.storm(kinds, psas, partners, planned, listener)
        with self.timed("recovery"):
            self.settle(kinds)
        with self.timed("sweep"):
            self.swept = last_sweep()
            self.settle(kinds)
        self.nursery.end_all(kinds)
        return self.judge(psas, planned)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.timings[name] = time.monotonic() - started

    # --- Before ---------------------------------------------------------------------------------------------------

    def headline(self) -> Iterator[str]:
        vendor = connections["default"].vendor
        yield f"chaos: {self.events} events, {self.kills} kills, seed {self.seed}, on {vendor}"
        for line in what_was_compressed():
            yield f"  {line}"

    def set_up(self) -> tuple[list[SandboxPsa], list[ConnectedPartner]]:
        call_command("migrate", verbosity=0)
        psas = self.start_psas()
        partners = connect_partners([(psa.url, psa.keys()) for psa in psas])
        warm_up()
        return psas, partners

    def start_psas(self) -> list[SandboxPsa]:
        told = self.folder / "psas"
        kind = Kind("psa", partial(serve, lambda urls: write_at_once(told, "\n".join(urls))), 1)
        self.nursery.fork(kind)
        wait_until(told.exists, seconds=10, otherwise="The sandboxes did not start.")
        return [SandboxPsa(url) for url in told.read_text(encoding="utf-8").split()]

    def plan(self, partners: Sequence[ConnectedPartner]) -> list[Planned]:
        return chaos_client.plan_events(
            self.events,
            [partner.clients for partner in partners],
            seconds=self.seconds * 0.97,
            began_at=time.time(),
            dice=random.Random(f"events {self.seed}"),  # noqa: S311 - not for secrets
        )

    def kinds(self) -> tuple[list[Kind], socket.socket]:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        return [
            Kind("web", partial(serve_web, listener), self.web, chaos.WEB, weight=0.3),
            Kind("dispatcher", dispatch, self.dispatchers, chaos.DISPATCHER, weight=0.6),
            Kind("sweeper", partial(sweep_for_ever, SWEEP_EVERY), 1, chaos.SWEEPER, weight=0.1),
        ], listener

    # --- The storm and after --------------------------------------------------------------------------------------

    def storm(
        self,
        kinds: Sequence[Kind],
        psas: Sequence[SandboxPsa],
        partners: Sequence[ConnectedPartner],
        planned: Sequence[Planned],
        listener: socket.socket,
    ) -> None:
        for place, psa in enumerate(psas):
            psa.start_failing(self.seed * 10 + place)
        calls = chaos_client.calls_of(planned, random.Random(f"calls {self.seed}"))  # noqa: S311
        port, progress = listener.getsockname()[1], Progress()
        client = Kind("client", lambda: Sender(calls, partners, port, self.history, progress).run(), 1)
        self.nursery.fork(client)
        dice = random.Random(f"kills {self.seed}")  # noqa: S311 - not for secrets
        storm = Storm(self.nursery, kinds, dice=dice)
        storm.plan(kills=self.kills, stops=self.stops or 0, seconds=self.seconds)
        storm.rage(progress, until=lambda: not self.nursery.of(client), report=lambda: self.report(storm))
        for psa in psas:
            self.faults += psa.stop_failing()
        self.slowed = self.faults.pop("latency", 0)
        time.sleep(LATEST_COMMIT)

    def report(self, storm: Storm) -> None:
        told = sum(1 for _ in self.history.open("rb")) if self.history.exists() else 0
        self.say(f"  {storm.passed:6.0f} s  {self.nursery.killed} killed, {told} answers to the client")

    def settle(self, kinds: Sequence[Kind]) -> None:
        """Let the product run undisturbed until it is quiet; bounded."""
        ends_at = time.monotonic() + 60 + self.events / 50
        while time.monotonic() < ends_at:
            self.nursery.bury()
            self.nursery.fill_up(kinds)
            if not Delivery.objects.filter(status__in=UNSETTLED).exists():
                return
            time.sleep(0.2)

    # --- The verdict ----------------------------------------------------------------------------------------------

    def judge(self, psas: Sequence[SandboxPsa], planned: Sequence[Planned]) -> bool:
        self.calls = sum(psa.calls() for psa in psas)
        told = chaos_client.read_history(self.history)
        histories = chaos_story.read(chaos_client.history_of(planned, told), psas)
        verdict = checker.check(histories)
        self.show(verdict, histories, told)
        if not verdict.is_good:
            self.tell_stories(verdict, planned, told, psas)
        self.say(verdict.sentence())
        return verdict.is_good and not self.nursery.crashes

    def show(self, verdict: Verdict, histories: checker.Histories, told: Sequence[dict[str, object]]) -> None:
        for line in table(self, verdict, histories, told):
            self.say(line)

    def tell_stories(
        self,
        verdict: Verdict,
        planned: Sequence[Planned],
        told: Sequence[dict[str, object]],
        psas: Sequence[SandboxPsa],
    ) -> None:
        for finding in verdict.findings:
            name = f"{finding.condition.client} {finding.condition.key}" if finding.condition else "-"
            self.say(f"{finding.kind:<14} {name}: {finding.text}")
        for condition in verdict.conditions()[:SHOWN_STORIES]:
            self.say(f"\n{condition.client} {condition.key}")
            for line in chaos_story.story(condition, planned, told, psas):
                self.say(line)


def table(
    run: Run, verdict: Verdict, histories: checker.Histories, told: Sequence[dict[str, object]]
) -> Iterator[str]:
    """The figures of one run."""
    nursery, conditions = run.nursery, {event.condition for event in histories.sent}
    unanswered = sum(line["status"] == "unanswered" for line in told)
    failed = sum(run.faults.values())
    rows = f"{len(histories.tickets)} rows, {len(histories.deliveries)} deliveries"
    yield ""
    yield f"seed                {run.seed}"
    yield f"events              {len(histories.sent)} of {len(conditions)} conditions"
    yield f"  sent {len(told)} times, {unanswered} of them without an answer"
    yield f"PSA calls           {run.calls}, {failed} failed on purpose ({failed / run.calls:.0%}), {run.slowed} slowed"
    for name, count in sorted(run.faults.items()):
        yield f"  {name:<34} {count}"
    yield f"kills               {nursery.killed} by SIGKILL, {nursery.births} births"
    for (kind, where), count in sorted(nursery.kills.items()):
        yield f"  {kind:<11} {where:<22} {count}"
    yield f"held still          {nursery.stops} times, for longer than the lease"
    for kind, count in sorted(nursery.crashes.items()):
        yield f"OUR MISTAKE         {kind} ended by itself with an error {count} times"
    yield "seconds             " + ", ".join(f"{name} {took:.1f}" for name, took in run.timings.items())
    yield f"tickets             {verdict.psa_tickets} at the PSAs, {rows}, {run.swept} put right by the last sweep"
    yield f"transient doubles   {verdict.transient}{' (too many)' if verdict.too_many_transient else ''}"
    for kind in checker.KINDS:
        yield f"  {kind:<18} {verdict.counts[kind]}"


def write_at_once(path: Path, text: str) -> None:
    """Nobody sees half of it."""
    half = path.with_suffix(".part")
    half.write_text(text, encoding="utf-8")
    half.rename(path)


def wait_until(condition: Callable[[], bool], *, seconds: float, otherwise: str) -> None:
    ends_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_at:
            raise TimeoutError(otherwise)
        time.sleep(0.02)
