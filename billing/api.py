"""`/api/v1/usage`: what clients used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import usage
from billing.models import Service
from billing.quantities import MOST
from billing.usage import Measured
from portal import clock, texts
from portal.clients import find_clients
from portal.models import Client
from portal.rest import Problem, actor_of
from portal.texts import FieldError

MOST_ITEMS = 1000


class UsageIn(serializers.Serializer[Any]):
    """What one account used of one service on one day; the last word about a day wins."""

    client = serializers.CharField(
        max_length=100, help_text="Client id (19652), managed ID (EFS-19652) or our id."
    )
    account = serializers.CharField(max_length=100, required=False)
    service = serializers.CharField(
        max_length=80, help_text="Key of the catalogue, e.g. online-backup-servers."
    )
    quantity = serializers.DecimalField(max_digits=18, decimal_places=4, min_value=Decimal(0))
    measured_on = serializers.DateField()
    source = serializers.CharField(max_length=100, required=False)  # type: ignore[assignment]


class UsagesIn(serializers.Serializer[Any]):
    usage = UsageIn(many=True, help_text="Up to 1,000 items.")


class UsageErrorOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class UsageResultOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["accepted", "rejected"])
    errors = UsageErrorOut(many=True)  # type: ignore[assignment]


class UsageResultsOut(serializers.Serializer[Any]):
    results = UsageResultOut(many=True)


class UsageDoor(APIView):
    """Send usage."""

    scopes: ClassVar[dict[str, str]] = {"POST": "usage:write"}

    @extend_schema(
        operation_id="usage_send",
        request=PolymorphicProxySerializer(
            "UsageOrUsages", [UsageIn, UsagesIn], resource_type_field_name=None
        ),
        responses={202: UsageResultsOut},
    )
    def post(self, request: Request) -> Response:
        """One item, or `{"usage": [...]}` with up to 1,000. Answered after commit, one result an item."""
        items = items_of(request.data)
        references = [str(item.get("client", "")) for item in items if isinstance(item, dict)]
        clients = find_clients(references, actor_of(request))
        services = {row.key: row for row in Service.objects.all()}
        read = [read_usage(item, clients, services) for item in items]
        usage.record([item for item in read if isinstance(item, Measured)])
        return Response({"results": [result_of(item) for item in read]}, status=202)


def items_of(body: Any) -> list[Any]:
    if isinstance(body, dict) and "usage" not in body:
        return [body]
    items = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise Problem(400, "invalid_request", "Send one usage object, or {“usage”: […]} with a list of them.")
    if len(items) > MOST_ITEMS:
        raise Problem(413, "too_many_items", f"{len(items)} items in one request; {MOST_ITEMS} are allowed.")
    return items


def result_of(item: Measured | Sequence[FieldError]) -> dict[str, Any]:
    if isinstance(item, Measured):
        return {"status": "accepted", "errors": []}
    return {"status": "rejected", "errors": [error.as_json() for error in item]}


def read_usage(
    item: Any, clients: dict[str, Client], services: dict[str, Service]
) -> Measured | list[FieldError]:
    """One usage object as sent; all its errors at once."""
    if not isinstance(item, dict):
        return [FieldError("", "not_an_object", "Usage is a JSON object.")]
    errors: list[FieldError] = []
    client = clients.get(str(item.get("client", "")))
    service = services.get(str(item.get("service", "")))
    if client is None:
        errors.append(
            FieldError(
                "client", "unknown_client", f"No client “{texts.shown(item.get('client', ''))}” is known."
            )
        )
    if service is None:
        errors.append(
            FieldError(
                "service", "unknown_service", f"No service “{texts.shown(item.get('service', ''))}” is known."
            )
        )
    quantity = quantity_of(item, errors)
    measured_on = day_of(item, errors)
    account = texts.text_of(item, "account", 100, errors)
    source = texts.text_of(item, "source", 100, errors)
    if errors or client is None or service is None:
        return errors
    return Measured(
        client=client,
        service=service,
        quantity=quantity,
        measured_on=measured_on,
        account=account,
        source=source,
    )


def quantity_of(item: dict[str, Any], errors: list[FieldError]) -> Decimal:
    """A number or decimal text, not negative, at most four decimals."""
    value = item.get("quantity")
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        quantity = Decimal(str(value))
        if not quantity.is_finite() or quantity < 0:
            raise InvalidOperation
        quantity = quantity.quantize(Decimal("0.0001"))
        if quantity > MOST:
            raise InvalidOperation
        return quantity
    except InvalidOperation:
        errors.append(
            FieldError(
                "quantity", "not_a_quantity", "“quantity” must be a number from 0 to 99,999,999,999,999."
            )
        )
        return Decimal(0)


def day_of(item: dict[str, Any], errors: list[FieldError]) -> date:
    value = item.get("measured_on")
    today = clock.now().date()
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        day = None
    if day is None:
        errors.append(FieldError("measured_on", "not_a_day", "“measured_on” must look like 2026-11-21."))
    elif not today - timedelta(days=400) <= day <= today + timedelta(days=1):
        errors.append(
            FieldError("measured_on", "day_out_of_range", "“measured_on” must lie within the last 400 days.")
        )
    return day or today
