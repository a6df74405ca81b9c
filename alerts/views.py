"""Pages of this room: the dashboard, notifications, ticket settings, and what happens at a client."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts import dashboard as overview
from alerts import filters, health, mailsettings
from alerts import notifications as rules
from alerts.forms import NotificationForm
from alerts.models import Condition, Hold, Notification, Ticket
from alerts.ticketsettings import SettingsOf
from billing.crossreferences import CrossReferences
from integrations import eventsearch
from integrations.models import Action, Delivery, Event
from portal import (
    clock,
    pages,
)
from portal.models import (
    Client,
    Partner,
)
from portal.pages import PageRequest

LATEST = 12
SHOWN = ("board", "new_status", "closing_status", "type", "priority", "automatic_closure")


@require_safe
@pages.page
def dashboard(request: PageRequest) -> HttpResponse:
    rows = partial(pages.rows, request)
    newest = pages.time_of(request, "received_at")
    steps = overview.steps(request.partner) if request.partner else []
    context = {
        "figures": overview.figures(rows),
        "notices": overview.notices(rows),
        "troubled": overview.troubled_lanes(rows),
        "events": eventsearch.newest(rows(Event), by=newest, count=LATEST),
        "steps": steps if any(not step.is_done for step in steps) else [],
        "health": health.of(request.partner) if request.partner else None,
        "next_step": next((step for step in steps if not step.is_done), None),
    }
    return pages.show(request, "alerts/dashboard.html", context)


@require_safe
@pages.page
def tickets(request: PageRequest) -> HttpResponse:
    """Tickets that are open in the PSA, newest first."""
    mine = pages.rows(request, Ticket)
    found = mine.filter(state__in=[Ticket.State.OPENING, Ticket.State.OPEN])
    found = found.select_related("partner", "condition__client").annotate(folded=folded())
    page = pages.page_of(request, found, by="created_at", within=mine)
    return pages.show(request, "alerts/tickets.html", {"page": page})


def folded() -> Any:
    """For a query of tickets: how many more problems a ticket stands for (its group's, its outage's, its storm's)."""
    condition = OuterRef("condition")
    holds = Hold.objects.filter(Q(parent=condition) | Q(storm__condition=condition)).order_by()
    count = holds.annotate(one=Value(1)).values("one").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(count), 0)


@require_safe
@pages.page
def conditions(request: PageRequest) -> HttpResponse:
    """What is failing, the newest spell first."""
    mine = pages.rows(request, Condition).filter(since__isnull=False)
    found = mine.filter(state=Condition.State.FAILING).select_related("partner", "client", "account", "hold")
    page = pages.page_of(request, found, by="since", within=mine)
    return pages.show(request, "alerts/conditions.html", {"page": page})


# --- Partner Notifications -------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def notifications(request: PageRequest) -> HttpResponse:
    mine = pages.rows(request, Notification).select_related("organization", "client")
    found = list(mine.order_by("position", "created_at", "pk"))
    now = clock.now()
    for row in found:
        row.is_idle = row.is_enabled and filters.is_idle(row.created_at, row.matched_at, now)
    actions = {row.action for row in found}
    context = {
        "rows": found,
        "has_synchronization": Action.SYNCHRONIZE in actions,
        "has_tickets": Action.TICKET in actions,
        "conflicts": mailsettings.conflicts(request.partner) if request.partner else [],
    }
    return pages.show(request, "alerts/notifications.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.partner_page
def notification_new(request: PageRequest) -> HttpResponse:
    return notification_form(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def notification(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return notification_form(request, pages.get_row(request, Notification, pk, "organization", "client"))


def notification_form(request: PageRequest, current: Notification | None) -> HttpResponse:
    partner = current.partner if current else request.partner
    assert partner is not None
    pages.require_manager(request, partner)
    form = NotificationForm(
        pages.posted(request), partner=partner, current=current, client=request.GET.get("client", "")[:60]
    )
    if request.method == "POST" and form.is_valid() and (saved := save_rule(request, form, partner, current)):
        messages.success(
            request,
            f"“{saved}” is saved and applies to events from now on."
            if saved.is_enabled
            else f"“{saved}” is saved, switched off.",
        )
        for text in mailsettings.conflicts(partner):
            messages.warning(request, text)
        return redirect("notifications")
    return pages.show(
        request, "alerts/notification.html", {"form": form, "current": current}, partner=partner
    )


def save_rule(
    request: PageRequest, form: NotificationForm, partner: Partner, current: Notification | None
) -> Notification | None:
    """None when the operation refused; its sentences stand beside the fields then."""
    try:
        return rules.save_notification(partner, form.entered(), by=request.user.email, current=current)
    except ValidationError as refusal:
        form.add_error(None, refusal)
        return None


def change_notification(
    request: PageRequest, pk: uuid.UUID, change: Callable[[Notification], str]
) -> HttpResponse:
    row = pages.get_row(request, Notification, pk, "organization", "client")
    pages.require_manager(request, row.partner)
    messages.success(request, change(row))
    return redirect("notifications")


@require_POST
@pages.page
def notification_copy(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    return change_notification(
        request,
        pk,
        lambda row: (
            f"“{rules.copy_notification(row, by=request.user.email)}” is there, switched off until you have changed it."
        ),
    )


@require_POST
@pages.page
def notification_switch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    def switched(row: Notification) -> str:
        is_on = rules.switch(row, is_enabled=not row.is_enabled, by=request.user.email).is_enabled
        return f"“{row}” is switched {'on' if is_on else 'off'}."

    return change_notification(request, pk, switched)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def notification_delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Asks first."""
    row = pages.get_row(request, Notification, pk)
    pages.require_manager(request, row.partner)
    if request.method != "POST":
        return pages.show(request, "alerts/notification_delete.html", {"row": row}, partner=row.partner)
    rules.delete_notification(row)
    messages.success(request, f"“{row.name}” is deleted. What it led to stays in the Event Log.")
    return redirect("notifications")


@require_POST
@pages.partner_page
def notification_preset(request: PageRequest) -> HttpResponse:
    """Tickets for problems, or statistics and billing sync, in one click."""
    assert request.partner is not None
    pages.require_manager(request, request.partner)
    if request.POST.get("preset") == "tickets":
        saved = rules.add_tickets(request.partner, by=request.user.email)
        messages.success(request, f"“{saved}” is there: warnings and errors of all event types.")
        return redirect("notifications")
    saved = rules.add_synchronization(request.partner, by=request.user.email)
    messages.success(
        request, f"“{saved}” is there: all event types, all severities, at most once in 12 hours a client."
    )
    return redirect("notifications")


# --- Integration Setup -----------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def setup(request: PageRequest) -> HttpResponse:
    """Every organization with what it says itself, and the cross-references."""
    assert request.partner is not None
    settings_of = SettingsOf.of(request.partner.pk)
    tree = settings_of.tree
    nodes = sorted(tree.by_id.values(), key=lambda node: [up.name for up in reversed(tree.upwards(node.pk))])
    references = CrossReferences.of(request.partner.pk)
    context = {
        "organizations": [
            {
                "node": node,
                "depth": len(tree.upwards(node.pk)) - 1,
                "has_own": node.pk in settings_of.rows,
                "values": [settings_of.value(name, node).value for name in SHOWN],
            }
            for node in nodes
        ],
        "exceptions": Client.objects.of(request.partner)
        .filter(ticket_settings__isnull=False)
        .order_by("name")[:100],
        "references": [
            row for rows in references.by_service.values() for row in rows.values() if row.organization_id
        ],
        "names": {node.pk: node.name for node in nodes},
    }
    return pages.show(request, "alerts/setup.html", context)


# --- Activity of a client, and what other rooms show of us -----------------------------------------------------------


@require_safe
@pages.page
def client_activity(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = pages.get_row(request, Client, pk, "organization")
    context = {
        "client": client,
        "conditions": client.conditions.select_related("account").order_by("-state", "-since")[:25],
        "failing": Condition.State.FAILING,
        "tickets": Ticket.objects.visible_to(request.user)
        .filter(condition__client=client)
        .select_related("condition")
        .order_by("-created_at")[:25],
    }
    return pages.show(request, "alerts/client_activity.html", context, partner=client.partner)


def ticket_of_delivery(request: PageRequest, delivery: Delivery) -> str:
    """The newest ticket of the condition that a delivery is about, with its link to the PSA."""
    kind, _, key = delivery.subject.partition(":")
    if kind != "ticket":
        return ""
    tickets = Ticket.objects.visible_to(request.user).filter(condition_id=key, partner_id=delivery.partner_id)
    ticket = tickets.order_by("-generation").first()
    return render_to_string("alerts/ticket_line.html", {"ticket": ticket}, request) if ticket else ""
