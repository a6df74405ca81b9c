"""`/api/v1/clients/{id}/synchronize` and `services`: a client brought up to date now, and what is metered."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import synchronize
from billing.decisions import Decider
from billing.models import Service, SynchronizeWindow
from integrations.models import Delivery
from integrations.models.eventlog import UNSETTLED
from portal.models import Client
from portal.rest import actor_of
from portal.restrows import one_of, paged

ASKED = ["asked", "waits_already"]


class AskedOut(serializers.Serializer[Any]):
    """`delivery` is the synchronization that waits, or is under way: `GET /deliveries/{id}` tells what came of it."""

    status = serializers.ChoiceField(choices=ASKED)
    delivery = serializers.UUIDField(allow_null=True)


class SynchronizedOut(serializers.Serializer[Any]):
    """When a client was synchronized last, and from when on it may be by itself again."""

    last_success_at = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)
    delivery = serializers.UUIDField(allow_null=True, help_text="The one that waits or is under way.")


class Synchronize(APIView):
    """Synchronize one client."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read", "POST": "billing:write"}

    @extend_schema(operation_id="clients_synchronize_read", responses=SynchronizedOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        client = one_of(request, Client, pk)
        window = SynchronizeWindow.objects.filter(client=client).first() or SynchronizeWindow()
        told = {"last_success_at": window.last_success_at, "next_at": window.next_at}
        return Response(SynchronizedOut({**told, "delivery": waiting(client)}).data)

    @extend_schema(operation_id="clients_synchronize", request=None, responses={202: AskedOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Agreement and report, as their modes say. The 12 hours do not hold it; one that waits already is enough."""
        client = one_of(request, Client, pk)
        by = Decider.of(actor_of(request)).author
        asked = synchronize.request(client, cause="button", by=by, at_once=True)
        told = {"status": "asked" if asked else "waits_already", "delivery": waiting(client)}
        return Response(AskedOut(told).data, status=202)


def waiting(client: Client) -> uuid.UUID | None:
    rows = Delivery.objects.filter(
        client=client, subject=synchronize.subject_of(client.pk), status__in=UNSETTLED
    )
    found: uuid.UUID | None = rows.order_by("-id").values_list("pk", flat=True).first()
    return found


class ServiceOut(serializers.ModelSerializer[Service]):
    """What the vendor meters and sells; `key` names it in `POST /usage` and cross-references."""

    class Meta:
        model = Service
        fields: ClassVar[Sequence[str]] = (
            "id",
            "key",
            "name",
            "unit",
            "aggregation",
            "rounding",
            "step",
            "billed_by_default",
            "is_yes_no",
            "help_text",
        )


class Services(APIView):
    """List services."""

    scopes: ClassVar[dict[str, str]] = {"GET": "usage:read"}

    @extend_schema(operation_id="services_list", responses=ServiceOut(many=True))
    def get(self, request: Request) -> Response:
        """The same for all partners."""
        return paged(self, request, Service.objects.all(), ServiceOut)
