"""What the tab inside a PSA shows of a client's problems and tickets (asked by the integrations room, by name)."""

from __future__ import annotations

from django.http import HttpRequest
from django.template.loader import render_to_string

from alerts.models import Condition, Ticket
from integrations.models import Credentials
from portal.models import Client

MOST = 20


def panel(request: HttpRequest, client: Client, credentials: Credentials) -> str:
    """The newest of them, read-only. Two queries."""
    failing = Condition.objects.filter(client=client, state=Condition.State.FAILING)
    tickets = Ticket.objects.filter(condition__client=client, credentials=credentials, closed_at=None)
    tickets = tickets.exclude(psa_id="").select_related("condition").order_by("-created_at", "-pk")
    context = {
        "problems": list(failing.select_related("account").order_by("-since", "-pk")[: MOST + 1]),
        "tickets": list(tickets[: MOST + 1]),
        "most": MOST,
    }
    return render_to_string("alerts/tab_panel.html", context)
