"""Pages about what keeps boards quiet: drop filters, maintenance windows, noise, what is held, expectations."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts import absence, filters, noisesettings, windows
from alerts.models import (
    DropFilter,
    Expectation,
    Hold,
    MaintenanceWindow,
    NoiseSettings,
    Storm,
    Suppression,
)
from alerts.noiseforms import DropFilterForm, ExpectationForm, NoiseForm, WindowForm
from portal import clock, pages
from portal.models import Partner
from portal.pages import PageRequest

GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])
COUNTED_DAYS = 30


def saved(form: Any, save: Callable[[], Any]) -> Any:
    """What the operation made; None when it refused, with its sentences beside the fields."""
    try:
        return save()
    except ValidationError as refusal:
        if not hasattr(refusal, "error_dict"):
            form.add_error(None, refusal)
        else:
            for name, errors in refusal.error_dict.items():
                form.add_error(name if name in form.fields else None, errors)
        return None


def show_form(
    request: PageRequest, form: Any, partner: Partner, *, title: str, back: str, lead: str = "", **more: Any
) -> HttpResponse:
    context = {"form": form, "title": title, "back": back, "lead": lead, **more}
    return pages.show(request, "alerts/rule_form.html", context, partner=partner)


# --- Drop filters -----------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def drop_filters(request: PageRequest) -> HttpResponse:
    now = clock.now()
    rows = list(
        pages.rows(request, DropFilter).select_related("organization", "client").order_by("created_at")
    )
    lately = Suppression.objects.filter(
        rule_id__in=[row.pk for row in rows], kind="filter", at__gte=now - timedelta(days=COUNTED_DAYS)
    )
    counts = dict(lately.order_by().values_list("rule_id").annotate(number=Count("pk")))
    listed = [
        {
            "row": row,
            "lately": counts.get(row.pk, 0),
            "is_idle": filters.is_idle(row.created_at, row.matched_at, now),
            "is_expired": row.expires_at is not None and row.expires_at <= now,
        }
        for row in rows
    ]
    return pages.show(request, "alerts/drop_filters.html", {"listed": listed})


@GET_OR_POST
@pages.partner_page
def drop_filter_new(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    return drop_filter_form(request, request.partner, None)


@GET_OR_POST
@pages.page
def drop_filter(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, DropFilter, pk, "organization", "client")
    return drop_filter_form(request, row.partner, row)


def drop_filter_form(request: PageRequest, partner: Partner, current: DropFilter | None) -> HttpResponse:
    pages.require_manager(request, partner)
    form = DropFilterForm(pages.posted(request), partner=partner, current=current)
    if request.method == "POST" and form.is_valid():
        by = request.user.email
        if saved(form, lambda: filters.save_filter(partner, form.entered(), by=by, current=current)):
            messages.success(request, "The drop filter is saved and applies to events from now on.")
            return redirect("drop_filters")
    return show_form(
        request,
        form,
        partner,
        title=current.name if current else "New drop filter",
        back="drop_filters",
        lead="What it drops leads to nothing, stays in the Event Log, and is counted. "
        "The recovery of something that is failing is never dropped.",
    )


@require_POST
@pages.page
def drop_filter_switch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, DropFilter, pk)
    pages.require_manager(request, row.partner)
    is_on = filters.switch(row, is_enabled=not row.is_enabled).is_enabled
    messages.success(request, f"“{row}” is switched {'on' if is_on else 'off'}.")
    return redirect("drop_filters")


@require_POST
@pages.page
def drop_filter_delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, DropFilter, pk)
    pages.require_manager(request, row.partner)
    row.delete()
    messages.success(request, f"“{row.name}” is deleted. What it dropped stays in the Event Log.")
    return redirect("drop_filters")


@require_safe
@pages.page
def drop_filter_eaten(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What this filter ate in the last 30 days."""
    row = pages.get_row(request, DropFilter, pk)
    since = clock.now() - timedelta(days=COUNTED_DAYS)
    mine = Suppression.objects.filter(rule_id=row.pk, partner=row.partner, at__gte=since)
    page = pages.page_of(request, mine.select_related("event__client"), by="at", within=mine)
    return pages.show(
        request, "alerts/drop_filter_eaten.html", {"row": row, "page": page}, partner=row.partner
    )


# --- Maintenance windows ----------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def maintenance_windows(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    now, zone = clock.now(), ZoneInfo(request.partner.time_zone)
    rows = pages.rows(request, MaintenanceWindow).select_related("organization", "client", "account__client")
    listed = [
        {"row": row, "current": windows.current(row, now, zone), "next": windows.upcoming(row, now, zone)}
        for row in rows.order_by("-first_on", "-pk")[:500]
    ]
    listed.sort(key=lambda one: (one["current"] is None, one["next"] is None))
    return pages.show(request, "alerts/windows.html", {"listed": listed})


@GET_OR_POST
@pages.partner_page
def window_new(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    return window_form(request, request.partner, None)


@GET_OR_POST
@pages.page
def window(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, MaintenanceWindow, pk, "organization", "client", "account__client")
    return window_form(request, row.partner, row)


def window_form(request: PageRequest, partner: Partner, current: MaintenanceWindow | None) -> HttpResponse:
    pages.require_manager(request, partner)
    form = WindowForm(pages.posted(request), partner=partner, current=current)
    if request.method == "POST" and form.is_valid():
        by = request.user.email
        if saved(form, lambda: windows.save_window(partner, form.entered(), by=by, current=current)):
            messages.success(request, "The maintenance window is saved.")
            return redirect("maintenance_windows")
    return show_form(
        request,
        form,
        partner,
        title=current.name if current else "New maintenance window",
        back="maintenance_windows",
        lead=f"Times are those of {partner.time_zone}. What fails in the window gets no ticket; "
        "what still fails at its end gets one then. Recoveries pass through.",
    )


@require_POST
@pages.page
def window_end(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, MaintenanceWindow, pk)
    pages.require_manager(request, row.partner)
    if windows.end_now(row):
        messages.success(request, f"“{row}” is ended. What still fails gets its ticket now.")
    else:
        messages.info(request, f"“{row}” is not on at the moment.")
    return redirect("maintenance_windows")


@require_POST
@pages.page
def window_extend(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """By an hour."""
    row = pages.get_row(request, MaintenanceWindow, pk)
    pages.require_manager(request, row.partner)
    if windows.extend(row, minutes=60):
        messages.success(request, f"“{row}” lasts an hour longer.")
    else:
        messages.info(request, f"“{row}” is not on at the moment, or would last too long.")
    return redirect("maintenance_windows")


@require_POST
@pages.page
def window_delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, MaintenanceWindow, pk)
    pages.require_manager(request, row.partner)
    windows.delete_window(row)
    messages.success(
        request, f"“{row.name}” is deleted. What it held back gets its ticket now, if it still fails."
    )
    return redirect("maintenance_windows")


# --- Noise settings, and what is held ---------------------------------------------------------------------------------


@GET_OR_POST
@pages.partner_page
def noise(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    partner = request.partner
    current = NoiseSettings.objects.filter(partner=partner).select_related("storm_client").first()
    form = NoiseForm(pages.posted(request), partner=partner, current=current)
    if request.method == "POST":
        pages.require_manager(request, partner)
        if form.is_valid():
            noisesettings.save_noise(partner, form.cleaned_data)
            messages.success(request, "Saved. It applies to events from now on.")
            return redirect("noise")
    return pages.show(request, "alerts/noise.html", {"form": form, "current": current})


@require_POST
@pages.partner_page
def noise_preset(request: PageRequest) -> HttpResponse:
    """The recommended settings."""
    assert request.partner is not None
    pages.require_manager(request, request.partner)
    with transaction.atomic():
        noisesettings.save_noise(request.partner, noisesettings.RECOMMENDED)
    messages.success(request, "The recommended settings are in use. Change them as you like.")
    return redirect("noise")


@require_safe
@pages.page
def held(request: PageRequest) -> HttpResponse:
    """What fails and has no ticket because something holds it back."""
    mine = pages.rows(request, Hold)
    found = mine
    if storm := pages.id_in(request.GET.get("storm", "")):
        found = found.filter(storm=storm)
    page = pages.page_of(
        request, found.select_related("partner", "condition__client"), by="since", within=mine
    )
    storms = pages.rows(request, Storm).filter(ended_at=None).select_related("client", "home")[:20]
    return pages.show(request, "alerts/held.html", {"page": page, "storms": storms})


# --- Expectations -----------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def expectations(request: PageRequest) -> HttpResponse:
    mine = pages.rows(request, Expectation)
    found = mine.select_related("client", "account")
    if request.GET.get("missing"):
        found = found.exclude(missing="")
    page = pages.page_of(request, found, by="created_at", within=mine)
    return pages.show(request, "alerts/expectations.html", {"page": page})


@GET_OR_POST
@pages.partner_page
def expectation_new(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    pages.require_manager(request, request.partner)
    form = ExpectationForm(pages.posted(request), partner=request.partner)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        if saved(form, lambda: absence.set_expectation(values.pop("client"), **values)):
            messages.success(request, "It is watched from now on.")
            return redirect("expectations")
    return show_form(
        request,
        form,
        request.partner,
        title="Expect backups",
        back="expectations",
        lead="Without this it is learnt: the median pause between the successes of the last 30 days.",
    )


@require_POST
@pages.page
def expectation_switch(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, Expectation, pk)
    pages.require_manager(request, row.partner)
    absence.switch(row, is_enabled=not row.is_enabled)
    messages.success(request, "It is not watched any more." if row.is_enabled else "It is watched again.")
    return redirect("expectations")


@require_POST
@pages.page
def expectation_learn(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, Expectation, pk)
    pages.require_manager(request, row.partner)
    absence.learn_again(row)
    messages.success(request, "It is learnt from the successes of the last 30 days again.")
    return redirect("expectations")
