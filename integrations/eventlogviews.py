"""Pages of the Event Log: quick and Advanced Search, one event, reprocessing, the file."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from integrations import bulkreprocess, eventgrammar, eventlog, eventsearch, eventsheet, savedsearches
from integrations.eventgrammar import FIELDS, NotUnderstood
from integrations.eventlog import Verdict
from integrations.eventsearch import EventFilter, Looked
from integrations.forms import EventSearchForm, SavedSearchForm, query_of
from integrations.models import BulkReprocess, Delivery, Event, SavedSearch
from portal import clock, pages, workbooks
from portal.models import Client
from portal.pages import PageRequest

ADVANCED = "advanced"
BLANK = eventgrammar.Condition("", "=", "")
PRESETS = (
    ("Notification errors", EventFilter(conditions=(eventgrammar.WITH_ERRORS,))),
    (
        "Waiting for a person",
        EventFilter(conditions=(eventgrammar.Condition("notification_status", "IN", "held, failed"),)),
    ),
    (
        "No ticket asked for",
        EventFilter(conditions=(eventgrammar.Condition("notification_action", "!=", "ticket"),)),
    ),
)


@require_safe
@pages.page
def event_log(request: PageRequest) -> HttpResponse:
    """The newest events, or those that a quick or an Advanced Search finds."""
    form = EventSearchForm(request.GET)
    wanted = form.wanted()
    mine = pages.rows(request, Event)
    found, refusal = looked_for(request, mine, wanted)
    lines = [*wanted.conditions] or [BLANK]
    if "more" in request.GET and len(lines) < eventgrammar.MOST_CONDITIONS:
        lines.append(BLANK)
    context = {
        "page": found,
        "form": form,
        "wanted": wanted,
        "query": query_of(wanted),
        "tab": ADVANCED if wanted.conditions or request.GET.get("tab") == ADVANCED else "",
        "lines": lines,
        "fields": FIELDS,
        "operators": eventgrammar.OPERATORS,
        "refusal": refusal,
        "presets": [(name, query_of(preset)) for name, preset in PRESETS],
        "searches": searches_of(request),
        "save_form": SavedSearchForm(),
        "has_parked": mine.filter(client=None, state=Event.State.PARKED).exists(),
    }
    return pages.show(request, "integrations/event_log.html", context)


def looked_for(
    request: PageRequest, mine: QuerySet[Any], wanted: EventFilter
) -> tuple[Looked, NotUnderstood | None]:
    """The page of events; none when the search cannot be understood."""
    before = pages.id_in(request.GET.get("before", ""))
    try:
        return eventsearch.look(mine, wanted, by=pages.time_of(request, "received_at"), before=before), None
    except NotUnderstood as error:
        return Looked([], None, True), error


@require_safe
@pages.page
def export(request: PageRequest) -> HttpResponseBase:
    """What the search finds, as a file for spreadsheets."""
    wanted = EventSearchForm(request.GET).wanted()
    now = timezone.localtime(clock.now())
    mine = pages.rows(request, Event)
    try:
        if request.GET.get("format") == "xlsx":
            return workbooks.answer(eventsheet.export_xlsx(mine, wanted), eventsheet.file_name(now, "xlsx"))
        lines = eventsheet.export(mine, wanted)
    except NotUnderstood:
        return redirect(f"{reverse('event_log')}?{query_of(wanted)}")
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{eventsheet.file_name(now)}"'
    return answer


@require_safe
@pages.page
def parked_events(request: PageRequest) -> HttpResponse:
    """Events whose client nobody knows, with the name they gave."""
    mine = pages.rows(request, Event).filter(client=None, state=Event.State.PARKED)
    page = pages.page_of(
        request, mine.select_related("partner"), by=pages.time_of(request, "received_at"), within=mine
    )
    return pages.show(request, "integrations/parked_events.html", {"page": page})


@require_safe
@pages.page
def event(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, Event, pk, "client", "account")
    deliveries = row.deliveries.order_by("created_at", "id").select_related("lane__credentials")
    deliveries = deliveries.defer("lane__credentials__secret")
    context = {"event": row, "deliveries": list(deliveries)}
    return pages.show(request, "integrations/event.html", context, partner=row.partner)


def events_panel(request: PageRequest, client: Client) -> str:
    """The latest events of a client, inside another room's page."""
    mine = Event.objects.visible_to(request.user).filter(client=client)
    newest = eventsearch.newest(mine, by="received_at", count=15)
    context = {"events": newest, "client": client}
    return render(request, "integrations/events_panel.html", context).content.decode()


# --- Reprocess --------------------------------------------------------------------------------------------------------


@require_POST
@pages.page
def reprocess(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Reprocess Notification: try one delivery again, or say what that would do."""
    row = pages.get_row(request, Delivery, pk)
    pages.require_manager(request, row.partner)
    if "preview" in request.POST:
        verdict = eventlog.foresee(Delivery.objects.filter(pk=row.pk))[row.pk]
        messages.info(request, f"Reprocessing would do this: {verdict.label}. Nothing was done yet.")
    else:
        tell_reprocessed(request, eventlog.reprocess(Delivery.objects.filter(pk=row.pk)))
    return redirect("event", row.event_id)


@require_POST
@pages.page
def reprocess_selected(request: PageRequest) -> HttpResponse:
    """What hangs on the ticked events, or on all that match the search that was shown."""
    events = pages.changeable(request, pages.rows(request, Event))
    wanted = EventSearchForm(request.POST).wanted()
    if "matching" in request.POST and not wanted.is_empty:
        return begin_bulk(request, wanted)
    ticked = [key for text in request.POST.getlist("event") if (key := pages.id_in(text))]
    deliveries = eventsearch.deliveries_of(events.filter(pk__in=ticked))
    if "preview" in request.POST:
        counted = Counter(eventlog.foresee(deliveries).values())
        context = {
            "verdicts": [(verdict.label, counted[verdict]) for verdict in Verdict if verdict in counted],
            "ticked": ticked,
            "query": query_of(wanted),
        }
        return pages.show(request, "integrations/reprocess_preview.html", context)
    tell_reprocessed(request, eventlog.reprocess(deliveries))
    return back_to(wanted)


def back_to(wanted: EventFilter) -> HttpResponse:
    """The list with the same search."""
    return redirect(f"{reverse('event_log')}?{query_of(wanted)}" if not wanted.is_empty else "event_log")


def tell_reprocessed(request: PageRequest, count: int) -> None:
    if count == 1:
        messages.success(request, "1 delivery will be tried again.")
    elif count:
        messages.success(request, f"{count} deliveries will be tried again.")
    else:
        messages.info(request, "Nothing to try again: it is on its way already, or no PSA is configured.")


def begin_bulk(request: PageRequest, wanted: EventFilter) -> HttpResponse:
    """All that match: first counted, on a page that shows how far the counting is."""
    if request.partner is None:
        messages.info(request, "Choose a partner first: all that match are reprocessed partner by partner.")
        return redirect("partners")
    pages.require_manager(request, request.partner)
    try:
        row = bulkreprocess.begin(request.partner, wanted, is_dry_run=True, by=request.user.email)
    except NotUnderstood as error:
        messages.error(request, error.text)
        return back_to(wanted)
    return redirect("bulk_reprocess", row.pk)


@require_safe
@pages.page
def bulk(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, BulkReprocess, pk)
    return pages.show(request, "integrations/bulk_reprocess.html", bulk_context(row), partner=row.partner)


@require_safe
@pages.page
def bulk_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the page that htmx fetches again while it runs."""
    row = pages.get_row(request, BulkReprocess, pk)
    answer = pages.show(request, "integrations/bulk_progress.html", bulk_context(row), partner=row.partner)
    if row.state != BulkReprocess.State.RUNNING:
        answer["HX-Refresh"] = "true"
    return answer


def bulk_context(row: BulkReprocess) -> dict[str, Any]:
    wanted = EventFilter.of_json(row.wanted)
    return {
        "row": row,
        "wanted": wanted,
        "query": query_of(wanted),
        "verdicts": bulkreprocess.told(row),
        "is_running": row.state == BulkReprocess.State.RUNNING,
        "to_do": bulkreprocess.to_do(row),
    }


@require_POST
@pages.page
def change_bulk(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Do what a dry run counted, or stop."""
    row = pages.get_row(request, BulkReprocess, pk)
    pages.require_manager(request, row.partner)
    if "stop" in request.POST:
        bulkreprocess.stop(row)
        return redirect("bulk_reprocess", row.pk)
    wanted = EventFilter.of_json(row.wanted)
    started = bulkreprocess.begin(row.partner, wanted, is_dry_run=False, by=request.user.email)
    return redirect("bulk_reprocess", started.pk)


# --- Saved searches ---------------------------------------------------------------------------------------------------


def searches_of(request: PageRequest) -> list[tuple[SavedSearch, str, bool]]:
    """The reader's own and those shared with them: the search, its query, whether it is theirs to delete."""
    rows = pages.rows(request, SavedSearch).filter(Q(owner=request.user) | Q(is_shared=True))
    found = rows.select_related("owner").order_by("name", "pk")[:100]
    return [
        (row, query_of(EventFilter.of_json(row.wanted)), row.owner_id == request.user.pk) for row in found
    ]


@require_POST
@pages.page
def save_search(request: PageRequest) -> HttpResponse:
    """Keep the search that was shown; the same name replaces one's own earlier one."""
    wanted = EventSearchForm(QueryDict(request.POST.get("query", ""))).wanted()
    form = SavedSearchForm(request.POST)
    if request.partner is None:
        messages.info(request, "Choose a partner first: a search is kept for one partner.")
        return redirect("partners")
    if wanted.is_empty or not form.is_valid():
        messages.error(request, "A saved search needs a name and something to look for.")
        return back_to(wanted)
    name, is_shared = form.cleaned_data["name"], form.cleaned_data["is_shared"]
    savedsearches.keep(request.partner, request.user, wanted, name=name, is_shared=is_shared)
    messages.success(request, f"Saved as “{name}”.")
    return back_to(wanted)


@require_POST
@pages.page
def delete_search(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, SavedSearch, pk)
    if row.owner_id is None or row.owner_id != request.user.pk:
        if not row.is_shared:
            raise Http404
        pages.require_manager(request, row.partner)
    row.delete()
    messages.success(request, f"“{row.name}” is not kept any more.")
    return redirect("event_log")
