"""Is the PSA set up for the management report? Verified on request and kept line by line (asked by pages and jobs)."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from billing import psareferences
from billing.decisions import Decider
from billing.models import ReportSetup, ReportTick
from integrations import connections
from integrations.models import Credentials
from integrations.psa.errors import PsaError
from integrations.psa.reportsetup import WantedSetup
from portal import background, clock, database

JOB = "billing.jobs.verify_report_setup"
COLOURS = {"passed": "green", "failed": "red", "not needed": "green"}
UNKNOWN = "unknown"
SHOWN = ("name", "verdict", "detail", "fix")


def ask(credentials: Credentials) -> ReportSetup:
    """Verified soon, by the worker."""
    row, _ = ReportSetup.objects.update_or_create(
        credentials=credentials,
        defaults={"partner_id": credentials.partner_id, "asked_at": clock.now()},
    )
    background.enqueue(JOB, str(credentials.pk))
    return row


def verify(credentials_id: str) -> ReportSetup | None:
    """Read the PSA's set-up now. A PSA that cannot be read leaves the former lines, with the reason."""
    credentials = Credentials.objects.select_related("lane").filter(pk=uuid.UUID(credentials_id)).first()
    if credentials is None:
        return None
    found: dict[str, Any] = {"partner_id": credentials.partner_id, "asked_at": None}
    wanted = wanted_setup(credentials)
    try:
        with connections.psa_for(credentials) as psa:
            lines = psa.check_report_setup(wanted)
    except PsaError as error:
        found["error_text"] = f"{error.text} {error.advice}".strip()
    else:
        told = [{name: value for name, value in asdict(line).items() if name in SHOWN} for line in lines]
        found |= {
            "lines": [{**line, "colour": COLOURS.get(line["verdict"], UNKNOWN)} for line in told],
            "error_text": "",
            "verified_at": clock.now(),
        }
    row, _ = ReportSetup.objects.update_or_create(credentials=credentials, defaults=found)
    return row


def wanted_setup(credentials: Credentials) -> WantedSetup:
    """One row for each cross-reference that names a Type, and leads to a product of this connection."""
    return psareferences.wanted(credentials).setup


# --- Ticked by hand ---------------------------------------------------------------------------------------------------


def tick(credentials: Credentials, line: str, *, by: Decider) -> bool:
    """Somebody has looked into the PSA: this line is as it must be. Only where no API can tell; False: it can."""
    setup = ReportSetup.objects.filter(credentials=credentials).first()
    if setup is None or line not in {one["name"] for one in setup.lines if one.get("colour") == UNKNOWN}:
        return False
    row = ReportTick(
        partner_id=credentials.partner_id,
        credentials=credentials,
        line=line,
        ticked_by=by.author,
        ticked_as=by.name,
    )
    database.insert_new([row])  # who was first stays
    return True


def untick(credentials: Credentials, line: str) -> bool:
    return bool(ReportTick.objects.filter(credentials=credentials, line=line).delete()[0])


def lines_with_ticks(setup: ReportSetup) -> list[tuple[dict[str, Any], bool, ReportTick | None]]:
    """Each line, whether only a person can tell, and who said that it is as it must be. The API goes first."""
    ticks = {row.line: row for row in ReportTick.objects.filter(credentials=setup.credentials_id)}
    return [
        (
            line,
            line.get("colour") == UNKNOWN,
            ticks.get(line["name"]) if line.get("colour") == UNKNOWN else None,
        )
        for line in setup.lines
    ]
