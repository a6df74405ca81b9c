"""Which planned changes are a question first (asked by pushes, after planning and before anything is stored).

Unknown is not zero: that is withheld before planning. Here are numbers that are known and yet hard to believe: nothing
left, a jump, many clients at once, shortly before an invoice, or a line that somebody changed by hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from billing import fleet, quantities, usage
from billing.models import BilledLine, CrossReference, PushItem, PushRun, Question, Service
from billing.terms import Terms
from billing.wanted import Wanted, plain
from integrations.models import Credentials
from integrations.psa.plan import Plan, PlanItem
from portal import clock
from portal.models import Client

Kind = Question.Kind
Answer = Question.Answer
DAYS_TOLD = 14
PSA_ROUNDS = Decimal("0.01")
"""ConnectWise keeps two decimals; what differs by less is nobody's own number."""
ACCOUNTS_TOLD = 20
UNDO_WAITS = "An undo of this line waits for a yes or no under Billing > Approvals; until then it stays."
NOT_YET = "Only what somebody decided is pushed now; this waits for its push day."
TOO_LARGE = "What the line says in the PSA is too large to be true; correct it there."
FLEET_STANDS = timedelta(hours=1)


@dataclass(frozen=True)
class Reason:
    """Why a change is asked about: a kind, a sentence, and what only this guard knows."""

    kind: Kind
    text: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One service's planned change of quantity. `base` is what `after` is judged by: what the line says, but for sums,
    which begin anew each month and grow, what was to be expected by this day.
    """

    reference: CrossReference
    line_id: str
    before: Decimal
    after: Decimal
    is_new: bool
    base: Decimal

    @property
    def service(self) -> Service:
        return self.reference.service


@dataclass
class Guarded:
    """What may be written now, and what is held: by service key, the text, and the question (stored or not yet)."""

    plan: Plan
    held: dict[str, str] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)
    settled: list[Question] = field(default_factory=list)

    def store(self) -> None:
        """Inside the transaction that stores the run."""
        now = clock.now()
        for question in self.settled:
            Question.objects.filter(pk=question.pk, settled_at=None).update(settled_at=now)
        for question in self.questions.values():
            known = None if question._state.adding else ["agreement_id", "kind", "text", "evidence"]
            question.save(update_fields=known)  # an answer that was given meanwhile stays


@dataclass(frozen=True)
class Guards:
    """The guards of one client's agreement, with what they know. `known` and `standing` are by service.

    `undoing` are services of which an undo is asked for and not yet decided. `decided` are the only services, by key,
    that may be pushed now; None: all.
    """

    client: Client
    credentials: Credentials
    terms: Terms
    today: date
    known: Mapping[uuid.UUID, BilledLine]
    standing: Mapping[uuid.UUID, Question]
    undoing: Collection[uuid.UUID] = ()
    decided: Collection[str] | None = None

    @classmethod
    def of(
        cls,
        client: Client,
        credentials: Credentials,
        terms: Terms,
        today: date,
        decided: Collection[str] | None = None,
    ) -> Guards:
        """Three queries."""
        lines = BilledLine.objects.filter(client=client, credentials=credentials)
        asked = Question.objects.filter(client=client, credentials=credentials, settled_at=None)
        return cls(
            client,
            credentials,
            terms,
            today,
            {row.service_id: row for row in lines},
            {row.service_id: row for row in asked},
            being_undone(client, credentials),
            decided,
        )

    def look(self, plan: Plan, wanted: Wanted) -> Guarded:
        """What of this plan goes, and what is asked. The plan keeps every item that is not held."""
        plan = replace(
            plan, found={**plan.found, "agreement": {"next_invoice_on": wanted.next_invoices[plan.subject]}}
        )
        guarded = Guarded(plan)
        changes = changes_of(plan, wanted)
        for key in {key_of(item) for item in plan.items} | set(plan.unchanged):
            change = changes.get(key)
            reference = wanted.references[key]
            standing = self.standing.get(reference.service_id)
            if self.decided is not None and key not in self.decided:
                if key not in plan.unchanged:
                    guarded.held[key] = NOT_YET
            elif reference.service_id in self.undoing and key not in plan.unchanged:
                guarded.held[key] = UNDO_WAITS
            elif change is None:
                if standing is not None:  # the line says what is wanted: nothing is left to ask
                    guarded.settled.append(standing)
            else:
                if change.before > quantities.MOST:
                    guarded.held[key] = TOO_LARGE
                    continue
                change = replace(change, base=self.base_of(change, wanted.days[key]))
                self.judge(guarded, plan, wanted, key, change, standing)
        kept = tuple(item for item in plan.items if key_of(item) not in guarded.held)
        guarded.plan = replace(plan, items=kept)
        return guarded

    def judge(
        self,
        guarded: Guarded,
        plan: Plan,
        wanted: Wanted,
        key: str,
        change: Change,
        standing: Question | None,
    ) -> None:
        if standing is not None and standing.answer:
            verdict = self.by_answer(standing, change, plan)
            if verdict is not None:
                if verdict:
                    guarded.held[key] = verdict
                return
            guarded.settled.append(standing)
            standing = None
        if standing is not None and standing.kind == Kind.UNDONE:
            reason: Reason | None = Reason(Kind.UNDONE, standing.text)
        else:
            reason = self.reason(plan, change)
        if reason is None:
            if standing is not None:
                guarded.settled.append(standing)
            return
        since = standing.asked_at if standing is not None else clock.now()
        if standing is not None and (standing.current, standing.proposed) != (change.before, change.after):
            guarded.settled.append(standing)  # who has that one on the screen has not seen these numbers
            standing = None
        question = standing or Question(
            partner_id=self.client.partner_id,
            client=self.client,
            credentials=self.credentials,
            service=change.service,
            asked_at=since,
        )
        question.agreement_id, question.kind, question.text = plan.subject, reason.kind, reason.text
        question.current, question.proposed = change.before, change.after
        question.evidence = {**self.evidence(wanted, key, change), **reason.evidence}
        guarded.questions[key] = question
        guarded.held[key] = f"Asked first: {reason.text}"

    def base_of(self, change: Change, days: Sequence[usage.Day]) -> Decimal:
        """For a sum that of the same days of the month before; else the days of this month so far, drawn out; on its
        first day, an ordinary day of the month before.
        """
        service = change.service
        if service.aggregation != Service.Aggregation.SUM:
            return change.before
        on = days[-1].on
        rows = usage.rows_of_last_month(self.client, service.pk, on)
        if earlier := usage.same_days_last_month(rows, on):
            return quantities.quantity_of(service, earlier)
        if len(days) > 1:
            return quantities.quantity_of(service, days[:-1]) * on.day / max(days[-2].on.day, 1)
        if not rows:
            return change.before
        ordinary = usage.carried(rows)
        whole = quantities.quantity_of(service, ordinary)
        return whole if service.is_yes_no else whole / len(ordinary)

    def by_answer(self, question: Question, change: Change, plan: Plan) -> str | None:
        """What an answer says of this change: hold it (the sentence), let it go (""), or nothing (None)."""
        if question.answer == Answer.KEEP_UNTIL:
            assert question.keep_until is not None  # a constraint says
            if self.today <= question.keep_until:
                return (
                    f"Kept at {plain(change.before)} until {question.keep_until} by {question.answered_as};"
                    f" {plain(change.after)} would be pushed."
                )
            return "" if self.covers(question, change) else None
        if not self.covers(question, change):
            return None
        if question.kind == Kind.INVOICE and question.answer == Answer.KEEP:
            asked_for = question.evidence.get("next_invoice_on")
            if str(next_invoice_on(plan)) != asked_for:  # that invoice was made
                return None
        if question.answer == Answer.KEEP:
            return (
                f"Kept at {plain(change.before)} by {question.answered_as};"
                f" {plain(change.after)} would be pushed."
            )
        return ""

    def covers(self, question: Question, change: Change) -> bool:
        """Whether a person who answered had this change before their eyes, or one that differs little from it."""
        is_same_line = change.before == question.current
        is_zero_alike = bool(change.after) == bool(question.proposed)
        return is_same_line and is_zero_alike and not self.is_jump(change, question.proposed)

    # --- The guards ---------------------------------------------------------------------------------------------------

    def reason(self, plan: Plan, change: Change) -> Reason | None:
        return (
            self.by_hand(plan, change)
            or self.many(change)
            or self.nothing_left(change)
            or self.jump(change)
            or self.shortly_before_invoice(plan, change)
        )

    def by_hand(self, plan: Plan, change: Change) -> Reason | None:
        known = self.known.get(change.service.pk)
        if known is None or known.quantity is None or known.agreement_id != plan.subject:
            return None
        if known.line_id and known.line_id != change.line_id:
            return None
        ours = [quantity for quantity in (known.quantity, known.maybe) if quantity is not None]
        if any(abs(change.before - quantity) < PSA_ROUNDS for quantity in ours):
            return None
        text = (
            f"Somebody changed the line in the PSA: it said {plain(known.quantity)} when we last knew it"
            f" ({known.known_at:%Y-%m-%d}), and now says {plain(change.before)}. The usage says {plain(change.after)}."
        )
        return Reason(Kind.MANUAL, text, {"last_known": plain(known.quantity)})

    def nothing_left(self, change: Change) -> Reason | None:
        if not change.before or not change.base or change.after:
            return None
        text = f"Nothing is used any more; {plain(change.before)} {change.service.unit} would become 0."
        return Reason(Kind.ZERO, text)

    def jump(self, change: Change) -> Reason | None:
        if change.is_new or not self.is_jump(change, change.base):
            return None
        text = (
            f"{change.service.unit.capitalize()} change from {plain(change.before)} to {plain(change.after)}"
        )
        if change.base != change.before:
            text = f"{text}, where {plain(change.base.quantize(PSA_ROUNDS))} were to be expected by this day"
        return Reason(Kind.JUMP, f"{text}{percent_text(change)}: more than is let through without a yes.")

    def is_jump(self, change: Change, base: Decimal) -> bool:
        """From `base` to what is wanted; the thresholds of the service itself go before those of the level."""
        step = abs(change.after - base)
        own = change.reference
        units = own.jump_units if own.jump_units is not None else self.terms["jump_units"]
        if units is not None and step > units:
            return True
        least = 0 if own.jump_percent is not None else self.terms["jump_least"]
        return step > least and step * 100 > base * self.percent(own)

    def percent(self, own: CrossReference) -> int:
        found = own.jump_percent if own.jump_percent is not None else self.terms["jump_percent"]
        return int(found)

    def many(self, change: Change) -> Reason | None:
        percent = self.percent(change.reference)
        if change.is_new or not fleet.is_notable(change.base, change.after, percent):
            return None
        falls = change.after < change.base
        way = "fall" if falls else "rise"
        stands = Question.objects.filter(
            partner_id=self.client.partner_id,
            service=change.service,
            kind=Kind.FLEET,
            answer="",
            settled_at=None,
            evidence__way=way,
            asked_at__gt=clock.now() - FLEET_STANDS,
        ).first()
        if stands is not None:
            return Reason(Kind.FLEET, stands.text, {name: stands.evidence.get(name) for name in FLEET_FACTS})
        found = fleet.look(
            self.client.partner_id, change.service, percent=percent, falls=falls, today=self.today
        )
        if not found.is_many(self.terms["fleet_clients"]):
            return None
        text = (
            f"The {change.service.name} of {found.changed} of {found.billed} clients {way}s by half or more at once."
            " Look at the source of the usage first."
        )
        return Reason(
            Kind.FLEET, text, {"way": way, "clients_changed": found.changed, "clients_billed": found.billed}
        )

    def shortly_before_invoice(self, plan: Plan, change: Change) -> Reason | None:
        invoice_on = next_invoice_on(plan)
        if invoice_on is None or not 0 <= (invoice_on - self.today).days < self.terms["invoice_window_days"]:
            return None
        text = f"The agreement is invoiced on {invoice_on}; {plain(change.before)} would become {plain(change.after)}."
        return Reason(Kind.INVOICE, text, {"next_invoice_on": invoice_on.isoformat()})

    # --- What a person needs to decide --------------------------------------------------------------------------------

    def evidence(self, wanted: Wanted, key: str, change: Change) -> dict[str, Any]:
        """JSON: numbers as decimal text, days as ISO dates."""
        days: Sequence[usage.Day] = wanted.days[key]
        zeros = [day.on for day in days if not day.quantity]
        shares = usage.accounts_on(self.client, change.service.pk, days[-1].on)
        return {
            "before": plain(change.before),
            "after": plain(change.after),
            "unit": change.service.unit,
            "line_id": change.line_id,
            "history": [[day.on.isoformat(), plain(day.quantity)] for day in days[-DAYS_TOLD:]],
            "accounts": [[account, plain(share)] for account, share in shares[:ACCOUNTS_TOLD]],
            "accounts_left_out": max(0, len(shares) - ACCOUNTS_TOLD),
            "effective_on": (zeros[0] if zeros and not change.after else days[-1].on).isoformat(),
        }


def being_undone(client: Client, credentials: Credentials) -> set[uuid.UUID]:
    """Services whose last value is to be written back: newer usage that went first would make the undo impossible."""
    runs = PushRun.objects.filter(
        client=client,
        credentials=credentials,
        undoes__isnull=False,
        state__in=(PushRun.State.PLANNING, PushRun.State.WAITING, PushRun.State.APPROVED),
    )
    items = PushItem.objects.filter(run__in=runs.values("undoes"), state=PushItem.State.DONE)
    return set(items.values_list("service_id", flat=True))


FLEET_FACTS = ("way", "clients_changed", "clients_billed")


def key_of(item: PlanItem) -> str:
    """The service's key: a line's invoice text may be an item of its own, `<key>:description`."""
    return item.key.partition(":")[0]


def changes_of(plan: Plan, wanted: Wanted) -> dict[str, Change]:
    """By service key, the quantities that would change."""
    found = {}
    for item in plan.items:
        if "quantity" in item.after and (after := amount(item.after["quantity"])) is not None:
            before = amount(item.before.get("quantity"))
            is_new = item.action == "create" or before is None
            reference = wanted.references[key_of(item)]
            said = before or Decimal(0)
            found[key_of(item)] = Change(reference, item.record_id or "", said, after, is_new, base=said)
    return found


def amount(text: Any) -> Decimal | None:
    try:
        return Decimal(str(text)) if text is not None else None
    except InvalidOperation:  # a service that the contract lacks is “absent”
        return None


def next_invoice_on(plan: Plan) -> date | None:
    try:
        return date.fromisoformat(str((plan.found.get("agreement") or {}).get("next_invoice_on") or ""))
    except ValueError:
        return None


def percent_text(change: Change) -> str:
    if not change.base:
        return ""
    return f" ({(change.after - change.base) * 100 / change.base:+.0f} %)"
