"""What all portal pages share: whose pages are these, who may change them, and paging (asked by every views.py).

A page shows the rows of the partner that is picked (kept in the session), or of all partners its reader may see.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from portal import logs
from portal.access import is_vendor, may_manage
from portal.models import Partner, User
from portal.tenancy import TenantModel

PICKED = "partner"
GUIDED = "guided"
"""In the session: the connection whose guided set-up the person is on, so that every page leads back to it."""
PAGE_SIZE = 50
View = Callable[..., HttpResponseBase]


class PageRequest(HttpRequest):
    """A request of a person who has signed in. `partner` is None while all of theirs are shown.

    For the audit log: whose row was read last, and whether something was changed although the answer is a page.
    """

    user: User
    partner: Partner | None
    touched_partner_id: uuid.UUID
    has_changed: bool


# --- Whose pages are these -------------------------------------------------------------------------------------------


def page(view: View) -> View:
    """For people who have signed in; times are shown in the partner's time zone."""

    @functools.wraps(view)
    def shown(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.partner = partner_in_view(request)
        zone = request.partner.time_zone if request.partner else settings.TIME_ZONE
        with timezone.override(ZoneInfo(zone)):
            return view(request, *args, **kwargs)

    return signed_in(shown)


def signed_in(view: View) -> View:
    """Leads to sign-in and back. What was sent by somebody whose sign-in was over is not carried out later: they come
    back to the page it was sent from."""

    @functools.wraps(view)
    def asked(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        back = request.get_full_path()
        if request.method not in {"GET", "HEAD"} or request.headers.get("HX-Request"):
            came_from = urlsplit(
                request.headers.get("HX-Current-URL") or request.headers.get("Referer") or ""
            )
            back = came_from._replace(scheme="", netloc="").geturl() or "/"
        if request.method not in {"GET", "HEAD"}:
            messages.info(request, "Nothing was changed: your sign-in was over. Sign in and send it again.")
        if not back.startswith("/") or back.startswith("//"):
            back = "/"
        target = f"{reverse(settings.LOGIN_URL)}?{urlencode({'next': back})}"
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": target})
        return redirect(target)

    return asked


def partner_page(view: View) -> View:
    """A page about one partner: who has not picked one does so first."""

    @functools.wraps(view)
    def shown(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.partner is None:
            messages.info(request, "Choose a partner first: this page is about one partner.")
            return redirect("partners")
        return view(request, *args, **kwargs)

    return page(shown)


def partners_of(user: User) -> QuerySet[Partner]:
    return Partner.objects.all() if is_vendor(user) else Partner.objects.filter(pk__in=user.partner_ids)


def partner_in_view(request: PageRequest) -> Partner | None:
    """The picked partner; without a pick the only one, None when there are several."""
    partners = partners_of(request.user)
    picked = request.session.get(PICKED)
    if picked and (found := partners.filter(pk=picked).first()):
        return found
    if is_vendor(request.user) or len(request.user.partner_ids) != 1:
        return None
    return partners.first()


def pick_partner(request: PageRequest, partner: Partner | None) -> None:
    """Show this partner's rows from now on, or those of all."""
    request.session.pop(GUIDED, None)
    if partner is None:
        request.session.pop(PICKED, None)
    else:
        request.session[PICKED] = str(partner.pk)


def rows(request: PageRequest, model: type[TenantModel]) -> QuerySet[Any]:
    """What this page may list: visible to the reader, and of the picked partner."""
    visible = model.objects.visible_to(request.user)
    return visible.of(request.partner) if request.partner else visible


def get_row(
    request: PageRequest,
    model: type[TenantModel],
    key: uuid.UUID,
    *related: str,
    without: tuple[str, ...] = (),
) -> Any:
    """One visible row; not yours looks like not found. Fields in `without` are not read."""
    visible = model.objects.visible_to(request.user).select_related("partner", *related).defer(*without)
    row = visible.filter(pk=key).first()
    if row is None:
        raise Http404
    request.touched_partner_id = row.partner_id
    return row


# --- Who may change them ---------------------------------------------------------------------------------------------


def require_manager(request: PageRequest, partner: Partner) -> None:
    """Partner Viewers may look, not change."""
    if not may_manage(request.user, partner):
        raise PermissionDenied(
            f"You may look at the pages of {partner}, but not change anything. "
            "A Partner Senior Manager can do this, or make you one."
        )


def changeable(request: PageRequest, found: QuerySet[Any]) -> QuerySet[Any]:
    """Of these rows, those whose partner the person may set up."""
    if is_vendor(request.user):
        return found
    if not request.user.managed_partner_ids:
        raise PermissionDenied("You may look, but not change anything. A Partner Senior Manager can do this.")
    return found.filter(partner_id__in=request.user.managed_partner_ids)


def posted(request: HttpRequest) -> Any:
    """What a form is bound to: also an empty POST is an answer."""
    return request.POST if request.method == "POST" else None


# --- Showing ---------------------------------------------------------------------------------------------------------


def show(
    request: PageRequest,
    template: str,
    context: dict[str, Any] | None = None,
    *,
    partner: Partner | None = None,
) -> HttpResponse:
    """A page with what every page needs to know. `partner` is the one whose things it shows."""
    partner = partner or request.partner
    may_change = may_manage(request.user, partner) if partner else is_vendor(request.user)
    return render(request, template, {"may_change": may_change, "of_partner": partner, **(context or {})})


@dataclass(frozen=True)
class Page:
    """Some rows of a long list; `before` leads to those that follow."""

    rows: list[Any]
    before: uuid.UUID | None
    is_first: bool


def page_of(
    request: PageRequest, found: QuerySet[Any], *, by: str, within: QuerySet[Any], descending: bool = True
) -> Page:
    """The rows that follow the one named in `?before=`, by a field and the id. Nothing is counted.

    `within` are the rows that `before` may name: it may have dropped out of `found` meanwhile.
    """
    sign, comparison = ("-", "lt") if descending else ("", "gt")
    before = id_in(request.GET.get("before", ""))
    value = within.filter(pk=before).values_list(by, flat=True).first() if before else None
    if value is not None:
        found = found.filter(
            Q(**{f"{by}__{comparison}": value}) | Q(**{by: value, f"pk__{comparison}": before})
        )
    taken = list(found.order_by(f"{sign}{by}", f"{sign}pk")[: PAGE_SIZE + 1])
    shown = taken[:PAGE_SIZE]
    return Page(shown, shown[-1].pk if len(taken) > PAGE_SIZE else None, value is None)


def time_of(request: PageRequest, field: str) -> str:
    """By what a long log is ordered: a partner's by its time, which is indexed with the partner; that of all partners
    by the id, which grows with time."""
    return field if request.partner else "pk"


def id_in(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


# --- The frame around every page -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One line of the menu. It is the current one on any of `pages`."""

    label: str
    url_name: str
    pages: frozenset[str]
    group: str = ""


def item(label: str, url_name: str, *pages: str, group: str = "") -> Item:
    return Item(label, url_name, frozenset({url_name, *pages}), group)


MENU = (
    item("Dashboard", "dashboard", "tickets", "conditions", "health"),
    item(
        "Clients",
        "clients",
        "client",
        "client_settings",
        "client_mapping",
        "client_agreement",
        "client_activity",
    ),
    item("Account List", "accounts", group="Accounts"),
    item("Guided Set-up", "guided_setup", "guided_setup_of", group="My Partnership"),
    item(
        "PSA Credentials", "credentials", "credentials_of", "options_of", "hosted_tab", group="My Partnership"
    ),
    item(
        "Company Mapping",
        "company_mapping",
        "mapping",
        "mapping_selected",
        "mapping_inbox",
        "mapping_companies",
        "mapping_new_client",
        "mapping_catch_all",
        "mapping_file",
        group="My Partnership",
    ),
    item("Integration Setup", "setup", "setup_of", group="My Partnership"),
    item(
        "Partner Notifications",
        "notifications",
        "notification",
        "notification_new",
        "notification_delete",
        "notification_versions",
        "rule_test",
        "drop_filters",
        "drop_filter",
        "drop_filter_new",
        "drop_filter_eaten",
        "maintenance_windows",
        "window",
        "window_new",
        "noise",
        "held",
        "webhooks",
        "webhook",
        "webhook_new",
        "webhook_deliveries",
        "mail_settings",
        "expectations",
        "expectation_new",
        group="My Partnership",
    ),
    item(
        "Cross-references",
        "cross_references",
        "cross_references_of",
        "cross_references_import",
        "psa_references",
        group="My Partnership",
    ),
    item("Billing Settings", "billing_overview", "billing_settings", group="My Partnership"),
    item("Team & Tokens", "team", "person_new", "token_new", "person_reset_factor", group="My Partnership"),
    item("Configuration", "configuration", "configuration_apply", group="My Partnership"),
    item("Audit Log", "audit_log", group="My Partnership"),
    item("Preview", "billing_preview", "client_preview", group="Billing"),
    item("Approvals", "approvals", group="Billing"),
    item("Runs", "push_runs", "push_run", group="Billing"),
    item("Reconciliation", "reconciliation", "reconciliation_row", group="Billing"),
    item("Usage", "usage", group="Billing"),
    item("Event Log", "event_log", "event", "parked_events", "bulk_reprocess", group="Operations"),
    item("Charts", "charts", group="Operations"),
    item("Status", "status", group="Operations"),
)


def guided_in(request: HttpRequest) -> str:
    """The connection to go on with; empty on the pages of the guide itself and for who is on no way."""
    session = getattr(request, "session", None)
    match = request.resolver_match
    if session is None or (match and (match.url_name or "").startswith("guided_")):
        return ""
    return str(session.get(GUIDED, ""))


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the menu, and what stands in the footer."""
    match = request.resolver_match
    return {
        "menu": MENU,
        "current_page": match.url_name if match else "",
        "partner": getattr(request, "partner", None),
        "guided": guided_in(request),
        "impersonation": getattr(request, "impersonation", None),
        "factor_due": getattr(request, "factor_due", None),
        "support_text": settings.SUPPORT_TEXT,
        "status_url": settings.STATUS_URL,
        "request_id": logs.request_id.get(),
    }
