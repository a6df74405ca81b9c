"""Pages of PSA Credentials: the form, Test It, options, following."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations import (
    choices,
    connections,
    doctor,
    effective,
    following,
    gonechoices,
    hosted,
    locking,
    reloading,
    repointing,
)
from integrations.forms import CredentialsForm
from integrations.models import Credentials, Following
from integrations.models.connections import Kind, Standing
from integrations.psa.errors import Misconfigured
from integrations.psa.rights import FEATURE_NAMES
from portal import clock, inheritance, pages
from portal.encryption import DecryptionFailed
from portal.models import Client, Organization
from portal.pages import PageRequest

Level = Organization | Client
LEVELS: dict[str, type[Organization] | type[Client]] = {"organization": Organization, "client": Client}
TEST_PATIENCE = timedelta(seconds=90)
READINGS = 10
KNOWN_SITES = (
    "na.myconnectwise.net",
    "eu.myconnectwise.net",
    "au.myconnectwise.net",
    "staging.connectwisedev.com",
)


# --- PSA Credentials -------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def credentials(request: PageRequest) -> HttpResponse:
    """Every organization with the credentials in effect there, and the clients that have their own."""
    assert request.partner is not None
    tree = inheritance.Tree.of(request.partner.pk)
    rows = effective.by_level(request.partner.pk)
    organizations = sorted(
        tree.by_id.values(), key=lambda node: [up.name for up in reversed(tree.upwards(node.pk))]
    )
    context = {
        "organizations": [
            (node, len(tree.upwards(node.pk)) - 1, inheritance.nearest(tree.upwards(node.pk), rows))
            for node in organizations
        ],
        "clients": Client.objects.filter(pk__in=[row.client_id for row in rows.values() if row.client_id]),
        "own": rows,
    }
    return pages.show(request, "integrations/credentials.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def credentials_of(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    """The form of one level, with the health of the connection beside it."""
    place = level_in(request, level, pk)
    here = Credentials.objects.filter(**connections.level_of(place), standing=Standing.CURRENT)
    current = here.select_related("lane").defer("secret").first()
    uses = locking.uses_of(current) if current is not None and current.kind != Kind.NONE else 0
    if request.method == "POST":
        pages.require_manager(request, place.partner)
        form = CredentialsForm(request.POST, current=current, is_locked=bool(uses))
        if form.is_valid() and (saved := save(form, place, current, request)):
            is_tested = "test" in request.POST and saved.kind != Kind.NONE
            messages.success(request, saved_text(saved, is_tested=is_tested))
            if is_tested:
                doctor.ask(saved)
            return redirect("credentials_of", level, pk)
    else:
        initial = initial_of(current) or {"kind": request.GET.get("kind", Kind.CONNECTWISE)}
        form = CredentialsForm(initial=initial, current=current, is_locked=bool(uses))
    context = {
        "place": place,
        "uses": uses,
        "level": level,
        "form": form,
        "current": current,
        "inherited": None if current else inherited_by(place),
        "same_key": connections.others_with_key(current) if current else [],
        "known_sites": KNOWN_SITES,
        **(connection_context(current) if current else {}),
    }
    return pages.show(request, "integrations/credentials_of.html", context, partner=place.partner)


def level_in(request: PageRequest, level: str, pk: uuid.UUID) -> Level:
    """The organization or client that an address names."""
    if level not in LEVELS:
        raise Http404
    return pages.get_row(request, LEVELS[level], pk)


def save(
    form: CredentialsForm, place: Level, current: Credentials | None, request: PageRequest
) -> Credentials | None:
    """The saved row, or None with the refusal beside its field."""
    try:
        if current is not None:
            is_same_psa = bool(form.cleaned_data.get("is_same_psa"))
            locking.refuse_repointing(current, form.entered(), is_same_psa=is_same_psa)
        return connections.save_credentials(place, form.entered(), by=request.user, current=current)
    except Misconfigured as refusal:
        form.add_refusal(refusal.field, refusal.text, refusal.advice)
    except DecryptionFailed:
        form.add_refusal("secret", "The stored private key cannot be read any more.", "Type it again.")
    return None


def saved_text(saved: Credentials, *, is_tested: bool) -> str:
    if saved.kind == Kind.NONE:
        return "Saved: no PSA is used here."
    what_now = (
        "It is being tested; the result appears under Test."
        if is_tested
        else "Press Test It to see whether everything is in place."
    )
    return f"Saved. Calls go to {saved.site_url}. {what_now}"


def initial_of(current: Credentials | None) -> dict[str, str]:
    if current is None:
        return {}
    return {name: getattr(current, name) for name in ("kind", "site_url", "login_company", "public_key")}


def inherited_by(place: Level) -> Credentials | None:
    """What is in effect at a level that has no credentials of its own."""
    tree = inheritance.Tree.of(place.partner_id)
    levels = tree.levels_of(place) if isinstance(place, Client) else tree.upwards(place.pk)
    return inheritance.nearest(levels, effective.by_level(place.partner_id))


def connection_context(row: Credentials) -> dict[str, Any]:
    return {
        **(test_context(row) if row.kind != Kind.NONE else {}),
        **options_context(row),
        "gone_in_use": len(gonechoices.in_use(row, most=100)),
        "lane": getattr(row, "lane", None),
        "following": Following.objects.filter(credentials=row).defer("secret", "signing_keys").first(),
        "can_renew": row.kind == Kind.AUTOTASK,
        "replaced": repointing.last_change(row),
        "has_tab": hosted.is_offered(row),
        "hosted_tab": hosted.tab_of(row) if hosted.is_offered(row) else None,
    }


def test_context(row: Credentials) -> dict[str, Any]:
    """Whether a test runs; one that nobody took up is told as such."""
    asked, tested = row.test_asked_at, row.tested_at
    is_open = asked is not None and (tested is None or tested < asked)
    is_lost = is_open and asked is not None and clock.now() - asked > TEST_PATIENCE
    checks = doctor.report_of(row)
    return {
        "row": row,
        "is_testing": is_open and not is_lost,
        "is_test_lost": is_lost,
        "checks": checks,
        "summary": doctor.summary(checks),
        "extras": [(name, FEATURE_NAMES[name], name in row.also_used) for name in doctor.extras_of(row.kind)],
    }


@require_POST
@pages.page
def test_it(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = connection_in(request, pk)
    pages.require_manager(request, row.partner)
    doctor.ask(row, request.POST.getlist("also"))
    return redirect(place_of(row) + "#test")


@require_safe
@pages.page
def test_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the page that htmx fetches again while a test runs."""
    row = connection_in(request, pk)
    return pages.show(request, "integrations/test_report.html", test_context(row), partner=row.partner)


@require_safe
@pages.page
def work_order(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What the PSA's administrator has to set, to be printed."""
    row = connection_in(request, pk)
    context = {"row": row, "order": doctor.work_order(row)}
    return pages.show(request, "integrations/work_order.html", context, partner=row.partner)


@require_safe
@pages.page
def work_order_text(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    row = connection_in(request, pk)
    return HttpResponse(
        doctor.as_markdown(doctor.work_order(row)),
        content_type="text/markdown; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="work-order-{row.kind}.md"'},
    )


@require_POST
@pages.page
def reload_options(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Asked for from wherever a picker stands; the page of the connection's options shows how it goes."""
    row = connection_in(request, pk)
    pages.require_manager(request, row.partner)
    asked = reloading.ask(row, by=request.user)
    if asked.asked_by == request.user.email:
        messages.info(request, "The options are being read from the PSA; this page shows how far it is.")
    else:
        messages.info(
            request, "The options are being read from the PSA already; this page shows how far it is."
        )
    return redirect("options_of", pk)


@require_safe
@pages.page
def options_of(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What we hold of a PSA's options, the last readings with what they changed, and what is in use but gone."""
    row = connection_in(request, pk)
    uses = gonechoices.in_use(row)
    context = {
        **options_context(row),
        "uses": uses,
        "has_more_uses": len(uses) >= gonechoices.MOST,
        "reloads": [choices.Told.of(one) for one in row.reloads.all()[:READINGS]],
    }
    return pages.show(request, "integrations/options_of.html", context, partner=row.partner)


@require_safe
@pages.page
def reload_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the page that htmx fetches again while options are read."""
    row = connection_in(request, pk)
    answer = pages.show(
        request, "integrations/reload_progress.html", options_context(row), partner=row.partner
    )
    newest = row.reloads.first()
    if newest is None or newest.state not in reloading.UNDER_WAY:
        answer["HX-Refresh"] = "true"
    return answer


def options_context(row: Credentials) -> dict[str, Any]:
    newest = row.reloads.first()
    return {"row": row, "stock": choices.stock_of(row), "told": choices.Told.of(newest) if newest else None}


FOLLOWING_CHANGES: dict[str, tuple[Callable[[Credentials], object], str]] = {
    "on": (following.switch_on, "Changes made in the PSA are followed from now on."),
    "off": (
        following.switch_off,
        "Changes made in the PSA are not followed any more. The PSA is told not to call us.",
    ),
    "check": (following.ask_for_check, "It is being compared with the PSA. Reload this page in a moment."),
    "renew": (following.renew_key, "A new key is being given to the PSA. Reload this page in a moment."),
}


@require_POST
@pages.page
def change_following(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """On, off, compare now, a new key."""
    row = connection_in(request, pk)
    pages.require_manager(request, row.partner)
    asked = request.POST.get("do", "")
    is_there = asked == "on" or Following.objects.filter(credentials=row).exists()
    if asked in FOLLOWING_CHANGES and is_there:
        change, text = FOLLOWING_CHANGES[asked]
        change(row)
        messages.success(request, text)
    return redirect(place_of(row) + "#following")


def connection_in(request: PageRequest, pk: uuid.UUID) -> Credentials:
    row = pages.get_row(request, Credentials, pk, "organization", "client", "lane", without=("secret",))
    if row.kind == Kind.NONE:
        raise Http404
    return row


def place_of(row: Credentials) -> str:
    level = "client" if row.client_id else "organization"
    return redirect("credentials_of", level, row.client_id or row.organization_id).url
