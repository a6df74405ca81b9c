"""Pages that set billing up: settings of a level, cross-references, the agreement of a client, usage from a file."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Max, Sum
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from billing import (
    agreements,
    api,
    billingsettings,
    crossreferences,
    crossreferencesheet,
    products,
    psareferences,
    terms,
    usagesheet,
)
from billing.crossreferences import CrossReferences, Wish
from billing.decisions import Decider, Refused
from billing.models import CrossReference, Usage
from billing.preview import connection_of
from billing.setupforms import (
    AgreementForm,
    BillingSettingsForm,
    CrossReferenceForm,
    ProductForm,
    SheetForm,
    own_values,
)
from billing.sheets import Unreadable
from integrations import effective, reloading
from integrations.models import Credentials, Reload
from integrations.models.connections import Kind
from integrations.psa.wanted import WantedProduct
from portal import clock, pages
from portal.inheritance import Tree, level_id, nearest
from portal.models import Client, Organization
from portal.pages import PageRequest

Level = Client | Organization
LEVELS: dict[str, type[Client] | type[Organization]] = {"client": Client, "organization": Organization}
MOST_BYTES = 4 * 1024 * 1024
DAYS_SHOWN = 35
ROWS_SHOWN = 100


def level_of(request: PageRequest, level: str, pk: uuid.UUID) -> Level:
    if level not in LEVELS:
        raise Http404
    found: Level = pages.get_row(request, LEVELS[level], pk)
    return found


def path_of(level: Level, tree: Tree) -> list[Level]:
    return list(tree.levels_of(level) if isinstance(level, Client) else tree.upwards(level.pk))


def connection_at(level: Level, tree: Tree) -> Credentials | None:
    row = nearest(path_of(level, tree), effective.by_level(level.partner_id))
    return None if row is None or row.kind == Kind.NONE else row


# --- Billing settings -------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def billing_overview(request: PageRequest) -> HttpResponse:
    assert request.partner is not None
    found = terms.TermsOf.of(request.partner.pk)
    lines = [
        (
            node,
            len(found.tree.upwards(node.pk)) - 1,
            found.at(list(found.tree.upwards(node.pk))),
            node.pk in found.rows,
        )
        for node in found.tree.by_id.values()
    ]
    own = [row.client for row in found.rows.values() if row.client_id]
    return pages.show(request, "billing/billing_overview.html", {"lines": lines, "exceptions": own})


@pages.page
def billing_settings(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    row = level_of(request, level, pk)
    found = terms.TermsOf.of(row.partner_id)
    above = path_of(row, found.tree)[1:]
    inherited = {name: value.value for name, value in found.at(above).items()}
    initial = own_values(found.rows.get(row.pk), row)
    form = BillingSettingsForm(pages.posted(request), initial=initial, inherited=inherited)
    if request.method == "POST":
        pages.require_manager(request, row.partner)
        if form.is_valid():
            try:
                billingsettings.save(row, form.values(), by=Decider.of(request.user))
            except Refused as no:
                form.add_refusal("is_enabled", no.text)
            else:
                messages.success(request, f"The billing settings of {row} are saved.")
                return redirect("billing_settings", level, pk)
    context = {"level": row, "form": form, "in_effect": found.at(path_of(row, found.tree))}
    return pages.show(request, "billing/billing_settings.html", context, partner=row.partner)


# --- Cross-references -------------------------------------------------------------------------------------------------


@require_safe
@pages.partner_page
def cross_references(request: PageRequest) -> HttpResponse:
    """By organization: what each says itself."""
    assert request.partner is not None
    tree = Tree.of(request.partner.pk)
    rows = CrossReference.objects.filter(partner=request.partner)
    by_level: dict[uuid.UUID, int] = {}
    clients: dict[uuid.UUID, Client] = {}
    for row in rows.select_related("client"):
        key = level_id(row)
        by_level[key] = by_level.get(key, 0) + 1
        if row.client:
            clients[key] = row.client
    lines = [(node, len(tree.upwards(node.pk)) - 1, by_level.get(node.pk, 0)) for node in tree.by_id.values()]
    own = [(client, by_level[key]) for key, client in clients.items()]
    found = effective.by_level(request.partner.pk).values()
    connections = [(row, psareferences.is_offered(row)) for row in found if row.kind != Kind.NONE]
    return pages.show(
        request,
        "billing/cross_references.html",
        {"lines": lines, "clients": own, "form": SheetForm(), "connections": connections},
    )


@pages.page
def cross_references_of(request: PageRequest, level: str, pk: uuid.UUID) -> HttpResponse:
    """What is in effect at a level, line by line, and one form for each service's own words."""
    row = level_of(request, level, pk)
    tree = Tree.of(row.partner_id)
    connection = connection_at(row, tree)
    offered = list(connection.choices.filter(kind="product", vanished_at=None)) if connection else []
    form = CrossReferenceForm(
        pages.posted(request) if request.POST.get("what") == "save" else None, products=offered
    )
    made_of = pages.posted(request) if request.POST.get("what") in ("plan", "make") else None
    making = ProductForm(made_of, auto_id="id_new_%s")
    context: dict[str, Any] = {"level": row, "connection": connection, "form": form, "making": making}
    if request.method == "POST":
        pages.require_manager(request, row.partner)
        if changed(request, row, connection, form, making, context):
            return redirect("cross_references_of", level, pk)
    context["lines"] = in_effect(row, tree)
    return pages.show(request, "billing/cross_references_of.html", context, partner=row.partner)


def in_effect(level: Level, tree: Tree) -> list[dict[str, Any]]:
    found = CrossReferences.of(level.partner_id)
    path = path_of(level, tree)
    lines = []
    for by_level in found.by_service.values():
        row = nearest(path, by_level)
        if row is not None:
            warning = crossreferences.unit_mismatch(row.service, row.product) if row.product else ""
            lines.append({"row": row, "is_own": level.pk in by_level, "warning": warning})
    return sorted(lines, key=lambda line: line["row"].service.name)


def changed(
    request: PageRequest,
    level: Level,
    connection: Credentials | None,
    form: CrossReferenceForm,
    making: ProductForm,
    context: dict[str, Any],
) -> bool:
    """Whether the page is to be shown anew, because something was done."""
    what, by = request.POST.get("what"), Decider.of(request.user)
    try:
        if what == "reset":
            key = pages.id_in(request.POST.get("row", ""))
            row = CrossReference.objects.filter(pk=key, partner=level.partner).first() if key else None
            if row is not None and crossreferences.reset(level, row.service, by=by):
                messages.success(request, f"{row.service} inherits again.")
            return True
        if what == "save" and form.is_valid():
            data = dict(form.cleaned_data)
            service, product = data.pop("service"), form.by_id.get(data.pop("product"))
            crossreferences.save(level, service, Wish(product=product, **data), by=by)
            messages.success(request, f"{service} is saved.")
            if product is not None and (text := crossreferences.unit_mismatch(service, product)):
                messages.warning(request, text)
            return True
        if what in ("plan", "make") and making.is_valid() and connection is not None:
            return made(request, connection, making, context, is_final=what == "make")
    except Refused as no:
        messages.error(request, no.text)
    return False


def made(
    request: PageRequest,
    connection: Credentials,
    making: ProductForm,
    context: dict[str, Any],
    *,
    is_final: bool,
) -> bool:
    data = making.cleaned_data
    wanted = WantedProduct(
        identifier=data["identifier"],
        description=data["service"].name,
        unit=data["unit"],
        category=data["category"],
        kind=data["kind"],
    )
    if is_final:
        products.create(connection, wanted, digest=request.POST.get("digest", ""))
        reloading.ask(connection, by=request.user, mode=Reload.Mode.CHANGES)
        messages.success(
            request,
            f"{wanted.identifier} was made in the PSA. The options are read again; in a moment it can be chosen here.",
        )
        return True
    context["plan"] = products.preview(connection, wanted)
    return False


@require_safe
@pages.partner_page
def export_sheet(request: PageRequest) -> HttpResponse:
    """The sheet that a PSA administrator follows, of the top-level organization."""
    assert request.partner is not None
    tree = Tree.of(request.partner.pk)
    top = next((node for node in tree.by_id.values() if node.parent_id is None), None)
    lines = in_effect(top, tree) if top is not None else []
    sheet = "".join(crossreferencesheet.export([line["row"] for line in lines]))
    answer = HttpResponse(sheet, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="cross-references.csv"'
    return answer


@require_POST
@pages.partner_page
def import_sheet(request: PageRequest) -> HttpResponse:
    """Names of products, exactly as in the PSA, for the top-level organization."""
    assert request.partner is not None
    pages.require_manager(request, request.partner)
    tree = Tree.of(request.partner.pk)
    top = next((node for node in tree.by_id.values() if node.parent_id is None), None)
    connection = connection_at(top, tree) if top is not None else None
    content = uploaded(request)
    if top is None or connection is None:
        messages.error(request, "Connect a PSA at the top-level organization first.")
        return redirect("cross_references")
    if content is None:
        return redirect("cross_references")
    try:
        found = crossreferencesheet.take_in(top, connection, content, by=Decider.of(request.user))
    except Unreadable as no:
        messages.error(request, str(no))
        return redirect("cross_references")
    return pages.show(request, "billing/imported.html", {"found": found, "what": "cross-references"})


def uploaded(request: PageRequest) -> bytes | None:
    """The file's bytes; None, with the reason told, when there is none that can be read."""
    form = SheetForm(request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, "Choose a CSV file.")
        return None
    sheet = form.cleaned_data["sheet"]
    if sheet.size > MOST_BYTES:
        messages.error(request, "The file has more than 4 MB. Split it.")
        return None
    content: bytes = sheet.read()
    return content


# --- Agreement of a client --------------------------------------------------------------------------------------------


def agreement_context(client: Client) -> dict[str, Any]:
    """What the Agreement tab offers; works while the PSA is down."""
    try:
        connection, company = connection_of(client)
    except Refused as no:
        return {"offered": None, "not_offered": no.text, "agreement_form": None}
    found = agreements.offered(connection, company)
    return {"offered": found, "agreement_form": AgreementForm(billable=found.billable), "not_offered": ""}


@require_POST
@pages.page
def choose_agreement(request: PageRequest, pk: uuid.UUID) -> HttpResponse:
    client = pages.get_row(request, Client, pk)
    pages.require_manager(request, client.partner)
    try:
        connection, company = connection_of(client)
        form = AgreementForm(request.POST, billable=agreements.offered(connection, company).billable)
        if not form.is_valid():
            raise Refused("form", "Choose one of the agreements that are offered.")
        data = form.cleaned_data
        if "forget" in request.POST:
            agreements.forget(client, connection, data["service"], by=Decider.of(request.user))
            messages.success(request, "The choice is forgotten; lines in the PSA stay as they are.")
        else:
            agreements.choose(
                client,
                connection,
                company,
                agreement_id=data["agreement"],
                service=data["service"],
                creates_lines=data["creates_lines"],
                line_id=data["line_id"],
                by=Decider.of(request.user),
            )
            messages.success(request, "The agreement is chosen; the client is synchronized next.")
    except Refused as no:
        messages.error(request, no.text)
    return redirect("client_agreement", pk)


# --- Usage ------------------------------------------------------------------------------------------------------------


@pages.page
def usage_page(request: PageRequest) -> HttpResponse:
    """The ledger's newest rows, the days without any, and a file taken in."""
    found = None
    if request.method == "POST":
        if request.partner is None:
            messages.info(request, "Choose a partner first.")
            return redirect("usage")
        pages.require_manager(request, request.partner)
        content = uploaded(request)
        if content is not None:
            try:
                found = usagesheet.take_in(
                    content, request.user, quantity_of=api.quantity_of, day_of=api.day_of
                )
            except Unreadable as no:
                messages.error(request, str(no))
    mine = pages.rows(request, Usage).filter(is_current=True)
    context = {"found": found, "form": SheetForm(), "gaps": gaps(mine)}
    return pages.show(request, "billing/usage.html", context)


def gaps(mine: Any) -> list[dict[str, Any]]:
    """Per client, account and service: the newest word, its source's age, and days without a word among the last 35."""
    today = clock.now().date()
    since = today - timedelta(days=DAYS_SHOWN)
    series = (
        mine.filter(measured_on__gte=since)
        .values("client_id", "account_id", "service_id")
        .annotate(newest=Max("measured_on"), told=Max("recorded_at"), total=Sum("quantity"))
        .order_by("newest", "client_id", "service_id")[:ROWS_SHOWN]
    )
    rows = list(series)
    words = mine.filter(measured_on__gte=since, client__in={row["client_id"] for row in rows})
    days: dict[tuple[Any, ...], set[Any]] = {}
    last: dict[tuple[Any, ...], Usage] = {}
    for word in words.select_related("client", "account", "service").order_by("measured_on", "id"):
        key = (word.client_id, word.account_id, word.service_id)
        days.setdefault(key, set()).add(word.measured_on)
        last[key] = word
    return [gap_line(last[key], days[key], today) for row in rows if (key := key_of(row)) in last]


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["client_id"], row["account_id"], row["service_id"]


def gap_line(newest: Usage, days: set[Any], today: Any) -> dict[str, Any]:
    first = min(days)
    missing = [first + timedelta(days=step) for step in range((today - first).days + 1)]
    return {"newest": newest, "missing": [day for day in missing if day not in days], "first": first}
