"""Pages of the management report: what it will show of a client, the checklist of its set-up, and their buttons."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from billing import backupstatistics, reportorders, reportsetup, usage
from billing.backupstatistics import Numbers
from billing.decisions import Decider
from billing.models import ReportRun, ReportSetup, ReportWindow
from integrations import effective
from integrations.models import Credentials
from portal import clock, inheritance, pages
from portal.models import Client
from portal.pages import PageRequest

RUNS = 10
ENTRIES = (
    ("workstations_and_servers", "Workstations and Servers"),
    ("backup_stats", "Backup Stats"),
)
LINES = (
    ("successful_jobs", "Successful backup jobs", "Sum of the month's words of all accounts."),
    ("failed_jobs", "Failed backup jobs", "Sum of the month's words of all accounts."),
    ("servers", "Servers", "Accounts of kind server whose newest word says protected."),
    ("workstations", "Workstations", "Accounts of kind workstation whose newest word says protected."),
)


@dataclass(frozen=True)
class Line:
    """One number of the report: what we computed, where from, and what the PSA showed at the last look."""

    title: str
    value: int
    source: str
    in_psa: Any


@require_safe
@pages.page
def client_report(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = pages.get_row(request, Client, pk, "organization")
    connection = effective.credentials_for(
        client, inheritance.Tree.of(client.partner_id), effective.by_level(client.partner_id)
    )
    runs = list(ReportRun.objects.filter(client=client)[:RUNS])
    numbers = backupstatistics.numbers_for(client, today=usage.today_for(client))
    context = {
        "client": client,
        "connection": connection,
        "mode": reportorders.mode_for(client),
        "numbers": numbers,
        "lines": lines_of(numbers, runs[0] if runs else None),
        "entries": ENTRIES,
        "shows_entries": connection is not None and connection.kind == "connectwise",
        "runs": runs,
        "proposal": proposal_of(runs),
        "window": ReportWindow.objects.filter(client=client).first() or ReportWindow(client=client),
        "setup": ReportSetup.objects.filter(credentials=connection).first() if connection else None,
        "now": clock.now(),
    }
    if context["setup"] is not None:
        context["setup_lines"] = reportsetup.lines_with_ticks(context["setup"])
    return pages.show(request, "billing/client_report.html", context, partner=client.partner)


def lines_of(numbers: Numbers | None, last: ReportRun | None) -> list[Line]:
    if numbers is None:
        return []
    shown = shown_by(last)
    return [Line(title, getattr(numbers, name), source, shown.get(name)) for name, title, source in LINES]


def shown_by(last: ReportRun | None) -> dict[str, Any]:
    """What the PSA's entries show, by name: as they were read for the last update, and what it wrote then."""
    if last is None:
        return {}
    shown: dict[str, Any] = {}
    for entry in last.plan.get("found", {}).get("entries", ()):
        shown |= {name: value for name, value in entry.items() if value is not None}
    if last.state == ReportRun.State.DONE:
        for item in last.plan.get("items", ()):
            shown |= item.get("after", {}) if item.get("record") == "management report entry" else {}
    return shown


def proposal_of(runs: list[ReportRun]) -> ReportRun | None:
    """The newest run, when it waits for approval."""
    newest = runs[0] if runs else None
    return newest if newest and newest.state == ReportRun.State.PROPOSED and not newest.approved_by else None


@require_POST
@pages.page
def update_report(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Update Backup Statistics now: the 12 h window does not hold who presses the button."""
    client = pages.get_row(request, Client, pk)
    pages.require_manager(request, client.partner)
    if reportorders.ask([client], cause="button", by=request.user, at_once=True):
        messages.success(request, f"The report of {client} is updated now; this page shows what comes of it.")
    else:
        messages.info(
            request, f"An update of {client} waits already; it goes as soon as the connection allows."
        )
    return redirect("client_report", pk)


@require_POST
@pages.page
def approve_report(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Exactly the writes that are shown; with other numbers by then, it is proposed anew."""
    client = pages.get_row(request, Client, pk)
    pages.require_manager(request, client.partner)
    if reportorders.approve(client, digest=request.POST.get("digest", ""), by=request.user):
        messages.success(request, f"Approved; the report of {client} is updated now.")
    else:
        messages.info(request, "This proposal is no longer the newest; look at what is proposed now.")
    return redirect("client_report", pk)


@require_POST
@pages.page
def verify_setup(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    credentials = pages.get_row(request, Credentials, pk, without=("secret",))
    pages.require_manager(request, credentials.partner)
    reportsetup.ask(credentials)
    messages.success(request, "The set-up in the PSA is verified now; load the page again in a moment.")
    client = pages.id_in(request.POST.get("client", ""))
    return redirect("client_report", client) if client else redirect("clients")


@require_POST
@pages.page
def tick_setup(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """A line that no API can verify, ticked by whoever has looked; or not ticked any more."""
    credentials = pages.get_row(request, Credentials, pk, without=("secret",))
    pages.require_manager(request, credentials.partner)
    line = request.POST.get("line", "")[:200].replace("\x00", "")
    if "untick" in request.POST:
        reportsetup.untick(credentials, line)
        messages.success(request, f"{line} is not ticked any more.")
    elif reportsetup.tick(credentials, line, by=Decider.of(request.user)):
        messages.success(request, f"{line} is ticked.")
    else:
        messages.info(request, "This line is verified by itself, or is not there any more.")
    client = pages.id_in(request.POST.get("client", ""))
    return redirect("client_report", client) if client else redirect("clients")
