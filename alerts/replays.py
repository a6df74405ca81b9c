"""Replays asked for and carried out: a span of the past through today's rules and a draft's (asked by page, REST,
command and worker).

A replay reads events and rules and writes nothing but its own row.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from alerts import drafts, labresult
from alerts.models import Replay, RuleDraft
from integrations.models import Event
from portal import background, clock
from portal.models import Partner

logger = logging.getLogger(__name__)
JOB = "alerts.jobs.replay"
SECONDS = 170
"""The worker's patience with one replay; below the time after which a job counts as lost."""
MOST_EVENTS = 400_000
LONGEST = timedelta(days=92)
LOST_AFTER = timedelta(minutes=5)
KEPT = 50
"""So many replays are kept a partner."""
SPANS = (7, 30, 90)


def span_of(days: int) -> tuple[datetime, datetime]:
    """The last days, up to now."""
    now = clock.now()
    return now - timedelta(days=days), now


def begin(
    partner: Partner, since: datetime, until: datetime, draft: RuleDraft | None = None, *, by: str = ""
) -> Replay:
    """Ask for it; the worker carries it out. The draft counts as it is now. Raises ValidationError."""
    refuse(since, until)
    with transaction.atomic():
        old = Replay.objects.filter(partner=partner).order_by("-asked_at", "-pk").values_list("pk", flat=True)
        Replay.objects.filter(pk__in=list(old[KEPT - 1 :])).delete()
        row: Replay = Replay.objects.create(
            partner=partner,
            since=since,
            until=until,
            draft=draft,
            draft_name=draft.name if draft else "",
            document=draft.document if draft else None,
            asked_by=by[:254],
        )
        background.enqueue(JOB, str(row.pk), timeout=SECONDS)
    return row


def refuse(since: datetime, until: datetime) -> None:
    """Raises ValidationError for a span that cannot be replayed."""
    if until <= since:
        raise ValidationError({"until": "It ends before it begins."})
    if since >= clock.now():
        raise ValidationError({"since": "This lies in the future: only what was can be replayed."})
    if until - since > LONGEST:
        raise ValidationError({"since": f"A replay is about {LONGEST.days} days at most."})


def events_in(partner: Partner, since: datetime, until: datetime) -> int:
    rows = Event.objects.filter(partner=partner, received_at__gte=since, received_at__lt=until)
    return rows[: MOST_EVENTS + 1].count()


def carry_out(key: str) -> bool:
    """Once; False when somebody else does or did it. What cannot be replayed says why on its row."""
    rows = Replay.objects.filter(pk=key)
    if not rows.filter(state=Replay.State.WAITING).update(state=Replay.State.RUNNING, moved_at=clock.now()):
        return False
    row = rows.select_related("partner").get()
    running = rows.filter(state=Replay.State.RUNNING)
    try:
        result = result_of(
            row.partner,
            row.since,
            row.until,
            row.document,
            tell=lambda events: running.update(events=events, moved_at=clock.now()),
        )
    except ValidationError as refusal:
        fail(running, " ".join(refusal.messages))
    except Exception:
        logger.exception("Replay %s failed", key)
        fail(
            running, "It could not be carried out, by a mistake of ours. It is in our log; please try again."
        )
    else:
        running.update(
            state=Replay.State.DONE, result=result, events=result["events"], finished_at=clock.now()
        )
    return True


def fail(running: Any, trouble: str) -> None:
    running.update(state=Replay.State.FAILED, trouble=trouble[:500], finished_at=clock.now())


def result_of(
    partner: Partner, since: datetime, until: datetime, document: Any = None, **more: Any
) -> dict[str, Any]:
    """The result (`alerts.labresult`), reckoned here and now. Raises ValidationError for a draft that has become
    impossible, and for too many events."""
    refuse(since, until)
    if events_in(partner, since, until) > MOST_EVENTS:
        raise ValidationError(f"More than {MOST_EVENTS:,} events came in this span; choose a shorter one.")
    rules = drafts.rules_of(partner, document) if document is not None else None
    return labresult.of_span(partner, since, until, rules, **more)


def look_after() -> None:
    """What a worker left undone is said to have failed, rather than to run for ever."""
    lost = clock.now() - LOST_AFTER
    for row in Replay.objects.filter(state=Replay.State.RUNNING, moved_at__lt=lost):
        fail(
            Replay.objects.filter(pk=row.pk, state=Replay.State.RUNNING),
            "The worker was stopped meanwhile. Please ask again.",
        )
    for key in Replay.objects.filter(state=Replay.State.WAITING, moved_at__lt=lost).values_list(
        "pk", flat=True
    ):
        again(key)


def again(key: uuid.UUID) -> None:
    """Handed over once more: its job was lost."""
    with transaction.atomic():
        if Replay.objects.filter(pk=key, state=Replay.State.WAITING).update(moved_at=clock.now()):
            background.enqueue(JOB, str(key), timeout=SECONDS)
