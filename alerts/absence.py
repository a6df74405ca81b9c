"""What should have come and did not: no backup, no error-free backup (asked by the worker and the pages).

A failing backup tells of itself, one that never ran does not. How often a success comes is learnt from the last 30 days
or said by a person; when none came for too long the portal makes an event of its own, and another when they come again.
"""

from __future__ import annotations

import itertools
import statistics
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q

from alerts import eventtypes, intake, portalevents
from alerts.models import Expectation
from integrations.models import Event
from portal import clock, database
from portal.models import Account, Client

LEARNT_OVER = timedelta(days=30)
LEAST = 4
"""So many pauses make a habit."""
WATCHED = ("backup.succeeded", "archiving.succeeded")
CLIENTS_AT_ONCE = 200
ROWS_AT_ONCE = 500
Missing = Expectation.Missing
Series = tuple[uuid.UUID, uuid.UUID | None, str]


# --- Learning ---------------------------------------------------------------------------------------------------------


def learn() -> int:
    """Learn the pauses of all clients; returns how many expectations are new. Four queries for 200 clients."""
    new = 0
    for clients in in_pieces(
        Client.objects.filter(is_active=True).order_by("pk").values_list("pk", flat=True)
    ):
        new += learn_of(clients)
    return new


def in_pieces(keys: Iterable[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    rows = list(keys)
    for start in range(0, len(rows), CLIENTS_AT_ONCE):
        yield rows[start : start + CLIENTS_AT_ONCE]


def learn_of(clients: Sequence[uuid.UUID]) -> int:
    series: dict[Series, list[datetime]] = defaultdict(list)
    since = clock.now() - LEARNT_OVER
    events = Event.objects.filter(client__in=clients, received_at__gte=since, type__in=WATCHED).order_by(
        "occurred_at"
    )
    partners = dict(Client.objects.filter(pk__in=clients).values_list("pk", "partner_id"))
    for whose, account, kind, at in events.values_list("client_id", "account_id", "type", "occurred_at"):
        if whose is not None:
            series[whose, account, kind].append(at)
    known = {key_of(row): row for row in Expectation.objects.filter(client__in=clients)}
    new: list[Expectation] = []
    changed: list[Expectation] = []
    for key, times in series.items():
        pauses = [(later - earlier) / timedelta(hours=1) for earlier, later in itertools.pairwise(times)]
        pauses = [pause for pause in pauses if pause > 0]
        row = known.get(key)
        if len(pauses) < LEAST or (row is not None and row.is_set):
            continue
        client, owner, name = key
        if row is None:
            row = Expectation(
                partner_id=partners[client], client_id=client, account_id=owner, event_type=name
            )
        row.every_hours = max(Decimal("0.25"), round(Decimal(statistics.median(pauses)), 2))
        row.learnt_from, row.seen_at = len(times), times[-1]
        (new if row._state.adding else changed).append(row)
    with database.writing():
        inserted = database.insert_new(new)
        database.save_all(changed, ["every_hours", "learnt_from", "seen_at"])
    return len(inserted)


def key_of(row: Expectation) -> Series:
    return row.client_id, row.account_id, row.event_type


# --- Looking ----------------------------------------------------------------------------------------------------------


def allowed(row: Expectation) -> timedelta:
    """The longest pause that is not remarked upon."""
    return timedelta(hours=float((row.every_hours or Decimal(0)) * row.tolerance))


def look() -> int:
    """Report what is missing or has come again; returns how many reports. Three queries for 500 expectations."""
    reported = 0
    rows = Expectation.objects.filter(is_enabled=True, every_hours__isnull=False, client__is_active=True)
    after = clock.NIL_UUID
    while batch := list(rows.filter(pk__gt=after).order_by("pk")[:ROWS_AT_ONCE]):
        after = batch[-1].pk
        reported += look_at(batch)
    return reported


def look_at(batch: Sequence[Expectation]) -> int:
    now = clock.now()
    horizon = now - max([LEARNT_OVER, *map(allowed, batch)])
    newest = newest_of(batch, horizon)
    seen = []
    reported = 0
    for row in batch:
        successes, _ = newest.get(key_of(row), (None, None))
        if successes is not None and (row.seen_at is None or successes > row.seen_at):
            row.seen_at = successes
            seen.append(row)
    database.save_all(seen, ["seen_at"])
    for row in batch:
        _, any_sign = newest.get(key_of(row), (None, None))
        wanted = missing_of(row, any_sign, now)
        if wanted != row.missing:
            reported += report(row, wanted)
    return reported


def missing_of(row: Expectation, any_sign: datetime | None, now: datetime) -> str:
    """What is missing at this moment. Without any history nothing is, unless a person said what to expect."""
    base = max(filter(None, [row.seen_at, row.created_at if row.is_set else None]), default=None)
    if base is None or now - base <= allowed(row):
        return Missing.NOTHING
    if any_sign is not None and now - any_sign <= allowed(row):
        return Missing.ERROR_FREE
    return Missing.BACKUP


def newest_of(
    batch: Sequence[Expectation], horizon: datetime
) -> Mapping[Series, tuple[datetime | None, datetime | None]]:
    """The newest success, and the newest sign of life of the same family, of each expectation; one query."""
    families = {row.event_type: eventtypes.family_of(row.event_type) for row in batch}
    of_families = Q()
    for family in set(families.values()):
        of_families |= Q(type__startswith=f"{family}.")
    rows = Event.objects.filter(
        of_families, client__in={row.client_id for row in batch}, received_at__gte=horizon
    ).exclude(source=portalevents.SOURCE)
    by_type: dict[Series, datetime] = {}
    by_family: dict[Series, datetime] = {}
    for client, account, kind, at in (
        rows.order_by().values_list("client", "account", "type").annotate(at=Max("occurred_at"))
    ):
        for whose in {account, None}:
            for found, name in ((by_type, kind), (by_family, eventtypes.family_of(kind))):
                found[client, whose, name] = max(at, found.get((client, whose, name), at))
    return {
        key_of(row): (
            by_type.get(key_of(row)),
            by_family.get((row.client_id, row.account_id, families[row.event_type])),
        )
        for row in batch
    }


# --- Reporting --------------------------------------------------------------------------------------------------------


def report(row: Expectation, wanted: str) -> int:
    """Say what changed, once: the row and the portal's events in one transaction; 0 when another worker did."""
    try:
        with database.writing():
            mine = Expectation.objects.filter(pk=row.pk, missing=row.missing, changes=row.changes).update(
                missing=wanted,
                missing_since=clock.now() if wanted else None,
                changes=row.changes + 1,
            )
            if not mine:
                return 0
            before, row.missing, row.changes = row.missing, wanted, row.changes + 1
            if before:
                portalevents.take(event_about(row, before, is_over=True))
            if wanted:
                portalevents.take(event_about(row, wanted, is_over=False))
    except intake.Raced:
        return 0
    return 1


def event_about(row: Expectation, kind: str, *, is_over: bool) -> Event:
    what = {Missing.BACKUP: "backup", Missing.ERROR_FREE: "error-free backup"}[Missing(kind)]
    client = Client.objects.get(pk=row.client_id)
    account = Account.objects.get(pk=row.account_id) if row.account_id else None
    whose = f"{client.name}, {account}" if account else client.name
    type_name = {
        Missing.BACKUP: ("backup.missing", "backup.resumed"),
        Missing.ERROR_FREE: ("backup.error_free_missing", "backup.error_free_resumed"),
    }[Missing(kind)][is_over]
    family = {Missing.BACKUP: "backup.missing", Missing.ERROR_FREE: "backup.error_free_missing"}[
        Missing(kind)
    ]
    parts = [family, account.key if account else "", "" if row.event_type == WATCHED[0] else row.event_type]
    last = f"{row.seen_at:%Y-%m-%d %H:%M} UTC" if row.seen_at else "never"
    source = "set by hand" if row.is_set else f"learnt from {row.learnt_from} successes of the last 30 days"
    return portalevents.make_event(
        client,
        type_name=type_name,
        severity="success" if is_over else "error",
        action="resolve" if is_over else "trigger",
        condition_key=":".join(parts).rstrip(":"),
        source_id=f"absence:{row.pk}:{row.changes}:{kind}",
        summary=f"{whose}: there is {'an' if kind != Missing.BACKUP else 'a'} {what} again"
        if is_over
        else f"No {what} of {whose} since {last}",
        details=f"Expected every {row.every_hours} hours ({source}), times {row.tolerance}. Last success: {last}.",
        account=account,
        data={"expected_every_hours": str(row.every_hours), "tolerance": str(row.tolerance)},
    )


# --- Setting ----------------------------------------------------------------------------------------------------------


def set_expectation(
    client: Client,
    *,
    every_hours: Decimal,
    tolerance: Decimal = Decimal(2),
    account: Account | None = None,
    event_type: str = WATCHED[0],
    is_enabled: bool = True,
) -> Expectation:
    """Say what is expected; from now on nothing is learnt for it. Raises ValidationError."""
    if not Decimal("0.25") <= every_hours <= 24 * 366:
        raise ValidationError({"every_hours": "Say a number of hours from 0.25 to 8784."})
    if not 1 <= tolerance <= 10:
        raise ValidationError({"tolerance": "The tolerance is a factor from 1 to 10."})
    with transaction.atomic():
        row, _ = Expectation.objects.update_or_create(
            defaults={
                "partner_id": client.partner_id,
                "every_hours": every_hours,
                "tolerance": tolerance,
                "is_set": True,
                "is_enabled": is_enabled,
            },
            client=client,
            account=account,
            event_type=event_type,
        )
    if not is_enabled:
        switch(row, is_enabled=False)
    return row


def change(
    row: Expectation,
    *,
    every_hours: Decimal | None = None,
    tolerance: Decimal | None = None,
    is_enabled: bool | None = None,
) -> None:
    """What is None stays. Who says how often, or how long to wait, says it instead of what was learnt.

    Raises ValidationError.
    """
    watches = row.is_enabled if is_enabled is None else is_enabled
    if every_hours is None and tolerance is None:
        switch(row, is_enabled=watches)
        return
    often = row.every_hours if every_hours is None else every_hours
    if often is None:
        raise ValidationError({"every_hours": "Say how often: nothing was learnt yet."})
    set_expectation(
        row.client,
        every_hours=often,
        tolerance=row.tolerance if tolerance is None else tolerance,
        account=row.account,
        event_type=row.event_type,
        is_enabled=watches,
    )


def learn_again(row: Expectation) -> None:
    """What a person said is forgotten; the next lesson decides."""
    row.is_set = False
    row.save(update_fields=["is_set"])
    learn_of([row.client_id])


def forget(client: Client, *, account: Account | None, event_type: str, is_enabled: bool = True) -> None:
    """What a person said is forgotten, and learnt again; with `is_enabled` False it is not watched either."""
    row, _ = Expectation.objects.get_or_create(
        client=client, account=account, event_type=event_type, defaults={"partner_id": client.partner_id}
    )
    if row.is_set:
        row.is_set, row.tolerance = False, Decimal(2)
        row.save(update_fields=["is_set", "tolerance"])
        learn_of([client.pk])
        row.refresh_from_db()
    switch(row, is_enabled=is_enabled)


def switch(row: Expectation, *, is_enabled: bool) -> None:
    """Watch it or not; what was reported missing is over when nobody watches."""
    Expectation.objects.filter(pk=row.pk).update(is_enabled=is_enabled)
    if not is_enabled and row.missing:
        report(row, Missing.NOTHING)
