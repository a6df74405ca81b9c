"""`manage.py bench`: measure the product as production runs it; one JSON line a figure, a table at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from alerts.proving import (
    bench,
    bench_choices,
    bench_eventlog,
    bench_intake,
    bench_memory,
    bench_processes,
    bench_push,
    bench_tickets,
    stack,
)
from alerts.proving.bench import Bench, Measurement, Size
from alerts.proving.stack import SANDBOXES, Stack

MEASUREMENTS = {
    "p1": Measurement(bench_tickets.latency_at_ten),
    "p2": Measurement(bench_tickets.sustained),
    "p3": Measurement(bench_intake.one_by_one),
    "p4": Measurement(bench_intake.in_batches),
    "p5": Measurement(bench_intake.storm),
    "p6": Measurement(bench_tickets.idle, once=True),
    "p8": Measurement(bench_choices.first_sync),
    "p9": Measurement(bench_choices.unchanged),
    "p8_large": Measurement(bench_choices.large, once=True),
    "p10": Measurement(bench_choices.autotask, once=True),
    "p14": Measurement(bench_eventlog.event_log, once=True),
    "p13": Measurement(bench_tickets.calls, once=True),
    "p15": Measurement(bench_push.calls, once=True),
    "p11": Measurement(bench_tickets.isolation, once=True),
    "p12": Measurement(bench_tickets.promise, once=True),
    "p7": Measurement(bench_memory.memory, once=True),
}


class Command(BaseCommand):
    help = "Measure speed, memory and isolation on a database of its own; prints one JSON line a figure."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--smoke", action="store_true", help="a little of everything; says nothing about speed"
        )
        parser.add_argument(
            "--full", action="store_true", help="P7, P11 and P12 at full length (about 20 minutes more)"
        )
        parser.add_argument(
            "--only", nargs="+", default=[], metavar="NAME", help=f"some of {', '.join(MEASUREMENTS)}"
        )
        parser.add_argument("--repetitions", type=int, default=3, help="medians of so many measurements (3)")
        parser.add_argument("--keep", action="store_true", help="keep the temporary folder with the logs")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, leave)
        if stack.HOME in os.environ:
            self.measure(options)
        else:
            self.begin(keep=options["keep"], is_hasty=options["smoke"])

    def begin(self, *, keep: bool, is_hasty: bool) -> None:
        """Make a place and a database, and start this command again in there."""
        url = os.environ.get("DATABASE_URL", "")
        with tempfile.TemporaryDirectory(prefix="psap-bench-", ignore_cleanup_errors=True) as folder:
            home = Path(tempfile.mkdtemp(prefix="psap-bench-")) if keep else Path(folder)
            with stack.database_beside(url, home) as own_url:
                manage = str(Path(settings.BASE_DIR) / "manage.py")
                done = subprocess.run(
                    [sys.executable, manage, "bench", *sys.argv[2:]],
                    env=stack.environment(home, own_url, is_hasty=is_hasty),
                    cwd=settings.BASE_DIR,
                    check=False,
                )
        if done.returncode:
            raise CommandError("Not everything could be measured; see above.", returncode=done.returncode)

    def measure(self, options: dict[str, Any]) -> None:
        self.say(
            f"database {connection.vendor}, {os.cpu_count()} cores shared with load generator and pretend PSA; "
            f"fdatasync of 4 KiB {bench_processes.fdatasync_milliseconds(Path(os.environ[stack.HOME])):.2f} ms"
        )
        call_command("migrate", verbosity=0)
        running = Stack.here()
        size = Size.smoke() if options["smoke"] else Size.full() if options["full"] else Size()
        lines: list[dict[str, Any]] = []

        def tell(line: dict[str, Any]) -> None:
            lines.append(line)
            self.stdout.write(json.dumps(line))
            self.stdout.flush()

        try:
            running.start(*SANDBOXES, "web", "dispatcher", "worker")
            complete = bench.run(
                Bench(running, size, is_smoke=options["smoke"]),
                MEASUREMENTS,
                only=options["only"],
                repetitions=1 if options["smoke"] else options["repetitions"],
                tell=tell,
                complain=self.say,
            )
        finally:
            running.stop_all()
        self.say("\n" + bench.table(lines))
        if not complete:
            sys.exit(1)

    def say(self, text: str) -> None:
        self.stderr.write(text)
        self.stderr.flush()


def leave(number: int, frame: FrameType | None) -> None:
    """Told to stop: everything is taken down on the way out."""
    sys.exit(1)
