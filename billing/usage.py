"""What did clients use: the ledger (asked by the REST door, pushes and pages).

Rows are only added; of several words about one account, service and day the last one counts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, OperationalError

from billing import schedule, synchronize
from billing.models import Service, Usage
from portal import clock, database
from portal.models import Account, Client

MOST_TRIES = 4
Key = tuple[uuid.UUID, uuid.UUID | None, uuid.UUID, date]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One well-formed word about usage; `account` is the account no., empty for the client as a whole."""

    client: Client
    service: Service
    quantity: Decimal
    measured_on: date
    account: str = ""
    source: str = ""


def record(words: Sequence[Measured]) -> int:
    """Add to the ledger and ask for the clients' synchronization; returns how many quantities are new or changed.

    A word that says what is known already is not stored again. Within a batch, the last word about a day counts.
    """
    for attempt in range(MOST_TRIES):
        try:
            with database.writing():
                return _record(words)
        except IntegrityError:  # somebody else spoke of the same day at the same moment
            if attempt == MOST_TRIES - 1:
                raise
        except OperationalError as error:
            if not database.lost_a_race(error) or attempt == MOST_TRIES - 1:
                raise
    return 0


def _record(words: Sequence[Measured]) -> int:
    accounts = accounts_for(words)
    latest: dict[Key, Measured] = {key_of(word, accounts): word for word in words}
    known = current_rows(latest)
    # All write in one order, so that none waits for another in a circle.
    in_order = sorted(latest.items(), key=str_of_key)
    changed = {
        key: word for key, word in in_order if key not in known or known[key].quantity != word.quantity
    }
    Usage.objects.filter(pk__in=[known[key].pk for key in changed if key in known]).update(is_current=False)
    Usage.objects.bulk_create(
        [
            Usage(
                partner_id=word.client.partner_id,
                client=word.client,
                account_id=key[1],
                service=word.service,
                measured_on=word.measured_on,
                quantity=word.quantity,
                source=word.source,
            )
            for key, word in changed.items()
        ]
    )
    clients = {word.client.pk: word.client for word in changed.values()}
    synchronize.request_many(schedule.continuous(clients.values()), cause="usage")
    return len(changed)


def str_of_key(item: tuple[Key, Measured]) -> str:
    return str(item[0])


def key_of(word: Measured, accounts: Mapping[tuple[uuid.UUID, str], uuid.UUID]) -> Key:
    account = accounts[word.client.pk, word.account] if word.account else None
    return word.client.pk, account, word.service.pk, word.measured_on


def accounts_for(words: Sequence[Measured]) -> dict[tuple[uuid.UUID, str], uuid.UUID]:
    """Accounts by client and account no.; unknown ones are made."""
    wanted = {(word.client.pk, word.account): word.client for word in words if word.account}
    if not wanted:
        return {}
    database.insert_new(
        [
            Account(partner_id=client.partner_id, client=client, key=key)
            for (_, key), client in sorted(wanted.items(), key=lambda item: str(item[0]))
        ]
    )
    rows = Account.objects.filter(client__in={pk for pk, _ in wanted}, key__in={key for _, key in wanted})
    return {(client, key): pk for client, key, pk in rows.values_list("client_id", "key", "pk")}


def current_rows(keys: Iterable[Key]) -> dict[Key, Usage]:
    """The rows that count now, locked against a second word."""
    keys = set(keys)
    rows = (
        Usage.objects.select_for_update(no_key=True)
        .filter(
            is_current=True,
            client__in={key[0] for key in keys},
            service__in={key[2] for key in keys},
            measured_on__in={key[3] for key in keys},
        )
        .order_by("pk")
    )
    found = {(row.client_id, row.account_id, row.service_id, row.measured_on): row for row in rows}
    return {key: row for key, row in found.items() if key in keys}


@dataclass(frozen=True, kw_only=True)
class Day:
    """What a client used of a service as known on one day.

    `quantity` is the sum of the newest words of all accounts; an account that is silent keeps its last word for
    `USAGE_FRESH_DAYS`, so that a feed that comes account by account never shows half a client. `raw` is what was
    measured on that very day.

    A word about the client as a whole says the same as its accounts' words together, so the two are never added up: a
    day with words about accounts counts these, a day with a total only counts the total.
    """

    on: date
    quantity: Decimal
    raw: Decimal


def days_of(client: Client, services: Iterable[uuid.UUID], *, today: date) -> dict[uuid.UUID, list[Day]]:
    """By service, the days that have words of the month of its newest word, oldest first.

    That is the current month, or, while it has no word of its own, the month before: what came to be known of it late
    still counts, and its sum does not shrink to one day on the first. One query.
    """
    since = oldest_needed(today)
    rows = Usage.objects.filter(
        client=client, service__in=services, is_current=True, measured_on__gte=since, measured_on__lte=today
    ).order_by("measured_on", "id")
    by_service: dict[uuid.UUID, list[Usage]] = {}
    for row in rows:
        by_service.setdefault(row.service_id, []).append(row)
    return {service: of_newest_month(carried(found)) for service, found in by_service.items()}


def same_days_last_month(rows: Iterable[Usage], on: date) -> list[Day]:
    """Of the month before `on`, the days up to the same day of the month: what a sum can be compared with."""
    last = on.replace(day=1) - timedelta(days=1)
    until = last if on.day >= last.day else last.replace(day=on.day)
    return carried([row for row in rows if last.replace(day=1) <= row.measured_on <= until])


def rows_of_last_month(client: Client, service_id: uuid.UUID, on: date) -> list[Usage]:
    first = (on.replace(day=1) - timedelta(days=1)).replace(day=1)
    rows = Usage.objects.filter(client=client, service=service_id, is_current=True)
    return list(
        rows.filter(measured_on__gte=first, measured_on__lt=on.replace(day=1)).order_by("measured_on", "id")
    )


def oldest_needed(today: date) -> date:
    """The whole of the month that a fresh word may be of, with what is carried into it; and some days more, to tell a
    stale word from none.
    """
    fresh = timedelta(days=settings.USAGE_FRESH_DAYS)
    return min((today - fresh).replace(day=1) - fresh, today.replace(day=1) - 2 * fresh)


def carried(rows: Sequence[Usage]) -> list[Day]:
    """Daily totals with each account's last word carried forward while it is fresh. `rows` are in order of days."""
    days: list[Day] = []
    last: dict[uuid.UUID | None, Usage] = {}
    by_day: dict[date, list[Usage]] = {}
    for row in rows:
        by_day.setdefault(row.measured_on, []).append(row)
    for on, todays in sorted(by_day.items()):
        last.update({row.account_id: row for row in todays})
        oldest = on - timedelta(days=settings.USAGE_FRESH_DAYS)
        by_account = is_by_account(todays)
        fresh = [row for row in last.values() if row.measured_on >= oldest]
        days.append(Day(on=on, quantity=added(fresh, by_account), raw=added(todays, by_account)))
    return days


def is_by_account(todays: Iterable[Usage]) -> bool:
    """Whether a day is counted by its accounts; else by the word about the client as a whole."""
    return any(row.account_id is not None for row in todays)


def added(rows: Iterable[Usage], by_account: bool) -> Decimal:
    return sum((row.quantity for row in rows if (row.account_id is not None) == by_account), Decimal(0))


def of_newest_month(days: Sequence[Day]) -> list[Day]:
    return [day for day in days if day.on >= days[-1].on.replace(day=1)]


def is_fresh(days: Sequence[Day], today: date) -> bool:
    """Whether the newest word is recent enough to bill by (`USAGE_FRESH_DAYS`)."""
    return bool(days) and days[-1].on >= today - timedelta(days=settings.USAGE_FRESH_DAYS)


def accounts_on(client: Client, service_id: uuid.UUID, on: date) -> list[tuple[str, Decimal]]:
    """Each account's last fresh word about a service on a day, by account no.; for invoice descriptions.

    Empty for a day of which only the client's total is known.
    """
    since = on - timedelta(days=settings.USAGE_FRESH_DAYS)
    rows = Usage.objects.filter(
        client=client, service=service_id, is_current=True, measured_on__gte=since, measured_on__lte=on
    )
    rows = rows.select_related("account").order_by("measured_on", "id")
    if not is_by_account(row for row in rows if row.measured_on == on):
        return []
    newest = {row.account.key: row.quantity for row in rows if row.account}
    return sorted((key, quantity) for key, quantity in newest.items() if quantity)


def today_for(client: Client) -> date:
    return clock.today_in(client.partner.time_zone)
