"""`/api/v1/saved-searches`: searches of the event log under a name, for machines."""

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

from integrations import savedsearches
from integrations.api import conditions_of
from integrations.eventgrammar import MOST_CONDITIONS, MOST_LETTERS
from integrations.eventsearch import EventFilter
from integrations.models import SavedSearch, Status
from integrations.models.eventlog import Severity
from portal import preconditions
from portal.api import check_text
from portal.rest import Problem, actor_of
from portal.restrows import one_of, paged, partner_of, read, refused


class SearchIn(serializers.Serializer[Any]):
    """What to look for: all of it has to be met. What is left out has its default, also with PUT."""

    name = serializers.CharField(max_length=100, validators=[check_text])
    where = serializers.ListField(
        child=serializers.CharField(max_length=MOST_LETTERS * 10),
        max_length=MOST_CONDITIONS,
        default=list,
        help_text="Conditions of Advanced Search, like `error_list LIKE ?*`.",
    )
    text = serializers.CharField(
        max_length=200, default="", allow_blank=True, validators=[check_text], help_text="As QuickSearch."
    )
    severity = serializers.ChoiceField(choices=Severity.choices, default="", allow_blank=True)
    status = serializers.ChoiceField(
        choices=Status.choices, default="", allow_blank=True, help_text="Of one of its deliveries."
    )
    has_errors = serializers.BooleanField(default=False)


class SearchOut(serializers.ModelSerializer[SavedSearch]):
    """One search. `owner` is who shared it; null: it was made over REST."""

    partner = serializers.UUIDField(source="partner_id")
    owner = serializers.CharField(source="owner.email", allow_null=True, default=None)
    where = serializers.SerializerMethodField()
    text = serializers.CharField(source="wanted.text", default="")
    severity = serializers.CharField(source="wanted.severity", default="")
    status = serializers.CharField(source="wanted.status", default="")
    has_errors = serializers.BooleanField(source="wanted.has_errors", default=False)

    class Meta:
        model = SavedSearch
        fields: ClassVar[Sequence[str]] = (
            "id",
            "partner",
            "name",
            "owner",
            "where",
            "text",
            "severity",
            "status",
            "has_errors",
            "created_at",
        )

    def get_where(self, row: SavedSearch) -> list[str]:
        conditions = EventFilter.of_json(row.wanted).conditions
        return [f"{one.field} {one.operator} {one.term}".rstrip() for one in conditions]


def wanted_in(request: Request) -> tuple[str, EventFilter]:
    """The name, and what is looked for."""
    asked = read(SearchIn, request)
    return asked.pop("name"), EventFilter(conditions=conditions_of(asked.pop("where")), **asked)


def told(save: Any, status: int) -> Response:
    try:
        row = refused(save)
    except savedsearches.Taken as taken:
        raise Problem(409, "exists", str(taken), field="name") from None
    return Response(SearchOut(row).data, status=status)


class SavedSearches(APIView):
    """Searches that everybody of a partner sees."""

    scopes: ClassVar[dict[str, str]] = {"GET": "events:read", "POST": "searches:write"}

    @extend_schema(operation_id="saved_searches_list", responses=SearchOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages. What people keep for themselves is not among them."""
        rows = savedsearches.of_everybody(SavedSearch.objects.visible_to(actor_of(request)))
        return paged(self, request, rows, SearchOut)

    @extend_schema(
        operation_id="saved_searches_add",
        parameters=[OpenApiParameter("partner", OpenApiTypes.STR, description="For vendor-wide tokens.")],
        request=SearchIn,
        responses={201: SearchOut},
    )
    def post(self, request: Request) -> Response:
        """It appears above the Event Log of everybody of the partner."""
        partner, (name, wanted) = partner_of(request), wanted_in(request)
        return told(lambda: savedsearches.add(partner, wanted, name=name), 201)


class OneSavedSearch(preconditions.Guarded, APIView):
    """One search."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "events:read",
        "PUT": "searches:write",
        "DELETE": "searches:write",
    }

    @extend_schema(operation_id="saved_searches_read", responses=SearchOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(SearchOut(search_of(request, pk)).data)

    @extend_schema(operation_id="saved_searches_change", request=SearchIn, responses=SearchOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        """Say it anew. What a person shared is theirs to change."""
        row, (name, wanted) = search_of(request, pk), wanted_in(request)
        if row.owner_id is not None:
            raise Problem(
                409, "persons_own", f"{row.owner} keeps this search and changes it; make another over REST."
            )
        return told(lambda: savedsearches.change(row, wanted, name=name), 200)

    @extend_schema(operation_id="saved_searches_delete", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Nobody sees it any more."""
        search_of(request, pk).delete()
        return Response(status=204)


def search_of(request: Request, pk: uuid.UUID) -> SavedSearch:
    """One that the token sees; somebody's own looks as if it did not exist."""
    row: SavedSearch = one_of(request, SavedSearch, pk)
    if row.owner_id is not None and not row.is_shared:
        raise Http404
    return row
