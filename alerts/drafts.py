"""Rules to be tried out: a copy of those in effect, changed as a document of its own (asked by the replay lab's doors).

Nothing here touches a live rule. The rows that are made of a document are never saved; the operations that would save
live ones are asked whether they would.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models, transaction

from alerts import filters, labhistory, noisesettings, notifications, ticketsettings, windows
from alerts.lab import RuleSet
from alerts.models import (
    DropFilter,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    RuleDraft,
    TicketSettings,
    WebhookEndpoint,
)
from integrations.models import Choice
from integrations.models.eventlog import Severity
from portal import clock
from portal.models import Account, Client, Partner
from portal.models.partners import client_number_of
from portal.texts import unstorable

MOST_ROWS = 500
MOST_DRAFTS = 50
SCOPE = ("organization", "client")


@dataclass(frozen=True)
class Part:
    """One kind of rule in a document: its rows' model and what of it is kept."""

    title: str
    model: type[models.Model]
    fields: tuple[str, ...]


PARTS: Mapping[str, Part] = {
    "notifications": Part(
        "Notifications", Notification, (*notifications.WORDING, *SCOPE, "webhook", "version", "created_at")
    ),
    "filters": Part(
        "Drop filters", DropFilter,
        ("name", "reason", "sources", "event_types", "severities", "phrases", *SCOPE, "is_enabled", "expires_at",
         "version", "created_at"),
    ),
    "windows": Part(
        "Maintenance windows", MaintenanceWindow,
        ("name", "reason", *SCOPE, "account", "repeats", "weekdays", "first_on", "starts_at", "ends_at", "days",
         "last_on", "changed_start", "changed_end", "over_at", "created_at"),
    ),
    "settings": Part("Ticket settings", TicketSettings, (*SCOPE, "account", *ticketsettings.FIELDS)),
}  # fmt: skip
NOISE = Part("Noise", NoiseSettings, noisesettings.FIELDS)
QUIET = {"version", "created_at", "over_at", "changed_start", "changed_end"}
"""What nobody types: not shown as a difference."""


# --- Documents --------------------------------------------------------------------------------------------------------


def document_of(rules: RuleSet) -> dict[str, Any]:
    """Rows as a document of JSON values."""
    return {
        "notifications": [as_json(row, PARTS["notifications"]) for row in rules.notifications],
        "filters": [as_json(row, PARTS["filters"]) for row in rules.filters],
        "windows": [as_json(row, PARTS["windows"]) for row in rules.windows],
        "noise": as_json(rules.noise, NOISE) if rules.noise else None,
        "settings": [as_json(row, PARTS["settings"]) for row in rules.settings],
    }


def as_json(row: models.Model, part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"id": str(row.pk)}
    for name in part.fields:
        value = getattr(row, part.model._meta.get_field(name).attname)  # type: ignore[union-attr]
        is_plain = value is None or isinstance(value, (bool, int, str, list, dict))
        found[name] = value if is_plain else value.isoformat() if hasattr(value, "isoformat") else str(value)
    return found


class Reader:
    """Makes rows of a document. What a document names must be the partner's own."""

    def __init__(self, partner: Partner) -> None:
        self.partner = partner
        self.known: dict[type[models.Model], dict[uuid.UUID, Any]] = {}
        self.faults: list[str] = []

    def read(self, document: Any) -> RuleSet:
        """Raises ValidationError with one sentence for each fault, which says where it is."""
        if not isinstance(document, dict):
            raise ValidationError(
                "A draft is an object with notifications, filters, windows, noise and settings."
            )
        if unknown := sorted(set(document) - {*PARTS, "noise"}):
            self.faults.append(f"{unknown[0]}: a draft has no such part.")
        rows = {name: self.rows_of(document, name) for name in PARTS}
        noise = document.get("noise")
        rules = RuleSet(
            notifications=sorted(rows["notifications"], key=lambda row: row.position),
            filters=rows["filters"],
            windows=rows["windows"],
            noise=self.row(noise, NOISE, "noise") if noise is not None else None,
            settings=rows["settings"],
        )
        if self.faults:
            raise ValidationError(self.faults)
        self.ask_operations(rules)
        if self.faults:
            raise ValidationError(self.faults)
        ticketsettings.with_choices(rules.settings)
        return rules

    def rows_of(self, document: Mapping[str, Any], name: str) -> list[Any]:
        given = document.get(name, [])
        if not isinstance(given, list) or len(given) > MOST_ROWS:
            self.faults.append(f"{name}: a list of at most {MOST_ROWS} is needed.")
            return []
        found = [self.row(one, PARTS[name], f"{name}[{place}]") for place, one in enumerate(given)]
        return [one for one in found if one is not None]

    def row(self, given: Any, part: Part, where: str) -> Any:
        if not isinstance(given, dict):
            self.faults.append(f"{where}: an object is needed.")
            return None
        if unknown := sorted(set(given) - {"id", *part.fields}):
            self.faults.append(f"{where}: {unknown[0]} is not known here.")
        row = part.model(partner=self.partner)
        try:
            row.pk = uuid.UUID(str(given["id"])) if given.get("id") else clock.new_id()
        except ValueError:
            self.faults.append(f"{where}.id: this is not an id.")
        for name in part.fields:
            if name in given:
                self.put(row, part.model._meta.get_field(name), given[name], f"{where}.{name}")
        foreign = [field.name for field in part.model._meta.concrete_fields if field.is_relation]
        try:
            row.clean_fields(exclude=[*foreign, "id"])
        except ValidationError as refusal:
            self.faults += [f"{where}.{name}: {texts[0]}" for name, texts in refusal.message_dict.items()]
        return row

    def put(self, row: models.Model, field: Any, value: Any, where: str) -> None:
        if field.is_relation:
            found = self.named(field.related_model, value) if value is not None else None
            if value is not None and found is None:
                self.faults.append(f"{where}: “{value}” is not known here.")
            setattr(row, field.name, found)
            return
        if isinstance(field, models.JSONField) and not has_shape(field.get_default(), value):
            self.faults.append(
                f"{where}: {'an object' if field.get_default() == {} else 'a list of texts'} is needed."
            )
            return
        if isinstance(value, str) and unstorable(value):
            self.faults.append(f"{where}: it contains a character that cannot be stored.")
            return
        try:
            setattr(row, field.attname, field.to_python(value))
        except ValidationError as refusal:
            self.faults.append(f"{where}: {refusal.messages[0]}")
        except (TypeError, ValueError, OverflowError):  # JSON of another sort than the field's
            self.faults.append(f"{where}: this is no value for it.")

    def named(self, model: type[models.Model], value: Any) -> Any:
        """The partner's row with this id; a client also by its number or managed ID."""
        if model not in self.known:
            self.known[model] = {row.pk: row for row in self.own(model)}
        try:
            return self.known[model].get(uuid.UUID(str(value)))
        except ValueError:
            number = client_number_of(str(value)) if model is Client else None
            return next((row for row in self.known[model].values() if number and row.number == number), None)

    def own(self, model: Any) -> Any:
        if model is Choice:
            return Choice.objects.filter(credentials__partner=self.partner).exclude(kind="company")
        rows = model.objects.filter(partner=self.partner)
        if model is WebhookEndpoint:
            return rows.defer("secret")
        return rows.select_related("client") if model is Account else rows

    def ask_operations(self, rules: RuleSet) -> None:
        """What those that save live rules refuse, is refused here too; and what a saved row would have besides."""
        zone = ZoneInfo(self.partner.time_zone)
        for place, row in enumerate(rules.notifications):
            if unknown := [one for one in row.severities if one not in Severity.values]:
                self.faults.append(f"notifications[{place}].severities: there is no severity “{unknown[0]}”.")
            self.ask(partial(notifications.refuse, self.partner, row), f"notifications[{place}]")  # type: ignore[arg-type]
        for place, dropping in enumerate(rules.filters):
            self.ask(partial(filters.refuse, dropping), f"filters[{place}]")  # type: ignore[arg-type]
        for place, window in enumerate(rules.windows):
            if self.ask(partial(windows.refuse, window), f"windows[{place}]"):  # type: ignore[arg-type]
                window.over_at = window.over_at or windows.end_of_all(window, zone)
        if rules.noise is not None:
            values = {name: getattr(rules.noise, name) for name in noisesettings.FIELDS}
            self.ask(partial(noisesettings.refuse, self.partner, values), "noise")
            if not rules.noise.flap_minutes or not rules.noise.storm_minutes:
                self.faults.append("noise: flap_minutes and storm_minutes are at least 1.")
        levels = [(row.organization_id, row.client_id, row.account_id) for row in rules.settings]
        for place, level in enumerate(levels):
            if sum(key is not None for key in level) != 1 or levels.index(level) != place:
                self.faults.append(
                    f"settings[{place}]: it is for one organization, client or account of its own."
                )

    def ask(self, refuse: Callable[[], Any], where: str) -> bool:
        try:
            refuse()
        except ValidationError as refusal:
            found = refusal.message_dict if hasattr(refusal, "error_dict") else {"": refusal.messages}
            self.faults += [f"{where}.{name}: {texts[0]}".replace(".:", ":") for name, texts in found.items()]
            return False
        return True


def has_shape(default: Any, value: Any) -> bool:
    """Lists hold texts or numbers; what is a mapping maps texts to numbers."""
    if isinstance(default, dict):
        return isinstance(value, dict) and all(isinstance(one, int) for one in value.values())
    return isinstance(value, list) and all(isinstance(one, (str, int)) for one in value)


def rules_of(partner: Partner, document: Any) -> RuleSet:
    """The rows that a document speaks of, none of them saved. Raises ValidationError, a sentence a fault."""
    return Reader(partner).read(document)


# --- Drafts -----------------------------------------------------------------------------------------------------------


def begin(partner: Partner, name: str, *, by: str = "", document: Any = None) -> RuleDraft:
    """A draft that begins as a copy of what is in effect now, or with a document. Raises ValidationError."""
    name = " ".join(name.split())[:200]
    if not name:
        raise ValidationError({"name": "Give the draft a name."})
    if problem := unstorable(name):
        raise ValidationError({"name": f"The name holds {problem}; remove it."})
    origin = document_of(labhistory.rules_today(partner))
    if document is not None:
        document = document_of(
            rules_of(partner, {**origin, **document} if isinstance(document, dict) else document)
        )
    with transaction.atomic():
        Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)  # drafts begin one after the other
        theirs = RuleDraft.objects.filter(partner=partner)
        if theirs.filter(name=name).exists():
            raise ValidationError({"name": f"There is a draft “{name}” already."})
        if theirs.count() >= MOST_DRAFTS:
            raise ValidationError({"name": f"There are {MOST_DRAFTS} drafts already; delete one first."})
        found: RuleDraft = RuleDraft.objects.create(
            partner=partner,
            name=name,
            document=document or origin,
            origin=origin,
            created_by=by[:254],
            changed_by=by[:254],
        )
    return found


def change(draft: RuleDraft, document: Any, *, by: str = "") -> RuleDraft:
    """Another document in the draft's place; parts that it leaves out stay. Raises ValidationError."""
    if not isinstance(document, dict):
        raise ValidationError(
            "A draft is an object with notifications, filters, windows, noise and settings."
        )
    return edit(draft, lambda _: document, by=by)


def edit(
    draft: RuleDraft, parts: Callable[[Mapping[str, Any]], Mapping[str, Any]], *, by: str = ""
) -> RuleDraft:
    """`parts` of the document as it stands, and no one else changes it meanwhile. Raises ValidationError."""
    with transaction.atomic():
        row: RuleDraft | None = RuleDraft.objects.select_for_update().filter(pk=draft.pk).first()
        if row is None:
            raise ValidationError("Somebody has deleted this draft meanwhile.")
        row.document = document_of(rules_of(row.partner, {**row.document, **parts(row.document)}))
        row.changed_at, row.changed_by = clock.now(), by[:254]
        row.save(update_fields=["document", "changed_at", "changed_by"])
    return row


def put_row(draft: RuleDraft, part: str, key: str, row: models.Model, *, by: str = "") -> RuleDraft:
    """One rule of the draft as it should be; with an unknown key it is added. Raises ValidationError."""
    if part == "noise":
        return change(draft, {"noise": as_json(row, NOISE)}, by=by)
    new = as_json(row, PARTS[part])

    def put(document: Mapping[str, Any]) -> Mapping[str, Any]:
        rows = document[part]
        is_there = any(one["id"] == key for one in rows)
        return {part: [new if one["id"] == key else one for one in rows] + ([] if is_there else [new])}

    return edit(draft, put, by=by)


def remove_row(draft: RuleDraft, part: str, key: str, *, by: str = "") -> RuleDraft:
    return edit(draft, lambda document: {part: [one for one in document[part] if one["id"] != key]}, by=by)


def changes_of(draft: RuleDraft) -> list[tuple[str, str, str]]:
    """What the draft says otherwise than what it was copied of: part, rule, and what about it."""
    found: list[tuple[str, str, str]] = []
    for name, part in PARTS.items():
        before = {one["id"]: one for one in draft.origin[name]}
        after = {one["id"]: one for one in draft.document[name]}
        for key in [*before, *(key for key in after if key not in before)]:
            if text := difference(before.get(key), after.get(key)):
                found.append((part.title, label_of(after.get(key) or before[key]), text))
    if text := difference(draft.origin["noise"], draft.document["noise"]):
        found.append((NOISE.title, "", text))
    return found


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    if before is None or after is None:
        return "" if before is after else "taken out" if after is None else "added"
    told = [
        f"{name.replace('_', ' ')}: {words(before.get(name))} → {words(after[name])}"
        for name in after
        if name not in QUIET and before.get(name) != after[name]
    ]
    return "; ".join(told)


def words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "none"
    return "nothing" if value in (None, "") else str(value)


def label_of(row: Mapping[str, Any]) -> str:
    return str(row.get("name") or "")
