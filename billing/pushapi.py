"""`/api/v1/push-runs` and what belongs to them: preview, push, approve, reject, undo, and questions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from django.db.models import Model
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import preview as previews
from billing import proposals, questions, synchronize, undo
from billing.decisions import Decider, Refused
from billing.models import PushItem, PushRun, Question
from integrations.api import uuid_of
from portal import rest
from portal.models import Client
from portal.rest import Problem, actor_of, touch
from portal.tenancy import TenantModel

Row = TypeVar("Row", bound=Model)
STATUS = {"psa_error": 424}


def row_of(model: type[TenantModel], request: Request, pk: uuid.UUID, *related: str) -> Any:
    row = (
        model.objects.visible_to(actor_of(request)).select_related("partner", *related).filter(pk=pk).first()
    )
    if row is None:
        raise Http404
    touch(request, row.partner_id)
    return row


def problem_of(no: Refused) -> Problem:
    return Problem(STATUS.get(no.code, 409), no.code, no.text)


class PushItemOut(serializers.ModelSerializer[PushItem]):
    """One service of a run."""

    service = serializers.CharField(source="service.key")
    before = serializers.JSONField()
    after = serializers.JSONField()

    class Meta:
        model = PushItem
        fields: ClassVar[Sequence[str]] = ("service", "state", "line_id", "before", "after", "text")


class PushRunOut(serializers.ModelSerializer[PushRun]):
    """One push, or undo, of one agreement. `digest` is the SHA-256 of exactly what is sent."""

    client = serializers.UUIDField(source="client_id")
    undoes = serializers.UUIDField(source="undoes_id", allow_null=True)
    batch = serializers.UUIDField(source="batch_id", allow_null=True)

    class Meta:
        model = PushRun
        fields: ClassVar[Sequence[str]] = (
            "id",
            "client",
            "agreement_id",
            "agreement_name",
            "state",
            "digest",
            "approved_digest",
            "undoes",
            "batch",
            "decided_as",
            "decided_at",
            "started_at",
            "finished_at",
            "error_text",
        )


class PushRunDetail(PushRunOut):
    """With the plan and its lines."""

    items = PushItemOut(many=True)
    plan = serializers.JSONField()

    class Meta(PushRunOut.Meta):
        fields = (*PushRunOut.Meta.fields, "items", "plan")


class PreviewOut(serializers.Serializer[Any]):
    """What would be written now, agreement by agreement."""

    mode = serializers.CharField()
    agreements = serializers.ListField(child=serializers.DictField())
    withheld = serializers.ListField(child=serializers.DictField())


class PushOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["asked", "waits_already"])


class RejectIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500, required=False)


class QuestionOut(serializers.ModelSerializer[Question]):
    """A change that is not pushed until somebody answers."""

    client = serializers.UUIDField(source="client_id")
    service = serializers.CharField(source="service.key")
    evidence = serializers.JSONField()

    class Meta:
        model = Question
        fields: ClassVar[Sequence[str]] = (
            "id",
            "client",
            "service",
            "agreement_id",
            "kind",
            "text",
            "current",
            "proposed",
            "evidence",
            "asked_at",
            "answer",
            "keep_until",
            "answered_at",
            "answered_as",
        )


class AnswerIn(serializers.Serializer[Any]):
    answer = serializers.ChoiceField(choices=Question.Answer.choices)
    until = serializers.DateField(required=False, help_text="For keep_until.")


class Preview(APIView):
    """What would be written now."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read"}
    more_errors: ClassVar[dict[str, str]] = {
        "409": "Something is not set up; `detail` says what.",
        "424": "The PSA did not answer, or refused; `detail` says which.",
    }

    @extend_schema(operation_id="billing_preview", responses=PreviewOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Reads the PSA; writes and stores nothing. 409 says what is not set up, 424 what the PSA answered."""
        try:
            return Response(previews.of_client(row_of(Client, request, pk)).as_json())
        except Refused as no:
            raise problem_of(no) from None


class Push(APIView):
    """Push one client now."""

    scopes: ClassVar[dict[str, str]] = {"POST": "billing:write"}

    @extend_schema(operation_id="billing_push", request=None, responses={202: PushOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """As its mode says: live writes, approve stores a plan that waits, observe stores the plan."""
        client = row_of(Client, request, pk)
        asked = synchronize.request(
            client, cause="button", by=Decider.of(actor_of(request)).author, at_once=True
        )
        return Response({"status": "asked" if asked else "waits_already"}, status=202)


class Runs(APIView):
    """List pushes."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read"}

    @extend_schema(
        operation_id="push_runs_list",
        parameters=[
            OpenApiParameter("client", OpenApiTypes.UUID),
            OpenApiParameter("state", OpenApiTypes.STR, enum=PushRun.State.values),
        ],
        responses=PushRunOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = PushRun.objects.visible_to(actor_of(request)).order_by("-id").defer("plan")
        if client := request.query_params.get("client"):
            rows = rows.filter(client=uuid_of(client, "client"))
        if state := request.query_params.get("state"):
            if state not in PushRun.State.values:
                raise Problem(
                    400, "unknown_value", f"“state” must be one of {', '.join(PushRun.State.values)}."
                )
            rows = rows.filter(state=state)
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(PushRunOut(page, many=True).data)


class OneRun(APIView):
    """One push."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read"}

    @extend_schema(operation_id="push_runs_read", responses=PushRunDetail)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(PushRunDetail(row_of(PushRun, request, pk)).data)


class Approve(APIView):
    """Approve one waiting plan."""

    scopes: ClassVar[dict[str, str]] = {"POST": "billing:approve"}

    @extend_schema(operation_id="push_runs_approve", request=None, responses={202: PushRunOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Exactly this plan is sent; when the PSA says something else by then, it is planned again and waits."""
        run = row_of(PushRun, request, pk, "client__partner")
        try:
            proposals.approve(run, by=Decider.of(actor_of(request)))
        except Refused as no:
            raise problem_of(no) from None
        run.refresh_from_db()
        return Response(PushRunOut(run).data, status=202)


class Reject(APIView):
    """Reject one waiting plan."""

    scopes: ClassVar[dict[str, str]] = {"POST": "billing:approve"}

    @extend_schema(operation_id="push_runs_reject", request=RejectIn, responses=PushRunOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        run = row_of(PushRun, request, pk, "client__partner")
        body = RejectIn(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            proposals.reject(
                run, by=Decider.of(actor_of(request)), text=body.validated_data.get("reason", "")
            )
        except Refused as no:
            raise problem_of(no) from None
        run.refresh_from_db()
        return Response(PushRunOut(run).data)


class Undo(APIView):
    """Undo one push."""

    scopes: ClassVar[dict[str, str]] = {"POST": "billing:write"}

    @extend_schema(operation_id="push_runs_undo", request=None, responses={202: PushRunOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Answers the run that undoes it: it is planned, then waits until it is approved."""
        run = row_of(PushRun, request, pk, "client__partner")
        try:
            undoing = undo.ask(run, by=Decider.of(actor_of(request)))
        except Refused as no:
            raise problem_of(no) from None
        return Response(PushRunOut(undoing).data, status=202)


class Questions(APIView):
    """List open questions."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read"}

    @extend_schema(operation_id="billing_questions_list", responses=QuestionOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        mine = Question.objects.visible_to(actor_of(request)).select_related("service")
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(questions.open_ones(mine).order_by("-id"), request, view=self)
        return pages.get_paginated_response(QuestionOut(page, many=True).data)


class AnswerOne(APIView):
    """Answer one question."""

    scopes: ClassVar[dict[str, str]] = {"POST": "billing:approve"}

    @extend_schema(operation_id="billing_questions_answer", request=AnswerIn, responses=QuestionOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        question = row_of(Question, request, pk, "service", "client__partner")
        body = AnswerIn(data=request.data)
        body.is_valid(raise_exception=True)
        if question.answer or question.settled_at:
            raise Problem(409, "not_open", "This question was answered or settled already.")
        try:
            questions.answer(
                question,
                body.validated_data["answer"],
                by=Decider.of(actor_of(request)),
                until=body.validated_data.get("until"),
            )
        except Refused as no:
            raise Problem(400, no.code, no.text) from None
        question.refresh_from_db()
        return Response(QuestionOut(question).data)
