"""The door of `/metrics`: for Prometheus, by token or from a network that the operator names; for others not there."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from integrations import metrics


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    if not (has_token(request) or is_near(request)):
        raise Http404
    return HttpResponse(metrics.text(), content_type=CONTENT_TYPE_LATEST)


def has_token(request: HttpRequest) -> bool:
    """`Authorization: Bearer` with METRICS_TOKEN."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    given, wanted = text.strip().encode(), settings.METRICS_TOKEN.encode()
    return bool(wanted) and scheme.lower() == "bearer" and hmac.compare_digest(given, wanted)


def is_near(request: HttpRequest) -> bool:
    """Asked directly from one of METRICS_NETWORKS. What came through a proxy has the proxy's address, and is not."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in settings.METRICS_NETWORKS)
