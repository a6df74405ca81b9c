"""What every answer carries: a request id and the security headers."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from portal import clock, logs

Answer = Callable[[HttpRequest], HttpResponse]
ACCEPTABLE_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# The admin theme's Alpine evaluates expressions and sets inline styles; nothing else may.
ADMIN_POLICY = POLICY + "; script-src 'self' 'unsafe-eval' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
DOCS_POLICY = POLICY + "; style-src 'self' 'unsafe-inline'"


class RequestId:
    """Gives each request an id (the caller's `X-Request-Id` when it is sane), in logs and in the answer."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        token = logs.request_id.set(given if ACCEPTABLE_ID.match(given) else clock.new_id().hex)
        try:
            response = self.get_response(request)
            response["X-Request-Id"] = logs.request_id.get()
            return response
        finally:
            logs.request_id.reset(token)


class SecurityHeaders:
    """Content-Security-Policy and its companions on every answer; pages of signed-in people are never stored."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Content-Security-Policy", policy_for(request.path))
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        response.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        if not request.path.startswith(settings.STATIC_URL):
            response.setdefault("Cache-Control", "no-store")
        return response


def policy_for(path: str) -> str:
    if path.startswith("/admin/"):
        return ADMIN_POLICY
    return DOCS_POLICY if path.startswith("/api/docs") else POLICY
