"""This room's parts of a configuration: cross-references, agreements, billing settings (asked by
`portal.configuration`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing import agreements, billingsettings, crossreferences
from billing.crossreferences import Wish
from billing.decisions import Decider, Refused
from billing.models import AgreementLink, BillingSettings, CrossReference, Schedule, Service
from billing.terms import DEFAULTS
from integrations.configparts import at_levels, choice_of, company_of, in_effect, key_of, meant, named, picked
from integrations.models import CompanyLink, Credentials
from portal.configshape import Flag, Leaf, Map, Number, Picked, Record, Text, Tree
from portal.configtree import Path
from portal.configworld import Level, Part, Refusal, Room, World, path_of

THE_REST = "all"
"""The key of the agreement on which services without their own are billed."""
PRODUCT = Picked(kind="product")
AGREEMENT = Picked(kind="agreement")
SIGNED = ("updated_at", "updated_by")


@dataclass(frozen=True)
class Asking:
    """Who changes billing here."""

    world: World

    @property
    def decider(self) -> Decider:
        return Decider(self.world.by[:254], self.world.user)


def services(world: World) -> dict[str, Service]:
    found: dict[str, Service] = world.once(
        "services", lambda: {row.key: row for row in Service.objects.all()}
    )
    return found


def service_of(world: World, key: str, path: str) -> Service:
    if key not in services(world):
        raise Refusal(path, f"No service “{key}” is known.", "unknown_service")
    return services(world)[key]


# --- Cross-references -------------------------------------------------------------------------------------------------

REFERENCE: Mapping[str, Leaf] = {
    "product": PRODUCT,
    "is_billed": Flag(default=True),
    "level": Text(most=255),
    "type": Text(most=255),
    "configuration_type": Text(most=255),
    "agreement_type": Text(most=255),
    "updates_description": Flag(default=True),
    "jump_percent": Number(),
    "jump_units": Number(),
}


def read_references(world: World) -> Mapping[Level, Any]:
    found: dict[Level, Tree] = {}
    rows = CrossReference.objects.filter(partner=world.partner).select_related("service", "product")
    for row in rows.order_by("service__key"):
        level = world.level_of(row)
        path = (*path_of(level), "cross_references", row.service.key, "product")
        value = {name: getattr(row, name) for name in REFERENCE}
        value["product"] = picked(world, path, row.product)
        found.setdefault(level, {})[row.service.key] = value
    return found


def settle_references(world: World, level: Level, live: Any, said: Tree) -> Tree:
    connection = in_effect(world, level)
    found = {}
    for key, value in said.items():
        before = ((live or {}).get(key) or {}).get("product")
        path = (*path_of(level), "cross_references", key, "product")
        found[key] = (
            {**value, "product": meant(world, path, PRODUCT, connection, before, value["product"])}
            if value and value.get("product") is not None
            else value
        )
    return found


def write_references(world: World, level: Level, before: Any, after: Any) -> None:
    was, shall = before or {}, after or {}
    row = world.row_of(level)
    connection = in_effect(world, level)
    for key in [*(key for key in was if key not in shall), *shall]:
        if was.get(key) == shall.get(key):
            continue
        with world.guard((*path_of(level), "cross_references", key)):
            service = service_of(world, key, "")
            if (value := shall.get(key)) is None:
                crossreferences.reset(row, service, by=Asking(world).decider)
                continue
            product = choice_of(world, connection, PRODUCT, value.get("product"))
            wish = Wish(**{**{name: value.get(name) for name in REFERENCE}, "product": product})
            try:
                crossreferences.save(row, service, wish, by=Asking(world).decider)
            except Refused as refusal:
                raise Refusal("", refusal.text, refusal.code) from refusal


# --- Billing settings -------------------------------------------------------------------------------------------------

SETTINGS: Mapping[str, Leaf] = {
    "is_enabled": Flag(),
    "schedule": Text(default=None, choices=Schedule.values),
    "push_day": Number(least=1, most=31),
    "days_before_invoice": Number(most=28),
    "jump_percent": Number(),
    "jump_least": Number(),
    "jump_units": Number(),
    "invoice_window_days": Number(most=28),
    "fleet_clients": Number(),
    "four_eyes": Flag(),
    "updates_descriptions": Flag(),
    "description_template": Text(default=None, most=2000),
}


def read_settings(world: World) -> Mapping[Level, Any]:
    rows = BillingSettings.objects.filter(partner=world.partner)
    found = {
        world.level_of(row): {name: value for name in DEFAULTS if (value := getattr(row, name)) is not None}
        for row in rows
    }
    return {level: value for level, value in found.items() if value}


def write_settings(world: World, level: Level, before: Any, after: Any) -> None:
    values = {name: (after or {}).get(name) for name in DEFAULTS}
    try:
        billingsettings.save(world.row_of(level), values, by=Asking(world).decider)
    except Refused as refusal:
        raise Refusal("", refusal.text, refusal.code) from refusal


# --- Agreements -------------------------------------------------------------------------------------------------------

LINK: Mapping[str, Leaf] = {
    "agreement": AGREEMENT,
    "creates_lines": Flag(default=False),
    "line_id": Text(most=50),
}


def read_agreements(world: World) -> Mapping[Level, Any]:
    keys = {row.pk: key_of(level) for level, row in at_levels(world).items()}
    found: dict[Level, Tree] = {}
    rows = AgreementLink.objects.filter(partner=world.partner, credentials__in=list(keys))
    rows = rows.select_related("service", "agreement")
    for row in rows:
        level = world.levels[row.client_id]
        connection, service = keys[row.credentials_id], row.service.key if row.service else THE_REST
        path = (*path_of(level), "agreements", connection, service, "agreement")
        value = {
            "agreement": picked(world, path, row.agreement),
            "creates_lines": row.creates_lines,
            "line_id": row.line_id,
        }
        found.setdefault(level, {}).setdefault(connection, {})[service] = value
    return found


def settle_agreements(world: World, level: Level, live: Any, said: Tree) -> Tree:
    found: Tree = {}
    for key, links in said.items():
        connection = named(world, key)
        path: Path = (*path_of(level), "agreements", key)
        if connection is None:
            world.refuse(path, f"No connection is set at “{key}”.", "unknown_reference")
        if connection is None or links is None:
            found[key] = links
            continue
        company = company_of(world, level, connection)
        before = (live or {}).get(key) or {}
        found[key] = {
            service: {
                **value,
                "agreement": meant(
                    world,
                    (*path, service, "agreement"),
                    AGREEMENT,
                    connection,
                    (before.get(service) or {}).get("agreement"),
                    value["agreement"],
                    company=company,
                ),
            }
            if value and value.get("agreement") is not None
            else value
            for service, value in links.items()
        }
    return found


def write_agreements(world: World, level: Level, before: Any, after: Any) -> None:
    was, shall = before or {}, after or {}
    for key in {**was, **shall}:
        connection = named(world, key)
        if was.get(key) != shall.get(key) and isinstance(connection, Credentials):
            write_links(world, level, key, connection, was.get(key) or {}, shall.get(key) or {})


def write_links(
    world: World, level: Level, key: str, connection: Credentials, was: Tree, shall: Tree
) -> None:
    client = world.row_of(level)
    link = CompanyLink.objects.filter(client=client, credentials=connection).first()
    for name in {**was, **shall}:
        if was.get(name) == shall.get(name):
            continue
        with world.guard((*path_of(level), "agreements", key, name)):
            service = None if name == THE_REST else service_of(world, name, "")
            value = shall.get(name)
            if value is None:
                agreements.forget(client, connection, service, by=Asking(world).decider)
                continue
            if link is None or not link.psa_company_id:
                raise Refusal(
                    "", "The client is not mapped to a PSA company at this connection.", "not_mapped"
                )
            try:
                agreements.choose(
                    client,
                    connection,
                    link.psa_company_id,
                    agreement_id=value["agreement"]["id"],
                    service=service,
                    creates_lines=value["creates_lines"],
                    line_id=value["line_id"],
                    by=Asking(world).decider,
                )
            except Refused as refusal:
                raise Refusal("agreement", refusal.text, refusal.code) from refusal


LEVELS = ("organization", "client")
ROOM = Room(
    parts=(
        Part(
            name="cross_references",
            places=LEVELS,
            shape=Map(Record(REFERENCE), key=Text(most=80, least=1)),
            read=read_references,
            write=write_references,
            settle=settle_references,
        ),
        Part(
            name="agreements",
            places=("client",),
            shape=Map(Map(Record(LINK, needed=("agreement",)), key=Text(most=80, least=1))),
            read=read_agreements,
            write=write_agreements,
            settle=settle_agreements,
        ),
        Part(name="billing", places=LEVELS, shape=Record(SETTINGS), read=read_settings, write=write_settings),
    ),
    models={
        "CrossReference": ("organization", "client", "service", *REFERENCE),
        "BillingSettings": ("organization", "client", *SETTINGS),
        "AgreementLink": ("client", "credentials", "service", *LINK),
        "Service": "the vendor's catalogue, the same for all partners",
        "Usage": "the ledger",
        "SynchronizeWindow": "when somebody was synchronized",
        "PushDay": "push days that came",
        "PushBatch": "what was pushed",
        "PushRun": "what was pushed",
        "PushItem": "what was pushed",
        "Question": "what was asked and answered",
        "BilledLine": "what we last knew lines to say",
        "BackupStatistics": "the ledger",
        "ReportWindow": "when a report was updated",
        "ReportRun": "what was reported",
        "ReportSetup": "what the PSA's set-up looked like",
        "ReportTick": "what a person looked at in the PSA",
        "SynchronizeOrder": "work that was asked for",
        "BillingMonth": "what a month came to",
        "MonthNumbers": "what a month came to",
        "SettingsHand": "who changed what is above, and when",
        "AgreementReading": "our copy of what the PSA says",
        "ReadingOrder": "work that was asked for",
        "ReferenceRun": "what was written to the PSA",
        "EvidencePack": "what was written down of a month",
        "PackLink": "a key; who has it may look",
    },
    facts={
        "CrossReference": ("id", "partner", *SIGNED),
        "BillingSettings": ("id", "partner", "scheduled_at", *SIGNED),
        "AgreementLink": ("id", "partner", *SIGNED),
    },
)
