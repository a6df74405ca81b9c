"""Where is a person signed in, and who may end it? (asked by middleware, the page Sign-ins, Team & Tokens).

A sign-in and its session live together: ending one deletes the session's row, so its next request is nobody's. It ends
by itself after SESSION_IDLE_MINUTES without a request and SESSION_HOURS after it began.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from portal import clock
from portal.models import SignIn, User
from portal.throttle import address_of

KEPT = "sign_in"
NOTED_EVERY = 60
REMEMBERED = timedelta(days=90)
BROWSERS = (
    ("Edge", r"\bEdg"),
    ("Opera", r"\bOPR/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/"),
    ("Safari", r"Safari/"),
)
SYSTEMS = (
    ("iPhone or iPad", r"iPhone|iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux"),
)


def begin(request: HttpRequest, user: User, **signal: Any) -> None:
    """Receiver of `user_logged_in`: a new sign-in, and an old one of this browser ends."""
    old = request.session.get(KEPT)
    if old:
        end(SignIn.objects.filter(pk=old["id"]))
    if request.session.session_key is None:
        request.session.save()
    now = clock.now()
    row = SignIn.objects.create(
        user=user,
        session_key=request.session.session_key,
        began_at=now,
        seen_at=now,
        address=address_of(request),
        browser=in_words(request.META.get("HTTP_USER_AGENT", "")),
    )
    stamp = now.timestamp()
    request.session[KEPT] = {"id": str(row.pk), "key": row.session_key, "began": stamp, "seen": stamp}


def ended(request: HttpRequest, **signal: Any) -> None:
    """Receiver of `user_logged_out`."""
    kept = request.session.get(KEPT)
    if kept:
        end(SignIn.objects.filter(pk=kept["id"]))


def open_of(person: User) -> QuerySet[SignIn]:
    """Where the person is signed in at present, the most recently used first."""
    since = clock.now() - timedelta(minutes=settings.SESSION_IDLE_MINUTES)
    alive = Session.objects.filter(expire_date__gt=clock.now()).values("session_key")
    return person.sign_ins.filter(session_key__in=alive, seen_at__gt=since)


def end(sign_ins: QuerySet[SignIn]) -> int:
    """These browsers are out at their next request; returns how many were in."""
    with transaction.atomic():
        rows = list(sign_ins.filter(session_key__isnull=False).select_for_update())
        Session.objects.filter(session_key__in=[row.session_key for row in rows]).delete()
        SignIn.objects.filter(pk__in=[row.pk for row in rows]).update(session_key=None, ended_at=clock.now())
    return len(rows)


def end_others(request: HttpRequest, user: User, **signal: Any) -> None:
    """All but this browser; receiver of allauth's signals that a password or factor changed."""
    end(others(request, user))


def others(request: HttpRequest, user: User) -> QuerySet[SignIn]:
    """A person's sign-ins but that of this browser."""
    this = id_of(request)
    return user.sign_ins.exclude(pk=this) if this else user.sign_ins.all()


def id_of(request: HttpRequest) -> uuid.UUID | None:
    """The sign-in of this browser."""
    kept = request.session.get(KEPT)
    return uuid.UUID(kept["id"]) if kept else None


def forget() -> None:
    """Sign-ins of long ago, which nobody's sign-in is compared with any more."""
    SignIn.objects.filter(seen_at__lt=clock.now() - REMEMBERED).delete()


def in_words(agent: str) -> str:
    """What browser on what system a User-Agent names."""
    browser = next((name for name, pattern in BROWSERS if re.search(pattern, agent)), "")
    system = next((name for name, pattern in SYSTEMS if re.search(pattern, agent)), "")
    return " on ".join(part for part in (browser, system) if part) or "unknown browser"


class Middleware:
    """Ends what was idle or open for too long; notes that a sign-in is in use, at most once a minute."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return self.get_response(request)
        kept = request.session.get(KEPT)
        if kept is None:
            begin(request, request.user)
            kept = request.session[KEPT]
        if text := over(kept):
            logout(request)
            messages.info(request, text)
        elif clock.now().timestamp() - kept["seen"] >= NOTED_EVERY and not note(request):
            logout(request)
        response = self.get_response(request)
        now = request.session.get(KEPT)
        if now and now["key"] != request.session.session_key and not note(request):
            request.session.flush()
        return response


def over(kept: dict[str, Any]) -> str:
    """Why this sign-in is over; nothing when it is not."""
    now = clock.now().timestamp()
    if now - kept["began"] >= settings.SESSION_HOURS * 3600:
        return f"You were signed out: a sign-in lasts {settings.SESSION_HOURS} hours."
    if now - kept["seen"] >= settings.SESSION_IDLE_MINUTES * 60:
        return f"You were signed out after {settings.SESSION_IDLE_MINUTES} minutes without a click."
    return ""


def note(request: HttpRequest) -> bool:
    """Still in use, perhaps under a new key of its session; False when somebody ended it meanwhile."""
    kept = request.session[KEPT]
    if request.session.session_key is None:
        return False
    found = SignIn.objects.filter(pk=kept["id"], session_key__isnull=False)
    if not found.update(seen_at=clock.now(), session_key=request.session.session_key):
        return False
    stamp = clock.now().timestamp()
    request.session[KEPT] = {**kept, "key": request.session.session_key, "seen": stamp}
    return True
