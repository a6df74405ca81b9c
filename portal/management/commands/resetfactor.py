"""`manage.py resetfactor`: take away the second factor of somebody nobody in the portal may help, staff above all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal import secondfactor
from portal.models import User


class Command(BaseCommand):
    help = (
        "Take away all second factors of a person who lost them; they are told by e-mail and out everywhere."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", required=True, help="Stands in the audit log and in the e-mail.")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(email__iexact=options["email"]).first()
        if person is None:
            raise CommandError(f"Nobody signs in as {options['email']}.")
        count = secondfactor.reset(person, by="manage.py resetfactor", reason=options["reason"], partner=None)
        self.stdout.write(f"{count} factors of {person.email} are taken away, recovery codes among them.")
