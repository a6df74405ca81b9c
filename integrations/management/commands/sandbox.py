"""`manage.py sandbox`: run a pretend PSA (see integrations/sandbox)."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from integrations import sandbox


class Command(BaseCommand):
    help = "Run a sandbox PSA server; --help after -- shows its own options."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rest", nargs="*", help="options of the sandbox, after --")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(sandbox.serve(options["rest"]))
