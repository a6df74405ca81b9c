"""`/api/v1/ticket-settings`: how tickets look at each level; and a client's PSA switched off.

A level is addressed by the id of the organization, client or account.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import catchup, settinghistory, settingreset, setup
from alerts.models import SettingChange, TicketSettings
from alerts.models.settings import Level
from alerts.settingreset import NotUndone
from alerts.setup import Setup
from alerts.ticketsettings import CHOICES, FIELDS, KINDS, NUMBERS, OF_A_BOARD, SWITCHES, TEXTS
from integrations.models import Choice
from portal import clock, disabled, preconditions, rest
from portal.inheritance import Effective
from portal.models import Account, Client, Organization
from portal.rest import Problem, actor_of, touch

LONGEST = {"summary_template": 500, "body_template": 8000}


# --- Out --------------------------------------------------------------------------------------------------------------


class SourceOut(serializers.Serializer[Any]):
    """The level a value was set at."""

    level = serializers.ChoiceField(choices=["account", "client", "organization"])
    id = serializers.UUIDField()
    name = serializers.CharField()


class SettingOut(serializers.Serializer[Any]):
    """One field: its value in effect (a PSA id with its name, or a plain value), what the level says itself, and where
    the value comes from (null: the built-in default, or the PSA decides)."""

    value = serializers.JSONField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    own = serializers.JSONField(allow_null=True)
    source = SourceOut(allow_null=True)  # type: ignore[assignment]
    is_offered = serializers.BooleanField(help_text="False: the PSA does not offer it any more.")
    doubt = serializers.CharField(help_text="Why a chosen value is left out; empty when it is used.")
    set_by = serializers.CharField(allow_null=True)
    set_at = serializers.DateTimeField(allow_null=True)


class SettingsOut(serializers.Serializer[Any]):
    """All ticket settings of one level."""

    level = serializers.ChoiceField(choices=["account", "client", "organization"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    connection = serializers.UUIDField(allow_null=True)
    settings = serializers.DictField(child=SettingOut())


class LevelOut(serializers.Serializer[Any]):
    """A level with settings of its own."""

    level = serializers.ChoiceField(choices=["account", "client", "organization"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    updated_at = serializers.DateTimeField()


class ChangeOut(serializers.ModelSerializer[SettingChange]):
    class Meta:
        model = SettingChange
        fields = ("id", "change", "field", "old", "new", "origin", "undoes", "changed_at", "changed_by")


def level_name(level: Level) -> str:
    return (
        "account" if isinstance(level, Account) else "client" if isinstance(level, Client) else "organization"
    )


def shown(level: Level) -> dict[str, Any]:
    found = setup.setup_of(level)
    authors = settinghistory.authors(found.levels)
    return {
        "level": level_name(level),
        "id": str(level.pk),
        "name": str(level),
        "connection": str(found.connection.pk) if found.connection is not None else None,
        "settings": {name: setting(name, found, authors) for name in FIELDS},
    }


def setting(name: str, found: Setup, authors: Mapping[Any, SettingChange]) -> dict[str, Any]:
    effective: Effective[Any] = found.in_effect[name]
    source = effective.source
    author = authors.get((source.pk, name)) if source is not None else None
    return {
        "value": plain(effective.value),
        "name": effective.value.name if isinstance(effective.value, Choice) else None,
        "own": plain(getattr(found.row, name, None)),
        "source": {"level": level_name(source), "id": str(source.pk), "name": str(source)}
        if source
        else None,
        "is_offered": getattr(effective.value, "vanished_at", None) is None,
        "doubt": found.doubt(name),
        "set_by": author.changed_by if author else None,
        "set_at": author.changed_at if author else None,
    }


def plain(value: Any) -> Any:
    return value.psa_id if isinstance(value, Choice) else value


# --- In ---------------------------------------------------------------------------------------------------------------


class SettingsIn(serializers.Serializer[Any]):
    """What the level shall say itself; a field that is left out stays, null inherits. Choices are PSA ids as text."""

    for _name in CHOICES:
        locals()[_name] = serializers.CharField(required=False, allow_null=True, max_length=50)
    for _name in NUMBERS:
        locals()[_name] = serializers.IntegerField(
            required=False, allow_null=True, min_value=0, max_value=setup.MOST[_name]
        )
    for _name in TEXTS:
        locals()[_name] = serializers.CharField(
            required=False, allow_null=True, max_length=LONGEST[_name], trim_whitespace=False
        )
    for _name in SWITCHES:
        locals()[_name] = serializers.BooleanField(required=False, allow_null=True)
    del _name


def changes_in(body: Any, found: Setup) -> dict[str, Any]:
    """What a body asks for, as values. Raises Problem with every fault at once."""
    if not isinstance(body, dict):
        raise Problem(400, "invalid_request", "Send one object with the fields to change.")
    faults = [
        {
            "field": str(name)[:100],
            "code": "unknown_field",
            "detail": f"There is no setting of this name. Known are {', '.join(FIELDS)}.",
        }
        for name in body
        if name not in FIELDS
    ]
    form = SettingsIn(data={name: value for name, value in body.items() if name in FIELDS})
    if not form.is_valid():
        faults += rest.flat(form.errors)
    values: dict[str, Any] = {}
    for name, value in form.validated_data.items() if not form.errors else ():
        if name in CHOICES and value is not None:
            value = choice_with(name, value, values, found)
            if value is None:
                faults.append(not_offered(name, body[name], found))
                continue
        values[name] = value
    if faults:
        raise Problem(
            400, "invalid_request", "Some fields are not right; nothing was changed.", errors=faults
        )
    return values


def choice_with(name: str, psa_id: str, values: Mapping[str, Any], found: Setup) -> Choice | None:
    """The choice with a PSA id; what belongs to a board is looked for on the one that will be in effect."""
    if found.connection is None:
        return None
    rows = found.connection.choices.filter(kind=KINDS[name], psa_id=psa_id, vanished_at=None)
    if name in OF_A_BOARD:
        own = values["board"] if "board" in values else getattr(found.row, "board", None)
        board = own or found.inherited["board"].value
        of_board = rows.filter(within=board.psa_id).first() if board is not None else None
        row: Choice | None = of_board or rows.first()
        return row
    first: Choice | None = rows.first()
    return first


def not_offered(name: str, psa_id: str, found: Setup) -> dict[str, str]:
    if found.connection is None:
        return {"field": name, "code": "no_psa", "detail": "No PSA is in effect at this level."}
    return {
        "field": name,
        "code": "unknown_choice",
        "detail": f"The PSA offers no {found.label(name)} with the id “{psa_id}”.",
    }


# --- Calls ------------------------------------------------------------------------------------------------------------


def level_of(request: Request, pk: uuid.UUID) -> Level:
    """Not yours looks like not found."""
    for model, related in (
        (Client, "organization"),
        (Organization, "parent"),
        (Account, "client__organization"),
    ):
        rows = model.objects.visible_to(actor_of(request)).select_related("partner", related)
        found: Level | None = rows.filter(pk=pk).first()
        if found is not None:
            touch(request, found.partner_id)
            return found
    raise Http404


def by(request: Request) -> str:
    return f"API: {actor_of(request)}"


def refused(refusal: ValidationError) -> Problem:
    errors = [
        {"field": name, "code": error.code or "invalid", "detail": " ".join(error.messages)}
        for name, found in refusal.error_dict.items()
        for error in found
    ]
    return Problem(
        400, "invalid_request", "These settings do not go together; nothing was changed.", errors=errors
    )


class Levels(APIView):
    """The levels that have ticket settings of their own."""

    scopes: ClassVar[dict[str, str]] = {"GET": "settings:read"}

    @extend_schema(operation_id="ticket_settings_list", responses=LevelOut(many=True))
    def get(self, request: Request) -> Response:
        """In cursor pages."""
        rows = TicketSettings.objects.visible_to(actor_of(request)).select_related(
            "organization", "client", "account"
        )
        pages = rest.NewestFirst()
        page: Any = pages.paginate_queryset(rows.order_by("-id"), request, view=self)
        return pages.get_paginated_response([line(row) for row in page])


def line(row: TicketSettings) -> dict[str, Any]:
    level = row.account or row.client or row.organization
    assert level is not None  # a constraint says
    return {
        "level": level_name(level),
        "id": str(level.pk),
        "name": str(level),
        "updated_at": row.updated_at,
    }


class OneLevel(preconditions.Guarded, APIView):
    """The ticket settings of one organization, client or account."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "settings:read",
        "PATCH": "settings:write",
        "DELETE": "settings:write",
    }

    @extend_schema(operation_id="ticket_settings_read", responses=SettingsOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Each field with the value in effect, the level it comes from, who set it and when."""
        return Response(shown(level_of(request, pk)))

    @extend_schema(operation_id="ticket_settings_change", request=SettingsIn, responses=SettingsOut)
    def patch(self, request: Request, pk: uuid.UUID) -> Response:
        """Change some fields of what the level says itself; all of them or, when one is wrong, none."""
        level = level_of(request, pk)
        changes = changes_in(request.data, setup.setup_of(level))
        try:
            setup.change_ticket_settings(level, changes, by=by(request))
        except ValidationError as refusal:
            raise refused(refusal) from refusal
        return Response(shown(level))

    @extend_schema(operation_id="ticket_settings_reset", request=None, responses={200: SettingsOut})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Reset to what is inherited. Can be undone for 30 days."""
        level = level_of(request, pk)
        settingreset.reset(level, by=by(request))
        return Response(shown(level))


class History(APIView):
    """What was changed at a level, field by field."""

    scopes: ClassVar[dict[str, str]] = {"GET": "settings:read"}

    @extend_schema(operation_id="ticket_settings_history", responses=ChangeOut(many=True))
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Newest first, in cursor pages."""
        level = level_of(request, pk)
        rows = SettingChange.objects.visible_to(actor_of(request)).filter(level_id=level.pk).order_by("-id")
        pages = rest.NewestFirst()
        page: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(ChangeOut(page, many=True).data)


class UndoIn(serializers.Serializer[Any]):
    change = serializers.UUIDField(help_text="`change` of the history.")


class UndoOut(serializers.Serializer[Any]):
    undone = serializers.ListField(child=serializers.CharField())
    left = serializers.ListField(child=serializers.CharField())


class Undo(APIView):
    """Take a change back."""

    scopes: ClassVar[dict[str, str]] = {"POST": "settings:write"}

    @extend_schema(operation_id="ticket_settings_undo", request=UndoIn, responses=UndoOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Fields that were changed again since are left as they are, and told."""
        level = level_of(request, pk)
        form = UndoIn(data=request.data)
        form.is_valid(raise_exception=True)
        rows = SettingChange.objects.visible_to(actor_of(request)).filter(
            level_id=level.pk, change=form.validated_data["change"]
        )
        try:
            done = settingreset.undo(list(rows.order_by("pk")), by=by(request))
        except NotUndone as refusal:
            raise Problem(409, "not_undone", str(refusal)) from refusal
        return Response({"undone": list(done.fields), "left": list(done.left)})


class DisabledIn(serializers.Serializer[Any]):
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300, default="")

    def validate_until(self, until: Any) -> Any:
        if until is not None and until <= clock.now():
            raise serializers.ValidationError("This moment is over.", code="in_the_past")
        return until


class DisabledOut(serializers.Serializer[Any]):
    """Whether the PSA is off for a client. `still_failing` is what could be caught up on (counted while it is on)."""

    is_disabled = serializers.BooleanField()
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    by = serializers.CharField()
    still_failing = serializers.IntegerField()


class Disabled(preconditions.Guarded, APIView):
    """The PSA integration of one client, off for a while."""

    scopes: ClassVar[dict[str, str]] = {
        "GET": "settings:read",
        "PUT": "settings:write",
        "DELETE": "settings:write",
    }

    @extend_schema(operation_id="client_disabled_read", responses=DisabledOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(state_of(client_of(request, pk)))

    @extend_schema(operation_id="client_disable", request=DisabledIn, responses=DisabledOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        """Nothing is written to the PSA for this client until then, or until it is enabled."""
        client = client_of(request, pk)
        form = DisabledIn(data=request.data)
        form.is_valid(raise_exception=True)
        catchup.disable(client, by=by(request), **form.validated_data)
        return Response(state_of(client))

    @extend_schema(operation_id="client_enable", request=None, responses={200: DisabledOut})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Enable; what was held goes out."""
        client = client_of(request, pk)
        catchup.enable(client, by=by(request))
        return Response(state_of(client))


def client_of(request: Request, pk: uuid.UUID) -> Client:
    level = level_of(request, pk)
    if not isinstance(level, Client):
        raise Http404
    return level


def state_of(client: Client) -> dict[str, Any]:
    stop = disabled.of([client.pk]).get(client.pk)
    return {
        "is_disabled": stop is not None,
        "since": stop.began_at if stop else None,
        "until": stop.until if stop else None,
        "reason": stop.reason if stop else "",
        "by": stop.began_by if stop else "",
        "still_failing": len(catchup.missed(client)) if stop is None else 0,
    }
