"""The doors of the tab inside ConnectWise: its page at the connection, and what the PSA's page shows in its frame.

The frame's pages know no session and set no cookie: browsers keep cookies from frames of other sites. Who looks is in
each request, as a ticket (`Authorization: Tab ...`) that the page's script holds in memory.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations import hosted
from integrations.hosted import Refused, Viewer
from integrations.models import Credentials, HostedTab
from integrations.psa.errors import PsaError
from integrations.psa.port import TabClaim
from integrations.views import connection_in
from portal import pages
from portal.pages import PageRequest

LARGEST = 16 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {parents}"
)
SCHEME = "Tab "
STATES = {"register": "present", "remove": "absent"}
Act = Callable[[HostedTab], HttpResponse]


# --- The page of the connection --------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def tab_of(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The tab's state, and what registering or removing it would write. The PSA is read when a manager asks for it."""
    row = connection_in(request, pk)
    if not hosted.is_offered(row):
        raise Http404
    if request.method == "POST":
        pages.require_manager(request, row.partner)
        return changed(request, row)
    tab = hosted.tab_of(row)
    context: dict[str, Any] = {
        "row": row,
        "tab": tab,
        "mappers": HostedTab.Mappers,
        "do": "",
        "plan": None,
        "refused": None,
    }
    wanted = request.GET.get("do", "")
    if wanted in STATES and tab is not None:
        pages.require_manager(request, row.partner)
        context["do"] = wanted
        try:
            plan = hosted.preview(row, STATES[wanted])
            context |= {"plan": plan.as_json(), "digest": plan.digest, "may_go": not plan.findings}
        except PsaError as error:
            context["refused"] = error
    return pages.show(request, "integrations/hosted_tab.html", context, partner=row.partner)


def changed(request: PageRequest, row: Credentials) -> HttpResponse:
    """Prepared (then shown), registered, removed, or who may map."""
    asked, digest = request.POST.get("do", ""), request.POST.get("digest", "")
    here = redirect("hosted_tab", row.pk)
    if asked == "prepare":
        hosted.prepare(row)
        return redirect(f"{here.url}?do=register")
    if hosted.tab_of(row) is None:
        return here
    try:
        if asked == "register":
            hosted.register(row, digest)
            messages.success(request, "The tab is registered. Have it displayed as this page describes.")
        elif asked == "remove":
            hosted.remove(row, digest)
            messages.success(request, "The tab is removed. It answered nobody from the moment you pressed.")
        elif asked == "mappers" and request.POST.get("mappers", "") in HostedTab.Mappers.values:
            hosted.choose_mappers(row, request.POST["mappers"])
            messages.success(request, "Saved.")
    except PsaError as error:
        messages.error(request, f"{error.text} {error.advice}".strip())
    return here


# --- Inside the PSA's page --------------------------------------------------------------------------------------------


@require_safe
@xframe_options_exempt
def shell(request: HttpRequest, token: str) -> HttpResponse:
    """An empty page with a script. What it may be framed by is the stored site's affair, nobody else's."""
    tab = hosted.find(token)
    if tab is None:
        raise Http404
    parents = hosted.parents(tab)
    context = {"parents": " ".join(parents), "name": settings.HOSTED_TAB_NAME}
    answer = HttpResponse(render_to_string("integrations/tab_shell.html", context))
    answer["Content-Security-Policy"] = POLICY.format(parents=" ".join(parents))
    return answer


@csrf_exempt
@require_POST
def enter(request: HttpRequest, token: str) -> HttpResponse:
    """Who looks at which company: the claim goes to the PSA, a ticket and the panel come back."""

    def act(tab: HostedTab) -> HttpResponse:
        viewer, ticket = hosted.enter(tab, claim_in(body_of(request)))
        return shown(request, tab, viewer, ticket)

    return answered(token, act)


@require_safe
def panel(request: HttpRequest, token: str) -> HttpResponse:
    """The panel once more, for a ticket; the next ticket comes with it."""

    def act(tab: HostedTab) -> HttpResponse:
        given = request.headers.get("Authorization", "")
        if not given.startswith(SCHEME):
            raise Refused(401, "It is not known who looks at this tab.", is_over=True)
        viewer, ticket = hosted.admitted(tab, given.removeprefix(SCHEME))
        return shown(request, tab, viewer, ticket)

    return answered(token, act)


@csrf_exempt
@require_POST
def map_company(request: HttpRequest, token: str) -> HttpResponse:
    """ "Map me": the claim anew, and the client."""

    def act(tab: HostedTab) -> HttpResponse:
        body = body_of(request)
        client = pages.id_in(str(body.get("client", "")))
        if client is None:
            raise Refused(400, "Choose a client.")
        viewer, ticket = hosted.map_company(tab, claim_in(body), client)
        return shown(request, tab, viewer, ticket)

    return answered(token, act)


def answered(token: str, act: Act) -> HttpResponse:
    """JSON, also for what is refused; each request counts, and each finds the tab anew."""
    tab = hosted.find(token)
    if tab is None:
        return told(Refused(404, "This tab is not in use any more.", "Ask whoever set it up."))
    try:
        hosted.count(tab)
        with timezone.override(ZoneInfo(tab.partner.time_zone)):
            return act(tab)
    except Refused as no:
        return told(no)


def shown(request: HttpRequest, tab: HostedTab, viewer: Viewer, ticket: str) -> HttpResponse:
    clients = hosted.clients_of(tab, viewer)
    may_map = not clients and hosted.may_map(tab, viewer.email)
    context = {
        "viewer": viewer,
        "clients": clients,
        "most_shown": hosted.MOST_SHOWN,
        "credentials": tab.credentials,
        "may_map": may_map,
        "choices": hosted.choices_for(tab, viewer) if may_map else None,
        "portal": settings.PORTAL_URL,
        "request": request,
    }
    html = render_to_string("integrations/tab_panel.html", context)
    return JsonResponse({"html": html, "ticket": ticket})


def told(no: Refused) -> HttpResponse:
    data = {"error": no.text, "advice": no.advice, "again_in": no.again_in, "is_over": no.is_over}
    answer = JsonResponse(data, status=no.status)
    if no.again_in:
        answer["Retry-After"] = str(no.again_in)
    return answer


def body_of(request: HttpRequest) -> dict[str, Any]:
    """JSON only: no form of another page can send that. Raises Refused."""
    bad = Refused(400, "This is not what the tab's page sends.")
    if request.content_type != "application/json":
        raise bad
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST:
            raise bad
        data = json.loads(request.body)
    except (ValueError, RecursionError, UnreadablePostError, RawPostDataException):
        raise bad from None
    if not isinstance(data, dict):
        raise bad
    return data


def claim_in(data: dict[str, Any]) -> TabClaim:
    """Texts of sane length; a number counts as its text. What they say is for the PSA to judge. Raises Refused."""
    if str(data.get("screen", "")).lower() != "company":
        raise Refused(400, "This tab belongs on companies.", "Have it displayed on the company screen only.")
    names = {"login_company": "companyid", "member": "memberid", "proof": "memberHash", "company_id": "id"}
    found = {ours: str(data.get(theirs, ""))[:1001] for ours, theirs in names.items()}
    if not all(found.values()) or len(found["company_id"]) > 18 or not found["company_id"].isdecimal():
        raise Refused(400, "ConnectWise did not say who looks at which company.")
    return TabClaim(**found)
