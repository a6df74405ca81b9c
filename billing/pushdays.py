"""Push days that have come (asked by the worker every few minutes).

A day that was missed, because nothing ran, is made up for once, late; a row for each client and day, which the database
keeps single, says that it was asked for. What was due before the schedule was set is not made up for.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import date
from zoneinfo import ZoneInfo

from django.db import transaction

from billing import synchronize
from billing.models import AgreementLink, BillingSettings, PushBatch, PushDay, Schedule
from billing.schedule import last_due
from billing.terms import TermsOf
from portal import clock, database, onebyone
from portal.models import Client, Partner

AT_ONCE = 500
BY_CALENDAR = (Schedule.DAY, Schedule.LAST_DAY, Schedule.BEFORE_INVOICE)


def ask_due() -> int:
    """Ask for every client whose push day has come; returns how many. Harmless to repeat, also side by side."""
    partners = Partner.objects.filter(
        pk__in=BillingSettings.objects.filter(schedule__in=BY_CALENDAR).values("partner"), is_active=True
    )
    return onebyone.each(partners, ask_due_of, what="Push days")


def ask_due_of(partner: Partner) -> int:
    found = TermsOf.of(partner.pk)
    today = clock.today_in(partner.time_zone)
    billed = AgreementLink.objects.filter(partner=partner).values("client")
    clients = list(
        Client.objects.filter(partner=partner, is_active=True, pk__in=billed).select_related("partner")
    )
    invoices = invoices_of(clients, today)
    due = [
        PushDay(partner_id=partner.pk, client=client, due_on=day)
        for client in clients
        for day in days_due(client, found, today, invoices.get(client.pk, set()))
    ]
    known = set(
        PushDay.objects.filter(client__in=clients, due_on__in={row.due_on for row in due}).values_list(
            "client_id", "due_on"
        )
    )
    new = [row for row in due if (row.client_id, row.due_on) not in known]
    return sum(ask_for(partner, new[start : start + AT_ONCE]) for start in range(0, len(new), AT_ONCE))


def days_due(client: Client, found: TermsOf, today: date, invoices: Collection[date]) -> set[date]:
    """Each agreement has a day of its own before its next invoice."""
    return {day for invoice in invoices or (None,) if (day := due_on(client, found, today, invoice))}


def due_on(client: Client, found: TermsOf, today: date, next_invoice_on: date | None) -> date | None:
    """The push day to make up for now; not one of before the schedule was set."""
    terms = found.for_client(client)
    if not terms["is_enabled"]:
        return None
    day = last_due(terms, today, next_invoice_on)
    source = terms.values["schedule"].source
    if day is None or source is None:
        return None
    zone = ZoneInfo(client.partner.time_zone)
    return day if day >= found.rows[source.pk].scheduled_at.astimezone(zone).date() else None


def ask_for(partner: Partner, rows: list[PushDay]) -> int:
    """The rows that went in are asked for, in the same transaction."""
    with transaction.atomic():
        stored = database.insert_new(rows)
        clients = list({row.client_id: row.client for row in rows if row.pk in stored}.values())
        if clients:
            batch = PushBatch.objects.create(partner=partner, cause="push_day")
            synchronize.request_many(clients, cause="push_day", at_once=True, batch=batch)
    return len(clients)


def invoices_of(clients: Iterable[Client], today: date) -> dict[uuid.UUID, set[date]]:
    """The days of the next invoices of each client's agreements, from our copy of the PSA's options.

    A day that is over is that of an agreement that is invoiced no more.
    """
    links = AgreementLink.objects.filter(client__in=clients, agreement__vanished_at=None)
    found: dict[uuid.UUID, set[date]] = {}
    for client_id, data in links.values_list("client_id", "agreement__data"):
        try:
            day = date.fromisoformat(str(data.get("next_invoice_on") or ""))
        except ValueError:
            continue
        if day >= today:
            found.setdefault(client_id, set()).add(day)
    return found
