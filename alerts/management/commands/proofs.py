"""`manage.py proofs` (`make proofs`): one line a capability that nobody else has, with its figure."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alerts.proving import proofs


class Command(BaseCommand):
    help = "Show what can be shown today, with figures; what is not built yet says so."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", default="", help="one capability, by its number")
        parser.add_argument(
            "--here",
            choices=sorted(proofs.HERE),
            help="one demonstration in this database, which must be empty",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if number := options["here"]:
            held, figure = proofs.show_here(number)
            print(figure, flush=True)  # noqa: T201 - this is its output
            if not held:
                raise CommandError("It did not hold.")
            return
        if not proofs.run(lambda text: print(text, flush=True), options["only"]):  # noqa: T201
            raise CommandError("Not everything held.")
