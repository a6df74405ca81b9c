"""This room's parts of a configuration: how tickets look, what is expected, when a client's PSA is off (asked by
`portal.configuration`; rules, noise and what goes past the PSAs are in `configrules`)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from alerts import absence, addresses, catchup, configrules, setup
from alerts.models import ClientAddress, ClosingStatus, Expectation, TicketSettings
from alerts.ticketsettings import CHOICES, FIELDS, KINDS, NUMBERS, OF_A_BOARD, OF_A_COMPANY, SWITCHES, TEXTS
from integrations.configparts import (
    Connection,
    Unread,
    at_levels,
    by_name,
    choice_of,
    company_of,
    in_effect,
    meant,
    named,
    offered,
    picked,
    upwards,
)
from integrations.models import Credentials
from portal import clock
from portal.configshape import (
    Flag,
    Fraction,
    Leaf,
    Map,
    Moment,
    Number,
    Picked,
    Record,
    Text,
    Tree,
    moment_of,
    moment_text,
    plain_number,
)
from portal.configworld import Level, Part, Refusal, Room, World, path_of
from portal.models import Disabling

# --- Ticket settings --------------------------------------------------------------------------------------------------

LONGEST = {"summary_template": 500, "body_template": 8000}
TICKETS: Mapping[str, Any] = {
    name: Picked(kind=KINDS[name])
    if name in CHOICES
    else Number(most=setup.MOST[name])
    if name in NUMBERS
    else Text(default=None, most=LONGEST[name])
    if name in TEXTS
    else Flag()
    for name in FIELDS
}
assert set(TICKETS) == {*CHOICES, *NUMBERS, *TEXTS, *SWITCHES}


def read_tickets(world: World) -> Mapping[Level, Any]:
    rows = TicketSettings.objects.filter(partner=world.partner).select_related("account", *CHOICES)
    found: dict[Level, Tree] = {}
    for row in rows:
        level = world.level_of(row)
        value: Tree = {}
        for name in FIELDS:
            own = getattr(row, name)
            if name in CHOICES:
                own = picked(world, (*path_of(level), "ticket_settings", name), own)
            if own is not None:
                value[name] = own
        found[level] = value
    return found


def settle_tickets(world: World, level: Level, live: Any, said: Tree) -> Tree:
    connection = in_effect(world, level)
    board = board_at(world, level, connection)
    company = company_of(world, level, connection)
    found = dict(said)
    for name in CHOICES:
        if said.get(name) is None:
            continue
        found[name] = meant(
            world,
            (*path_of(level), "ticket_settings", name),
            TICKETS[name],
            connection,
            (live or {}).get(name),
            said[name],
            within=board if name in OF_A_BOARD else None,
            company=(company or "no company") if name in OF_A_COMPANY else None,
        )
    return found


def board_at(world: World, level: Level, connection: Connection) -> str | None:
    """The PSA's id of the board that will be in effect; None when there is none, or nobody knows."""
    target: Tree = world.memory.get("target", {})
    for place in upwards(world, level):
        value: Any = target
        for step in (*path_of(place), "ticket_settings", "board"):
            value = (value or {}).get(step)
        if value is not None:
            return board_named(world, connection, value)
    return None


def board_named(world: World, connection: Connection, value: Tree) -> str | None:
    if connection is None or isinstance(connection, Unread):
        return None
    same = by_name(world, connection, "board").get(value["name"], [])
    exact = [row for row in same if row.psa_id == value["id"]]
    known = exact or same or [row for row in offered(world, connection, "board") if row.psa_id == value["id"]]
    return known[0].psa_id if known else None


def write_tickets(world: World, level: Level, before: Any, after: Any) -> None:
    connection = in_effect(world, level)
    board = board_at(world, level, connection)
    values = dict(after or {})
    for name in CHOICES:
        if name in values:
            try:
                within = board if name in OF_A_BOARD else None
                values[name] = choice_of(world, connection, TICKETS[name], values[name], within=within)
            except Refusal as refusal:
                raise Refusal(name, refusal.text, refusal.code) from refusal
    setup.save_ticket_settings(world.row_of(level), values, by=world.by)


# --- Closing statuses -------------------------------------------------------------------------------------------------

BOARD, STATUS = Picked(kind="board"), Picked(kind="status")


def read_closing(world: World) -> Mapping[Level, Any]:
    found: dict[Level, Tree] = {}
    keys = [row.pk for row in at_levels(world).values()]
    rows = ClosingStatus.objects.filter(partner=world.partner, credentials__in=keys)
    rows = rows.select_related("board", "status", "credentials")
    for row in rows.order_by("board__psa_id"):
        level = world.level_of(row.credentials)
        place = found.setdefault(level, {})
        key = row.board.name if row.board.name not in place else f"{row.board.name} ({row.board.psa_id})"
        path = (*path_of(level), "closing_statuses", key)
        place[key] = {
            "board": picked(world, (*path, "board"), row.board),
            "status": picked(world, (*path, "status"), row.status),
        }
    return found


def settle_closing(world: World, level: Level, live: Any, said: Tree) -> Tree:
    connection = named(world, f"{level[0]}:{level[1]}")
    found: Tree = {}
    for key, value in said.items():
        before = (live or {}).get(key) or {}
        path = (*path_of(level), "closing_statuses", key)
        settled = dict(value or {})
        if settled.get("board") is not None:
            settled["board"] = meant(
                world, (*path, "board"), BOARD, connection, before.get("board"), settled["board"]
            )
        if settled.get("status") is not None:
            within = (settled.get("board") or before.get("board") or {}).get("id")
            settled["status"] = meant(
                world,
                (*path, "status"),
                STATUS,
                connection,
                before.get("status"),
                settled["status"],
                within=within,
            )
        found[key] = settled if value is not None else None
    return found


def write_closing(world: World, level: Level, before: Any, after: Any) -> None:
    connection = named(world, f"{level[0]}:{level[1]}")
    if not isinstance(connection, Credentials):
        raise Refusal("", "Closing statuses belong where a connection is set.", "no_psa")
    was, shall = before or {}, after or {}
    for key in {**was, **shall}:
        if was.get(key) == shall.get(key):
            continue
        with world.guard((*path_of(level), "closing_statuses", key)):
            if (gone := was.get(key)) is not None:
                board = choice_of(world, connection, BOARD, gone["board"])
                ClosingStatus.objects.filter(credentials=connection, board=board).delete()
            if (value := shall.get(key)) is not None:
                board = choice_of(world, connection, BOARD, value["board"])
                status = choice_of(world, connection, STATUS, value["status"], within=value["board"]["id"])
                if board is None or status is None or not setup.fits("closing_status", status):
                    raise Refusal(
                        "status", "This status does not close a ticket; choose a closed one.", "not_closed"
                    )
                ClosingStatus.objects.create(
                    partner=world.partner, credentials=connection, board=board, status=status
                )


# --- A client's address, and whether its PSA is off -------------------------------------------------------------------


def read_addresses(world: World) -> Mapping[Level, Any]:
    """Only what was typed over; the rest is the PSA's."""
    rows = ClientAddress.objects.filter(partner=world.partner).exclude(edited_by="")
    return {
        world.levels[row.client_id]: {name: getattr(row, name) for name in addresses.LINES} for row in rows
    }


def settle_address(world: World, level: Level, live: Any, said: Tree) -> Any:
    """What the PSA says anyway is not typed over."""
    client = world.clients.get(level[1])
    row = addresses.address_of(client) if client is not None and live is None else None
    same = row is not None and all(
        (said.get(name) or "") == row.read.get(name, "") for name in addresses.LINES
    )
    return None if same else said


def write_address(world: World, level: Level, before: Any, after: Any) -> None:
    client = world.row_of(level)
    row = addresses.address_of(client)
    lines = after or {name: (row.read if row else {}).get(name, "") for name in addresses.LINES}
    addresses.edit(client, lines, by=world.by or "a document")


def read_disabled(world: World) -> Mapping[Level, Any]:
    now = clock.now()
    rows = Disabling.objects.filter(partner=world.partner, ended_at=None)
    return {
        world.levels[row.client_id]: {"until": moment_text(row.until), "reason": row.reason}
        for row in rows
        if row.until is None or row.until > now
    }


def settle_disabled(world: World, level: Level, live: Any, said: Tree) -> Any:
    """A time that is over disables nobody."""
    until = moment_of(said.get("until"))
    return None if until is not None and until <= clock.now() else said


def write_disabled(world: World, level: Level, before: Any, after: Any) -> None:
    client = world.row_of(level)
    if after is None:
        catchup.enable(client, by=world.by)
    else:
        catchup.disable(client, until=moment_of(after.get("until")), reason=after["reason"], by=world.by)


# --- What is expected -------------------------------------------------------------------------------------------------


def read_expectations(world: World) -> Mapping[Level, Any]:
    """What somebody said; what was learnt is a fact."""
    found: dict[Level, Tree] = {}
    rows = Expectation.objects.filter(partner=world.partner).exclude(is_set=False, is_enabled=True)
    for row in rows.select_related("account").order_by("event_type"):
        found.setdefault(world.level_of(row), {})[row.event_type] = {
            "every_hours": plain_number(row.every_hours or "0") if row.is_set else None,
            "tolerance": plain_number(row.tolerance) if row.is_set else "2",
            "is_enabled": row.is_enabled,
        }
    return found


def write_expectations(world: World, level: Level, before: Any, after: Any) -> None:
    was, shall = before or {}, after or {}
    row = world.row_of(level)
    client, account = (row, None) if level[0] == "client" else (row.client, row)
    for kind in {**was, **shall}:
        if was.get(kind) == shall.get(kind):
            continue
        with world.guard((*path_of(level), "expectations", kind)):
            value = shall.get(kind)
            if value is None:
                absence.forget(client, account=account, event_type=kind)
            elif value.get("every_hours") is None:
                if value["is_enabled"]:
                    raise Refusal(
                        "every_hours", "Say how often, or “is_enabled: false” to watch nothing.", "required"
                    )
                absence.forget(client, account=account, event_type=kind, is_enabled=False)
            else:
                absence.set_expectation(
                    client,
                    every_hours=Decimal(value["every_hours"]),
                    tolerance=Decimal(value["tolerance"]),
                    account=account,
                    event_type=kind,
                    is_enabled=value["is_enabled"],
                )


EXPECTATION: Mapping[str, Leaf] = {
    "every_hours": Fraction(least=Decimal("0.25"), most=Decimal(8784)),
    "tolerance": Fraction(default="2", least=Decimal(1), most=Decimal(10)),
    "is_enabled": Flag(default=True),
}
LEVELS = ("organization", "client")
RULES = configrules.PARTS
ROOM = Room(
    parts=(
        Part(
            name="ticket_settings",
            places=("organization", "client", "account"),
            shape=Record(TICKETS),
            read=read_tickets,
            write=write_tickets,
            settle=settle_tickets,
        ),
        Part(
            name="closing_statuses",
            places=LEVELS,
            shape=Map(Record({"board": BOARD, "status": STATUS}, needed=("board", "status"))),
            read=read_closing,
            write=write_closing,
            settle=settle_closing,
        ),
        Part(
            name="address",
            places=("client",),
            shape=Record({name: Text(most=most) for name, most in addresses.LINES.items()}),
            read=read_addresses,
            write=write_address,
            settle=settle_address,
        ),
        Part(
            name="disabled",
            places=("client",),
            shape=Record({"reason": Text(most=300), "until": Moment()}),
            read=read_disabled,
            write=write_disabled,
            settle=settle_disabled,
        ),
        Part(
            name="expectations",
            places=("client", "account"),
            shape=Map(Record(EXPECTATION), key=Text(most=100, least=1)),
            read=read_expectations,
            write=write_expectations,
        ),
        *RULES,
    ),
    models={
        **configrules.MODELS,
        "TicketSettings": ("organization", "client", "account", *FIELDS),
        "ClosingStatus": ("credentials", "board", "status"),
        "ClientAddress": ("client", *addresses.LINES),
        "Expectation": ("client", "account", "event_type", *EXPECTATION),
        "EventType": "the vendor's catalogue, the same for all partners",
        "KeyShape": "what was seen",
        "SettingChange": "the record of changes",
        "TicketTest": "a test that was made",
        "Condition": "what happened",
        "Ticket": "what happened",
        "Outage": "what happened",
        "Storm": "what happened",
        "Hold": "what is held back just now",
        "GroupLead": "what is held back just now",
        "Swings": "what happened",
        "Suppression": "what happened",
        "NotificationVersion": "the record of changes",
        "RuleDraft": "only tried out",
        "Replay": "what was tried out",
        "GuidedSetup": "how far somebody is",
        "DailyFigures": "computed",
        "MonthlyUsage": "computed",
    },
    facts={
        **configrules.FACTS,
        "TicketSettings": ("id", "partner", "updated_at"),
        "ClosingStatus": ("id", "partner"),
        "ClientAddress": (
            "id",
            "partner",
            "location",
            "id_number",
            "site_id",
            "credentials",
            "company_id",
            "read",
            "read_at",
            "tried_at",
            "linked_at_tried",
            "trouble",
            "edited_at",
            "edited_by",
        ),
        "Expectation": (
            "id",
            "partner",
            "is_set",
            "seen_at",
            "learnt_from",
            "missing",
            "missing_since",
            "changes",
            "created_at",
        ),
    },
)
