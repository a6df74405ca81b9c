"""Pages of Company Mapping: the table, the inbox, PSA companies without a client, files, and one client’s mapping."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from integrations import choices, companies, effective, following, mapping, mappingsheet, suggestions
from integrations.companies import State
from integrations.mapping import Done, Move, Refused, Row, Typed
from integrations.mappingforms import (
    SKIP,
    AllAboveForm,
    CatchAllForm,
    CompanyForm,
    CompanySearchForm,
    ConfirmedForm,
    MappingSearchForm,
    NewClientForm,
    SheetForm,
    packed,
)
from integrations.models import Choice, CompanySuggestion, Credentials
from integrations.models.connections import Origin
from integrations.views import connection_in
from portal import inheritance, pages
from portal.models import Client
from portal.pages import PageRequest

MOST_LISTED = 1000
TYPED = "company-"
UNMAPPED = "?"
"""What stands in place of a company id in the table of what was shown."""


# --- The table -------------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def overview(request: PageRequest) -> HttpResponse:
    """The partner's connections, and how far the mapping of each is."""
    assert request.partner is not None
    context = {"connections": mapping.overview(request.partner.pk)}
    return pages.show(request, "integrations/mapping_overview.html", context)


@dataclass(frozen=True)
class Moved:
    """The PSA company to which somebody gave a client's open ticket."""

    company: str
    name: str


@dataclass(frozen=True)
class Line:
    """A row of the table with what stands in its box."""

    row: Row
    typed: str
    error: str = ""
    moved: Moved | None = None


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def table(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """All clients of a connection beside their PSA companies; Save Company Mapping takes what was typed."""
    connection = connection_in(request, pk)
    errors: dict[uuid.UUID, tuple[str, str]] = {}
    if request.method == "POST":
        pages.require_manager(request, connection.partner)
        errors = save_typed(request, connection)
        if not errors:
            return redirect(request.get_full_path())
    form = MappingSearchForm(request.GET)
    text, show = form.wanted()
    mine = mapping.clients_of(connection)
    found = mapping.clients_of(connection, text=text, show=show)
    page = pages.page_of(request, found, by="sort_name", within=mine, descending=False)
    rows = mapping.table(connection, page.rows)
    moved = moved_of(connection, [row.client.pk for row in rows])
    context = {
        **frame_of(connection, "mapping"),
        "page": page,
        "lines": [
            Line(
                row,
                *errors.get(row.client.pk, (label_of(row) if row.link else "", "")),
                moved=moved.get(row.client.pk),
            )
            for row in rows
        ],
        "form": form,
        "show": show,
        "is_narrowed": bool(text or show),
        "all_above": AllAboveForm(initial={"least": suggestions.BULK_FROM}),
        "figures": mapping.figures(connection),
        "shown": mapping.SHOWN,
        "catch_all": companies.catch_all_of(connection),
        "suggested_at": suggestions.made_at(connection),
    }
    return pages.show(request, "integrations/mapping.html", context, partner=connection.partner)


def frame_of(connection: Credentials, here: str) -> dict[str, Any]:
    """What all pages of one connection's mapping show."""
    return {"connection": connection, "here": here, "age": choices.age_of(connection, "company")}


def label_of(row: Row) -> str:
    return mapping.label(row.link) if row.link is not None and row.link.psa_company_id else ""


def save_typed(request: PageRequest, connection: Credentials) -> dict[uuid.UUID, tuple[str, str]]:
    """Take what was typed into the table; what cannot be taken comes back with a sentence, by client."""
    lines: dict[uuid.UUID, Typed] = {}
    for name, value in request.POST.items():
        client = pages.id_in(name.removeprefix(TYPED)) if name.startswith(TYPED) else None
        if client is not None:
            was = request.POST.get(f"was-{client}", UNMAPPED)
            lines[client] = Typed(storable(str(value)), None if was == UNMAPPED else was)
    moves, errors = mapping.read_typed(connection, lines)
    done = mapping.carry_out(connection, moves, by=request.user.email, origin=Origin.PORTAL)
    if moves or not errors:
        tell(request, done)
    if errors:
        messages.error(request, f"{len(errors)} could not be mapped; they are marked below.")
    warn_of_sharing(request, connection, [move.company for move in moves])
    return {client: (lines[client].text, text) for client, text in errors.items()}


def storable(text: str) -> str:
    """Without what no database takes; such an id or name is not found then."""
    return text.replace("\x00", "").strip()


def tell(request: PageRequest, done: Done) -> None:
    parts = [
        f"{count} {word}"
        for count, word in (
            (done.mapped, "mapped"),
            (done.skipped, "skipped"),
            (done.unmapped, "unmapped"),
        )
        if count
    ]
    if parts:
        then = " What waited for it goes out now." if done.mapped else ""
        messages.success(request, f"{', '.join(parts)}.{then}")
    elif not done.left:
        messages.info(request, "Nothing was changed.")
    if done.left:
        messages.warning(
            request,
            f"{done.left} left as they are: somebody else decided meanwhile, or the company is gone. Look again.",
        )


def warn_of_sharing(request: PageRequest, connection: Credentials, ids: Sequence[str | None]) -> None:
    """Allowed, and told: it is a slip more often than a wish."""
    wanted = {key for key in ids if key}
    shared = {key: count for key, count in mapping.sharing_of(connection, wanted).items() if count > 1}
    names = mapping.copies(connection, shared)
    for key, count in list(shared.items())[:5]:
        name = names[key].name if key in names else key
        messages.warning(
            request,
            f"“{name}” ({key}) is the company of {count} clients now. Their tickets go there together; "
            "bill them on different agreements, or their quantities overwrite each other.",
        )


@require_safe
@pages.page
def options(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """What the boxes of the table offer while somebody types; htmx asks with the box's own name."""
    connection = connection_in(request, pk)
    typed = next((storable(str(value)) for name, value in request.GET.items() if name.startswith(TYPED)), "")
    found = mapping.find_companies(connection, typed[:200], most=20) if typed else []
    context = {"companies": found}
    return pages.show(request, "integrations/mapping_options.html", context, partner=connection.partner)


# --- Many at once ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """One line of a confirmation page."""

    client: Client
    before: str
    after: str
    note: str
    move: Move


@require_POST
@pages.page
def selected(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Lists what would be done with the ticked clients, or with all clear suggestions; nothing is done yet."""
    connection = connection_in(request, pk)
    pages.require_manager(request, connection.partner)
    what = request.POST.get("what", "")
    if what == "accept_all":
        form = AllAboveForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Say a score from 70 to 100.")
            return redirect("mapping", pk)
        found = suggestions.clear_ones(connection, least=form.cleaned_data["least"])
        listed, total = accepting(found[:MOST_LISTED]), found.count()
    else:
        listed = listed_for(connection, what, request.POST.getlist("client"))
        total = len(listed)
    if not listed:
        messages.info(request, NOTHING.get(what, "Tick at least one client."))
        return redirect("mapping", pk)
    context = {
        **frame_of(connection, "mapping"),
        "title": TITLES.get(what, TITLES["accept"]),
        "what": "accept" if what == "accept_all" else what,
        "listed": listed,
        "total": total,
        "moves": packed([one.move for one in listed]),
    }
    return pages.show(request, "integrations/mapping_confirm.html", context, partner=connection.partner)


TITLES = {
    "accept": "Accept these suggestions?",
    "skip": "Skip these clients?",
    "unmap": "Unmap these clients?",
    "names": "Accept the new names?",
}
NOTHING = {
    "accept": "None of the ticked clients has a suggestion that still holds.",
    "accept_all": "No clear suggestion has that score. Suggestions with a rival are accepted one by one.",
    "names": "None of the ticked clients has a company that was renamed.",
}


def listed_for(connection: Credentials, what: str, ticked: Sequence[str]) -> list[Listed]:
    keys = [key for text in ticked[: pages.PAGE_SIZE] if (key := pages.id_in(text))]
    if what == "accept":
        return accepting(suggestions.standing(connection).filter(client__in=keys).select_related("client"))
    found = list(mapping.clients_of(connection).filter(pk__in=keys).order_by("sort_name"))
    rows = mapping.table(connection, found)
    if what == "skip":
        return [one_of(row, "", "skipped") for row in rows if row.state != State.SKIPPED]
    if what == "unmap":
        return [one_of(row, None, "unmapped") for row in rows if row.link is not None]
    if what == "names":
        return [
            one_of(row, row.company.psa_id, f"{row.company.name} ({row.company.psa_id})")
            for row in rows
            if row.state == State.RENAMED and row.company is not None
        ]
    return []


def accepting(found: Any) -> list[Listed]:
    return [
        Listed(
            row.client,
            "unmapped",
            f"{row.psa_company_name} ({row.psa_company_id})",
            f"{row.score}: {row.reason}" + (f"; {row.rival}" if row.rival else ""),
            Move(row.client_id, row.psa_company_id, None),
        )
        for row in found
    ]


def one_of(row: Row, company: str | None, after: str) -> Listed:
    before = row.link.psa_company_id if row.link is not None else None
    return Listed(
        row.client, mapping.label(row.link), after, row.trouble, Move(row.client.pk, company, before)
    )


@require_POST
@pages.page
def apply(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Does what a confirmation page listed, as far as it still holds."""
    connection = connection_in(request, pk)
    pages.require_manager(request, connection.partner)
    form = ConfirmedForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was done: the list could not be read. Start again from the table.")
        return redirect("mapping", pk)
    moves: list[Move] = form.cleaned_data["moves"]
    if request.POST.get("what") == "accept":
        pairs = {move.client: move.company for move in moves if move.company}
        accepted = suggestions.accept(connection, pairs, by=request.user.email)
        done = Done(mapped=accepted.mapped, left=accepted.left)
    else:
        origin = Origin.IMPORT if request.POST.get("what") == "import" else Origin.PORTAL
        done = mapping.carry_out(connection, moves, by=request.user.email, origin=origin)
    tell(request, done)
    warn_of_sharing(request, connection, [move.company for move in moves])
    return redirect("mapping", pk)


@require_POST
@pages.page
def suggest(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Look anew for the companies of unmapped clients."""
    connection = connection_in(request, pk)
    pages.require_manager(request, connection.partner)
    count = suggestions.refresh(connection)
    messages.success(
        request,
        "1 unmapped client has a suggestion." if count == 1 else f"{count} unmapped clients have one.",
    )
    return redirect("mapping", pk)


# --- Inbox, companies, catch-all -------------------------------------------------------------------------------------


@require_safe
@pages.page
def inbox(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Unmapped clients for which something waits, the longest first."""
    connection = connection_in(request, pk)
    waiting = mapping.inbox(connection)
    page = pages.page_of(request, waiting, by="since", within=waiting, descending=False)
    context = {
        **frame_of(connection, "mapping_inbox"),
        "page": page,
        "waiting": mapping.inbox_rows(connection, page.rows),
        "catch_all": companies.catch_all_of(connection),
    }
    return pages.show(request, "integrations/mapping_inbox.html", context, partner=connection.partner)


@require_safe
@pages.page
def companies_left(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """PSA companies that no client is mapped to, each with a way to a new client."""
    connection = connection_in(request, pk)
    search = CompanySearchForm(request.GET)
    text = search.cleaned_data["q"] if search.is_valid() else ""
    found = mapping.without_client(connection, text)
    page = pages.page_of(
        request, found, by="sort_name", within=mapping.without_client(connection), descending=False
    )
    context = {
        **frame_of(connection, "mapping_companies"),
        "page": page,
        "search": search,
        "may_add": connection.client_id is None,
    }
    return pages.show(request, "integrations/mapping_companies.html", context, partner=connection.partner)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def new_client(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Shows the client that would be made from a PSA company; makes and maps it when that is confirmed."""
    connection = connection_in(request, pk)
    pages.require_manager(request, connection.partner)
    homes = mapping.homes_of(connection)
    found = mapping.copies(connection, [storable(request.GET.get("company", ""))[:50]])
    company = next((row for row in found.values() if row.vanished_at is None), None) if homes else None
    initial = {"name": company.name[:200], "organization": str(homes[0].pk)} if company else {}
    form = NewClientForm(pages.posted(request), homes=homes, initial=initial)
    if request.method == "POST" and company is not None and form.is_valid():
        client, is_new = mapping.add_client(
            connection,
            company,
            name=form.cleaned_data["name"],
            organization=form.home(),
            by=request.user.email,
        )
        if is_new:
            messages.success(request, f"{client.name} was made, with the managed ID {client.managed_id}.")
        else:
            messages.info(request, f"“{company.name}” is {client.name} already; no second client was made.")
        return redirect("client", client.pk)
    context = {**frame_of(connection, "mapping_companies"), "company": company, "form": form}
    return pages.show(request, "integrations/mapping_new_client.html", context, partner=connection.partner)


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def catch_all(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Where tickets of unmapped clients go, if anywhere."""
    connection = connection_in(request, pk)
    chosen = companies.catch_all_of(connection)
    search = CompanySearchForm(request.GET)
    text = search.cleaned_data["q"] if search.is_valid() else ""
    now = mapping.copies(connection, [chosen.psa_company_id]) if chosen else {}
    offered = [
        ("Chosen now", list(now.values())),
        ("PSA companies", [row for row in mapping.find_companies(connection, text) if row.psa_id not in now]),
    ]
    initial = {"company": chosen.psa_company_id if chosen else ""}
    form = CatchAllForm(pages.posted(request), offered=offered, initial=initial)
    if request.method == "POST":
        pages.require_manager(request, connection.partner)
        if form.is_valid():
            company = form.picked()
            companies.choose_catch_all(connection, company, by=request.user.email)
            text = (
                f"Tickets of unmapped clients go to “{company.name}”."
                if company
                else "Tickets of unmapped clients wait until the client is mapped."
            )
            messages.success(request, text)
            return redirect("mapping_catch_all", pk)
    context = {
        **frame_of(connection, "mapping_catch_all"),
        "chosen": chosen,
        "is_gone": chosen is not None
        and (chosen.psa_company_id not in now or now[chosen.psa_company_id].vanished_at is not None),
        "form": form,
        "search": search,
    }
    return pages.show(request, "integrations/mapping_catch_all.html", context, partner=connection.partner)


# --- Files -----------------------------------------------------------------------------------------------------------


@require_safe
@pages.page
def export(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    connection = connection_in(request, pk)
    lines = "".join(mappingsheet.export(connection))
    answer = HttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="company-mapping.csv"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def sheet(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Takes a file and shows what it would change; the confirmation goes to `apply`."""
    connection = connection_in(request, pk)
    form = SheetForm(pages.posted(request), request.FILES or None)
    preview = None
    if request.method == "POST":
        pages.require_manager(request, connection.partner)
        if form.is_valid():
            try:
                preview = mappingsheet.preview(connection, form.cleaned_data["sheet"].read())
            except mappingsheet.Unreadable as trouble:
                form.add_refusal("sheet", str(trouble))
    context = {
        **frame_of(connection, "mapping_file"),
        "form": form,
        "preview": preview,
        "listed": preview.changes[:MOST_LISTED] if preview else [],
        "moves": packed([change.move for change in preview.changes]) if preview else "",
    }
    return pages.show(request, "integrations/mapping_file.html", context, partner=connection.partner)


# --- One client ------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@pages.page
def client_mapping(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Which PSA company a client is, picked from our copy of the PSA's list."""
    client, connection = client_in(request, pk)
    context: dict[str, Any] = {"client": client, "connection": connection}
    if connection is not None:
        search = CompanySearchForm(request.GET)
        text = search.cleaned_data["q"] if search.is_valid() else ""
        row = mapping.row_of(connection, client)
        form = CompanyForm(
            pages.posted(request),
            offered=offered_to(connection, row, text),
            initial={"company": (row.link.psa_company_id or SKIP) if row.link else ""},
        )
        if request.method == "POST":
            pages.require_manager(request, client.partner)
            if form.is_valid():
                picked = form.picked()
                decide(request, connection, client, picked.psa_id if picked else "")
                return redirect("client_mapping", pk)
        context |= {
            "form": form,
            "search": search,
            "row": row,
            "moved": moved_of(connection, [client.pk]).get(client.pk),
            "catch_all": companies.catch_all_of(connection) if row.link is None else None,
            "age": choices.age_of(connection, "company"),
        }
    return pages.show(request, "integrations/client_mapping.html", context, partner=client.partner)


def client_in(request: PageRequest, pk: uuid.UUID) -> tuple[Client, Credentials | None]:
    """A client, and the connection in effect for it."""
    client: Client = pages.get_row(request, Client, pk, "organization")
    tree = inheritance.Tree.of(client.partner_id)
    return client, effective.credentials_for(client, tree, effective.by_level(client.partner_id))


def decide(request: PageRequest, connection: Credentials, client: Client, company_id: str) -> None:
    try:
        row = mapping.decide(connection, client, company_id, by=request.user.email, origin=Origin.PORTAL)
    except Refused as refused:
        messages.error(request, refused.text)
        return
    if row.link is not None and row.link.psa_company_id:
        messages.success(request, f"{client.name} is {row.link.psa_company_name} in the PSA.")
        warn_of_sharing(request, connection, [company_id])
    else:
        messages.success(request, f"{client.name} is skipped.")


def offered_to(connection: Credentials, row: Row, text: str) -> list[tuple[str, list[Choice]]]:
    """The companies to choose from: the one that is linked, the suggested one, then the rest by name."""
    linked = [row.company] if row.company is not None else []
    found = mapping.find_companies(connection, text)
    suggested = suggested_copy(connection, row.suggestion)
    used = {company.pk for company in [*linked, *suggested]}
    rest = [company for company in found if company.pk not in used]
    return [("Linked now", linked), ("Suggested", suggested), ("PSA companies", rest)]


def suggested_copy(connection: Credentials, suggestion: CompanySuggestion | None) -> list[Choice]:
    if suggestion is None:
        return []
    found: Mapping[str, Choice] = mapping.copies(connection, [suggestion.psa_company_id])
    return list(found.values())


@require_POST
@pages.page
def client_unmap(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client, connection = client_in(request, pk)
    pages.require_manager(request, client.partner)
    if connection is not None and companies.unlink_all(connection, [client.pk]):
        messages.success(request, f"{client.name} is not mapped any more; what comes for it waits.")
    return redirect("client_mapping", pk)


def moved_of(connection: Credentials, clients: Sequence[uuid.UUID]) -> dict[uuid.UUID, Moved]:
    """Two queries for any number of clients."""
    found = following.follower().moved_companies(connection, clients)
    named = connection.choices.filter(kind="company", psa_id__in=set(found.values())) if found else ()
    names = {choice.psa_id: choice.name for choice in named}
    return {client: Moved(company, names.get(company, "")) for client, company in found.items()}


@require_POST
@pages.page
def moved(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    """Somebody gave a client's ticket to another company: the client is mapped to that one, or stays where it is."""
    client, connection = client_in(request, pk)
    pages.require_manager(request, client.partner)
    if connection is None:
        raise Http404
    found = moved_of(connection, [client.pk]).get(client.pk)
    if found is None or found.company != request.POST.get("company", found.company):
        messages.info(request, "The ticket is in the client’s company by now.")
    elif request.POST.get("do") == "remap":
        decide(request, connection, client, found.company)
        link = mapping.row_of(connection, client).link
        if link is not None and link.psa_company_id == found.company:
            following.follower().settle_company(connection, client.pk, found.company)
    else:
        following.follower().settle_company(connection, client.pk, found.company)
        messages.success(request, f"{client.name} stays mapped as it is; its ticket stays where it was put.")
    if request.POST.get("back") == "table":
        return redirect("mapping", connection.pk)
    return redirect("client_mapping", pk)


@require_POST
@pages.page
def client_accept_name(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client, connection = client_in(request, pk)
    pages.require_manager(request, client.partner)
    if connection is None:
        raise Http404
    row = mapping.row_of(connection, client)
    if row.state == State.RENAMED and row.link is not None and row.company is not None:
        companies.accept_name(row.link, row.company.name, by=request.user.email)
        messages.success(request, f"The name is {row.company.name} now.")
    return redirect("client_mapping", pk)
