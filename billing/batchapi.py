"""Cross-references, agreement links and billing settings of many at once: `POST` on their addresses.

Everything a batch needs is looked up together, so that a thousand items cost as many queries as one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import agreements, billingsettings, crossreferences, setupapi
from billing.decisions import Decider, Refused
from billing.models import BillingSettings, Schedule, Service
from billing.setupapi import AgreementLinkIn, CrossReferenceIn
from billing.terms import DEFAULTS
from integrations import companies, effective
from integrations.models import Choice, Credentials
from integrations.models.connections import Kind
from portal import batches, rest, texts
from portal.batches import Item
from portal.clients import find_clients
from portal.inheritance import Tree, nearest
from portal.models import Client, Mode, Organization
from portal.models.partners import WITHOUT_APPROVAL
from portal.rest import actor_of

Level = Client | Organization
T = TypeVar("T")


class BillingSettingsIn(serializers.Serializer[Any]):
    """What one client or organization says itself: null inherits, what is left out stays as it is."""

    client = serializers.CharField(max_length=100, required=False)
    organization = serializers.UUIDField(required=False)
    billing_mode = serializers.ChoiceField(choices=Mode.choices, required=False, allow_null=True)
    statistics_mode = serializers.ChoiceField(
        choices=WITHOUT_APPROVAL,
        required=False,
        allow_null=True,
        help_text="Update Backup Statistics; null inherits, and is off at the top.",
    )
    is_enabled = serializers.BooleanField(required=False, allow_null=True)
    schedule = serializers.ChoiceField(choices=Schedule.choices, required=False, allow_null=True)
    push_day = serializers.IntegerField(min_value=1, max_value=31, required=False, allow_null=True)
    days_before_invoice = serializers.IntegerField(min_value=0, max_value=28, required=False, allow_null=True)
    jump_percent = serializers.IntegerField(min_value=0, max_value=100_000, required=False, allow_null=True)
    jump_least = serializers.IntegerField(min_value=0, max_value=1_000_000, required=False, allow_null=True)
    jump_units = serializers.IntegerField(min_value=0, max_value=100_000_000, required=False, allow_null=True)
    invoice_window_days = serializers.IntegerField(min_value=0, max_value=28, required=False, allow_null=True)
    fleet_clients = serializers.IntegerField(min_value=0, max_value=100_000, required=False, allow_null=True)
    four_eyes = serializers.BooleanField(required=False, allow_null=True)
    updates_descriptions = serializers.BooleanField(required=False, allow_null=True)
    description_template = serializers.CharField(max_length=2000, required=False, allow_null=True)


class BillingSettingsOut(serializers.ModelSerializer[BillingSettings]):
    """What one level says itself; null inherits."""

    client = serializers.UUIDField(source="client_id", allow_null=True)
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    billing_mode = serializers.SerializerMethodField()

    statistics_mode = serializers.SerializerMethodField()

    def get_statistics_mode(self, row: BillingSettings) -> str | None:
        level = row.client or row.organization
        return level.statistics_mode if level else None

    def get_billing_mode(self, row: BillingSettings) -> str | None:
        level = row.client or row.organization
        return level.billing_mode if level else None

    class Meta:
        model = BillingSettings
        fields: ClassVar[Sequence[str]] = (
            "id",
            "client",
            "organization",
            "billing_mode",
            "statistics_mode",
            *DEFAULTS,
        )


def sends(name: str, shape: type[serializers.Serializer[Any]]) -> Callable[[Any], Any]:
    """The call takes one object of this shape or up to 1,000 under this name."""
    return extend_schema(
        operation_id=f"{name}_send", request=batches.one_or_many(name, shape), responses=batches.ItemsOut
    )


def stored(
    request: Request,
    items: Sequence[Item],
    asked: Sequence[tuple[Item, T]],
    save_many: Callable[..., Sequence[Any]],
) -> Response:
    """What `save_many` makes of what is asked for with good items, and what is wrong with each of the others."""
    rows = save_many([one for _, one in asked], by=Decider.of(actor_of(request)))
    for (item, _), row in zip(asked, rows, strict=True):
        if isinstance(row, Refused):
            item.refuse("", row.code, row.text)
        else:
            item.row = row
    return Response(batches.results(items))


class CrossReferencesDoor(setupapi.CrossReferencesDoor):
    """Cross-references."""

    scopes: ClassVar[dict[str, str]] = {**setupapi.CrossReferencesDoor.scopes, "POST": "billing:write"}

    @sends("cross_references", CrossReferenceIn)
    def post(self, request: Request) -> Response:
        """As PUT, for one or up to 1,000; one result an item, and the good ones are kept."""
        items = batches.items_of(request.data, "cross_references", CrossReferenceIn)
        levels = levels_of(items, request)
        services = services_of(items)
        products = products_of(items, levels)
        asked: list[tuple[Item, Any]] = []
        for item in batches.good(items):
            level = levels[id(item)]
            values = {
                name: value
                for name, value in item.data.items()
                if name not in ("client", "organization", "service", "product")
            }
            product = None
            if psa_id := item.data.get("product"):
                product = products.get((level.pk, psa_id))
                if product is None:
                    item.refuse(
                        "product", "unknown_product", "The PSA in effect here offers no product of this id."
                    )
                    continue
            asked.append((item, (level, services[item.data["service"]], {**values, "product": product})))
        return stored(request, items, asked, crossreferences.save_many)


class AgreementLinks(setupapi.AgreementLinks):
    """Agreements of clients."""

    scopes: ClassVar[dict[str, str]] = {**setupapi.AgreementLinks.scopes, "POST": "billing:write"}

    @sends("agreement_links", AgreementLinkIn)
    def post(self, request: Request) -> Response:
        """As PUT, for one or up to 1,000; one result an item, and the good ones are kept."""
        items = batches.items_of(request.data, "agreement_links", AgreementLinkIn)
        clients = clients_of(items, request)
        services = services_of(items)
        connections = connections_of([clients[id(item)] for item in batches.good(items)])
        found = {row.pk for row in connections.values()}
        mapped = companies.links_of(list(connections), found) if found else {}
        asked: list[tuple[Item, agreements.Asked]] = []
        for item in batches.good(items):
            client = clients[id(item)]
            connection = connections.get(client.pk)
            company = mapped.get((client.pk, connection.pk)) if connection else None
            if connection is None:
                item.refuse("client", "no_psa", "No PSA connection is configured for this client.")
            elif not company:
                text = f"{client.name} is not mapped to a PSA company. Map it first."
                item.refuse("client", "no_company", text)
            else:
                key = item.data.get("service")
                one = agreements.Asked(
                    client=client,
                    connection=connection,
                    company=company,
                    agreement_id=item.data["agreement"],
                    service=services[key] if key else None,
                    creates_lines=item.data["creates_lines"],
                    line_id=item.data["line_id"],
                )
                asked.append((item, one))
        return stored(request, items, asked, agreements.choose_many)


class BillingSettingsDoor(APIView):
    """Billing settings of clients and organizations."""

    scopes: ClassVar[dict[str, str]] = {"GET": "billing:read", "POST": "billing:write"}

    @extend_schema(operation_id="billing_settings_list", responses=BillingSettingsOut(many=True))
    def get(self, request: Request) -> Response:
        """What levels say themselves, newest first, in cursor pages."""
        rows = BillingSettings.objects.visible_to(actor_of(request)).select_related("client", "organization")
        pages = rest.NewestFirst()
        page = pages.paginate_queryset(rows.order_by("-id"), request, view=self)
        return pages.get_paginated_response(BillingSettingsOut(page, many=True).data)

    @sends("billing_settings", BillingSettingsIn)
    def post(self, request: Request) -> Response:
        """One or up to 1,000; one result an item, and the good ones are kept whatever is wrong with others."""
        items = batches.items_of(request.data, "billing_settings", BillingSettingsIn)
        levels = levels_of(items, request)
        names = set(DEFAULTS) | set(billingsettings.MODES)
        asked = [
            (item, (levels[id(item)], {name: item.data[name] for name in names & item.data.keys()}))
            for item in batches.good(items)
        ]
        return stored(request, items, asked, billingsettings.save_many)


# --- Looked up together -----------------------------------------------------------------------------------------------


def clients_of(items: Sequence[Item], request: Request) -> dict[int, Client]:
    """By item; refuses those whose client is not known."""
    known = find_clients([item.data["client"] for item in batches.good(items)], actor_of(request))
    found = {}
    for item in batches.good(items):
        client = known.get(item.data["client"])
        if client is None:
            text = f"No client “{texts.shown(item.data['client'])}” is known."
            item.refuse("client", "unknown_client", text)
        else:
            found[id(item)] = client
    return found


def levels_of(items: Sequence[Item], request: Request) -> dict[int, Level]:
    """The client or organization of each item; refuses those without, or of somebody else."""
    asked = batches.good(items)
    clients = find_clients(
        [item.data["client"] for item in asked if item.data.get("client")], actor_of(request)
    )
    keys = {item.data["organization"] for item in asked if item.data.get("organization")}
    organizations = {
        row.pk: row for row in Organization.objects.visible_to(actor_of(request)).filter(pk__in=keys)
    }
    found: dict[int, Level] = {}
    for item in asked:
        client, organization = item.data.get("client"), item.data.get("organization")
        level = clients.get(client) if client else organizations.get(organization) if organization else None
        if bool(client) == bool(organization):
            item.refuse("", "invalid_request", "Say either “organization” or “client”.")
        elif level is None:
            name = "client" if client else "organization"
            item.refuse(name, f"unknown_{name}", f"No such {name} is known.")
        else:
            found[id(item)] = level
    return found


def services_of(items: Sequence[Item]) -> dict[str, Service]:
    """By key; refuses items whose service is not known."""
    known = {row.key: row for row in Service.objects.all()}
    for item in batches.good(items):
        key = item.data.get("service")
        if key and key not in known:
            item.refuse("service", "unknown_service", f"No service “{texts.shown(key)}” is known.")
    return known


def connections_of(levels: Sequence[Level]) -> dict[uuid.UUID, Credentials]:
    """The connection in effect at each level, by its id. Two queries a partner."""
    found: dict[uuid.UUID, Credentials] = {}
    for partner in {level.partner_id for level in levels}:
        tree, rows = Tree.of(partner), effective.by_level(partner)
        for level in levels:
            if level.partner_id != partner:
                continue
            path = tree.levels_of(level) if isinstance(level, Client) else tree.upwards(level.pk)
            row = nearest(path, rows)
            if row is not None and row.kind != Kind.NONE:
                found[level.pk] = row
    return found


def products_of(items: Sequence[Item], levels: dict[int, Level]) -> dict[tuple[uuid.UUID, str], Choice]:
    """By level and the PSA's id, as our copies of the connections in effect have them."""
    wanted = [
        (levels[id(item)], psa_id) for item in batches.good(items) if (psa_id := item.data.get("product"))
    ]
    connections = connections_of([level for level, _ in wanted])
    rows = Choice.objects.filter(
        credentials__in={row.pk for row in connections.values()},
        kind="product",
        psa_id__in={psa_id for _, psa_id in wanted},
        vanished_at=None,
    )
    copies = {(row.credentials_id, row.psa_id): row for row in rows}
    found = {}
    for level, psa_id in wanted:
        connection = connections.get(level.pk)
        if connection and (copy := copies.get((connection.pk, psa_id))):
            found[level.pk, psa_id] = copy
    return found
