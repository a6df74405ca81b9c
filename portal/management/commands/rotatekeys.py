"""`manage.py rotatekeys`: write all secrets with the newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import keys
from portal.encryption import DecryptionFailed


class Command(BaseCommand):
    help = "Encrypt every stored secret with the first of FIELD_ENCRYPTION_KEYS; safe to interrupt and to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            keys.verify()
            count = keys.rotate()
        except DecryptionFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{count} secrets are encrypted with the newest key. The older keys may be dropped now."
        )
