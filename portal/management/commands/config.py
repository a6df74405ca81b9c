"""`manage.py config export|plan|apply|drift`: a partner's set-up as one document."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import configtree, configuration
from portal.configuration import Plan
from portal.models import Partner

DIFFERENT = 2
"""Exit code of `plan` and `drift` when there is something to do; 0 when not, 1 when something is wrong."""


class Command(BaseCommand):
    help = (
        "A partner's set-up as one document, without secrets. `plan` and `drift` exit with 0 when nothing differs, "
        "with 2 when something does, with 1 when the document has faults."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        words = parser.add_subparsers(dest="word", required=True)
        export = words.add_parser("export", help="write the document")
        plan = words.add_parser("plan", help="show what a document would change; changes nothing")
        apply = words.add_parser("apply", help="make the set-up as the document says, all of it or nothing")
        drift = words.add_parser("drift", help="compare with the document applied last, and with the PSA")
        for parser in (export, plan, apply, drift):
            parser.add_argument("--partner", required=True, help="slug")
        export.add_argument("--output", help="file; else it is printed")
        for parser in (plan, apply):
            parser.add_argument("file", help="the document; - reads standard input")
            parser.add_argument(
                "--prune", action="store_true", help="remove what the document's sections do not say"
            )
            parser.add_argument(
                "--only-connections",
                action="store_true",
                help="only partner, organizations, clients and connections, before options can be read",
            )
        apply.add_argument(
            "--expect", default="", metavar="DIGEST", help="refuse unless the plan was of this"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        partner = Partner.objects.filter(slug=options["partner"]).first()
        if partner is None:
            raise CommandError(f"There is no partner “{options['partner']}”.")
        {"export": self.export, "plan": self.plan, "apply": self.apply, "drift": self.drift}[options["word"]](
            partner, options
        )

    def export(self, partner: Partner, options: dict[str, Any]) -> None:
        found = configuration.export(partner)
        if options["output"]:
            Path(options["output"]).write_text(found.text, encoding="utf-8")
            self.stdout.write(f"{len(found.text.splitlines())} lines, digest {found.digest}")
        else:
            self.stdout.write(found.text, ending="")

    def plan(self, partner: Partner, options: dict[str, Any]) -> None:
        found = configuration.plan(partner, self.text(options), by="manage.py config", **how(options))
        self.show(found)
        if found.faults:
            raise CommandError(found.summary)
        if not found.is_nothing or found.findings:
            sys.exit(DIFFERENT)

    def apply(self, partner: Partner, options: dict[str, Any]) -> None:
        try:
            found = configuration.apply(
                partner, self.text(options), by="manage.py config", expect=options["expect"], **how(options)
            )
        except configuration.Refused as refusal:
            self.show(refusal.plan)
            raise CommandError(f"Nothing was applied: {refusal}") from refusal
        except configuration.Moved as refusal:
            raise CommandError(f"Nothing was applied: {refusal} It is {refusal.digest} now.") from refusal
        self.show(found)
        self.stdout.write("Applied.")

    def drift(self, partner: Partner, options: dict[str, Any]) -> None:
        drift = configuration.look_for_drift(partner).drift
        for one in drift["errors"]:
            self.stdout.write(f"? {one['field']}: {one['detail']}")
        for one in drift["differences"]:
            self.stdout.write(f"~ {one['path']}: {one['old']} now, {one['new']} in the document")
        for one in drift["findings"]:
            self.stdout.write(f"! {one['path']}: {one['text']}")
        if any(drift[name] for name in ("errors", "differences", "findings")):
            sys.exit(DIFFERENT)
        self.stdout.write("No drift.")

    def text(self, options: dict[str, Any]) -> bytes:
        try:
            if options["file"] == "-":
                return sys.stdin.buffer.read(configtree.MOST_BYTES + 1)
            return Path(options["file"]).read_bytes()
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error

    def show(self, plan: Plan) -> None:
        lines = [str(one) for one in (*plan.differences, *plan.findings)]
        lines += [f"  {one.where}: {one.kept}" for one in plan.kept]
        lines += [f"? {one}" for one in plan.faults]
        for line in lines:
            self.stdout.write(line)
        self.stdout.write(f"{plan.summary} Digest {plan.digest}.")


def how(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "prune": options["prune"],
        "only_first": options["only_connections"],
        "is_on_server": True,
    }
