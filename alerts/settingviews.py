"""Pages of ticket settings: what a level says, what is in effect and who set it, reset and undo, a client switched off,
its address, the test ticket."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts import addresses, catchup, settinghistory, settingreset, tickettest, tickettexts
from alerts import setup as ticket_setup
from alerts.models import Condition, SettingChange, TicketTest
from alerts.models.settings import Level
from alerts.settingforms import AddressForm, DisableForm, TicketSettingsForm
from alerts.settingreset import NotUndone
from alerts.setup import Setup
from alerts.ticketsettings import OF_SEVERITY, TEXTS, SettingsOf
from alerts.tickettexts import KNOWN, Problem
from integrations.models import Event
from integrations.psa import kinds
from portal import clock, disabled, pages
from portal.inheritance import Tree
from portal.models import Account, Client, Organization
from portal.pages import PageRequest

LEVELS: dict[str, tuple[Any, str]] = {
    "organization": (Organization, "parent"),
    "client": (Client, "organization"),
    "account": (Account, "client"),
}
GROUPS = (
    ("Where tickets go", ("board", "new_status", "type", "subtype", "item", "category", "source")),
    ("For whom", ("contact", "agreement")),
    (
        "How urgent",
        (
            "priority",
            "priority_critical",
            "priority_error",
            "priority_warning",
            "priority_info",
            "due_in_hours",
        ),
    ),
    ("What they say", TEXTS),
    (
        "Their life",
        (
            "automatic_closure",
            "closing_status",
            "closes_only_untouched",
            "reopen_within_days",
            "notes_per_hour",
            "reminder_after_hours",
            "reminder_opens_ticket",
        ),
    ),
)


# --- The form of a level ----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def setup_of(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    organization = pages.get_row(request, Organization, pk)
    return ticket_settings(request, organization, "alerts/setup_of.html", {"organization": organization})


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def client_settings(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = pages.get_row(request, Client, pk, "organization")
    return ticket_settings(request, client, "alerts/client_settings.html", client_context(client))


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def account_settings(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    account = pages.get_row(request, Account, pk, "client__organization")
    context = {"account": account, "client": account.client}
    return ticket_settings(request, account, "alerts/account_settings.html", context)


def client_context(client: Client) -> dict[str, Any]:
    stop = disabled.of([client.pk]).get(client.pk)
    address = addresses.address_of(client)
    return {
        "client": client,
        "stop": stop,
        "disable_form": DisableForm(
            initial={"until": stop.until, "reason": stop.reason} if stop is not None else {}
        ),
        "missed": catchup.missed(client) if stop is None and client.disablings.exists() else [],
        "address": address,
        "address_form": AddressForm(
            initial={name: getattr(address, name) for name in addresses.LINES} if address else {}
        ),
        **test_context(client),
        "accounts": client.accounts.filter(ticket_settings__isnull=False)[:100],
        "other_accounts": client.accounts.filter(ticket_settings=None)[:50],
    }


def test_context(client: Client) -> dict[str, Any]:
    """The last test ticket; one that nobody has carried out for minutes is not waited for."""
    test = TicketTest.objects.filter(client=client).first()
    is_open = test is not None and test.state in (TicketTest.State.WAITING, TicketTest.State.RUNNING)
    is_fresh = test is not None and clock.now() - test.asked_at < tickettest.LOST_AFTER
    return {"client": client, "test": test, "is_test_running": is_open and is_fresh}


@require_safe
@pages.page
def test_ticket_progress(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the page that htmx fetches again while a test ticket is opened and closed."""
    client = pages.get_row(request, Client, pk)
    return pages.show(request, "alerts/test_ticket.html", test_context(client), partner=client.partner)


def ticket_settings(
    request: PageRequest, level: Level, template: str, context: dict[str, Any]
) -> HttpResponse:
    """The form of one level, each field with the value in effect and where that comes from."""
    found = ticket_setup.setup_of(level)
    form = TicketSettingsForm(pages.posted(request), setup=found)
    if request.method == "POST":
        pages.require_manager(request, level.partner)
        if form.is_valid() and save_settings(form, level, request.user.email):
            messages.success(request, f"Saved. Tickets of {level} look so from now on.")
            return redirect(request.path)
    context |= form_context(found, form)
    return pages.show(request, template, context, partner=level.partner)


def form_context(found: Setup, form: TicketSettingsForm) -> dict[str, Any]:
    authors = settinghistory.authors(found.levels)
    return {
        "setup": found,
        "form": form,
        "level": name_of(found.level),
        "sections": [
            (title, [(form[name], line_of(found, name, authors)) for name in names if name in form.fields])
            for title, names in GROUPS
            if any(name in form.fields for name in names)
        ],
        "placeholders": list(KNOWN.values()),
        **sample(found),
    }


def line_of(found: Setup, name: str, authors: Any) -> dict[str, Any]:
    value = found.in_effect[name]
    source = value.source
    return {
        "nothing": ticket_setup.nothing_of(name),
        "found": value,
        "doubt": found.doubt(name),
        "author": authors.get((source.pk, name)) if source is not None else None,
    }


def name_of(level: Level) -> str:
    return next(name for name, (model, _) in LEVELS.items() if isinstance(level, model))


def save_settings(form: TicketSettingsForm, level: Level, by: str) -> bool:
    try:
        ticket_setup.save_ticket_settings(level, form.values(), by=by)
    except ValidationError as refusal:
        for name, errors in refusal.error_dict.items():
            form.add_error(name if name in form.fields else None, errors)
        return False
    return True


# --- Preview of the texts ---------------------------------------------------------------------------------------------


def sample(found: Setup, summary: str | None = None, body: str | None = None) -> dict[str, Any]:
    """Summary and text as the newest problem below a level would get them; an example where there was none."""
    condition = newest_condition(found.level)
    connection = found.connection
    able = kinds.ABILITIES[connection.kind if connection is not None else "connectwise"]
    summary = summary if summary is not None else found.in_effect["summary_template"].value
    body = body if body is not None else found.in_effect["body_template"].value
    faults = [
        text
        for name, template in (("summary_template", summary), ("body_template", body))
        if template
        for _, text in ticket_setup.template_faults(name, template, connection)
    ]
    shown: dict[str, Any] = {"preview_faults": faults, "preview_of": condition}
    if condition is None:
        values = {one.name: one.example for one in KNOWN.values()}
        shown["preview_summary"] = tickettexts.filled(summary or tickettexts.DEFAULT_SUMMARY, values)
        shown["preview_body"] = tickettexts.filled(body, values) if body else ""
    else:
        event = Event.objects.filter(pk=condition.opened_by or clock.NIL_UUID).first()
        zone = found.level.partner.time_zone
        problem = Problem(condition, event, addresses.address_of(condition.client), lambda: zone)
        shown["preview_summary"] = tickettexts.summary_of(summary, problem, length=able.summary_length)
        shown["preview_body"] = tickettexts.body_of(body, problem)[: able.description_length]
    shown["preview_length"], shown["preview_most"] = len(shown["preview_summary"]), able.summary_length
    return shown


def newest_condition(level: Level) -> Condition | None:
    rows = Condition.objects.filter(partner_id=level.partner_id, since__isnull=False)
    if isinstance(level, Account):
        rows = rows.filter(account=level)
    elif isinstance(level, Client):
        rows = rows.filter(client=level)
    else:
        tree = Tree.of(level.partner_id)
        below = [key for key in tree.by_id if any(node.pk == level.pk for node in tree.upwards(key))]
        rows = rows.filter(client__organization__in=below)
    found: Condition | None = rows.select_related("client", "account").order_by("-since", "-pk").first()
    return found


@require_POST
@pages.page
def preview(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    """What the typed texts would make of the newest problem; nothing is saved."""
    place = level_in(request, level, pk)
    pages.require_manager(request, place.partner)
    found = ticket_setup.setup_of(place)
    typed = [request.POST.get(name, "")[:8000] or None for name in TEXTS]
    context = {
        "setup": found,
        "level": level,
        "back": address_of(place),
        "placeholders": list(KNOWN.values()),
        **sample(found, *typed),
    }
    return pages.show(request, "alerts/settings_preview.html", context, partner=place.partner)


# --- In effect, and the history ---------------------------------------------------------------------------------------


def level_in(request: PageRequest, level: str, pk: uuid.UUID) -> Any:
    """The organization, client or account that an address names."""
    if level not in LEVELS:
        raise Http404
    model, related = LEVELS[level]
    return pages.get_row(request, model, pk, related)


def address_of(level: Level) -> str:
    name = {Organization: "setup_of", Client: "client_settings", Account: "account_settings"}[type(level)]
    return reverse(name, args=[level.pk])


@require_safe
@pages.page
def in_effect(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    """Every field: its value, the level it comes from, who set it and when; below it what was changed at this level."""
    place = level_in(request, level, pk)
    found = ticket_setup.setup_of(place)
    authors = settinghistory.authors(found.levels)
    settings = SettingsOf.of(place.partner_id)
    lines = []
    for name in found.fields:
        value = found.in_effect[name]
        author = authors.get((value.source.pk, name)) if value.source is not None else None
        lines.append((found.label(name), value, author, found.doubt(name), ticket_setup.nothing_of(name)))
    context = {
        "place": place,
        "level": level,
        "back": address_of(place),
        "setup": found,
        "lines": lines,
        "severities": [
            (severity, settings.priority(severity, place))
            for severity in OF_SEVERITY
            if severity != "success"
        ],
        "changes": [
            (
                change,
                [
                    (found.label(row.field), settinghistory.told(row.old), settinghistory.told(row.new))
                    for row in change.rows
                ],
            )
            for change in settinghistory.changes_of(place)
        ],
    }
    return pages.show(request, "alerts/settings_in_effect.html", context, partner=place.partner)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def reset(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    return reset_of(request, level_in(request, level, pk))


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def client_settings_reset(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Reset to organization-wide defaults."""
    return reset_of(request, pages.get_row(request, Client, pk, "organization"))


def reset_of(request: PageRequest, level: Level) -> HttpResponse:
    """Shows what changes, then does it; 30 days it can be undone."""
    if request.method != "POST":
        context = {"place": level, "back": address_of(level), "differences": settingreset.preview(level)}
        return pages.show(request, "alerts/settings_reset.html", context, partner=level.partner)
    pages.require_manager(request, level.partner)
    if settingreset.reset(level, by=request.user.email):
        messages.success(
            request, f"{level} inherits all ticket settings again. This can be undone for 30 days (History)."
        )
    else:
        messages.info(request, f"{level} had no ticket settings of its own: nothing changed.")
    return redirect(address_of(level))


@require_POST
@pages.page
def undo(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    place = level_in(request, level, pk)
    pages.require_manager(request, place.partner)
    key = pages.id_in(request.POST.get("change", "")) or clock.NIL_UUID
    rows = SettingChange.objects.visible_to(request.user).filter(level_id=place.pk, change=key)
    try:
        done = settingreset.undo(list(rows.order_by("pk")), by=request.user.email)
    except NotUndone as refusal:
        messages.error(request, str(refusal))
    else:
        left = f" Left as it is: {'; '.join(done.left)}." if done.left else ""
        messages.success(request, f"Undone: {', '.join(done.fields)}.{left}")
    return redirect("settings_in_effect", level, pk)


# --- A client switched off, its address, its test ticket --------------------------------------------------------------


def managed_client(request: PageRequest, pk: uuid.UUID) -> Client:
    client: Client = pages.get_row(request, Client, pk, "organization")
    pages.require_manager(request, client.partner)
    return client


@require_POST
@pages.page
def client_disable(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = managed_client(request, pk)
    form = DisableForm(request.POST)
    if form.is_valid():
        row = catchup.disable(client, by=request.user.email, **form.cleaned_data)
        messages.success(request, f"{row.sentence} Events go on being logged; nothing is written to the PSA.")
    else:
        for errors in form.errors.values():
            messages.error(request, " ".join(map(str, errors)))
    return redirect("client_settings", pk)


@require_POST
@pages.page
def client_enable(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = managed_client(request, pk)
    released = catchup.enable(client, by=request.user.email)
    missed = len(catchup.missed(client))
    more = f" {missed} still failing without a ticket: see below." if missed else ""
    messages.success(
        request, f"The PSA is enabled for {client} again. {released} held deliveries go out.{more}"
    )
    return redirect("client_settings", pk)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def client_catch_up(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Open tickets for what is still failing; shows which before."""
    client = pages.get_row(request, Client, pk, "organization")
    if request.method != "POST":
        context = {"client": client, "missed": catchup.missed(client), "most": catchup.AT_ONCE}
        return pages.show(request, "alerts/catch_up.html", context, partner=client.partner)
    pages.require_manager(request, client.partner)
    count = catchup.catch_up(client)
    messages.success(request, f"{count} ticket{'' if count == 1 else 's'} will be opened.")
    return redirect("client_activity", pk)


@require_POST
@pages.page
def client_address(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Save what was typed, or read the PSA's again."""
    client = managed_client(request, pk)
    if "refresh" in request.POST:
        if addresses.refresh(client):
            messages.success(request, "The address was read from the PSA company.")
        else:
            messages.error(
                request, "The address could not be read: map the client, or look at the connection’s health."
            )
        return redirect("client_settings", pk)
    form = AddressForm(request.POST)
    if form.is_valid():
        addresses.edit(client, form.cleaned_data, by=request.user.email)
        messages.success(request, "The address is saved.")
    else:
        for name, errors in form.errors.items():
            messages.error(request, f"{form.fields[name].label}: {' '.join(map(str, errors))}")
    return redirect("client_settings", pk)


@require_POST
@pages.page
def client_test_ticket(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = managed_client(request, pk)
    try:
        tickettest.ask(client, by=request.user.email)
    except tickettest.NotPossible as refusal:
        messages.error(request, str(refusal))
    else:
        messages.info(request, "A test ticket is opened and closed; this page shows how it goes.")
    return redirect("client_settings", pk)
