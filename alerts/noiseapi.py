"""`/api/v1/notifications` and `drop-filters`: rules, their order, wordings and test, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import filters, notifications, ruletest
from alerts.models import DropFilter, Grouping, Notification, NotificationVersion, WebhookEndpoint
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal import preconditions
from portal.clients import find_clients
from portal.models import Account, Organization, Partner
from portal.rest import actor_of
from portal.restrows import one_of, paged, partner_of, refused

READ_WRITE = {"GET": "rules:read", "POST": "rules:write"}
ONE = {"GET": "rules:read", "PUT": "rules:write", "DELETE": "rules:write"}


# --- What all of them share -------------------------------------------------------------------------------------------


def scope_in(request: Request, partner: Partner, data: dict[str, Any]) -> dict[str, Any]:
    """The rows that `organization`, `client` and `account` name, within the partner."""
    if "organization" in data and data["organization"] is not None:
        found = Organization.objects.of(partner).filter(pk=data["organization"]).first()
        data["organization"] = found or unknown("organization", data["organization"])
    if reference := data.get("client"):
        client = find_clients([reference], actor_of(request)).get(reference)
        data["client"] = (
            client if client and client.partner_id == partner.pk else unknown("client", reference)
        )
    else:
        data["client"] = None
    if key := data.get("account"):
        client = data["client"]
        account = Account.objects.filter(client=client, key=key).first() if client else None
        data["account"], data["client"] = account or unknown("account", key), None
    return data


def unknown(field: str, value: Any) -> Any:
    raise serializers.ValidationError({field: [f"“{value}” is not known here."]})


class ClientReference(serializers.CharField):
    """A client in answers: its managed ID."""

    def to_representation(self, value: Any) -> str:
        return str(value.managed_id)


# --- Notifications ----------------------------------------------------------------------------------------------------


class NotificationOut(serializers.ModelSerializer[Notification]):
    """One rule. `position` orders them; `matched_at` is an hour fine."""

    client = ClientReference(allow_null=True)

    class Meta:
        model = Notification
        fields: ClassVar[Sequence[str]] = (
            "id",
            "name",
            "action",
            "severities",
            "all_event_types",
            "event_types",
            "organization",
            "client",
            "is_enabled",
            "position",
            "stops",
            "catch_all",
            "min_minutes",
            "grouping",
            "recipients",
            "members",
            "webhook",
            "version",
            "created_at",
            "matched_at",
        )


class NotificationIn(serializers.Serializer[Any]):
    """What a rule should say. What is left out has its default, also with PUT."""

    name = serializers.CharField(max_length=200)
    action = serializers.ChoiceField(choices=Action.choices)
    severities = serializers.ListField(
        child=serializers.ChoiceField(choices=Severity.choices), allow_empty=False, required=False
    )
    all_event_types = serializers.BooleanField(required=False)
    event_types = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    organization = serializers.UUIDField(required=False, allow_null=True)
    client = serializers.CharField(
        max_length=100, required=False, allow_null=True, help_text="Client id, managed ID or our id."
    )
    is_enabled = serializers.BooleanField(required=False)
    position = serializers.IntegerField(min_value=0, max_value=100_000, required=False, allow_null=True)
    stops = serializers.BooleanField(required=False)
    catch_all = serializers.BooleanField(required=False)
    min_minutes = serializers.IntegerField(min_value=0, max_value=notifications.MOST_MINUTES, required=False)
    grouping = serializers.ChoiceField(choices=Grouping.choices, required=False, allow_blank=True)
    recipients = serializers.ListField(child=serializers.EmailField(), required=False)
    members = serializers.ListField(child=serializers.CharField(max_length=40), required=False)
    webhook = serializers.UUIDField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("all_event_types") is False and not attrs.get("event_types"):
            raise serializers.ValidationError({"event_types": "Name at least one, or subscribe to all."})
        return attrs


def save_notification(request: Request, partner: Partner, current: Notification | None) -> Notification:
    given = NotificationIn(data=request.data)
    given.is_valid(raise_exception=True)
    data = scope_in(request, partner, dict(given.validated_data))
    if key := data.get("webhook"):
        found = WebhookEndpoint.objects.of(partner).defer("secret").filter(pk=key).first()
        data["webhook"] = found or unknown("webhook", key)
    entered = notifications.Entered(**data)
    by = f"token {actor_of(request).prefix}"
    row: Notification = refused(
        lambda: notifications.save_notification(partner, entered, by=by, current=current)
    )
    return row


class Notifications(APIView):
    """A partner's rules."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(operation_id="notifications_list", responses=NotificationOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first; `position` tells in which order they are asked."""
        rows = Notification.objects.visible_to(actor_of(request)).select_related("client")
        return paged(self, request, rows, NotificationOut)

    @extend_schema(
        operation_id="notifications_add",
        parameters=[OpenApiParameter("partner", OpenApiTypes.STR, description="For vendor-wide tokens.")],
        request=NotificationIn,
        responses={201: NotificationOut},
    )
    def post(self, request: Request) -> Response:
        """Make one; without `position` it is asked last."""
        return Response(
            NotificationOut(save_notification(request, partner_of(request), None)).data, status=201
        )


class OneNotification(preconditions.Guarded, APIView):
    """One rule."""

    scopes: ClassVar[dict[str, str]] = ONE

    @extend_schema(operation_id="notifications_read", responses=NotificationOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(NotificationOut(one_of(request, Notification, pk)).data)

    @extend_schema(operation_id="notifications_change", request=NotificationIn, responses=NotificationOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        """Say it anew; the version grows."""
        row = one_of(request, Notification, pk)
        return Response(NotificationOut(save_notification(request, row.partner, row)).data)

    @extend_schema(operation_id="notifications_delete", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        notifications.delete_notification(one_of(request, Notification, pk))
        return Response(status=204)


class MoveIn(serializers.Serializer[Any]):
    way = serializers.ChoiceField(choices=["up", "down"])


class MoveNotification(APIView):
    """One place up or down."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(operation_id="notifications_move", request=MoveIn, responses=NotificationOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        row = one_of(request, Notification, pk)
        given = MoveIn(data=request.data)
        given.is_valid(raise_exception=True)
        notifications.move(row, up=given.validated_data["way"] == "up")
        row.refresh_from_db()
        return Response(NotificationOut(row).data)


class VersionOut(serializers.ModelSerializer[NotificationVersion]):
    document = serializers.DictField()

    class Meta:
        model = NotificationVersion
        fields: ClassVar[Sequence[str]] = ("version", "saved_at", "saved_by", "document")


class NotificationVersions(APIView):
    """How a rule was worded before."""

    scopes: ClassVar[dict[str, str]] = {"GET": "rules:read"}

    @extend_schema(operation_id="notifications_versions", responses=VersionOut(many=True))
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        row = one_of(request, Notification, pk)
        rows = NotificationVersion.objects.filter(notification_id=row.pk, partner=row.partner)
        return paged(self, request, rows, VersionOut)


class TestOut(serializers.Serializer[Any]):
    """What would happen. `filters` and `windows` say why not; empty: it applies."""

    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    filters = serializers.ListField(child=serializers.DictField())
    windows = serializers.ListField(child=serializers.DictField())
    trace = serializers.ListField(child=serializers.DictField())


class TestRules(APIView):
    """Try an event without storing or sending anything."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:read"}

    @extend_schema(operation_id="notifications_test", request=OpenApiTypes.OBJECT, responses=TestOut)
    def post(self, request: Request) -> Response:
        """The body is an event as in `POST /events`; `source` and `id` may be left out."""
        verdict = ruletest.try_document(request.data, actor=actor_of(request))
        named = {
            part: [
                {"id": str(row.pk), "name": row.name, "why_not": why} for row, why in getattr(verdict, part)
            ]
            for part in ("filters", "windows")
        }
        errors = [error.as_json() for error in verdict.errors]
        return Response({"errors": errors, **named, "trace": verdict.trace})


# --- Drop filters -----------------------------------------------------------------------------------------------------


class DropFilterOut(serializers.ModelSerializer[DropFilter]):
    """One filter, with how much it dropped."""

    client = ClientReference(allow_null=True)

    class Meta:
        model = DropFilter
        fields: ClassVar[Sequence[str]] = (
            "id",
            "name",
            "reason",
            "sources",
            "event_types",
            "severities",
            "phrases",
            "organization",
            "client",
            "is_enabled",
            "expires_at",
            "version",
            "dropped",
            "matched_at",
            "created_at",
            "created_by",
        )


class DropFilterIn(serializers.Serializer[Any]):
    """What a filter should drop; empty lists match anything, but not all of them may be empty."""

    name = serializers.CharField(max_length=200)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)
    sources = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    event_types = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    severities = serializers.ListField(
        child=serializers.ChoiceField(choices=Severity.choices), required=False
    )
    phrases = serializers.ListField(
        child=serializers.CharField(max_length=500),
        required=False,
        help_text="One of them is enough; any case.",
    )
    organization = serializers.UUIDField(required=False, allow_null=True)
    client = serializers.CharField(max_length=100, required=False, allow_null=True)
    is_enabled = serializers.BooleanField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


def save_filter(request: Request, partner: Partner, current: DropFilter | None) -> DropFilter:
    given = DropFilterIn(data=request.data)
    given.is_valid(raise_exception=True)
    entered = filters.Entered(**scope_in(request, partner, dict(given.validated_data)))
    by = f"token {actor_of(request).prefix}"
    row: DropFilter = refused(lambda: filters.save_filter(partner, entered, by=by, current=current))
    return row


class DropFilters(APIView):
    """Events that lead to nothing."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(operation_id="drop_filters_list", responses=DropFilterOut(many=True))
    def get(self, request: Request) -> Response:
        rows = DropFilter.objects.visible_to(actor_of(request)).select_related("client")
        return paged(self, request, rows, DropFilterOut)

    @extend_schema(operation_id="drop_filters_add", request=DropFilterIn, responses={201: DropFilterOut})
    def post(self, request: Request) -> Response:
        return Response(DropFilterOut(save_filter(request, partner_of(request), None)).data, status=201)


class OneDropFilter(preconditions.Guarded, APIView):
    """One filter."""

    scopes: ClassVar[dict[str, str]] = ONE

    @extend_schema(operation_id="drop_filters_read", responses=DropFilterOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(DropFilterOut(one_of(request, DropFilter, pk)).data)

    @extend_schema(operation_id="drop_filters_change", request=DropFilterIn, responses=DropFilterOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        row = one_of(request, DropFilter, pk)
        return Response(DropFilterOut(save_filter(request, row.partner, row)).data)

    @extend_schema(operation_id="drop_filters_delete", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        one_of(request, DropFilter, pk).delete()
        return Response(status=204)
