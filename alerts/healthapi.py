"""`/api/v1/health`: the health score of a partner, line by line."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import health
from alerts.health import Line, Score
from portal.restrows import partner_of


class HealthLineOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    weight = serializers.IntegerField()
    points = serializers.FloatField(
        allow_null=True, help_text="Of `weight`; null when the line is not counted."
    )
    fact = serializers.CharField()
    step = serializers.CharField(help_text="What would make it whole.")
    url = serializers.CharField(help_text="The page to do it on, within the portal.")


class HealthConnectionOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField()
    level = serializers.CharField()
    score = serializers.IntegerField(help_text="0 to 100.")
    next_step = HealthLineOut(allow_null=True)
    lines = HealthLineOut(many=True)


class HealthOut(serializers.Serializer[Any]):
    partner = serializers.UUIDField()
    score = serializers.IntegerField(help_text="0 to 100, over the partner's own lines and all connections'.")
    next_step = HealthLineOut(allow_null=True)
    lines = HealthLineOut(many=True, help_text="The partner's own.")
    connections = HealthConnectionOut(many=True)


class HealthDoor(APIView):
    """How healthy a partner's integration is."""

    scopes: ClassVar[dict[str, str]] = {"GET": "connections:read"}

    @extend_schema(
        operation_id="health",
        parameters=[OpenApiParameter("partner", OpenApiTypes.STR, description="For vendor-wide tokens.")],
        responses={200: HealthOut},
    )
    def get(self, request: Request) -> Response:
        """Every line with its weight, its points and the fact behind them; no PSA is asked."""
        found = health.of(partner_of(request))
        answer = {
            "partner": found.partner.pk,
            **told(found.whole, found.own.lines),
            "connections": [
                {
                    "id": facts.row.pk,
                    "kind": facts.row.kind,
                    "level": str(facts.row.level),
                    **told(score, score.lines),
                }
                for facts, score in found.connections
            ],
        }
        return Response(HealthOut(answer).data)


def told(score: Score, lines: Any) -> dict[str, Any]:
    """`next_step` is of the whole score, `lines` only those that are told here."""
    following: Line | None = score.next
    return {
        "score": score.percent,
        "next_step": following.as_json() if following else None,
        "lines": [line.as_json() for line in lines],
    }
