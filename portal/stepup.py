"""Did this person prove just now who they are? (asked before keys, people and factors are changed).

Signing in counts, and so does entering the password again, or the second factor for those who have one. A session that
somebody took over later can look, and not change who gets in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from portal import clock

VERIFIED = "verified_at"
SAFE = {"GET", "HEAD", "OPTIONS"}
ON_POST: dict[str, str] = {
    "credentials_of": "",
    "person_new": "team",
    "person_change": "team",
    "person_reset_factor": "",
    "person_sign_out": "team",
    "second_factor_policy": "team",
    "token_new": "team",
    "impersonate": "",
    "webhook_new": "",
    "webhook": "",
    "webhook_rotate": "webhooks",
    "configuration_apply": "configuration",
    "change_connection": "",
    "mfa_remove_webauthn": "mfa_index",
    "mfa_deactivate_totp": "mfa_index",
    "admin:portal_user_change": "",
    "admin:portal_membership_add": "",
    "admin:portal_membership_change": "",
    "admin:portal_partner_add": "",
    "admin:portal_partner_change": "",
    "admin:auth_group_add": "",
    "admin:auth_group_change": "",
    "admin:portal_apitoken_changelist": "",
}
"""Routes whose forms need it, and the page to come back to (none: the form's own)."""
ALWAYS = {
    "account_change_password",
    "account_set_password",
    "admin:portal_user_add",
    "admin:auth_user_password_change",
    "admin:password_change",
    "admin:portal_apitoken_add",
}
"""Forms that are not even shown before: what was typed would be lost."""


def confirmed(request: HttpRequest, **signal: Any) -> None:
    """From now on it is fresh, for a while."""
    request.session[VERIFIED] = clock.now().timestamp()


def is_fresh(request: HttpRequest) -> bool:
    age = clock.now().timestamp() - request.session.get(VERIFIED, 0)
    return 0 <= age < settings.STEP_UP_MINUTES * 60


def note_reauthentication(request: HttpRequest, reauthenticated: bool = False, **signal: Any) -> None:
    """Receiver of allauth's `authentication_step_completed`."""
    if reauthenticated:
        confirmed(request)


def ask(request: HttpRequest, back: str) -> HttpResponse:
    """To the page that asks who they are, and from there back."""
    methods = get_adapter().get_reauthentication_methods(request.user)
    url = methods[0]["url"] if methods else reverse("account_login")
    target = f"{url}?{urlencode({'next': back})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": target})
    return HttpResponseRedirect(target)


class Middleware:
    """Asks again who somebody is, before what needs it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        match = request.resolver_match
        name = match.view_name if match else ""
        is_safe = request.method in SAFE
        if name not in ALWAYS and (is_safe or name not in ON_POST):
            return None
        if not request.user.is_authenticated or is_fresh(request):
            return None
        if not is_safe:
            messages.info(
                request, "Confirm that it is you, then send the form once more: nothing was changed yet."
            )
        back = reverse(ON_POST[name]) if ON_POST.get(name) else request.get_full_path()
        return ask(request, back)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What allauth's own pages ask for; what was posted is not kept, as allauth would, in the session."""
        if isinstance(exception, ReauthenticationRequired):
            return ask(request, request.get_full_path())
        return None
