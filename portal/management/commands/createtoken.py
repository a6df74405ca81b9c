"""`manage.py createtoken`: make an API token and print it once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import clock, tokens
from portal.models import Partner


class Command(BaseCommand):
    help = "Make an API token for a partner (or vendor-wide) and print it once; only its hash is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--partner", help="slug of the partner the token is bound to")
        whose.add_argument("--vendor", action="store_true", help="may speak for all partners")
        parser.add_argument("--scopes", nargs="+", required=True, choices=tokens.SCOPES)
        parser.add_argument("--name", default="made by createtoken")
        parser.add_argument(
            "--expires", type=int, metavar="DAYS", help="days until it ends; never when left out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        partner = None
        if options["partner"]:
            partner = Partner.objects.filter(slug=options["partner"]).first()
            if partner is None:
                raise CommandError(f"There is no partner “{options['partner']}”.")
        expires = clock.now() + timedelta(days=options["expires"]) if options["expires"] else None
        _, text = tokens.issue_token(
            options["name"], partner=partner, scopes=options["scopes"], expires_at=expires
        )
        self.stdout.write(text)
