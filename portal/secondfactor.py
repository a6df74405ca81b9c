"""Who needs a second factor, and is this code right? (asked by middleware, allauth and Team & Tokens).

Authenticator apps, passkeys and recovery codes are django-allauth's; its rows keep no secret in plain text. Ours is who
must have one, that a code counts once over all processes, and that a lost factor is taken away with a reason.
"""

from __future__ import annotations

import contextlib
import hmac
import struct
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from urllib.parse import urlencode

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from portal import audit, background, clock, sessions, throttle
from portal.access import is_vendor
from portal.encryption import DecryptionFailed, key_ring
from portal.models import Membership, Partner, User

HAS = "has_factor"
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
PENDING = "pending_factor"
PERIOD = 30
DRIFT = 1
"""A phone's clock may be half a minute off, either way."""
OPEN = ("/accounts/", "/api/", "/static/", "/hooks/", "/healthz", "/readyz", "/metrics", "/favicon.ico")
"""What a person without the factor that is demanded may still open: the way to one, and what asks nobody's session."""


class Refused(Exception):
    """What was asked for is not possible; the text says why."""


# --- Who must ---------------------------------------------------------------------------------------------------------


def has_one(person: User) -> bool:
    return Authenticator.objects.filter(user=person, type__in=FACTORS).exists()


def demanded_from(person: User) -> tuple[date, str] | None:
    """From which day on the person needs one, and who says so; None when nobody does."""
    if is_vendor(person):
        return (date.min, "The vendor") if settings.STAFF_SECOND_FACTOR else None
    dates = [
        (row.partner.second_factor_from, row.partner.name)
        for row in person.standings
        if row.partner.second_factor_from
    ]
    return min(dates) if dates else None


def must_now(person: User) -> bool:
    """Whether the day has come, by the calendar of a partner that demands it."""
    if is_vendor(person):
        return settings.STAFF_SECOND_FACTOR
    return any(
        row.partner.second_factor_from <= clock.today_in(row.partner.time_zone)
        for row in person.standings
        if row.partner.second_factor_from
    )


def set_policy(partner: Partner, on: date | None, *, by: User) -> None:
    """From that day on (None: not at all) everybody at this partner needs a second factor."""
    Partner.objects.filter(pk=partner.pk).update(second_factor_from=on)
    audit.note(
        "second factor demanded" if on else "second factor voluntary",
        actor=by,
        partner_id=partner.pk,
        target=partner.name,
        details={"from": on.isoformat() if on else ""},
    )


class Middleware:
    """Leads people who must have a second factor, and have none, to setting one up before anything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(OPEN) or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        person = request.user
        if not isinstance(person, User) or request.session.get(HAS):
            return self.get_response(request)
        demanded = demanded_from(person)
        if demanded is None:
            return self.get_response(request)
        if has_one(person):
            request.session[HAS] = True
        elif must_now(person):
            messages.warning(request, f"{demanded[1]} asks for a second factor. Set one up to go on.")
            return led_to_setup(request)
        else:
            request.factor_due = demanded  # type: ignore[attr-defined]
        return self.get_response(request)


def led_to_setup(request: HttpRequest) -> HttpResponse:
    back = request.get_full_path() if request.method == "GET" else "/"
    target = f"{reverse('mfa_index')}?{urlencode({'next': back})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": target})
    return HttpResponseRedirect(target)


# --- What happened to a factor (receivers of allauth's and Django's signals) ------------------------------------------


def note_sign_in(request: HttpRequest, user: User, **signal: Any) -> None:
    request.session[HAS] = has_one(user)


def added(request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any) -> None:
    request.session[HAS] = has_one(user)
    written(request, user, "second factor added", authenticator)
    sessions.end_others(request, user)


def removed(request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any) -> None:
    request.session[HAS] = has_one(user)
    written(request, user, "second factor removed", authenticator)
    sessions.end_others(request, user)


def renewed(request: HttpRequest, user: User, authenticator: Authenticator, **signal: Any) -> None:
    written(request, user, "recovery codes renewed", authenticator)


def written(request: HttpRequest, person: User, action: str, authenticator: Authenticator) -> None:
    """In the log of each partner the person belongs to, else in the installation's."""
    details = {"type": authenticator.get_type_display(), "address": throttle.address_of(request)}
    partners: list[uuid.UUID | None] = [*sorted(person.partner_ids)]
    for partner_id in partners or [None]:
        audit.note(action, actor=person, partner_id=partner_id, target=person.email, details=details)


# --- A lost factor ----------------------------------------------------------------------------------------------------


def reset(person: User, *, by: object, reason: str, partner: Partner | None) -> int:
    """Take all factors of a person away who lost them; the person is told, and out everywhere. Returns how many."""
    with transaction.atomic():
        count, _ = Authenticator.objects.filter(user=person).delete()
        audit.note(
            "second factor reset",
            actor=by,
            partner_id=partner.pk if partner else None,
            target=person.email,
            details={"reason": reason, "factors": count},
        )
        sessions.end(person.sign_ins.all())
        background.enqueue("portal.jobs.tell_person", str(person.pk), "factor_reset", reason)
    return count


def check_may_reset(membership: Membership, *, by: User) -> None:
    """Raises Refused when the person is more than this partner's: others' doors would stand open too."""
    person = membership.user
    if person.pk == by.pk:
        raise Refused("Your own factors are on the page Sign-in and security.")
    if person.is_staff:
        raise Refused("This person belongs to the vendor. Ask the vendor’s support.")
    theirs = set(person.memberships.values_list("partner_id", flat=True))
    if not is_vendor(by) and not theirs <= by.managed_partner_ids:
        raise Refused(f"{person.email} works for other partners too. Ask the vendor’s support.")


# --- What allauth asks us ---------------------------------------------------------------------------------------------


class Adapter(DefaultMFAAdapter):
    """Secrets of factors lie in the database as all our secrets do."""

    def encrypt(self, text: str) -> str:
        return key_ring().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return key_ring().decrypt(encrypted_text.encode()).decode()
        except InvalidToken as error:
            raise DecryptionFailed(
                "A second factor cannot be read: FIELD_ENCRYPTION_KEYS lacks the key it was written with."
            ) from error

    def get_totp_issuer(self) -> str:
        return "PSA Portal"

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"


def counter_of(secret: str, code: str) -> int | None:
    """The step of time (RFC 6238) whose code this is, among those near now."""
    now = int(clock.now().timestamp()) // PERIOD
    found = None
    for counter in range(now - DRIFT, now + DRIFT + 1):
        if hmac.compare_digest(format_hotp_value(hotp_value(secret, counter)), code):
            found = counter
    return found


def accepts(row: Authenticator, code: str) -> bool:
    """Whether a code is right and was not used before; the row is locked. It is used up now."""
    if row.type == Authenticator.Type.RECOVERY_CODES:
        return bool(row.wrap().validate_code(code))
    counter = counter_of(Adapter().decrypt(row.data["secret"]), code)
    if counter is None or counter <= row.data.get("used", -1):
        return False
    row.data["used"] = counter
    row.save(update_fields=["data"])
    return True


def plain(code: str) -> str:
    """People type codes in groups."""
    return "".join(code.split()).replace("-", "")[:20]


class Code:
    """A form's code, checked once over all processes: two requests with the same code never both pass."""

    user: User
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        code = plain(self.cleaned_data["code"])
        with transaction.atomic():
            rows = Authenticator.objects.select_for_update().filter(user=self.user)
            for row in rows.exclude(type=Authenticator.Type.WEBAUTHN).order_by("pk"):
                if code.isascii() and accepts(row, code):
                    self.authenticator = row
                    return code
        raise Adapter().validation_error("incorrect_code")


class SignInCode(Code, AuthenticateForm):
    """After the password."""


class ConfirmCode(Code, ReauthenticateForm):
    """Before something that needs it."""


class Passkey:
    """A form's answer of a browser; whatever is no such answer is refused in words, as a false signature is."""

    def clean_credential(self) -> Any:
        with refused_in_words():
            return super().clean_credential()  # type: ignore[misc]


class SignInPasskey(Passkey, AuthenticateWebAuthnForm):
    """After the password."""


class ConfirmPasskey(Passkey, ReauthenticateWebAuthnForm):
    """Before something that needs it."""


class LoginPasskey(Passkey, LoginWebAuthnForm):
    """Without a password."""


class NewPasskey(AddWebAuthnForm):
    """One more passkey."""

    def clean(self) -> dict[str, Any]:
        with refused_in_words():
            return super().clean()


@contextlib.contextmanager
def refused_in_words() -> Iterator[None]:
    """What allauth and fido2 raise for answers that no browser gives."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, struct.error, InvalidSignature) as error:
        raise Adapter().validation_error("incorrect_code") from error


class ActivateForm(ActivateTOTPForm):
    """The first code of a new authenticator app. Until then its secret waits in the session, encrypted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super(ActivateTOTPForm, self).__init__(*args, **{k: v for k, v in kwargs.items() if k != "user"})
        self.user = kwargs["user"]
        self.secret = pending_secret(context.request, is_new=not self.is_bound)

    def clean_code(self) -> str:
        code = plain(self.cleaned_data["code"])
        self.counter = counter_of(self.secret, code) if code.isascii() else None
        if self.counter is None:
            raise Adapter().validation_error("incorrect_code")
        return code


def pending_secret(request: HttpRequest, *, is_new: bool) -> str:
    """The secret that the person is about to put into an app; a new one for each look at the page."""
    kept = request.session.get(PENDING)
    if kept and not is_new:
        return Adapter().decrypt(kept)
    secret = generate_totp_secret()
    request.session[PENDING] = Adapter().encrypt(secret)
    return secret
