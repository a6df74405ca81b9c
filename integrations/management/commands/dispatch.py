"""`manage.py dispatch`: run one dispatcher until SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from integrations.dispatcher import Dispatcher
from portal import keys


class Command(BaseCommand):
    help = "Drain the lanes: tell PSAs what they should be told. Any number may run."

    def handle(self, *args: Any, **options: Any) -> None:
        keys.verify()
        dispatcher = Dispatcher()

        def stop(number: int, frame: FrameType | None) -> None:
            dispatcher.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        self.stdout.write(f"dispatcher {dispatcher.id} drains lanes")
        dispatcher.run()
