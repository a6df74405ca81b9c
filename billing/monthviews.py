"""Pages of a month's reconciliation and of clients' evidence packs, and what an end customer is sent a link to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_POST, require_safe

from billing import evidence, evidencelinks, evidencepdf, months, monthsheet, readings
from billing.causes import Kind
from billing.decisions import Decider, Refused
from billing.models import EvidencePack, MonthNumbers, PackLink
from billing.monthforms import MonthSearchForm, ShareForm
from portal import pages, workbooks
from portal.models import Client, Partner
from portal.pages import PageRequest

STEPS = {
    "billable": ("Measured", "Billable"),
    "pushed": ("Billable", "Pushed"),
    "in_agreement": ("Pushed", "In agreement"),
    "invoiced": ("In agreement", "Invoiced"),
}
SHORT = 1_000


# --- Reconciliation --------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def reconciliation(request: PageRequest) -> HttpResponse:
    """Five numbers for each client and service of a month, and how much is at risk."""
    assert request.partner is not None
    month = asked_month(request, request.partner)
    form = MonthSearchForm({**request.GET.dict(), "month": f"{month:%Y-%m}"})
    every = pages.rows(request, MonthNumbers).filter(month=month)
    found = searched(request, form, every)
    page = pages.page_of(request, found, by="place", within=every, descending=False)
    page.rows[:] = with_related(page.rows)
    context = {
        "page": page,
        "form": form,
        "month": month,
        "months": months.known(request.partner),
        "state": months.row_of_month(request.partner, month),
        "order": readings.last_order(request.partner, month),
        "totals": totals_of(found),
        "query": without(request, "before"),
        "is_over": month < months.current(request.partner),
    }
    return pages.show(request, "billing/reconciliation.html", context)


def asked_month(request: HttpRequest, partner: Partner) -> date:
    """The month of the address; an unreadable one is this month."""
    try:
        return months.month_of(request.GET.get("month") or request.POST.get("month") or "")
    except Refused:
        return months.current(partner)


def searched(request: PageRequest, form: MonthSearchForm, every: QuerySet[Any]) -> QuerySet[Any]:
    values = form.cleaned_data if form.is_valid() else {}
    return months.narrowed(
        every,
        client=pages.id_in(request.GET.get("client", "")),
        service=values.get("service", ""),
        cause=values.get("cause", ""),
        only_differences=values.get("differences", False),
        text=values.get("q", ""),
    )


def with_related(rows: list[MonthNumbers]) -> list[MonthNumbers]:
    """With client and service; the page's own rows alone, in their order."""
    found = MonthNumbers.objects.select_related("client", "service").in_bulk([row.pk for row in rows])
    return [found[row.pk] for row in rows]


def totals_of(found: QuerySet[Any]) -> dict[str, Any]:
    """Two queries: how many, and money by currency."""
    counts = found.aggregate(
        rows=Count("pk"),
        differing=Count("pk", filter=Q(differs=True)),
        unexplained=Count("pk", filter=Q(kinds__contains=f",{Kind.UNEXPLAINED},")),
        unpriced=Count("pk", filter=Q(at_risk=None)),
    )
    money = (
        found.filter(at_risk__gt=0).order_by("currency").values("currency").annotate(amount=Sum("at_risk"))
    )
    return {**counts, "at_risk": list(money)}


def without(request: HttpRequest, *names: str) -> str:
    query = request.GET.copy()
    for name in names:
        query.pop(name, None)
    return query.urlencode()


@require_safe
@pages.page
def reconciliation_row(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """One row: its causes, and where each can be looked at."""
    row = pages.get_row(request, MonthNumbers, pk, "client", "service")
    steps = [
        {**step, "names": STEPS[step["name"]], "causes": [shown(one) for one in step["causes"]]}
        for step in row.steps
    ]
    context = {"row": row, "client": row.client, "steps": steps}
    return pages.show(request, "billing/reconciliation_row.html", context, partner=row.partner)


def shown(cause: dict[str, Any]) -> dict[str, Any]:
    return {**cause, "label": Kind(cause["kind"]).label, "url": url_of(cause.get("link"))}


def url_of(link: list[str] | None) -> str:
    if not link:
        return ""
    name, key = link
    try:
        return reverse(name, args=[key] if key else [])
    except NoReverseMatch:
        return ""


@require_safe
@pages.partner_page
def reconciliation_progress(request: PageRequest) -> HttpResponse:
    """The part of the page that htmx fetches again while agreements are read."""
    assert request.partner is not None
    month = asked_month(request, request.partner)
    order = readings.last_order(request.partner, month)
    answer = pages.show(request, "billing/reading_progress.html", {"order": order, "month": month})
    if order is None or order.finished_at is not None:
        answer["HX-Refresh"] = "true"
    return answer


@require_safe
@pages.partner_page
def reconciliation_export(request: PageRequest) -> HttpResponseBase:
    """What the search finds, as a file for spreadsheets."""
    assert request.partner is not None
    month = asked_month(request, request.partner)
    form = MonthSearchForm({**request.GET.dict(), "month": f"{month:%Y-%m}"})
    found = searched(request, form, pages.rows(request, MonthNumbers).filter(month=month))
    if request.GET.get("format") == "xlsx":
        return workbooks.answer(monthsheet.xlsx(found), monthsheet.file_name(month, "xlsx"))
    answer = StreamingHttpResponse(monthsheet.csv(found), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{monthsheet.file_name(month, "csv")}"'
    return answer


def done_for(request: PageRequest, work: Callable[[Partner, date], object], told: str) -> HttpResponse:
    """Carry out what a button of the page asks, and lead back to its month."""
    assert request.partner is not None
    pages.require_manager(request, request.partner)
    month = asked_month(request, request.partner)
    try:
        work(request.partner, month)
    except Refused as no:
        messages.error(request, no.text)
    else:
        messages.success(request, told)
    return redirect(f"{reverse('reconciliation')}?month={month:%Y-%m}")


@require_POST
@pages.partner_page
def read_agreements(request: PageRequest) -> HttpResponse:
    def read(partner: Partner, month: date) -> None:
        months.refuse_closed(partner, month)
        readings.ask(partner, month, by=Decider.of(request.user).name)

    return done_for(request, read, "The agreements are read; the numbers follow by themselves.")


@require_POST
@pages.partner_page
def calculate_month(request: PageRequest) -> HttpResponse:
    return done_for(request, months.ask, "The month is counted anew; reload in a moment.")


@require_POST
@pages.partner_page
def close_month(request: PageRequest) -> HttpResponse:
    def close(partner: Partner, month: date) -> None:
        if request.POST.get("sure") != "yes":
            raise Refused("not_sure", "Tick that you are sure: a closed month is never counted again.")
        months.ask_close(partner, month, by=Decider.of(request.user).name)

    return done_for(request, close, "The month is being closed; its numbers and evidence stay as they are.")


# --- Evidence --------------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def client_evidence(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What a client's month was billed for, on one page."""
    client = pages.get_row(request, Client, pk)
    month = evidence_month(request, client)
    facts, pack = evidence.of_client(client, month)
    links = list(evidencelinks.standing(pack)) if pack is not None else []
    context = {
        "client": client,
        "facts": facts,
        "pack": pack,
        "month": month,
        "known": evidence.days_known(client),
        "short": evidence.short_form(facts, SHORT),
        "links": [(link, request.build_absolute_uri(shared_path(link))) for link in links],
        "form": ShareForm(),
    }
    return pages.show(request, "billing/client_evidence.html", context, partner=client.partner)


def evidence_month(request: HttpRequest, client: Client) -> date:
    """The month of the address, else the last one that has numbers, else this one."""
    try:
        return months.month_of(request.GET.get("month") or request.POST.get("month") or "")
    except Refused:
        known = evidence.days_known(client)
        return months.month_of(known[0]) if known else evidence.this_month(client)


@require_safe
@pages.page
def client_evidence_pdf(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = pages.get_row(request, Client, pk)
    facts, pack = evidence.of_client(client, evidence_month(request, client))
    return pdf_answer(facts, pack)


def pdf_answer(facts: evidence.Facts, pack: EvidencePack | None) -> HttpResponse:
    made = evidencepdf.made(facts, pack.digest if pack is not None else "")
    answer = HttpResponse(made, content_type="application/pdf")
    name = f"evidence-{facts['client']['number']}-{facts['month']}.pdf"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_POST
@pages.page
def share_evidence(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """A link for the end customer, of a closed month alone."""
    client = pages.get_row(request, Client, pk)
    pages.require_manager(request, client.partner)
    month = evidence_month(request, client)
    pack = EvidencePack.objects.filter(client=client, month=month).first()
    form = ShareForm(request.POST)
    if pack is None:
        messages.error(request, f"{month:%Y-%m} is not closed yet, or nothing was known of this client then.")
    elif not form.is_valid():
        messages.error(request, "Choose for how long the link holds.")
    else:
        try:
            evidencelinks.make(pack, days=form.cleaned_data["days"], by=Decider.of(request.user))
            messages.success(request, "The link is below; whoever has it sees this pack and nothing else.")
        except Refused as no:
            messages.error(request, no.text)
    return redirect(f"{reverse('client_evidence', args=[client.pk])}?month={month:%Y-%m}")


@require_POST
@pages.page
def revoke_evidence(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    link = pages.get_row(request, PackLink, pk, "pack")
    pages.require_manager(request, link.partner)
    if evidencelinks.revoke(link, by=Decider.of(request.user)):
        messages.success(request, "The link is revoked; it shows nothing any more.")
    pack = link.pack
    return redirect(f"{reverse('client_evidence', args=[pack.client_id])}?month={pack.month:%Y-%m}")


def shared_path(link: PackLink) -> str:
    return reverse("shared_evidence", args=[evidencelinks.token_of(link)])


@require_safe
def shared_evidence(request: HttpRequest, token: str) -> HttpResponse:
    """Without a login: that pack, while its link holds."""
    pack = opened(token)
    if isinstance(pack, HttpResponse):
        return pack
    context = {"facts": pack.facts, "pack": pack, "token": token}
    return guarded(render(request, "billing/shared_evidence.html", context))


@require_safe
def shared_evidence_pdf(request: HttpRequest, token: str) -> HttpResponse:
    pack = opened(token)
    return guarded(pack if isinstance(pack, HttpResponse) else pdf_answer(pack.facts, pack))


def opened(token: str) -> EvidencePack | HttpResponse:
    """The pack, counted as opened; an answer when it is opened too often. A link that does not hold is not found."""
    link = evidencelinks.find(token)
    if link is None:
        raise Http404
    if not evidencelinks.count(link):
        return guarded(
            HttpResponse("Opened too often; try again in a minute.", status=429, content_type="text/plain")
        )
    return link.pack


def guarded(answer: HttpResponse) -> HttpResponse:
    """Not found by search engines, and not told to pages that are opened from it."""
    answer["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    answer["Referrer-Policy"] = "no-referrer"
    return answer
