"""What holds a ticket back, or drops an event altogether (asked by intake, and by the release of what was held).

Everything a batch needs is read at once: one question tells which partners have filters, windows, settings or holds at
all, and partners who have none cost nothing more. The order of what may hold back: window, minimum duration, outage of
the whole account, group, storm. What is held has a row that says why and until when (`Hold`).
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.db.models import Case, Exists, F, OuterRef, Q, Value, When

from alerts import filters, windows
from alerts.conditions import Transition
from alerts.grouping import Groups
from alerts.models import (
    Condition,
    DropFilter,
    Hold,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    Suppression,
    Swings,
)
from alerts.models.noise import HoldKind
from alerts.reasons import Reason
from alerts.storms import Brakes
from integrations.models import Event
from integrations.models.eventlog import EventAction
from portal import clock, database
from portal.inheritance import Tree
from portal.models import Client, Partner

NOTED_EVERY = timedelta(hours=1)
"""How fine `matched_at` of a notification is, so that not every batch writes it."""
HELD_FIELDS = (
    "kind",
    "event",
    "rule_id",
    "rule_name",
    "notification_name",
    "parent",
    "storm",
    "until",
    "events",
    "text",
)


def uses(partners: Any, now: datetime) -> Any:
    """Which of these partners have what."""
    of_partner = {"partner": OuterRef("pk")}
    not_over = Q(over_at=None) | Q(over_at__gt=now)
    return Partner.objects.filter(pk__in=partners).values_list(
        "pk",
        "time_zone",
        Exists(DropFilter.objects.filter(is_enabled=True, **of_partner)),
        Exists(MaintenanceWindow.objects.filter(not_over, **of_partner)),
        Exists(NoiseSettings.objects.filter(**of_partner)),
        Exists(Hold.objects.filter(**of_partner)),
    )


_uses = database.Prepared(uses)
_filters = database.Prepared(
    lambda partners: DropFilter.objects.filter(partner__in=partners, is_enabled=True).order_by(
        "created_at", "pk"
    )
)
_windows = database.Prepared(
    lambda partners, now: MaintenanceWindow.objects.filter(
        Q(over_at=None) | Q(over_at__gt=now), partner__in=partners
    )
)
_settings = database.Prepared(lambda partners: NoiseSettings.objects.filter(partner__in=partners))
_holds = database.Prepared(lambda conditions: Hold.objects.filter(condition__in=conditions))
_swings = database.Prepared(lambda conditions: Swings.objects.filter(condition__in=conditions))


@dataclass
class Noise:
    """All that may hold back, for one batch. `is_release`: what was held is judged again; nothing is counted twice."""

    now: datetime
    is_release: bool = False
    zones: dict[uuid.UUID, ZoneInfo] = field(default_factory=dict)
    filters: dict[uuid.UUID, list[DropFilter]] = field(default_factory=lambda: defaultdict(list))
    windows: dict[uuid.UUID, list[tuple[MaintenanceWindow, windows.Span]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    settings: dict[uuid.UUID, NoiseSettings] = field(default_factory=dict)
    holds: dict[uuid.UUID, Hold] = field(default_factory=dict)
    swings: dict[uuid.UUID, Swings] = field(default_factory=dict)
    trees: dict[uuid.UUID, Tree] = field(default_factory=dict)
    conditions: Mapping[uuid.UUID, Condition] = field(default_factory=dict)
    kept: dict[uuid.UUID, Hold] = field(default_factory=dict)
    gone: dict[uuid.UUID, Hold] = field(default_factory=dict)
    swung: dict[uuid.UUID, Swings] = field(default_factory=dict)
    suppressions: list[Suppression] = field(default_factory=list)
    matched: dict[uuid.UUID, Notification] = field(default_factory=dict)
    groups: Groups = field(init=False)
    storms: Brakes = field(init=False)
    hold_row: ClassVar[Any] = Hold
    swings_row: ClassVar[Any] = Swings

    def __post_init__(self) -> None:
        self.groups = Groups(self)
        self.storms = Brakes(self)

    @classmethod
    def of(
        cls,
        partner_ids: Collection[uuid.UUID],
        conditions: Iterable[Condition],
        trees: Mapping[uuid.UUID, Tree] | None = None,
        *,
        is_release: bool = False,
    ) -> Noise:
        """One query, and one more for each thing that one of these partners has."""
        self = cls(clock.now(), is_release, trees=dict(trees or {}))
        self.conditions = {row.pk: row for row in conditions}
        having: dict[str, list[uuid.UUID]] = defaultdict(list)
        for pk, zone, *has in _uses(partner_ids, self.now):
            self.zones[pk] = ZoneInfo(zone)
            for name, it_has in zip(("filters", "windows", "settings", "holds"), has, strict=True):
                if it_has:
                    having[name].append(pk)
        self.read(having)
        return self

    def read(self, having: Mapping[str, list[uuid.UUID]]) -> None:
        if partners := having.get("filters"):
            for row in _filters(partners):
                self.filters[row.partner_id].append(row)
        if partners := having.get("windows"):
            for window in _windows(partners, self.now):
                if (span := windows.current(window, self.now, self.zones[window.partner_id])) is not None:
                    self.windows[window.partner_id].append((window, span))
        if partners := having.get("settings"):
            self.settings = {row.partner_id: row for row in _settings(partners)}
        known = [row.pk for row in self.conditions.values() if not row._state.adding]
        if having.get("holds") and known:
            self.holds = {row.condition_id: row for row in _holds(known)}
        if known and any(row.flap_changes for row in self.settings.values()):
            self.swings = {row.condition_id: row for row in _swings(known)}

    def levels_above(self, client: Client) -> list[uuid.UUID]:
        """Ids of the client's organization and those above; read once a partner, and only when a scope asks."""
        if client.partner_id not in self.trees:
            self.trees[client.partner_id] = Tree.of(client.partner_id)
        return filters.organizations_above(client, self.trees[client.partner_id])

    # --- Dropping -----------------------------------------------------------------------------------------------------

    def filter_for(self, event: Event, client: Client, condition: Condition | None) -> DropFilter | None:
        """The first filter that drops the event. The recovery of something that fails is never dropped."""
        rows = self.filters.get(client.partner_id)
        if not rows:
            return None
        is_failing = condition is not None and condition.state == Condition.State.FAILING
        if is_failing and event.action == EventAction.RESOLVE:
            return None
        levels = self.levels_above(client) if any(row.organization_id for row in rows) else []
        return next((row for row in rows if not filters.why_not(row, event, client, levels, self.now)), None)

    def drops(self, event: Event, client: Client, condition: Condition | None) -> bool:
        """Drop it, when a filter says so: it stays in the event log, with the filter's name, and leads to nothing."""
        found = self.filter_for(event, client, condition)
        if found is None:
            return False
        text = f"Dropped by the filter “{found.name}”." + (f" {found.reason}" if found.reason else "")
        event.trace.append(
            {
                "step": "filter",
                "id": str(found.pk),
                "name": found.name,
                "version": found.version,
                "text": text,
            }
        )
        self.note(event, "filter", found.pk, found.name)
        return True

    # --- Holding ------------------------------------------------------------------------------------------------------

    def holds_back(self, event: Event, condition: Condition, rule: Notification) -> bool:
        """Whether the ticket that this rule wants has to wait; says so on the event and in the condition's hold."""
        former = self.current_hold(condition)
        if former is not None and former.kind == HoldKind.FLAPPING:
            if not self.is_release and former.until is not None and former.until > self.now:
                condition.wants_ticket = True
                self.prolong(former, event, self.flapping(condition))
                return True
            self.let_go(former)
            return False  # its ticket is still open: this belongs there
        reason = self.reason_for(event, condition, rule)
        if reason is None:
            if former is not None:
                self.let_go(former)
            self.groups.lead(event, condition, rule)
            self.storms.opened(condition)
            return False
        hold = former or self.hold_row(
            partner_id=condition.partner_id, condition=condition, since=self.now, events=0
        )
        hold.notification_name = rule.name
        self.prolong(hold, event, reason)
        return True

    def reason_for(self, event: Event, condition: Condition, rule: Notification) -> Reason | None:
        """The first thing that holds back, in the module's order."""
        client = event.client
        assert client is not None
        return (
            self.window_for(client, condition.account_id)
            or self.too_short(event, condition, rule)
            or self.groups.parent_of(event, condition)
            or self.groups.lead_of(event, condition, rule)
            or self.storms.over(condition, client)
        )

    def window_for(self, client: Client, account_id: uuid.UUID | None) -> Reason | None:
        """The window in which this client and account are; of several the one that ends last."""
        on = self.windows.get(client.partner_id)
        if not on:
            return None
        levels = self.levels_above(client) if any(row.organization_id for row, _ in on) else []
        found = [one for one in on if windows.is_in_scope(one[0], client, account_id, levels)]
        if not found:
            return None
        row, span = max(found, key=lambda one: one[1].end)
        text = (
            f"In the maintenance window “{row.name}” until {span.end:%Y-%m-%d %H:%M} UTC; "
            "what still fails then gets its ticket."
        )
        return Reason(HoldKind.WINDOW, text, row.pk, row.name, span.end)

    def too_short(self, event: Event, condition: Condition, rule: Notification) -> Reason | None:
        """Not failing for long enough yet."""
        settings = self.settings.get(condition.partner_id)
        minutes = rule.min_minutes
        if settings is not None:
            minutes = max(minutes, int(settings.durations.get(event.type) or 0))
        if not minutes or condition.since is None:
            return None
        until = condition.since + timedelta(minutes=minutes)
        if until <= self.now:
            return None
        text = f"A ticket is opened when it has failed for {minutes} minutes, at {until:%Y-%m-%d %H:%M} UTC."
        return Reason(HoldKind.DURATION, text, rule.pk, rule.name, until)

    # --- Flapping -----------------------------------------------------------------------------------------------------

    def changed(self, condition: Condition, transition: Transition, event: Event) -> None:
        """Remember that the condition changed sides, where somebody counts that, and with which event it began."""
        if transition is Transition.OPENED:
            self.groups.types[event.pk] = event.type
        settings = self.settings.get(condition.partner_id)
        if settings is None or not settings.flap_changes or condition.decided_at is None:
            return
        if transition not in {Transition.OPENED, Transition.RECOVERED}:
            return
        row = self.swings.get(condition.pk)
        if row is None:
            row = self.swings_row(partner_id=condition.partner_id, condition=condition, at=[])
            self.swings[condition.pk] = row
        row.at = [*row.at, condition.decided_at.isoformat()][-settings.flap_changes :]
        self.swung[condition.pk] = row

    def flapping(self, condition: Condition) -> Reason | None:
        """That the condition changed too often, and until when it must be quiet."""
        settings, row = self.settings.get(condition.partner_id), self.swings.get(condition.pk)
        if settings is None or not settings.flap_changes or row is None or condition.decided_at is None:
            return None
        span = timedelta(minutes=settings.flap_minutes)
        if (
            len(row.at) < settings.flap_changes
            or datetime.fromisoformat(row.at[0]) < condition.decided_at - span
        ):
            return None
        until = condition.decided_at + span
        text = (
            f"It changed {len(row.at)} times within {settings.flap_minutes} minutes: "
            f"its ticket stays open until it was quiet for {settings.flap_minutes} minutes."
        )
        return Reason(HoldKind.FLAPPING, text, settings.pk, "flapping", until) if until > self.now else None

    def recovered(self, event: Event, condition: Condition) -> bool:
        """A condition is fine again. True when its ticket has to stay open for a while all the same."""
        former = self.current_hold(condition)
        if former is not None and former.kind != HoldKind.FLAPPING:
            self.let_go(former)
            text = f"All was well again before a ticket was opened: {former.text}"
            event.trace.append({"step": "hold", "kind": former.kind, "text": text})
            former = None
        reason = self.flapping(condition) if condition.wants_ticket else None
        if reason is None:
            if former is not None:
                self.let_go(former)
                condition.wants_ticket = True  # its ticket stayed open while it flapped: it is to be closed
            return False
        hold = former or self.hold_row(
            partner_id=condition.partner_id, condition=condition, since=self.now, events=0
        )
        self.prolong(hold, event, reason)
        return True

    # --- Keeping ------------------------------------------------------------------------------------------------------

    def current_hold(self, condition: Condition) -> Hold | None:
        found = self.kept.get(condition.pk) or self.holds.get(condition.pk)
        return None if found is None or found.pk in self.gone else found

    def prolong(self, hold: Hold, event: Event, reason: Reason | None) -> None:
        """The hold as it is now; without a new reason it stays as it was."""
        former = hold.text
        if reason is not None:
            hold.kind, hold.text, hold.until = reason.kind, reason.text[:500], reason.until
            hold.rule_id, hold.rule_name = reason.rule_id, reason.rule_name
            hold.parent_id, hold.storm_id = reason.parent, reason.storm
        hold.event = event
        self.kept[hold.condition_id] = hold
        if self.is_release:
            if hold.text != former:
                event.trace.append(
                    {"step": "hold", "kind": str(hold.kind), "text": f"No ticket yet: {hold.text}"}
                )
            return
        hold.events += 1
        event.trace.append(
            {
                "step": "hold",
                "kind": str(hold.kind),
                "id": str(hold.rule_id or ""),
                "name": hold.rule_name,
                "text": f"No ticket yet: {hold.text}" if hold.kind != HoldKind.FLAPPING else hold.text,
            }
        )
        self.note(event, hold.kind, hold.rule_id, hold.rule_name)
        if hold.storm_id is not None:
            self.storms.held[hold.storm_id] += 1

    def let_go(self, hold: Hold) -> None:
        self.kept.pop(hold.condition_id, None)
        if not hold._state.adding:
            self.gone[hold.pk] = hold
        self.holds.pop(hold.condition_id, None)

    def note(self, event: Event, kind: str, rule_id: uuid.UUID | None, rule_name: str) -> None:
        self.suppressions.append(
            Suppression(
                partner_id=known_partner(event),
                event=event,
                kind=kind,
                rule_id=rule_id,
                rule_name=rule_name,
                at=self.now,
            )
        )

    def note_match(self, rule: Notification) -> None:
        if rule.matched_at is None or rule.matched_at < self.now - NOTED_EVERY:
            self.matched[rule.pk] = rule

    def store(self) -> bool:
        """Write everything, inside the caller's transaction; False when somebody else was first: judge anew."""
        if self.gone:
            Hold.objects.filter(pk__in=self.gone).delete()
        new = [row for row in self.kept.values() if row._state.adding]
        old = [row for row in self.kept.values() if not row._state.adding]
        if not (self.storms.store() and self.groups.store()):
            return False
        if len(database.insert_new(new)) != len(new):
            return False
        database.save_all(old, HELD_FIELDS)
        fresh = [row for row in self.swung.values() if row._state.adding]
        if len(database.insert_new(fresh)) != len(fresh):
            return False
        database.save_all([row for row in self.swung.values() if not row._state.adding], ["at"])
        self.store_counts()
        return True

    def store_counts(self) -> None:
        database.insert_new(self.suppressions)
        by_kind: dict[str, Counter[uuid.UUID]] = defaultdict(Counter)
        for row in self.suppressions:
            if row.rule_id is not None:
                by_kind[row.kind][row.rule_id] += 1
        if dropped := by_kind.get("filter"):
            count_up(DropFilter, "dropped", dropped, matched_at=self.now)
        if held := by_kind.get("window"):
            count_up(MaintenanceWindow, "held", held)
        if self.matched:
            Notification.objects.filter(pk__in=self.matched).update(matched_at=self.now)


def known_partner(event: Event) -> uuid.UUID:
    """The partner of an event that is not parked."""
    assert event.partner_id is not None
    return event.partner_id


def count_up(model: type[Any], column: str, counts: Mapping[uuid.UUID, int], **also: Any) -> None:
    """Add to a counter of several rows in one statement."""
    cases = [When(pk=key, then=Value(number)) for key, number in counts.items()]
    model.objects.filter(pk__in=counts).update(**{column: F(column) + Case(*cases, default=Value(0))}, **also)
