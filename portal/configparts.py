"""This room's parts of a configuration: the partner, organizations, clients, people (asked by `configuration`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal import clients, team
from portal.configshape import Flag, Leaf, Map, Number, Record, Text, Tree, ordered
from portal.configtree import Node
from portal.configworld import ALWAYS, PARTNER, Level, Part, Refusal, Room, World, name_for, name_in
from portal.models import Client, Membership, Mode, Organization, Role
from portal.models.partners import CLIENT_NUMBER, WITHOUT_APPROVAL, check_time_zone

MODES: Mapping[str, Leaf] = {
    "tickets_mode": Text(default=None, choices=[value for value, _ in WITHOUT_APPROVAL]),
    "billing_mode": Text(default=None, choices=Mode.values),
    "statistics_mode": Text(default=None, choices=[value for value, _ in WITHOUT_APPROVAL]),
}
NEVER = "is never removed by a document; take it out of use instead"


class ClientNumber(Text):
    """A client id in digits."""

    def value(self, node: Node) -> str:
        text = self.scalar(node)
        if not CLIENT_NUMBER.match(text):
            refuse = Number(least=1).value(Node(node.line, text=text, is_plain=True))
            return str(refuse)
        return text


ORGANIZATION: Mapping[str, Any] = {
    "name": Text(default=None),
    "was": Text(default=None, most=300),
    "parent": Text(default=None, most=300),
    **MODES,
}
CLIENT: Mapping[str, Any] = {
    "name": Text(least=1),
    "organization": Text(most=300, least=1),
    "is_active": Flag(default=True),
    **MODES,
}


# --- Organizations and clients ----------------------------------------------------------------------------------------


def read_organizations(world: World) -> Tree:
    keys = {row.pk: key for key, row in world.organizations.items()}
    return {
        key: {
            "name": name_for(key, row),
            "parent": keys[row.parent_id] if row.parent_id else None,
            **{name: getattr(row, name) for name in MODES},
        }
        for key, row in world.organizations.items()
    }


def read_clients(world: World) -> Tree:
    keys = {row.pk: key for key, row in world.organizations.items()}
    return {
        key: {
            "name": row.name,
            "organization": keys[row.organization_id],
            "is_active": row.is_active,
            **{name: getattr(row, name) for name in MODES},
        }
        for key, row in world.clients.items()
    }


def top_down(world: World, target: Tree) -> list[str]:
    """Keys of organizations, parents first. What hangs in the air or in a circle is refused."""
    found: list[str] = []
    left = ordered(target)
    while left:
        ready = [key for key in left if not target[key].get("parent") or target[key]["parent"] in found]
        if not ready:
            break
        found += ready
        left = [key for key in left if key not in found]
    for key in left:
        parent = target[key]["parent"]
        text = (
            f"“{parent}” is its own parent, some levels up."
            if parent in target
            else f"There is no organization “{parent}”."
        )
        world.refuse(("organizations", key, "parent"), text, "unknown_reference")
    tops = [key for key in found if not target[key].get("parent")]
    for key in tops[1:]:
        text = f"“{tops[0]}” is at the top already: say a “parent”."
        world.refuse(("organizations", key), text, "second_top_level")
    return found


def write_organizations(world: World, before: Tree, after: Tree) -> None:
    for key in top_down(world, after):
        value = after[key]
        if before.get(key) == value:
            continue
        with world.guard(("organizations", key)):
            row = world.organizations.get(key) or Organization(partner=world.partner)
            row.name = name_in(key, value)
            row.parent = world.organizations[value["parent"]] if value.get("parent") else None
            for name in MODES:
                setattr(row, name, value.get(name))
            row.save()
            world.organizations[key] = row
    world.__dict__.pop("levels", None)


def write_clients(world: World, before: Tree, after: Tree) -> None:
    for key, value in after.items():
        if before.get(key) == value:
            continue
        with world.guard(("clients", key)):
            organization = world.organizations.get(value["organization"])
            if organization is None:
                raise Refusal(
                    "organization",
                    f"There is no organization “{value['organization']}”.",
                    "unknown_reference",
                )
            write_client(world, key, value, organization)
    world.__dict__.pop("levels", None)


def write_client(world: World, key: str, value: Tree, organization: Organization) -> None:
    row: Client | None = world.clients.get(key)
    if row is None:
        try:
            row = clients.add_client(
                world.partner, name=value["name"], number=int(key), organization=organization
            )
        except clients.NumberTaken as error:
            raise Refusal("", f"{error} Choose another.", "number_taken") from error
    row.name, row.organization, row.is_active = value["name"], organization, value["is_active"]
    for name in MODES:
        setattr(row, name, value.get(name))
    row.save()
    world.clients[key] = row


# --- The partner and its people ---------------------------------------------------------------------------------------


def read_partner(world: World) -> Mapping[Level, Any]:
    return {PARTNER: {"name": world.partner.name, "time_zone": world.partner.time_zone}}


def write_partner(world: World, level: Level, before: Any, after: Any) -> None:
    if not world.is_vendor:
        raise Refusal("", "Name and time zone of a partner are changed by the vendor’s staff.", "forbidden")
    check_time_zone(after["time_zone"])
    world.partner.name, world.partner.time_zone = after["name"], after["time_zone"]
    world.partner.save(update_fields=["name", "time_zone"])


def read_team(world: World) -> Mapping[Level, Any]:
    rows = Membership.objects.filter(partner=world.partner).select_related("user")
    return {PARTNER: {row.user.email.lower(): {"role": row.role} for row in rows}}


def write_team(world: World, level: Level, before: Any, after: Any) -> None:
    """Who comes first: the last manager may not go."""
    if not world.may_change_people:
        raise Refusal(
            "", "A token may not change people or their roles; a Partner Senior Manager may.", "forbidden"
        )
    after = after or {}
    rows = {
        row.user.email.lower(): row
        for row in Membership.objects.filter(partner=world.partner).select_related("user")
    }
    stronger = sorted(after, key=lambda email: after[email]["role"] != Role.SENIOR_MANAGER)
    for email in [*stronger, *(email for email in rows if email not in after)]:
        with world.guard(("team", email)):
            try:
                put(world, email, rows.get(email), after.get(email))
            except team.Refused as refusal:
                raise Refusal("", str(refusal)) from refusal


def put(world: World, email: str, row: Membership | None, value: Tree | None) -> None:
    if row is None and value is not None:
        team.add(world.partner, email, value["role"])
    elif row is not None and value is None:
        team.remove(row)
    elif row is not None and value is not None and row.role != value["role"]:
        team.change_role(row, value["role"])


ROOM = Room(
    parts=(
        Part(
            name="partner",
            places=("partner",),
            shape=Record({"name": Text(least=1), "time_zone": Text(most=60, least=1)}, kept=ALWAYS),
            read=read_partner,
            write=write_partner,
            is_first=True,
        ),
        Part(
            name="team",
            places=("partner",),
            shape=Map(
                Record({"role": Text(default=Role.VIEWER.value, choices=Role.values)}),
                key=Text(most=254, least=3, is_email=True),
            ),
            read=read_team,
            write=write_team,
            note="Who may sign in. Passwords are nobody's but theirs: a new person asks for one at the sign-in page.",
        ),
    ),
    models={
        "Partner": ("name", "time_zone"),
        "Organization": ("name", "parent", *MODES),
        "Client": ("number", "name", "organization", "is_active", *MODES),
        "Membership": ("user", "role"),
        "Account": "made by events and usage; named here only where it has settings of its own",
        "User": "a person's own; who belongs to the partner is “team”",
        "ApiToken": "a key; only its digest is stored",
        "Disabling": "the record of when; whether a client is disabled is “disabled” of the alerts room",
        "AuditEntry": "the audit log",
        "AuditChain": "the audit log",
        "IdempotentRequest": "answers kept for a day",
        "Allowance": "counts of a minute",
        "Heartbeat": "signs of life",
        "KeyCheck": "the installation's",
        "SignIn": "where people are signed in",
        "Tries": "counts of wrong tries",
        "StepRemark": "what people said to staff",
        "ConfigState": "what this is compared with",
    },
    facts={
        "Partner": (
            "id",
            "slug",
            "is_active",
            "created_at",
            "second_factor_from",  # people decide it, after proving who they are
        ),
        "Organization": ("id", "partner"),
        "Client": ("id", "partner", "created_at"),
        "Membership": ("id", "partner"),
    },
)
