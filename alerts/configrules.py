"""The parts of a configuration about rules: notifications, filters, windows, noise, webhooks and e-mail (asked by
`configparts`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any

from alerts import filters, mailsettings, noisesettings, notifications, webhooks, windows
from alerts.models import (
    DropFilter,
    Grouping,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    WebhookEndpoint,
    default_severities,
)
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal.configshape import (
    Clock,
    Day,
    Flag,
    Leaf,
    Map,
    Moment,
    Number,
    Record,
    Several,
    Text,
    Tree,
    clock_text,
    moment_of,
    moment_text,
)
from portal.configworld import ALWAYS, PARTNER, Level, Part, Refusal, World, name_for, name_in
from portal.models import Membership, User

NAMED: Mapping[str, Any] = {"name": Text(default=None), "was": Text(default=None, most=300)}
SCOPE: Mapping[str, Any] = {
    "organization": Text(default=None, most=300),
    "client": Text(default=None, most=20),
}
TYPES = Several(of=Text(most=100, least=1))
SEVERITIES: Sequence[str] = Severity.values
Save = Callable[[str, Tree, Any], Any]


# --- What they share --------------------------------------------------------------------------------------------------


def scope_of(world: World, row: Any) -> Tree:
    client = row.client_id and world.levels[row.client_id][1]
    organization = row.organization_id and world.levels[row.organization_id][1]
    return {"organization": organization or None, "client": client or None}


def scope_in(world: World, value: Tree) -> Tree:
    """The rows that an entry names. Raises Refusal."""
    found: Tree = {"organization": None, "client": None}
    for name, rows in (("organization", world.organizations), ("client", world.clients)):
        if key := value.get(name):
            if key not in rows:
                raise Refusal(name, f"There is no {name} “{key}”.", "unknown_reference")
            found[name] = rows[key]
    return found


def write_named(
    world: World,
    section: str,
    rows: Iterable[Any],
    before: Any,
    after: Any,
    *,
    save: Save,
    delete: Callable[[Any], Any],
) -> None:
    """Rows found by their key: the removed ones first, then each that differs."""
    known = dict(world.keyed(section, rows))
    was, shall = before or {}, after or {}
    for key in was:
        if key not in shall:
            with world.guard((section, key)):
                delete(known[key])
    for key, value in shall.items():
        if was.get(key) != value:
            with world.guard((section, key)):
                save(name_in(key, value), value, known.get(key))


# --- Webhooks ---------------------------------------------------------------------------------------------------------


def endpoints(world: World) -> Any:
    return WebhookEndpoint.objects.filter(partner=world.partner).defer("secret").order_by("pk")


def read_webhooks(world: World) -> Mapping[Level, Any]:
    return {
        PARTNER: {
            key: {"name": name_for(key, row), "url": row.url, "is_enabled": row.is_enabled}
            for key, row in world.keyed("webhooks", endpoints(world))
        }
    }


def write_webhooks(world: World, level: Level, before: Any, after: Any) -> None:
    def save(name: str, value: Tree, row: Any) -> None:
        current = WebhookEndpoint.objects.get(pk=row.pk) if row else None
        webhooks.save_endpoint(
            world.partner, name=name, url=value["url"], is_enabled=value["is_enabled"], current=current
        )

    def later(row: Any) -> None:
        """Notifications that lead to it are changed first."""
        world.memory.setdefault("endpoints to delete", []).append(row)

    write_named(world, "webhooks", list(endpoints(world)), before, after, save=save, delete=later)


def finish_webhooks(world: World) -> None:
    for row in world.memory.pop("endpoints to delete", ()):
        with world.guard(("webhooks", row.name)):
            webhooks.delete_endpoint(row)


# --- E-mail settings --------------------------------------------------------------------------------------------------

MAIL: Mapping[str, Leaf] = {
    "address": Text(most=254, is_email=True),
    "external_address": Text(most=254, is_email=True),
    "connector_addresses": Several(of=Text(most=254, is_email=True)),
    "no_backup": Flag(default=False),
    "no_error_free_backup": Flag(default=False),
    "external_ticketing": Flag(default=False),
}


def read_mail(world: World) -> Mapping[Level, Any]:
    entered = mailsettings.entered_of(world.partner)
    value = {name: getattr(entered, name) for name in MAIL}
    addresses = {name: value[name].lower() for name in ("address", "external_address")}
    return {PARTNER: {**value, **addresses, "connector_addresses": sorted(value["connector_addresses"])}}


def write_mail(world: World, level: Level, before: Any, after: Any) -> None:
    mailsettings.save_mail_settings(world.partner, mailsettings.Entered(**after), by=world.by)


# --- Notifications ----------------------------------------------------------------------------------------------------

NOTIFICATION: Mapping[str, Any] = {
    **NAMED,
    "position": Number(most=100_000),
    "action": Text(default=None, choices=Action.values),
    "severities": Several(
        of=Text(choices=SEVERITIES),
        order=SEVERITIES,
        default=tuple(sorted(default_severities(), key=SEVERITIES.index)),
    ),
    "all_event_types": Flag(default=True),
    "event_types": TYPES,
    **SCOPE,
    "is_enabled": Flag(default=True),
    "stops": Flag(default=False),
    "catch_all": Flag(default=False),
    "min_minutes": Number(default=0, most=notifications.MOST_MINUTES),
    "grouping": Text(choices=Grouping.values),
    "recipients": Several(of=Text(most=254, least=3, is_email=True)),
    "members": Several(of=Text(most=254, least=3, is_email=True)),
    "webhook": Text(default=None, most=300),
    "kept_by": Text(choices=["", *(setting.name for setting in mailsettings.SETTINGS)]),
}
PLAIN = (
    "position",
    "action",
    "all_event_types",
    "is_enabled",
    "stops",
    "catch_all",
    "min_minutes",
    "grouping",
)


def rules(world: World) -> Any:
    return Notification.objects.filter(partner=world.partner).order_by("pk")


def read_notifications(world: World) -> Mapping[Level, Any]:
    keys = {row.pk: key for key, row in world.keyed("webhooks", endpoints(world))}
    people = {
        str(pk): email.lower()
        for pk, email in User.objects.filter(memberships__partner=world.partner).values_list("pk", "email")
    }
    return {
        PARTNER: {
            key: {
                "name": name_for(key, row),
                **{name: getattr(row, name) for name in PLAIN},
                **scope_of(world, row),
                "severities": NOTIFICATION["severities"].tidy(row.severities),
                "event_types": sorted(row.event_types),
                "recipients": sorted(row.recipients),
                "members": sorted(people[pk] for pk in row.members if pk in people),
                "webhook": keys.get(row.webhook_id),
                "kept_by": row.origin,
            }
            for key, row in world.keyed("notifications", rules(world))
        }
    }


def write_notifications(world: World, level: Level, before: Any, after: Any) -> None:
    known = dict(world.keyed("webhooks", endpoints(world)))
    people = Membership.objects.filter(partner=world.partner).values_list("user__email", "user")
    by_address = {email.lower(): str(pk) for email, pk in people}
    kept = mailsettings.kept_rules(world.partner)

    def save(name: str, value: Tree, row: Any) -> None:
        if not value["severities"]:
            raise Refusal("severities", "Say at least one.", "required")
        if not value["all_event_types"] and not value["event_types"]:
            raise Refusal("event_types", "Name at least one, or say “all_event_types: true”.", "required")
        if strangers := [email for email in value["members"] if email not in by_address]:
            raise Refusal("members", f"{strangers[0]} is not in the team.", "unknown_reference")
        endpoint = value.get("webhook")
        if endpoint and endpoint not in known:
            raise Refusal("webhook", f"There is no webhook “{endpoint}”.", "unknown_reference")
        plain: dict[str, Any] = {field: value.get(field) for field in PLAIN}
        entered = notifications.Entered(
            name=name,
            **plain,
            **scope_in(world, value),
            severities=value["severities"],
            event_types=value["event_types"],
            recipients=value["recipients"],
            members=[by_address[email] for email in value["members"]],
            webhook=known[endpoint] if endpoint else None,
        )
        origin = value["kept_by"]
        notifications.save_notification(
            world.partner, entered, by=world.by, current=row or kept.get(origin), origin=origin
        )

    write_named(
        world,
        "notifications",
        list(rules(world)),
        before,
        after,
        save=save,
        delete=notifications.delete_notification,
    )


def why_kept(key: str, value: Any) -> str:
    return "is kept by the e-mail settings" if (value or {}).get("kept_by") else ""


# --- Drop filters -----------------------------------------------------------------------------------------------------

FILTER: Mapping[str, Any] = {
    **NAMED,
    "reason": Text(most=500),
    "sources": TYPES,
    "event_types": TYPES,
    "severities": Several(of=Text(choices=SEVERITIES), order=SEVERITIES),
    "phrases": Several(of=Text(most=500, least=1), keeps_order=True, most=filters.MOST_PHRASES),
    **SCOPE,
    "is_enabled": Flag(default=True),
    "expires_at": Moment(),
}


def drop_filters(world: World) -> Any:
    return DropFilter.objects.filter(partner=world.partner).order_by("pk")


def read_filters(world: World) -> Mapping[Level, Any]:
    return {
        PARTNER: {
            key: {
                "name": name_for(key, row),
                "reason": row.reason,
                "sources": sorted(row.sources),
                "event_types": sorted(row.event_types),
                "severities": FILTER["severities"].tidy(row.severities),
                "phrases": list(row.phrases),
                **scope_of(world, row),
                "is_enabled": row.is_enabled,
                "expires_at": moment_text(row.expires_at),
            }
            for key, row in world.keyed("drop_filters", drop_filters(world))
        }
    }


def write_filters(world: World, level: Level, before: Any, after: Any) -> None:
    def save(name: str, value: Tree, row: Any) -> None:
        lists = {field: value[field] for field in ("sources", "event_types", "severities", "phrases")}
        entered = filters.Entered(
            name=name,
            reason=value["reason"],
            **lists,
            **scope_in(world, value),
            is_enabled=value["is_enabled"],
            expires_at=moment_of(value.get("expires_at")),
        )
        filters.save_filter(world.partner, entered, by=world.by, current=row)

    rows = list(drop_filters(world))
    write_named(world, "drop_filters", rows, before, after, save=save, delete=lambda row: row.delete())


# --- Maintenance windows ----------------------------------------------------------------------------------------------

WINDOW: Mapping[str, Any] = {
    **NAMED,
    "reason": Text(most=500),
    "repeats": Text(default=MaintenanceWindow.Repeats.ONCE.value, choices=MaintenanceWindow.Repeats.values),
    "first_on": Day(),
    "starts_at": Clock(),
    "ends_at": Clock(),
    "days": Number(default=0, most=windows.LONGEST_DAYS),
    "weekdays": Several(of=Number(most=6), order=range(7)),
    "last_on": Day(),
    **SCOPE,
    "account": Text(default=None, most=100),
}


def all_windows(world: World) -> Any:
    return MaintenanceWindow.objects.filter(partner=world.partner).select_related("account").order_by("pk")


def read_windows(world: World) -> Mapping[Level, Any]:
    return {
        PARTNER: {
            key: window_value(world, key, row)
            for key, row in world.keyed("maintenance_windows", all_windows(world))
        }
    }


def window_value(world: World, key: str, row: MaintenanceWindow) -> Tree:
    scope = scope_of(world, row)
    if row.account is not None:
        scope["client"] = world.levels[row.account.client_id][1]
    return {
        "name": name_for(key, row),
        "reason": row.reason,
        "repeats": row.repeats,
        "first_on": row.first_on.isoformat(),
        "starts_at": clock_text(row.starts_at),
        "ends_at": clock_text(row.ends_at),
        "days": row.days,
        "weekdays": sorted(row.weekdays),
        "last_on": row.last_on.isoformat() if row.last_on else None,
        **scope,
        "account": row.account.key if row.account else None,
    }


def write_windows(world: World, level: Level, before: Any, after: Any) -> None:
    def save(name: str, value: Tree, row: Any) -> None:
        scope = scope_in(world, value)
        if key := value.get("account"):
            if scope["client"] is None:
                raise Refusal("account", "Say whose account it is: “client”.", "required")
            scope = {**scope, "account": world.account(scope["client"], key), "client": None}
        entered = windows.Entered(
            name=name,
            reason=value["reason"],
            repeats=value["repeats"],
            first_on=date.fromisoformat(value["first_on"]),
            starts_at=time.fromisoformat(value["starts_at"]),
            ends_at=time.fromisoformat(value["ends_at"]),
            days=value["days"],
            weekdays=value["weekdays"],
            last_on=date.fromisoformat(value["last_on"]) if value.get("last_on") else None,
            **scope,
        )
        windows.save_window(world.partner, entered, by=world.by, current=row)

    write_named(
        world,
        "maintenance_windows",
        list(all_windows(world)),
        before,
        after,
        save=save,
        delete=windows.delete_window,
    )


# --- Noise ------------------------------------------------------------------------------------------------------------

NOISE: Mapping[str, Any] = {
    "durations": Map(Number(most=10_080), key=Text(most=100, least=1)),
    "flap_changes": Number(least=3, most=100),
    "flap_minutes": Number(default=60, least=1, most=10_080),
    "parent_types": TYPES,
    "storm_client_tickets": Number(least=1, most=100_000),
    "storm_partner_tickets": Number(least=1, most=100_000),
    "storm_minutes": Number(default=10, least=1, most=1440),
    "storm_client": Text(default=None, most=20),
    "tickets_after_storm": Flag(default=True),
}


def read_noise(world: World) -> Mapping[Level, Any]:
    row = NoiseSettings.objects.filter(partner=world.partner).first() or NoiseSettings(partner=world.partner)
    value = {name: getattr(row, name) for name in NOISE}
    value["parent_types"] = sorted(row.parent_types)
    value["durations"] = row.durations or None
    value["storm_client"] = world.levels[row.storm_client_id][1] if row.storm_client_id else None
    return {PARTNER: value}


def write_noise(world: World, level: Level, before: Any, after: Any) -> None:
    values = {name: after.get(name) for name in NOISE}
    values["durations"] = values["durations"] or {}
    client = (
        scope_in(world, {"client": values["storm_client"]}) if values["storm_client"] else {"client": None}
    )
    noisesettings.save_noise(world.partner, {**values, "storm_client": client["client"]})


# --- The parts, in the order of writing -------------------------------------------------------------------------------

PARTS = tuple(
    Part(name=name, places=("partner",), shape=shape, read=read, write=write, **more)
    for name, shape, read, write, more in (
        (
            "webhooks",
            Map(Record({**NAMED, "url": Text(most=500), "is_enabled": Flag(default=True)}, needed=("url",))),
            read_webhooks,
            write_webhooks,
            {
                "finish": finish_webhooks,
                "note": "A new endpoint, or one at another host, gets a new secret: renew it on its page to see it.",
            },
        ),
        ("mail_settings", Record(MAIL, kept=ALWAYS), read_mail, write_mail, {}),
        (
            "notifications",
            Map(Record(NOTIFICATION, needed=("action", "position")), kept=why_kept),
            read_notifications,
            write_notifications,
            {"note": "Asked in the order of “position”."},
        ),
        ("drop_filters", Map(Record(FILTER)), read_filters, write_filters, {}),
        (
            "maintenance_windows",
            Map(Record(WINDOW, needed=("first_on", "starts_at", "ends_at"))),
            read_windows,
            write_windows,
            {"note": "On the clocks of the partner's time zone. Weekdays: 0 is Monday."},
        ),
        ("noise", Record(NOISE, kept=ALWAYS), read_noise, write_noise, {}),
    )
)
MODELS: Mapping[str, Sequence[str] | str] = {
    "WebhookEndpoint": ("name", "url", "is_enabled"),
    "MailSettings": ("address", "external_address", "connector_addresses"),
    "Notification": (
        "name",
        *PLAIN,
        "severities",
        "event_types",
        "organization",
        "client",
        "recipients",
        "members",
        "webhook",
        "origin",
    ),
    "DropFilter": tuple(name for name in FILTER if name != "was"),
    "MaintenanceWindow": tuple(name for name in WINDOW if name != "was"),
    "NoiseSettings": tuple(NOISE),
}
FACTS: Mapping[str, Sequence[str]] = {
    "WebhookEndpoint": (
        "id",
        "partner",
        "secret",  # never
        "secret_hint",
        "failures",
        "open_until",
        "trouble",
        "held_until",
        "last_success_at",
        "created_at",
    ),
    "MailSettings": ("id", "partner", "updated_at"),
    "Notification": ("id", "partner", "version", "created_at", "matched_at"),
    "DropFilter": ("id", "partner", "created_at", "created_by", "version", "dropped", "matched_at"),
    "MaintenanceWindow": (
        "id",
        "partner",
        "changed_start",
        "changed_end",
        "over_at",
        "created_at",
        "created_by",
        "held",
    ),
    "NoiseSettings": ("id", "partner", "updated_at"),
}
