"""What REST doors on a partner's rows share: for which partner, which row, refusals, pages (asked by every api.py)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal import rest
from portal.clients import find_clients, uuid_of
from portal.models import Partner
from portal.rest import Problem, actor_of, touch
from portal.tenancy import TenantModel

if TYPE_CHECKING:
    from rest_framework.views import APIView


def partner_of(request: Request) -> Partner:
    """The token's partner; a vendor-wide token says in `partner` which one (id or slug)."""
    actor = actor_of(request)
    if actor.partner_id is not None:
        return Partner.objects.get(pk=actor.partner_id)
    named = text_in(request, "partner")
    key = uuid_of(named)
    found = Partner.objects.filter(pk=key).first() if key else Partner.objects.filter(slug=named).first()
    if found is None:
        raise Problem(
            400, "partner_needed", "Say in “partner” which partner it is for (id or slug).", field="partner"
        )
    touch(request, found.pk)
    return found


def one_of(request: Request, model: type[TenantModel], pk: uuid.UUID, *, without: Sequence[str] = ()) -> Any:
    """The row, if it is the token's to see; else Http404. `without`: columns that are not to be read."""
    rows = model.objects.visible_to(actor_of(request)).select_related("partner").defer(*without)
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Http404
    touch(request, row.partner_id)
    return row


def refused(save: Callable[[], Any]) -> Any:
    """What an operation made; its refusals become field errors."""
    try:
        return save()
    except ValidationError as refusal:
        detail = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
        raise serializers.ValidationError(detail) from refusal


def read(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The body, when it is well-formed."""
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def paged(
    view: APIView, request: Request, rows: Any, shape: type[serializers.BaseSerializer[Any]]
) -> Response:
    """A cursor page of the rows, newest first."""
    pages = rest.NewestFirst()
    page: Any = pages.paginate_queryset(rows.order_by("-id"), request, view=view)
    return pages.get_paginated_response(shape(page, many=True).data)


def text_in(request: Request, name: str) -> str:
    """A query parameter, as it may be asked of the database."""
    return request.query_params.get(name, "").strip().replace("\x00", "")


def of_client(request: Request, rows: Any, column: str = "client") -> Any:
    """Only those of the client that `client` names (client id, managed ID or our id); nobody's when it is unknown."""
    text = text_in(request, "client")
    if not text:
        return rows
    client = find_clients([text], actor_of(request)).get(text)
    return rows.filter(**{column: client}) if client else rows.none()


def one_word(request: Request, name: str, words: Sequence[str]) -> str:
    """A query parameter that is one of these words; empty without it. Raises Problem."""
    text = request.query_params.get(name, "")
    if text and text not in words:
        raise Problem(400, "unknown_value", f"“{name}” must be one of {', '.join(words)}.", field=name)
    return text
