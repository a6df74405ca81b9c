"""Is the PSA set up for the management report? Verified on request and kept line by line (asked by pages and jobs)."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from django.conf import settings

from billing.models import CrossReference, ReportSetup
from integrations import connections
from integrations.models import Credentials
from integrations.psa.errors import PsaError
from integrations.psa.reportsetup import WantedReference, WantedSetup
from portal import background, clock

JOB = "billing.jobs.verify_report_setup"
COLOURS = {"passed": "green", "failed": "red", "not needed": "green"}
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
            "lines": [{**line, "colour": COLOURS.get(line["verdict"], "unknown")} for line in told],
            "error_text": "",
            "verified_at": clock.now(),
        }
    row, _ = ReportSetup.objects.update_or_create(credentials=credentials, defaults=found)
    return row


def wanted_setup(credentials: Credentials) -> WantedSetup:
    """One row for each cross-reference that names a Type, and leads to a product of this connection."""
    rows = CrossReference.objects.filter(partner_id=credentials.partner_id, product__credentials=credentials)
    rows = rows.exclude(type="").filter(is_billed=True).select_related("service", "product")
    seen: dict[tuple[str, str], WantedReference] = {}
    for row in rows.order_by("service__name", "pk"):
        assert row.product is not None  # the query's condition
        reference = WantedReference(
            service=row.service.name,
            vendor_type=row.type,
            vendor_level=row.level,
            product_id=row.product.psa_id,
            product_name=row.product.name,
            agreement_type=row.agreement_type,
            configuration_type=row.configuration_type,
        )
        seen.setdefault((row.type, row.level), reference)
    return WantedSetup(solution=settings.MANAGEMENT_SOLUTION, references=tuple(seen.values()))
