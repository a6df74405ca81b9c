"""`manage.py chaos` (`make chaos`): kill the product while it works and count what was lost."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from alerts.proving.chaos import Run
from alerts.proving.chaos_world import STARTED, OwnDatabase, environment

GIVEN = "CHAOS_GIVEN_DATABASE"
"""Survives the change of process without standing in the list of processes (it may hold a password)."""


class Command(BaseCommand):
    help = "Kill web, dispatchers and sweeper at random while events come in; exit 1 when anything was lost."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=500)
        parser.add_argument("--kills", type=int, default=50)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--database", default=os.environ.get("DATABASE_URL", ""), help="default: DATABASE_URL"
        )
        parser.add_argument(
            "--sqlite", action="store_true", help="a temporary file, whatever DATABASE_URL says"
        )
        parser.add_argument("--web", type=int, default=1, help="web processes")
        parser.add_argument("--dispatchers", type=int, default=2)
        parser.add_argument("--stops", type=int, help="how often a dispatcher is held still (kills / 25)")
        parser.add_argument("--keep", action="store_true", help="keep the database and the logs")

    def handle(self, *args: Any, **options: Any) -> None:
        if STARTED not in os.environ:
            self.start(options)
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
        folder = Path(os.environ[STARTED])
        database = OwnDatabase(os.environ[GIVEN], folder)
        names = ("events", "kills", "stops", "seed", "web", "dispatchers")
        run = Run(folder=folder, say=self.say, **{name: options[name] for name in names})
        is_good = False
        try:
            database.create()
            is_good = run.go()
        finally:
            self.tidy(database, folder, keep=options["keep"])
        sys.exit(0 if is_good else 1)

    def start(self, options: dict[str, Any]) -> None:
        """Become a process whose settings are those of the run."""
        folder = Path(tempfile.mkdtemp(prefix=f"psap-chaos-{os.getpid()}-"))
        given = "" if options["sqlite"] else options["database"]
        variables = {**environment(folder, OwnDatabase(given, folder).url), GIVEN: given}
        os.chdir(settings.BASE_DIR)
        os.execve(sys.executable, [sys.executable, "manage.py", *sys.argv[1:]], variables)  # noqa: S606

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def tidy(self, database: OwnDatabase, folder: Path, *, keep: bool) -> None:
        if keep:
            self.say(f"kept: {database.url} and {folder}")
            return
        database.drop()
        shutil.rmtree(folder, ignore_errors=True)
