"""What all REST doors share: tokens, scopes, errors as problem+json, pages (asked by every api.py)."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any, cast

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from portal import throttle, tokens
from portal.models import ApiToken
from portal.throttle import Try

if TYPE_CHECKING:
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)


class Problem(exceptions.APIException):
    """An error with a stable `code`, a sentence, and optionally where it is. `wait`: seconds until it may be over."""

    wait: int | None = None

    def __init__(self, status_code: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status_code
        self.code = code
        self.more = more


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer psap_...`; unknown, revoked, expired and disabled all look the same."""

    def authenticate(self, request: Request) -> tuple[ApiToken, ApiToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = tokens.find_token(text.strip())
        if token is None:
            if wait := throttle.take(Try("token", throttle.address_of(request._request))):
                raise exceptions.Throttled(wait)
            raise Problem(401, "invalid_token", "This token is unknown, revoked or expired. Make a new one.")
        tokens.note_use(token)
        request._request.api_token = token  # type: ignore[attr-defined]
        return token, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="PSA Portal"'


class HasScope(BasePermission):
    """The view names the scope a method needs in `scopes`; a method without an entry is refused."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ApiToken):
            raise Problem(401, "no_token", "Send your token as “Authorization: Bearer psap_…”.")
        needed = getattr(view, "scopes", {}).get(request.method)
        if needed in request.auth.scopes:
            return True
        if needed is None:
            raise exceptions.MethodNotAllowed(request.method or "")
        raise Problem(403, "missing_scope", f"This token lacks the scope “{needed}”.", scope=needed)


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it: no NaN, sane depth; errors say where."""

    strict = True

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return json.loads(stream.read().decode("utf-8"), parse_constant=refuse_constant)
        except RecursionError as error:
            raise Problem(400, "invalid_json", "The JSON is nested too deeply.") from error
        except UnicodeDecodeError as error:
            raise Problem(400, "invalid_json", f"The body is not UTF-8 (byte {error.start}).") from error
        except ValueError as error:
            raise Problem(400, "invalid_json", f"The body is not JSON: {error}.") from error


class CloudEventParser(StrictJSONParser):
    media_type = "application/cloudevents+json"


class CloudEventBatchParser(StrictJSONParser):
    media_type = "application/cloudevents-batch+json"


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class NewestFirst(CursorPagination):
    """Cursor pages over time-ordered ids: `{"results": [...], "next": url|null}`; nothing is counted."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Any:
        """DRF answers 404, as if the list were not there."""
        try:
            return super().decode_cursor(request)
        except exceptions.NotFound:
            raise strange_cursor() from None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """A cursor that is well-formed may still point to what is no place in this list."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, ValueError, TypeError, OverflowError, DataError):
            if self.cursor_query_param not in request.query_params:
                raise
            raise strange_cursor() from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": ["string", "null"], "format": "uri"},
            },
        }


def strange_cursor() -> Problem:
    return Problem(
        400, "invalid_cursor", "“cursor” is not from a “next” of this list. Leave it out to begin anew."
    )


def told_once(data: dict[str, Any], *names: str, status: int = 200) -> Response:
    """An answer with secrets. What an Idempotency-Key keeps of it, and answers again, has null in their place."""
    response = Response(data, status=status, headers={"Cache-Control": "no-store"})
    response.to_be_kept = {**data, **dict.fromkeys(names)}  # type: ignore[attr-defined]
    return response


CODES = {
    400: "invalid_request",
    401: "no_token",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    415: "unsupported_media_type",
    429: "too_many_requests",
    503: "unavailable",
}


def problem(error: Exception, context: dict[str, Any]) -> Response:
    """Every error as RFC 9457 problem+json with a stable `code` and a sentence."""
    status_code, code, detail, more = describe(error)
    body = {
        "type": f"/api/docs/errors#{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status_code,
        "code": code,
        "detail": detail,
        **more,
    }
    response = Response(body, status=status_code, content_type="application/problem+json")
    if status_code == status.HTTP_401_UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="PSA Portal"'
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(int(wait))
    if status_code == status.HTTP_503_SERVICE_UNAVAILABLE:
        response["Retry-After"] = "5"
    return response


def describe(error: Exception) -> tuple[int, str, str, dict[str, Any]]:
    if isinstance(error, Problem):
        return error.status_code, error.code, str(error.detail), error.more
    if isinstance(error, exceptions.ValidationError):
        return 400, "invalid_request", "Some fields are not right.", {"errors": flat(error.detail)}
    if isinstance(error, exceptions.Throttled):
        text = "This token has sent all requests that it may in this minute. Wait as Retry-After says."
        return 429, "too_many_requests", text, {}
    if isinstance(error, exceptions.APIException):
        return error.status_code, CODES.get(error.status_code, "error"), str(error.detail), {}
    if isinstance(error, Http404):
        return 404, "not_found", "There is nothing here with that id.", {}
    if isinstance(error, PermissionDenied):
        return 403, "forbidden", "This is not allowed.", {}
    if isinstance(error, OperationalError):
        logger.error("The database did not answer", exc_info=error)
        return (
            503,
            "unavailable",
            "The database is not available just now; nothing was stored. Try again.",
            {},
        )
    logger.error("Unhandled error in the API", exc_info=error)
    return 500, "internal_error", "This is our mistake; it has been logged. Try again later.", {}


def flat(detail: Any, path: str = "") -> list[dict[str, str]]:
    """DRF's nested errors as a list of `{field, code, detail}`."""
    if isinstance(detail, dict):
        return [
            row
            for name, part in detail.items()
            for row in flat(part, f"{path}.{name}" if path else str(name))
        ]
    if isinstance(detail, list):
        return [row for part in detail for row in flat(part, path)]
    return [{"field": path, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}]


def touch(request: Request, partner_id: uuid.UUID) -> None:
    """Whose audit log tells of this call: also a vendor-wide token's changes stand in the partner's."""
    request._request.touched_partner_id = partner_id  # type: ignore[attr-defined]


def actor_of(request: Request | HttpRequest) -> ApiToken:
    """The token that signs this request; views behind `HasScope` always have one."""
    return cast(ApiToken, request.auth)  # type: ignore[union-attr]
