"""Changes that wait for a person's answer (asked by the Approvals page, REST and pushes)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from django.db import transaction
from django.db.models import QuerySet

from billing import synchronize
from billing.decisions import Decider, Refused
from billing.guards import key_of
from billing.models import Question
from integrations.models import Credentials
from integrations.psa.plan import Plan
from portal import clock
from portal.models import Client

LONGEST = timedelta(days=400)


def open_ones(found: QuerySet[Question]) -> QuerySet[Question]:
    return found.filter(settled_at=None, answer="")


def answer(question: Question, answer: str, *, by: Decider, until: date | None = None) -> None:
    """Say what becomes of one change; the client is synchronized at once. Raises Refused."""
    answer_all([question], answer, by=by, until=until)


def answer_all(questions: Iterable[Question], answer: str, *, by: Decider, until: date | None = None) -> int:
    """The same answer to several questions; those that were answered or settled meanwhile are left alone.

    Returns how many took it. Raises Refused when the answer itself is wrong.
    """
    rows = list(questions)
    for zone in {row.client.partner.time_zone for row in rows} or {"UTC"}:
        refuse_wrong(answer, until, clock.today_in(zone))
    with transaction.atomic():
        waiting = Question.objects.filter(pk__in=[row.pk for row in rows], answer="", settled_at=None)
        keys = set(waiting.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        Question.objects.filter(pk__in=keys).update(
            answer=answer,
            keep_until=until if answer == Question.Answer.KEEP_UNTIL else None,
            answered_at=clock.now(),
            answered_by=by.author,
            answered_as=by.name,
        )
        if answer == Question.Answer.PUSH:
            taken = {row.client_id: row.client for row in rows if row.pk in keys}
            synchronize.request_many(taken.values(), cause="answered", by=by.author, at_once=True)
    return len(keys)


def refuse_wrong(answer: str, until: date | None, today: date) -> None:
    """`today` is that of the partner."""
    if answer not in Question.Answer.values:
        raise Refused("unknown_answer", f"The answer is one of {', '.join(Question.Answer.values)}.")
    if answer != Question.Answer.KEEP_UNTIL:
        return
    if until is None:
        raise Refused("day_missing", "Say until which day yours is kept.")
    if not today <= until <= today + LONGEST:
        raise Refused("day_out_of_range", "Choose a day from today on, within the next 400 days.")


def settle(client: Client, credentials: Credentials, plan: Plan) -> None:
    """What somebody let through has gone through."""
    keys = {key_of(item) for item in plan.items}
    if keys:
        rows = Question.objects.filter(client=client, credentials=credentials, settled_at=None)
        rows.filter(service__key__in=keys).exclude(answer="").update(settled_at=clock.now())
