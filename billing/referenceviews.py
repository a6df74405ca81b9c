"""The page that compares cross-references with the PSA's own table, and writes what was confirmed."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from billing import psareferences, referenceruns
from billing.decisions import Decider, Refused
from billing.models import ReferenceRun
from integrations.models import Credentials
from integrations.views import connection_in
from portal import pages
from portal.pages import PageRequest

RUNS_SHOWN = 5


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def psa_references(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What was written so far. The PSA is read when a manager asks for it, and written when he confirms."""
    row = connection_in(request, pk)
    context: dict[str, Any] = {
        "row": row,
        "is_offered": psareferences.is_offered(row),
        "mode": psareferences.mode_of(row),
        "compared": None,
    }
    if request.method == "POST":
        pages.require_manager(request, row.partner)
        try:
            if request.POST.get("what") == "write":
                written(request, row)
                return redirect("psa_references", pk)
            context["compared"] = psareferences.compare(row)
        except Refused as no:
            messages.error(request, no.text)
    context["runs"] = runs_of(row)
    context["is_running"] = bool(context["runs"]) and context["runs"][0].is_running
    return pages.show(request, "billing/psa_references.html", context, partner=row.partner)


def written(request: PageRequest, row: Credentials) -> None:
    """Raises Refused."""
    run = referenceruns.ask(row, request.POST.get("digest", ""), by=Decider.of(request.user))
    if run.state == ReferenceRun.State.OBSERVED:
        messages.warning(request, referenceruns.OBSERVED)
    else:
        messages.success(
            request, f"{len(run.lines)} lines are written now; this page shows what comes of each."
        )


@require_safe
@pages.page
def psa_references_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the page that htmx fetches again while lines are written."""
    row = connection_in(request, pk)
    runs = runs_of(row)
    context = {"row": row, "runs": runs, "is_running": bool(runs) and runs[0].is_running}
    return pages.show(request, "billing/psa_references_runs.html", context, partner=row.partner)


def runs_of(row: Credentials) -> list[ReferenceRun]:
    """The newest first; one that is not over is the newest, as there is one at a time."""
    return list(ReferenceRun.objects.filter(credentials=row)[:RUNS_SHOWN])
