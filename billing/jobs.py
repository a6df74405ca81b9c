"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

import uuid

from billing import (
    months,
    pushdays,
    referenceruns,
    reportorders,
    reportsetup,
    synchronize,
)
from portal import onebyone
from portal.models import Partner


def synchronize_due() -> None:
    synchronize.request_due()


def report_due() -> None:
    reportorders.ask_due()


def verify_report_setup(credentials_id: str) -> None:
    reportsetup.verify(credentials_id)


def write_references(run_id: str) -> None:
    referenceruns.carry_out(uuid.UUID(run_id))


def look_after_references() -> None:
    onebyone.each(referenceruns.due(), referenceruns.carry_out, what="Cross-references")


def push_days() -> None:
    pushdays.ask_due()


def look_after_months() -> None:
    months.look_after()


def read_agreements(order_id: str) -> None:
    months.read_on(uuid.UUID(order_id))


def calculate_month(partner_id: str, month: str) -> None:
    partner = Partner.objects.filter(pk=partner_id).first()
    if partner is not None:
        months.calculate(partner, months.month_of(month))


def close_month(partner_id: str, month: str) -> None:
    partner = Partner.objects.filter(pk=partner_id).first()
    if partner is not None:
        months.close_due(partner, months.month_of(month))
