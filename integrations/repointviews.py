"""The pages of Change Connection: another PSA is prepared, looked at, and put into effect."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from integrations import choices, hosted, locking, repointing
from integrations.forms import OtherConnectionForm
from integrations.models import Credentials
from integrations.models.connections import Standing
from integrations.psa.errors import Misconfigured
from integrations.repointing import NotNow
from integrations.views import KNOWN_SITES, connection_in, options_context, place_of
from portal import pages
from portal.pages import PageRequest

MOST = 500
PICK = "pick:"


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def change(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """First the keys of the other PSA, then what becomes of everything that was chosen, then the change."""
    row = connection_in(request, pk)
    if row.standing != Standing.CURRENT:
        raise Http404
    if request.method != "POST":
        return shown(request, row, form=OtherConnectionForm(), picks={})
    pages.require_manager(request, row.partner)
    asked = request.POST.get("do", "")
    picks = {
        name.removeprefix(PICK): str(request.POST[name]) for name in request.POST if name.startswith(PICK)
    }
    if asked == "prepare":
        return prepared(request, row)
    if asked == "abandon":
        if repointing.abandon(row):
            messages.success(request, "What was prepared is gone. Nothing else changed.")
        return redirect(place_of(row))
    if asked == "confirm":
        try:
            new = repointing.confirm(row, picks=picks, digest=request.POST.get("digest", ""), by=request.user)
        except NotNow as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"{new.get_kind_display()} at {new.site_url} is in effect now.")
            return redirect("connection_changed", row.pk)
    return shown(request, row, form=OtherConnectionForm(), picks=picks)


def prepared(request: PageRequest, row: Credentials) -> HttpResponse:
    form = OtherConnectionForm(request.POST)
    if form.is_valid():
        try:
            repointing.begin(row, form.entered(), by=request.user)
        except Misconfigured as refusal:
            form.add_refusal(refusal.field, refusal.text, refusal.advice)
        else:
            messages.info(request, "The other PSA is being read. Nothing has changed yet.")
            return redirect("change_connection", row.pk)
    return shown(request, row, form=form, picks={})


def shown(
    request: PageRequest, row: Credentials, *, form: OtherConnectionForm, picks: dict[str, str]
) -> HttpResponse:
    draft = repointing.draft_of(row)
    context: dict[str, Any] = {
        "current": row,
        "place_url": place_of(row),
        "uses": locking.uses_of(row),
        "form": form,
        "draft": draft,
        "known_sites": KNOWN_SITES,
    }
    if draft is not None:
        context |= options_context(draft)
        context |= found_context(row, draft, picks)
    return pages.show(request, "integrations/change_connection.html", context, partner=row.partner)


def found_context(row: Credentials, draft: Credentials, picks: dict[str, str]) -> dict[str, Any]:
    """What was found at the prepared connection, or why that is not known yet."""
    try:
        repointing.require_read(draft)
    except NotNow as refusal:
        return {"not_ready": str(refusal)}
    seen = repointing.preview(row, draft, picks)
    kinds: dict[str, list[Any]] = {}
    for line in seen.matched:
        kinds.setdefault(line.kind, []).append(line)
    return {
        "seen": seen,
        "matched": [(choices.plural(draft, kind), lines[:MOST], len(lines)) for kind, lines in kinds.items()],
        "unmatched": [(choices.plural(row, line.kind), line) for line in seen.unmatched[:MOST]],
        "kept_picks": [
            (f"{PICK}{line.field}", picks[line.field]) for line in seen.matched if picks.get(line.field)
        ],
        "most": MOST,
    }


@require_safe
@pages.page
def changed(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What a replaced connection left empty, each with the way to where it is chosen; also asked by its successor."""
    row = connection_in(request, pk)
    replaced = row if row.standing == Standing.FORMER else repointing.last_change(row)
    left = (
        [(choices.plural(replaced, line["kind"]), line) for line in replaced.left_empty or []]
        if replaced
        else []
    )
    context = {
        "row": replaced,
        "level": row.level,
        "left": left[:MOST],
        "count": len(left),
        "place_url": place_of(row),
        "tab_is_left": hosted.left_by(replaced),
    }
    return pages.show(request, "integrations/connection_changed.html", context, partner=row.partner)
