"""`/api/v1/organizations` and `partners`: the tree that settings inherit along, for machines."""

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

from portal import batches, organizations, preconditions
from portal.api import check_text, organization_for, partner_for
from portal.models import Mode, Organization, Partner
from portal.models.partners import WITHOUT_APPROVAL
from portal.rest import Problem, actor_of, touch
from portal.restrows import one_of, paged, read, refused, text_in


class OrganizationIn(serializers.Serializer[Any]):
    """A new organization. `partner` (slug) is needed with a vendor-wide token only."""

    name = serializers.CharField(max_length=200, validators=[check_text])
    parent = serializers.UUIDField(required=False, help_text="Default: the top-level organization.")  # type: ignore[assignment]
    tickets_mode = serializers.ChoiceField(choices=WITHOUT_APPROVAL, required=False, allow_null=True)
    partner = serializers.SlugField(required=False)


class OrganizationChange(serializers.Serializer[Any]):
    """What may be changed; left out is left alone, a mode that is null is inherited."""

    name = serializers.CharField(max_length=200, required=False, validators=[check_text])
    parent = serializers.UUIDField(required=False)  # type: ignore[assignment]
    tickets_mode = serializers.ChoiceField(choices=WITHOUT_APPROVAL, required=False, allow_null=True)


class OrganizationOut(serializers.ModelSerializer[Organization]):
    """One organization; the top-level one has no parent. Modes are its own, null inherits."""

    partner = serializers.UUIDField(source="partner_id")
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    tickets_mode = serializers.ChoiceField(choices=WITHOUT_APPROVAL, allow_null=True)
    billing_mode = serializers.ChoiceField(choices=Mode.choices, allow_null=True)
    statistics_mode = serializers.ChoiceField(choices=WITHOUT_APPROVAL, allow_null=True)

    class Meta:
        model = Organization
        fields: ClassVar[Sequence[str]] = (
            "id",
            "partner",
            "name",
            "parent",
            "tickets_mode",
            "billing_mode",
            "statistics_mode",
        )


class Organizations(APIView):
    """List and add organizations."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read", "POST": "clients:write"}

    @extend_schema(
        operation_id="organizations_list",
        parameters=[OpenApiParameter("search", OpenApiTypes.STR, description="Part of the name.")],
        responses=OrganizationOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = Organization.objects.visible_to(actor_of(request))
        if text := text_in(request, "search"):
            rows = rows.filter(name__icontains=text)
        return paged(self, request, rows, OrganizationOut)

    @extend_schema(
        operation_id="organizations_add",
        request=batches.one_or_many("organizations", OrganizationIn),
        responses={201: OrganizationOut, 200: batches.ItemsOut},
    )
    def post(self, request: Request) -> Response:
        """One is answered with 201; `{"organizations": [...]}` with up to 1,000 with a result an item."""
        if not batches.is_many(request.data, "organizations"):
            made = add(request, read(OrganizationIn, request))
            touch(request, made.partner_id)
            return Response(OrganizationOut(made).data, status=201)
        items = batches.items_of(request.data, "organizations", OrganizationIn)
        for item in batches.good(items):
            try:
                item.row = add(request, item.data)
            except Problem as no:
                item.refuse(no.more.get("field", ""), no.code, str(no.detail))
        return Response(batches.results(items))


def add(request: Request, asked: dict[str, Any]) -> Organization:
    """Raises Problem for a partner or parent that is not known."""
    partner = partner_for(actor_of(request), asked.get("partner"))
    return organizations.add(
        partner,
        name=asked["name"],
        parent=parent_in(partner, asked.get("parent")),
        tickets_mode=asked.get("tickets_mode"),
    )


def parent_in(partner: Partner, key: uuid.UUID | None) -> Organization | None:
    try:
        return organization_for(partner, key)
    except Problem as no:
        raise Problem(400, no.code, str(no.detail), field="parent") from None


class OneOrganization(preconditions.Guarded, APIView):
    """Read, rename and move one organization."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read", "PATCH": "clients:write"}

    @extend_schema(operation_id="organizations_read", responses=OrganizationOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(OrganizationOut(one_of(request, Organization, pk)).data)

    @extend_schema(operation_id="organizations_change", request=OrganizationChange, responses=OrganizationOut)
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """What hangs below it inherits from the new place at once."""
        row = one_of(request, Organization, pk)
        asked = read(OrganizationChange, request)
        if "parent" in asked:
            asked["parent"] = parent_in(row.partner, asked["parent"])
        return Response(OrganizationOut(refused(lambda: organizations.change(row, asked))).data)


# --- Partners ---------------------------------------------------------------------------------------------------------


class PartnerOut(serializers.ModelSerializer[Partner]):
    """One partner."""

    class Meta:
        model = Partner
        fields: ClassVar[Sequence[str]] = ("id", "name", "slug", "time_zone", "is_active", "created_at")


class Partners(APIView):
    """The partners that a token speaks for."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read"}

    @extend_schema(operation_id="partners_list", responses=PartnerOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages; one unless the token is vendor-wide."""
        return paged(self, request, partners_in(request), PartnerOut)


class OnePartner(APIView):
    """One partner."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read"}

    @extend_schema(operation_id="partners_read", responses=PartnerOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        row = partners_in(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return Response(PartnerOut(row).data)


def partners_in(request: Request) -> Any:
    token = actor_of(request)
    return Partner.objects.all() if token.partner_id is None else Partner.objects.filter(pk=token.partner_id)
