"""The door through which PSAs call us: `/hooks/<token>/`. Reads no more than the cap and answers with a number."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from integrations import inbound


@csrf_exempt
@require_POST
def hook(request: HttpRequest, token: str) -> HttpResponse:
    """A changed record. The signature is checked over the bytes as they came, before anything is parsed."""
    body = body_of(request)
    return said(inbound.TOO_LARGE if body is None else inbound.receive(token, request.headers, body))


@csrf_exempt
@require_POST
def hook_off(request: HttpRequest, token: str) -> HttpResponse:
    """Autotask calls this when it has given a webhook up. The body is not read."""
    return said(inbound.switched_off(token))


def body_of(request: HttpRequest) -> bytes | None:
    """None for one that is larger than any callback; that is not even read."""
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > inbound.LARGEST:
            return None
        return request.body
    except (ValueError, UnreadablePostError, RawPostDataException):
        return b""


def said(status: int) -> HttpResponse:
    answer = HttpResponse(status=status, content_type="text/plain")
    # Django would log the address, which is secret.
    answer._has_been_logged = True  # type: ignore[attr-defined]
    if status == inbound.LATER:
        answer["Retry-After"] = "2"
    return answer
