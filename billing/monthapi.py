"""`/api/v1/reconciliation`: a month's five numbers and their causes, for each client and service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import months
from billing.causes import Kind
from billing.decisions import Refused
from billing.models import MonthNumbers
from integrations.api import uuid_of
from portal import rest
from portal.rest import Problem, actor_of

SERVICE_KEY = re.compile(r"[-a-zA-Z0-9_]{1,80}")
TRUE, FALSE = ("true", "1"), ("", "false", "0")


class CauseOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=Kind.choices)
    amount = serializers.CharField(help_text="Units, as decimal text; what it adds to the number before.")
    text = serializers.CharField()


class StepOut(serializers.Serializer[Any]):
    """From one number to the next; the causes' amounts sum exactly to the difference."""

    name = serializers.CharField()
    difference = serializers.CharField(allow_null=True, help_text="Null when a number is not known.")
    causes = CauseOut(many=True)


class MonthNumbersOut(serializers.ModelSerializer[MonthNumbers]):
    """One client and service in a month. Numbers are units, as decimal text; null is not known or not readable."""

    client = serializers.UUIDField(source="client_id")
    client_number = serializers.IntegerField(source="client.number")
    service = serializers.CharField(source="service.key")
    unit = serializers.CharField(source="service.unit")
    period = serializers.SerializerMethodField()
    steps = StepOut(many=True)
    invoices = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = MonthNumbers
        fields: ClassVar[Sequence[str]] = (
            "id",
            "period",
            "client",
            "client_number",
            "service",
            "unit",
            "measured",
            "billable",
            "pushed",
            "in_agreement",
            "invoiced",
            "included",
            "written",
            "steps",
            "units_at_risk",
            "unit_price",
            "at_risk",
            "currency",
            "agreement_id",
            "agreement_name",
            "line_id",
            "invoices",
            "unread",
            "not_invoiced",
            "read_at",
            "calculated_at",
        )

    def get_period(self, row: MonthNumbers) -> str:
        return f"{row.month:%Y-%m}"


class ReconciliationDoor(APIView):
    """A month's reconciliation."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read"}

    @extend_schema(
        operation_id="reconciliation_list",
        parameters=[
            OpenApiParameter("period", OpenApiTypes.STR, required=True, description="A month like 2026-10."),
            OpenApiParameter("client", OpenApiTypes.UUID),
            OpenApiParameter("service", OpenApiTypes.STR, description="A service's key."),
            OpenApiParameter("cause", OpenApiTypes.STR, enum=Kind.values),
            OpenApiParameter("differences", OpenApiTypes.BOOL, description="Only rows whose numbers differ."),
        ],
        responses=MonthNumbersOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """As it was counted last, in cursor pages. Months are those of the partner's time zone."""
        asked = request.query_params
        try:
            month = months.month_of(asked.get("period", ""))
        except Refused as no:
            raise Problem(400, "unknown_value", f"“period”: {no.text}") from None
        cause = asked.get("cause", "")
        if cause and cause not in Kind.values:
            raise Problem(400, "unknown_value", f"“cause” must be one of {', '.join(Kind.values)}.")
        service = asked.get("service", "")
        if service and not SERVICE_KEY.fullmatch(service):
            raise Problem(400, "unknown_value", "“service” is a service’s key, like online-backup-servers.")
        differences = asked.get("differences", "").lower()
        if differences not in (*TRUE, *FALSE):
            raise Problem(400, "unknown_value", "“differences” must be true or false.")
        rows = months.narrowed(
            MonthNumbers.objects.visible_to(actor_of(request)).filter(month=month),
            client=uuid_of(asked["client"], "client") if asked.get("client") else None,
            service=service,
            cause=cause,
            only_differences=differences in TRUE,
        )
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(
            rows.select_related("client", "service").order_by("-id"), request, view=self
        )
        return pages.get_paginated_response(MonthNumbersOut(page, many=True).data)
