"""`manage.py supervise`: run web, dispatcher and worker, and keep them running."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from portal.supervisor import Child, Supervisor, children


class Command(BaseCommand):
    help = "Run web, dispatcher and worker; restart what ends or hangs; stop everything on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dispatchers", type=int, default=1)
        parser.add_argument(
            "--logs", type=Path, help="folder for one log file a process; else all goes to the console"
        )
        parser.add_argument(
            "--sandbox",
            type=int,
            metavar="PORT",
            help="also run the sandboxes: ConnectWise there, Autotask one port above",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logs: Path | None = options["logs"]
        if logs:
            logs.mkdir(parents=True, exist_ok=True)
        extra = sandboxes(options["sandbox"], logs) if options["sandbox"] else []
        Supervisor(children(dispatchers=options["dispatchers"], logs=logs, extra=extra)).run()


def sandboxes(port: int, logs: Path | None) -> list[Child]:
    return [sandbox(kind, port + above, logs) for above, kind in enumerate(("connectwise", "autotask"))]


def sandbox(kind: str, port: int, logs: Path | None) -> Child:
    argv = [sys.executable, "-m", "integrations.sandbox", "--kind", kind, "--port", str(port)]
    argv += ["--state", str(Path(settings.VAR) / f"sandbox-{kind}.jsonl")]
    log = logs / f"sandbox-{kind}.log" if logs else None
    return Child(f"sandbox-{kind}", argv, lambda child: True, log=log, outlives=True)  # not ended is enough
