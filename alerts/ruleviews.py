"""Pages around notifications: their order and wordings, the Test page, webhooks, and the e-mail settings."""

from __future__ import annotations

import json
import uuid
from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from alerts import mailsettings, notifications, outbound, ruletest, webhooks
from alerts.models import Notification, NotificationVersion, WebhookEndpoint
from alerts.noiseforms import MailSettingsForm, WebhookForm
from alerts.noiseviews import GET_OR_POST, saved, show_form
from integrations.models import Action, Delivery, Event
from portal import pages
from portal.models import Partner
from portal.pages import PageRequest

PRESETS = {"tickets": notifications.add_tickets, "synchronize": notifications.add_synchronization}
EXAMPLE = {
    "type": "backup.failed",
    "severity": "error",
    "client": "",
    "account": "SRV-01",
    "summary": "Backup of SRV-01 failed",
}


# --- Notifications ----------------------------------------------------------------------------------------------------


@require_POST
@pages.page
def notification_move(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, Notification, pk)
    pages.require_manager(request, row.partner)
    up = request.POST.get("way") != "down"
    if notifications.move(row, up=up):
        messages.success(request, f"“{row}” is asked {'earlier' if up else 'later'} now.")
    return redirect("notifications")


@require_safe
@pages.page
def notification_versions(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """How it was worded before."""
    row = pages.get_row(request, Notification, pk)
    versions = NotificationVersion.objects.filter(notification_id=row.pk, partner=row.partner).order_by(
        "-version"
    )
    rows = list(versions[:100])
    listed = [(newer, changes(newer, older)) for newer, older in pairwise([*rows, None]) if newer]
    context = {"row": row, "versions": listed}
    return pages.show(request, "alerts/notification_versions.html", context, partner=row.partner)


def changes(newer: NotificationVersion, older: NotificationVersion | None) -> list[tuple[str, Any, Any]]:
    """What differs from the version before: its name, before, after. Of the first one everything."""
    before = older.document if older else {}
    return [
        (name.replace("_", " "), before.get(name), value)
        for name, value in newer.document.items()
        if older is None or before.get(name) != value
    ]


@GET_OR_POST
@pages.partner_page
def rule_test(request: PageRequest) -> HttpResponse:
    """What would happen with an event: of the log (`?event=`), or written here. Nothing is stored."""
    assert request.partner is not None
    verdict, text, problem = None, "", ""
    if request.method == "POST":
        pages.require_manager(request, request.partner)
        text = request.POST.get("document", "")
        try:
            verdict = ruletest.try_document(
                json.loads(text), actor=request.user, partner_id=request.partner.pk
            )
        except ValueError as error:
            problem = f"This is not JSON: {error}."
        except RecursionError:
            problem = "This is nested too deeply to be an event."
    elif key := pages.id_in(request.GET.get("event", "")):
        stored = pages.get_row(request, Event, key, "client")
        if stored.partner_id == request.partner.pk:
            verdict = ruletest.try_event(stored)
    context = {
        "verdict": verdict,
        "problem": problem,
        "document": text or json.dumps(EXAMPLE, indent=2),
        "latest": pages.rows(request, Event).select_related("client").order_by("-received_at", "-pk")[:20],
    }
    return pages.show(request, "alerts/rule_test.html", context)


# --- Webhooks ---------------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def webhook_list(request: PageRequest) -> HttpResponse:
    rows = pages.rows(request, WebhookEndpoint).defer("secret").order_by("name", "pk")
    return pages.show(request, "alerts/webhooks.html", {"rows": rows})


@GET_OR_POST
@pages.partner_page
def webhook_new(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    return webhook_form(request, request.partner, None)


@GET_OR_POST
@pages.page
def webhook(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, WebhookEndpoint, pk, without=("secret",))
    return webhook_form(request, row.partner, row)


def webhook_form(request: PageRequest, partner: Partner, current: WebhookEndpoint | None) -> HttpResponse:
    pages.require_manager(request, partner)
    form = WebhookForm(pages.posted(request), current=current)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        made = saved(form, lambda: webhooks.save_endpoint(partner, current=current, **values))
        if made is not None:
            row, secret = made
            return show_secret(request, row, secret) if secret else redirect("webhooks")
    title = current.name if current else "New webhook"
    lead = "Messages are signed as Standard Webhooks say. The secret is shown once, when it is made."
    return show_form(request, form, partner, title=title, back="webhooks", lead=lead)


def show_secret(request: PageRequest, row: WebhookEndpoint, secret: str) -> HttpResponse:
    """The one time that the secret is seen."""
    request.has_changed = True
    response = pages.show(
        request, "alerts/webhook_secret.html", {"row": row, "secret": secret}, partner=row.partner
    )
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@pages.page
def webhook_rotate(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, WebhookEndpoint, pk, without=("secret",))
    pages.require_manager(request, row.partner)
    return show_secret(request, row, webhooks.rotate_secret(row))


@require_POST
@pages.page
def webhook_delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, WebhookEndpoint, pk, without=("secret",))
    pages.require_manager(request, row.partner)
    try:
        webhooks.delete_endpoint(row)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    else:
        messages.success(request, f"“{row.name}” is deleted.")
    return redirect("webhooks")


@require_safe
@pages.page
def webhook_deliveries(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What was sent to it, and what it said."""
    row = pages.get_row(request, WebhookEndpoint, pk, without=("secret",))
    mine = Delivery.objects.filter(
        partner=row.partner, action=Action.WEBHOOK, subject__startswith=outbound.prefix_of(row.pk)
    )
    page = pages.page_of(request, mine.select_related("event"), by="created_at", within=mine)
    return pages.show(
        request, "alerts/webhook_deliveries.html", {"row": row, "page": page}, partner=row.partner
    )


@require_POST
@pages.page
def webhook_redeliver(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Send one delivery again, with the same id."""
    row = pages.get_row(request, WebhookEndpoint, pk, without=("secret",))
    pages.require_manager(request, row.partner)
    key = pages.id_in(request.POST.get("delivery", ""))
    number = webhooks.redeliver(row, [key] if key else [])
    messages.success(
        request, "It is sent again." if number else "It is on its way already, or not of this webhook."
    )
    return redirect("webhook_deliveries", pk)


# --- E-mail settings --------------------------------------------------------------------------------------------------


@GET_OR_POST
@pages.partner_page
def mail_settings(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    partner = request.partner
    form = MailSettingsForm(pages.posted(request), current=mailsettings.entered_of(partner))
    if request.method == "POST":
        pages.require_manager(request, partner)
        if form.is_valid():

            def save() -> bool:
                mailsettings.save_mail_settings(partner, form.entered(), by=request.user.email)
                return True

            if saved(form, save):
                messages.success(request, "Saved.")
                return redirect("mail_settings")
    context = {"form": form, "conflicts": mailsettings.conflicts(partner)}
    return pages.show(request, "alerts/mail_settings.html", context)
