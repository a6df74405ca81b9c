"""`manage.py proofs` (`make proofs`): one line a capability that nobody else has, with its figure."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.proving import proofs


class Command(BaseCommand):
    help = "Show what can be shown today, with figures; what is not built yet says so."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--here", help="Show one of the billing room's in this very database, and no other."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["here"]:
            held, figure = proofs.show_here(options["here"])
            print(figure)  # noqa: T201 - this is its output
            if not held:
                raise CommandError("It did not hold.")
            return
        if not proofs.run(lambda text: print(text, flush=True)):  # noqa: T201 - this is its output
            raise CommandError("Not everything held.")
