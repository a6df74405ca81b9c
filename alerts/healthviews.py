"""The page of the health score, line by line."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from alerts import health
from alerts.health import Score
from integrations.models import Credentials
from portal import pages
from portal.pages import PageRequest


@require_safe
@pages.partner_page
def health_page(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    found = health.of(request.partner)
    parts: list[tuple[str, Score, Credentials | None]] = [(str(found.partner), found.own, None)]
    parts += [(facts.title, score, facts.row) for facts, score in found.connections]
    return pages.show(request, "alerts/health.html", {"health": found, "parts": parts})
