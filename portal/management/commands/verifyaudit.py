"""`manage.py verifyaudit`: does the audit log's chain of hashes hold?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import audit


class Command(BaseCommand):
    help = "Go through the audit log and name every entry that was edited, taken out or put elsewhere."

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        chains = audit.chains()
        for partner_id in chains:
            for place in audit.verify(partner_id):
                found += 1
                self.stdout.write(f"chain {place.partner_id}, entry {place.number}: {place.text}")
        if found:
            raise CommandError(f"{found} places where the audit log does not hold.")
        self.stdout.write(f"The audit log holds: {len(chains)} chains.")
