"""Update Backup Statistics: make the PSA's management report show what the backups did (asked by the dispatcher).

numbers (the month so far) -> plan -> stored run -> apply. Both management entries are verified at every update, and
generated or put right where the PSA lets us. Where an administrator broke what we cannot mend, there is one error with
the steps that repair it. Counters are absolute, so writing them twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from billing import backupstatistics, doubts, reportorders, usage
from billing.backupstatistics import Numbers
from billing.models import ReportRun
from integrations import companies, effective, outcomes
from integrations.dispatcher import Task
from integrations.models import Credentials, Delivery, Status
from integrations.models.eventlog import UNSETTLED
from integrations.outcomes import Outcome
from integrations.psa.errors import Misconfigured, NotPermitted, PsaError
from integrations.psa.plan import Plan
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedReport
from portal import clock
from portal.models import Client

BROKEN = {
    "solution_missing",
    "solution_ambiguous",
    "report_ambiguous",
    "report_agreement",
    "managed_id_other",
    "fields_missing",
}
"""Findings of the adapters that keep numbers from the report until an administrator acts."""


def wanted_of(client: Client, company_id: str, numbers: Numbers) -> WantedReport:
    return WantedReport(
        company_id=company_id,
        managed_id=client.managed_id,
        solution=settings.MANAGEMENT_SOLUTION,
        successful_jobs=numbers.successful_jobs,
        failed_jobs=numbers.failed_jobs,
        servers=numbers.servers,
        workstations=numbers.workstations,
        devices=numbers.wanted_devices(),
        month=numbers.month,
    )


class Reports:
    """The dispatcher's handler for statistics; each task looks up its own facts."""

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        tasks: list[Task | tuple[Delivery, Outcome]] = []
        in_effect = effective.lanes_of({row.client_id: row.client for row in deliveries}.values())
        for delivery in deliveries:
            assert delivery.lane is not None  # a running delivery has one, a constraint says
            lane = in_effect[delivery.client_id]
            if lane is None:
                tasks.append((delivery, outcomes.without_psa()))
            elif lane.pk != delivery.lane_id:
                tasks.append((delivery, outcomes.elsewhere(lane)))
            else:
                tasks.append(ReportTask(delivery, delivery.lane.credentials))
        return tasks

    def record(self, results: Sequence[tuple[Delivery, Outcome]]) -> None:
        for delivery, outcome in results:
            if as_of := outcome.facts.get("as_of"):
                reportorders.succeeded(delivery.client, as_of=as_of)
            if delivery.status not in UNSETTLED:
                reportorders.forget_proposals(delivery)
            if delivery.status == Status.WAITING:
                reportorders.give_way(delivery)


@dataclass
class ReportTask:
    """One update of one client's report."""

    delivery: Delivery
    credentials: Credentials

    def run(self, psa: Psa) -> Outcome:
        """Uses the database between calls, never around one."""
        client = Client.objects.select_related("partner").get(pk=self.delivery.client_id)
        mode = reportorders.mode_for(client)
        if mode == reportorders.OFF:
            return outcomes.skipped(
                "statistics_off",
                "Update Backup Statistics is not ticked for this client in Integration Setup.",
            )
        company = companies.links_of([client.pk], [self.credentials.pk]).get((client.pk, self.credentials.pk))
        if company is None:
            return outcomes.held(
                companies.WAITS, f"{client.name} is not mapped to a PSA company. Map it first."
            )
        if not company:
            return outcomes.skipped("client_skipped", f"{client.name} is mapped to “skip”.")
        if waits := unsettled(client):
            return waits
        as_of = clock.now()
        numbers = backupstatistics.numbers_for(client, today=usage.today_for(client))
        if numbers is None:
            return outcomes.skipped(
                "no_statistics",
                f"No backup statistics of the last {settings.USAGE_FRESH_DAYS} days; stale numbers are not sent,"
                " and nothing is sent in place of 0.",
            )
        try:
            plan = psa.plan_report(wanted_of(client, company, numbers))
            run = stored(client, self, numbers, plan)
            return self.carry_out(psa, run, plan, mode, as_of)
        except NotPermitted as error:
            return without_right(error)

    def carry_out(self, psa: Psa, run: ReportRun, plan: Plan, mode: str, as_of: datetime) -> Outcome:
        if mode == "observe":
            finish(run, ReportRun.State.OBSERVED)
            return outcomes.skipped("observe", f"Observe mode: {sentence(plan)}.", plan=plan)
        if mode == "approve" and plan.items and not is_approved(run):
            finish(run, ReportRun.State.PROPOSED)
            return outcomes.held(
                "needs_approval", f"{sentence(plan)}. Approve it on the client's page Report.", plan=plan
            )
        try:
            psa.apply(plan)
        except PsaError as error:
            failed(run, error)
            raise
        if run.broken:
            return broken(run, plan)
        finish(run, ReportRun.State.DONE if plan.items else ReportRun.State.UNCHANGED)
        return outcomes.done(f"{sentence(plan)}.", plan=plan, as_of=as_of)


def stored(client: Client, task: ReportTask, numbers: Numbers, plan: Plan) -> ReportRun:
    """The run, with before and after, before anything is written."""
    wrong = [finding for finding in plan.findings if finding.code in BROKEN]
    advice = list(dict.fromkeys(finding.advice for finding in wrong if finding.advice))
    run: ReportRun = ReportRun.objects.create(
        partner_id=client.partner_id,
        client=client,
        delivery=task.delivery,
        credentials=task.credentials,
        month=numbers.month,
        numbers=numbers.as_json(),
        plan=plan.as_json(),
        digest=plan.digest,
        broken=" ".join(finding.text for finding in wrong),
        advice=" ".join(advice),
    )
    return run


def without_right(error: NotPermitted) -> Outcome:
    """A right that only statistics need must not hold back billing, which shares their action at the lane."""
    needed = Misconfigured(error.text, field="rights", advice=error.advice, status=error.status)
    return Outcome(status=Status.FAILED, reason="not_permitted", text=error.text, error=needed)


def broken(run: ReportRun, plan: Plan) -> Outcome:
    """What could be written was; the report stays wrong until somebody repairs the set-up."""
    finish(run, ReportRun.State.PARTLY if plan.items else ReportRun.State.FAILED)
    text = f"The management entries of {run.client.managed_id} are not as they must be. {run.broken}"
    error = Misconfigured(text, field="managed_id", advice=run.advice)
    return Outcome(status=Status.FAILED, reason="managed_id", text=text, error=error, plan=plan)


def is_approved(run: ReportRun) -> bool:
    """Somebody approved exactly these writes, and they were not carried out since."""
    last = ReportRun.objects.filter(client=run.client).exclude(pk=run.pk).first()
    if last is None or last.digest != run.digest or last.state == ReportRun.State.DONE:
        return False
    run.approved_by = last.approved_by  # a failed try does not use the approval up
    run.save(update_fields=["approved_by"])
    return bool(run.approved_by)


def finish(run: ReportRun, state: ReportRun.State) -> None:
    run.state, run.finished_at = state, clock.now()
    run.save(update_fields=["state", "finished_at"])


def failed(run: ReportRun, error: PsaError) -> None:
    """An answer that never came leaves doubt; else what was written before it is known."""
    run.error_text = error.text
    run.save(update_fields=["error_text"])
    if error.outcome_unknown:
        finish(run, ReportRun.State.IN_DOUBT)
    else:
        finish(run, ReportRun.State.PARTLY if error.applied else ReportRun.State.FAILED)


def unsettled(client: Client) -> Outcome | None:
    """A new entry whose creation got no answer may still appear: nothing more is sent until that is sure."""
    last = (
        ReportRun.objects.filter(client=client)
        .select_related("credentials")
        .defer("credentials__secret")
        .first()
    )
    if last is None or last.state not in (ReportRun.State.IN_DOUBT, ReportRun.State.PLANNED):
        return None
    since = last.finished_at or last.started_at
    left = (since + doubts.settles_after(last.credentials.kind) - clock.now()).total_seconds()
    if left <= 0:
        return None
    text = (
        "An earlier write of this client's statistics got no answer and may still be carried out; it is looked at again"
        f" in {left:.0f} seconds."
    )
    return Outcome(status=Status.WAITING, reason="unsettled", text=text, again_in=left)


def sentence(plan: Plan) -> str:
    skipped = [finding for finding in plan.findings if finding.code not in BROKEN]
    told = f"{len(plan.items)} entries and devices written, {len(plan.unchanged)} unchanged"
    return f"{told}, {len(skipped)} not found" if skipped else told
