"""Plans that wait for somebody's yes (asked by pushes, the Approvals page and REST).

A stored plan never changes: what is approved is one run, and so one digest. When the agreement or the usage has changed
meanwhile, the run is void, says so, and a new one waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from billing import hands, synchronize, terms
from billing.decisions import Decider, Refused
from billing.guards import UNDO_WAITS
from billing.models import PushItem, PushRun, Question
from billing.wanted import plain
from integrations.models import Credentials, Delivery, Status
from integrations.psa.plan import Plan
from integrations.psa.wanted import WantedLines
from portal import clock
from portal.models import Client, Mode

State = PushRun.State
WAITS = "approval"
"""Reason of a delivery that is held until its plan is decided."""
UNDECIDED = (State.PLANNING, State.WAITING, State.APPROVED)
ELSEWHERE = "It was for another PSA connection than the one in effect now; nothing is written there any more."


# --- While pushing ---------------------------------------------------------------------------------------------------


def from_the_same_day(lines: WantedLines, client: Client, credentials: Credentials) -> WantedLines:
    """A plan of the day before is still the same plan: its changes count from the day that was shown."""
    runs = PushRun.objects.filter(
        client=client, credentials=credentials, agreement_id=lines.agreement_id, undoes=None
    )
    pending = runs.filter(state__in=(State.WAITING, State.APPROVED)).values_list("plan", flat=True).first()
    days = days_shown(pending or {})
    if not days:
        return lines
    kept = (replace(line, effective_on=days.get((line.key, plain(line.quantity)))) for line in lines.lines)
    return replace(lines, lines=tuple(kept))


def days_shown(plan: Mapping[str, Any]) -> dict[tuple[str, str], date]:
    """By service key and quantity, the day from which a change counts, where the PSA knows such a day."""
    return {
        (item["key"].partition(":")[0], str(item["after"]["quantity"])): date.fromisoformat(day)
        for item in plan.get("items", ())
        if "quantity" in item["after"] and (day := item["after"].get("effective_on"))
    }


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
    """Plans for agreements of which nothing is pushed now, and those of a connection that is no longer in effect, are
    over; a yes to them would never be carried out. So are questions and undos of such a connection.
    """
    runs = PushRun.objects.filter(client=client, undoes=None, state__in=(State.WAITING, State.APPROVED))
    here = Q(credentials=credentials)
    why = "The plan is void: nothing is pushed to this agreement any longer, or its usage is not known just now."
    idle = runs.filter(here).exclude(agreement_id__in=agreements)
    gone = runs.exclude(here)
    for void, text in ((idle, why), (gone, ELSEWHERE)):
        if void.update(state=State.VOID, error_text=text, finished_at=clock.now()):
            close_held([client], text)
    undos = PushRun.objects.filter(client=client, undoes__isnull=False, state__in=UNDECIDED).exclude(here)
    undos.update(state=State.FAILED, error_text=ELSEWHERE, finished_at=clock.now())
    Question.objects.filter(client=client, settled_at=None).exclude(here).update(settled_at=clock.now())


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


def decided(client: Client, credentials: Credentials, agreement_id: str) -> set[str]:
    """Keys of services about which somebody has decided: a plan of theirs waits or is approved, a question was answered
    with “push it”, or an undo for which they were held is over. Three queries.
    """
    runs = PushRun.objects.filter(
        client=client, credentials=credentials, agreement_id=agreement_id, undoes=None
    )
    keys = {
        item["key"].partition(":")[0]
        for plan in runs.filter(state__in=(State.WAITING, State.APPROVED)).values_list("plan", flat=True)
        for item in plan.get("items", ())
    }
    answered = Question.objects.filter(client=client, credentials=credentials, settled_at=None)
    keys |= set(answered.filter(answer=Question.Answer.PUSH).values_list("service__key", flat=True))
    newest = runs.exclude(state=State.VOID).order_by("-id").values("pk")[:1]
    held = PushItem.objects.filter(run__in=newest, state=PushItem.State.HELD, text=UNDO_WAITS)
    return keys | set(held.values_list("service__key", flat=True))


# --- Deciding ---------------------------------------------------------------------------------------------------------


def refusals(runs: Sequence[PushRun], by: Decider) -> dict[uuid.UUID, Refused]:
    """Why runs, which come with their clients, cannot be approved by them. Three queries a partner with four eyes."""
    changed = hands.on_plans([run for run in runs if run.needs_four_eyes]) if by.user is not None else {}
    found = {run.pk: refusal(run, by, changed.get(run.pk, ())) for run in runs}
    return {key: no for key, no in found.items() if no is not None}


def refusal(run: PushRun, by: Decider, changed: Collection[uuid.UUID]) -> Refused | None:
    """`changed`: who changed what the plan depends on."""
    if run.state != State.WAITING:
        return Refused(
            "not_waiting", f"This plan does not wait for approval: it is {run.get_state_display().lower()}."
        )
    if not run.needs_four_eyes:
        return None
    if by.user is None:
        return Refused("four_eyes", "Four eyes are asked for here: a person approves, not a token.")
    if by.user.pk == run.asked_by_id:
        what = "asked for this push"
    elif by.user.pk == run.settings_by_id:
        what = "changed its settings last"
    elif by.user.pk in changed:
        what = "changed its settings since the last plan that was approved or pushed"
    else:
        return None
    return Refused("four_eyes", f"You {what}; with four eyes another Partner Senior Manager approves.")


def approve(run: PushRun, *, by: Decider) -> None:
    """Exactly this plan may be sent; it goes at once. Raises Refused."""
    for no in approve_all([run], by=by).values():
        raise no


def reject(run: PushRun, *, by: Decider, text: str = "") -> None:
    """This plan is not sent; the same changes are not proposed again. Raises Refused."""
    for no in reject_all([run], by=by, text=text).values():
        raise no


def approve_all(runs: Iterable[PushRun], *, by: Decider) -> dict[PushRun, Refused]:
    """Exactly these plans may be sent; they go at once. Returns those that could not be approved, each with the reason.

    Four eyes that were asked for after a run was planned count as well. The number of queries does not depend on that
    of the runs, which come with their clients.
    """
    runs = list(runs)
    refused: dict[PushRun, Refused] = {}
    chosen: list[PushRun] = []
    agreed: dict[uuid.UUID, terms.TermsOf] = {}
    for run in runs:
        if run.partner_id not in agreed:
            agreed[run.partner_id] = terms.TermsOf.of(run.partner_id)
        run.needs_four_eyes |= agreed[run.partner_id].for_client(run.client)["four_eyes"]
    why = refusals(runs, by)
    for run in runs:
        if no := why.get(run.pk):
            refused[run] = no
        else:
            chosen.append(run)
    with transaction.atomic():
        ours = still_waiting(chosen, refused)
        for four_eyes in (False, True):
            some = [run.pk for run in ours if run.needs_four_eyes == four_eyes]
            decide(some, State.APPROVED, by, approved_digest=F("digest"), needs_four_eyes=four_eyes)
        close_held([run.client for run in ours], f"The plan was approved by {by.name}.")
        synchronize.request_many(clients_of(ours), cause="approved", by=by.author, at_once=True)
    return refused


def reject_all(runs: Iterable[PushRun], *, by: Decider, text: str = "") -> dict[PushRun, Refused]:
    """These plans are not sent; the same changes are not proposed again. Returns those that could not be rejected."""
    refused: dict[PushRun, Refused] = {}
    chosen: list[PushRun] = []
    for run in runs:
        if run.state == State.WAITING:
            chosen.append(run)
        else:
            refused[run] = Refused("not_waiting", "This plan does not wait for approval any more.")
    with transaction.atomic():
        ours = still_waiting(chosen, refused)
        keys = [run.pk for run in ours]
        decide(keys, State.REJECTED, by, error_text=text, finished_at=clock.now())
        planned = PushItem.objects.filter(run__in=keys, state=PushItem.State.PLANNED)
        planned.update(state=PushItem.State.HELD, text=f"Rejected by {by.name}.")
        close_held([run.client for run in ours], f"The plan was rejected by {by.name}.")
        undos = [run for run in ours if run.undoes_id is not None]  # what was held for them may go
        synchronize.request_many(clients_of(undos), cause="rejected", by=by.author, at_once=True)
    return refused


def still_waiting(runs: Sequence[PushRun], refused: dict[PushRun, Refused]) -> list[PushRun]:
    """Those that nobody has decided about, or planned again, since they were read; they are locked."""
    rows = PushRun.objects.filter(pk__in=[run.pk for run in runs], state=State.WAITING).order_by("pk")
    digests = dict(rows.select_for_update(no_key=True).values_list("pk", "digest"))
    ours = []
    for run in runs:
        if digests.get(run.pk) == run.digest:
            ours.append(run)
        else:
            refused[run] = Refused("not_waiting", "Somebody decided about this plan at the same moment.")
    return ours


def decide(keys: Sequence[uuid.UUID], state: str, by: Decider, **more: Any) -> None:
    if keys:
        PushRun.objects.filter(pk__in=keys, state=State.WAITING).update(
            state=state, decided_by=by.user, decided_as=by.name, decided_at=clock.now(), **more
        )


def clients_of(runs: Iterable[PushRun]) -> list[Client]:
    return list({run.client_id: run.client for run in runs}.values())


def sentences(refused: Mapping[PushRun, Refused]) -> list[str]:
    return [f"{run.client}: {no.text}" for run, no in refused.items()]


def close_held(clients: Iterable[Client], text: str) -> None:
    """Deliveries that only waited for this decision are at rest; a new one does what was decided."""
    subjects = {synchronize.subject_of(client.pk) for client in clients}
    held = Delivery.objects.filter(subject__in=subjects, status=Status.HELD, reason=WAITS)
    held.update(status=Status.SKIPPED, reason="decided", outcome=text)
