"""This room's parts of a configuration: connections, mappings, what PSAs offer (asked by `portal.configuration`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from integrations import companies, connections, doctor, following, locking
from integrations.companies import State, Wish
from integrations.connections import Entered
from integrations.models import CatchAllCompany, Choice, CompanyLink, Credentials, Following, Lane
from integrations.models.connections import Kind, Origin, Standing
from integrations.psa.errors import Misconfigured
from portal.configshape import Flag, Leaf, Map, Number, Picked, Record, Several, Text, Tree
from portal.configtree import Path
from portal.configworld import Finding, Level, Part, Refusal, Room, World, path_of
from portal.encryption import DecryptionFailed, fingerprint

KEPT = "kept"
FROM_ENVIRONMENT = re.compile(r"^env:(PSA_SECRET_[A-Z0-9_]{1,100})$")
"""Only names made for this: whoever writes a document must not have the server's other secrets sent anywhere."""
SKIP = "skip"
SIGN_IN = ("kind", "site_url", "login_company", "public_key", "secret")
LIMITS = ("calls_per_minute", "concurrency")
EXTRAS = doctor.EXTRAS


class Unread:
    """A connection that a document brings: nobody knows yet what its PSA offers."""


UNREAD = Unread()
Connection = Credentials | Unread | None


# --- Connections ------------------------------------------------------------------------------------------------------


def at_levels(world: World) -> dict[Level, Credentials]:
    """The partner's credentials in effect, by the level they are set at; not those prepared or replaced."""

    def read() -> dict[Level, Credentials]:
        rows = Credentials.objects.filter(partner=world.partner, standing=Standing.CURRENT)
        rows = rows.select_related("lane").defer("secret")
        return {world.level_of(row): row for row in rows}

    found: dict[Level, Credentials] = world.once("credentials", read)
    return found


def key_of(level: Level) -> str:
    """How other places name a connection: by where it is set."""
    return f"{level[0]}:{level[1]}"


def named(world: World, key: str) -> Connection:
    """The connection of a key; one that only the document has is not read yet. Refused when there is none."""
    sort, _, name = key.partition(":")
    level = (sort, name)
    if (row := at_levels(world).get(level)) is not None:
        return None if row.kind == Kind.NONE else row
    return UNREAD if said_at(world, level) else None


def said_at(world: World, level: Level) -> Any:
    place: Any = world.memory.get("target", {})
    for step in path_of(level):
        place = (place or {}).get(step)
    return (place or {}).get("connection")


def in_effect(world: World, level: Level) -> Connection:
    """The connection of the nearest level, as the tree of organizations and clients shall be."""
    for place in upwards(world, level):
        if (said := said_at(world, place)) is not None:
            if said["kind"] == Kind.NONE:
                return None
            return at_levels(world).get(place, UNREAD)
    return None


def upwards(world: World, level: Level) -> Iterator[Level]:
    """The level and those above it, nearest first."""
    target: Tree = world.memory.get("target", {})
    if level[0] == "account":
        yield level
        level = ("client", level[1])
    key: Any = level[1]
    if level[0] == "client":
        yield level
        key = target.get("clients", {}).get(level[1], {}).get("organization")
    seen: set[str] = set()
    while key and key not in seen:
        seen.add(key)
        yield "organization", key
        key = target.get("organizations", {}).get(key, {}).get("parent")


def read_connections(world: World) -> Mapping[Level, Any]:
    followed = set(
        Following.objects.filter(partner=world.partner, is_enabled=True).values_list("credentials", flat=True)
    )
    return {level: shown(row, is_followed=row.pk in followed) for level, row in at_levels(world).items()}


def shown(row: Credentials, *, is_followed: bool) -> Tree:
    lane = getattr(row, "lane", None)
    has_psa = row.kind != Kind.NONE
    return {
        "kind": row.kind,
        "site_url": row.site_url,
        "login_company": row.login_company,
        "public_key": row.public_key,
        "secret": KEPT if has_psa and row.secret_fingerprint else None,
        "tested_too": [name for name in EXTRAS if name in row.also_used],
        "follows_tickets": is_followed,
        "calls_per_minute": lane.calls_per_minute if lane else None,
        "concurrency": lane.concurrency if lane else None,
    }


def settle_connection(world: World, level: Level, live: Any, said: Tree) -> Tree:
    """A reference to a secret is looked up on the server only; one that is stored already is kept."""
    secret = said.get("secret")
    if secret is None or secret == KEPT:
        return said
    row = at_levels(world).get(level)
    name = FROM_ENVIRONMENT.match(secret)
    path = (*path_of(level), "connection", "secret")
    if name is None:
        world.refuse(
            path, "Write “kept” or a reference like env:PSA_SECRET_MAIN; never a secret.", "no_reference"
        )
        return said
    value = os.environ.get(name[1], "") if world.is_on_server else ""
    has_one = row is not None and bool(row.secret_fingerprint)
    if row is not None and has_one and (not value or fingerprint(value) == row.secret_fingerprint):
        return {**said, "secret": KEPT}
    if not world.is_on_server:
        text = "Secrets are read from the environment by `manage.py config` on the server only."
        world.refuse(path, f"{text} Or type it on PSA Credentials first and write “kept”.", "secret_needed")
    elif not value:
        world.refuse(path, f"{name[1]} is not set in the environment.", "secret_needed")
    return said


def write_connection(world: World, level: Level, before: Any, after: Tree) -> None:
    current = at_levels(world).get(level)
    was: Tree = before or {}
    row = current
    if current is None or any(was.get(name) != after.get(name) for name in SIGN_IN):
        row = sign_in(world, level, current, after)
    assert row is not None
    if (was.get("tested_too") or []) != after["tested_too"]:
        row.also_used = [feature for feature in doctor.extras_of(row.kind) if feature in after["tested_too"]]
        row.save(update_fields=["also_used"])
    if was.get("follows_tickets", False) != after["follows_tickets"]:
        (following.switch_on if after["follows_tickets"] else following.switch_off)(row)
    if any(was.get(name) != after.get(name) for name in LIMITS):
        if not world.is_vendor:
            raise Refusal("calls_per_minute", "Limits of a lane are set by the vendor’s staff.", "forbidden")
        Lane.objects.filter(credentials=row).update(**{name: after.get(name) for name in LIMITS})
    world.memory.pop("credentials", None)


def sign_in(world: World, level: Level, current: Credentials | None, after: Tree) -> Credentials:
    secret = after.get("secret")
    reference = FROM_ENVIRONMENT.match(secret or "")
    entered = Entered(
        kind=after["kind"],
        site_url=after["site_url"],
        login_company=after["login_company"],
        public_key=after["public_key"],
        secret=os.environ.get(reference[1], "") if reference and world.is_on_server else "",
    )
    if current is not None:
        current = Credentials.objects.select_related("lane").get(pk=current.pk)
    try:
        if current is not None:
            locking.refuse_repointing(current, entered, is_same_psa=False)
        row = connections.save_credentials(world.row_of(level), entered, by=world.user, current=current)
    except Misconfigured as refusal:
        raise Refusal(refusal.field, f"{refusal.text} {refusal.advice}".strip(), "misconfigured") from refusal
    except DecryptionFailed as refusal:
        raise Refusal(
            "secret", "The stored private key cannot be read any more.", "misconfigured"
        ) from refusal
    after["secret"] = KEPT if row.secret_fingerprint else None
    if after["secret"] is None:
        del after["secret"]
    return row


# --- What a PSA offers ------------------------------------------------------------------------------------------------


def picked(world: World, path: Path, choice: Choice | None) -> Any:
    """A choice as it stands in the document; where it is used is remembered for `findings`."""
    if choice is None:
        return None
    world.memory.setdefault("used", {})[path] = choice
    return {"id": choice.psa_id, "name": choice.name}


def offered(world: World, connection: Credentials, kind: str) -> list[Choice]:
    """Our copy of what a PSA offers of a kind, gone ones too."""
    found: list[Choice] = world.once(
        ("offered", connection.pk, kind),
        lambda: list(connection.choices.filter(kind=kind).order_by("name", "psa_id")),
    )
    return found


def by_name(world: World, connection: Credentials, kind: str) -> dict[str, list[Choice]]:
    def read() -> dict[str, list[Choice]]:
        found: dict[str, list[Choice]] = {}
        for row in offered(world, connection, kind):
            if row.vanished_at is None:
                found.setdefault(row.name, []).append(row)
        return found

    index: dict[str, list[Choice]] = world.once(("by name", connection.pk, kind), read)
    return index


def meant(
    world: World,
    path: Path,
    leaf: Picked,
    connection: Connection,
    live: Any,
    said: Any,
    *,
    within: str | None = None,
    company: str | None = None,
) -> Any:
    """What a document's id and name mean here, as id and name. What cannot be found is refused with what comes near.

    The id is believed when the name goes with it; else the name decides; a value that is in use under this id and was
    renamed in the PSA stays. `within`: the board it must be of; `company`: the PSA company whose it must be.
    """
    if said is None or said == live or isinstance(said, str):
        return said
    if connection is None:
        world.refuse(path, "No PSA is in effect here.", "no_psa")
        return said
    if isinstance(connection, Unread):
        text = "This connection is new: apply with “only connections” first, reload its options, then apply the rest."
        world.refuse(path, text, "options_unknown")
        return said
    same = by_name(world, connection, leaf.kind).get(said["name"], [])
    fitting = [row for row in same if fits(row, within=within, company=company)]
    found = next((row for row in fitting if row.psa_id == said["id"]), None)
    if found is None and isinstance(live, dict) and live["id"] == said["id"]:
        world.memory.setdefault("renamed", []).append(
            Finding(path, f"“{said['name']}” ({said['id']}) is called “{live['name']}” in the PSA now.")
        )
        return live
    if found is None and len(fitting) > 1:
        ids = ", ".join(row.psa_id for row in fitting[:10])
        world.refuse(path, f"The PSA offers “{said['name']}” more than once; say the id: {ids}.", "ambiguous")
        return said
    found = found or (fitting[0] if fitting else None)
    if found is not None:
        return {"id": found.psa_id, "name": found.name}
    world.refuse(path, not_offered(world, connection, leaf.kind, said, within, company), "not_offered")
    return said


def fits(row: Choice, *, within: str | None, company: str | None) -> bool:
    if company is not None:
        return row.within == company or row.data.get("company_id") == company
    return within is None or row.within in ("", within)


def not_offered(
    world: World, connection: Credentials, kind: str, said: Tree, within: str | None, company: str | None
) -> str:
    rows = [row for row in offered(world, connection, kind) if fits(row, within=within, company=company)]
    here = [row for row in rows if row.vanished_at is None]
    text = f"The PSA offers no {kind} “{said['name']}”"
    if any(row.name == said["name"] or row.psa_id == said["id"] for row in rows if row.vanished_at):
        text += " any more"
    if not here:
        return f"{text}: our copy has no {kind} here. Reload the options from the PSA."
    near = get_close_matches(said["name"], [row.name for row in here], 5, 0.5)
    near += [row.name for row in here if row.psa_id == said["id"]]
    near = list(dict.fromkeys(near)) or [row.name for row in here[:5]]
    return f"{text}. It offers, for example: {', '.join(f'“{name}”' for name in near)}."


def choice_of(
    world: World, connection: Connection, leaf: Picked, value: Any, *, within: str | None = None
) -> Choice | None:
    """The choice that a settled value names, for the operations. Raises Refusal."""
    if not isinstance(value, dict):
        return None
    if not isinstance(connection, Credentials):
        raise Refusal("", "No PSA is in effect here.", "no_psa")
    same = [
        row
        for row in offered(world, connection, leaf.kind)
        if row.psa_id == value["id"] and row.name == value["name"]
    ]
    best = [row for row in same if row.within == within] or same
    if not best:
        raise Refusal("", f"The PSA in effect here does not offer “{value['name']}”.", "not_offered")
    return best[0]


# --- Companies --------------------------------------------------------------------------------------------------------

COMPANY = Picked(kind="company", word=SKIP)
CATCH_ALL = Picked(kind="company")


def read_links(world: World) -> Mapping[Level, Any]:
    keys = {row.pk: key_of(level) for level, row in at_levels(world).items()}
    found: dict[Level, Tree] = {}
    for link in CompanyLink.objects.filter(partner=world.partner, credentials__in=list(keys)):
        value: Any = (
            {"id": link.psa_company_id, "name": link.psa_company_name} if link.psa_company_id else SKIP
        )
        found.setdefault(world.levels[link.client_id], {})[keys[link.credentials_id]] = value
    return found


def settle_links(world: World, level: Level, live: Any, said: Tree) -> Tree:
    found = {}
    for key, value in said.items():
        path = (*path_of(level), "companies", key)
        connection = named(world, key)
        if connection is None:
            world.refuse(path, f"No connection is set at “{key}”.", "unknown_reference")
        found[key] = (
            meant(world, path, COMPANY, connection, (live or {}).get(key), value) if connection else value
        )
    return found


def write_links(world: World, level: Level, before: Any, after: Any) -> None:
    was, shall = before or {}, after or {}
    client = world.row_of(level)
    for key in {**was, **shall}:
        connection = named(world, key)
        if was.get(key) == shall.get(key) or not isinstance(connection, Credentials):
            continue
        value = shall.get(key)
        if value is None:
            companies.unlink_all(connection, [client.pk])
            continue
        wish = Wish(client, "", "") if value == SKIP else Wish(client, value["id"], value["name"])
        companies.link_all(connection, [wish], by=world.by, origin=Origin.IMPORT)


def company_of(world: World, level: Level, connection: Connection) -> str | None:
    """The PSA company that a level's client shall be at a connection."""
    if level[0] not in ("client", "account") or not isinstance(connection, Credentials):
        return None
    client = world.memory.get("target", {}).get("clients", {}).get(level[1], {})
    key = next((key_of(place) for place, row in at_levels(world).items() if row.pk == connection.pk), "")
    value = client.get("companies", {}).get(key)
    return value["id"] if isinstance(value, dict) else None


def read_catch_all(world: World) -> Mapping[Level, Any]:
    levels = {row.pk: level for level, row in at_levels(world).items()}
    rows = CatchAllCompany.objects.filter(partner=world.partner, credentials__in=list(levels))
    return {
        levels[row.credentials_id]: {"id": row.psa_company_id, "name": row.psa_company_name} for row in rows
    }


def settle_catch_all(world: World, level: Level, live: Any, said: Any) -> Any:
    path = (*path_of(level), "catch_all_company")
    return meant(world, path, CATCH_ALL, named(world, key_of(level)), live, said)


def write_catch_all(world: World, level: Level, before: Any, after: Any) -> None:
    connection = named(world, key_of(level))
    if not isinstance(connection, Credentials):
        raise Refusal("", "A catch-all company belongs where a connection is set.", "no_psa")
    companies.choose_catch_all(connection, choice_of(world, connection, CATCH_ALL, after), by=world.by)


# --- What is not as it should be any more -----------------------------------------------------------------------------


def findings(world: World) -> Iterable[Finding]:
    """Values in use that the PSA renamed, made inactive or does not offer any more; mapped companies likewise."""
    yield from world.memory.get("renamed", ())
    for path, choice in world.memory.get("used", {}).items():
        if choice.vanished_at is not None:
            since = f"{choice.vanished_at:%Y-%m-%d}"
            yield Finding(path, f"“{choice.name}” is not offered by the PSA any more, since {since}.")
        elif choice.data.get("inactive") is True or choice.data.get("active") is False:
            yield Finding(path, f"“{choice.name}” is inactive in the PSA.")
    yield from troubled_links(world)
    for level, row in at_levels(world).items():
        for one in row.choice_lists.exclude(trouble=""):
            yield Finding((*path_of(level), "connection"), f"{one} could not be read: {one.trouble}")


def troubled_links(world: World) -> Iterator[Finding]:
    keys = {row.pk: (level, row) for level, row in at_levels(world).items()}
    links = companies.troubled(CompanyLink.objects.filter(partner=world.partner, credentials__in=list(keys)))
    for link in links.order_by("pk"):
        level, _ = keys[link.credentials_id]
        company = companies.copy_of(link.credentials_id, link.psa_company_id)
        state = companies.state_of(link, company)
        if state != State.OK:
            path = (*path_of(world.levels[link.client_id]), "companies", key_of(level))
            yield Finding(path, companies.explain(state, link, company))
    for one in CatchAllCompany.objects.filter(partner=world.partner, credentials__in=list(keys)):
        level, _ = keys[one.credentials_id]
        company = companies.copy_of(one.credentials_id, one.psa_company_id)
        path = (*path_of(level), "catch_all_company")
        if company is None or company.vanished_at is not None:
            yield Finding(path, f"“{one.psa_company_name}” is no longer among the PSA’s companies.")
        elif company.name != one.psa_company_name:
            yield Finding(path, f"“{one.psa_company_name}” is called “{company.name}” in the PSA now.")


CONNECTION: Mapping[str, Leaf] = {
    "kind": Text(default=None, choices=Kind.values),
    "site_url": Text(most=300),
    "login_company": Text(most=100),
    "public_key": Text(most=100),
    "secret": Text(default=None, most=120),
    "tested_too": Several(of=Text(choices=EXTRAS), order=EXTRAS),
    "follows_tickets": Flag(default=False),
    "calls_per_minute": Number(default=None, least=1, most=100_000),
    "concurrency": Number(default=None, least=1, most=1000),
}
AT_LEVELS = ("organization", "client")
ROOM = Room(
    parts=(
        Part(
            name="connection",
            places=AT_LEVELS,
            shape=Record(
                CONNECTION,
                needed=("kind",),
                kept="is never removed by a document; write “kind: none” instead",
            ),
            read=read_connections,
            write=write_connection,
            settle=settle_connection,
            is_first=True,
        ),
        Part(
            name="companies",
            places=("client",),
            shape=Map(COMPANY),
            read=read_links,
            write=write_links,
            settle=settle_links,
        ),
        Part(
            name="catch_all_company",
            places=AT_LEVELS,
            shape=CATCH_ALL,
            read=read_catch_all,
            write=write_catch_all,
            settle=settle_catch_all,
        ),
    ),
    models={
        "Credentials": (
            "organization",
            "client",
            "kind",
            "site_url",
            "login_company",
            "public_key",
            "also_used",
        ),
        "Lane": LIMITS,
        "Following": ("is_enabled",),
        "CompanyLink": ("client", "credentials", "psa_company_id", "psa_company_name"),
        "CatchAllCompany": ("credentials", "psa_company_id", "psa_company_name"),
        "CompanySuggestion": "computed",
        "TabTicket": "who looks just now",
        "HostedTab": "registered at the PSA after a preview, with a secret address",
        "Choice": "our copy of what the PSA offers",
        "ChoiceList": "our copy of what the PSA offers",
        "Reload": "the record of readings",
        "CallBudget": "counts of an hour",
        "Event": "the event log",
        "Delivery": "the event log",
        "InboundMessage": "what a PSA told us",
        "SavedSearch": "a person's own",
        "BulkReprocess": "work that was asked for",
    },
    facts={
        "Credentials": (
            "id",
            "partner",
            "secret",  # never
            "secret_fingerprint",
            "secret_hint",
            "secret_set_at",
            "secret_set_by",
            "version",
            "created_at",
            "updated_at",
            "test_asked_at",
            "tested_at",
            "test_passed",
            "test_report",
            "standing",  # only what is in effect is in a document
            "replaced_at",
            "left_empty",
        ),
        "Lane": (
            "id",
            "partner",
            "credentials",
            "holder",
            "held_until",
            "fence",
            "is_paused",  # for the moment
            "breaker",
            "breaker_text",
            "breaker_since",
            "open_until",
            "probes",
            "failures",
            "blocked",
            "reports_open_at",
            "facts",
            "last_success_at",
            "untold_since",
            "telling_until",
        ),
        "CompanyLink": ("id", "partner", "linked_at", "linked_by", "origin"),
        "CatchAllCompany": ("id", "partner", "chosen_at", "chosen_by"),
        "Following": (
            "id",
            "partner",
            "credentials",
            "token_digest",
            "secret",  # never
            "signing_keys",
            "key_url",
            "key_asked_at",
            "registration",
            "registered_id",
            "registered_site",
            "registered_at",
            "checked_at",
            "check_due_at",
            "problem",
            "advice",
            "written",
            "renew_asked_at",
            "renewed_at",
            "callbacks",
            "callback_at",
            "refused",
            "refused_at",
            "refused_because",
            "woken_at",
            "changed_until",
            "polled_at",
            "poll_tried_at",
            "poll_problem",
            "found_by_callback",
            "found_by_poll",
            "taking_until",
            "polling_until",
            "registering_until",
        ),
    },
    findings=findings,
)
