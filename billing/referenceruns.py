"""What a person confirmed is written into the PSA's own cross-references (asked by its page and the worker).

The run is the intent, stored before the first byte; each line is marked as sent before it is. A run that was cut off,
or got no answer, waits until the PSA has surely carried it out or not, reads the table anew, and writes only what is
still missing and still exactly what was confirmed (decision record 0033).
"""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from billing import doubts, psareferences
from billing.decisions import Decider, Refused
from billing.models import ReferenceRun
from integrations import connections
from integrations.lanes import LeaseLost
from integrations.models import Credentials
from integrations.psa.errors import PsaError, Throttled
from integrations.psa.plan import Plan, PlanItem
from integrations.psa.port import Exchange, Psa
from portal import audit, background, clock

logger = logging.getLogger(__name__)

JOB = "billing.jobs.write_references"
LEASE = timedelta(minutes=5)
"""A turn that has said nothing for so long has died; another may begin."""
MOST_TRIES = 5
GIVES_UP_AFTER = timedelta(days=1)
STOPPED_FOR = 300.0
"""Seconds until a connection that is stopped is looked at again."""
KEPT_EXCHANGES = 30
FEATURE = "cross_references"
OPEN = ("planned", "sent", "in_doubt")
OBSERVED = "Observe mode: nothing was written."
REPLACED = "This connection is not in effect any more."
FOUND = "Found in the PSA: it was carried out although no answer came."
ALREADY = "It was there already."
CHANGED = "What would be written has changed since it was shown."
LOOK_AGAIN = "Compare again: what is there is looked for first."
NO_ANSWER = "No answer came. It is looked for in the PSA before anything is sent again."
OURS = "This is our mistake; it has been logged."

Line = dict[str, Any]


# --- Asked ------------------------------------------------------------------------------------------------------------


def ask(credentials: Credentials, digest: str, *, by: Decider) -> ReferenceRun:
    """Write what was shown, soon and by the worker; in observe mode only note it. A few reads. Raises Refused.

    The yes of who pressed is the approval, as with a product that is made from Cross-references.
    """
    if under_way(credentials) is not None:
        raise Refused("under_way", "An earlier comparison is still being written. Wait until it is done.")
    plan = psareferences.compare(credentials).plan
    if not plan.items:
        raise Refused(
            "nothing_to_write", "There is nothing to write: the PSA has what can be written already."
        )
    if plan.digest != digest:
        raise Refused("changed", "What would be written has changed since it was shown; look at it again.")
    is_observed = psareferences.mode_of(credentials) == "observe"
    run = ReferenceRun(
        partner_id=credentials.partner_id,
        credentials=credentials,
        plan=plan.as_json(),
        digest=plan.digest,
        lines=[planned(item, is_observed=is_observed) for item in plan.items],
        asked_by=by.author,
        asked_as=by.name,
    )
    if is_observed:
        run.state, run.finished_at = ReferenceRun.State.OBSERVED, clock.now()
    try:
        with transaction.atomic():
            run.save(force_insert=True)
            also = sorted({*credentials.also_used, FEATURE})
            Credentials.objects.filter(pk=credentials.pk).update(also_used=also)
            if not is_observed:
                background.enqueue(JOB, str(run.pk))
    except IntegrityError:
        raise Refused("under_way", "Somebody else confirmed a comparison at the same moment.") from None
    return run


def planned(item: PlanItem, *, is_observed: bool) -> Line:
    return {
        "key": item.key,
        "action": item.action,
        "record_id": item.record_id,
        "before": dict(item.before),
        "after": dict(item.after),
        "state": "observed" if is_observed else "planned",
        "text": OBSERVED if is_observed else "",
        "advice": "",
    }


def under_way(credentials: Credentials) -> ReferenceRun | None:
    return ReferenceRun.objects.filter(credentials=credentials, finished_at=None).first()


# --- Carried out ------------------------------------------------------------------------------------------------------


def due() -> list[uuid.UUID]:
    """Runs that wait, or whose turn has died."""
    rows = ReferenceRun.objects.filter(free(), finished_at=None, due_at__lte=clock.now())
    return list(rows.order_by("due_at").values_list("pk", flat=True))


def free() -> Q:
    return Q(taken_at=None) | Q(taken_at__lt=clock.now() - LEASE)


def carry_out(run_id: uuid.UUID) -> None:
    """One turn. May run twice, late or beside itself: the others do nothing."""
    run = take(run_id)
    if run is None:
        return

    def heard(call: Exchange) -> None:
        run.exchanges = [*run.exchanges, vars(call)][-KEPT_EXCHANGES:]

    try:
        if (left := unsettled(run)) > 0:
            keep(run, due_at=clock.now() + timedelta(seconds=left), taken_at=None)
        elif not psareferences.is_offered(run.credentials):
            end(run, REPLACED)
        elif psareferences.mode_of(run.credentials) == "observe":
            end(run, OBSERVED)
        elif run.credentials.lane.breaker or run.credentials.lane.is_paused:
            again(run, STOPPED_FOR, PsaError("The connection is stopped; Status says why."), has_tried=False)
        else:
            with connections.psa_for(run.credentials, on_call=heard) as psa:
                write(psa, run)
    except LeaseLost:
        logger.info("Another process has taken over the cross-references of %s", run.credentials_id)
    except PsaError as error:
        trouble(run, error)
    except Exception as error:
        logger.exception("Cross-references could not be written by our mistake", extra={"run": str(run.pk)})
        trouble(run, PsaError(f"{type(error).__name__} in the portal. {OURS}"))


def take(run_id: uuid.UUID) -> ReferenceRun | None:
    """The run for this process alone, when it is due."""
    now = clock.now()
    rows = ReferenceRun.objects.filter(free(), pk=run_id, finished_at=None, due_at__lte=now)
    if not rows.update(taken_at=now, turn=F("turn") + 1):
        return None
    run: ReferenceRun = ReferenceRun.objects.select_related("credentials__lane").get(pk=run_id)
    return run


def keep(run: ReferenceRun, **fields: Any) -> None:
    """Raises LeaseLost when another process has the run by now, or it is over."""
    mine = ReferenceRun.objects.filter(pk=run.pk, turn=run.turn, finished_at=None)
    if not mine.update(**fields):
        raise LeaseLost
    for name, value in fields.items():
        setattr(run, name, value)


def unsettled(run: ReferenceRun) -> float:
    """For how many seconds yet a write without an answer may be carried out. A process may have died with it."""
    if run.sent_at is None:
        return 0.0
    for line in run.lines:
        if line["state"] == "sent":
            line |= {"state": "in_doubt", "text": NO_ANSWER}
    keep(run, lines=run.lines, state=ReferenceRun.State.IN_DOUBT)
    left = (run.sent_at + doubts.settles_after(run.credentials.kind) - clock.now()).total_seconds()
    if left <= 0:
        keep(run, sent_at=None)
    return left


def write(psa: Psa, run: ReferenceRun) -> None:
    """Line by line, what is still missing and still as confirmed. A line that the PSA refuses keeps no other back."""
    plan = psareferences.plan_at(psa, psareferences.wanted(run.credentials))
    items = {item.key: item for item in plan.items}
    confirmed = {item["key"]: item for item in run.plan["items"]}
    for line in run.lines:
        if line["state"] not in OPEN:
            continue
        item = items.get(line["key"])
        if item is None:
            line |= without_write(line, plan)
        elif as_stored(item) != confirmed[line["key"]]:
            line |= {"state": "failed", "text": CHANGED, "advice": LOOK_AGAIN}
        else:
            write_one(psa, run, line, replace(plan, items=(item,)))
    end(run)


def as_stored(item: PlanItem) -> Any:
    return json.loads(json.dumps(item.as_json(), default=str))


def without_write(line: Line, plan: Plan) -> Line:
    """What became of a line that needs no write any more."""
    if line["key"] in plan.unchanged:
        return {"state": "done", "text": FOUND if line["state"] == "in_doubt" else ALREADY, "advice": ""}
    finding = next((one for one in plan.findings if one.key == line["key"]), None)
    if finding is not None:
        return {"state": "failed", "text": finding.text, "advice": finding.advice}
    return {"state": "failed", "text": CHANGED, "advice": LOOK_AGAIN}


def write_one(psa: Psa, run: ReferenceRun, line: Line, plan: Plan) -> None:
    """Marked before the first byte. Raises PsaError for what is not about this line alone."""
    now = clock.now()
    line |= {"state": "sent", "text": "", "advice": ""}
    keep(run, lines=run.lines, sent_at=now, taken_at=now)
    try:
        [applied] = psa.apply(plan).items
    except PsaError as error:
        if doubts.is_of_one_record(error):
            line |= {"state": "failed", "text": error.text, "advice": error.advice}
            keep(run, lines=run.lines, sent_at=None)
            return
        is_unknown = error.outcome_unknown
        line |= {"state": "in_doubt", "text": NO_ANSWER} if is_unknown else {"state": "planned"}
        keep(run, lines=run.lines, sent_at=clock.now() if is_unknown else None)
        raise
    line |= {"state": "done", "record_id": applied.record_id}
    keep(run, lines=run.lines, sent_at=None)


# --- What came of it --------------------------------------------------------------------------------------------------


def trouble(run: ReferenceRun, error: PsaError) -> None:
    """An error that is not about one line: later again when that may help, else it is told for what is left."""
    try:
        keep(run, attempts=run.attempts + 1)
        is_final = error.needs_a_person or error.is_permanent or error.kind == "bug"
        if is_final and not error.outcome_unknown:
            end(run, error.text, error.advice)
        else:
            again(run, pause_after(run, error), error)
    except LeaseLost:
        logger.info("Another process has taken over the cross-references of %s", run.credentials_id)


def pause_after(run: ReferenceRun, error: PsaError) -> float:
    if error.outcome_unknown:
        return doubts.settles_after(run.credentials.kind).total_seconds()
    if isinstance(error, Throttled):
        return error.retry_after
    return float(settings.RETRY_DELAYS[min(run.attempts, len(settings.RETRY_DELAYS)) - 1])


def again(run: ReferenceRun, pause: float, error: PsaError, *, has_tried: bool = True) -> None:
    now = clock.now()
    if (has_tried and run.attempts >= MOST_TRIES) or now - run.asked_at > GIVES_UP_AFTER:
        end(run, error.text, error.advice)
        return
    is_in_doubt = any(line["state"] == "in_doubt" for line in run.lines)
    keep(
        run,
        state=ReferenceRun.State.IN_DOUBT if is_in_doubt else ReferenceRun.State.PLANNED,
        exchanges=run.exchanges,
        due_at=now + timedelta(seconds=pause),
        taken_at=None,
        error_text=error.text,
        advice=error.advice,
    )


def end(run: ReferenceRun, text: str = "", advice: str = "") -> None:
    """Over, with what came of each line, and an entry in the audit log."""
    for line in run.lines:
        if line["state"] in ("sent", "in_doubt"):
            line |= {"state": "in_doubt", "text": f"No answer came. {text}".strip(), "advice": LOOK_AGAIN}
        elif line["state"] == "planned":
            line |= {"state": "failed", "text": f"Not sent. {text}".strip(), "advice": advice}
    counts = counted(run)
    done = counts.get("done", 0)
    state = ReferenceRun.State.PARTLY if done else ReferenceRun.State.FAILED
    if done == len(run.lines):
        state = ReferenceRun.State.DONE
    with transaction.atomic():
        keep(
            run,
            state=state,
            lines=run.lines,
            exchanges=run.exchanges,
            error_text=text,
            advice=advice,
            sent_at=None,
            taken_at=None,
            finished_at=clock.now(),
        )
        audit.note(
            "write cross-references",
            actor=run.asked_as,
            partner_id=run.partner_id,
            target=str(run.credentials.level),
            details={
                "run": str(run.pk),
                **counts,
                "lines": [f"{line['action']} {line['key']}: {line['state']}" for line in run.lines],
            },
        )


def counted(run: ReferenceRun) -> dict[str, int]:
    """How many lines are in which state."""
    states = [line["state"] for line in run.lines]
    return {state: states.count(state) for state in sorted(set(states))}
