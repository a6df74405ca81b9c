"""Pages about people: the Account List, impersonation, Team & Tokens, the Audit Log."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import accountlist, clock, impersonation, pages, secondfactor, sessions, team, tokens
from portal.forms import (
    AccountSearch,
    FactorResetForm,
    ImpersonationForm,
    InvitationForm,
    SecondFactorPolicyForm,
    TokenForm,
)
from portal.models import Account, ApiToken, AuditEntry, Membership, Partner, Role, User
from portal.pages import PageRequest

# --- Account List -----------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def accounts(request: PageRequest) -> HttpResponse:
    """Account List (Detailed View): [E] leads to an account's events, [I] to impersonation."""
    form = AccountSearch(request.GET)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    mine = pages.rows(request, Account).select_related("client", "partner")
    page = pages.page_of(request, accountlist.search(mine, text), by="key", within=mine, descending=False)
    return pages.show(
        request, "portal/accounts.html", {"page": page, "form": form, "is_staff": request.user.is_staff}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def impersonate(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Staff choose a person of a partner, and say why."""
    if not request.user.is_staff:
        raise Http404
    partner = pages.partners_of(request.user).filter(pk=pk).first()
    if partner is None:
        raise Http404
    form = ImpersonationForm(pages.posted(request), partner=partner)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        impersonation.begin(
            request,
            asked["person"].user,
            partner,
            reason=asked["reason"],
            case=asked["case"],
            may_write=asked["may_write"],
        )
        return redirect("dashboard")
    return pages.show(request, "portal/impersonate.html", {"form": form, "whose": partner})


@require_POST
@pages.page
def stop_impersonating(request: PageRequest) -> HttpResponse:
    impersonation.end(request)
    return redirect("dashboard")


# --- Team & Tokens ----------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def people(request: PageRequest) -> HttpResponse:
    """Who may see this partner, and which machines."""
    return show_team(request)


def show_team(request: PageRequest, **more: Any) -> HttpResponse:
    partner = here(request)
    factors = Authenticator.objects.filter(user=OuterRef("user"), type__in=secondfactor.FACTORS)
    members = Membership.objects.filter(partner=partner).select_related("user").order_by("user__email")
    since = partner.second_factor_from
    context = {
        "members": members.annotate(has_factor=Exists(factors)),
        "policy": SecondFactorPolicyForm(initial={"must": since is not None, "since": since}),
        "tokens": ApiToken.objects.filter(partner=partner).order_by("revoked_at", "-created_at")[:200],
        "roles": Role.choices,
        "invitation": InvitationForm(),
        "new_token": TokenForm(),
        "now": clock.now(),
        **more,
    }
    return pages.show(request, "portal/team.html", context)


def here(request: PageRequest) -> Partner:
    assert request.partner is not None
    return request.partner


@require_POST
@pages.partner_page
def person_new(request: PageRequest) -> HttpResponse:
    pages.require_manager(request, here(request))
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return show_team(request, invitation=form)
    try:
        member, is_mailed = team.invite(here(request), form.cleaned_data["email"], form.cleaned_data["role"])
    except team.Refused as refusal:
        form.add_refusal("email", str(refusal))
        return show_team(request, invitation=form)
    if is_mailed:
        messages.success(request, f"{member.user.email} is a member now; a mail says how to sign in.")
    else:
        text = "is a member now, but the mail could not be sent. “Forgot password” on the sign-in page sends it again."
        messages.warning(request, f"{member.user.email} {text}")
    return redirect("team")


@require_POST
@pages.page
def person_change(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Another role, or out."""
    row = pages.get_row(request, Membership, pk, "user")
    pages.require_manager(request, row.partner)
    role = request.POST.get("role", "")
    try:
        if "remove" in request.POST:
            team.remove(row)
            messages.success(request, f"{row.user.email} does not see {row.partner} any more.")
        elif role in Role.values:
            team.change_role(row, role)
            messages.success(request, f"{row.user.email} is {Role(role).label} now.")
    except team.Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("team")


@require_POST
@pages.page
def person_sign_out(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """A member is out in every browser; they may sign in again."""
    row = pages.get_row(request, Membership, pk, "user")
    pages.require_manager(request, row.partner)
    if row.user.is_staff and not request.user.is_staff:
        raise Http404
    count = sessions.end(row.user.sign_ins.all())
    messages.success(request, f"{row.user.email} is signed out ({count} browser{'' if count == 1 else 's'}).")
    return redirect("team")


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def person_reset_factor(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """A member lost the second factor: taken away with a reason."""
    row = pages.get_row(request, Membership, pk, "user")
    pages.require_manager(request, row.partner)
    form = FactorResetForm(pages.posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            secondfactor.check_may_reset(row, by=request.user)
        except secondfactor.Refused as refusal:
            messages.error(request, str(refusal))
            return redirect("team")
        secondfactor.reset(row.user, by=request.user, reason=form.cleaned_data["reason"], partner=row.partner)
        messages.success(request, f"{row.user.email} has no second factor any more, and was told by e-mail.")
        return redirect("team")
    return pages.show(request, "portal/factor_reset.html", {"form": form, "member": row}, partner=row.partner)


@require_POST
@pages.partner_page
def second_factor_policy(request: PageRequest) -> HttpResponse:
    """Must everybody here sign in with a second factor, and from when on?"""
    pages.require_manager(request, here(request))
    form = SecondFactorPolicyForm(request.POST)
    if not form.is_valid():
        return show_team(request, policy=form)
    since = form.cleaned_data["since"] if form.cleaned_data["must"] else None
    secondfactor.set_policy(here(request), since, by=request.user)
    messages.success(
        request,
        f"From {since:%Y-%m-%d} on everybody signs in with a second factor."
        if since
        else "It is voluntary now.",
    )
    return redirect("team")


@require_POST
@pages.partner_page
def token_new(request: PageRequest) -> HttpResponse:
    """The token's text is shown once, on the answer to this request."""
    pages.require_manager(request, here(request))
    form = TokenForm(request.POST)
    if not form.is_valid():
        return show_team(request, new_token=form)
    asked = form.cleaned_data
    token, text = tokens.issue_token(
        asked["name"],
        partner=here(request),
        scopes=asked["scopes"],
        expires_at=clock.now() + timedelta(days=int(asked["days"])) if asked["days"] else None,
        by=request.user,
    )
    request.has_changed = True
    return show_team(request, made=token, made_text=text)


@require_POST
@pages.page
def token_revoke(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    token = ApiToken.objects.select_related("partner").filter(pk=pk).first()
    if token is None or token.partner is None or not may_see(request.user, token.partner):
        raise Http404
    pages.require_manager(request, token.partner)
    tokens.revoke(token)
    messages.success(request, f"“{token.name}” is not accepted any more.")
    return redirect("team")


def may_see(user: User, partner: Partner) -> bool:
    return pages.partners_of(user).filter(pk=partner.pk).exists()


# --- Audit Log --------------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def audit_log(request: PageRequest) -> HttpResponse:
    """Who changed what at this partner, staff's doings included. For those who may change things."""
    partner = here(request)
    pages.require_manager(request, partner)
    mine = AuditEntry.objects.filter(partner_id=partner.pk)
    page = pages.page_of(request, mine, by="number", within=mine)
    return pages.show(request, "portal/audit_log.html", {"page": page})
