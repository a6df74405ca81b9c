"""Plans that wait for somebody's yes (asked by pushes, the Approvals page and REST).

A stored plan never changes: what is approved is one run, and so one digest. When the agreement or the usage has changed
meanwhile, the run is void, says so, and a new one waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing import synchronize, terms
from billing.decisions import Decider, Refused
from billing.models import PushItem, PushRun
from integrations.models import Credentials, Delivery, Status
from integrations.psa.plan import Plan
from portal import clock
from portal.models import Client, Mode

State = PushRun.State
WAITS = "approval"
"""Reason of a delivery that is held until its plan is decided."""


# --- While pushing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What there is about one agreement: the run that waits or was approved, and the last one that was rejected."""

    pending: PushRun | None
    rejected: PushRun | None


def find(client: Client, credentials: Credentials, agreement_id: str) -> Found:
    """Two queries; rows are locked, because people decide meanwhile."""
    runs = PushRun.objects.filter(
        client=client, credentials=credentials, agreement_id=agreement_id, undoes=None
    )
    pending = runs.filter(state__in=(State.WAITING, State.APPROVED)).select_for_update(no_key=True).first()
    decided = Q(state=State.REJECTED) | Q(state__in=(State.DONE, State.PARTLY))
    last = runs.filter(decided).order_by("-started_at", "-id").first() if pending is None else None
    return Found(pending, last if last is not None and last.state == State.REJECTED else None)


def accepted(found: Found, plan: Plan) -> PushRun | None:
    """The run that somebody approved, when it is exactly this plan; from here on it is on its way."""
    run = found.pending
    if run is None or run.state != State.APPROVED or run.approved_digest != plan.digest:
        return None
    run.state, run.sent_at = State.PLANNED, clock.now()
    run.save(update_fields=["state", "sent_at"])
    return run


def was_rejected(found: Found, plan: Plan) -> bool:
    """Whether somebody said no to this very plan, and nothing has changed since."""
    return found.rejected is not None and changes(found.rejected.plan) == changes(plan.as_json())


def still_waits(found: Found, plan: Plan, delivery: Delivery) -> bool:
    """Whether this very plan waits already."""
    run = found.pending
    if run is None or run.state != State.WAITING or run.digest != plan.digest:
        return False
    PushRun.objects.filter(pk=run.pk).update(delivery=delivery)
    return True


def changes(plan: Mapping[str, Any]) -> list[Any]:
    """What a plan does to quantities and lines; invoice texts alone tell the day and change with it."""
    kept = [
        (
            item["key"],
            item["action"],
            item["record_id"],
            item["before"].get("quantity"),
            item["after"]["quantity"],
        )
        for item in plan.get("items", ())
        if "quantity" in item["after"]
    ]
    return sorted(kept, key=str)


def void(found: Found, plan: Plan, mode: str = Mode.APPROVE) -> list[str]:
    """A plan that was not carried out is over; of an approved one the reader is told."""
    run = found.pending
    if run is None:
        return []
    why = void_because(run, plan, mode)
    PushRun.objects.filter(pk=run.pk).update(state=State.VOID, error_text=why, finished_at=clock.now())
    return [why] if run.approved_digest else []


def void_others(client: Client, credentials: Credentials, agreements: Collection[str]) -> None:
    """Plans for agreements of which nothing is pushed now are over; a yes to them would never be carried out."""
    runs = PushRun.objects.filter(
        client=client, credentials=credentials, undoes=None, state__in=(State.WAITING, State.APPROVED)
    )
    why = "The plan is void: nothing is pushed to this agreement any longer, or its usage is not known just now."
    if runs.exclude(agreement_id__in=agreements).update(
        state=State.VOID, error_text=why, finished_at=clock.now()
    ):
        close_held(client, why)


def void_because(run: PushRun, plan: Plan, mode: str) -> str:
    was = "approved" if run.approved_digest else "waiting"
    if mode != Mode.APPROVE:
        return f"The plan that was {was} is void: the mode is {mode} now."
    if not plan.items:
        return f"The plan that was {was} is void: the agreement already says what it should, or the change is held."
    before = {item["key"]: item for item in run.plan.get("items", ())}
    for item in plan.items:
        old = before.pop(item.key, None)
        if old is None:
            return f"The plan that was {was} is void: {item.key} changes as well now. It was planned again."
        for name, value in item.before.items():
            if old["before"].get(name) != value:
                return (
                    f"The plan that was {was} is void: {name.replace('_', ' ')} of {item.key} in the PSA is {value!r}"
                    f" and was {old['before'].get(name)!r}. It was planned again."
                )
    return f"The plan that was {was} is void: the usage has changed. It was planned again."


# --- Deciding ---------------------------------------------------------------------------------------------------------


def refusal(run: PushRun, by: Decider) -> Refused | None:
    """Why this run cannot be approved by them."""
    if run.state != State.WAITING:
        return Refused(
            "not_waiting", f"This plan does not wait for approval: it is {run.get_state_display().lower()}."
        )
    if not run.needs_four_eyes:
        return None
    if by.user is None:
        return Refused("four_eyes", "Four eyes are asked for here: a person approves, not a token.")
    if by.user.pk in (run.asked_by_id, run.settings_by_id):
        what = "asked for this push" if by.user.pk == run.asked_by_id else "changed its settings last"
        return Refused("four_eyes", f"You {what}; with four eyes another Partner Senior Manager approves.")
    return None


def approve(run: PushRun, *, by: Decider) -> None:
    """Exactly this plan may be sent; it goes at once. Raises Refused.

    Four eyes that were asked for after it was planned count as well.
    """
    run.needs_four_eyes = run.needs_four_eyes or terms.for_client(run.client)["four_eyes"]
    if found := refusal(run, by):
        raise found
    with transaction.atomic():
        decide(run, State.APPROVED, by, approved_digest=run.digest, needs_four_eyes=run.needs_four_eyes)
        close_held(run.client, f"The plan was approved by {by.name}.")
        synchronize.request(run.client, cause="approved", by=by.user, at_once=True)


def reject(run: PushRun, *, by: Decider, text: str = "") -> None:
    """This plan is not sent; the same changes are not proposed again. Raises Refused."""
    if run.state != State.WAITING:
        raise Refused("not_waiting", "This plan does not wait for approval any more.")
    with transaction.atomic():
        decide(run, State.REJECTED, by, error_text=text, finished_at=clock.now())
        close_held(run.client, f"The plan was rejected by {by.name}.")
        if run.undoes_id is not None:  # what was held for it may go
            synchronize.request(run.client, cause="rejected", by=by.user, at_once=True)


def decide(run: PushRun, state: str, by: Decider, **more: Any) -> None:
    waiting = PushRun.objects.filter(pk=run.pk, state=State.WAITING, digest=run.digest)
    decided = waiting.update(
        state=state, decided_by=by.user, decided_as=by.name, decided_at=clock.now(), **more
    )
    if not decided:
        raise Refused("not_waiting", "Somebody decided about this plan at the same moment.")
    if state == State.REJECTED:
        PushItem.objects.filter(run=run, state=PushItem.State.PLANNED).update(
            state=PushItem.State.HELD, text=f"Rejected by {by.name}."
        )


def approve_many(runs: Iterable[PushRun], *, by: Decider) -> tuple[int, list[str]]:
    """How many were approved, and a sentence for each that could not be."""
    approved, refused = 0, []
    for run in runs:
        try:
            approve(run, by=by)
        except Refused as no:
            refused.append(f"{run.client}: {no.text}")
        else:
            approved += 1
    return approved, refused


def close_held(client: Client, text: str) -> None:
    """Deliveries that only waited for this decision are at rest; a new one does what was decided."""
    held = Delivery.objects.filter(
        subject=synchronize.subject_of(client.pk), status=Status.HELD, reason=WAITS
    )
    held.update(status=Status.SKIPPED, reason="decided", outcome=text)
