"""Pages under Billing: what would be written, what waits for a yes, and what was pushed."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from billing import preview as previews
from billing import proposals, questions, undo
from billing.decisions import Decider, Refused
from billing.models import AgreementLink, PushBatch, PushRun, Question
from billing.pushforms import AnswerForm, RejectForm, RunSearchForm
from billing.terms import TermsOf
from portal import pages
from portal.models import Client
from portal.pages import PageRequest

MOST_AT_ONCE = 500
SHOWN = 200


# --- Preview ----------------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def preview(request: PageRequest) -> HttpResponse:
    """Every billed client with its mode and its newest plan."""
    assert request.partner is not None
    mine = billed_clients(request)
    page = pages.page_of(request, mine, by="name", within=mine, descending=False)
    newest = newest_runs(page.rows)
    found = TermsOf.of(request.partner.pk)
    lines = [(client, found.for_client(client), newest.get(client.pk, [])) for client in page.rows]
    return pages.show(request, "billing/preview.html", {"page": page, "lines": lines})


def billed_clients(request: PageRequest) -> QuerySet[Client]:
    billed = AgreementLink.objects.visible_to(request.user).values("client")
    return pages.rows(request, Client).filter(pk__in=billed, is_active=True)


def newest_runs(clients: list[Client]) -> dict[uuid.UUID, list[PushRun]]:
    """Of each client the last push of each agreement; one query and the items."""
    runs = PushRun.objects.filter(client__in=clients, undoes=None).exclude(state=PushRun.State.VOID)
    runs = runs.order_by("client_id", "agreement_id", "-started_at").prefetch_related("items")
    found: dict[uuid.UUID, dict[str, PushRun]] = {}
    for run in runs.filter(pk__in=newest_ids(clients)):
        found.setdefault(run.client_id, {}).setdefault(run.agreement_id, run)
    return {client: list(by_agreement.values()) for client, by_agreement in found.items()}


def newest_ids(clients: list[Client]) -> list[uuid.UUID]:
    """Ids sort by time, so the greatest is the newest."""
    rows = PushRun.objects.filter(client__in=clients, undoes=None).exclude(state=PushRun.State.VOID)
    newest_first = Window(
        RowNumber(), partition_by=[F("client_id"), F("agreement_id")], order_by=F("pk").desc()
    )
    ranked = rows.order_by().annotate(rank=newest_first)
    return list(ranked.filter(rank=1).values_list("pk", flat=True))


@pages.page
def client_preview(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The PSA is read when somebody asks for it, not when the page is opened."""
    client = pages.get_row(request, Client, pk, "organization")
    context: dict[str, Any] = {"client": client, "found": None, "refused": ""}
    if request.method == "POST":
        pages.require_manager(request, client.partner)
        try:
            context["found"] = previews.of_client(client)
        except Refused as no:
            context["refused"] = no.text
    return pages.show(request, "billing/client_preview.html", context, partner=client.partner)


@require_POST
@pages.partner_page
def push_now(request: PageRequest) -> HttpResponse:
    """Synchronize the ticked clients, or all that are billed."""
    assert request.partner is not None
    pages.require_manager(request, request.partner)
    ticked = [key for text in request.POST.getlist("client") if (key := pages.id_in(text))]
    clients = billed_clients(request)
    if "all" not in request.POST:
        clients = clients.filter(pk__in=ticked)
    chosen = list(clients.select_related("partner"))
    if not chosen:
        messages.info(request, "Tick at least one client.")
        return redirect("billing_preview")
    previews.push_now(request.partner, chosen, by=Decider.of(request.user))
    who = "1 client is" if len(chosen) == 1 else f"{len(chosen)} clients are"
    messages.success(request, f"{who} synchronized now, as the mode says; Runs shows what comes of it.")
    return redirect("push_runs")


# --- Approvals --------------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def approvals(request: PageRequest) -> HttpResponse:
    waiting = pages.rows(request, PushRun).filter(state=PushRun.State.WAITING)
    waiting = waiting.select_related("client", "asked_by", "settings_by", "undoes", "partner")
    asked = questions.open_ones(pages.rows(request, Question)).select_related("client", "service", "partner")
    runs = list(waiting.prefetch_related("items__service").order_by("-pk")[: SHOWN + 1])
    rows = list(asked.order_by("-pk")[: SHOWN + 1])
    refused = proposals.refusals(runs[:SHOWN], Decider.of(request.user))
    context = {
        "runs": [(run, refused.get(run.pk)) for run in runs[:SHOWN]],
        "questions": rows[:SHOWN],
        "has_more": len(runs) > SHOWN or len(rows) > SHOWN,
        "form": AnswerForm(),
    }
    return pages.show(request, "billing/approvals.html", context)


@require_POST
@pages.page
def decide(request: PageRequest) -> HttpResponse:
    """Approve or reject the ticked plans."""
    runs = pages.changeable(request, pages.rows(request, PushRun)).select_related("client__partner")
    keys = [key for text in request.POST.getlist("run") if (key := pages.id_in(text))][:MOST_AT_ONCE]
    chosen = list(runs.filter(pk__in=keys))
    by = Decider.of(request.user)
    if request.POST.get("decision") == "reject":
        form = RejectForm(request.POST)
        reason = form.cleaned_data["reason"] if form.is_valid() else ""
        refused, word = proposals.reject_all(chosen, by=by, text=reason), "rejected"
    else:
        refused, word = proposals.approve_all(chosen, by=by), "approved"
    return told(request, len(chosen) - len(refused), proposals.sentences(refused), word=word)


def told(request: PageRequest, count: int, refused: list[str], *, word: str) -> HttpResponse:
    if count:
        messages.success(request, f"{count} {'plan was' if count == 1 else 'plans were'} {word}.")
    elif not refused:
        messages.info(request, "Tick at least one plan.")
    for text in refused[:20]:
        messages.warning(request, text)
    return redirect("approvals")


@require_POST
@pages.page
def answer(request: PageRequest) -> HttpResponse:
    """The same answer to all ticked questions."""
    rows = pages.changeable(request, pages.rows(request, Question)).select_related("client__partner")
    keys = [key for text in request.POST.getlist("question") if (key := pages.id_in(text))][:MOST_AT_ONCE]
    form = AnswerForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose an answer; a day is written like 2026-11-21.")
        return redirect("approvals")
    try:
        count = questions.answer_all(
            rows.filter(pk__in=keys),
            form.cleaned_data["answer"],
            by=Decider.of(request.user),
            until=form.cleaned_data["until"],
        )
    except Refused as no:
        messages.error(request, no.text)
    else:
        messages.success(request, f"{count} {'question was' if count == 1 else 'questions were'} answered.")
    return redirect("approvals")


# --- Runs -------------------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def runs(request: PageRequest) -> HttpResponse:
    form = RunSearchForm(request.GET)
    form.is_valid()
    mine = pages.rows(request, PushRun)
    found = mine.select_related("client", "partner", "batch", "undoes")
    if text := form.cleaned_data.get("q"):
        found = found.filter(Q(client__name__icontains=text) | Q(agreement_name__icontains=text))
    if state := form.cleaned_data.get("state"):
        found = found.filter(state=state)
    context = {
        "page": pages.page_of(request, found, by=pages.time_of(request, "started_at"), within=mine),
        "form": form,
        "batches": pages.rows(request, PushBatch).order_by("-pk")[:5],
    }
    return pages.show(request, "billing/runs.html", context)


@require_safe
@pages.page
def run(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(
        request, PushRun, pk, "client", "delivery", "undoes", "asked_by", "settings_by", "batch"
    )
    context = {
        "run": row,
        "client": row.client,
        "items": row.items.select_related("service", "question"),
        "undos": row.undos.order_by("-pk"),
        "cannot_undo": undo.refusal(row),
        "cannot_approve": proposals.refusals([row], Decider.of(request.user)).get(row.pk),
        "form": RejectForm(),
    }
    return pages.show(request, "billing/run.html", context, partner=row.partner)


@require_POST
@pages.page
def undo_run(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, PushRun, pk, "client__partner")
    pages.require_manager(request, row.partner)
    try:
        asked = undo.ask(row, by=Decider.of(request.user))
    except Refused as no:
        messages.error(request, no.text)
        return redirect("push_run", pk)
    messages.success(request, "The undo is being planned; it is sent when somebody approves the plan below.")
    return redirect("push_run", asked.pk)


@require_POST
@pages.page
def undo_batch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    batch = pages.get_row(request, PushBatch, pk)
    pages.require_manager(request, batch.partner)
    asked, refused = undo.ask_batch(batch, by=Decider.of(request.user))
    count = asked.runs.count()
    messages.success(request, f"{count} undos are being planned; they wait under Approvals.")
    for text in refused[:20]:
        messages.warning(request, text)
    return redirect("approvals")
