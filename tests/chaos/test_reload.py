"""A reading of options whose worker is killed with kill -9 in the middle is brought to its end by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings

from integrations.sandbox import running_sandbox

pytestmark = pytest.mark.chaos

BEGIN = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from integrations import connections, reloading
from portal import clients
from portal.models import Partner
entered = connections.Entered(kind="connectwise", site_url="{url}", login_company="{company}",
                              public_key="{public_key}", secret="{private_key}")
organization = clients.top_level(Partner.objects.create(name="Killed", slug="killed"))
reloading.stored(connections.save_credentials(organization, entered, by=None), by=None, mode="full")
"""
TURN = "from integrations import reloading; reloading.take_turn()"
LATER = """
from integrations.models import Reload
from portal import clock
Reload.objects.update(beat_at=clock.now() - reloading.LEASE)
"""
TOLD = """
from integrations.models import Choice, Reload
row = Reload.objects.get()
print(row.state, row.lost, len(row.done), Choice.objects.filter(kind="company").count(), row.counts["company"]["added"])
"""


def run(code: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    start = f"import django; django.setup()\nfrom integrations import reloading\n{code}"
    command = [sys.executable, "-c", start]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=environment, text=True, stdout=subprocess.PIPE
    )


def output(code: str, environment: dict[str, str]) -> str:
    process = run(code, environment)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return told.strip()


def test_the_next_goes_on_where_the_killed_one_was(tmp_path: Path) -> None:
    with running_sandbox() as sandbox:
        known = sandbox.dialect.credentials()
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path / 'portal.sqlite3'}",
            "REDIS_URL": "",
            "CONNECTWISE_CLIENT_ID": settings.PSA_CLIENT_IDS["connectwise"],
            "PSA_ALLOW_HTTP": "true",
            "PSA_ALLOWED_NETWORKS": "127.0.0.0/8",
            "PSA_ALLOWED_PORTS": str(sandbox.port),
        }
        output(BEGIN.format(url=sandbox.url, **known), environment)
        sandbox.control.fault("latency", seconds=0.3)
        worker = run(TURN, environment)
        ends_at = time.monotonic() + 60
        while not any("/company/companies" in one["path"] for one in sandbox.control.requests()):
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
        sandbox.control.clear_faults()
        sandbox.control.delete("requests")
        assert (
            output(TURN + TOLD.replace(', row.counts["company"]["added"]', ""), environment)
            == "running 0 6 0"
        )
        assert output(LATER + TURN + TOLD, environment) == "done 0 10 12 12"
        again = [one["path"] for one in sandbox.control.requests() if "/service/boards" in one["path"]]
        assert again == []
