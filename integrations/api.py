"""`/api/v1/deliveries`: what PSAs were told, and telling it again. `/api/v1/connections`: may we do what we should?"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations import bulkreprocess, doctor, eventgrammar, eventlog
from integrations.eventgrammar import Condition, NotUnderstood
from integrations.eventsearch import EventFilter
from integrations.models import BulkReprocess, Credentials, Delivery, Status
from integrations.models.connections import Kind, Standing
from integrations.psa.port import Check
from portal import rest
from portal.rest import Problem, actor_of, touch

MOST_AT_ONCE = 1000


class DeliveryOut(serializers.ModelSerializer[Delivery]):
    """One thing a PSA was, or is to be, told."""

    event = serializers.UUIDField(source="event_id")
    client = serializers.UUIDField(source="client_id")
    notification = serializers.CharField(source="notification_name")
    plan = serializers.JSONField(allow_null=True)
    exchanges = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = Delivery
        fields: ClassVar[Sequence[str]] = (
            "id",
            "event",
            "client",
            "action",
            "notification",
            "status",
            "reason",
            "outcome",
            "error_kind",
            "error_text",
            "advice",
            "attempts",
            "created_at",
            "due_at",
            "started_at",
            "finished_at",
            "milliseconds",
            "plan",
            "exchanges",
        )


class ReprocessIn(serializers.Serializer[Any]):
    """Which deliveries: by id, by event, by status, or those of all events that a search finds (`where`)."""

    ids = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=MOST_AT_ONCE)
    event = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(choices=["failed", "held", "skipped", "done"], required=False)
    where = serializers.ListField(
        child=serializers.CharField(max_length=2000),
        required=False,
        min_length=1,
        max_length=eventgrammar.MOST_CONDITIONS,
        help_text="Conditions as in `GET /events`; the worker goes through the log. Not together with the others.",
    )
    dry_run = serializers.BooleanField(required=False, help_text="Only count what would become of them.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        chosen = attrs.keys() - {"dry_run"}
        if not chosen:
            raise serializers.ValidationError("Say which deliveries: “ids”, “event”, “status” or “where”.")
        if "where" in chosen and len(chosen) > 1:
            raise serializers.ValidationError("“where” stands alone: put the rest into its conditions.")
        return attrs


class ReprocessOut(serializers.Serializer[Any]):
    reprocessing = serializers.IntegerField(help_text="How many will be tried again; 0 for a dry run.")
    verdicts = serializers.DictField(
        child=serializers.IntegerField(),
        required=False,
        help_text="Of a dry run: deliveries by what becomes of them.",
    )
    bulk = serializers.CharField(required=False, help_text="Of a search: where to read how far it is.")


class BulkReprocessOut(serializers.ModelSerializer[BulkReprocess]):
    """Reprocessing of all that a search finds."""

    class Meta:
        model = BulkReprocess
        fields: ClassVar[Sequence[str]] = (
            "id",
            "is_dry_run",
            "state",
            "events",
            "verdicts",
            "asked_by",
            "asked_at",
            "finished_at",
        )


class Deliveries(APIView):
    """List deliveries."""

    scopes: ClassVar[dict[str, str]] = {"GET": "events:read"}

    @extend_schema(
        operation_id="deliveries_list",
        parameters=[
            OpenApiParameter("event", OpenApiTypes.UUID),
            OpenApiParameter("status", OpenApiTypes.STR, enum=Status.values),
        ],
        responses=DeliveryOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = Delivery.objects.visible_to(actor_of(request)).order_by("-id")
        if event := request.query_params.get("event"):
            rows = rows.filter(event=uuid_of(event, "event"))
        if status := request.query_params.get("status"):
            if status not in Status.values:
                raise Problem(400, "unknown_value", f"“status” must be one of {', '.join(Status.values)}.")
            rows = rows.filter(status=status)
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(DeliveryOut(page, many=True).data)


class OneDelivery(APIView):
    """One delivery."""

    scopes: ClassVar[dict[str, str]] = {"GET": "events:read"}

    @extend_schema(operation_id="deliveries_read", responses=DeliveryOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        row = Delivery.objects.visible_to(actor_of(request)).filter(pk=pk).first()
        if row is None:
            raise Http404
        return Response(DeliveryOut(row).data)


class ReprocessOne(APIView):
    """Try one delivery again."""

    scopes: ClassVar[dict[str, str]] = {"POST": "deliveries:write"}

    @extend_schema(operation_id="deliveries_reprocess_one", request=None, responses={202: ReprocessOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Never opens a second ticket; ignores the 12 h window."""
        rows = Delivery.objects.visible_to(actor_of(request)).filter(pk=pk)
        whose = rows.values_list("partner_id", flat=True)[:1]
        if not whose:
            raise Http404
        touch(request, whose[0])
        return Response({"reprocessing": eventlog.reprocess(rows)}, status=202)


class ReprocessMany(APIView):
    """Try several deliveries again."""

    scopes: ClassVar[dict[str, str]] = {"POST": "deliveries:write"}

    @extend_schema(operation_id="deliveries_reprocess", request=ReprocessIn, responses={202: ReprocessOut})
    def post(self, request: Request) -> Response:
        """Those that are yours among the named ones; more than 500 go through the worker."""
        wanted = ReprocessIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        rows = Delivery.objects.visible_to(actor_of(request))
        asked = wanted.validated_data
        if "where" in asked:
            return self._bulk(request, asked["where"], is_dry_run=asked.get("dry_run", False))
        if "ids" in asked:
            rows = rows.filter(pk__in=asked["ids"])
        if "event" in asked:
            rows = rows.filter(event=asked["event"])
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        if asked.get("dry_run"):
            return Response({"reprocessing": 0, "verdicts": foreseen(rows)}, status=202)
        return Response({"reprocessing": eventlog.reprocess_many(rows)}, status=202)

    def _bulk(self, request: Request, where: Sequence[str], *, is_dry_run: bool) -> Response:
        actor = actor_of(request)
        if actor.partner is None:
            raise Problem(
                400,
                "partner_needed",
                "“where” works for one partner: use a token of that partner.",
                field="where",
            )
        wanted = EventFilter(conditions=conditions_of(where))
        row = bulkreprocess.begin(actor.partner, wanted, is_dry_run=is_dry_run, by=str(actor))
        return Response({"reprocessing": 0, "bulk": reverse("api-bulk", args=[row.pk])}, status=202)


class OneBulk(APIView):
    """How far the reprocessing of all that a search finds is."""

    scopes: ClassVar[dict[str, str]] = {"GET": "events:read"}

    @extend_schema(operation_id="deliveries_bulk_read", responses=BulkReprocessOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        row = BulkReprocess.objects.visible_to(actor_of(request)).filter(pk=pk).first()
        if row is None:
            raise Http404
        return Response(BulkReprocessOut(row).data)


def foreseen(rows: QuerySet[Delivery]) -> dict[str, int]:
    """What would become of at most a thousand deliveries, counted."""
    if rows[MOST_AT_ONCE:].exists():
        raise Problem(
            400, "too_many", f"More than {MOST_AT_ONCE} deliveries: ask with “where”.", field="dry_run"
        )
    return dict(Counter(verdict.value for verdict in eventlog.foresee(rows).values()))


def conditions_of(lines: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of `where`; one that cannot be read is a problem that says what to type instead."""
    try:
        conditions = tuple(eventgrammar.parse(line, place) for place, line in enumerate(lines))
    except NotUnderstood as error:
        raise Problem(400, "unknown_value", error.text, field="where", place=error.place) from None
    return checked(conditions)


def checked(conditions: Sequence[Condition], field: str = "where") -> tuple[Condition, ...]:
    """These conditions, when they can be searched for; else a problem of this parameter."""
    try:
        eventgrammar.all_of(conditions)
    except NotUnderstood as error:
        raise Problem(400, "unknown_value", error.text, field=field, place=error.place) from None
    return tuple(conditions)


class ConnectionOut(serializers.ModelSerializer[Credentials]):
    """PSA credentials in use. No secret is ever answered."""

    level = serializers.CharField(help_text="The organization or client they are set at.")

    class Meta:
        model = Credentials
        fields: ClassVar[Sequence[str]] = (
            "id",
            "kind",
            "level",
            "site_url",
            "tested_at",
            "test_passed",
        )


class CheckOut(serializers.Serializer[Check]):
    """One line of the permission doctor's report."""

    name = serializers.CharField()
    kind = serializers.CharField(help_text="step, right, advice or excess")
    verdict = serializers.CharField(help_text="passed, failed, probably, not needed or skipped (not tried)")
    area = serializers.CharField()
    needs = serializers.ListField(child=serializers.CharField(), help_text="Levels, as the PSA shows them.")
    features = serializers.ListField(child=serializers.CharField(), help_text="What needs it.")
    breaks = serializers.ListField(child=serializers.CharField(), help_text="What does not work as it is.")
    why = serializers.CharField()
    detail = serializers.CharField()
    fix = serializers.CharField(help_text="Where to click in the PSA.")
    excess = serializers.ListField(child=serializers.CharField(), help_text="Granted and not needed.")
    seconds = serializers.FloatField()


class ReportOut(serializers.Serializer[Any]):
    tested_at = serializers.DateTimeField(allow_null=True)
    passed = serializers.BooleanField(
        allow_null=True, help_text="Null: never tested, or changed since; then `lines` are of before."
    )
    lines = CheckOut(many=True)
    work_order = serializers.CharField(help_text="For the PSA's administrator, as Markdown.")


def connection_rows(request: Request) -> QuerySet[Credentials]:
    rows = Credentials.objects.visible_to(actor_of(request)).filter(standing=Standing.CURRENT)
    return rows.exclude(kind=Kind.NONE).select_related("organization", "client", "lane")


def report(row: Credentials) -> Response:
    answer = {
        "tested_at": row.tested_at,
        "passed": row.test_passed,
        "lines": doctor.report_of(row),
        "work_order": doctor.as_markdown(doctor.work_order(row)),
    }
    return Response(ReportOut(answer).data)


class Connections(APIView):
    """List connections."""

    scopes: ClassVar[dict[str, str]] = {"GET": "connections:read"}

    @extend_schema(operation_id="connections_list", responses=ConnectionOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        pages = rest.NewestFirst()
        rows = connection_rows(request).defer("secret").order_by("-id")
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(ConnectionOut(page, many=True).data)


class ConnectionTest(APIView):
    """The permission doctor's report on one connection."""

    scopes: ClassVar[dict[str, str]] = {"GET": "connections:read", "POST": "connections:test"}

    @extend_schema(operation_id="connections_test_read", responses=ReportOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """The last one."""
        return report(self._row(request, pk))

    @extend_schema(operation_id="connections_test", request=None, responses=ReportOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Test It, now: about twenty reads of the PSA, no write. Within ten seconds the last one is answered."""
        row = self._row(request, pk)
        doctor.examine_again(row)
        return report(row)

    def _row(self, request: Request, pk: uuid.UUID) -> Credentials:
        row = connection_rows(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row


def uuid_of(text: str, field: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Problem(400, "unknown_value", f"“{field}” must be a UUID.", field=field) from error
