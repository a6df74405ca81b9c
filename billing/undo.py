"""Write back what a push has changed (asked by the Runs pages, REST and pushes).

An undo is a run of its own: asked for, planned by the dispatcher from the stored before-values and what the PSA says
now, shown, and sent when somebody says yes to exactly that plan. A line that says something else than what we wrote was
changed by a person, and stays. What an invoice has used already is refused. The usage still says what it says, so each
service that was undone is a question afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from billing import doubts, proposals, synchronize, terms, usage
from billing.decisions import Decider, Refused
from billing.guards import amount, key_of
from billing.models import PushBatch, PushItem, PushRun, Question
from billing.wanted import plain
from integrations import companies, effective
from integrations.models import Credentials, Delivery
from integrations.psa.plan import Plan, PlanItem
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedLine, WantedLines
from portal import clock, inheritance
from portal.models import Client, Mode

State = PushRun.State
UNDOABLE = (State.DONE, State.PARTLY, State.IN_DOUBT)
CREATED = "create"


# --- Asking -----------------------------------------------------------------------------------------------------------


def refusal(run: PushRun) -> Refused | None:
    """Why this run cannot be undone, as far as it can be told without the PSA."""
    if run.undoes_id is not None:
        return Refused(
            "is_an_undo", "This is an undo itself; synchronize the client to push what its usage says."
        )
    if run.state not in UNDOABLE or not run.items.filter(state=PushItem.State.DONE).exists():
        return Refused("nothing_written", "This push has written nothing.")
    if terms.for_client(run.client).mode == Mode.OBSERVE:
        return Refused(
            "observe", "In observe mode nothing is written to the PSA; set the mode to live or approve."
        )
    connection = effective.credentials_for(
        run.client, inheritance.Tree.of(run.partner_id), effective.by_level(run.partner_id)
    )
    if connection is None or connection.pk != run.credentials_id:
        return Refused(
            "other_connection", "This went over another PSA connection than the one in effect now."
        )
    return None


def ask(run: PushRun, *, by: Decider, batch: PushBatch | None = None) -> PushRun:
    """A new run that undoes this one; the dispatcher plans it, and it waits for a yes. Raises Refused."""
    if found := refusal(run):
        raise found
    try:
        with transaction.atomic():
            undoing = PushRun.objects.create(
                partner_id=run.partner_id,
                client=run.client,
                credentials_id=run.credentials_id,
                batch=batch,
                agreement_id=run.agreement_id,
                agreement_name=run.agreement_name,
                state=State.PLANNING,
                digest="",
                undoes=run,
                needs_four_eyes=terms.for_client(run.client)["four_eyes"],
                asked_by=by.author,
            )
            synchronize.request(run.client, cause="undo", by=by.author, at_once=True)
    except IntegrityError:
        raise Refused("undone_already", "This push is being undone, or was undone already.") from None
    return undoing


def ask_batch(batch: PushBatch, *, by: Decider) -> tuple[PushBatch, list[str]]:
    """Undo every run of a batch; a sentence for each that cannot be."""
    undoing = PushBatch.objects.create(
        partner_id=batch.partner_id, cause="undo", asked_by=by.author, undoes=batch
    )
    refused = []
    for run in batch.runs.select_related("client").order_by("pk"):
        try:
            ask(run, by=by, batch=undoing)
        except Refused as no:
            if no.code != "nothing_written":
                refused.append(f"{run.client}: {no.text}")
    return undoing, refused


# --- The dispatcher's part --------------------------------------------------------------------------------------------


def take_up(psa: Psa, client: Client, credentials: Credentials, delivery: Delivery) -> str:
    """Plan what was asked for, send what was approved; a sentence for the delivery, empty when there was nothing.

    Called before a client's agreements are pushed, when no earlier write of it is in doubt.
    """
    runs = PushRun.objects.filter(client=client, credentials=credentials, undoes__isnull=False)
    told = []
    for run in (
        runs.filter(state__in=(State.PLANNING, State.APPROVED)).select_related("undoes").order_by("pk")
    ):
        if terms.for_client(client).mode == Mode.OBSERVE:
            told.append("An undo waits: in observe mode nothing is written.")
            continue
        company = companies.links_of([client.pk], [credentials.pk]).get((client.pk, credentials.pk), "")
        plan = plan_undo(psa, run, company)
        PushRun.objects.filter(pk=run.pk).update(delivery=delivery)
        if run.state == State.APPROVED and run.approved_digest == plan.plan.digest:
            send(psa, run, plan)
            told.append(f"Undone: {len(plan.plan.items)} lines written back.")
        else:
            propose(run, plan)
            told.append("An undo was planned and waits for a yes." if plan.plan.items else "Nothing to undo.")
    return " ".join([*told, ""]) if told else ""


@dataclass
class Undo:
    """The compensating plan: what is written back, and by service key why not."""

    plan: Plan
    kept: dict[str, str] = field(default_factory=dict)


def plan_undo(psa: Psa, run: PushRun, company: str) -> Undo:
    """Reads; twice when a person has changed an invoice text since."""
    assert run.undoes is not None
    written = written_by(run.undoes)
    wanted = WantedLines(
        agreement_id=run.agreement_id,
        agreement_name=run.agreement_name,
        company_id=company,
        lines=tuple(line_before(key, item, line_id, run) for key, (item, line_id) in written.items()),
    )
    plan = psa.plan_lines(wanted)
    kept, texts = touched(plan, written)
    if texts - set(kept):
        lines = (
            replace(line, invoice_description=None) if line.key in texts else line for line in wanted.lines
        )
        plan = psa.plan_lines(replace(wanted, lines=tuple(lines)))
        kept = touched(plan, written)[0]
    kept |= {finding.key: f"{finding.text} {finding.advice}".strip() for finding in plan.findings}
    if invoiced := invoiced_since(psa, run.undoes, company):
        kept |= dict.fromkeys(written, invoiced)
    items = tuple(item for item in plan.items if key_of(item) not in kept)
    return Undo(replace(plan, items=items), kept)


def written_by(run: PushRun) -> dict[str, tuple[Mapping[str, Any], str]]:
    """By service key: what was sent, with an invoice text that was sent apart, and the line's id."""
    done = run.items.filter(state=PushItem.State.DONE).select_related("service")
    lines = {item.service.key: item.line_id for item in done}
    found: dict[str, tuple[Mapping[str, Any], str]] = {}
    for item in run.plan.get("items", ()):
        key = item["key"].partition(":")[0]
        if key not in lines:
            continue
        known = found.get(key)
        if known is not None:
            item = {
                **known[0],
                "before": {**known[0]["before"], **item["before"]},
                "after": {**known[0]["after"], **item["after"]},
            }
        found[key] = item, lines[key] or str(item["record_id"] or "")
    return found


def line_before(key: str, item: Mapping[str, Any], line_id: str, run: PushRun) -> WantedLine:
    """The line as it was. One that the push has made is ended, never deleted."""
    before, after = item["before"], item["after"]
    is_created = item["action"] == CREATED
    quantity = Decimal(0) if is_created else amount(before.get("quantity", after.get("quantity")))
    if quantity is None:
        quantity = current_quantity(run, key)
    return WantedLine(
        key=key,
        product_id=str(after.get("product_id", "")),
        product_name=str(after.get("product_name", key)),
        quantity=quantity,
        line_id=line_id or None,
        invoice_description=before.get("invoice_description") if "invoice_description" in after else None,
        ends_on=(ended_on(run, key) or usage.today_for(run.client)) if is_created else None,
        effective_on=proposals.days_shown(run.plan).get((key, plain(quantity))),
    )


def ended_on(run: PushRun, key: str) -> date | None:
    """The day on which a line ends in the plan that people have seen; the yes of the next day is to that one."""
    for item in run.plan.get("items", ()):
        if item["key"].partition(":")[0] == key and (day := item["after"].get("cancelled_on")):
            return date.fromisoformat(day)
    return None


def current_quantity(run: PushRun, key: str) -> Decimal:
    """The quantity of a line of which the push changed the invoice text alone: as it was found then."""
    assert run.undoes is not None
    line_id = {item["key"].partition(":")[0]: item["record_id"] for item in run.undoes.plan["items"]}[key]
    rows = run.undoes.plan.get("found", {}).get("lines", ())
    return next((Decimal(row["quantity"]) for row in rows if row["id"] == line_id), Decimal(0))


def touched(
    plan: Plan, written: Mapping[str, tuple[Mapping[str, Any], str]]
) -> tuple[dict[str, str], set[str]]:
    """Lines whose quantity a person has changed since, with a sentence; and those whose invoice text differs."""
    kept: dict[str, str] = {}
    texts: set[str] = set()
    for item in plan.items:
        key = key_of(item)
        after = written[key][0]["after"]
        if "quantity" in item.after and amount(item.before.get("quantity")) != amount(after.get("quantity")):
            ours = after.get("quantity", "its quantity untouched")
            kept[key] = (
                f"We wrote {ours}, and the PSA says {item.before.get('quantity')}: changed by hand since; it stays."
            )
        is_text = "invoice_description" in item.after
        if is_text and item.before.get("invoice_description") != after.get("invoice_description"):
            texts.add(key)
    return kept, texts


def invoiced_since(psa: Psa, run: PushRun, company: str) -> str:
    """ConnectWise moves the day of the next invoice when it makes one. One read, where the PSA tells such a day.

    The day then was that of our copy: when it was older, too much is refused, never too little.
    """
    then = str((run.plan.get("found", {}).get("agreement") or {}).get("next_invoice_on") or "")
    if not then:
        return ""
    offered = psa.choices("agreement", within=company)
    found = next((one for one in offered if one.id == run.agreement_id), None)
    now = str(found.data.get("next_invoice_on") or "") if found is not None else ""
    if now <= then:
        return ""
    return (
        f"An invoice was made since (the next was due on {then}, now on {now}): it has used this quantity."
        " Credit it in the PSA."
    )


def propose(run: PushRun, undo: Undo) -> None:
    """Store the plan, and let it wait for a yes; an approved one that has changed waits again."""
    void = (
        f"Approved by {run.decided_as} and planned again: the PSA says something else by now. "
        if run.approved_digest
        else ""
    )
    with transaction.atomic():
        if run.approved_digest:
            run = begun_again(run, void)
        run.state = State.WAITING if undo.plan.items else State.FAILED
        run.plan, run.digest, run.approved_digest = undo.plan.as_json(), undo.plan.digest, ""
        reasons = (
            ""
            if undo.plan.items
            else " ".join(dict.fromkeys(undo.kept.values())) or "Every line says so already."
        )
        run.error_text = f"{void}{reasons}".strip()
        run.finished_at = None if undo.plan.items else clock.now()
        run.save(update_fields=["state", "plan", "digest", "approved_digest", "error_text", "finished_at"])
        run.items.all().delete()
        PushItem.objects.bulk_create(items_of(run, undo))


def begun_again(run: PushRun, void: str) -> PushRun:
    """What was approved is over: a yes to the new plan is one to a run that nobody has seen before."""
    PushRun.objects.filter(pk=run.pk).update(
        state=State.VOID, error_text=void.strip(), finished_at=clock.now()
    )
    return PushRun.objects.create(
        state=State.PLANNING,
        undoes_id=run.undoes_id,
        partner_id=run.partner_id,
        client_id=run.client_id,
        credentials_id=run.credentials_id,
        batch_id=run.batch_id,
        delivery_id=run.delivery_id,
        agreement_id=run.agreement_id,
        agreement_name=run.agreement_name,
        needs_four_eyes=run.needs_four_eyes,
        asked_by_id=run.asked_by_id,
        settings_by_id=run.settings_by_id,
    )


def items_of(run: PushRun, undo: Undo) -> list[PushItem]:
    assert run.undoes is not None
    by_key: dict[str, list[PlanItem]] = {}
    for item in undo.plan.items:
        by_key.setdefault(key_of(item), []).append(item)
    rows = []
    for done in run.undoes.items.filter(state=PushItem.State.DONE).select_related("service"):
        items = by_key.get(done.service.key, [])
        row = PushItem(partner_id=run.partner_id, run=run, service=done.service, line_id=done.line_id)
        for item in items:
            row.before, row.after = {**row.before, **item.before}, {**row.after, **item.after}
        row.quantity = amount(row.after.get("quantity"))
        row.text = undo.kept.get(done.service.key, "" if items else "Says so already.")
        row.state = PushItem.State.PLANNED if items else PushItem.State.HELD
        rows.append(row)
    return rows


def send(psa: Psa, run: PushRun, undo: Undo) -> None:
    with transaction.atomic():
        ours = PushRun.objects.filter(pk=run.pk, state=State.APPROVED, approved_digest=undo.plan.digest)
        if not ours.update(state=State.PLANNED, sent_at=clock.now()):
            return
        run.state, run.sent_at = State.PLANNED, clock.now()
        ask_afterwards(run, undo.plan.items)
    doubts.carry_out(psa, run, undo.plan)


def ask_afterwards(run: PushRun, items: Iterable[PlanItem]) -> None:
    """Before the first byte: whatever becomes of the undo, no later push does it again without a yes."""
    assert run.undoes is not None
    services = {item.service.key: item.service for item in run.items.select_related("service")}
    for item in items:
        if "quantity" not in item.after:
            continue
        current, proposed = amount(item.after["quantity"]), amount(item.before.get("quantity"))
        Question.objects.update_or_create(
            client_id=run.client_id,
            credentials_id=run.credentials_id,
            service=services[key_of(item)],
            settled_at=None,
            defaults={
                "partner_id": run.partner_id,
                "agreement_id": run.agreement_id,
                "kind": Question.Kind.UNDONE,
                "text": f"The push of {run.undoes.started_at:%Y-%m-%d %H:%M} was undone by {run.decided_as};"
                f" the usage still says {proposed}. Push it again?",
                "evidence": {"before": str(current), "after": str(proposed)},
                "current": current or Decimal(0),
                "proposed": proposed or Decimal(0),
                "answer": "",
                "keep_until": None,
                "answered_at": None,
                "answered_by": None,
                "answered_as": "",
            },
        )
