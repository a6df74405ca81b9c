"""`manage.py proofs` (`make proofs`): one line a capability that nobody else has, with its figure."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.proving import proofs


class Command(BaseCommand):
    help = "Show what can be shown today, with figures; what is not built yet says so."

    def handle(self, *args: Any, **options: Any) -> None:
        if not proofs.run(lambda text: print(text, flush=True)):  # noqa: T201 - this is its output
            raise CommandError("Not everything held.")
