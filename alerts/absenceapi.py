"""`/api/v1/expectations`: how often backups are expected, and which are missing, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import absence
from alerts.models import Expectation
from alerts.noiseapi import READ_WRITE, ClientReference, scope_in
from portal import preconditions
from portal.api import check_text
from portal.rest import actor_of
from portal.restrows import of_client, one_of, one_word, paged, partner_of, read, refused

MISSING = ("yes", "no")


class HoursField(serializers.DecimalField):
    def __init__(self, **more: Any) -> None:
        super().__init__(
            max_digits=8,
            decimal_places=2,
            min_value=Decimal("0.25"),
            max_value=Decimal(8784),
            help_text="0.25 to 8784.",
            **more,
        )


class ToleranceField(serializers.DecimalField):
    def __init__(self, **more: Any) -> None:
        super().__init__(
            max_digits=4,
            decimal_places=2,
            min_value=Decimal(1),
            max_value=Decimal(10),
            help_text="1 to 10; 2: missing after twice that time.",
            **more,
        )


class ExpectationIn(serializers.Serializer[Any]):
    """What is expected of a client, or of one of its accounts."""

    client = serializers.CharField(
        max_length=100, validators=[check_text], help_text="Client id, managed ID or our id."
    )
    account = serializers.CharField(
        max_length=100,
        required=False,
        allow_null=True,
        validators=[check_text],
        help_text="Account no.; left out: all of them together.",
    )
    event_type = serializers.ChoiceField(choices=absence.WATCHED, default=absence.WATCHED[0])
    every_hours = HoursField()
    tolerance = ToleranceField(default=Decimal(2))
    is_enabled = serializers.BooleanField(default=True)


class ExpectationChange(serializers.Serializer[Any]):
    """What is left out stays. Saying how often, or the tolerance, ends learning."""

    every_hours = HoursField(required=False)
    tolerance = ToleranceField(required=False)
    is_enabled = serializers.BooleanField(required=False)


class ExpectationOut(serializers.ModelSerializer[Expectation]):
    """What is expected, and whether it comes. Unless somebody said it (`is_set`) `every_hours` is learnt from
    `learnt_from` successes; `missing` is what was reported, and is not over yet."""

    client = ClientReference()
    account = serializers.CharField(source="account.key", allow_null=True, default=None)
    missing = serializers.ChoiceField(choices=[kind for kind in Expectation.Missing.values if kind] + [""])

    class Meta:
        model = Expectation
        fields: ClassVar[Sequence[str]] = (
            "id",
            "client",
            "account",
            "event_type",
            "every_hours",
            "tolerance",
            "is_set",
            "is_enabled",
            "learnt_from",
            "seen_at",
            "missing",
            "missing_since",
            "created_at",
        )


class Expectations(APIView):
    """Backups that are expected regularly."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(
        operation_id="expectations_list",
        parameters=[
            OpenApiParameter("client", OpenApiTypes.STR, description="Client id, managed ID or our id."),
            OpenApiParameter(
                "missing",
                OpenApiTypes.STR,
                enum=MISSING,
                description="Only what is missing just now, or is not.",
            ),
        ],
        responses=ExpectationOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = Expectation.objects.visible_to(actor_of(request)).select_related("client", "account")
        rows = of_client(request, rows)
        if word := one_word(request, "missing", MISSING):
            rows = rows.filter(missing="") if word == "no" else rows.exclude(missing="")
        return paged(self, request, rows, ExpectationOut)

    @extend_schema(
        operation_id="expectations_add",
        parameters=[OpenApiParameter("partner", OpenApiTypes.STR, description="For vendor-wide tokens.")],
        request=ExpectationIn,
        responses={201: ExpectationOut},
    )
    def post(self, request: Request) -> Response:
        """From now on it is watched as this says, whatever was learnt or said of the same before."""
        partner, asked = partner_of(request), read(ExpectationIn, request)
        whose = scope_in(request, partner, {name: asked.pop(name, None) for name in ("client", "account")})
        account = whose["account"]
        client = account.client if account else whose["client"]
        row = refused(lambda: absence.set_expectation(client, account=account, **asked))
        return Response(ExpectationOut(row).data, status=201)


class OneExpectation(preconditions.Guarded, APIView):
    """One of them."""

    scopes: ClassVar[dict[str, str]] = {"GET": "rules:read", "PATCH": "rules:write"}

    @extend_schema(operation_id="expectations_read", responses=ExpectationOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(ExpectationOut(one_of(request, Expectation, pk)).data)

    @extend_schema(operation_id="expectations_change", request=ExpectationChange, responses=ExpectationOut)
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """With `is_enabled` false nobody watches: what was reported missing is over."""
        row, asked = one_of(request, Expectation, pk), read(ExpectationChange, request)
        refused(lambda: absence.change(row, **asked))
        row.refresh_from_db()
        return Response(ExpectationOut(row).data)

    def state(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.shown(request, self.get(request, *args, **kwargs))

    def shown(self, request: Any, response: Response) -> Any:
        """What was learnt is a fact, what somebody said is a setting."""
        names = ("is_enabled", "is_set", *(("every_hours", "tolerance") if response.data["is_set"] else ()))
        return {name: response.data[name] for name in names}


class LearnExpectation(APIView):
    """Learn instead of what somebody said."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(operation_id="expectations_learn", request=None, responses=ExpectationOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """From the successes of the last 30 days; `every_hours` stays as it is until there are enough of them."""
        row = one_of(request, Expectation, pk)
        absence.learn_again(row)
        row.refresh_from_db()
        return Response(ExpectationOut(row).data)
