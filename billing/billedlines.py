"""What we last knew agreement lines to say (asked by pushes; guards tell a person's own change by it)."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from billing.guards import amount, key_of
from billing.models import BilledLine, PushRun, Service
from billing.wanted import Wanted
from integrations.psa.plan import Plan, PlanItem
from integrations.psa.wanted import WantedLines
from portal import clock


def intend(run: PushRun, plan: Plan) -> None:
    """Before the first byte: these quantities may be found in the PSA from now on, and are ours."""
    services = services_of(run)
    for item in plan.items:
        quantity = amount(item.after.get("quantity"))
        if quantity is not None:
            write(run, services[key_of(item)], maybe=quantity)


def services_of(run: PushRun) -> dict[str, Service]:
    return {item.service.key: item.service for item in run.items.select_related("service")}


def written(run: PushRun, service: Service, item: PlanItem, line_id: str) -> None:
    quantity = amount(item.after.get("quantity"))
    if quantity is not None:
        write(run, service, quantity=quantity, maybe=None, line_id=line_id)


def write(run: PushRun, service: Service, **values: Decimal | str | None) -> None:
    BilledLine.objects.update_or_create(
        client_id=run.client_id,
        credentials_id=run.credentials_id,
        service=service,
        defaults={
            "partner_id": run.partner_id,
            "agreement_id": run.agreement_id,
            "known_at": clock.now(),
            **values,
        },
    )


def confirm(run: PushRun, lines: WantedLines, plan: Plan, wanted: Wanted, held: Collection[str]) -> None:
    """Lines that were read to be as wanted. One query when nothing is new."""
    changing = {key_of(item) for item in plan.items if "quantity" in item.after}
    told = {finding.key for finding in plan.findings}
    known = {
        row.service_id: row
        for row in BilledLine.objects.filter(client=run.client_id, credentials=run.credentials_id)
    }
    for line in lines.lines:
        service = wanted.references[line.key].service
        if line.key in changing or line.key in told or line.key in held:
            continue
        row = known.get(service.pk)
        if (
            row is None
            or row.quantity != line.quantity
            or row.agreement_id != run.agreement_id
            or row.maybe is not None
        ):
            write(run, service, quantity=line.quantity, maybe=None)
