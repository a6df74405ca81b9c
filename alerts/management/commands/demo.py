"""`manage.py demo` (`make run`): the whole product at work with a demo partner and a pretend PSA."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from alerts.proving import demo, demoworld


class Command(BaseCommand):
    help = "Start everything, send real events and usage, show what came of them, and serve until Ctrl-C."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not os.environ.get(demoworld.STARTED):
            environment = demoworld.environment()
            if trouble := demoworld.trouble_with_ports(environment):
                raise CommandError(trouble)
            os.chdir(settings.BASE_DIR)
            os.execve(sys.executable, [sys.executable, "manage.py", "demo"], environment)  # noqa: S606
        demo.run(say=lambda text: print(text, flush=True))  # noqa: T201 - this is its output
