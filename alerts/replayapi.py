"""`/api/v1/replays` and `rule-drafts`: the past through other rules, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import drafts, replays
from alerts.models import Replay, RuleDraft
from alerts.noiseapi import ONE, READ_WRITE
from portal import preconditions
from portal.models import Partner
from portal.rest import Problem, actor_of
from portal.restrows import one_of, paged, partner_of


@extend_schema_field(OpenApiTypes.OBJECT)
class Document(serializers.JSONField):
    """Notifications, filters, windows, noise and settings as one object."""


class RuleDraftOut(serializers.ModelSerializer[RuleDraft]):
    """A draft. `changes` is what it says otherwise than the rules of the moment it was made."""

    document = Document()
    changes = serializers.SerializerMethodField()

    class Meta:
        model = RuleDraft
        fields: ClassVar[Sequence[str]] = (
            "id",
            "name",
            "document",
            "changes",
            "created_at",
            "created_by",
            "changed_at",
            "changed_by",
        )

    def get_changes(self, row: RuleDraft) -> list[str]:
        return [
            " ".join(filter(None, (part, f"“{name}”" if name else "", text)))
            for part, name, text in drafts.changes_of(row)
        ]


class RuleDraftIn(serializers.Serializer[Any]):
    """Parts that the `document` leaves out are as they are in effect (POST), or stay as they were (PUT)."""

    name = serializers.CharField(max_length=200)
    document = Document(required=False)


class RuleDraftChange(serializers.Serializer[Any]):
    document = Document()


class ReplayIn(serializers.Serializer[Any]):
    """The last `days`, or `since` and `until`; with the id of a `draft`, or without one: today's rules alone."""

    days = serializers.IntegerField(min_value=1, max_value=replays.LONGEST.days, required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    draft = serializers.UUIDField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("days" in attrs) == ("since" in attrs):
            raise serializers.ValidationError({"days": ["Say either “days”, or “since” and “until”."]})
        if "until" in attrs and "since" not in attrs:
            raise serializers.ValidationError({"since": ["Say since when, too."]})
        return attrs


class ReplayOut(serializers.ModelSerializer[Replay]):
    """A replay: `events` are those read so far, `result` comes when it is `done`."""

    state = serializers.ChoiceField(choices=Replay.State.choices)
    result = serializers.DictField(allow_null=True)

    class Meta:
        model = Replay
        fields: ClassVar[Sequence[str]] = (
            "id",
            "since",
            "until",
            "draft",
            "draft_name",
            "state",
            "events",
            "trouble",
            "result",
            "asked_at",
            "asked_by",
            "finished_at",
        )


class ReplayLine(ReplayOut):
    """A replay in a list, without its result."""

    class Meta:
        model = Replay
        fields: ClassVar[Sequence[str]] = tuple(name for name in ReplayOut.Meta.fields if name != "result")

    result = None  # type: ignore[assignment]


def refused(save: Any) -> Any:
    """What an operation made. The sentences of a draft's faults say where they are."""
    try:
        return save()
    except ValidationError as refusal:
        found = refusal.message_dict if hasattr(refusal, "error_dict") else {"document": refusal.messages}
        raise serializers.ValidationError(found) from refusal


def by(request: Request) -> str:
    return f"token {actor_of(request).prefix}"


def span_in(given: dict[str, Any]) -> tuple[datetime, datetime]:
    if "days" in given:
        return replays.span_of(given["days"])
    return given["since"], given.get("until") or replays.span_of(0)[1]


def draft_in(request: Request, partner: Partner, key: uuid.UUID | None) -> RuleDraft | None:
    if key is None:
        return None
    found: RuleDraft | None = (
        RuleDraft.objects.visible_to(actor_of(request)).filter(pk=key, partner=partner).first()
    )
    if found is None:
        raise Problem(404, "not_found", "There is no such draft.", field="draft")
    return found


class Replays(APIView):
    """The past through today's rules and a draft's. Nothing is sent, and no rule is changed."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(operation_id="replays_list", responses=ReplayLine(many=True))
    def get(self, request: Request) -> Response:
        rows = Replay.objects.visible_to(actor_of(request)).defer("document", "result")
        return paged(self, request, rows, ReplayLine)

    @extend_schema(operation_id="replays_begin", request=ReplayIn, responses={202: ReplayOut})
    def post(self, request: Request) -> Response:
        """The worker carries it out; ask for it again until it is `done` or `failed`."""
        given = ReplayIn(data=request.data)
        given.is_valid(raise_exception=True)
        partner = partner_of(request)
        draft = draft_in(request, partner, given.validated_data.get("draft"))
        since, until = span_in(given.validated_data)
        row = refused(lambda: replays.begin(partner, since, until, draft, by=by(request)))
        return Response(ReplayOut(row).data, status=202)


class OneReplay(APIView):
    """One replay and its result."""

    scopes: ClassVar[dict[str, str]] = {"GET": "rules:read"}

    @extend_schema(operation_id="replays_read", responses=ReplayOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(ReplayOut(one_of(request, Replay, pk)).data)


class RuleDrafts(APIView):
    """Rules to be tried out; nothing but a replay reads them."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(operation_id="rule_drafts_list", responses=RuleDraftOut(many=True))
    def get(self, request: Request) -> Response:
        return paged(self, request, RuleDraft.objects.visible_to(actor_of(request)), RuleDraftOut)

    @extend_schema(operation_id="rule_drafts_add", request=RuleDraftIn, responses={201: RuleDraftOut})
    def post(self, request: Request) -> Response:
        """Begins as a copy of what is in effect now."""
        given = RuleDraftIn(data=request.data)
        given.is_valid(raise_exception=True)
        asked, partner = given.validated_data, partner_of(request)
        row = refused(
            lambda: drafts.begin(partner, asked["name"], by=by(request), document=asked.get("document"))
        )
        return Response(RuleDraftOut(row).data, status=201)


class OneRuleDraft(preconditions.Guarded, APIView):
    """One draft."""

    scopes: ClassVar[dict[str, str]] = ONE

    @extend_schema(operation_id="rule_drafts_read", responses=RuleDraftOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(RuleDraftOut(one_of(request, RuleDraft, pk)).data)

    @extend_schema(operation_id="rule_drafts_change", request=RuleDraftChange, responses=RuleDraftOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        row = one_of(request, RuleDraft, pk)
        given = RuleDraftChange(data=request.data)
        given.is_valid(raise_exception=True)
        document = given.validated_data["document"]
        return Response(RuleDraftOut(refused(lambda: drafts.change(row, document, by=by(request)))).data)

    @extend_schema(operation_id="rule_drafts_delete", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Replays with it stay."""
        one_of(request, RuleDraft, pk).delete()
        return Response(status=204)
