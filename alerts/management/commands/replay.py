"""`manage.py replay --partner SLUG --days 30 [--draft FILE|ID] [--json]`: the past through other rules."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from alerts import drafts, labhistory, replays
from alerts.models import RuleDraft
from portal.models import Partner

ROWS = (
    "opened", "closed", "reopened", "folded", "held", "kept_open", "dropped", "no_rule", "emails", "webhooks",
)  # fmt: skip


class Command(BaseCommand):
    help = "Replay a partner's last days with today's rules, and with a draft's beside them. Reads only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--partner", required=True, help="the partner's slug")
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument(
            "--draft", default="", help="a file with a draft's JSON, or the id of a stored draft"
        )
        parser.add_argument("--json", action="store_true", help="the whole result as JSON")
        parser.add_argument(
            "--copy",
            action="store_true",
            help="print today's rules as a draft to be edited, and do nothing else",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        partner = Partner.objects.filter(slug=options["partner"]).first()
        if partner is None:
            raise CommandError(f"There is no partner “{options['partner']}”.")
        if options["copy"]:
            document = drafts.document_of(labhistory.rules_today(partner))
            self.stdout.write(json.dumps(document, indent=2))
            return
        try:
            since, until = replays.span_of(options["days"])
            result = replays.result_of(partner, since, until, self.document(partner, options["draft"]))
        except ValidationError as refusal:
            raise CommandError("\n".join(refusal.messages)) from refusal
        except OverflowError as error:
            raise CommandError("That is too many days.") from error
        self.stdout.write(json.dumps(result, indent=2) if options["json"] else as_text(result))

    def document(self, partner: Partner, named: str) -> Any:
        if not named:
            return None
        try:
            key = uuid.UUID(named)
        except ValueError:
            return read(Path(named))
        found = RuleDraft.objects.filter(partner=partner, pk=key).first()
        if found is None:
            raise CommandError(f"{partner} has no draft {named}.")
        return found.document


def read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}.") from error


def as_text(result: dict[str, Any]) -> str:
    """A table of figures, how faithful it is, and the first differences."""
    columns = [name for name in ("really", "today", "draft") if result[name]]
    lines = [f"{result['events']:,} events in {result['seconds']} s", ""]
    lines.append(f"{'':12}" + "".join(f"{name:>10}" for name in columns))
    lines += [
        f"{row.replace('_', ' '):12}" + "".join(f"{result[name][row]:>10,}" for name in columns)
        for row in ROWS
    ]
    same = result["reproduced"]
    faithful = (
        f"Today's rules reproduce {same['same_tickets']:,} of {same['tickets']:,} tickets and"
        f" {same['same_events']:,} of {same['events']:,} events;"
        f" {same['unexplained']:,} differ without a known reason."
    )
    lines += ["", faithful]
    lines += [f"  {number:,} x {reason}" for reason, number in same["explained"].items()]
    lines += [
        f"{one['at'][:16]} {one['client']}: {one['summary']}: today {one['today']}; draft {one['draft']}. {one['why']}"
        for one in result["differences"][:10]
    ]
    return "\n".join(lines)
