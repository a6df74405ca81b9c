"""`/api/v1/compat/...`: the doors for tools that already speak PagerDuty or Alertmanager."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import dialects, incoming, intake
from alerts.api import ResultsOut, rejected, result_of
from alerts.dialects import Malformed
from alerts.incoming import Incoming
from alerts.models import Condition
from portal import clock, ratelimits, tokens
from portal.access import Actor
from portal.models import ApiToken
from portal.rest import Problem, actor_of

SCOPE = "events:write"


class PagerIn(serializers.Serializer[Any]):
    """A message of PagerDuty's Events API v2."""

    routing_key = serializers.CharField(
        help_text="A token of ours, with `:` and the client id behind it when all its events are about one client."
    )
    event_action = serializers.ChoiceField(choices=["trigger", "acknowledge", "resolve"])
    dedup_key = serializers.CharField(required=False, max_length=255)
    payload = serializers.DictField(required=False)


class PagerOut(serializers.Serializer[Any]):
    status = serializers.CharField()
    message = serializers.CharField()
    dedup_key = serializers.CharField(required=False)
    errors = serializers.ListField(child=serializers.CharField(), required=False)  # type: ignore[assignment]


class PagerDuty(APIView):
    """PagerDuty Events API v2."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="compat_pagerduty", request=PagerIn, responses={202: PagerOut, 400: PagerOut}, auth=[]
    )
    def post(self, request: Request) -> Response:
        """The token stands in `routing_key`, as tools that page cannot send headers. The dedup key tells conditions
        apart; `acknowledge` is only noted."""
        message = request.data
        if not isinstance(message, dict):
            return invalid("Event object is invalid", "The body must be an object.")
        actor, client = routed(request, message.get("routing_key"))
        key = message.get("dedup_key")
        if key is None or key == "":
            key = clock.new_id().hex
        if not isinstance(key, str):
            return invalid("Event object is invalid", "“dedup_key” must be text.")
        try:
            item = dialects.of_pagerduty(message, client=client, key=key)
        except Malformed as error:
            return invalid("Event object is invalid", str(error))
        if not item["client"] and item.get("action") != "trigger":
            known = condition_of(actor, key)
            if known is None:
                return accepted(key, "Nothing is open under this dedup key")
            item |= {"client": str(known.client_id)}
        return told(item, key, actor)


def told(item: dict[str, Any], key: str, actor: ApiToken) -> Response:
    read = incoming.read(item)
    if not isinstance(read, Incoming):
        return invalid("Event object is invalid", *(error.detail for error in read))
    [result] = intake.accept([read], actor=actor)
    if result.errors:
        return invalid("Event object is invalid", *(error.detail for error in result.errors))
    return accepted(
        key, "Event processed" if result.status != "parked" else "Event kept until its client is known"
    )


def accepted(key: str, message: str) -> Response:
    return Response({"status": "success", "message": message, "dedup_key": key}, status=202)


def invalid(message: str, *errors: str) -> Response:
    return Response({"status": "invalid event", "message": message, "errors": list(errors)}, status=400)


def routed(request: Request, routing_key: Any) -> tuple[ApiToken, str]:
    """The token of a routing key, and the client behind it, if any; counted like every other request of the token."""
    text, _, client = routing_key.partition(":") if isinstance(routing_key, str) else ("", "", "")
    token = tokens.find_token(text.strip())
    if token is None:
        raise Problem(
            401, "invalid_token", "“routing_key” must be a token of ours that is not revoked or expired."
        )
    if SCOPE not in token.scopes:
        raise Problem(403, "missing_scope", f"This token lacks the scope “{SCOPE}”.", scope=SCOPE)
    tokens.note_use(token)
    request._request.rate_limit = standing = ratelimits.take(token)  # type: ignore[attr-defined]
    if not standing.is_allowed:
        raise Throttled(standing.reset)
    return token, client.strip()


def condition_of(actor: Actor, key: str) -> Condition | None:
    """What is failing under a key; None when that is not just one thing."""
    rows = Condition.objects.visible_to(actor).filter(key=key, state=Condition.State.FAILING)
    found = list(rows.order_by("pk")[:2])
    return found[0] if len(found) == 1 else None


class AlertmanagerIn(serializers.Serializer[Any]):
    """Alertmanager's webhook, version 4."""

    version = serializers.CharField(required=False)
    status = serializers.CharField(required=False)
    alerts = serializers.ListField(child=serializers.DictField())


class Alertmanager(APIView):
    """Alertmanager's webhook receiver."""

    scopes: ClassVar[dict[str, str]] = {"POST": SCOPE}

    @extend_schema(
        operation_id="compat_alertmanager",
        request=AlertmanagerIn,
        parameters=[
            OpenApiParameter("client", OpenApiTypes.STR, description="When all alerts are of one client.")
        ],
        responses={202: ResultsOut, 422: ResultsOut},
    )
    def post(self, request: Request) -> Response:
        """One event an alert, in their order. When none could be taken in, the answer is 422, which Alertmanager logs
        and does not repeat."""
        try:
            items = dialects.of_alertmanager(request.data, client=request.query_params.get("client", ""))
        except Malformed as error:
            raise Problem(400, "invalid_request", str(error)) from None
        if len(items) > incoming.MOST_EVENTS:
            raise Problem(413, "too_many_events", f"At most {incoming.MOST_EVENTS} alerts in one call.")
        read = [incoming.read(item) for item in items]
        good = [item for item in read if isinstance(item, Incoming)]
        stored = iter(intake.accept(good, actor=actor_of(request)) if good else ())
        results = [result_of(next(stored)) if isinstance(item, Incoming) else rejected(item) for item in read]
        is_refused = bool(items) and all(result["status"] == "rejected" for result in results)
        return Response({"results": results}, status=422 if is_refused else 202)
