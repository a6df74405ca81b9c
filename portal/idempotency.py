"""`Idempotency-Key`: a write that is sent again has its first answer again, for 24 hours (asked by the REST API).

The key is stored before the request is carried out, so of two at the same time one is told to wait. An answer that says
"try again" (5xx, 429) or "who are you" (401, 403) is not kept: the same key may be tried again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import JSONRenderer

from portal import clock, database, tokens
from portal.models import ApiToken, IdempotentRequest

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
GIVEN_UP = timedelta(seconds=90)
"""A request without an answer for so long was lost with its process."""
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
NOT_KEPT = {401, 403, 408, 425, 429}
ACCEPTABLE = re.compile(r"^[\x21-\x7e]{1,255}$")


class Middleware:
    """Handles the header for every write under /api/v1/."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get(HEADER)
        if key is None or request.method not in UNSAFE or not request.path.startswith("/api/v1/"):
            return self.get_response(request)
        token = token_of(request)
        if token is None:
            return self.get_response(request)  # answered with 401 there
        if not ACCEPTABLE.match(key):
            return refusal(
                400, "invalid_idempotency_key", "An Idempotency-Key is 1 to 255 visible ASCII characters."
            )
        row, earlier = claim(token, key, fingerprint_of(request))
        return earlier or self.carry_out(request, row)

    def carry_out(self, request: HttpRequest, row: IdempotentRequest) -> HttpResponse:
        try:
            response = self.get_response(request)
        except BaseException:
            drop(row)
            raise
        if response.status_code >= 500 or response.status_code in NOT_KEPT or response.streaming:
            drop(row)
        else:
            IdempotentRequest.objects.filter(pk=row.pk).update(
                status=response.status_code,
                content_type=response.get("Content-Type", "")[:100],
                answer=kept_of(response),
            )
        return response


def kept_of(response: HttpResponse) -> str:
    """The answer, without the secrets that are told once (`rest.told_once`)."""
    without = getattr(response, "to_be_kept", None)
    return response.content.decode() if without is None else JSONRenderer().render(without).decode()


def drop(row: IdempotentRequest) -> None:
    """The key may be tried again."""
    IdempotentRequest.objects.filter(pk=row.pk).delete()


def token_of(request: HttpRequest) -> ApiToken | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return tokens.find_token(text.strip()) if scheme.lower() == "bearer" else None


def fingerprint_of(request: HttpRequest) -> str:
    head = json.dumps([request.method, request.get_full_path(), request.content_type])
    return hashlib.sha256(head.encode() + b"\n" + request.body).hexdigest()


def claim(token: ApiToken, key: str, fingerprint: str) -> tuple[IdempotentRequest, HttpResponse | None]:
    """The row of a request to be carried out now; or, with it, what to answer instead."""
    now = clock.now()
    IdempotentRequest.objects.filter(token=token, key=key, begun_at__lt=now - KEPT).delete()
    row = IdempotentRequest(token=token, key=key, fingerprint=fingerprint, begun_at=now)
    if database.insert_new([row]):
        return row, None
    earlier = IdempotentRequest.objects.filter(token=token, key=key).first()
    if earlier is None:
        return row, refusal(409, "request_in_progress", "The first request just ended; send it again.", 1)
    if earlier.fingerprint != fingerprint:
        return earlier, refusal(
            422,
            "idempotency_key_reused",
            "This Idempotency-Key came with another request before; use a new one.",
        )
    if earlier.status is not None:
        return earlier, repeated(earlier)
    lost = IdempotentRequest.objects.filter(pk=earlier.pk, status=None, begun_at__lt=now - GIVEN_UP)
    if lost.update(begun_at=now):
        return earlier, None
    return earlier, refusal(
        409, "request_in_progress", "The first request with this Idempotency-Key is still under way.", 2
    )


def repeated(row: IdempotentRequest) -> HttpResponse:
    answer = HttpResponse(row.answer, status=row.status, content_type=row.content_type)
    answer["Idempotency-Replayed"] = "true"
    return answer


def refusal(status: int, code: str, detail: str, retry_after: int = 0) -> HttpResponse:
    body = {
        "type": f"/api/docs/errors#{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    answer = HttpResponse(json.dumps(body), status=status, content_type="application/problem+json")
    if retry_after:
        answer["Retry-After"] = str(retry_after)
    return answer


def forget() -> None:
    """Answers that are older than a day."""
    IdempotentRequest.objects.filter(begun_at__lt=clock.now() - KEPT).delete()
