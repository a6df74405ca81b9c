"""Pages of the guided set-up: from no connection to the first preview, step by step."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from alerts import connectionfacts, guide, tickettest
from alerts.connectionfacts import PartnerFacts
from alerts.forms import RemarkForm
from alerts.guide import Guide
from integrations import doctor, reloading, suggestions
from integrations.models import Credentials
from integrations.models.connections import Kind, Standing
from portal import clients, pages
from portal.models import Client
from portal.pages import PageRequest


@require_safe
@pages.partner_page
def guided_setup(request: PageRequest) -> HttpResponse:
    """Every connection with how far it is; without one, the first step."""
    assert request.partner is not None
    found = connectionfacts.of(request.partner)
    context = {
        "guides": guide.guides_of(found),
        "top": clients.top_level(request.partner),
        "kinds": [kind for kind in Kind if kind != Kind.NONE],
    }
    return pages.show(request, "alerts/guided_setup.html", context)


@require_safe
@pages.page
def guided_setup_of(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The steps of one connection. From here every page leads back, until somebody leaves the way or it is over."""
    row = connection_in(request, pk)
    found, way = way_of(row)
    if way.is_over:
        request.session.pop(pages.GUIDED, None)
    elif request.session.get(pages.GUIDED) != str(pk):
        request.session[pages.GUIDED] = str(pk)
    context = {
        **context_of(way),
        "testable": connectionfacts.mapped_clients(row, guide.MOST_CLIENTS),
        "partner_facts": found,
    }
    return pages.show(request, "alerts/guided_setup_of.html", context, partner=row.partner)


@require_safe
@pages.page
def progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What htmx asks for while a step is under way: the page anew when it is over."""
    row = connection_in(request, pk)
    _, way = way_of(row)
    answer = pages.show(request, "alerts/guided_progress.html", context_of(way), partner=row.partner)
    if not way.is_busy:
        answer["HX-Refresh"] = "true"
    return answer


def connection_in(request: PageRequest, pk: uuid.UUID) -> Credentials:
    row: Credentials = pages.get_row(request, Credentials, pk, without=("secret",))
    if row.kind == Kind.NONE or row.standing != Standing.CURRENT:
        raise Http404
    return row


def way_of(row: Credentials) -> tuple[PartnerFacts, Guide]:
    found = connectionfacts.of(row.partner)
    facts = next((one for one in found.connections if one.row.pk == row.pk), None)
    if facts is None:
        raise Http404
    return found, guide.guide_of(facts, found)


def context_of(way: Guide) -> dict[str, object]:
    return {"guide": way, "row": way.facts.row, "next": way.next}


# --- Buttons ---------------------------------------------------------------------------------------------------------


@require_POST
@pages.page
def act(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What a step's button asks for. Whether the step is done afterwards, its facts say."""
    row = connection_in(request, pk)
    pages.require_manager(request, row.partner)
    asked = request.POST.get("do", "")
    if asked in ACTS:
        ACTS[asked](request, row)
    return redirect("guided_setup_of", pk)


def test(request: PageRequest, row: Credentials) -> None:
    doctor.ask(row)


def reload(request: PageRequest, row: Credentials) -> None:
    reloading.ask(row, by=request.user)


def suggest(request: PageRequest, row: Credentials) -> None:
    count = suggestions.refresh(row)
    if not count:
        messages.info(request, "No unmapped client resembles a company of the PSA. Map them by hand.")


def defaults(request: PageRequest, row: Credentials) -> None:
    try:
        saved = guide.use_defaults(row, by=request.user.email)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return
    if saved is None:
        messages.info(request, "No board with an initial and a closing status was found. Choose by hand.")


def rule(request: PageRequest, row: Credentials) -> None:
    guide.add_rule(connectionfacts.of(row.partner), by=request.user.email)


def test_ticket(request: PageRequest, row: Credentials) -> None:
    """For the client that was picked, else the first one that is mapped."""
    offered = connectionfacts.mapped_clients(row, guide.MOST_CLIENTS)
    picked = next((one for one in offered if str(one.pk) == request.POST.get("client")), None)
    client: Client | None = picked or (offered[0] if offered else None)
    if client is None:
        messages.error(request, "Map a client to its PSA company first.")
        return
    try:
        tickettest.ask(client, by=request.user.email)
    except tickettest.NotPossible as refusal:
        messages.error(request, f"{client}: {refusal}")


def preview(request: PageRequest, row: Credentials) -> None:
    if guide.ask_preview(row, by=request.user.email) is None:
        messages.error(request, "Choose the agreement of a client first.")


def leave_out(request: PageRequest, row: Credentials) -> None:
    if not guide.leave_out(row, request.POST.get("step", ""), by=request.user.email):
        messages.error(request, "This step cannot be left out: the others rest on it.")


def remark(request: PageRequest, row: Credentials) -> None:
    """Tell staff that a step did not match this PSA."""
    _, way = way_of(row)
    step = next((one for one in way.steps if one.key == request.POST.get("step")), None)
    form = RemarkForm(request.POST)
    if step is None or not form.is_valid():
        messages.error(request, "Nothing was sent: say in up to 2,000 characters what did not match.")
        return
    guide.remark(row, step, form.cleaned_data["text"], by=request.user.email)
    messages.success(request, f"Thank you. What you say of “{step.title}” is with the vendor’s support.")


ACTS: dict[str, Callable[[PageRequest, Credentials], None]] = {
    "test": test,
    "reload": reload,
    "suggest": suggest,
    "defaults": defaults,
    "rule": rule,
    "test_ticket": test_ticket,
    "preview": preview,
    "leave_out": leave_out,
    "remark": remark,
}


@require_POST
@pages.page
def leave(request: PageRequest) -> HttpResponse:
    """No page leads back any more; it can be taken up again from the menu."""
    request.session.pop(pages.GUIDED, None)
    return redirect("dashboard")
