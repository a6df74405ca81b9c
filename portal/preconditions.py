"""`ETag` and `If-Match`: a change is made only to what its sender has seen (asked by every REST call on settings).

The ETag of a resource is a digest of what a GET answers, without what moves by itself (`VOLATILE`). A PUT, PATCH or
DELETE with an `If-Match` that does not name it is answered with 412 and changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from portal.models import Partner
from portal.rest import Problem, actor_of

if TYPE_CHECKING:
    from rest_framework.views import APIView as Base
else:
    Base = object

TAG = re.compile(r'^(?:W/)?"([\x21\x23-\x7e]*)"$')
CHANGES = {"PUT", "PATCH", "DELETE"}
VOLATILE = frozenset({"matched_at", "dropped", "held", "on_until", "still_failing", "last_signed_in_at"})
"""Fields that tell what happened, not what is set."""


def quoted(digest: str) -> str:
    return f'"{digest}"'


def wanted(request: Request) -> str | None:
    """What `If-Match` names: the inside of one tag, or `*`; None without the header. Raises Problem."""
    text = request.headers.get("If-Match")
    if text is None:
        return None
    text = text.strip()
    if text == "*":
        return text
    found = [TAG.match(part.strip()) for part in text.split(",")]
    tags = [hit[1] for hit in found if hit]
    if len(tags) != len(found) or len(tags) != 1:
        raise Problem(400, "invalid_if_match", "If-Match is one ETag in quotes, as a GET answered it, or *.")
    if text.startswith("W/"):
        raise failed("A weak ETag is not enough to change anything.")
    return tags[0]


def failed(detail: str) -> Problem:
    return Problem(412, "changed_meanwhile", detail)


def digest_of(data: Any) -> str:
    """Of what a GET answers, as far as it is set by somebody."""
    said = json.dumps(settled(data), sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def settled(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: settled(value) for name, value in data.items() if name not in VOLATILE}
    return [settled(value) for value in data] if isinstance(data, list | tuple) else data


def lock_for(actor: Any) -> None:
    """Until the transaction ends nobody else with an `If-Match` changes what this one may: its partner's, or, with a
    vendor-wide token, anybody's. Rows of other tables that point to partners go in all the same.
    """
    rows = Partner.objects.select_for_update(no_key=True).order_by("pk")
    partner = getattr(actor, "partner_id", None)
    list((rows.filter(pk=partner) if partner else rows).values_list("pk", flat=True))


class Guarded(Base):
    """A view with GET and PUT, PATCH or DELETE of the same thing. `state` is what its ETag stands for.

    Two that send the same If-Match at once come one after the other (`lock_for`). What is
    taken back when a call is refused begins after it was counted: wrong tokens and requests stay counted.
    """

    held: ExitStack | None = None
    is_begun = False

    answers_itself = True
    """Whether what PUT and PATCH answer is what GET would; then they answer the new ETag too."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method not in CHANGES or "If-Match" not in request.headers:
            return super().dispatch(request, *args, **kwargs)
        with ExitStack() as self.held:
            response = super().dispatch(request, *args, **kwargs)
            if response.status_code >= 400 and self.is_begun:
                transaction.set_rollback(True)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        tag = wanted(request) if request.method in CHANGES else None
        if tag is None or self.held is None:
            return
        self.held.enter_context(transaction.atomic())
        self.is_begun = True
        lock_for(actor_of(request))
        if digest_of(self.state(request, *args, **kwargs)) != tag and tag != "*":
            raise failed("This was changed since you read it; nothing was changed now. Read it again.")

    def state(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.get(request, *args, **kwargs).data  # type: ignore[attr-defined]

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        found = super().finalize_response(request, response, *args, **kwargs)
        is_told = request.method in ("GET", "HEAD") or (self.answers_itself and request.method in CHANGES)
        if is_told and found.status_code == 200:
            found["ETag"] = quoted(digest_of(self.shown(request, found)))
        return found

    def shown(self, request: Any, response: Response) -> Any:
        return response.data


class GuardedList(Guarded):
    """A list whose entries are set by PUT on the list: its ETag stands for all entries, not for a page of them."""

    answers_itself = False

    def rows(self, request: Request) -> Any:
        raise NotImplementedError

    def state(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return list(self.rows(request).order_by("pk").values_list("pk", "updated_at"))

    def shown(self, request: Any, response: Response) -> Any:
        return self.state(request)
