"""Staff look at the portal as one of a partner's people do (asked by middleware, the account list, the partner's log).

Needs a reason and a case number, ends by itself, is read-only unless that was asked for, never reaches staff, and both
names stand in the partner's audit log, which the partner reads.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from portal import audit, clock
from portal.models import Partner, User
from portal.pages import PICKED

SESSION = "impersonation"
LASTS = timedelta(minutes=30)
STOP = "/impersonation/stop"
CLOSED = ("/accounts/", "/admin/")
"""One's own password, second factor and the administration are nobody else's."""
KEYS_AND_PEOPLE = {
    "change_connection",
    "configuration_apply",
    "credentials_of",
    "person_change",
    "person_new",
    "person_reset_factor",
    "person_sign_out",
    "second_factor_policy",
    "token_new",
    "token_revoke",
    "webhook",
    "webhook_new",
    "webhook_rotate",
}
"""Pages whose forms are closed meanwhile, also when changes are allowed."""


@dataclass(frozen=True)
class Impersonation:
    """Who looks as whom, why, until when."""

    staff: User
    person: User
    reason: str
    case: str
    may_write: bool
    until: datetime


def begin(
    request: HttpRequest, person: User, partner: Partner, *, reason: str, case: str, may_write: bool
) -> None:
    """From the next request on the staff member sees what the person sees. Raises PermissionDenied when not allowed."""
    staff = request.user
    if not isinstance(staff, User) or not staff.is_staff or getattr(request, "impersonation", None):
        raise PermissionDenied("Only staff may impersonate, and only one person at a time.")
    if person.is_staff or not person.is_active or not person.memberships.filter(partner=partner).exists():
        raise PermissionDenied("Only people of this partner who may sign in can be impersonated.")
    until = clock.now() + LASTS
    audit.note(
        "impersonation.begin",
        actor=staff,
        on_behalf_of=person,
        partner_id=partner.pk,
        target=str(person.email),
        details={"reason": reason, "case": case, "may_write": may_write, "until": until.isoformat()},
    )
    request.session.cycle_key()
    request.session[SESSION] = {
        "person": str(person.pk),
        "partner": str(partner.pk),
        "reason": reason,
        "case": case,
        "may_write": may_write,
        "until": until.isoformat(),
    }
    request.session[PICKED] = str(partner.pk)


def end(request: HttpRequest) -> None:
    """Back to being oneself; harmless when nobody is impersonated."""
    kept = request.session.pop(SESSION, None)
    request.session.pop(PICKED, None)
    current: Impersonation | None = getattr(request, "impersonation", None)
    if kept is None or current is None:
        return
    request.session.cycle_key()
    audit.note(
        "impersonation.end",
        actor=current.staff,
        on_behalf_of=current.person,
        partner_id=uuid.UUID(kept["partner"]),
        target=current.person.email,
        details={"case": current.case},
    )


class Middleware:
    """Puts the impersonated person in the place of the staff member who looks, and keeps to the rules."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if SESSION not in request.session or not request.user.is_authenticated:
            return self.get_response(request)
        current = current_of(request)
        if current is None:
            request.session.pop(SESSION)
            request.session.pop(PICKED, None)
            messages.info(
                request, "You are yourself again: the time was over, or the person may not sign in any more."
            )
            return redirect("dashboard")
        request.impersonation = current  # type: ignore[attr-defined]
        if request.path != STOP:
            if request.path.startswith(CLOSED):
                messages.info(request, "Stop impersonating first: this page is your own.")
                return redirect("dashboard")
            if request.method not in {"GET", "HEAD", "OPTIONS"} and not current.may_write:
                messages.error(request, "You look, and do not change: this impersonation is read-only.")
                return redirect("dashboard")
            request.user = current.person
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        """Nobody sets a secret, makes a key or lets somebody in under another name."""
        match = request.resolver_match
        if getattr(request, "impersonation", None) is None or match is None:
            return None
        if match.url_name not in KEYS_AND_PEOPLE or request.method in {"GET", "HEAD", "OPTIONS"}:
            return None
        messages.error(request, "Stop impersonating first: keys, secrets and people are changed as oneself.")
        return redirect("dashboard")


def current_of(request: HttpRequest) -> Impersonation | None:
    """The impersonation of this session; None when it is over."""
    kept = request.session[SESSION]
    until = datetime.fromisoformat(kept["until"])
    staff = request.user
    person = User.objects.filter(
        pk=kept["person"], is_active=True, is_staff=False, memberships__partner=kept["partner"]
    ).first()
    if not isinstance(staff, User) or not staff.is_staff or person is None or clock.now() >= until:
        return None
    return Impersonation(staff, person, kept["reason"], kept["case"], kept["may_write"], until)
