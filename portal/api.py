"""`/api/v1/clients` and `/api/v1/accounts`: partners' end customers, and what usage is broken down by."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal import batches, clients, preconditions, rest, texts
from portal.models import Account, ApiToken, Client, Organization, Partner
from portal.rest import Problem, actor_of, touch


class ClientOut(serializers.ModelSerializer[Client]):
    """One client; `number` is the client id that people know."""

    organization = serializers.UUIDField(source="organization_id")
    partner = serializers.UUIDField(source="partner_id")
    managed_id = serializers.CharField()

    class Meta:
        model = Client
        fields: ClassVar[Sequence[str]] = (
            "id",
            "partner",
            "organization",
            "name",
            "number",
            "managed_id",
            "is_active",
            "created_at",
        )


def check_text(value: str) -> None:
    if problem := texts.unstorable(value):
        raise serializers.ValidationError(f"This holds {problem}; remove it.", code="bad_character")


class ClientIn(serializers.Serializer[Any]):
    """A new client. `partner` (slug) is needed with a vendor-wide token only."""

    name = serializers.CharField(max_length=200, validators=[check_text])
    number = serializers.IntegerField(
        required=False, min_value=1, max_value=10**17, help_text="Client id; the next free one when left out."
    )
    organization = serializers.UUIDField(required=False, help_text="Default: the top-level organization.")
    partner = serializers.SlugField(required=False)


class ClientChange(serializers.Serializer[Any]):
    """What may be changed; left out is left alone."""

    name = serializers.CharField(max_length=200, required=False, validators=[check_text])
    is_active = serializers.BooleanField(required=False)
    organization = serializers.UUIDField(required=False)


class Clients(APIView):
    """List and add clients."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read", "POST": "clients:write"}

    @extend_schema(
        operation_id="clients_list",
        parameters=[
            OpenApiParameter("search", OpenApiTypes.STR, description="Part of the name, or a client id.")
        ],
        responses=ClientOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = Client.objects.visible_to(actor_of(request)).order_by("-id")
        if text := request.query_params.get("search", "").strip().replace("\x00", ""):
            found = clients.find_clients([text], actor_of(request))
            rows = rows.filter(pk=found[text].pk) if text in found else rows.filter(name__icontains=text)
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(ClientOut(page, many=True).data)

    @extend_schema(
        operation_id="clients_add",
        request=batches.one_or_many("clients", ClientIn),
        responses={201: ClientOut, 200: batches.ItemsOut},
    )
    def post(self, request: Request) -> Response:
        """Parked events that name the client are taken in within a minute.

        One client is answered with 201; `{"clients": [...]}` with up to 1,000 is answered with a result an item.
        """
        if batches.is_many(request.data, "clients"):
            return Response(added(request))
        wanted = ClientIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        fields = wanted.validated_data
        partner = partner_for(actor_of(request), fields.get("partner"))
        touch(request, partner.pk)
        organization = organization_for(partner, fields.get("organization"))
        try:
            client = clients.add_client(
                partner, name=fields["name"], number=fields.get("number"), organization=organization
            )
        except clients.NumberTaken as error:
            raise Problem(
                409, "number_taken", f"{error} Leave it out to get a free one.", field="number"
            ) from error
        return Response(ClientOut(client).data, status=201)


def added(request: Request) -> dict[str, Any]:
    """The good ones are made, whatever is wrong with others."""
    items = batches.items_of(request.data, "clients", ClientIn)
    partners: dict[str | None, Partner] = {}
    homes: dict[tuple[Any, Any], Organization | None] = {}
    asked: list[tuple[batches.Item, clients.New]] = []
    for item in batches.good(items):
        slug, home = item.data.get("partner"), item.data.get("organization")
        try:
            if slug not in partners:
                partners[slug] = partner_for(actor_of(request), slug)
            partner = partners[slug]
            if (partner.pk, home) not in homes:
                homes[partner.pk, home] = organization_for(partner, home) or clients.top_level(partner)
        except Problem as no:
            item.refuse(no.more.get("field", ""), no.code, str(no.detail))
            continue
        organization = homes[partner.pk, home]
        assert organization is not None
        asked.append(
            (item, clients.New(partner.pk, organization, item.data["name"], item.data.get("number")))
        )
    made = clients.add_clients([one for _, one in asked])
    for (item, _), row in zip(asked, made, strict=True):
        if isinstance(row, clients.NumberTaken):
            item.refuse("number", "number_taken", f"{row} Leave it out to get a free one.")
        else:
            item.row = row
    return batches.results(items)


class AccountIn(serializers.Serializer[Any]):
    """An account of a client; `account` is the account no. that usage and events name."""

    client = serializers.CharField(max_length=100, validators=[check_text])
    account = serializers.CharField(max_length=100, validators=[check_text])
    name = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", validators=[check_text]
    )


class AccountOut(serializers.ModelSerializer[Account]):
    """One account."""

    client = serializers.UUIDField(source="client_id")
    account = serializers.CharField(source="key")

    class Meta:
        model = Account
        fields: ClassVar[Sequence[str]] = ("id", "client", "account", "name", "created_at")


class Accounts(APIView):
    """List and name accounts."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read", "POST": "clients:write"}

    @extend_schema(
        operation_id="accounts_list",
        parameters=[
            OpenApiParameter("client", OpenApiTypes.STR, description="Client id, managed ID or our id.")
        ],
        responses=AccountOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = Account.objects.visible_to(actor_of(request)).order_by("-id")
        if text := request.query_params.get("client", "").strip().replace("\x00", ""):
            found = clients.find_clients([text], actor_of(request)).get(text)
            rows = rows.filter(client=found) if found else rows.none()
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(AccountOut(page, many=True).data)

    @extend_schema(
        operation_id="accounts_send",
        request=batches.one_or_many("accounts", AccountIn),
        responses=batches.ItemsOut,
    )
    def post(self, request: Request) -> Response:
        """One or up to 1,000, made when unknown; repeats are harmless. One result an item."""
        items = batches.items_of(request.data, "accounts", AccountIn)
        known = clients.find_clients([item.data["client"] for item in batches.good(items)], actor_of(request))
        for item in batches.good(items):
            if item.data["client"] not in known:
                text = f"No client “{texts.shown(item.data['client'])}” is known."
                item.refuse("client", "unknown_client", text)
        asked = batches.good(items)
        rows = clients.name_accounts(
            [(known[item.data["client"]], item.data["account"], item.data["name"]) for item in asked]
        )
        for item, row in zip(asked, rows, strict=True):
            item.row = row
        return Response(batches.results(items))


class OneClient(preconditions.Guarded, APIView):
    """Read and change one client."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read", "PATCH": "clients:write"}

    @extend_schema(operation_id="clients_read", responses=ClientOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(ClientOut(client_of(request, pk)).data)

    @extend_schema(operation_id="clients_change", request=ClientChange, responses=ClientOut)
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        client = client_of(request, pk)
        wanted = ClientChange(data=request.data)
        wanted.is_valid(raise_exception=True)
        fields = wanted.validated_data
        if "organization" in fields:
            organization = organization_for(client.partner, fields.pop("organization"))
            fields["organization"] = organization
        for name, value in fields.items():
            setattr(client, name, value)
        client.save(update_fields=list(fields) or None)
        return Response(ClientOut(client).data)


def client_of(request: Request, pk: uuid.UUID) -> Client:
    client = Client.objects.visible_to(actor_of(request)).filter(pk=pk).first()
    if client is None:
        raise Http404
    touch(request, client.partner_id)
    return client


def partner_for(token: ApiToken, slug: str | None) -> Partner:
    """The partner that a new client belongs to: the token's own, or the one a vendor-wide token names."""
    if token.partner is not None:
        if slug and slug != token.partner.slug:
            raise Problem(404, "not_found", "There is no such partner.", field="partner")
        return token.partner
    if not slug:
        raise Problem(
            400, "partner_needed", "A vendor-wide token must say which “partner” (slug).", field="partner"
        )
    partner = Partner.objects.filter(slug=slug, is_active=True).first()
    if partner is None:
        raise Problem(404, "not_found", "There is no such partner.", field="partner")
    return partner


def organization_for(partner: Partner, pk: uuid.UUID | None) -> Organization | None:
    if pk is None:
        return None
    organization = Organization.objects.filter(partner=partner, pk=pk).first()
    if organization is None:
        raise Problem(400, "not_found", "There is no such organization.", field="organization")
    return organization
