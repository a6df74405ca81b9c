"""How the supervisor judges its children; with real, small processes. Kills of the whole product: tests/chaos."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django_q.models import OrmQ, Schedule

from portal import clock, heartbeat, schedules, supervisor
from portal.models import Heartbeat
from portal.supervisor import Child, Supervisor

SLEEP = "import time; time.sleep(60)"


def child(code: str, **more: Any) -> Child:
    return Child("child", [sys.executable, "-c", code], more.pop("is_alive", lambda child: True), **more)


@pytest.fixture
def kept() -> Iterator[list[Child]]:
    """Whatever a test puts in is stopped at its end."""
    children: list[Child] = []
    yield children
    for each in children:
        each.stop(1)


@pytest.fixture
def one(kept: list[Child]) -> Supervisor:
    """A supervisor of one sleeping child, not yet started; its schedules are stored."""
    kept.append(child(SLEEP))
    chief = Supervisor(kept)
    chief.has_schedules = True
    return chief


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The supervisor's clock, which a test moves."""
    now = {"at": 1000.0}
    monkeypatch.setattr(clock, "monotonic", lambda: now["at"])
    return now


def wait_until(is_true: Callable[[], object]) -> None:
    ends_at = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def tell(path: Path) -> str:
    """A statement that writes the process id there."""
    return f"import os; print(os.getpid(), file=open({str(path)!r}, 'w'), flush=True)"


def wait_for(path: Path) -> None:
    """Until a child has written that file."""
    wait_until(lambda: path.exists() and path.read_text())


def is_there(pid: int) -> bool:
    """A process that is more than a zombie: nobody may bury an orphan here."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


# --- Children -------------------------------------------------------------------------------------------------------


def test_stopping_kills_what_is_left_of_the_session(tmp_path: Path, kept: list[Child]) -> None:
    there = tmp_path / "grandchild"
    code = f"import os, time\nif os.fork() == 0:\n  {tell(there)}; time.sleep(60)"
    parent = child(code)
    kept.append(parent)
    parent.start()
    wait_for(there)
    grandchild = int(there.read_text())
    parent.stop(5)
    assert parent.pid == 0
    wait_until(lambda: not is_there(grandchild))


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, kept: list[Child]) -> None:
    there = tmp_path / "there"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); {tell(there)}; time.sleep(60)"
    stubborn = child(code)
    kept.append(stubborn)
    stubborn.start()
    wait_for(there)
    began = time.monotonic()
    stubborn.stop(0.2)
    assert time.monotonic() - began < 5


def test_logs_are_appended_and_not_kept_open(tmp_path: Path, kept: list[Child]) -> None:
    talker = child("print('hello')", log=tmp_path / "log")
    kept.append(talker)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        talker.start()
        assert talker.process is not None
        talker.process.wait(20)
    assert (tmp_path / "log").read_text() == "hello\n" * 3
    assert len(os.listdir("/proc/self/fd")) == before


# --- Judging --------------------------------------------------------------------------------------------------------


def test_a_child_that_ends_is_started_again_after_a_growing_pause(
    one: Supervisor, now: dict[str, float]
) -> None:
    [kid] = one.children
    pauses = []
    for _ in range(6):
        one.turn()
        os.kill(kid.pid, signal.SIGKILL)
        assert kid.process is not None
        kid.process.wait()
        one.turn()
        assert kid.pid == 0
        pauses.append(kid.start_after - now["at"])
        now["at"] = kid.start_after
    assert pauses == [0.5, 1, 2, 4, 8, 10]


def test_after_a_steady_life_the_pause_is_short_again(one: Supervisor, now: dict[str, float]) -> None:
    [kid] = one.children
    kid.pause = 10
    one.turn()
    now["at"] += supervisor.STEADY + 1
    one.replace(kid)
    assert kid.start_after - now["at"] == 0.5


def test_silence_is_borne_for_a_while_only(one: Supervisor, now: dict[str, float]) -> None:
    [kid] = one.children
    one.turn()
    one.turn()  # alive
    first = kid.pid
    kid.is_alive = lambda child: False
    now["at"] += supervisor.SILENCE
    one.turn()
    assert kid.pid == first
    now["at"] += 1
    one.turn()
    assert kid.pid == 0


def test_a_start_may_take_longer(one: Supervisor, now: dict[str, float]) -> None:
    [kid] = one.children
    kid.is_alive = lambda child: False
    one.turn()
    now["at"] += supervisor.START_TIME + supervisor.SILENCE
    one.turn()
    assert kid.pid


def test_nobody_is_judged_by_a_database_that_is_away(one: Supervisor, now: dict[str, float]) -> None:
    def cannot(child: Child) -> bool:
        raise OperationalError("connection refused")

    [kid] = one.children
    one.turn()
    first = kid.pid
    kid.is_alive = cannot
    for _ in range(5):
        now["at"] += supervisor.SILENCE * 2
        one.database_is_away = False
        one.has_schedules = True
        one.look_after(kid)
    assert kid.pid == first


@pytest.mark.django_db
def test_schedules_are_stored_as_soon_as_the_database_is_there(
    one: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    one.has_schedules = False
    with monkeypatch.context() as patch:
        patch.setattr(schedules, "store", refuse)
        patch.setattr(supervisor, "close_old_connections", lambda: None)
        one.store_schedules()
    assert one.database_is_away
    monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)
    one.store_schedules()
    assert (one.has_schedules, one.database_is_away) == (True, False)
    assert set(Schedule.objects.values_list("name", flat=True)) == set(schedules.EVERY)


def test_a_program_that_cannot_be_started_does_not_end_the_supervisor(
    one: Supervisor, now: dict[str, float]
) -> None:
    [kid] = one.children
    kid.argv = ["/nowhere/at/all"]
    one.turn()
    assert kid.pid == 0
    assert kid.start_after > now["at"]


def test_those_that_outlive_the_others_are_asked_last(kept: list[Child]) -> None:
    order: list[str] = []

    class Told(Child):
        def ask_to_stop(self) -> None:
            if not self.is_asked:
                order.append(self.name)
            super().ask_to_stop()

    sleeper = [sys.executable, "-c", SLEEP]
    kept += [
        Told("psa", sleeper, lambda child: True, outlives=True),
        Told("web", sleeper, lambda child: True),
        Told("worker", sleeper, lambda child: True),
    ]
    for each in kept:
        each.start()
    Supervisor(kept).stop_all()
    assert order == ["web", "worker", "psa"]


# --- Signs of life --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count of sleeps")
def test_a_stopped_process_does_not_wake(kept: list[Child], tmp_path: Path) -> None:
    there = tmp_path / "there"
    loop = child(f"import time; {tell(there)}\nwhile True: time.sleep(0.01)")
    kept.append(loop)
    loop.start()
    wait_for(there)
    wakes = heartbeat.Wakes()
    wakes([loop.pid])
    time.sleep(0.2)
    assert wakes([loop.pid])
    os.kill(loop.pid, signal.SIGSTOP)
    time.sleep(0.1)
    wakes([loop.pid])
    time.sleep(0.2)
    assert not wakes([loop.pid])


@pytest.mark.parametrize(
    ("bind", "address"),
    [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::]", "::1"), ("10.1.2.3", "10.1.2.3")],
)
def test_the_web_server_is_asked_where_it_listens(
    bind: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIND", bind)
    assert heartbeat.web_address() == address


@pytest.mark.django_db
def test_each_dispatcher_is_known_by_its_own_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "close_old_connections", lambda: None)
    kid = child(SLEEP)
    kid.name = "dispatcher"
    monkeypatch.setattr(Child, "pid", os.getpid())
    beats = heartbeat.Beats()
    assert not beats(kid)
    Heartbeat.objects.create(name=heartbeat.name_of("dispatcher", 1))
    assert not beats(kid)
    heartbeat.beat("dispatcher")
    assert beats(kid)
    assert not beats(kid)
    heartbeat.beat("dispatcher")
    assert beats(kid)


@pytest.fixture
def worker(db: None, monkeypatch: pytest.MonkeyPatch) -> tuple[heartbeat.Acknowledgements, Child]:
    """A worker that exists in the mind only: tests carry out its jobs by deleting their rows."""
    monkeypatch.setattr(heartbeat, "close_old_connections", lambda: None)
    monkeypatch.setattr(heartbeat, "children_of", lambda pid: [])

    def async_task(function: str, broker: heartbeat.Receipt) -> None:
        broker.row = OrmQ.objects.create(key="psa-portal", payload="", lock=clock.now()).pk

    monkeypatch.setattr(heartbeat, "async_task", async_task)
    kid = child(SLEEP)
    kid.started_at = clock.now()
    monkeypatch.setattr(Child, "pid", 4711)
    return heartbeat.Acknowledgements(), kid


def test_a_worker_lives_when_a_small_job_is_acknowledged(
    worker: tuple[heartbeat.Acknowledgements, Child], now: dict[str, float]
) -> None:
    sign, kid = worker
    assert not sign(kid)
    assert not sign(kid)
    OrmQ.objects.all().delete()
    assert sign(kid)


def test_one_small_job_may_get_lost(
    worker: tuple[heartbeat.Acknowledgements, Child], now: dict[str, float]
) -> None:
    sign, kid = worker
    sign(kid)
    now["at"] += 5
    sign(kid)
    OrmQ.objects.latest("pk").delete()
    assert sign(kid)


def test_a_long_queue_that_moves_is_life(
    worker: tuple[heartbeat.Acknowledgements, Child], now: dict[str, float]
) -> None:
    sign, kid = worker
    rows = [OrmQ.objects.create(key="psa-portal", payload="", lock=clock.now()) for _ in range(3)]
    sign(kid)
    assert not sign(kid)
    rows[0].delete()
    assert sign(kid)
    assert not sign(kid)


def test_a_dead_cluster_does_not_fill_the_queue(
    worker: tuple[heartbeat.Acknowledgements, Child], now: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sign, kid = worker
    for _ in range(20):
        now["at"] += 5
        sign(kid)
    assert OrmQ.objects.count() == heartbeat.Acknowledgements.MOST
    monkeypatch.setattr(Child, "pid", 4712)
    sign(kid)
    assert OrmQ.objects.count() == 1


def test_a_new_cluster_gets_what_the_former_had_taken_but_not_what_it_was_cut_in(
    worker: tuple[heartbeat.Acknowledgements, Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    sign, kid = worker
    taken_at = clock.now() - timedelta(seconds=30)
    taken, cut = (
        OrmQ.objects.create(key="psa-portal", payload="", lock=taken_at + timedelta(seconds=180))
        for _ in range(2)
    )
    Heartbeat.objects.create(
        name=heartbeat.name_of("job", 1), detail={"pid": 2**22 + 1, "running": True, "row": cut.pk}
    )
    sign(kid)
    assert not OrmQ.objects.filter(pk=taken.pk, lock__gt=clock.now()).exists()
    assert OrmQ.objects.filter(pk=cut.pk, lock__gt=clock.now()).exists()


def test_what_another_host_may_have_taken_is_left_alone(
    worker: tuple[heartbeat.Acknowledgements, Child],
) -> None:
    sign, kid = worker
    row = OrmQ.objects.create(key="psa-portal", payload="", lock=clock.now() + timedelta(seconds=150))
    Heartbeat.objects.create(name="job:elsewhere:17")
    sign(kid)
    assert OrmQ.objects.filter(pk=row.pk, lock__gt=clock.now()).exists()


@pytest.mark.django_db
def test_schedules_of_two_supervisors_that_start_together_are_merged() -> None:
    schedules.store()
    Schedule.objects.create(
        name="alerts.jobs.sweep", func="alerts.jobs.sweep", schedule_type=Schedule.MINUTES
    )
    Schedule.objects.create(name="alerts.jobs.gone", func="alerts.jobs.gone", schedule_type=Schedule.MINUTES)
    schedules.store()
    assert sorted(Schedule.objects.values_list("name", flat=True)) == sorted(schedules.EVERY)
