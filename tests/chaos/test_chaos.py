"""Small runs of the chaos command itself (`make chaos` runs large ones)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from django.conf import settings

pytestmark = pytest.mark.chaos
GOOD = "0 lost, 0 duplicate tickets, 0 open after recovery, 0 stuck"


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "chaos", "--sqlite", *options]
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=environment, text=True, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize(
    "options",
    [["--events", "60", "--kills", "8"], ["--events", "80", "--kills", "0", "--stops", "8"]],
    ids=["killed", "held still past the lease"],
)
def test_nothing_is_lost(options: list[str]) -> None:
    run = start(*options)
    told, _ = run.communicate(timeout=180)
    assert (run.returncode, told.splitlines()[-1]) == (0, GOOD), told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(number: signal.Signals) -> None:
    run = start("--events", "200", "--kills", "20")
    leader = psutil.Process(run.pid)
    ends_at = time.monotonic() + 60
    while len(family := leader.children(recursive=True)) < 5 and time.monotonic() < ends_at:
        time.sleep(0.1)
    time.sleep(1)
    family = leader.children(recursive=True)
    os.kill(run.pid, number)
    run.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    left_behind = list(Path(tempfile.gettempdir()).glob(f"psap-chaos-{run.pid}-*"))
    for folder in left_behind:
        shutil.rmtree(folder)
    assert number == signal.SIGKILL or not left_behind
