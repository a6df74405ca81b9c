"""Pages of this room: partners, clients, errors, and whether the portal is up."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from portal import clientlist, heartbeat, inheritance, logs, pages
from portal.access import is_vendor
from portal.forms import ClientSearch
from portal.models import Client
from portal.pages import PageRequest

DISPATCHER_SILENCE = timedelta(seconds=60)
MODULES = (("tickets", "Tickets"), ("billing", "Billing"), ("statistics", "Backup statistics"))


# --- Partners --------------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def partners(request: PageRequest) -> HttpResponse:
    """The partners whose pages one may see, to pick one."""
    form = ClientSearch(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    found = pages.partners_of(request.user).filter(name__icontains=text).order_by("name")[: pages.PAGE_SIZE]
    return pages.show(
        request,
        "portal/partners.html",
        {"partners": found, "form": form, "sees_all": is_vendor(request.user)},
    )


@require_POST
@pages.page
def pick_partner(request: PageRequest) -> HttpResponse:
    """Show one partner's pages from now on; without a name, those of all."""
    key = pages.id_in(request.POST.get("partner", ""))
    picked = pages.partners_of(request.user).filter(pk=key).first() if key else None
    if key and picked is None:
        raise Http404
    pages.pick_partner(request, picked)
    return redirect("dashboard")


# --- Clients ---------------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def clients(request: PageRequest) -> HttpResponse:
    form = ClientSearch(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    mine = clientlist.by_name(pages.rows(request, Client).select_related("organization", "partner"))
    page = pages.page_of(
        request, clientlist.search(mine, text), by="sort_name", within=mine, descending=False
    )
    return pages.show(request, "portal/clients.html", {"page": page, "form": form})


@require_safe
@pages.page
def client(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, Client, pk, "organization")
    tree = inheritance.Tree.of(row.partner_id)
    context = {
        "client": row,
        "path": list(reversed(tree.upwards(row.organization_id))),
        "modes": [(title, inheritance.mode_of(row, name, tree)) for name, title in MODULES],
        "accounts": row.accounts.all()[: pages.PAGE_SIZE],
    }
    return pages.show(request, "portal/client.html", context, partner=row.partner)


# --- People ----------------------------------------------------------------------------------------------------------


@require_safe
def signup_closed(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/account/signup_closed.html")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    return redirect(static("portal/mark.svg"), permanent=True)


# --- Is it up? -------------------------------------------------------------------------------------------------------


@never_cache
@require_GET
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_GET
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether requests can be served: the database answers. A silent dispatcher is told and does not make us unready:
    events must be accepted while nobody delivers them."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        dispatches = heartbeat.alive("dispatcher", DISPATCHER_SILENCE)
    except DatabaseError:
        return JsonResponse({"database": "does not answer", "dispatcher": "not known"}, status=503)
    return JsonResponse({"database": "answers", "dispatcher": "alive" if dispatches else "silent"})


# --- Errors ----------------------------------------------------------------------------------------------------------


def refused(request: HttpRequest, status: int, text: str = "") -> HttpResponse:
    """An error page with the request id, or problem+json for machines."""
    if request.path.startswith("/api/"):
        return problem(status, text)
    context = {"status": status, "title": TITLES[status], "text": text or TEXTS[status]}
    return render(request, "portal/error.html", context, status=status)


def problem(status: int, text: str) -> HttpResponse:
    body = {
        "type": f"/api/docs/errors#{CODES[status]}",
        "title": TITLES[status],
        "status": status,
        "code": CODES[status],
        "detail": text or TEXTS[status],
        "request_id": logs.request_id.get(),
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refused(request, 400)


def forbidden(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    return refused(request, 403, str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refused(request, 404)


def broken(request: HttpRequest) -> HttpResponse:
    return refused(request, 500)


CODES = {400: "invalid_request", 403: "forbidden", 404: "not_found", 500: "internal_error"}
TITLES = {
    400: "This request could not be understood",
    403: "You may not do this",
    404: "Nothing here",
    500: "Something broke on our side",
}
TEXTS = {
    400: "Go back and try once more.",
    403: "Your role does not include it. A Partner Senior Manager can do this, or make you one.",
    404: "There is no such page, or it is not yours to see.",
    500: "It is noted under the request id below, with what led to it. What was accepted before is safe.",
}
