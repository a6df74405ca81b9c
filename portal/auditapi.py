"""`/api/v1/audit-log`: who changed what, and whether the chain of hashes holds, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from portal import audit, clock, rest
from portal.models import AuditChain, AuditEntry
from portal.rest import Problem, actor_of
from portal.restrows import partner_of, text_in

LOOKED_AT = 10_000
"""So many entries one call verifies."""
MOST_BREAKS = 100
ASKEW = timedelta(minutes=5)
"""Hosts' clocks differ: an entry may be a little older than the one before it."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
CHAIN = OpenApiParameter(
    "partner", OpenApiTypes.STR, description="For vendor-wide tokens; without it, the installation's own log."
)


class EntryOut(serializers.ModelSerializer[AuditEntry]):
    """One change. `hash` is the SHA-256 of all other fields as they stand here, as JSON with sorted names and ASCII
    only; `previous` is the hash of the entry before it, so that none can be taken out."""

    partner_id = serializers.UUIDField(help_text="Of the installation's own log: the nil UUID.")
    at = serializers.SerializerMethodField()
    details = serializers.DictField()

    class Meta:
        model = AuditEntry
        fields: ClassVar[Sequence[str]] = (*audit.HASHED, "hash")

    def get_at(self, row: AuditEntry) -> datetime:
        return row.at.astimezone(UTC).isoformat(timespec="microseconds")  # type: ignore[return-value]


class ByNumber(rest.NewestFirst):
    ordering = "-number"


class BreakOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    text = serializers.CharField()


class VerificationOut(serializers.Serializer[Any]):
    """What came of looking at the entries from `first` to `last`."""

    holds = serializers.BooleanField()
    first = serializers.IntegerField()
    last = serializers.IntegerField()
    written = serializers.IntegerField(help_text="How many entries the log has.")
    hash = serializers.CharField(
        help_text="Of the newest entry: keep it, and compare it later.", allow_blank=True
    )
    breaks = BreakOut(many=True, help_text="At most 100.")
    next = serializers.URLField(allow_null=True, help_text="Where the rest is verified.")


def chain_of(request: Request) -> uuid.UUID:
    if actor_of(request).partner_id is None and not text_in(request, "partner"):
        return clock.NIL_UUID
    return partner_of(request).pk


def moment_in(request: Request, name: str) -> datetime | None:
    """A time of the query; Problem when it cannot be read."""
    text = text_in(request, name)
    if not text:
        return None
    try:
        found = parse_datetime(text)
        if found is not None and found.tzinfo is not None:
            return min(max(found.astimezone(UTC), EARLIEST), LATEST)
    except (ValueError, OverflowError):
        pass
    raise Problem(
        400, "not_a_time", f"“{name}” must be a time with its zone, like 2026-11-21T03:00:00Z.", field=name
    )


def within(rows: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
    """Of that time. Entries are numbered as time goes: bounds by number are what the page's index can use."""
    if since is not None:
        first = rows.filter(at__gte=since - ASKEW).order_by("at").values_list("number", flat=True).first()
        rows = rows.filter(at__gte=since, number__gte=first) if first is not None else rows.none()
    if until is not None:
        last = rows.filter(at__lt=until + ASKEW).order_by("-at").values_list("number", flat=True).first()
        rows = rows.filter(at__lt=until, number__lte=last) if last is not None else rows.none()
    return rows


class AuditLog(APIView):
    """Who changed what at a partner, staff's doings included."""

    scopes: ClassVar[dict[str, str]] = {"GET": "audit:read"}

    @extend_schema(
        operation_id="audit_log_list",
        parameters=[
            CHAIN,
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="From this moment on."),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="Before this moment."),
            OpenApiParameter(
                "actor", OpenApiTypes.STR, description="Part of who did it, or as whom; or the id of either."
            ),
            OpenApiParameter("action", OpenApiTypes.STR, description="Part of the action, like `team`."),
        ],
        responses=EntryOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        mine = AuditEntry.objects.filter(partner_id=chain_of(request))
        rows = within(mine, moment_in(request, "since"), moment_in(request, "until"))
        if text := text_in(request, "actor"):
            rows = rows.filter(
                Q(actor__icontains=text) | Q(on_behalf_of__icontains=text) | Q(actor_id=text.lower())
            )
        if text := text_in(request, "action"):
            rows = rows.filter(action__icontains=text)
        pages = ByNumber()
        page: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(EntryOut(page, many=True).data)


class Verification(APIView):
    """Does the chain of hashes hold?"""

    scopes: ClassVar[dict[str, str]] = {"GET": "audit:read"}

    @extend_schema(
        operation_id="audit_log_verify",
        parameters=[
            CHAIN,
            OpenApiParameter("after", OpenApiTypes.INT, description="Begin behind the entry of this number."),
        ],
        responses=VerificationOut,
    )
    def get(self, request: Request) -> Response:
        """Looks at up to 10,000 entries, the oldest first; `next` leads to those behind them."""
        chain = chain_of(request)
        end = AuditChain.objects.filter(pk=chain).first() or AuditChain(pk=chain)
        text = text_in(request, "after") or "0"
        if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) > end.number:
            raise Problem(
                400,
                "unknown_value",
                "“after” must be the number of an entry of this log, or 0.",
                field="after",
            )
        after = int(text)
        breaks = list(audit.verify(chain, after=after, most=LOOKED_AT))
        last = min(after + LOOKED_AT, end.number)
        url = replace_query_param(request.build_absolute_uri(), "after", last) if last < end.number else None
        found = {
            "holds": not breaks,
            "first": after + 1,
            "last": last,
            "written": end.number,
            "hash": end.hash,
            "breaks": [{"number": one.number, "text": one.text} for one in breaks[:MOST_BREAKS]],
            "next": url,
        }
        return Response(VerificationOut(found).data)
