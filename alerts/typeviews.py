"""Pages about event types: what they speak of, and condition keys that do not stay the same."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from alerts.models import EventType, KeyShape
from portal import pages
from portal.pages import PageRequest


@dataclass(frozen=True)
class Spoken:
    """A type, and the types of its family that end what it begins, or begin what it ends."""

    type: EventType
    others: list[EventType]


@require_safe
@pages.page
def event_types(request: PageRequest) -> HttpResponse:
    """All declared types by family: which ends what, and what tells conditions apart."""
    rows = list(EventType.objects.order_by("family", "-default_action", "name"))
    ends = {EventType.DefaultAction.TRIGGER: "resolve", EventType.DefaultAction.RESOLVE: "trigger"}
    spoken = [
        Spoken(
            row,
            [
                other
                for other in rows
                if other.family == row.family
                and other.default_action == ends.get(EventType.DefaultAction(row.default_action))
            ],
        )
        for row in rows
    ]
    suspected = pages.rows(request, KeyShape).exclude(suspicion="").count()
    return pages.show(request, "alerts/event_types.html", {"spoken": spoken, "suspected": suspected})


@require_safe
@pages.page
def key_shapes(request: PageRequest) -> HttpResponse:
    """Keys with a part that looks volatile, those that are suspected first in mind: the newest first."""
    mine = pages.rows(request, KeyShape)
    found = mine if request.GET.get("all") else mine.exclude(suspicion="")
    page = pages.page_of(request, found.select_related("client", "partner"), by="last_at", within=mine)
    return pages.show(request, "alerts/key_shapes.html", {"page": page, "all": request.GET.get("all")})
