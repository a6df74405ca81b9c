"""The page of the configuration document: download, upload with its plan, confirm, drift (asked by My Partnership)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import configuration, pages
from portal.configuration import Plan
from portal.forms import ConfigurationForm
from portal.models import ConfigState, Partner
from portal.pages import PageRequest

MOST_SHOWN = 300


def here(request: PageRequest) -> Partner:
    assert request.partner is not None
    return request.partner


@require_http_methods(["GET", "HEAD", "POST"])
@pages.partner_page
def show(request: PageRequest) -> HttpResponse:
    """What has drifted; a document that is sent is planned, not applied."""
    partner = here(request)
    if request.method != "POST":
        return answer(request, ConfigurationForm())
    pages.require_manager(request, partner)
    form = ConfigurationForm(request.POST, request.FILES)
    if not form.is_valid():
        return answer(request, form)
    text, prune = form.text(), form.cleaned_data["prune"]
    found = configuration.plan(partner, text, actor=request.user, by=request.user.email, prune=prune)
    return answer(request, form, plan=found, text=text.decode("utf-8-sig", errors="replace"))


def answer(
    request: PageRequest, form: ConfigurationForm, *, plan: Plan | None = None, text: str = ""
) -> HttpResponse:
    state = ConfigState.objects.filter(partner=here(request)).first()
    context: dict[str, Any] = {"form": form, "state": state, "drift": state.drift if state else {}}
    if plan is not None:
        context |= {
            "plan": plan,
            "text": text,
            "differences": plan.differences[:MOST_SHOWN],
            "kept": plan.kept[:MOST_SHOWN],
            "findings": plan.findings[:MOST_SHOWN],
            "faults": plan.faults[:MOST_SHOWN],
            "more": max(0, len(plan.differences) - MOST_SHOWN),
        }
    return pages.show(request, "portal/configuration.html", context)


@require_safe
@pages.partner_page
def export(request: PageRequest) -> HttpResponse:
    """The document as a file."""
    partner = here(request)
    response = HttpResponse(
        configuration.export(partner).text, content_type="application/yaml; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{slugify(partner.slug)}.yaml"'
    return response


@require_POST
@pages.partner_page
def apply(request: PageRequest) -> HttpResponse:
    """What was shown is applied, if the set-up is still what it was shown for."""
    partner = here(request)
    pages.require_manager(request, partner)
    form = ConfigurationForm(request.POST)
    if not form.is_valid():
        return answer(request, form)
    text, prune = form.text(), form.cleaned_data["prune"]
    try:
        found = configuration.apply(
            partner,
            text,
            actor=request.user,
            by=request.user.email,
            prune=prune,
            expect=form.cleaned_data["expect"] or "-",
        )
    except configuration.Moved as moved:
        messages.error(request, f"Nothing was applied. {moved}")
        return redirect("configuration")
    except configuration.Refused as refusal:
        return answer(request, form, plan=refusal.plan, text=text.decode("utf-8-sig", errors="replace"))
    messages.success(request, f"Applied: {found.summary}")
    return redirect("configuration")


@require_POST
@pages.partner_page
def look(request: PageRequest) -> HttpResponse:
    """Look for drift now."""
    partner = here(request)
    pages.require_manager(request, partner)
    configuration.look_for_drift(partner)
    messages.success(request, "Compared just now.")
    return redirect("configuration")
