"""Make the agreement in the PSA say what the client used (asked by the dispatcher).

wanted -> plan -> guards -> stored run -> (held for approval | apply). The run is stored, with before and after of every
line, before anything is written; it is the unit of undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from billing import billedlines, doubts, proposals, quantities, questions, synchronize, terms, undo, usage
from billing.guards import Guarded, Guards, amount
from billing.models import PushItem, PushRun, Schedule, SynchronizeOrder
from billing.terms import Terms
from billing.wanted import Wanted, agreement_links, wanted_for
from integrations import companies, effective, outcomes
from integrations.dispatcher import Task
from integrations.models import Credentials, Delivery, Status
from integrations.outcomes import Outcome
from integrations.psa.errors import PsaError
from integrations.psa.plan import Plan, PlanItem
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedLine, WantedLines
from portal import (
    chaos,
    clock,
    disabled,
)
from portal.models import (
    Client,
    Mode,
)

UNSETTLED = "units_unsettled"
"""The adapter's finding that an earlier change of a line, by whomever, may still be carried out."""
LOOK_AGAIN = 60.0
ASKED = "asked"
"""The reason of an item that a guard holds; its question says more."""


@dataclass
class Pushed:
    """What the runs of one synchronization did, in numbers for the sentence on the delivery."""

    written: int = 0
    waiting: int = 0
    unchanged: int = 0
    held: int = 0
    plans: list[Plan] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


# --- The dispatcher's handler ---------------------------------------------------------------------------------------


class Pushes:
    """The dispatcher's handler for the action *synchronize*. Rare and slow, so each task looks up its own facts."""

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        tasks: list[Task | tuple[Delivery, Outcome]] = []
        in_effect = effective.lanes_of({row.client_id: row.client for row in deliveries}.values())
        off = disabled.of(row.client_id for row in deliveries)
        for delivery in deliveries:
            assert delivery.lane is not None  # a running delivery has one, a constraint says
            lane = in_effect[delivery.client_id]
            if stop := off.get(delivery.client_id):
                tasks.append((delivery, outcomes.held(disabled.REASON, stop.sentence)))
            elif lane is None:
                tasks.append((delivery, outcomes.without_psa()))
            elif lane.pk != delivery.lane_id:
                tasks.append((delivery, outcomes.elsewhere(lane)))
            else:
                tasks.append(PushTask(delivery, delivery.lane.credentials))
        return tasks

    def record(self, results: Sequence[tuple[Delivery, Outcome]]) -> None:
        for delivery, outcome in results:
            if as_of := outcome.facts.get("as_of"):
                synchronize.succeeded(delivery.client, as_of=as_of)
            if delivery.status == Status.WAITING and synchronize.take_over(delivery):
                give_way(delivery)


def give_way(delivery: Delivery) -> None:
    """A newer synchronization of the same client waits already: it will do what this one could not."""
    delivery.status, delivery.reason = Status.SKIPPED, "superseded"
    delivery.outcome = (
        f"{delivery.outcome} A newer synchronization of this client waits and takes over.".strip()
    )
    delivery.finished_at = clock.now()


@dataclass
class PushTask:
    """One synchronization of one client."""

    delivery: Delivery
    credentials: Credentials

    def run(self, psa: Psa) -> Outcome:
        """Uses the database between calls, never around one."""
        client = Client.objects.select_related("partner").get(pk=self.delivery.client_id)
        if waits := doubts.unsettled(client):
            return waits
        undone = undo.take_up(psa, client, self.credentials, self.delivery)
        company = companies.links_of([client.pk], [self.credentials.pk]).get((client.pk, self.credentials.pk))
        if company is None:
            return outcomes.held(
                companies.WAITS, f"{client.name} is not mapped to a PSA company. Map it first."
            )
        if not company:
            return outcomes.skipped("client_skipped", f"{client.name} is mapped to “skip”.")
        agreed = terms.TermsOf.of(client.partner_id)
        in_effect = agreed.for_client(client)
        if not in_effect["is_enabled"]:
            proposals.void_others(client, self.credentials, ())
            return outcomes.skipped(
                "billing_off", f"{undone}Billing is switched off for {client.name}.".strip()
            )
        as_of = clock.now()
        wanted = wanted_for(client, self.credentials, company, today=usage.today_for(client), terms=in_effect)
        proposals.void_others(client, self.credentials, [row.agreement_id for row in wanted.agreements])
        if not wanted.agreements:
            return nothing_to_push(wanted, undone)
        order = synchronize.order_of(self.delivery)
        return Push(self, psa, client, wanted, agreed, in_effect, as_of, order, undone).carry_out()


@dataclass
class Push:
    """All agreements of one client, one after the other. `as_of` is when usage was read.

    A narrow order of a client who has a push day carries out what people have decided, and no more.
    """

    task: PushTask
    psa: Psa
    client: Client
    wanted: Wanted
    agreed: terms.TermsOf
    terms: Terms
    as_of: datetime
    order: SynchronizeOrder
    undone: str = ""
    pushed: Pushed = field(default_factory=Pushed)

    def carry_out(self) -> Outcome:
        self.pushed.held = len(self.wanted.withheld)
        refused: PsaError | None = None
        for lines in self.wanted.agreements:
            try:
                self.agreement(lines)
            except IntegrityError:  # a process that lost its lane stored its own at the last moment
                if waits := doubts.unsettled(self.client):
                    return waits
                raise
            except PsaError as error:
                if not doubts.is_of_one_record(error):
                    raise
                refused = refused or error
        if refused is not None:  # the other agreements are pushed
            raise refused
        return self.outcome()

    @property
    def is_narrow(self) -> bool:
        return self.order.is_narrow and self.terms["schedule"] != Schedule.CONTINUOUS

    def agreement(self, lines: WantedLines) -> None:
        decided = None
        if self.is_narrow:
            decided = proposals.decided(self.client, self.task.credentials, lines.agreement_id)
            if not decided & {line.key for line in lines.lines}:
                return
        if self.terms.mode == Mode.APPROVE:
            lines = proposals.from_the_same_day(lines, self.client, self.task.credentials)
        plan = self.psa.plan_lines(lines)
        chaos.point("planned")
        guards = Guards.of(
            self.client, self.task.credentials, self.terms, usage.today_for(self.client), decided
        )
        guarded = guards.look(plan, self.wanted)
        self.one(lines, plan, guarded)
        self.pushed.plans.append(guarded.plan)
        self.pushed.unchanged += len(plan.unchanged)
        self.pushed.held += len(plan.findings) + len(guarded.held)

    def one(self, lines: WantedLines, plan: Plan, guarded: Guarded) -> None:
        """Observe keeps the plan, approve keeps it until somebody says yes to exactly this, live writes it."""
        writes = len(guarded.plan.items)
        with transaction.atomic():
            guarded.store()
            found = proposals.find(self.client, self.task.credentials, lines.agreement_id)
            if self.terms.mode == Mode.APPROVE and writes:
                run = proposals.accepted(found, guarded.plan)
                if run is None and proposals.was_rejected(found, guarded.plan):
                    self.pushed.held += writes
                    self.pushed.told.append("What was rejected is not proposed again until it changes.")
                    return
                if run is None:
                    self.pushed.waiting += writes
                    if not proposals.still_waits(found, guarded.plan, self.task.delivery):
                        self.pushed.told += proposals.void(found, guarded.plan)
                        self.remember(lines, guarded, PushRun.State.WAITING, instead_of=found.pending)
                    return
                PushRun.objects.filter(pk=run.pk).update(delivery=self.task.delivery)
            else:
                self.pushed.told += proposals.void(found, guarded.plan, mode=self.terms.mode)
                is_live = self.terms.mode != Mode.OBSERVE
                run = self.remember(
                    lines, guarded, PushRun.State.PLANNED if is_live else PushRun.State.OBSERVED
                )
                if not is_live:
                    self.pushed.written += writes
                    return
            billedlines.confirm(run, lines, plan, self.wanted, guarded.held)
        doubts.carry_out(self.psa, run, guarded.plan)
        questions.settle(self.client, self.task.credentials, guarded.plan)
        self.pushed.written += writes

    def remember(
        self, lines: WantedLines, guarded: Guarded, state: str, *, instead_of: PushRun | None = None
    ) -> PushRun:
        """Store the run, with before and after, before anything is written. Whoever asked for this one did; when nobody
        has, who asked for the plan that it is `instead_of`.
        """
        links = list(agreement_links(self.client, self.task.credentials).values())
        sends = state == PushRun.State.PLANNED and guarded.plan.items
        run = PushRun.objects.create(
            partner_id=self.client.partner_id,
            client=self.client,
            delivery=self.task.delivery,
            batch_id=self.order.batch_id,
            credentials=self.task.credentials,
            agreement_id=lines.agreement_id,
            agreement_name=lines.agreement_name,
            state=state,
            sent_at=clock.now() if sends else None,
            plan=guarded.plan.as_json(),
            digest=guarded.plan.digest,
            needs_four_eyes=self.terms["four_eyes"],
            asked_by_id=self.order.asked_by_id or (instead_of.asked_by_id if instead_of else None),
            settings_by=terms.changed_last_by(self.client, self.agreed, links),
        )
        PushItem.objects.bulk_create(items_of(run, lines, guarded, self.wanted))
        return run

    def outcome(self) -> Outcome:
        pushed = self.pushed
        if not pushed.plans:
            return outcomes.done(f"{self.undone}Nothing else is pushed before the push day.")
        text = " ".join([f"{self.undone}{sentence(pushed)}.", *pushed.told])
        plan = pushed.plans[0]
        if self.terms.mode == Mode.OBSERVE:
            return outcomes.skipped("observe", f"Observe mode: {text}", plan=plan)
        findings = [finding for one in pushed.plans for finding in one.findings if finding.code == UNSETTLED]
        if findings:
            text = f"{text} {findings[0].text} {findings[0].advice}"
            return Outcome(
                status=Status.WAITING, reason="unsettled", text=text, plan=plan, again_in=LOOK_AGAIN
            )
        as_of = None if self.is_narrow else self.as_of  # usage of other services waits for its day
        if pushed.waiting:
            return outcomes.held(
                proposals.WAITS,
                f"{text} A Partner Senior Manager decides under Billing > Approvals.",
                plan=plan,
                as_of=as_of,
            )
        return outcomes.done(text, plan=plan, as_of=as_of)


def nothing_to_push(wanted: Wanted, undone: str) -> Outcome:
    """No line may be written; the reasons are told one by one."""
    if not wanted.withheld:
        return outcomes.skipped(
            "nothing_billable", f"{undone}No service of this client has a cross-reference."
        )
    reasons = undone + "; ".join(f"{row.service.name}: {row.text}" for row in wanted.withheld)
    if all(row.reason == "no_agreement" for row in wanted.withheld):
        return outcomes.held("no_agreement", reasons)
    return outcomes.skipped("nothing_billable", reasons)


def sentence(pushed: Pushed) -> str:
    waits = f"{pushed.waiting} wait for approval, " if pushed.waiting else ""
    return f"{pushed.written} lines written, {waits}{pushed.unchanged} unchanged, {pushed.held} not pushed"


def items_of(run: PushRun, lines: WantedLines, guarded: Guarded, wanted: Wanted) -> list[PushItem]:
    planned = {item.key: item for item in guarded.plan.items}
    findings = {finding.key: finding for finding in guarded.plan.findings}
    rows = []
    for line in lines.lines:
        item, finding = planned.get(line.key), findings.get(line.key)
        row = PushItem(
            partner_id=run.partner_id,
            run=run,
            service=wanted.references[line.key].service,
            quantity=line.quantity,
        )
        if found := line_found(guarded.plan, line, item):
            row.line_id, row.included = str(found["id"]), storable(found.get("less_included"))
        if line.key in guarded.held:
            row.state, row.text, row.reason = PushItem.State.HELD, guarded.held[line.key], ASKED
            row.question = guarded.questions.get(line.key)
        elif item is not None:
            row.line_id, row.before, row.after = item.record_id or "", dict(item.before), dict(item.after)
            row.text = item.reason
            row.quantity = amount(item.after.get("quantity", row.quantity))
        elif finding is not None:
            row.state, row.text = PushItem.State.HELD, f"{finding.text} {finding.advice}".strip()
            row.reason = finding.code
        else:
            row.state = PushItem.State.UNCHANGED
        rows.append(row)
    withheld = [
        PushItem(
            partner_id=run.partner_id,
            run=run,
            service=row.service,
            state=PushItem.State.HELD,
            text=row.text,
            reason=row.reason,
        )
        for row in wanted.withheld
    ]
    return [*rows, *withheld]


def storable(text: Any) -> Decimal | None:
    """None for what no column holds: a PSA says what somebody typed there."""
    number = amount(text)
    return number if number is not None and abs(number) <= quantities.MOST else None


def line_found(plan: Plan, line: WantedLine, item: PlanItem | None) -> dict[str, Any] | None:
    """The line of the PSA that a wanted one is, as the plan has read it; None when there is none, or several."""
    known = (item.record_id if item is not None else None) or line.line_id
    rows = plan.found.get("lines", ())
    if known:
        return next((row for row in rows if row["id"] == known), None)
    same = [row for row in rows if row["product_id"] == line.product_id and not row["cancelled_on"]]
    found = [row for row in same if row["serial_number"] == line.serial_number] or same
    return found[0] if len(found) == 1 else None
