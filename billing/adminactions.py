"""What the vendor's staff can do from the admin lists of billing: the operations of the pages, after a confirmation.

Rows of one partner at a time; what came of it is told row by row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from billing import preview as previews
from billing import proposals, questions, undo
from billing.decisions import Decider, Refused
from billing.models import PushItem, PushRun, Question
from billing.wanted import plain
from portal.models import Client, User

MOST_AT_ONCE = 500
MOST_PREVIEWS = 3
MOST_TOLD = 20
Act = Callable[[Any, HttpRequest, list[Any], Decider], tuple[str, Sequence[str]]]


class Operated:
    """Admin of rows that staff with the right to change pushes may act on."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("billing.change_pushrun"))


def confirmed(description: str, warning: str, *related: str) -> Callable[[Act], Any]:
    """An admin action that shows what is chosen and what it means, and acts when that is confirmed.

    The function answers a sentence about what was done, and one for each row that could not be.
    """

    def made(act: Act) -> Any:
        @admin.action(description=description, permissions=["operate"])
        @functools.wraps(act)
        def action(self: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            rows = list(queryset.select_related("partner", *related)[: MOST_AT_ONCE + 1])
            if len({row.partner_id for row in rows}) > 1 or len(rows) > MOST_AT_ONCE:
                text = f"Choose rows of one partner, at most {MOST_AT_ONCE}; nothing was done."
                self.message_user(request, text, messages.ERROR)
                return None
            if "confirmed" not in request.POST:
                return ask(self, request, act.__name__, description, warning, rows)
            assert isinstance(request.user, User)
            done, refused = act(self, request, rows, Decider.of(request.user))
            self.message_user(request, done, messages.SUCCESS)
            for text in refused[:MOST_TOLD]:
                self.message_user(request, text, messages.WARNING)
            return None

        return action

    return made


def ask(
    model_admin: Any,
    request: HttpRequest,
    action: str,
    title: str,
    warning: str,
    rows: Sequence[Any],
    shown: Sequence[Any] = (),
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "warning": warning,
        "rows": rows,
        "told": [(row, numbers_of(row)) for row in read_with_items(rows)],
        "partner": rows[0].partner if rows else None,
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
        "previews": shown,
        "opts": model_admin.model._meta,
    }
    return TemplateResponse(request, "billing/admin_confirm.html", context)


def read_with_items(rows: Sequence[Any]) -> Sequence[Any]:
    runs = [row for row in rows if isinstance(row, PushRun)]
    prefetch_related_objects(runs, Prefetch("items", PushItem.objects.select_related("service")))
    return rows


def numbers_of(row: Any) -> list[str]:
    """What a yes is to: each line's quantity before and after."""
    if isinstance(row, Question):
        return [f"{row.service}: {plain(row.current)} → {plain(row.proposed)}. {row.text}"]
    if not isinstance(row, PushRun):
        return []
    return [
        f"{item.service}: {item.before.get('quantity', '–')} → {item.after.get('quantity', 'text')}"
        for item in row.items.all()
        if item.after
    ]


class RunActions(Operated):
    """On pushes."""

    actions: Sequence[str] = ("approve", "reject", "undo")

    @confirmed("Approve", "Exactly these plans are sent to the PSA at once.", "client__partner")
    def approve(self, request: HttpRequest, rows: list[PushRun], by: Decider) -> tuple[str, Sequence[str]]:
        refused = proposals.approve_all(rows, by=by)
        return f"{len(rows) - len(refused)} plans were approved.", proposals.sentences(refused)

    @confirmed("Reject", "These plans are not sent.", "client__partner")
    def reject(self, request: HttpRequest, rows: list[PushRun], by: Decider) -> tuple[str, Sequence[str]]:
        refused = proposals.reject_all(rows, by=by, text="Rejected by the vendor's staff.")
        return f"{len(rows) - len(refused)} plans were rejected.", proposals.sentences(refused)

    @confirmed(
        "Undo", "Each is planned backwards, and sent when somebody approves that plan.", "client__partner"
    )
    def undo(self, request: HttpRequest, rows: list[PushRun], by: Decider) -> tuple[str, Sequence[str]]:
        refused = []
        for row in rows:
            try:
                undo.ask(row, by=by)
            except Refused as no:
                refused.append(f"{row.client}: {no.text}")
        return f"{len(rows) - len(refused)} undos are being planned; they wait for a yes.", refused


class QuestionActions(Operated):
    """On questions."""

    actions: Sequence[str] = ("push_it", "keep_the_old")

    @confirmed(
        "Push it", "The quantities that were asked about are pushed at once.", "client__partner", "service"
    )
    def push_it(self, request: HttpRequest, rows: list[Any], by: Decider) -> tuple[str, Sequence[str]]:
        return answered(rows, "push", by)

    @confirmed(
        "Keep the old", "The lines keep what they say until the usage changes.", "client__partner", "service"
    )
    def keep_the_old(self, request: HttpRequest, rows: list[Any], by: Decider) -> tuple[str, Sequence[str]]:
        return answered(rows, "keep", by)


def answered(rows: list[Any], answer: str, by: Decider) -> tuple[str, Sequence[str]]:
    count = questions.answer_all(rows, answer, by=by)
    left = len(rows) - count
    return f"{count} questions were answered.", [f"{left} were answered or settled before."] if left else []


class ClientActions(Operated):
    """On rows that belong to a billed client."""

    actions: Sequence[str] = ("preview", "push_now")

    @admin.action(description="Preview", permissions=["operate"])
    def preview(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Reads the PSA, within a short time; writes and stores nothing."""
        rows = list(queryset.select_related("partner", "client__partner")[: MOST_AT_ONCE + 1])
        is_much = len(rows) > MOST_AT_ONCE or len(clients_of(rows)) > MOST_PREVIEWS
        if is_much or len({row.partner_id for row in rows}) > 1:
            text = f"Choose at most {MOST_PREVIEWS} clients of one partner: each reads the PSA."
            self.message_user(request, text, messages.ERROR)  # type: ignore[attr-defined]
            return None
        shown: list[tuple[Client, previews.Preview | None, str]] = []
        for client in clients_of(rows):
            try:
                shown.append((client, previews.of_client(client), ""))
            except Refused as no:
                shown.append((client, None, no.text))
        warning = "Push now writes what is shown, as the mode of each client says."
        return ask(self, request, "push_now", "Preview", warning, rows, shown)

    @confirmed("Push now", "Each client is pushed at once, as its mode says.", "client__partner")
    def push_now(self, request: HttpRequest, rows: list[Any], by: Decider) -> tuple[str, Sequence[str]]:
        clients = clients_of(rows)
        if clients:
            previews.push_now(rows[0].partner, clients, by=by)
        return f"{len(clients)} clients are synchronized now, each as its mode says.", ()


def clients_of(rows: Sequence[Any]) -> list[Client]:
    return list({row.client_id: row.client for row in rows}.values())
