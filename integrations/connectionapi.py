"""`/api/v1/connections`: how a level signs in at its PSA, what that PSA offers, and reading it anew, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import IntegrityError
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations import api, choices, connections, locking, reloading
from integrations.connections import Entered
from integrations.models import Choice, Credentials, Reload
from integrations.models.connections import Kind, Standing
from integrations.psa.errors import Misconfigured
from portal import preconditions, texts
from portal.clients import find_clients
from portal.encryption import DecryptionFailed
from portal.models import Client, Organization
from portal.rest import Problem, actor_of, touch
from portal.restrows import one_word, paged, read, text_in

KEYS = ("kind", "site_url", "login_company", "public_key")
KINDS = tuple(choices.PLURALS)


class ConnectionChange(serializers.Serializer[Any]):
    """How to sign in; left out is left alone. With another `site_url` the secret has to be sent again."""

    kind = serializers.ChoiceField(choices=Kind.choices, required=False, help_text="none: no PSA here.")
    site_url = serializers.CharField(max_length=300, required=False, allow_blank=True)
    login_company = serializers.CharField(max_length=100, required=False, allow_blank=True)
    public_key = serializers.CharField(max_length=100, required=False, allow_blank=True)
    secret = serializers.CharField(
        max_length=300,
        required=False,
        trim_whitespace=False,
        write_only=True,
        help_text="Never answered; left out, the stored one is kept.",
    )
    is_same_psa = serializers.BooleanField(
        default=False, help_text="It is the same PSA at another address: keep what was read from it."
    )


class ConnectionIn(ConnectionChange):
    """How one organization or one client signs in at its PSA."""

    kind = serializers.ChoiceField(choices=Kind.choices)
    organization = serializers.UUIDField(required=False)
    client = serializers.CharField(
        max_length=100, required=False, help_text="Client id, managed ID or our id."
    )
    is_same_psa = None  # type: ignore[assignment]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("organization" in attrs) == ("client" in attrs):
            raise serializers.ValidationError("Say either “organization” or “client”.")
        return attrs


class OneConnectionOut(api.ConnectionOut):
    """How a level signs in at its PSA. No secret is ever answered; `secret_hint` is its end."""

    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    client = serializers.UUIDField(source="client_id", allow_null=True)
    trouble = serializers.SerializerMethodField()

    class Meta(api.ConnectionOut.Meta):
        fields: ClassVar[Sequence[str]] = (
            *api.ConnectionOut.Meta.fields,
            "organization",
            "client",
            "login_company",
            "public_key",
            "secret_hint",
            "secret_set_at",
            "secret_set_by",
            "trouble",
        )

    def get_trouble(self, row: Credentials) -> str:
        """Why nothing is sent just now; empty while it is."""
        lane = getattr(row, "lane", None)
        if lane is None or row.kind == Kind.NONE:
            return ""
        return "Paused by the vendor's staff." if lane.is_paused else str(lane.breaker_text)


class Connections(api.Connections):
    """List and add connections."""

    scopes: ClassVar[dict[str, str]] = {**api.Connections.scopes, "POST": "connections:write"}

    @extend_schema(operation_id="connections_add", request=ConnectionIn, responses={201: OneConnectionOut})
    def post(self, request: Request) -> Response:
        """For a level without one of its own; 409 when it has one. Read its options next, then test it."""
        asked = read(ConnectionIn, request)
        level = level_in(request, asked)
        if rows_in(request).filter(**connections.level_of(level)).exists():
            raise taken()
        try:
            row = save(request, level, asked, None)
        except IntegrityError:  # somebody was a moment earlier
            raise taken() from None
        return Response(OneConnectionOut(row).data, status=201)


def taken() -> Problem:
    return Problem(409, "exists", "This level has a connection. Change it with PATCH at its own address.")


def level_in(request: Request, asked: dict[str, Any]) -> Organization | Client:
    name = "client" if "client" in asked else "organization"
    found: Organization | Client | None
    if name == "client":
        found = find_clients([asked["client"]], actor_of(request)).get(asked["client"])
    else:
        rows = Organization.objects.visible_to(actor_of(request))
        found = rows.filter(pk=asked["organization"]).first()
    if found is None:
        raise Problem(400, "not_found", f"There is no {name} “{texts.shown(str(asked[name]))}”.", field=name)
    touch(request, found.partner_id)
    return found


def save(
    request: Request, level: Organization | Client, asked: dict[str, Any], current: Credentials | None
) -> Credentials:
    """What the page does. Raises Problem with the field that is not right."""
    kept = {name: getattr(current, name) if current else "" for name in KEYS}
    entered = Entered(**{**kept, **{name: asked[name] for name in (*KEYS, "secret") if name in asked}})
    try:
        if current is not None:
            locking.refuse_repointing(current, entered, is_same_psa=asked["is_same_psa"])
        row = connections.save_credentials(level, entered, by=actor_of(request).created_by, current=current)
    except Misconfigured as refusal:
        text = f"{refusal.text} {refusal.advice}".strip()
        raise Problem(400, "invalid_request", text, field=refusal.field) from None
    except DecryptionFailed:
        text = "The stored private key cannot be read any more. Send “secret” again."
        raise Problem(400, "invalid_request", text, field="secret") from None
    return row


class OneConnection(preconditions.Guarded, APIView):
    """Read and change how a level signs in."""

    scopes: ClassVar[dict[str, str]] = {"GET": "connections:read", "PATCH": "connections:write"}

    @extend_schema(operation_id="connections_read", responses=OneConnectionOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(OneConnectionOut(row_of(request, pk, without=("secret",))).data)

    @extend_schema(operation_id="connections_edit", request=ConnectionChange, responses=OneConnectionOut)
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """New keys are in use at once. To another PSA leads `/change`: what is in use keeps kind and site here."""
        row = row_of(request, pk)
        return Response(OneConnectionOut(save(request, row.level, read(ConnectionChange, request), row)).data)

    def state(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.shown(request, self.get(request, *args, **kwargs))

    def shown(self, request: Any, response: Response) -> Any:
        return {name: response.data[name] for name in (*KEYS, "secret_hint", "secret_set_at")}


def rows_in(request: Request) -> Any:
    """Those in effect, also those that say “no PSA”."""
    rows = Credentials.objects.visible_to(actor_of(request)).filter(standing=Standing.CURRENT)
    return rows.select_related("organization", "client", "lane")


def row_of(request: Request, pk: uuid.UUID, *, without: Sequence[str] = ()) -> Credentials:
    row: Credentials | None = rows_in(request).defer(*without).filter(pk=pk).first()
    if row is None:
        raise Http404
    touch(request, row.partner_id)
    return row


# --- What the PSA offers ----------------------------------------------------------------------------------------------


class ChoiceOut(serializers.ModelSerializer[Choice]):
    """One value that the PSA offers; `id` is the PSA's, `within` the board that a status or type belongs to."""

    id = serializers.CharField(source="psa_id")
    gone_at = serializers.DateTimeField(
        source="vanished_at", allow_null=True, help_text="Since when the PSA does not offer it any more."
    )

    class Meta:
        model = Choice
        fields: ClassVar[Sequence[str]] = ("kind", "id", "name", "within", "gone_at")


class Choices(APIView):
    """What the connection's PSA offers, from our copy."""

    scopes: ClassVar[dict[str, str]] = {"GET": "connections:read"}

    @extend_schema(
        operation_id="connections_choices",
        parameters=[
            OpenApiParameter("kind", OpenApiTypes.STR, enum=KINDS),
            OpenApiParameter("within", OpenApiTypes.STR, description="The PSA's id of a board."),
            OpenApiParameter("search", OpenApiTypes.STR, description="Part of the name, or the PSA's id."),
            OpenApiParameter("gone", OpenApiTypes.STR, enum=["yes"], description="Only what is gone."),
        ],
        responses=ChoiceOut(many=True),
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """The newest first, in cursor pages. `/options` tells how old the copy is."""
        row = row_of(request, pk, without=("secret",))
        is_gone = bool(one_word(request, "gone", ["yes"]))
        rows = Choice.objects.filter(credentials=row, vanished_at__isnull=not is_gone)
        if kind := one_word(request, "kind", KINDS):
            rows = rows.filter(kind=kind)
        if board := text_in(request, "within"):
            rows = rows.filter(within=board)
        if text := text_in(request, "search"):
            rows = rows.filter(name__icontains=text) | rows.filter(psa_id=text)
        return paged(self, request, rows, ChoiceOut)


class StockOut(serializers.Serializer[Any]):
    """How much of a kind is known. `read_at` is when it was last heard of, `full_at` when last read as a whole."""

    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField()
    gone = serializers.IntegerField()
    read_at = serializers.DateTimeField(allow_null=True)
    full_at = serializers.DateTimeField(allow_null=True)
    troubles = serializers.ListField(child=serializers.CharField())


class ReloadOut(serializers.ModelSerializer[Reload]):
    """One reading of the options, and how far it is."""

    class Meta:
        model = Reload
        fields: ClassVar[Sequence[str]] = (
            "id",
            "mode",
            "state",
            "asked_at",
            "started_at",
            "finished_at",
            "kind",
            "read",
            "calls",
            "error_text",
            "advice",
        )


class OptionsOut(serializers.Serializer[Any]):
    kinds = StockOut(many=True)
    reload = ReloadOut(allow_null=True, help_text="The newest reading.")


class Options(APIView):
    """How old our copy of the PSA's options is, and reading them anew."""

    scopes: ClassVar[dict[str, str]] = {"GET": "connections:read", "POST": "connections:test"}

    @extend_schema(operation_id="connections_options", responses=OptionsOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        row = connected(request, pk)
        found = {"kinds": choices.stock_of(row), "reload": row.reloads.first()}
        return Response(OptionsOut(found).data)

    @extend_schema(operation_id="connections_reload", request=None, responses={202: ReloadOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Reload Options from PSA: the worker reads, list by list; joins a reading that is under way."""
        row = connected(request, pk)
        return Response(ReloadOut(reloading.ask(row, by=actor_of(request).created_by)).data, status=202)


def connected(request: Request, pk: uuid.UUID) -> Credentials:
    row = row_of(request, pk, without=("secret",))
    if row.kind == Kind.NONE:
        raise Http404
    return row
