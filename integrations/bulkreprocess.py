"""Reprocess all that a search finds, or first count what that would do (asked by the event log and REST).

The worker goes through the log in steps, each a transaction of its own that also moves the cursor: killed in between it
goes on where it was, and two workers at the same one take turns.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta

from django.db import transaction

from integrations import eventlog, eventsearch
from integrations.eventlog import REPROCESS_AT_ONCE, Verdict
from integrations.eventsearch import EventFilter, Place
from integrations.models import BulkReprocess, Delivery, Event
from portal import background, clock
from portal.models import Partner

STEP = 2_000
"""Events that are looked at in one transaction."""
STEPS_A_TURN = 25
LOST_AFTER = timedelta(minutes=3)
JOB = "integrations.jobs.bulk_reprocess"


def begin(partner: Partner, wanted: EventFilter, *, is_dry_run: bool, by: str) -> BulkReprocess:
    """Ask for it; events that come in from now on are not touched. Raises `eventgrammar.NotUnderstood`."""
    eventsearch.search(Event.objects.none(), wanted)
    with transaction.atomic():
        row = BulkReprocess.objects.create(
            partner=partner,
            wanted=wanted.as_json(),
            is_dry_run=is_dry_run,
            asked_by=by,
            cursor=clock.new_id(),
        )
        background.enqueue(JOB, str(row.pk))
    return row


def stop(row: BulkReprocess) -> bool:
    """What was put back already stays so; False when it had ended."""
    return bool(
        BulkReprocess.objects.filter(pk=row.pk, state=BulkReprocess.State.RUNNING).update(
            state=BulkReprocess.State.STOPPED, finished_at=clock.now()
        )
    )


def take_turn(key: str) -> None:
    """Some steps; when more are to be done they are left to the next turn."""
    for _ in range(STEPS_A_TURN):
        if not step(key):
            return
    background.enqueue(JOB, key)


def step(key: str) -> bool:
    """One step; False when there is nothing more to do."""
    with transaction.atomic():
        row = BulkReprocess.objects.select_for_update().filter(pk=key).first()
        if row is None or row.state != BulkReprocess.State.RUNNING:
            return False
        mine = Event.objects.filter(partner=row.partner_id)
        start = Place(row.cursor_at, row.cursor)
        events, end = eventsearch.walk(mine, EventFilter.of_json(row.wanted), start, step=STEP)
        row.events += len(events)
        row.verdicts = dict(Counter(row.verdicts) + handle(events, is_dry_run=row.is_dry_run))
        row.moved_at = clock.now()
        if end is None:
            row.state, row.finished_at = BulkReprocess.State.DONE, row.moved_at
        else:
            row.cursor_at, row.cursor = end.value, end.id
        row.save()
    return end is not None


def handle(events: list[uuid.UUID], *, is_dry_run: bool) -> Counter[str]:
    """The deliveries of these events, by what became of them."""
    counted: Counter[str] = Counter()
    for first in range(0, len(events), REPROCESS_AT_ONCE):
        keys = list(
            Delivery.objects.filter(event__in=events[first : first + REPROCESS_AT_ONCE])
            .order_by("id")
            .values_list("pk", flat=True)
        )
        for place in range(0, len(keys), REPROCESS_AT_ONCE):
            these = keys[place : place + REPROCESS_AT_ONCE]
            verdicts = eventlog.foresee(Delivery.objects.filter(pk__in=these))
            counted.update(verdict.value for verdict in verdicts.values())
            if not is_dry_run:
                eventlog.reprocess_these(these)
    return counted


def look_after() -> None:
    """Whatever stands still, because its job was lost, is handed over again."""
    lost = BulkReprocess.objects.filter(
        state=BulkReprocess.State.RUNNING, moved_at__lt=clock.now() - LOST_AFTER
    )
    for key in lost.values_list("pk", flat=True):
        background.enqueue(JOB, str(key))


def to_do(row: BulkReprocess) -> int:
    """How many deliveries a dry run found that would be tried again, now or sooner than they would be."""
    return int(row.verdicts.get(Verdict.AGAIN, 0) + row.verdicts.get(Verdict.SOONER, 0))


def told(row: BulkReprocess) -> list[tuple[str, int]]:
    """How many deliveries, by what becomes of them, in the order of `Verdict`."""
    return [
        (verdict.label, row.verdicts[verdict.value]) for verdict in Verdict if verdict.value in row.verdicts
    ]
