"""What the OpenAPI document says of signing in, lists and errors (asked by drf-spectacular)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from portal import preconditions, rest

PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457). `code` is stable; docs/api.md and /api/docs/errors explain each one.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
            },
        },
    },
}
ANY_CALL = {
    "400": "Something in the request is not right; `detail` and `errors` say what and where.",
    "401": "No token, or one that is unknown, revoked or expired.",
    "403": "The token lacks the scope, or this is not allowed.",
    "404": "Something that the request names does not exist, or not for this token.",
    "406": "Another form than JSON was asked for.",
    "429": "The token's requests of this minute are used up; `Retry-After` says how long to wait.",
    "503": "The database does not answer; nothing was stored. `Retry-After` says how long to wait.",
}
WRITES = {
    "409": "The state of things does not allow this, or a request with the same Idempotency-Key is under way.",
    "422": "This Idempotency-Key came with another request before.",
}
BODIES = {
    "413": "The body is too large.",
    "415": "The body is of a media type that is not understood.",
}

IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "A request sent again with its key is carried out once; it has its first answer for 24 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


CHANGED = {"412": "`If-Match` names what is not stored any more; nothing was changed."}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The ETag of a GET: the change is made only while that is still what is stored.",
    "schema": {"type": "string", "pattern": r'^("[!#-~]*"|\*)$'},
}


class Schema(AutoSchema):
    """Lists come in cursor pages, every error is a problem: said once here, not by each view."""

    def _get_paginator(self) -> Any:
        return rest.NewestFirst() if self.method == "GET" else None

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self.problem()
        for status, description in self.errors().items():
            body = bodies.setdefault(status, {"description": description})
            body.setdefault("content", {})["application/problem+json"] = {"schema": problem}
        return dict(sorted(bodies.items()))

    def _get_parameters(self) -> list[Any]:
        parameters: list[Any] = super()._get_parameters()
        if self.method == "GET":
            return parameters
        return [*parameters, IDEMPOTENCY_KEY, *([IF_MATCH] if self.is_guarded() else [])]

    def is_guarded(self) -> bool:
        return isinstance(self.view, preconditions.Guarded) and self.method in preconditions.CHANGES

    def errors(self) -> dict[str, str]:
        """Status -> what it means, for any call of this kind; a view says in `more_errors` what only it has."""
        told = ANY_CALL | getattr(self.view, "more_errors", {})
        if self.method != "GET":
            told |= WRITES
        if self.is_guarded():
            told |= CHANGED
        if self.method in {"POST", "PUT", "PATCH"}:
            told |= BODIES
        return told

    def problem(self) -> dict[str, str]:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]
            name="Problem", type=ResolvedComponent.SCHEMA, schema=PROBLEM, object="Problem"
        )
        self.registry.register_on_missing(component)
        reference: dict[str, str] = component.ref
        return reference


class TimeOfDay(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """A time on somebody's clock; what the format “time” means has a time zone."""

    target_class = "rest_framework.fields.TimeField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, str]:
        return {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$"}


def anything_may_be_null(result: Any, **_: Any) -> Any:
    """“Anything, or null” is anything: as `oneOf` null would match both and be refused."""
    if isinstance(result, dict):
        if result.get("oneOf") == [{}, {"type": "null"}]:
            del result["oneOf"]
        for part in result.values():
            anything_may_be_null(part)
    elif isinstance(result, list):
        for part in result:
            anything_may_be_null(part)
    return result


class BearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer psap_...`"""

    target_class = "portal.rest.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `manage.py createtoken`: psap_…",
        }
