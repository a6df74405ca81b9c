"""`/api/v1/statistics`: what backups did; `/api/v1/clients/{id}/report`: what the management report shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import backupstatistics, reportorders, usage
from billing.api import MOST_ITEMS, UsageResultsOut, day_of
from billing.backupstatistics import Told
from billing.models import ReportRun
from billing.quantities import MOST
from portal import texts
from portal.clients import find_clients
from portal.models import Client
from portal.rest import Problem, actor_of
from portal.texts import FieldError

KINDS = ("server", "workstation")
MOST_JOBS = 1_000_000


class StatisticsIn(serializers.Serializer[Any]):
    """What the backups of one device did on one day; the last word about a day wins."""

    client = serializers.CharField(
        max_length=100, help_text="Client id (19652), managed ID (EFS-19652) or our id."
    )
    account = serializers.CharField(max_length=100, help_text="Account no. or name of the device.")
    measured_on = serializers.DateField()
    successful = serializers.IntegerField(min_value=0, max_value=MOST_JOBS, help_text="Backups of that day.")
    failed = serializers.IntegerField(min_value=0, max_value=MOST_JOBS)
    protected = serializers.BooleanField(required=False, default=True)
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    serial_number = serializers.CharField(
        max_length=100, required=False, help_text="By it the device is found in the PSA."
    )
    last_backup_at = serializers.DateTimeField(required=False)
    storage_gb = serializers.DecimalField(
        max_digits=18, decimal_places=4, min_value=Decimal(0), required=False
    )
    source = serializers.CharField(max_length=100, required=False)  # type: ignore[assignment]


class ManyStatisticsIn(serializers.Serializer[Any]):
    statistics = StatisticsIn(many=True, help_text="Up to 1,000 items.")


class BackupReportOut(serializers.Serializer[Any]):
    """What the report should show, and what came of the last update; `null` where nothing is known."""

    managed_id = serializers.CharField()
    mode = serializers.ChoiceField(choices=["off", "observe", "approve", "live"])
    numbers = serializers.JSONField(allow_null=True)
    last_update = serializers.JSONField(allow_null=True)


class StatisticsDoor(APIView):
    """Send backup statistics."""

    scopes: ClassVar[dict[str, str]] = {"POST": "usage:write"}

    @extend_schema(
        operation_id="statistics_send",
        request=PolymorphicProxySerializer(
            "StatisticsOrMany", [StatisticsIn, ManyStatisticsIn], resource_type_field_name=None
        ),
        responses={202: UsageResultsOut},
    )
    def post(self, request: Request) -> Response:
        """One item, or `{"statistics": [...]}` with up to 1,000. Answered after commit, one result an item."""
        items = items_of(request.data)
        references = [str(item.get("client", "")) for item in items if isinstance(item, dict)]
        clients = find_clients(references, actor_of(request))
        read = [read_word(item, clients) for item in items]
        reportorders.take_in([item for item in read if isinstance(item, Told)])
        return Response({"results": [result_of(item) for item in read]}, status=202)


class ReportDoor(APIView):
    """What a client's management report shows."""

    scopes: ClassVar[dict[str, str]] = {"GET": "usage:read"}

    @extend_schema(operation_id="client_report", responses={200: BackupReportOut})
    def get(self, request: Request, pk: Any) -> Response:
        """The computed numbers of the month so far, and the last update of the PSA's report."""
        client = Client.objects.visible_to(actor_of(request)).select_related("partner").filter(pk=pk).first()
        if client is None:
            raise NotFound
        numbers = backupstatistics.numbers_for(client, today=usage.today_for(client))
        last = ReportRun.objects.filter(client=client).first()
        return Response(
            {
                "managed_id": client.managed_id,
                "mode": reportorders.mode_for(client),
                "numbers": numbers.as_json() if numbers else None,
                "last_update": run_as_json(last) if last else None,
            }
        )


def run_as_json(run: ReportRun) -> dict[str, Any]:
    return {
        "state": run.state,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "numbers": run.numbers,
        "items": [
            {name: item[name] for name in ("key", "action", "record_id", "before", "after")}
            for item in run.plan.get("items", ())
        ],
        "broken": run.broken,
        "advice": run.advice,
        "error": run.error_text,
    }


def items_of(body: Any) -> list[Any]:
    if isinstance(body, dict) and "statistics" not in body:
        return [body]
    items = body.get("statistics") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise Problem(
            400,
            "invalid_request",
            "Send one object of statistics, or {“statistics”: […]} with a list of them.",
        )
    if len(items) > MOST_ITEMS:
        raise Problem(413, "too_many_items", f"{len(items)} items in one request; {MOST_ITEMS} are allowed.")
    return items


def result_of(item: Told | Sequence[FieldError]) -> dict[str, Any]:
    if isinstance(item, Told):
        return {"status": "accepted", "errors": []}
    return {"status": "rejected", "errors": [error.as_json() for error in item]}


def read_word(item: Any, clients: dict[str, Client]) -> Told | list[FieldError]:
    """One object as sent; all its errors at once."""
    if not isinstance(item, dict):
        return [FieldError("", "not_an_object", "Statistics are a JSON object.")]
    errors: list[FieldError] = []
    client = clients.get(str(item.get("client", "")))
    if client is None:
        text = f"No client “{texts.shown(item.get('client', ''))}” is known."
        errors.append(FieldError("client", "unknown_client", text))
    account = texts.text_of(item, "account", 100, errors)
    if not account and not any(error.field == "account" for error in errors):
        errors.append(FieldError("account", "required", "“account” is missing: name the device."))
    values: dict[str, Any] = {
        "measured_on": day_of(item, errors),
        "successful_jobs": jobs_of(item, "successful", errors),
        "failed_jobs": jobs_of(item, "failed", errors),
        "is_protected": flag_of(item, "protected", errors),
        "device_kind": kind_of(item, errors),
        "serial_number": texts.text_of(item, "serial_number", 100, errors),
        "last_backup_at": moment_of(item, "last_backup_at", errors),
        "used_gb": storage_of(item, errors),
        "source": texts.text_of(item, "source", 100, errors),
    }
    if errors or client is None:
        return errors
    return Told(client=client, account=account, **values)


def jobs_of(item: dict[str, Any], name: str, errors: list[FieldError]) -> int:
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_JOBS:
        return value
    errors.append(FieldError(name, "not_a_count", f"“{name}” must be a whole number from 0 to 1,000,000."))
    return 0


def flag_of(item: dict[str, Any], name: str, errors: list[FieldError]) -> bool:
    value = item.get(name, True)
    if not isinstance(value, bool):
        errors.append(FieldError(name, "not_a_flag", f"“{name}” must be true or false."))
    return value is True


def kind_of(item: dict[str, Any], errors: list[FieldError]) -> str:
    value = item.get("kind")
    if value is None:
        return ""
    if value not in KINDS:
        errors.append(FieldError("kind", "not_a_kind", "“kind” must be server or workstation."))
        return ""
    return str(value)


def moment_of(item: dict[str, Any], name: str, errors: list[FieldError]) -> datetime | None:
    value = item.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 2000 <= found.year <= 2100:
        text = f"“{name}” must be a time with its zone, like 2026-11-21T03:00:00Z."
        errors.append(FieldError(name, "not_a_time", text))
        return None
    return found.replace(microsecond=0)


def storage_of(item: dict[str, Any], errors: list[FieldError]) -> Decimal | None:
    value = item.get("storage_gb")
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        found = Decimal(str(value))
        if not found.is_finite() or not 0 <= found <= MOST:
            raise InvalidOperation
        return found.quantize(Decimal("0.0001"))
    except InvalidOperation:
        errors.append(FieldError("storage_gb", "not_a_quantity", "“storage_gb” must be a number from 0 on."))
        return None
