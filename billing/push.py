"""Make the agreement in the PSA say what the client used (asked by the dispatcher and by previews).

wanted (usage x cross-reference x aggregation x rounding) -> plan -> guards -> stored run -> apply. The run is stored,
with before and after of every line, before anything is written; it is the unit of undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db import IntegrityError, transaction

from billing import doubts, quantities, synchronize, usage
from billing.crossreferences import CrossReferences
from billing.models import AgreementLink, CrossReference, PushItem, PushRun, Service
from integrations import companies, effective, outcomes
from integrations.dispatcher import Task
from integrations.models import Credentials, Delivery, Status
from integrations.outcomes import Outcome
from integrations.psa.plan import Plan
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedLine, WantedLines
from portal import chaos, clock, disabled, inheritance
from portal.models import Client

UNSETTLED = "units_unsettled"
"""The adapter's finding that an earlier change of a line, by whomever, may still be carried out."""
LOOK_AGAIN = 60.0


@dataclass(frozen=True)
class Withheld:
    """A service that is not pushed, and why: a stable reason and a sentence."""

    service: Service
    reason: str
    text: str


@dataclass
class Wanted:
    """What one client's agreements should say, and what is withheld."""

    agreements: list[WantedLines] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)


@dataclass
class Pushed:
    """What the runs of one synchronization did, in numbers for the sentence on the delivery."""

    written: int = 0
    unchanged: int = 0
    held: int = 0
    plans: list[Plan] = field(default_factory=list)


def wanted_for(client: Client, credentials: Credentials, company_id: str, *, today: date) -> Wanted:
    """The lines that should be there. Unknown is not zero: without fresh usage a service is withheld."""
    references = CrossReferences.of(client.partner_id).for_client(client)
    links = agreement_links(client, credentials)
    days = usage.days_of(client, [row.service_id for row in references], today=today)
    wanted = Wanted()
    lines: dict[object, tuple[AgreementLink, list[WantedLine]]] = {}
    for row in references:
        withheld = why_withheld(row, credentials, links, days.get(row.service_id, []), today)
        if withheld is not None:
            wanted.withheld.append(withheld)
            continue
        link = links.get(row.service_id) or links[None]
        wanted.services[row.service.key] = row.service
        line = wanted_line(row, link, client, days[row.service_id])
        lines.setdefault(link.agreement_id, (link, []))[1].append(line)
    wanted.agreements = [
        WantedLines(
            agreement_id=link.agreement.psa_id,
            agreement_name=link.agreement.name,
            company_id=company_id,
            lines=tuple(rows),
        )
        for link, rows in lines.values()
    ]
    return wanted


def agreement_links(client: Client, credentials: Credentials) -> dict[object, AgreementLink]:
    rows = AgreementLink.objects.filter(client=client, credentials=credentials).select_related("agreement")
    return {row.service_id: row for row in rows}


def why_withheld(
    row: CrossReference,
    credentials: Credentials,
    links: dict[object, AgreementLink],
    days: Sequence[usage.Day],
    today: date,
) -> Withheld | None:
    """The first reason not to push a service over this connection; None when it may go."""
    service = row.service
    if not row.is_billed:
        return Withheld(service, "unticked", "Not billed (unticked).")
    if row.product is None:
        return Withheld(service, "no_product", "No PSA product is chosen in the cross-reference.")
    if row.product.credentials_id != credentials.pk:
        return elsewhere(service, f"Product {row.product.name}", "a product")
    if row.product.vanished_at is not None:
        return Withheld(service, "product_gone", f"Product {row.product.name} is no longer in the PSA.")
    if row.service_id not in links and None not in links:
        return Withheld(service, "no_agreement", "No agreement is chosen for this service.")
    agreement = (links.get(row.service_id) or links[None]).agreement
    if agreement.credentials_id != credentials.pk:
        return elsewhere(service, f"Agreement {agreement.name}", "an agreement")
    if agreement.vanished_at is not None:
        return Withheld(service, "agreement_gone", f"Agreement {agreement.name} is no longer in the PSA.")
    if not days:
        return Withheld(
            service, "no_usage", "No usage was ever measured lately; nothing is pushed instead of 0."
        )
    if not usage.is_fresh(days, today):
        return Withheld(
            service, "stale", f"The newest usage is of {days[-1].on:%Y-%m-%d}; a stale number is not pushed."
        )
    return None


def elsewhere(service: Service, what: str, another: str) -> Withheld:
    """Each PSA numbers its own records: what one calls 302 is something else in another."""
    text = f"{what} belongs to another PSA connection; choose {another} of the one in effect here."
    return Withheld(service, "other_connection", text)


def wanted_line(
    row: CrossReference, link: AgreementLink, client: Client, days: Sequence[usage.Day]
) -> WantedLine:
    assert row.product is not None  # else it was withheld
    quantity = quantities.quantity_of(row.service, days)
    return WantedLine(
        key=row.service.key,
        product_id=row.product.psa_id,
        product_name=row.product.name,
        quantity=quantity,
        serial_number=client.managed_id,
        invoice_description=(
            invoice_description(row.service, client, days, quantity) if row.updates_description else None
        ),
        create_if_missing=link.creates_lines,
    )


def invoice_description(
    service: Service, client: Client, days: Sequence[usage.Day], quantity: Decimal
) -> str:
    """The text of the invoice line: what was counted, when, and each account's share."""
    newest = days[-1].on
    counted = service.get_aggregation_display()
    if service.aggregation != Service.Aggregation.LAST:
        counted = f"{counted} of {newest:%Y-%m}"
    lines = [f"{service.name}: {plain(quantity)} {service.unit} ({counted}, {newest})"]
    lines += [
        f"{key}: {plain(share)} {service.unit}"
        for key, share in usage.accounts_on(client, service.pk, newest)
    ]
    return "\n".join(lines)


def plain(number: Decimal) -> str:
    """A number without trailing zeros and without exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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
        company = companies.links_of([client.pk], [self.credentials.pk]).get((client.pk, self.credentials.pk))
        if company is None:
            return outcomes.held(
                companies.WAITS, f"{client.name} is not mapped to a PSA company. Map it first."
            )
        if not company:
            return outcomes.skipped("client_skipped", f"{client.name} is mapped to “skip”.")
        mode = inheritance.mode_of(client, "billing", inheritance.Tree.of(client.partner_id)).value
        as_of = clock.now()
        wanted = wanted_for(client, self.credentials, company, today=usage.today_for(client))
        if not wanted.agreements:
            return nothing_to_push(wanted)
        return self.push(psa, client, wanted, as_of, writes=mode != "observe")

    def push(self, psa: Psa, client: Client, wanted: Wanted, as_of: datetime, *, writes: bool) -> Outcome:
        """`as_of` is when usage was read."""
        pushed = Pushed(held=len(wanted.withheld))
        for lines in wanted.agreements:
            plan = psa.plan_lines(lines)
            chaos.point("planned")
            try:
                run = remember(client, self, lines, plan, wanted, observed=not writes)
            except IntegrityError:  # a process that lost its lane stored its own at the last moment
                if waits := doubts.unsettled(client):
                    return waits
                raise
            pushed.plans.append(plan)
            if writes:
                doubts.carry_out(psa, run, plan)
            pushed.written += len(plan.items)
            pushed.unchanged += len(plan.unchanged)
            pushed.held += len(plan.findings)
        if not writes:
            return outcomes.skipped("observe", f"Observe mode: {sentence(pushed)}.", plan=pushed.plans[0])
        if waiting := [
            finding for plan in pushed.plans for finding in plan.findings if finding.code == UNSETTLED
        ]:
            text = f"{sentence(pushed)}. {waiting[0].text} {waiting[0].advice}"
            return Outcome(
                status=Status.WAITING,
                reason="unsettled",
                text=text,
                plan=pushed.plans[0],
                again_in=LOOK_AGAIN,
            )
        return outcomes.done(f"{sentence(pushed)}.", plan=pushed.plans[0], as_of=as_of)


def nothing_to_push(wanted: Wanted) -> Outcome:
    """No line may be written; the reasons are told one by one."""
    if not wanted.withheld:
        return outcomes.skipped("nothing_billable", "No service of this client has a cross-reference.")
    reasons = "; ".join(f"{row.service.name}: {row.text}" for row in wanted.withheld)
    if all(row.reason == "no_agreement" for row in wanted.withheld):
        return outcomes.held("no_agreement", reasons)
    return outcomes.skipped("nothing_billable", reasons)


def sentence(pushed: Pushed) -> str:
    return f"{pushed.written} lines written, {pushed.unchanged} unchanged, {pushed.held} not pushed"


def remember(
    client: Client, task: PushTask, lines: WantedLines, plan: Plan, wanted: Wanted, *, observed: bool
) -> PushRun:
    """Store the run, with before and after, before anything is written."""
    with transaction.atomic():
        run = PushRun.objects.create(
            partner_id=client.partner_id,
            client=client,
            delivery=task.delivery,
            credentials=task.credentials,
            agreement_id=lines.agreement_id,
            agreement_name=lines.agreement_name,
            state=PushRun.State.OBSERVED if observed else PushRun.State.PLANNED,
            sent_at=None if observed or not plan.items else clock.now(),
            plan=plan.as_json(),
            digest=plan.digest,
        )
        PushItem.objects.bulk_create(items_of(run, lines, plan, wanted))
    return run


def items_of(run: PushRun, lines: WantedLines, plan: Plan, wanted: Wanted) -> list[PushItem]:
    planned = {item.key: item for item in plan.items}
    findings = {finding.key: finding for finding in plan.findings}
    rows = []
    for line in lines.lines:
        item, finding = planned.get(line.key), findings.get(line.key)
        row = PushItem(partner_id=run.partner_id, run=run, service=wanted.services[line.key])
        if item is not None:
            row.line_id, row.before, row.after = item.record_id or "", dict(item.before), dict(item.after)
            row.text = item.reason
        elif finding is not None:
            row.state, row.text = PushItem.State.HELD, f"{finding.text} {finding.advice}".strip()
        else:
            row.state = PushItem.State.UNCHANGED
        rows.append(row)
    withheld = [
        PushItem(
            partner_id=run.partner_id, run=run, service=row.service, state=PushItem.State.HELD, text=row.text
        )
        for row in wanted.withheld
    ]
    return [*rows, *withheld]
