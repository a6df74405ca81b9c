"""`/api/v1/team` and `tokens`: a partner's people and the keys of its machines, for machines.

A token gives nobody more than Partner Viewer, changes no role, no second factor and no password, and makes no tokens:
whoever got hold of one must not come by more with it. What it may do it does for whoever made it (`team.check_maker`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal import preconditions, secondfactor, team
from portal.api import check_text
from portal.models import ApiToken, Membership, Role
from portal.rest import Problem, actor_of, touch
from portal.restrows import paged, partner_of, read

FORBIDDEN = {"maker_unknown", "maker_may_not"}


class MemberOut(serializers.ModelSerializer[Membership]):
    """One person of a partner; `id` is that of the membership."""

    partner = serializers.UUIDField(source="partner_id")
    email = serializers.CharField(source="user.email")
    name = serializers.CharField(source="user.get_full_name")
    is_active = serializers.BooleanField(source="user.is_active")
    has_second_factor = serializers.BooleanField()
    last_signed_in_at = serializers.DateTimeField(source="user.last_login", allow_null=True)

    class Meta:
        model = Membership
        fields: ClassVar[Sequence[str]] = (
            "id",
            "partner",
            "email",
            "name",
            "role",
            "is_active",
            "has_second_factor",
            "last_signed_in_at",
        )


class InvitationIn(serializers.Serializer[Any]):
    """Somebody who is to see this partner."""

    email = serializers.EmailField(max_length=254, validators=[check_text])
    role = serializers.ChoiceField(
        choices=Role.choices,
        default=Role.VIEWER,
        help_text="Only partner_viewer: people make Partner Senior Managers.",
    )


class InvitedOut(MemberOut):
    """The new member; `is_mailed` is false when the mail server did not take the invitation."""

    is_mailed = serializers.BooleanField()

    class Meta(MemberOut.Meta):
        fields: ClassVar[Sequence[str]] = (*MemberOut.Meta.fields, "is_mailed")


class SignedOutOut(serializers.Serializer[Any]):
    browsers = serializers.IntegerField(help_text="In how many the person was signed in.")


def members_in(request: Request) -> Any:
    factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=secondfactor.FACTORS)
    rows = Membership.objects.visible_to(actor_of(request)).select_related("user", "partner")
    return rows.annotate(has_second_factor=Exists(factors))


def member_of(request: Request, pk: uuid.UUID) -> Membership:
    row: Membership | None = members_in(request).filter(pk=pk).first()
    if row is None:
        raise Http404
    touch(request, row.partner_id)
    return row


def allowed(act: Callable[[], Any]) -> Any:
    """What an operation did; its refusals as problems."""
    try:
        return act()
    except team.Refused as no:
        raise Problem(403 if no.code in FORBIDDEN else 409, no.code, str(no)) from None
    except team.TooMany as many:
        problem = Problem(429, "too_many_requests", "Too many invitations. Wait as Retry-After says.")
        problem.wait = many.wait
        raise problem from None


class Team(APIView):
    """A partner's people."""

    scopes: ClassVar[dict[str, str]] = {"GET": "team:read", "POST": "team:write"}

    @extend_schema(operation_id="team_list", responses=MemberOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        return paged(self, request, members_in(request), MemberOut)

    @extend_schema(
        operation_id="team_invite",
        parameters=[OpenApiParameter("partner", OpenApiTypes.STR, description="For vendor-wide tokens.")],
        request=InvitationIn,
        responses={201: InvitedOut},
    )
    def post(self, request: Request) -> Response:
        """Somebody is a Partner Viewer from now on; who has no password yet is mailed how to choose one."""
        partner, asked = partner_of(request), read(InvitationIn, request)
        if asked["role"] != Role.VIEWER:
            text = "A token makes nobody a Partner Senior Manager; one of them does, on Team & Tokens."
            raise Problem(403, "role_not_given", text, field="role")
        member, is_mailed = allowed(lambda: team.invite_by_token(actor_of(request), partner, asked["email"]))
        row = members_in(request).get(pk=member.pk)
        row.is_mailed = is_mailed
        return Response(InvitedOut(row).data, status=201)


class OneMember(preconditions.Guarded, APIView):
    """One person of a partner."""

    scopes: ClassVar[dict[str, str]] = {"GET": "team:read", "DELETE": "team:write"}

    @extend_schema(operation_id="team_read", responses=MemberOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(MemberOut(member_of(request, pk)).data)

    @extend_schema(operation_id="team_remove", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """The person does not see this partner any more. 409 for the last Partner Senior Manager."""
        row = member_of(request, pk)
        allowed(lambda: team.remove_by_token(actor_of(request), row))
        return Response(status=204)


class MemberSignOut(APIView):
    """End where a person is signed in."""

    scopes: ClassVar[dict[str, str]] = {"POST": "team:write"}

    @extend_schema(operation_id="team_sign_out", request=None, responses=SignedOutOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Out of every browser; they may sign in again."""
        row = member_of(request, pk)
        count = allowed(lambda: team.sign_out_by_token(actor_of(request), row))
        return Response({"browsers": count})


# --- Tokens -----------------------------------------------------------------------------------------------------------


class TokenOut(serializers.ModelSerializer[ApiToken]):
    """One token, as far as it may be told: `prefix` is how it begins."""

    partner = serializers.UUIDField(source="partner_id")
    scopes = serializers.ListField(child=serializers.CharField())
    created_by = serializers.CharField(source="created_by.email", allow_null=True, default=None)

    class Meta:
        model = ApiToken
        fields: ClassVar[Sequence[str]] = (
            "id",
            "partner",
            "name",
            "prefix",
            "scopes",
            "created_at",
            "created_by",
            "expires_at",
            "revoked_at",
            "last_used_at",
        )


def tokens_in(request: Request) -> Any:
    """Those of partners: the vendor's own are for the admin."""
    actor = actor_of(request)
    mine = {"partner__isnull": False} if actor.partner_id is None else {"partner": actor.partner_id}
    return ApiToken.objects.filter(**mine).select_related("created_by", "partner")


def token_of(request: Request, pk: uuid.UUID) -> ApiToken:
    row: ApiToken | None = tokens_in(request).filter(pk=pk).first()
    if row is None or row.partner_id is None:
        raise Http404
    touch(request, row.partner_id)
    return row


class Tokens(APIView):
    """The keys of a partner's machines."""

    scopes: ClassVar[dict[str, str]] = {"GET": "team:read"}

    @extend_schema(operation_id="tokens_list", responses=TokenOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages; also those that ended or were revoked."""
        return paged(self, request, tokens_in(request), TokenOut)


class OneToken(APIView):
    """One key."""

    scopes: ClassVar[dict[str, str]] = {"GET": "team:read"}

    @extend_schema(operation_id="tokens_read", responses=TokenOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(TokenOut(token_of(request, pk)).data)


class RevokeToken(APIView):
    """Shut a key out."""

    scopes: ClassVar[dict[str, str]] = {"POST": "team:write"}

    @extend_schema(operation_id="tokens_revoke", request=None, responses=TokenOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """It is not accepted any more, for good. A token may shut itself out."""
        row = token_of(request, pk)
        allowed(lambda: team.revoke_by_token(actor_of(request), row))
        row.refresh_from_db()
        return Response(TokenOut(row).data)
