"""`/api/v1/company-links`: which PSA company each client is. A client's link is addressed by the client's id."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations import companies, effective, mapping, suggestions
from integrations.api import uuid_of
from integrations.companies import Wish
from integrations.models import CompanyLink, Credentials
from integrations.models.connections import Kind, Origin, Standing
from portal import clients, inheritance, preconditions, rest, texts
from portal.models import Client
from portal.rest import Problem, actor_of, touch
from portal.texts import FieldError

MOST_AT_ONCE = 1000
FILTERS = ("mapped", "skipped", "trouble")


# --- Out --------------------------------------------------------------------------------------------------------------


class CompanyLinkOut(serializers.Serializer[Any]):
    """One client's mapping at one connection. `company` null is an explicit skip."""

    client = serializers.UUIDField(source="client_id")
    managed_id = serializers.CharField(source="client.managed_id")
    connection = serializers.UUIDField(source="credentials_id")
    company = serializers.SerializerMethodField()
    company_name = serializers.CharField(source="psa_company_name")
    state = serializers.SerializerMethodField()
    detail = serializers.SerializerMethodField()
    shared_with = serializers.SerializerMethodField()
    mapped_at = serializers.DateTimeField(source="linked_at")
    mapped_by = serializers.CharField(source="linked_by")
    origin = serializers.CharField()

    def get_company(self, link: CompanyLink) -> str | None:
        return link.psa_company_id or None

    def get_state(self, link: CompanyLink) -> str:
        return companies.state_of(link, self.copy_of(link)).value

    def get_detail(self, link: CompanyLink) -> str:
        company = self.copy_of(link)
        return companies.explain(companies.state_of(link, company), link, company)

    def get_shared_with(self, link: CompanyLink) -> int:
        """How many other clients are mapped to the same company."""
        counted = self.context["sharing"].get((link.credentials_id, link.psa_company_id), 1)
        return int(counted) - 1 if link.psa_company_id else 0

    def copy_of(self, link: CompanyLink) -> Any:
        return self.context["copies"].get((link.credentials_id, link.psa_company_id))


def shown(links: Sequence[CompanyLink]) -> Any:
    """Links with what we know about their companies; two queries for each connection among them."""
    by_connection: dict[uuid.UUID, set[str]] = {}
    for link in links:
        if link.psa_company_id:
            by_connection.setdefault(link.credentials_id, set()).add(link.psa_company_id)
    copies: dict[tuple[uuid.UUID, str], Any] = {}
    sharing: dict[tuple[uuid.UUID, str], int] = {}
    for connection, ids in by_connection.items():
        row = Credentials(pk=connection)
        copies |= {(connection, key): copy for key, copy in mapping.copies(row, ids).items()}
        sharing |= {(connection, key): count for key, count in mapping.sharing_of(row, ids).items()}
    return CompanyLinkOut(links, many=True, context={"copies": copies, "sharing": sharing}).data


class SuggestionOut(serializers.Serializer[Any]):
    """A company that an unmapped client probably is; `is_clear` when nobody else fits."""

    company = serializers.CharField(source="psa_company_id")
    company_name = serializers.CharField(source="psa_company_name")
    score = serializers.IntegerField()
    reason = serializers.CharField()
    is_clear = serializers.BooleanField()
    rival = serializers.CharField()


class UnmappedOut(serializers.Serializer[Any]):
    """A client that nobody has mapped or skipped, and what waits for it."""

    client = serializers.UUIDField()
    managed_id = serializers.CharField()
    name = serializers.CharField()
    waiting = serializers.IntegerField(help_text="Deliveries that go out as soon as it is mapped.")
    waiting_since = serializers.DateTimeField(allow_null=True)
    suggestion = SuggestionOut(allow_null=True)


# --- In ---------------------------------------------------------------------------------------------------------------


class CompanyLinkIn(serializers.Serializer[Any]):
    """The PSA's id of the company; null or empty skips the client."""

    company = serializers.CharField(allow_null=True, allow_blank=True, max_length=50)


class BulkIn(serializers.Serializer[Any]):
    """Up to 1,000 of `{"client", "company"}`, or `{"client", "unmap": true}`."""

    links = serializers.ListField(child=serializers.JSONField(), allow_empty=False)


class CompanyLinksIn(serializers.Serializer[Any]):
    """Up to 1,000 of `{"client", "company"}`, or `{"client", "unmap": true}`; or one of them without the list."""

    company_links = serializers.ListField(child=serializers.JSONField(), required=False)


class BulkResultOut(serializers.Serializer[Any]):
    client = serializers.CharField()
    status = serializers.ChoiceField(choices=["mapped", "skipped", "unmapped", "unchanged", "rejected"])
    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    warnings = serializers.ListField(child=serializers.DictField())


class BulkOut(serializers.Serializer[Any]):
    results = BulkResultOut(many=True)


# --- Calls ------------------------------------------------------------------------------------------------------------


class CompanyLinks(APIView):
    """List mappings and skips; map, skip and unmap many clients."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read", "POST": "clients:write"}

    @extend_schema(operation_id="company_links_send", request=CompanyLinksIn, responses=BulkOut)
    def post(self, request: Request) -> Response:
        """One `{"client", "company"}`, or `{"company_links": [...]}` with up to 1,000; as `company-links/bulk`."""
        body = request.data
        items = body.get("company_links", [body]) if isinstance(body, dict) else None
        return Response({"results": carried_out(items, request, "company_links")})

    @extend_schema(
        operation_id="company_links_list",
        parameters=[
            OpenApiParameter("client", OpenApiTypes.UUID),
            OpenApiParameter("connection", OpenApiTypes.UUID),
            OpenApiParameter("company", OpenApiTypes.STR, description="The PSA's id of a company."),
            OpenApiParameter("state", OpenApiTypes.STR, enum=FILTERS),
        ],
        responses=CompanyLinkOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages. `state=trouble` are those whose company was renamed, or is gone."""
        rows: QuerySet[CompanyLink] = CompanyLink.objects.visible_to(actor_of(request)).order_by("-id")
        for name, column in (("client", "client"), ("connection", "credentials")):
            if text := request.query_params.get(name):
                rows = rows.filter(**{column: uuid_of(text, name)})
        if company := request.query_params.get("company", "").replace("\x00", ""):
            rows = rows.filter(psa_company_id=company)
        if state := request.query_params.get("state"):
            if state not in FILTERS:
                raise Problem(400, "unknown_value", f"“state” must be one of {', '.join(FILTERS)}.")
            rows = narrowed(rows, state)
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows.select_related("client"), request, view=self)
        return pages.get_paginated_response(shown(page or []))


def narrowed(rows: QuerySet[CompanyLink], state: str) -> QuerySet[CompanyLink]:
    if state == "skipped":
        return rows.filter(psa_company_id="")
    if state == "mapped":
        return rows.exclude(psa_company_id="")
    return companies.troubled(rows)


class Unmapped(APIView):
    """List the clients of one connection that nobody has decided about."""

    scopes: ClassVar[dict[str, str]] = {"GET": "clients:read"}

    @extend_schema(
        operation_id="company_links_unmapped",
        parameters=[OpenApiParameter("connection", OpenApiTypes.UUID, required=True)],
        responses=UnmappedOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest client first, in cursor pages, each with its suggestion and what waits for it."""
        text = request.query_params.get("connection", "")
        if not text:
            raise Problem(400, "connection_needed", "Say which “connection”.", field="connection")
        visible = Credentials.objects.visible_to(actor_of(request)).filter(standing=Standing.CURRENT)
        visible = visible.exclude(kind=Kind.NONE)
        connection = (
            visible.select_related("lane").defer("secret").filter(pk=uuid_of(text, "connection")).first()
        )
        if connection is None:
            raise Http404
        pages = rest.NewestFirst()
        found = mapping.clients_of(connection, show="unmapped").order_by("-id")
        page = list(pages.paginate_queryset(found, request, view=self) or [])
        return pages.get_paginated_response(UnmappedOut(unmapped_rows(connection, page), many=True).data)


def unmapped_rows(connection: Credentials, page: Sequence[Client]) -> list[dict[str, Any]]:
    keys = [client.pk for client in page]
    held = mapping.waiting_of(connection, keys)
    offered = {row.client_id: row for row in suggestions.standing(connection).filter(client__in=keys)}
    return [
        {
            "client": client.pk,
            "managed_id": client.managed_id,
            "name": client.name,
            "waiting": held[client.pk].count if client.pk in held else 0,
            "waiting_since": held[client.pk].since if client.pk in held else None,
            "suggestion": offered.get(client.pk),
        }
        for client in page
    ]


class OneCompanyLink(preconditions.Guarded, APIView):
    """Read, set and forget the mapping of one client at the connection in effect for it."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "clients:read",
        "PUT": "clients:write",
        "DELETE": "clients:write",
    }

    @extend_schema(operation_id="company_links_read", responses=CompanyLinkOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """404 also when the client is not mapped."""
        client, connection = client_of(request, pk)
        return Response(one_link(client, connection))

    @extend_schema(operation_id="company_links_set", request=CompanyLinkIn, responses=CompanyLinkOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        """What was held for want of a mapping goes out. Nothing is written to the PSA."""
        client, connection = client_of(request, pk)
        wanted = CompanyLinkIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        company = (wanted.validated_data["company"] or "").strip()
        try:
            mapping.decide(connection, client, company, by=name_of(request), origin=Origin.API)
        except mapping.Refused as refused:
            raise Problem(400, "unknown_company", refused.text, field="company") from refused
        return Response(one_link(client, connection))

    @extend_schema(operation_id="company_links_forget", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """What comes for the client from now on waits. Harmless to repeat."""
        client, connection = client_of(request, pk)
        companies.unlink_all(connection, [client.pk])
        return Response(status=204)


def client_of(request: Request, pk: uuid.UUID) -> tuple[Client, Credentials]:
    client = Client.objects.visible_to(actor_of(request)).filter(pk=pk).first()
    if client is None:
        raise Http404
    touch(request, client.partner_id)
    connection = effective.credentials_for(
        client, inheritance.Tree.of(client.partner_id), effective.by_level(client.partner_id)
    )
    if connection is None:
        raise Problem(409, "no_connection", "No PSA connection is configured for this client.")
    return client, connection


def one_link(client: Client, connection: Credentials) -> Any:
    link = CompanyLink.objects.filter(client=client, credentials=connection).select_related("client").first()
    if link is None:
        raise Http404
    return shown([link])[0]


def name_of(request: Request) -> str:
    return f"token “{actor_of(request).name}”"


class Bulk(APIView):
    """Map, skip and unmap many clients."""

    scopes: ClassVar[dict[str, str]] = {"POST": "clients:write"}

    @extend_schema(operation_id="company_links_bulk", request=BulkIn, responses=BulkOut)
    def post(self, request: Request) -> Response:
        """One result an item, in their order; the good ones are done, whatever is wrong with others."""
        items = request.data.get("links") if isinstance(request.data, dict) else None
        return Response({"results": carried_out(items, request, "links")})


def carried_out(items: Any, request: Request, name: str) -> list[dict[str, Any]]:
    if not isinstance(items, list):
        raise Problem(400, "invalid_request", f"Send {{“{name}”: [...]}}.", field=name)
    if not items:
        raise Problem(400, "empty_batch", "Send at least one link.", field=name)
    if len(items) > MOST_AT_ONCE:
        raise Problem(413, "too_many_items", f"Send at most {MOST_AT_ONCE:,} links in one call.")
    return Batch.of(items, request).carried_out()


@dataclass
class Asked:
    """One item of a bulk call, and what came of it."""

    client: str
    company: str
    unmap: bool
    errors: list[FieldError]
    warnings: list[FieldError] = field(default_factory=list)
    found: Client | None = None
    status: str = "rejected"

    @classmethod
    def of(cls, item: Any) -> Asked:
        if not isinstance(item, dict):
            return cls("", "", False, [FieldError("", "not_an_object", "Each link must be an object.")])
        errors: list[FieldError] = []
        client = texts.text_of(item, "client", 100, errors)
        company = texts.text_of(item, "company", 50, errors)
        unmap = item.get("unmap", False)
        if not errors and not client:
            errors.append(FieldError("client", "required", "“client” is missing."))
        if not isinstance(unmap, bool):
            errors.append(FieldError("unmap", "unknown_value", "“unmap” must be true or false."))
        elif unmap and company:
            errors.append(FieldError("company", "unknown_value", "Say either “company” or “unmap”."))
        elif not unmap and "company" not in item:
            text = "“company” is missing; null skips the client, “unmap” forgets it."
            errors.append(FieldError("company", "required", text))
        return cls(client, company, unmap is True, errors)

    def as_json(self) -> dict[str, Any]:
        return {
            "client": self.client,
            "status": self.status,
            "errors": [error.as_json() for error in self.errors],
            "warnings": [warning.as_json() for warning in self.warnings],
        }


@dataclass
class Batch:
    """The items of one bulk call, with clients and connections looked up together."""

    asked: list[Asked]
    by: str
    connections: dict[uuid.UUID, Credentials]

    @classmethod
    def of(cls, items: Sequence[Any], request: Request) -> Batch:
        asked = [Asked.of(item) for item in items]
        known = clients.find_clients((one.client for one in asked if not one.errors), actor_of(request))
        seen: set[uuid.UUID] = set()
        for one in asked:
            if one.errors:
                continue
            one.found = known.get(one.client)
            if one.found is None:
                text = f"No client of yours is known as “{texts.shown(one.client)}”."
                one.errors.append(FieldError("client", "unknown_client", text))
            elif one.found.pk in seen:
                one.errors.append(
                    FieldError("client", "named_twice", "An earlier item of this call is about this client.")
                )
            else:
                seen.add(one.found.pk)
        return cls(asked, name_of(request), connections_of(list(known.values())))

    def carried_out(self) -> list[dict[str, Any]]:
        by_connection: dict[uuid.UUID, list[Asked]] = {}
        for one in self.good():
            assert one.found is not None  # the good ones are known
            connection = self.connections.get(one.found.pk)
            if connection is None:
                text = "No PSA connection is configured for this client."
                one.errors.append(FieldError("client", "no_connection", text))
            else:
                by_connection.setdefault(connection.pk, []).append(one)
        for rows in by_connection.values():
            assert rows[0].found is not None
            self.carry_out(self.connections[rows[0].found.pk], rows)
        return [one.as_json() for one in self.asked]

    def good(self) -> list[Asked]:
        return [one for one in self.asked if not one.errors]

    def carry_out(self, connection: Credentials, rows: Sequence[Asked]) -> None:
        keys = [one.found.pk for one in rows if one.found]
        links = CompanyLink.objects.filter(credentials=connection, client__in=keys)
        current = dict(links.values_list("client_id", "psa_company_id"))
        copies = mapping.copies(connection, {one.company for one in rows if one.company})
        wishes: list[Wish] = []
        gone: list[uuid.UUID] = []
        for one in rows:
            client = one.found
            assert client is not None
            wanted = None if one.unmap else one.company
            if current.get(client.pk) == wanted:
                one.status = "unchanged"
            elif wanted is None:
                gone.append(client.pk)
                one.status = "unmapped"
            else:
                self.wish(one, client, copies, wishes)
        companies.link_all(connection, wishes, by=self.by, origin=Origin.API)
        companies.unlink_all(connection, gone)
        warn(rows, mapping.sharing_of(connection, {wish.company_id for wish in wishes if wish.company_id}))

    def wish(self, one: Asked, client: Client, copies: Mapping[str, Any], wishes: list[Wish]) -> None:
        try:
            wishes.append(mapping.wish_for(client, one.company, copies))
        except mapping.Refused as refused:
            one.errors.append(FieldError("company", "unknown_company", refused.text))
        else:
            one.status = "mapped" if one.company else "skipped"


def warn(rows: Sequence[Asked], sharing: Mapping[str, int]) -> None:
    for one in rows:
        if one.status == "mapped" and sharing.get(one.company, 0) > 1:
            text = f"{sharing[one.company]} clients are mapped to this company now."
            one.warnings.append(FieldError("company", "shared_company", text))


def connections_of(rows: Sequence[Client]) -> dict[uuid.UUID, Credentials]:
    """The connection in effect for each client; two queries a partner."""
    found: dict[uuid.UUID, Credentials] = {}
    around: dict[uuid.UUID, tuple[inheritance.Tree, Any]] = {}
    for client in rows:
        if client.partner_id not in around:
            tree = inheritance.Tree.of(client.partner_id)
            around[client.partner_id] = (tree, effective.by_level(client.partner_id))
        connection = effective.credentials_for(client, *around[client.partner_id])
        if connection is not None:
            found[client.pk] = connection
    return found
