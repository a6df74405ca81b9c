"""What a client's month was billed for, on one page: facts, digest, short form (asked by `months`, pages and links).

Facts are plain JSON. Closing the month stores them; page and file of a closed month are made of nothing else, so they
stay the same whatever happens later.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Min, Q
from django.utils.module_loading import import_string

from billing import backupstatistics, usage
from billing.causes import NOTHING, plain
from billing.models import BackupStatistics, BillingMonth, EvidencePack, MonthNumbers, Service, Usage
from billing.monthfacts import Month
from portal import clock
from portal.models import Client, Partner

Facts = dict[str, Any]
PIECE = 100
NOTHING_KNOWN = "nothing_known"
"""Of facts: the month was closed while nothing was known of this client."""
FROM_ELSEWHERE: Mapping[str, str] = {"tickets": "alerts.evidence.tickets_of"}
"""Parts that other rooms know, by dotted name: `(client, first moment, first moment after) -> plain JSON or None`."""
COUNTED: Mapping[str, str] = {
    Service.Aggregation.LAST: "the last value of the month",
    Service.Aggregation.PEAK: "the highest value of any day",
    Service.Aggregation.AVERAGE: "the average of the days measured",
    Service.Aggregation.PERCENTILE: "the 95th percentile of the days measured",
    Service.Aggregation.SUM: "the sum of all days",
}
ROUNDED: Mapping[str, str] = {
    Service.Rounding.UP: "rounded up to whole units",
    Service.Rounding.DOWN: "rounded down to whole units",
    Service.Rounding.NEAREST: "rounded to the nearest whole unit",
    Service.Rounding.STEP: "rounded up to a multiple of {step}",
    Service.Rounding.NONE: "not rounded",
}


# --- Gathering -------------------------------------------------------------------------------------------------------


def of_client(client: Client, month: date) -> tuple[Facts, EvidencePack | None]:
    """The frozen facts of a closed month, else those of now; of a closed month without any it says so."""
    found = Month.of(client.partner, month)
    pack = EvidencePack.objects.filter(client=client, month=found.first).first()
    if pack is not None:
        return pack.facts, pack
    closed = BillingMonth.objects.filter(
        partner=client.partner_id, month=found.first, closed_at__isnull=False
    )
    if closed.exists():
        return {**heading(client, found), "services": [], "backups": None, NOTHING_KNOWN: True}, None
    return gather(client, found), None


def heading(client: Client, month: Month) -> Facts:
    return {
        "version": 1,
        "month": f"{month.first:%Y-%m}",
        "client": {"name": client.name, "number": client.number, "managed_id": client.managed_id},
        "partner": client.partner.name,
        "time_zone": client.partner.time_zone,
    }


def gather(client: Client, month: Month, as_of: datetime | None = None) -> Facts:
    """Seven queries and those of other rooms. What accounts used is told as the numbers knew it when they were counted,
    backups as they were known at `as_of`: what comes in later stands beside no earlier number.
    """
    rows = MonthNumbers.objects.filter(client=client, month=month.first).select_related("service")
    numbers = sorted(rows, key=lambda row: row.service.name)
    shares = accounts_of(client, month, {row.service_id: row.calculated_at for row in numbers})
    began = datetime.combine(month.first, time(), ZoneInfo(client.partner.time_zone))
    return {
        **heading(client, month),
        "services": [service_of(row, shares.get(row.service_id, [])) for row in numbers],
        "backups": backups_of(client, month, as_of),
        **{name: told(client, began, month.ends_at) for name, told in elsewhere().items()},
    }


@cache
def elsewhere() -> dict[str, Callable[[Client, datetime, datetime], Any]]:
    return {name: import_string(path) for name, path in FROM_ELSEWHERE.items()}


def service_of(row: MonthNumbers, accounts: list[Facts]) -> Facts:
    service = row.service
    return {
        "key": service.key,
        "name": service.name,
        "unit": service.unit,
        "counted": counted(service),
        "measured": text_of(row.measured),
        "included": text_of(row.included),
        "billable": text_of(row.billable),
        "written": text_of(row.written),
        "pushed": text_of(row.pushed),
        "in_agreement": text_of(row.in_agreement),
        "invoiced": text_of(row.invoiced),
        "not_invoiced": row.not_invoiced,
        "agreement": row.agreement_name or row.agreement_id,
        "line_id": row.line_id,
        "unit_price": text_of(row.unit_price),
        "currency": row.currency,
        "invoices": [
            {name: invoice.get(name) or "" for name in ("number", "on", "amount", "currency")}
            for invoice in row.invoices
        ],
        "causes": [
            {"step": step["name"], "kind": cause["kind"], "amount": cause["amount"], "text": cause["text"]}
            for step in row.steps
            for cause in step["causes"]
        ],
        "accounts": accounts,
    }


def text_of(number: Decimal | None) -> str | None:
    """The same text whether it was just counted or comes from a database that fills up with zeros."""
    return None if number is None else plain(number)


def counted(service: Service) -> str:
    """How the number was made of days, in words."""
    if service.is_yes_no:
        return f"{COUNTED[service.aggregation]}; one when there was any"
    return f"{COUNTED[service.aggregation]}, {ROUNDED[service.rounding].format(step=service.step)}"


def accounts_of(
    client: Client, month: Month, services: Mapping[uuid.UUID, datetime]
) -> dict[uuid.UUID, list[Facts]]:
    """Each account's last quantity of the month, and when it joined or left, as it was known at the moment that stands
    beside its service. Two queries.
    """
    rows = Usage.objects.filter(
        client=client,
        service__in=services,
        account__isnull=False,
        recorded_at__lte=max(services.values(), default=clock.now()),
    )
    first_ever = {
        (row["account"], row["service"]): row["on"]
        for row in rows.order_by().values("account", "service").annotate(on=Min("measured_on"))
    }
    last_word: dict[tuple[uuid.UUID, uuid.UUID], Usage] = {}
    newest: dict[uuid.UUID, date] = {}
    in_month = rows.filter(measured_on__gte=month.first, measured_on__lte=month.last)
    for row in in_month.select_related("account").order_by("measured_on", "id"):
        assert row.account_id is not None  # the query's condition
        if row.recorded_at <= services[row.service_id]:
            last_word[row.service_id, row.account_id] = row
            newest[row.service_id] = row.measured_on
    found: dict[uuid.UUID, list[Facts]] = {}
    for (service, account), last in last_word.items():
        assert last.account is not None
        joined = first_ever.get((account, service))
        oldest = newest[service] - timedelta(days=settings.USAGE_FRESH_DAYS)
        left = last.measured_on < oldest or not last.quantity
        found.setdefault(service, []).append(
            {
                "account": last.account.key,
                "name": last.account.name,
                "quantity": plain(last.quantity),
                "joined": joined.isoformat() if joined is not None and joined > month.first else "",
                "left": last.measured_on.isoformat() if left else "",
            }
        )
    return {service: sorted(lines, key=lambda line: line["account"]) for service, lines in found.items()}


def backups_of(client: Client, month: Month, as_of: datetime | None) -> Facts | None:
    """None when no source had told of backups in the month until then. One query."""
    found = BackupStatistics.objects.filter(
        client=client,
        measured_on__gte=month.first,
        measured_on__lte=month.last,
        recorded_at__lte=as_of or clock.now(),
    )
    words = found.select_related("account").order_by("measured_on", "id")
    rows = list({(row.account_id, row.measured_on): row for row in words}.values())
    numbers = backupstatistics.summed(rows, today=rows[-1].measured_on) if rows else None
    if numbers is None:
        return None
    return {
        "successful": numbers.successful_jobs,
        "failed": numbers.failed_jobs,
        "rate": rate_of(numbers.successful_jobs, numbers.failed_jobs),
        "servers": numbers.servers,
        "workstations": numbers.workstations,
        "devices": [
            {
                "name": device.name,
                "kind": device.kind,
                "successful": device.successful_jobs,
                "failed": device.failed_jobs,
                "rate": rate_of(device.successful_jobs, device.failed_jobs),
                "storage_gb": text_of(device.used_gb),
            }
            for device in numbers.devices
        ],
    }


def rate_of(successful: int, failed: int) -> str:
    """Per cent with one decimal, never rounded up to 100; empty without any."""
    if not successful + failed:
        return ""
    return plain((Decimal(1000 * successful) // (successful + failed)) / 10)


# --- Freezing --------------------------------------------------------------------------------------------------------


def freeze(partner: Partner, month: date, *, as_of: datetime) -> None:
    """Store the facts of every client that the month had anything of then. What is stored already stays."""
    found = Month.of(partner, month)
    numbers = MonthNumbers.objects.filter(partner=partner, month=month).order_by().values("client")
    told = BackupStatistics.objects.filter(
        partner=partner,
        measured_on__gte=found.first,
        measured_on__lte=found.last,
        recorded_at__lte=as_of,
    )
    involved = Q(pk__in=numbers) | Q(pk__in=told.order_by().values("client"))
    frozen = EvidencePack.objects.filter(partner=partner, month=month).values("client")
    clients = Client.objects.filter(involved, partner=partner).exclude(pk__in=frozen)
    packs = []
    for client in clients.select_related("partner").order_by("number"):
        facts = gather(client, found, as_of)
        packs.append(
            EvidencePack(partner=partner, client=client, month=month, facts=facts, digest=digest_of(facts))
        )
        if len(packs) == PIECE:
            EvidencePack.objects.bulk_create(packs, ignore_conflicts=True)
            packs = []
    EvidencePack.objects.bulk_create(packs, ignore_conflicts=True)


def digest_of_month(partner: Partner, month: date) -> str:
    packs = EvidencePack.objects.filter(partner=partner, month=month).order_by("client__number")
    return digest_of(list(packs.values_list("digest", flat=True)))


def digest_of(facts: Any) -> str:
    """SHA-256 of the canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- In short --------------------------------------------------------------------------------------------------------


def short_form(facts: Facts, limit: int) -> str:
    """For an invoice's description: a line a service, as many as fit into `limit` characters, then the backups."""
    lines = [short_service(service, facts["month"]) for service in facts["services"]]
    backups = facts.get("backups")
    if backups and backups["rate"]:
        total = backups["successful"] + backups["failed"]
        lines.append(f"Backups: {backups['rate']} % of {total} successful.")
    kept: list[str] = []
    for line in lines:
        if sum(len(one) + 1 for one in kept) + len(line) > limit:
            break
        kept.append(line)
    return "\n".join(kept)


def short_service(service: Facts, month: str) -> str:
    included = service["included"] or "0"
    less = f", {included} included, {service['billable']} billed" if Decimal(included) > NOTHING else ""
    quantity = service["written"] or service["billable"]
    return f"{service['name']} {month}: {quantity} {service['unit']} ({service['counted']}){less}."


def days_known(client: Client) -> list[str]:
    """Months that this client has numbers of, newest first, like `2026-10`."""
    rows = MonthNumbers.objects.filter(client=client).order_by("-month").values_list("month", flat=True)
    return [f"{month:%Y-%m}" for month in rows.distinct()[:24]]


def this_month(client: Client) -> date:
    return usage.today_for(client).replace(day=1)
