"""How people sign in (asked by django-allauth)."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from portal import background, stepup, throttle
from portal.models import User

LETTERS = {
    "account/email/password_changed": "password_changed",
    "account/email/password_set": "password_changed",
    "account/email/password_reset": "password_changed",
    "mfa/email/totp_activated": "factor_added",
    "mfa/email/totp_deactivated": "factor_removed",
    "mfa/email/webauthn_added": "factor_added",
    "mfa/email/webauthn_removed": "factor_removed",
    "mfa/email/recovery_codes_generated": "codes_renewed",
}
"""allauth's occasions -> our letters (portal/letters.py)."""


class AccountAdapter(DefaultAccountAdapter):
    """People are invited by their partner or by staff; nobody signs up by himself."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_code": "This code is not right, or was used already. Codes change every 30 seconds.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str) -> bool:
        """`next` stays here: a path, never an address, not even one of ours."""
        return bool(url) and url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        return throttle.address_of(request) or "0.0.0.0"  # noqa: S104 - a name for “not known”

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Never from the request: its Host header is the caller's to choose."""
        return f"{settings.PORTAL_URL}/accounts/password/reset/key/{key}/"

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Who has a second factor confirms with it: a password alone may have been read over a shoulder."""
        methods = super().get_reauthentication_methods(user)
        factors = [method for method in methods if method["id"] != "reauthenticate"]
        return factors or methods

    def is_reauthentication_required(self, *, app: str, **more: Any) -> bool:
        return not stepup.is_fresh(self.request)

    def reauthenticate(self, user: Any, password: str) -> bool:
        return bool(user.check_password(password))

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Later and by the worker: a mail server that is down undoes nothing."""
        if isinstance(user, User) and (letter := LETTERS.get(template_prefix)):
            background.enqueue("portal.jobs.tell_person", str(user.pk), letter, "")
