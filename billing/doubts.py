"""Writing an agreement's lines without ever sending one twice (asked by pushes).

Neither PSA lets us find a line by a key of ours, and Autotask's changes cannot be read back: a write without an answer
may be carried out much later. So the run is the intent, committed before the first byte: `PushRun.sent_at` is set
while a write of it may be on its way, and taken back only by a clear answer, or by time. Until then nothing more is
sent for the client, whoever asks and whichever process it is; then the lines are read and planned anew.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from billing import billedlines
from billing.guards import key_of
from billing.models import PushItem, PushRun
from integrations.lanes import LeaseLost
from integrations.models import Status
from integrations.outcomes import Outcome
from integrations.psa import kinds
from integrations.psa.errors import AddressRefused, Misconfigured, PsaError, Rejected
from integrations.psa.plan import Plan, PlanItem
from integrations.psa.port import Psa
from portal import clock
from portal.models import Client

DIED = "The dispatcher ended while this was written, so whether it was carried out is not known."
NOT_SENT = "Not sent: the push ended before this line."


def carry_out(psa: Psa, run: PushRun, plan: Plan) -> None:
    """Write line by line, and note of each what came of it; the error goes on to the lane.

    A line that the PSA refuses does not keep the others back; its error is raised at the end.
    Raises LeaseLost, with nothing sent, when another process has taken over and declared the run in doubt.
    """
    written: set[str] = set()
    refused: dict[str, PsaError] = {}
    services = billedlines.services_of(run)
    billedlines.intend(run, plan)
    for item in plan.items:
        key = key_of(item)
        if key in refused:  # its invoice text tells a quantity that the line does not have
            continue
        on_its_way(run)
        try:
            [applied] = psa.apply(replace(plan, items=(item,))).items
        except PsaError as error:
            if is_of_one_record(error):
                refused[key] = error
                planned = run.items.filter(service__key=key, state=PushItem.State.PLANNED)
                planned.update(state=PushItem.State.FAILED, text=error.text)
                continue
            failed(run, item, error, is_partly=bool(written))
            raise
        written.add(item.key)
        billedlines.written(run, services[key], item, applied.record_id)
        if key == item.key:
            run.items.filter(service__key=key).update(state=PushItem.State.DONE, line_id=applied.record_id)
    run.state, run.sent_at, run.finished_at = PushRun.State.DONE, None, clock.now()
    first = next(iter(refused.values()), None)
    if first is not None:
        run.state = PushRun.State.PARTLY if written else PushRun.State.FAILED
        run.error_text = first.text
    run.save(update_fields=["state", "sent_at", "finished_at", "error_text"])
    if first is not None:
        raise first


def is_of_one_record(error: PsaError) -> bool:
    """A clear no to one line or agreement; the next one may well be taken."""
    is_clear = isinstance(error, Rejected | Misconfigured) and not error.outcome_unknown
    return is_clear and not isinstance(error, AddressRefused)


def on_its_way(run: PushRun) -> None:
    """Committed before the first byte."""
    ours = PushRun.objects.filter(pk=run.pk, state=PushRun.State.PLANNED)
    if not ours.update(sent_at=clock.now()):
        raise LeaseLost


def failed(run: PushRun, item: PlanItem, error: PsaError, *, is_partly: bool) -> None:
    """A clear answer ends the doubt; without one it counts from now, because the answer was waited for until now."""
    now = clock.now()
    with transaction.atomic():
        if error.outcome_unknown:
            run.state, run.sent_at = PushRun.State.IN_DOUBT, now
        else:
            run.state = PushRun.State.PARTLY if is_partly else PushRun.State.FAILED
            run.sent_at = None
        run.error_text, run.finished_at = error.text, now
        run.save(update_fields=["state", "sent_at", "error_text", "finished_at"])
        state = PushItem.State.IN_DOUBT if error.outcome_unknown else PushItem.State.FAILED
        close_items(run, key_of(item), state, error.text)


def close_items(run: PushRun, last: str, state: str, text: str) -> None:
    """The last line that was tried gets its state; those after it were never sent."""
    planned = run.items.filter(state=PushItem.State.PLANNED)
    planned.filter(service__key=last).update(state=state, text=text)
    planned.update(state=PushItem.State.FAILED, text=NOT_SENT)


# --- Until it is sure ------------------------------------------------------------------------------------------------


def unsettled(client: Client) -> Outcome | None:
    """Wait, while a write of an earlier run of this client may still be carried out; None when all is sure.

    A run that is still planned was left by a process that died: the doubt counts from now, because that process may
    have sent until it lost its lane.
    """
    with transaction.atomic():
        runs = PushRun.objects.filter(client=client, sent_at__isnull=False).select_related("credentials")
        runs = runs.defer("credentials__secret").select_for_update(no_key=True, of=("self",))
        rests = [rest_of(run) for run in runs.order_by("pk")]
    left = max(rests, default=0.0)
    return wait(left) if left > 0 else None


def rest_of(run: PushRun) -> float:
    """For how many seconds yet it may be carried out. What is sure by now is closed. The row is locked."""
    now = clock.now()
    if run.state == PushRun.State.PLANNED:
        done = set(run.items.filter(state=PushItem.State.DONE).values_list("service__key", flat=True))
        close_items(run, first_but(run, done), PushItem.State.IN_DOUBT, DIED)
        run.state, run.sent_at, run.error_text, run.finished_at = PushRun.State.IN_DOUBT, now, DIED, now
    assert run.sent_at is not None  # the query's condition
    left = (run.sent_at + settles_after(run.credentials.kind) - now).total_seconds()
    if left <= 0:
        run.sent_at = None
        if run.undoes_id is not None:  # what is sure by now may be asked for again
            is_partly = run.items.filter(state=PushItem.State.DONE).exists()
            run.state = PushRun.State.PARTLY if is_partly else PushRun.State.FAILED
    run.save(update_fields=["state", "sent_at", "error_text", "finished_at"])
    return left


def first_but(run: PushRun, done: Collection[str]) -> str:
    """The line that may have been on its way: the plan's first that is not known to be written.

    A line's invoice text may be a plan item of its own, `<key>:description`.
    """
    keys = [item["key"].partition(":")[0] for item in run.plan.get("items", ())]
    return next((key for key in keys if key not in done), "")


def settles_after(kind: str) -> timedelta:
    """How long after its last moment a write without an answer may still be carried out, or not yet be seen.

    The longest, when the connection has since become one to no PSA.
    """
    ours = settings.PSA_DEADLINE + sum(settings.SEARCH_DELAYS)
    theirs = {name: abilities.writes_settle_after for name, abilities in kinds.ABILITIES.items()}
    return timedelta(seconds=max(ours, theirs.get(kind, max(theirs.values()))))


def wait(seconds: float) -> Outcome:
    text = (
        "An earlier write to this client's agreement got no answer and may still be carried out; nothing more is sent"
        f" until that is sure, in {seconds:.0f} seconds. Then the agreement is read and planned anew."
    )
    return Outcome(status=Status.WAITING, reason="unsettled", text=text, again_in=seconds)
