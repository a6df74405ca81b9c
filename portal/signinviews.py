"""Pages of signing in: password, second factor, confirming, a forgotten password; one's own factors and sign-ins.

django-allauth's views with our pages; what they let pass is counted by portal/throttle.py.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from portal import background, pages, secondfactor, sessions, throttle
from portal.forms import WayBackForm
from portal.pages import PageRequest
from portal.throttle import Try

PAGES = "portal/account"


class Counted:
    """A view whose posts are tries: counted before they are looked at, taken back when they were right."""

    request: Any
    tries: tuple[Try, ...] = ()

    def post(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.tries = self.counted_for()
        if wait := throttle.take(*self.tries):
            return throttle.too_many(request, wait)
        return super().post(request, *args, **kwargs)  # type: ignore[misc]

    def form_valid(self, form: Any) -> HttpResponse:
        throttle.passed(*self.tries)
        return super().form_valid(form)  # type: ignore[misc]

    def counted_for(self) -> tuple[Try, ...]:
        raise NotImplementedError


class OfPerson(Counted):
    """Counted for the person who is signed in."""

    def counted_for(self) -> tuple[Try, ...]:
        return (throttle.of_person("confirm", self.request.user.pk),)


class OfAddress(Counted):
    """Counted for the network address."""

    def counted_for(self) -> tuple[Try, ...]:
        return (Try("address", throttle.address_of(self.request)),)


# --- In ---------------------------------------------------------------------------------------------------------------


class LoginView(Counted, account.LoginView):
    template_name = f"{PAGES}/login.html"

    def counted_for(self) -> tuple[Try, ...]:
        return throttle.of_password(self.request.POST.get("login", ""), throttle.address_of(self.request))


class AuthenticateView(Counted, mfa.AuthenticateView):
    """The second factor, after the password."""

    template_name = f"{PAGES}/factor.html"

    def counted_for(self) -> tuple[Try, ...]:
        return (throttle.of_person("factor", self.stage.login.user.pk),)


class PasskeyLoginView(OfAddress, webauthn.LoginWebAuthnView):
    """With a passkey alone."""


# --- Once more --------------------------------------------------------------------------------------------------------


class ConfirmPasswordView(OfPerson, account.ReauthenticateView):
    template_name = f"{PAGES}/confirm.html"


class ConfirmCodeView(OfPerson, mfa.ReauthenticateView):
    template_name = f"{PAGES}/confirm.html"


class ConfirmPasskeyView(OfPerson, webauthn.ReauthenticateWebAuthnView):
    template_name = f"{PAGES}/confirm_passkey.html"


# --- Passwords --------------------------------------------------------------------------------------------------------


class PasswordResetView(account.PasswordResetView):
    """Says and takes the same for everybody: who it is, is looked up later, by the worker."""

    template_name = f"{PAGES}/password_reset.html"
    form_class = WayBackForm

    def form_valid(self, form: Any) -> HttpResponse:
        email = form.cleaned_data["email"].strip().lower()
        if wait := throttle.take(Try("reset address", throttle.address_of(self.request))):
            return throttle.too_many(self.request, wait)
        if not throttle.take(Try("reset", email)):
            background.enqueue("portal.jobs.mail_way_back", email)
        return redirect("account_reset_password_done")


class PasswordResetFromKeyView(OfAddress, account.PasswordResetFromKeyView):
    template_name = f"{PAGES}/password_reset_from_key.html"


class PasswordChangeView(OfPerson, account.PasswordChangeView):
    template_name = f"{PAGES}/password_change.html"
    success_url = reverse_lazy("mfa_index")


# --- One's own factors ------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def security(request: PageRequest) -> HttpResponse:
    """Password, second factor, recovery codes."""
    rows = list(Authenticator.objects.filter(user=request.user).order_by("created_at"))
    of = {kind: [row for row in rows if row.type == kind] for kind in Authenticator.Type.values}
    recovery = of["recovery_codes"][0] if of["recovery_codes"] else None
    context = {
        "totp": of["totp"][0] if of["totp"] else None,
        "passkeys": of["webauthn"],
        "recovery": recovery,
        "codes_left": len(recovery.wrap().get_unused_codes()) if recovery else 0,
        "has_factor": bool(of["totp"] or of["webauthn"]),
        "demanded": secondfactor.demanded_from(request.user),
        "must_now": secondfactor.must_now(request.user),
        "onward": local(request.GET.get("next", "")),
    }
    return pages.show(request, f"{PAGES}/security.html", context)


def local(path: str) -> str:
    is_ours = path.startswith("/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None)
    return path if is_ours else ""


class ActivateView(OfPerson, totp.ActivateTOTPView):
    """An authenticator app: QR code, the secret as text, the first code."""

    template_name = f"{PAGES}/app_add.html"

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        self.request.session.pop(secondfactor.PENDING, None)
        row = Authenticator.objects.get(user=self.request.user, type=Authenticator.Type.TOTP)
        row.data["used"] = form.counter
        row.save(update_fields=["data"])
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_context_data(**kwargs)
        secret = found["form"].secret
        return {**found, "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))}


class DeactivateView(totp.DeactivateTOTPView):
    template_name = f"{PAGES}/app_remove.html"


class PasskeyAddView(OfPerson, webauthn.AddWebAuthnView):
    template_name = f"{PAGES}/passkey_add.html"


class PasskeyRemoveView(webauthn.RemoveWebAuthnView):
    template_name = f"{PAGES}/passkey_remove.html"
    success_url = reverse_lazy("mfa_index")


class PasskeyEditView(webauthn.EditWebAuthnView):
    template_name = f"{PAGES}/passkey_edit.html"
    success_url = reverse_lazy("mfa_index")


class CodesView(codes.ViewRecoveryCodesView):
    """Shown once; the file to keep is inside the page, so nothing hands it out a second time."""

    template_name = f"{PAGES}/codes.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().get_context_data(**kwargs)
        lines = [f"Recovery codes for PSA Portal, {self.request.user.email}", "", *found["unused_codes"], ""]
        found["file"] = "data:text/plain;charset=utf-8," + quote("\r\n".join(lines))
        return found


class CodesNewView(codes.GenerateRecoveryCodesView):
    template_name = f"{PAGES}/codes_new.html"


# --- One's own sign-ins -----------------------------------------------------------------------------------------------


@require_safe
@pages.page
def sign_ins(request: PageRequest) -> HttpResponse:
    """Where one is signed in."""
    context = {"sign_ins": sessions.open_of(request.user)[:100], "this": sessions.id_of(request)}
    return pages.show(request, f"{PAGES}/sign_ins.html", context)


@require_POST
@pages.page
def sign_in_end(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """One of one's own browsers is out."""
    row = request.user.sign_ins.filter(pk=pk)
    if not row.exists():
        raise Http404
    sessions.end(row)
    messages.success(request, "That browser is signed out.")
    return redirect("sign_ins")


@require_POST
@pages.page
def sign_ins_end_others(request: PageRequest) -> HttpResponse:
    """All of one's own browsers but this one are out."""
    count = sessions.end(sessions.others(request, request.user))
    messages.success(request, f"Signed out: {count} other browser{'' if count == 1 else 's'}.")
    return redirect("sign_ins")
