"""The page of the charts."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from alerts import charts
from portal import pages
from portal.pages import PageRequest


@require_safe
@pages.partner_page
def charts_page(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    asked = request.GET.get("days", "")
    days = next((period for period in charts.PERIODS if str(period) == asked), charts.PERIODS[0])
    context = {"charts": charts.of(request.partner, days=days), "days": days, "periods": charts.PERIODS}
    return pages.show(request, "alerts/charts.html", context)
