"""`/api/v1/config`: a partner's whole set-up as one document, for machines."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal import configtree, configuration, preconditions
from portal.models import Partner
from portal.rest import Problem, actor_of, touch

FLAGS = {"prune": "prune", "only_connections": "only_first"}
YAML = "application/yaml"
WHOSE = OpenApiParameter("partner", OpenApiTypes.STR, description="Slug or id; for vendor-wide tokens.")
HOW = [
    WHOSE,
    OpenApiParameter(
        "prune", OpenApiTypes.BOOL, description="Remove what the document's sections do not say."
    ),
    OpenApiParameter(
        "only_connections",
        OpenApiTypes.BOOL,
        description="Only partner, organizations, clients and connections, before options can be read from a PSA.",
    ),
]


class Document(BaseParser):
    """The body as it is; `configtree` reads it."""

    media_type = YAML

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read(configtree.MOST_BYTES + 1)


class TextDocument(Document):
    media_type = "text/yaml"


class PlainDocument(Document):
    media_type = "text/plain"


class JsonDocument(Document):
    media_type = "application/json"


class YamlRenderer(BaseRenderer):
    media_type = YAML
    format = "yaml"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        """An error is JSON, whatever was asked for."""
        return data.encode() if isinstance(data, str) else JSONRenderer().render(data)


class TextRenderer(YamlRenderer):
    media_type = "text/yaml"
    format = "text"


class DifferenceOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    what = serializers.ChoiceField(choices=["added", "changed", "removed"])
    old = serializers.JSONField(allow_null=True)
    new = serializers.JSONField(allow_null=True)
    kept = serializers.CharField(required=False, help_text="Why it is left although it is not said.")


class FindingOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    text = serializers.CharField()


class PlanErrorOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    line = serializers.IntegerField(help_text="Of the document; 0 where there is none.")
    code = serializers.CharField()
    detail = serializers.CharField()


class PlanOut(serializers.Serializer[Any]):
    """What a document changes; `findings` is what is not as it should be any more at the PSA."""

    digest = serializers.CharField(help_text="Of the set-up as it was found; the ETag.")
    summary = serializers.CharField()
    prune = serializers.BooleanField()
    differences = DifferenceOut(many=True)
    kept = DifferenceOut(many=True)
    findings = FindingOut(many=True)
    errors = PlanErrorOut(many=True)  # type: ignore[assignment]


def partner_of(request: Request) -> Partner:
    """The token's partner; a vendor-wide token says which one."""
    actor = actor_of(request)
    if actor.partner is not None:
        return actor.partner
    named = request.query_params.get("partner", "").replace("\x00", "")
    try:
        found = Partner.objects.filter(pk=uuid.UUID(named)).first()
    except ValueError:
        found = Partner.objects.filter(slug=named).first()
    if found is None:
        raise Problem(
            400, "partner_needed", "Say in “partner” which partner it is for (id or slug).", field="partner"
        )
    touch(request, found.pk)
    return found


def how(request: Request) -> dict[str, bool]:
    found = {}
    for name, argument in FLAGS.items():
        word = request.query_params.get(name, "false").lower()
        if word not in ("true", "false", "1", "0"):
            raise Problem(400, "unknown_value", f"“{name}” must be true or false.", field=name)
        found[argument] = word in ("true", "1")
    return found


def text_in(request: Request) -> bytes:
    data: Any = request.data
    text = data if isinstance(data, bytes) else b""  # an empty body is not parsed
    if len(text) > configtree.MOST_BYTES:
        raise Problem(413, "too_large", f"A document has {configtree.MOST_BYTES // 1024 // 1024} MB at most.")
    return text


def by(request: Request) -> str:
    return f"token {actor_of(request).prefix}"


class Config(APIView):
    """A partner's set-up."""

    scopes: ClassVar[dict[str, str]] = {"GET": "config:read"}
    renderer_classes = (YamlRenderer, TextRenderer, JSONRenderer)

    @extend_schema(
        operation_id="config_export",
        parameters=[WHOSE],
        responses={(200, media): OpenApiTypes.OBJECT for media in (YAML, "text/yaml", "application/json")},
    )
    def get(self, request: Request) -> HttpResponse:
        """As YAML, or as JSON when that is asked for (`Accept`). Secrets are not in it. The ETag is its digest."""
        found = configuration.export(partner_of(request))
        is_json = isinstance(request.accepted_renderer, JSONRenderer)
        response = Response(found.as_json() if is_json else found.text)
        response["ETag"] = preconditions.quoted(found.digest)
        return response


class ConfigPlan(APIView):
    """What a document would change."""

    scopes: ClassVar[dict[str, str]] = {"POST": "config:read"}
    parser_classes = (Document, TextDocument, PlainDocument, JsonDocument)

    @extend_schema(
        operation_id="config_plan",
        parameters=HOW,
        request={YAML: OpenApiTypes.STR, "application/json": OpenApiTypes.OBJECT},
        responses=PlanOut,
    )
    def post(self, request: Request) -> Response:
        """Nothing is changed. What is wrong with the document is in `errors`, each with its line."""
        found = configuration.plan(
            partner_of(request),
            text_in(request),
            actor=actor_of(request),
            by=by(request),
            **how(request),
        )
        response = Response(found.as_json())
        response["ETag"] = preconditions.quoted(found.digest)
        return response


class ConfigApply(APIView):
    """Make the set-up as a document says."""

    scopes: ClassVar[dict[str, str]] = {"POST": "config:write"}
    more_errors: ClassVar[dict[str, str]] = {"412": "The set-up is not any more what `If-Match` names."}
    parser_classes = (Document, TextDocument, PlainDocument, JsonDocument)

    @extend_schema(
        operation_id="config_apply",
        parameters=[
            *HOW,
            OpenApiParameter(
                "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="The plan's ETag."
            ),
        ],
        request={YAML: OpenApiTypes.STR, "application/json": OpenApiTypes.OBJECT},
        responses=PlanOut,
    )
    def post(self, request: Request) -> Response:
        """All of it or nothing. With `If-Match` only when the set-up is still what the plan was made for (else 412)."""
        partner = partner_of(request)
        expect = preconditions.wanted(request)
        try:
            found = configuration.apply(
                partner,
                text_in(request),
                actor=actor_of(request),
                by=by(request),
                expect=expect if expect is not None and expect != "*" else "",
                **how(request),
            )
        except configuration.Moved as moved:
            raise preconditions.failed(str(moved)) from moved
        except configuration.Refused as refusal:
            errors = [fault.as_json() for fault in refusal.plan.faults]
            raise Problem(
                422, "document_refused", f"Nothing was applied: {refusal}", errors=errors
            ) from refusal
        response = Response(found.as_json())
        response["ETag"] = preconditions.quoted(configuration.export(partner).digest)
        return response
