"""Pages of the replay lab: drafts, replays and their results."""

from __future__ import annotations

import uuid
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from alerts import drafts, replays, windows
from alerts.forms import NotificationForm
from alerts.models import Replay, RuleDraft
from alerts.noiseforms import DropFilterForm, NoiseForm, WindowForm
from alerts.noiseviews import GET_OR_POST, saved
from alerts.replayforms import DraftForm, DraftSettingsForm, ReplayForm
from portal import pages
from portal.models import Partner
from portal.pages import PageRequest

FORMS: dict[str, Any] = {
    "notifications": NotificationForm,
    "filters": DropFilterForm,
    "windows": WindowForm,
    "noise": NoiseForm,
    "settings": DraftSettingsForm,
}
TITLES = {**{name: part.title for name, part in drafts.PARTS.items()}, "noise": drafts.NOISE.title}
ROWS = (
    ("opened", "Tickets opened"),
    ("closed", "Tickets closed"),
    ("reopened", "Tickets reopened"),
    ("folded", "Events folded into a ticket"),
    ("held", "Events held back"),
    ("kept_open", "Flapping, ticket kept open"),
    ("dropped", "Events dropped by a filter"),
    ("no_rule", "Events no notification matched"),
    ("emails", "E-mails"),
    ("webhooks", "Webhook messages"),
)


# --- Replays ----------------------------------------------------------------------------------------------------------


@GET_OR_POST
@pages.partner_page
def replay_lab(request: PageRequest) -> HttpResponse:
    """Ask for a replay; those asked for, and the drafts."""
    assert request.partner is not None
    partner = request.partner
    form = ReplayForm(pages.posted(request), partner=partner)
    if request.method == "POST":
        pages.require_manager(request, partner)
        if form.is_valid():
            since, until = form.span()
            by = request.user.email
            row = saved(form, lambda: replays.begin(partner, since, until, form.draft_chosen(), by=by))
            if row is not None:
                return redirect("replay", row.pk)
    listed = pages.rows(request, Replay).defer("document", "result").order_by("-asked_at", "-pk")
    context = {
        "form": form,
        "draft_form": DraftForm(),
        "drafts": pages.rows(request, RuleDraft).defer("document", "origin").order_by("name"),
        "replays": listed[: replays.KEPT],
    }
    return pages.show(request, "alerts/replay_lab.html", context)


@require_safe
@pages.page
def replay(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(
        request, Replay, pk, "draft", without=("document", "draft__document", "draft__origin")
    )
    return pages.show(request, "alerts/replay.html", context_of(row), partner=row.partner)


@require_safe
@pages.page
def replay_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the page that htmx fetches again while it runs."""
    row = pages.get_row(request, Replay, pk, without=("document",))
    context = context_of(row)
    answer = pages.show(request, "alerts/replay_progress.html", context, partner=row.partner)
    if not context["is_running"]:
        answer["HX-Refresh"] = "true"
    return answer


def context_of(row: Replay) -> dict[str, Any]:
    result = row.result or {}
    names = [name for name in ("really", "today", "draft") if result.get(name)]
    compared = result.get("draft") or result.get("today") or {}
    table = [
        {
            "title": title,
            "values": [result[name][key] for name in names],
            "difference": compared[key] - result["today" if result["draft"] else "really"][key],
        }
        for key, title in ROWS
        if result
    ]
    by_rule = [
        (title, rule, [result[name][key].get(rule, 0) for name in names])
        for key, title in (("dropped_by", "Dropped by"), ("held_by", "Held back by"))
        if result
        for rule in sorted({rule for name in names for rule in result[name][key]})
    ]
    return {
        "row": row,
        "result": result,
        "is_running": row.state in (Replay.State.WAITING, Replay.State.RUNNING),
        "names": names,
        "table": table,
        "by_rule": by_rule,
    }


# --- Drafts -----------------------------------------------------------------------------------------------------------


@require_POST
@pages.partner_page
def draft_new(request: PageRequest) -> HttpResponse:
    """A copy of what is in effect now."""
    assert request.partner is not None
    partner = request.partner
    pages.require_manager(request, partner)
    try:
        row = drafts.begin(partner, request.POST.get("name", ""), by=request.user.email)
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect("replay_lab")
    messages.success(
        request, "The draft is a copy of what is in effect now. Nothing you change here is live."
    )
    return redirect("rule_draft", row.pk)


@require_safe
@pages.page
def rule_draft(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What is in it, and what it says otherwise than what it was copied of."""
    row = pages.get_row(request, RuleDraft, pk)
    parts = [(name, TITLES[name], lines_of(row, name)) for name in drafts.PARTS]
    context = {"row": row, "parts": parts, "changes": drafts.changes_of(row), "faults": faults_of(row)}
    return pages.show(request, "alerts/rule_draft.html", context, partner=row.partner)


def faults_of(draft: RuleDraft) -> list[str]:
    """What it names and is not there any more."""
    try:
        drafts.rules_of(draft.partner, draft.document)
    except ValidationError as refusal:
        return list(refusal.messages)
    return []


def lines_of(draft: RuleDraft, part: str) -> list[tuple[str, str, str]]:
    """Id, name and gist of each rule of a part."""
    if part == "settings":
        try:
            rules = drafts.rules_of(draft.partner, {part: draft.document[part]}).settings
        except ValidationError:
            return []  # what stands against it is said above
        return [
            (str(row.pk), str(row.organization or row.client or row.account), row.summary_template or "")
            for row in rules
        ]
    return [(one["id"], one["name"], gist_of(one)) for one in draft.document[part]]


def gist_of(one: dict[str, Any]) -> str:
    told = [str(one[name]) for name in ("action", "first_on", "starts_at", "ends_at") if one.get(name)]
    told += [
        ", ".join(map(str, one[name])) for name in ("severities", "phrases", "event_types") if one.get(name)
    ]
    if one.get("is_enabled") is False:
        told.append("switched off")
    return " · ".join(told)


@GET_OR_POST
@pages.page
def draft_row(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """One rule of a draft (`?part=` and its id in `key`), in the form of the live one; without a key it is added."""
    part, key = request.GET.get("part", "notifications"), request.GET.get("key", "new")
    draft = pages.get_row(request, RuleDraft, pk)
    pages.require_manager(request, draft.partner)
    if part not in FORMS or (part in ("noise", "settings") and key == "new"):
        raise Http404
    try:
        current = row_of(draft, part, key)
    except ValidationError:
        return redirect("rule_draft", draft.pk)
    form = FORMS[part](pages.posted(request), partner=draft.partner, current=current)
    if request.method == "POST" and form.is_valid():
        by = request.user.email

        def save() -> RuleDraft:
            row = filled(draft.partner, part, current, form)
            return drafts.put_row(draft, part, key, row, by=by)

        if saved(form, save) is not None:
            messages.success(request, "The draft is changed. What is live is not.")
            return redirect("rule_draft", draft.pk)
    context = {
        "form": form,
        "title": f"{TITLES[part]} in the draft “{draft}”",
        "back_url": reverse("rule_draft", args=[draft.pk]),
    }
    return pages.show(request, "alerts/draft_row.html", context, partner=draft.partner)


def row_of(draft: RuleDraft, part: str, key: str) -> Any:
    """The draft's own row, not a stored one; None for a new one."""
    rules = drafts.rules_of(draft.partner, draft.document)
    if part == "noise":
        return rules.noise
    found = next((row for row in getattr(rules, part) if str(row.pk) == key), None)
    if found is None and key != "new":
        raise Http404
    return found


def filled(partner: Partner, part: str, current: Any, form: Any) -> Any:
    """The row as the form says, not saved. Raises ValidationError, by field."""
    part_of = drafts.PARTS.get(part, drafts.NOISE)
    row: Any = current or part_of.model(partner=partner)
    for name, value in values_in(part, form).items():
        if not (name == "position" and value is None):
            setattr(row, name, value)
    if part == "windows":
        windows.refuse(row)
        row.changed_start = row.changed_end = None
        row.over_at = windows.end_of_all(row, ZoneInfo(partner.time_zone))
    return row


def values_in(part: str, form: Any) -> dict[str, Any]:
    if part == "settings":
        return dict(form.values())
    return dict(form.cleaned_data if part == "noise" else vars(form.entered()))


@require_POST
@pages.page
def draft_row_remove(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    draft = pages.get_row(request, RuleDraft, pk)
    pages.require_manager(request, draft.partner)
    part, key = request.POST.get("part", ""), request.POST.get("key", "")
    if part not in drafts.PARTS or part == "settings":
        return redirect("rule_draft", draft.pk)
    try:
        drafts.remove_row(draft, part, key, by=request.user.email)
        messages.success(request, "It is taken out of the draft. What is live is not changed.")
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    return redirect("rule_draft", draft.pk)


@require_POST
@pages.page
def draft_delete(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = pages.get_row(request, RuleDraft, pk)
    pages.require_manager(request, row.partner)
    row.delete()
    messages.success(request, f"The draft “{row.name}” is deleted. Its replays stay.")
    return redirect("replay_lab")
