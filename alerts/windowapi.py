"""`/api/v1/maintenance-windows`, `noise-settings`, `held`: when no tickets are opened, and what waits, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import noisesettings, windows
from alerts.models import Hold, MaintenanceWindow, NoiseSettings
from alerts.models.noise import HoldKind
from alerts.noiseapi import ONE, READ_WRITE, ClientReference, scope_in
from portal import clock, preconditions
from portal.models import Partner
from portal.rest import Problem, actor_of
from portal.restrows import one_of, paged, partner_of, refused


class WindowOut(serializers.ModelSerializer[MaintenanceWindow]):
    """One window. Dates and times are those of the partner's time zone, `on_until` is when the present one ends."""

    client = ClientReference(allow_null=True)
    on_until = serializers.SerializerMethodField()

    class Meta:
        model = MaintenanceWindow
        fields: ClassVar[Sequence[str]] = (
            "id",
            "name",
            "reason",
            "first_on",
            "starts_at",
            "ends_at",
            "days",
            "repeats",
            "weekdays",
            "last_on",
            "organization",
            "client",
            "account",
            "on_until",
            "held",
            "created_at",
            "created_by",
        )

    def get_on_until(self, row: MaintenanceWindow) -> str | None:
        span = windows.current(row, clock.now(), ZoneInfo(row.partner.time_zone))
        return span.end.isoformat() if span else None


class WindowIn(serializers.Serializer[Any]):
    """When a window is, on the clocks of the partner's time zone; it ends `days` midnights after it began."""

    name = serializers.CharField(max_length=200)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)
    first_on = serializers.DateField()
    starts_at = serializers.TimeField()
    ends_at = serializers.TimeField()
    days = serializers.IntegerField(min_value=0, max_value=windows.LONGEST_DAYS, required=False)
    repeats = serializers.ChoiceField(choices=MaintenanceWindow.Repeats.choices, required=False)
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), required=False, help_text="0 is Monday."
    )
    last_on = serializers.DateField(required=False, allow_null=True)
    organization = serializers.UUIDField(required=False, allow_null=True)
    client = serializers.CharField(max_length=100, required=False, allow_null=True)
    account = serializers.CharField(
        max_length=100, required=False, allow_null=True, help_text="Account no. of the client."
    )


class ExtendIn(serializers.Serializer[Any]):
    minutes = serializers.IntegerField(min_value=1, max_value=windows.LONGEST_DAYS * 1440)


def save_window(request: Request, partner: Partner, current: MaintenanceWindow | None) -> MaintenanceWindow:
    given = WindowIn(data=request.data)
    given.is_valid(raise_exception=True)
    entered = windows.Entered(**scope_in(request, partner, dict(given.validated_data)))
    by = f"token {actor_of(request).prefix}"
    row: MaintenanceWindow = refused(lambda: windows.save_window(partner, entered, by=by, current=current))
    return row


class Windows(APIView):
    """Times in which problems get no ticket."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(operation_id="maintenance_windows_list", responses=WindowOut(many=True))
    def get(self, request: Request) -> Response:
        rows = MaintenanceWindow.objects.visible_to(actor_of(request)).select_related("client", "partner")
        return paged(self, request, rows, WindowOut)

    @extend_schema(operation_id="maintenance_windows_add", request=WindowIn, responses={201: WindowOut})
    def post(self, request: Request) -> Response:
        return Response(WindowOut(save_window(request, partner_of(request), None)).data, status=201)


class OneWindow(preconditions.Guarded, APIView):
    """One window."""

    scopes: ClassVar[dict[str, str]] = ONE

    @extend_schema(operation_id="maintenance_windows_read", responses=WindowOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(WindowOut(one_of(request, MaintenanceWindow, pk)).data)

    @extend_schema(operation_id="maintenance_windows_change", request=WindowIn, responses=WindowOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        row = one_of(request, MaintenanceWindow, pk)
        return Response(WindowOut(save_window(request, row.partner, row)).data)

    @extend_schema(operation_id="maintenance_windows_delete", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """What it held back gets its ticket now, if it still fails."""
        windows.delete_window(one_of(request, MaintenanceWindow, pk))
        return Response(status=204)


def changed(row: MaintenanceWindow, *, is_done: bool) -> Response:
    if not is_done:
        raise Problem(409, "window_not_on", f"“{row}” is not on now, or would last too long.")
    row.refresh_from_db()
    return Response(WindowOut(row).data)


class EndWindow(APIView):
    """End the present occurrence."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(operation_id="maintenance_windows_end", request=None, responses=WindowOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """What still fails gets its ticket now. 409 when it is not on."""
        row = one_of(request, MaintenanceWindow, pk)
        return changed(row, is_done=windows.end_now(row))


class ExtendWindow(APIView):
    """Let the present occurrence last longer."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(operation_id="maintenance_windows_extend", request=ExtendIn, responses=WindowOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """409 when it is not on, or would last longer than 14 days."""
        row = one_of(request, MaintenanceWindow, pk)
        given = ExtendIn(data=request.data)
        given.is_valid(raise_exception=True)
        return changed(row, is_done=windows.extend(row, minutes=given.validated_data["minutes"]))


class NoiseShape(serializers.Serializer[Any]):
    """How noise is handled; null is off. `durations` maps event types to minutes of failing before a ticket."""

    durations = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=10_080), required=False
    )
    flap_changes = serializers.IntegerField(min_value=3, max_value=100, required=False, allow_null=True)
    flap_minutes = serializers.IntegerField(min_value=1, max_value=10_080, required=False)
    parent_types = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    storm_client_tickets = serializers.IntegerField(
        min_value=1, max_value=100_000, required=False, allow_null=True
    )
    storm_partner_tickets = serializers.IntegerField(
        min_value=1, max_value=100_000, required=False, allow_null=True
    )
    storm_minutes = serializers.IntegerField(min_value=1, max_value=1440, required=False)
    tickets_after_storm = serializers.BooleanField(required=False)


class Noise(preconditions.Guarded, APIView):
    """A partner's noise settings."""

    scopes: ClassVar[dict[str, str]] = {"GET": "rules:read", "PUT": "rules:write"}

    @extend_schema(operation_id="noise_settings_read", responses=NoiseShape)
    def get(self, request: Request) -> Response:
        partner = partner_of(request)
        row = NoiseSettings.objects.filter(partner=partner).first() or NoiseSettings(partner=partner)
        return Response(NoiseShape(row).data)

    @extend_schema(operation_id="noise_settings_change", request=NoiseShape, responses=NoiseShape)
    def put(self, request: Request) -> Response:
        """What is left out stays as it is."""
        given = NoiseShape(data=request.data)
        given.is_valid(raise_exception=True)
        row = refused(lambda: noisesettings.save_noise(partner_of(request), given.validated_data))
        return Response(NoiseShape(row).data)


class HoldOut(serializers.ModelSerializer[Hold]):
    """Something that fails without a ticket, or, `flapping`, a ticket that stays open; `until` is the next look."""

    kind = serializers.ChoiceField(choices=HoldKind.choices)
    client = ClientReference(source="condition.client")
    condition_key = serializers.CharField(source="condition.key")

    class Meta:
        model = Hold
        fields: ClassVar[Sequence[str]] = (
            "id",
            "kind",
            "text",
            "client",
            "condition_key",
            "rule_id",
            "rule_name",
            "event",
            "since",
            "until",
            "events",
        )


class Held(APIView):
    """What is held back just now."""

    scopes: ClassVar[dict[str, str]] = {"GET": "rules:read"}

    @extend_schema(operation_id="held_list", responses=HoldOut(many=True))
    def get(self, request: Request) -> Response:
        rows = Hold.objects.visible_to(actor_of(request)).select_related("condition__client")
        return paged(self, request, rows, HoldOut)
