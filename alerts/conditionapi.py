"""`/api/v1/conditions`, `tickets`, `outages`, `event-types`: what is wrong and its tickets, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import Prefetch
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.models import Condition, EventType, Outage, Ticket
from alerts.noiseapi import ClientReference
from integrations.api import uuid_of
from integrations.models.eventlog import Severity
from portal.rest import actor_of
from portal.restrows import of_client, one_word, paged, text_in

READ: dict[str, str] = {"GET": "events:read"}
OF_CLIENT = OpenApiParameter("client", OpenApiTypes.STR, description="Client id, managed ID or our id.")


def find(rows: Any, request: Request, *columns: str) -> Any:
    """Narrowed by query parameters that are ids."""
    for name in columns:
        if text := text_in(request, name):
            rows = rows.filter(**{name: uuid_of(text, name)})
    return rows


class TicketOut(serializers.ModelSerializer[Ticket]):
    """One PSA ticket. Without `psa_id` it is not known yet whether the PSA has it; `news` is what people did to it."""

    client = ClientReference(source="condition.client")
    connection = serializers.UUIDField(source="credentials_id")
    url = serializers.CharField(help_text="Where people see it; empty before it is there.")

    class Meta:
        model = Ticket
        fields: ClassVar[Sequence[str]] = (
            "id",
            "condition",
            "client",
            "connection",
            "state",
            "number",
            "psa_id",
            "url",
            "summary",
            "external_ref",
            "psa_status",
            "news",
            "news_at",
            "created_at",
            "opened_at",
            "closed_at",
            "acknowledged_at",
        )


class ConditionOut(serializers.ModelSerializer[Condition]):
    """What is wrong, or was, since when. `episode` counts its spells; `held` says why it has no ticket just now."""

    client = ClientReference()
    account = serializers.CharField(source="account.key", allow_null=True, default=None)
    severity = serializers.ChoiceField(choices=[*Severity.values, ""])
    held = serializers.CharField(source="hold.text", allow_null=True, default=None)
    ticket = serializers.SerializerMethodField()

    class Meta:
        model = Condition
        fields: ClassVar[Sequence[str]] = (
            "id",
            "client",
            "account",
            "key",
            "state",
            "severity",
            "summary",
            "since",
            "decided_at",
            "episode",
            "repeats",
            "held",
            "ticket",
        )

    def get_ticket(self, row: Condition) -> uuid.UUID | None:
        """The one that is open."""
        opened: list[Ticket] = row.opened  # type: ignore[attr-defined]
        return opened[0].pk if opened else None


def conditions_in(request: Request) -> Any:
    opened = Prefetch("tickets", Ticket.objects.filter(closed_at=None).only("condition"), to_attr="opened")
    rows = Condition.objects.visible_to(actor_of(request)).filter(since__isnull=False)
    return rows.select_related("client", "account", "hold").prefetch_related(opened)


class Conditions(APIView):
    """List what is wrong, and was."""

    scopes: ClassVar[dict[str, str]] = READ

    @extend_schema(
        operation_id="conditions_list",
        parameters=[
            OF_CLIENT,
            OpenApiParameter("state", OpenApiTypes.STR, enum=Condition.State.values),
            OpenApiParameter("severity", OpenApiTypes.STR, enum=Severity.values),
        ],
        responses=ConditionOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = of_client(request, conditions_in(request))
        for name, words in (("state", Condition.State.values), ("severity", Severity.values)):
            if word := one_word(request, name, words):
                rows = rows.filter(**{name: word})
        return paged(self, request, rows, ConditionOut)


class OneCondition(APIView):
    """One condition."""

    scopes: ClassVar[dict[str, str]] = READ

    @extend_schema(operation_id="conditions_read", responses=ConditionOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(ConditionOut(first_of(conditions_in(request), pk)).data)


class Tickets(APIView):
    """List PSA tickets."""

    scopes: ClassVar[dict[str, str]] = READ

    @extend_schema(
        operation_id="tickets_list",
        parameters=[
            OF_CLIENT,
            OpenApiParameter("state", OpenApiTypes.STR, enum=Ticket.State.values),
            OpenApiParameter("condition", OpenApiTypes.UUID),
            OpenApiParameter("number", OpenApiTypes.STR, description="As the PSA shows it."),
        ],
        responses=TicketOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = find(of_client(request, tickets_in(request), "condition__client"), request, "condition")
        if state := one_word(request, "state", Ticket.State.values):
            rows = rows.filter(state=state)
        if number := text_in(request, "number"):
            rows = rows.filter(number=number)
        return paged(self, request, rows, TicketOut)


class OneTicket(APIView):
    """One PSA ticket."""

    scopes: ClassVar[dict[str, str]] = READ

    @extend_schema(operation_id="tickets_read", responses=TicketOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(TicketOut(first_of(tickets_in(request), pk)).data)


def tickets_in(request: Request) -> Any:
    return Ticket.objects.visible_to(actor_of(request)).select_related("condition__client")


def first_of(rows: Any, pk: uuid.UUID) -> Any:
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


class OutageOut(serializers.ModelSerializer[Outage]):
    """A time without the PSA. Once it is settled the counts are final: `passed` problems that came and went meanwhile,
    `opened` and `closed` tickets afterwards."""

    connection = serializers.UUIDField(source="credentials_id")

    class Meta:
        model = Outage
        fields: ClassVar[Sequence[str]] = (
            "id",
            "connection",
            "cause",
            "text",
            "since",
            "until",
            "settled_at",
            "events",
            "passed",
            "opened",
            "closed",
        )


class Outages(APIView):
    """List times in which a PSA could not be told anything."""

    scopes: ClassVar[dict[str, str]] = READ

    @extend_schema(
        operation_id="outages_list",
        parameters=[OpenApiParameter("connection", OpenApiTypes.UUID)],
        responses=OutageOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = Outage.objects.visible_to(actor_of(request))
        if text := text_in(request, "connection"):
            rows = rows.filter(credentials=uuid_of(text, "connection"))
        return paged(self, request, rows, OutageOut)


class EventTypeOut(serializers.ModelSerializer[EventType]):
    """A kind of event. Types of one family speak of the same condition; `condition_fields` tell such apart."""

    condition_fields = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = EventType
        fields: ClassVar[Sequence[str]] = (
            "id",
            "name",
            "title",
            "family",
            "default_action",
            "condition_fields",
            "each_is_its_own",
        )


class EventTypes(APIView):
    """List the declared kinds of events."""

    scopes: ClassVar[dict[str, str]] = READ

    @extend_schema(operation_id="event_types_list", responses=EventTypeOut(many=True))
    def get(self, request: Request) -> Response:
        """The same for all partners."""
        return paged(self, request, EventType.objects.all(), EventTypeOut)
