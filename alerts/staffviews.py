"""The board of the vendor's staff, and reprocessing after an incident. For everybody else these pages do not exist."""

from __future__ import annotations

import functools
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from alerts import staffboard
from integrations import bulkreprocess, incidents
from integrations.incidents import Case
from portal import pages
from portal.models import Partner
from portal.pages import PageRequest, View

MOST_REASON = 300


def staff_page(view: View) -> View:
    """Not for partners: to them there is nothing here."""

    @functools.wraps(view)
    def shown(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return pages.page(shown)


@staff_page
@require_safe
def staff_board(request: PageRequest) -> HttpResponse:
    """Everything that needs staff: the same errors over partners, connections in trouble, queues, processes."""
    found = incidents.groups()
    shown = found[: incidents.MOST_SHOWN]
    keys = {key for group in shown for key in group.partners}
    names = staffboard.partners_of(list(keys))
    context = {
        "board": staffboard.of_all(),
        "same_errors": [
            (group, sorted((names[key] for key in group.partners if key in names), key=lambda row: row.name))
            for group in shown
        ],
        "left": len(found) - len(shown),
        "may_reprocess": may_reprocess(request),
    }
    return pages.show(request, "alerts/staff_board.html", context)


def may_reprocess(request: PageRequest) -> bool:
    return request.user.has_perm("integrations.change_delivery")


def require_right(request: PageRequest) -> None:
    if not may_reprocess(request):
        raise PermissionDenied(
            "Reprocessing needs the right to change deliveries. An administrator can give it."
        )


@staff_page
@require_POST
def incident_begin(request: PageRequest) -> HttpResponse:
    """A dry run over the ticked partners; nothing is tried again yet."""
    require_right(request)
    group = incidents.find_group(request.POST.get("group", ""))
    if group is None:
        messages.info(request, "This error is not there any more: nothing of it failed within seven days.")
        return redirect("staff_board")
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:MOST_REASON]
    ticked = {key for text in request.POST.getlist("partner") if (key := pages.id_in(text))}
    partners = Partner.objects.filter(pk__in=ticked & set(group.partners)).order_by("name")
    if not reason or not partners:
        messages.error(
            request, "Tick at least one partner and say why; the reason goes into their audit logs."
        )
        return redirect("staff_board")
    case = incidents.begin(incidents.filter_of(group), partners, reason=reason, by=request.user)
    return redirect("incident", case)


@staff_page
@require_safe
def incident(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """How far it is, partner by partner."""
    return pages.show(request, "alerts/incident.html", context_of(request, case_in(pk)))


@staff_page
@require_safe
def incident_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    case = case_in(pk)
    answer = pages.show(request, "alerts/incident_progress.html", context_of(request, case))
    if not case.is_running:
        answer["HX-Refresh"] = "true"
    return answer


@staff_page
@require_POST
def incident_carry_out(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Do what the dry runs counted, or stop what runs."""
    require_right(request)
    case = case_in(pk)
    if "stop" in request.POST:
        stopped = sum(bulkreprocess.stop(run) for run in case.runs)
        messages.info(request, f"{stopped} runs were stopped.")
    elif not incidents.carry_out(case, by=request.user):
        messages.info(request, "There is nothing to carry out: it runs, is done, or nothing was found.")
    return redirect("incident", pk)


def case_in(pk: uuid.UUID) -> Case:
    case = incidents.find_case(pk)
    if case is None:
        raise Http404
    return case


def context_of(request: PageRequest, case: Case) -> dict[str, Any]:
    return {
        "case": case,
        "lines": [(run, bulkreprocess.told(run)) for run in case.runs],
        "may_reprocess": may_reprocess(request),
    }
