"""`/api/v1/agreement-links`, `/cross-references` and `/usage/import`: billing set up by machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import agreements, api, crossreferences, usagesheet
from billing.decisions import Decider, Refused
from billing.models import AgreementLink, CrossReference, Service
from billing.preview import connection_of
from billing.sheets import Unreadable
from integrations import effective
from portal import preconditions, rest
from portal.clients import find_clients
from portal.inheritance import Tree, nearest
from portal.models import Client, Organization
from portal.rest import Problem, actor_of, touch


class AgreementLinkOut(serializers.ModelSerializer[AgreementLink]):
    """Which agreement a client's service is billed on; `service` null stands for all without their own."""

    client = serializers.UUIDField(source="client_id")
    service = serializers.CharField(source="service.key", default=None, allow_null=True)
    agreement = serializers.CharField(source="agreement.psa_id")
    agreement_name = serializers.CharField(source="agreement.name")

    class Meta:
        model = AgreementLink
        fields: ClassVar[Sequence[str]] = (
            "id",
            "client",
            "service",
            "agreement",
            "agreement_name",
            "creates_lines",
            "line_id",
        )


class AgreementLinkIn(serializers.Serializer[Any]):
    client = serializers.CharField(max_length=100)
    service = serializers.CharField(max_length=80, required=False, allow_null=True)
    agreement = serializers.CharField(max_length=50, help_text="The PSA's id of the agreement.")
    creates_lines = serializers.BooleanField(default=False)
    line_id = serializers.CharField(max_length=50, required=False, default="", allow_blank=True)


class CrossReferenceOut(serializers.ModelSerializer[CrossReference]):
    """Which PSA product a service is, at one level."""

    service = serializers.CharField(source="service.key")
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    client = serializers.UUIDField(source="client_id", allow_null=True)
    product = serializers.CharField(source="product.psa_id", default=None, allow_null=True)

    class Meta:
        model = CrossReference
        fields: ClassVar[Sequence[str]] = (
            "id",
            "service",
            "organization",
            "client",
            "product",
            "is_billed",
            "level",
            "type",
            "configuration_type",
            "agreement_type",
            "updates_description",
        )


class CrossReferenceIn(serializers.Serializer[Any]):
    service = serializers.CharField(max_length=80)
    organization = serializers.UUIDField(required=False)
    client = serializers.CharField(max_length=100, required=False)
    product = serializers.CharField(
        max_length=50, required=False, allow_null=True, help_text="The PSA's id of the product."
    )
    is_billed = serializers.BooleanField(default=True)
    level = serializers.CharField(max_length=255, default="", allow_blank=True)
    type = serializers.CharField(max_length=255, default="", allow_blank=True)
    configuration_type = serializers.CharField(max_length=255, default="", allow_blank=True)
    agreement_type = serializers.CharField(max_length=255, default="", allow_blank=True)
    updates_description = serializers.BooleanField(default=True)


class SheetProblemOut(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    column = serializers.CharField()
    text = serializers.CharField()


class UsageImportOut(serializers.Serializer[Any]):
    lines = serializers.IntegerField(help_text="Lines that were taken.")
    changed = serializers.IntegerField(help_text="Quantities that were new or changed.")
    problems = SheetProblemOut(many=True)


def service_of(key: str) -> Service:
    found = Service.objects.filter(key=key).first()
    if found is None:
        raise Problem(400, "unknown_service", f"No service “{key}” is known.")
    return found


class AgreementLinks(preconditions.GuardedList, APIView):
    """Agreements of clients."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read", "PUT": "billing:write"}

    def rows(self, request: Request) -> Any:
        return AgreementLink.objects.visible_to(actor_of(request))

    @extend_schema(operation_id="agreement_links_list", responses=AgreementLinkOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = AgreementLink.objects.visible_to(actor_of(request)).select_related("service", "agreement")
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows.order_by("-id"), request, view=self)
        return pages.get_paginated_response(AgreementLinkOut(page, many=True).data)

    @extend_schema(operation_id="agreement_links_set", request=AgreementLinkIn, responses=AgreementLinkOut)
    def put(self, request: Request) -> Response:
        """Bill a client's service on this agreement; repeats are harmless."""
        body = AgreementLinkIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        client = find_clients([data["client"]], actor_of(request)).get(data["client"])
        if client is None:
            raise Problem(400, "unknown_client", "No such client is known.")
        try:
            connection, company = connection_of(client)
            link = agreements.choose(
                client,
                connection,
                company,
                agreement_id=data["agreement"],
                service=service_of(data["service"]) if data.get("service") else None,
                creates_lines=data["creates_lines"],
                line_id=data["line_id"],
                by=Decider.of(actor_of(request)),
            )
        except Refused as no:
            raise Problem(409, no.code, no.text) from None
        return Response(AgreementLinkOut(link).data)


class CrossReferencesDoor(preconditions.GuardedList, APIView):
    """Cross-references."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read", "PUT": "billing:write"}

    def rows(self, request: Request) -> Any:
        return CrossReference.objects.visible_to(actor_of(request))

    @extend_schema(operation_id="cross_references_list", responses=CrossReferenceOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = CrossReference.objects.visible_to(actor_of(request)).select_related("service", "product")
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows.order_by("-id"), request, view=self)
        return pages.get_paginated_response(CrossReferenceOut(page, many=True).data)

    @extend_schema(operation_id="cross_references_set", request=CrossReferenceIn, responses=CrossReferenceOut)
    def put(self, request: Request) -> Response:
        """What one organization or client says of one service; repeats are harmless."""
        body = CrossReferenceIn(data=request.data)
        body.is_valid(raise_exception=True)
        data = dict(body.validated_data)
        level = level_of(request, data.pop("organization", None), data.pop("client", None))
        service = service_of(data.pop("service"))
        product = self.product(level, data.pop("product", None))
        try:
            row = crossreferences.save(
                level,
                service,
                replace(crossreferences.own_wish(level, service), product=product, **data),
                by=Decider.of(actor_of(request)),
            )
        except Refused as no:
            raise Problem(409, no.code, no.text) from None
        return Response(CrossReferenceOut(row).data)

    def product(self, level: Client | Organization, psa_id: str | None) -> Any:
        if not psa_id:
            return None
        tree = Tree.of(level.partner_id)
        path = tree.levels_of(level) if isinstance(level, Client) else tree.upwards(level.pk)
        connection = nearest(path, effective.by_level(level.partner_id))
        found = (
            connection.choices.filter(kind="product", psa_id=psa_id, vanished_at=None).first()
            if connection
            else None
        )
        if found is None:
            raise Problem(400, "unknown_product", "The PSA in effect here offers no product of this id.")
        return found


def level_of(request: Request, organization: Any, client: str | None) -> Client | Organization:
    found: Client | Organization | None
    if client:
        found = find_clients([client], actor_of(request)).get(client)
    elif organization:
        found = Organization.objects.visible_to(actor_of(request)).filter(pk=organization).first()
    else:
        raise Problem(400, "invalid_request", "Say which “organization” or “client”.")
    if found is None:
        raise Http404
    touch(request, found.partner_id)
    return found


class CsvParser(BaseParser):
    """The body as it is; the operation reads encodings and separators."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream.read()


class UsageImport(APIView):
    """Usage from a CSV file."""

    scopes: ClassVar[dict[str, str]] = {"POST": "usage:write"}
    parser_classes = (CsvParser,)

    @extend_schema(operation_id="usage_import", request={"text/csv": bytes}, responses={202: UsageImportOut})
    def post(self, request: Request) -> Response:
        """Columns client, account, service, quantity, measured_on, source. Good lines are always kept."""
        body: Any = request.data
        content = body if isinstance(body, bytes) else b""  # an empty body is not parsed
        try:
            found = usagesheet.take_in(
                content, actor_of(request), quantity_of=api.quantity_of, day_of=api.day_of
            )
        except Unreadable as no:
            raise Problem(400, "unreadable_file", str(no)) from None
        problems = [{"line": row.line, "column": row.column, "text": row.text} for row in found.problems]
        return Response({"lines": found.lines, "changed": found.changed, "problems": problems}, status=202)
