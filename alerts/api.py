"""`/api/v1/events`: what sources tell us, and what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.http import Http404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from alerts import dialects, incoming, intake
from alerts.incoming import Incoming
from integrations import eventsearch
from integrations.api import DeliveryOut, checked, conditions_of, uuid_of
from integrations.eventsearch import EventFilter
from integrations.models import Event
from integrations.models.eventlog import EventAction, Severity
from integrations.searchapi import search_of
from portal import chaos, rest
from portal.clients import find_clients
from portal.rest import Problem, actor_of
from portal.texts import FieldError


class EventIn(serializers.Serializer[Any]):
    """One event. Unknown fields are answered with a warning."""

    source = serializers.CharField(max_length=100)  # type: ignore[assignment]
    id = serializers.CharField(
        max_length=200, help_text="Unique per source; a repeat is answered as duplicate."
    )
    type = serializers.CharField(max_length=100, help_text="For example backup.failed")
    severity = serializers.ChoiceField(choices=Severity.choices)
    action = serializers.ChoiceField(
        choices=["trigger", "resolve"], required=False, help_text="Default: from type and severity."
    )
    client = serializers.CharField(
        max_length=100, help_text="Client id (19652), managed ID (EFS-19652) or our id."
    )
    account = serializers.CharField(max_length=100, required=False)
    condition_key = serializers.CharField(
        max_length=300, required=False, help_text="Default: from the type's declared fields."
    )
    summary = serializers.CharField(max_length=500)
    details = serializers.CharField(required=False, help_text="At most 64 KiB as UTF-8.")
    occurred_at = serializers.DateTimeField(required=False, help_text="RFC 3339. Default: now.")
    data = serializers.DictField(required=False, help_text="At most 64 KiB, 20 levels.")  # type: ignore[assignment]


class EventsIn(serializers.Serializer[Any]):
    events = EventIn(many=True, help_text="Up to 1,000 events.")


class FieldErrorOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ResultOut(serializers.Serializer[Any]):
    """What became of one event."""

    id = serializers.UUIDField(allow_null=True)
    status = serializers.ChoiceField(choices=["accepted", "duplicate", "parked", "rejected"])
    url = serializers.CharField(allow_null=True)
    errors = FieldErrorOut(many=True)  # type: ignore[assignment]
    warnings = FieldErrorOut(many=True)


class ResultsOut(serializers.Serializer[Any]):
    results = ResultOut(many=True)


class EventOut(serializers.ModelSerializer[Event]):
    """One row of the event log, with what was decided and why."""

    client = serializers.CharField(source="client_reference")
    account = serializers.CharField(source="account_reference")
    status = serializers.CharField(source="state")
    id = serializers.UUIDField()

    class Meta:
        model = Event
        fields: ClassVar[Sequence[str]] = (
            "id",
            "status",
            "source",
            "source_id",
            "type",
            "severity",
            "action",
            "client",
            "account",
            "condition_key",
            "summary",
            "details",
            "data",
            "occurred_at",
            "received_at",
            "trace",
        )


class EventDetailOut(EventOut):
    deliveries = DeliveryOut(many=True)

    class Meta(EventOut.Meta):
        fields: ClassVar[Sequence[str]] = (*EventOut.Meta.fields, "deliveries")


class Events(APIView):
    """Send events; list the event log."""

    scopes: ClassVar[dict[str, str]] = {"POST": "events:write", "GET": "events:read"}
    parser_classes = (
        rest.StrictJSONParser,
        rest.CloudEventParser,
        rest.CloudEventBatchParser,
    )

    @extend_schema(
        operation_id="events_send",
        request=PolymorphicProxySerializer(
            "EventOrEvents", [EventIn, EventsIn], resource_type_field_name=None
        ),
        responses={202: ResultsOut},
    )
    def post(self, request: Request) -> Response:
        """One event object, or `{"events": [...]}` with up to 1,000. Answered after commit, one result an item.

        As `application/cloudevents+json` or `application/cloudevents-batch+json` they are CloudEvents 1.0."""
        read = read_all(request)
        good = [item for item in read if isinstance(item, Incoming)]
        accepted = iter(intake.accept(good, actor=actor_of(request)) if good else ())
        chaos.point("accepted")
        results = [
            result_of(next(accepted)) if isinstance(item, Incoming) else rejected(item) for item in read
        ]
        return Response({"results": results}, status=202)

    @extend_schema(
        operation_id="events_list",
        parameters=[
            OpenApiParameter("client", OpenApiTypes.STR, description="Client id, managed ID or our id."),
            OpenApiParameter("severity", OpenApiTypes.STR, enum=Severity.values),
            OpenApiParameter("status", OpenApiTypes.STR, enum=Event.State.values),
            OpenApiParameter(
                "where",
                OpenApiTypes.STR,
                many=True,
                description="A condition of Advanced Search, like `error_list LIKE ?*`; all must be met.",
            ),
            OpenApiParameter(
                "saved", OpenApiTypes.UUID, description="The id of a saved search; it must be met too."
            ),
        ],
        responses=EventOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages. With `where` a page may be short, or empty, and still have a `next`: it says
        how far a search has looked."""
        rows = Event.objects.visible_to(actor_of(request)).order_by("-id")
        rows = filtered(rows, request)
        where, saved = request.query_params.getlist("where"), request.query_params.get("saved", "")
        if where or saved:
            return searched(request, rows, wanted_in(request, where, saved))
        pages = rest.NewestFirst()
        page: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(EventOut(page, many=True).data)


def wanted_in(request: Request, where: list[str], saved: str) -> EventFilter:
    """What a saved search looks for, and the lines of `where` with it."""
    asked = conditions_of(where)
    if not saved:
        return EventFilter(conditions=asked)
    kept = EventFilter.of_json(search_of(request, uuid_of(saved, "saved")).wanted)
    return replace(kept, conditions=checked((*kept.conditions, *asked), field="saved"))


def searched(request: Request, rows: Any, wanted: EventFilter) -> Response:
    """A page of what a search finds; `next` goes on where this one stopped looking."""
    before = uuid_of(text, "before") if (text := request.query_params.get("before", "")) else None
    by = "pk" if actor_of(request).partner is None else "received_at"
    page = eventsearch.look(rows, wanted, by=by, before=before)
    url = replace_query_param(request.build_absolute_uri(), "before", page.before) if page.before else None
    return Response({"results": EventOut(page.rows, many=True).data, "next": url})


class OneEvent(APIView):
    """One event with its deliveries."""

    scopes: ClassVar[dict[str, str]] = {"GET": "events:read"}

    @extend_schema(operation_id="events_read", responses=EventDetailOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        event = Event.objects.visible_to(actor_of(request)).filter(pk=pk).first()
        if event is None:
            raise Http404
        return Response(EventDetailOut(event).data)


def read_all(request: Request) -> list[Incoming | list[FieldError]]:
    """Every event of the body, in whichever of the three media types it came."""
    media_type = (request.content_type or "").partition(";")[0].strip().lower()
    if media_type == dialects.CLOUD_EVENT:
        return [read_cloud_event(request.data)]
    if media_type == dialects.CLOUD_EVENTS:
        return [read_cloud_event(message) for message in items_of({"events": request.data})]
    return [incoming.read(item) for item in items_of(request.data)]


def read_cloud_event(message: Any) -> Incoming | list[FieldError]:
    if problem := dialects.check_cloud_event(message):
        return [FieldError("specversion", "unknown_value", problem)]
    return incoming.read(dialects.of_cloud_event(message))


def items_of(body: Any) -> list[Any]:
    """The event objects of a request body."""
    if isinstance(body, dict) and "events" not in body:
        return [body]
    items = body.get("events") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise Problem(
            400, "invalid_request", "Send one event object, or {“events”: […]} with a list of them."
        )
    if not items:
        raise Problem(400, "empty_batch", "“events” is empty.")
    if len(items) > incoming.MOST_EVENTS:
        raise Problem(
            413,
            "too_many_events",
            f"{len(items)} events in one request; {incoming.MOST_EVENTS} are allowed. Send several requests.",
        )
    return items


def result_of(result: intake.Result) -> dict[str, Any]:
    return {
        "id": result.event_id,
        "status": result.status,
        "url": reverse("api-event", args=[result.event_id]) if result.event_id else None,
        "errors": [error.as_json() for error in result.errors],
        "warnings": [warning.as_json() for warning in result.warnings],
    }


def rejected(errors: Sequence[FieldError]) -> dict[str, Any]:
    return {
        "id": None,
        "status": "rejected",
        "url": None,
        "errors": [error.as_json() for error in errors],
        "warnings": [],
    }


def filtered(rows: Any, request: Request) -> Any:
    """Apply the list's filters; an unknown value is told, an unknown client finds nothing."""
    client = request.query_params.get("client")
    if client:
        found = find_clients([client], actor_of(request))
        rows = rows.filter(client=found[client]) if client in found else rows.none()
    for name, column, values in (
        ("severity", "severity", Severity.values),
        ("status", "state", Event.State.values),
        ("action", "action", EventAction.values),
    ):
        value = request.query_params.get(name)
        if value and value not in values:
            raise Problem(400, "unknown_value", f"“{name}” must be one of {', '.join(values)}.", field=name)
        if value:
            rows = rows.filter(**{column: value})
    return rows
