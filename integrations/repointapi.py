"""`/api/v1/connections/{id}/change`: a level goes to another PSA, after a preview."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations import repointing
from integrations.api import connection_rows
from integrations.connections import Entered
from integrations.models import Credentials
from integrations.models.connections import Kind
from integrations.psa.errors import Misconfigured
from integrations.repointing import Line, NotNow
from portal import preconditions
from portal.rest import Problem, actor_of, touch

MOST = 1000


class OtherPsaIn(serializers.Serializer[Any]):
    """How to sign in at the other PSA."""

    kind = serializers.ChoiceField(choices=[value for value in Kind.values if value != Kind.NONE])
    site_url = serializers.CharField(max_length=300)
    login_company = serializers.CharField(max_length=100, allow_blank=True, default="")
    public_key = serializers.CharField(max_length=100)
    secret = serializers.CharField(max_length=300, write_only=True)


class ConfirmIn(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=64, help_text="Of the preview that was looked at.")
    picks = serializers.DictField(
        child=serializers.CharField(max_length=50),
        required=False,
        help_text="For a line's `line` the `id` of the proposal that is meant.",
    )


class CounterpartOut(serializers.Serializer[Any]):
    id = serializers.CharField(source="pk")
    psa_id = serializers.CharField()
    name = serializers.CharField()


class LineOut(serializers.Serializer[Any]):
    """One choice of the PSA that is left, and its counterpart."""

    line = serializers.CharField(source="field")
    kind = serializers.CharField()
    name = serializers.CharField()
    match = CounterpartOut(allow_null=True)
    proposals = CounterpartOut(many=True, help_text="Only similar: name one in `picks`.")
    why = serializers.CharField()
    places = serializers.SerializerMethodField(help_text="How often it is chosen.")

    def get_places(self, line: Line) -> int:
        return len(line.uses)


class OtherPsaOut(serializers.Serializer[Any]):
    """What would become of everything that was chosen; without `digest` the other PSA is still being read."""

    connection = serializers.UUIDField(help_text="The one that is prepared.")
    site_url = serializers.CharField()
    ready = serializers.BooleanField()
    text = serializers.CharField(help_text="Why it is not ready.")
    digest = serializers.CharField()
    matched = serializers.IntegerField()
    left_empty = serializers.IntegerField()
    lines = LineOut(many=True, help_text=f"The first {MOST}; those without a counterpart come first.")


class ChangedOut(serializers.Serializer[Any]):
    connection = serializers.UUIDField(help_text="The one in effect now.")


def row_of(request: Request, pk: uuid.UUID) -> Credentials:
    row = connection_rows(request).defer("secret").filter(pk=pk).first()
    if row is None:
        raise Http404
    touch(request, row.partner_id)
    return row


class ConnectionChange(preconditions.Guarded, APIView):
    """Prepare another PSA for the level of a connection."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "connections:read",
        "POST": "connections:write",
        "DELETE": "connections:write",
    }

    @extend_schema(operation_id="connections_change_read", responses=OtherPsaOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """The preview. Nothing has changed yet; 404 when nothing is prepared."""
        row = row_of(request, pk)
        draft = repointing.draft_of(row)
        if draft is None:
            raise Http404
        return Response(told(row, draft))

    @extend_schema(operation_id="connections_change", request=OtherPsaIn, responses={202: OtherPsaOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Store the keys and read the options of the other PSA. What was prepared before is forgotten."""
        row = row_of(request, pk)
        wanted = OtherPsaIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            draft = repointing.begin(row, Entered(**wanted.validated_data), by=None)
        except Misconfigured as refusal:
            raise Problem(
                400, "invalid_request", f"{refusal.text} {refusal.advice}".strip(), field=refusal.field
            ) from None
        return Response(told(row, draft), status=202)

    @extend_schema(operation_id="connections_change_abandon", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Forget what was prepared."""
        if not repointing.abandon(row_of(request, pk)):
            raise Http404
        return Response(status=204)


class ConfirmedChange(APIView):
    """Put the prepared connection into effect."""

    scopes: ClassVar[dict[str, str]] = {"POST": "connections:write"}

    @extend_schema(operation_id="connections_change_confirm", request=ConfirmIn, responses=ChangedOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """All or nothing; 409 when it is not what the preview showed."""
        row = row_of(request, pk)
        wanted = ConfirmIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        picks = asked.get("picks", {})
        try:
            new = repointing.confirm(
                row,
                picks=picks,
                digest=repointing.with_picks(row, picks, asked["digest"]),
                by=None,
                actor=actor_of(request),
            )
        except NotNow as refusal:
            raise Problem(409, "not_now", str(refusal)) from None
        return Response({"connection": new.pk})


def told(row: Credentials, draft: Credentials) -> dict[str, Any]:
    answer: dict[str, Any] = {"connection": draft.pk, "site_url": draft.site_url, "ready": True, "text": ""}
    nothing = {"digest": "", "matched": 0, "left_empty": 0, "lines": []}
    try:
        repointing.require_read(draft)
    except NotNow as refusal:
        return {**answer, **nothing, "ready": False, "text": str(refusal)}
    seen = repointing.preview(row, draft, {})
    lines = [*seen.unmatched, *seen.matched][:MOST]
    return {
        **answer,
        "digest": seen.digest,
        "matched": len(seen.matched),
        "left_empty": len(seen.unmatched),
        "lines": LineOut(lines, many=True).data,
    }
