"""How many requests may a token still send this minute, over all web processes (asked by the REST API).

A row a token and minute counts them. A process sets aside a sixtieth of the minute's requests at once and counts in
memory from there, so that a busy token costs a write a second and not one a request. What a process does not use of
that is lost with the minute.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from rest_framework.throttling import BaseThrottle

from portal import clock, database
from portal.models import Allowance, ApiToken

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

MINUTE = 60
PARTS = 60


@dataclass
class _SetAside:
    minute: int
    left: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Standing:
    """What the headers say: requests allowed in the minute, about how many are left, seconds until the next minute."""

    limit: int
    left: int
    reset: int
    is_allowed: bool


_ours: dict[uuid.UUID, _SetAside] = {}
_lock = threading.Lock()


def take(token: ApiToken) -> Standing:
    """Count one request of this token; refused ones are not counted."""
    now = clock.now().timestamp()
    minute, reset = int(now // MINUTE), int(MINUTE - now % MINUTE) + 1
    limit = token.requests_a_minute or settings.API_REQUESTS_A_MINUTE
    with _lock:
        ours = _ours.get(token.pk)
        if ours is None or ours.minute != minute:
            ours = _ours[token.pk] = _SetAside(minute)
        if ours.left <= 0:
            ours.left, ours.taken = set_aside(token, minute, limit)
        is_allowed = ours.left > 0
        ours.left -= is_allowed
        return Standing(limit, max(limit - ours.taken, 0) + ours.left, reset, is_allowed)


def set_aside(token: ApiToken, minute: int, limit: int) -> tuple[int, int]:
    """How many requests this process got, and how many all have by now. One write, two in a new minute."""
    wanted = max(limit // PARTS, 1)
    with transaction.atomic():
        row = Allowance.objects.select_for_update().filter(token=token, minute=minute).first()
        if row is None:
            database.insert_new([Allowance(token=token, minute=minute, most=limit)])
            row = Allowance.objects.select_for_update().get(token=token, minute=minute)
        got = max(min(wanted, min(limit, row.most) - row.taken), 0)
        if got:
            Allowance.objects.filter(pk=row.pk).update(taken=F("taken") + got)
    return got, row.taken + got


def forget() -> None:
    """Minutes that are over."""
    Allowance.objects.filter(minute__lt=int(clock.now().timestamp() // MINUTE) - 1).delete()


class PerToken(BaseThrottle):
    """Refuses what is beyond the token's minute; the answer says when to come again."""

    reset = 0

    def allow_request(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ApiToken):
            return True
        standing = take(request.auth)
        self.reset = standing.reset
        request._request.rate_limit = standing  # type: ignore[attr-defined]
        return standing.is_allowed

    def wait(self) -> float:
        return self.reset


class Headers:
    """Middleware: `RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) on every answer to a token."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = self.get_response(request)
        standing: Standing | None = getattr(request, "rate_limit", None)
        if standing is not None:
            response["RateLimit-Limit"] = str(standing.limit)
            response["RateLimit-Remaining"] = str(standing.left)
            response["RateLimit-Reset"] = str(standing.reset)
        return response
