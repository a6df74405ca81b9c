"""One pass over a span's events through today's rules and a draft's, counted and compared (asked by `alerts.replays`
and its proof). Reads only.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerts import conditions, labhistory, stormtickets
from alerts.lab import Deed, Lab, RuleSet, Sample
from alerts.labhistory import Fate, History, fate_of, is_own
from alerts.models import Condition
from alerts.wantedticket import level_of
from integrations.models import Choice, Event
from portal import clock, memory
from portal.models import Partner

SAMPLES = 10
FIRST = 50
BUSIEST = 20
TELL_EVERY = 5000
DEEDS = ("opened", "closed", "reopened")
KEPT = ("dropped", "held", "kept_open", "folded", "no_rule")
SHOWN = ("board", "new_status", "type", "subtype", "item", "category", "source", "contact", "agreement")


@dataclass
class Tally:
    """What one set of rules (or the past) made of the events."""

    fates: Counter[str] = field(default_factory=Counter)
    by_name: Counter[tuple[str, str]] = field(default_factory=Counter)
    mails: int = 0
    hooks: int = 0
    deeds: Counter[str] = field(default_factory=Counter)
    clients: Counter[uuid.UUID] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)

    def add(self, fate: Fate) -> None:
        self.fates[fate.kind] += 1
        self.mails += fate.mails
        self.hooks += fate.hooks
        if fate.kind in ("dropped", "held"):
            self.by_name[fate.kind, fate.name] += 1

    def add_deeds(self, deeds: Sequence[Deed]) -> None:
        for deed in deeds:
            self.deeds[deed.word] += 1
            if deed.word == "opened":
                self.clients[deed.client_id] += 1
                self.types[deed.type] += 1

    def as_json(self) -> dict[str, Any]:
        named: dict[str, dict[str, int]] = {"dropped": {}, "held": {}}
        for (kind, name), number in self.by_name.most_common():
            named[kind][name] = number
        waits = {word: number for word, number in self.deeds.items() if word not in DEEDS}
        return {
            **{word: self.deeds[word] for word in DEEDS},
            **{kind: self.fates[kind] for kind in KEPT},
            "emails": self.mails,
            "webhooks": self.hooks,
            "dropped_by": named["dropped"],
            "held_by": named["held"],
            "other_outcomes": dict(sorted(waits.items())),
        }


@dataclass
class Faithfulness:
    """How far today's rules give what really happened; what differs is explained, or it is our mistake."""

    events: int = 0
    same: int = 0
    tickets: int = 0
    same_tickets: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[dict[str, Any]] = field(default_factory=list)
    unexplained_count: int = 0
    touched: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "same_events": self.same,
            "tickets": self.tickets,
            "same_tickets": self.same_tickets,
            "explained": dict(self.explained.most_common()),
            "unexplained": self.unexplained_count,
            "first_unexplained": self.unexplained,
        }


class Comparison:
    """Today's rules and, when there is one, a draft's, beside the past."""

    def __init__(
        self,
        partner: Partner,
        since: datetime,
        until: datetime,
        draft: RuleSet | None = None,
        *,
        tell: Callable[[int], None] = lambda events: None,
    ) -> None:
        self.partner, self.since, self.until, self.tell = partner, since, until, tell
        self.around = labhistory.surroundings_of(partner, since, until)
        self.history = History.of(partner, since, until)
        self.today = Lab(labhistory.rules_today(partner), self.around, samples=0 if draft else SAMPLES)
        self.draft = Lab(draft, self.around, samples=SAMPLES) if draft else None
        self.labs = [lab for lab in (self.today, self.draft) if lab is not None]
        for lab in self.labs:
            lab.guide = self.history.guide
        self.tallies = {name: Tally() for name in ("past", "today", "draft")}
        self.faithful = Faithfulness()
        self.differences: list[dict[str, Any]] = []
        self.differing = 0
        self.events = 0
        self.of_clients: Counter[uuid.UUID] = Counter()
        self.of_types: Counter[str] = Counter()

    def run(self) -> dict[str, Any]:
        """Read the span; seconds are those that it took."""
        started = time.perf_counter()
        with memory.uncollected():
            self.read()
        self.tell(self.events)
        return self.as_json(time.perf_counter() - started)

    def read(self) -> None:
        for event in self.history.events():
            if not is_own(event):
                self.take(event)
            self.events += 1
            if self.events % TELL_EVERY == 0:
                self.tell(self.events)
        for lab in self.labs:
            lab.go_to(self.until)
        self.tallies["past"].add_deeds(self.history.deeds)
        self.tallies["today"].add_deeds(self.today.deeds)
        if self.draft is not None:
            self.tallies["draft"].add_deeds(self.draft.deeds)
        self.compare_tickets()

    def take(self, event: Event) -> None:
        event.client = self.around.clients[event.client_id]  # type: ignore[index]
        event.partner_id = self.partner.pk
        stored = event.trace
        self.of_clients[event.client.pk] += 1
        self.of_types[event.type] += 1
        fates = []
        for lab in self.labs:
            event.trace = []
            if (event.client.pk, event.condition_key) not in lab.by_key:
                self.begin(lab, event, stored)
            lab.take(event)
            fates.append((fate_of(event.trace), event.trace))
        past = fate_of(stored)
        self.tallies["past"].add(past)
        for name, (fate, _) in zip(("today", "draft"), fates, strict=False):
            self.tallies[name].add(fate)
        self.compare_to_past(event, past, fates[0][0])
        if self.draft is not None and fates[0][0] != fates[1][0]:
            self.differing += 1
            if len(self.differences) < FIRST:
                self.differences.append(self.difference(event, fates[0], fates[1]))

    def begin(self, lab: Lab, event: Event, stored: Sequence[Mapping[str, Any]]) -> None:
        """A condition that failed before the span, or had tickets, begins as it was."""
        condition = lab.condition_of(event)
        tickets = self.history.beginning(event, condition, stored)
        if tickets is not None:
            lab.begin_with(condition, tickets)
            if condition.state == Condition.State.FAILING:
                subject = conditions.subject_of(condition.pk)
                self.history.reasons.setdefault(subject, "It failed already when the span began.")

    # --- Beside the past

    def compare_to_past(self, event: Event, past: Fate, today: Fate) -> None:
        self.faithful.events += 1
        if past == today:
            self.faithful.same += 1
            return
        pk = self.around.conditions.get((event.client_id, event.condition_key))  # type: ignore[arg-type]
        subject = f"ticket:{pk}"
        self.differs(subject, event.received_at, str(event.pk), f"{past}", f"{today}")

    def differs(self, subject: str, at: datetime, what: str, past: str, today: str) -> None:
        reason = self.history.reason_for(subject, at)
        former = self.faithful.touched.get(subject, "")
        if not reason and former:
            reason = former
        if reason:
            self.faithful.explained[reason] += 1
            self.faithful.touched[subject] = reason
            return
        self.faithful.unexplained_count += 1
        if len(self.faithful.unexplained) < FIRST:
            self.faithful.unexplained.append(
                {"at": at.isoformat(), "what": what, "really": past, "replayed": today}
            )

    def compare_tickets(self) -> None:
        """Ticket by ticket: opened by the same event, closed and reopened by the same."""
        past, today = tickets_of(self.history.deeds), tickets_of(self.today.deeds)
        self.faithful.tickets = sum(map(len, past.values()))
        for subject in sorted(set(past) | set(today)):
            there, here = past.get(subject, []), today.get(subject, [])
            for place in range(max(len(there), len(here))):
                really = there[place] if place < len(there) else None
                replayed = here[place] if place < len(here) else None
                if sameness(really) == sameness(replayed):
                    self.faithful.same_tickets += 1
                    continue
                [first, *_] = really or replayed or []
                self.differs(subject, first.at, subject, told(really), told(replayed))

    def difference(
        self, event: Event, today: tuple[Fate, list[Any]], draft: tuple[Fate, list[Any]]
    ) -> dict[str, Any]:
        client = self.around.clients[event.client_id]  # type: ignore[index]
        return {
            "event": str(event.pk),
            "at": event.received_at.isoformat(),
            "client": client.name,
            "type": event.type,
            "severity": event.severity,
            "summary": event.summary,
            "today": str(today[0]),
            "draft": str(draft[0]),
            "why": why(today[1], draft[1]),
        }

    # --- The result

    def as_json(self, seconds: float) -> dict[str, Any]:
        shown = self.draft or self.today
        has_draft = self.draft is not None
        return {
            "events": self.events,
            "seconds": round(seconds, 2),
            "really": self.tallies["past"].as_json(),
            "today": self.tallies["today"].as_json(),
            "draft": self.tallies["draft"].as_json() if has_draft else None,
            "reproduced": self.faithful.as_json(),
            "differing_events": self.differing,
            "differences": self.differences,
            "clients": self.busiest(self.of_clients, "clients", has_draft),
            "types": self.busiest(self.of_types, "types", has_draft),
            "rule_changes": [
                {"at": at.isoformat(), "what": what} for at, what in self.history.changes[-BUSIEST:]
            ],
            "samples": [sample_of(one, shown) for one in shown.samples],
        }

    def busiest(self, events: Counter[Any], name: str, has_draft: bool) -> list[dict[str, Any]]:
        """Those with most tickets by any of the rules, then with most events."""
        tallies = {which: getattr(tally, name) for which, tally in self.tallies.items()}
        most = sorted(
            events, key=lambda key: (-max(tally[key] for tally in tallies.values()), -events[key], str(key))
        )
        return [
            {
                "name": self.around.clients[key].name if name == "clients" else key,
                "events": events[key],
                "really": tallies["past"][key],
                "today": tallies["today"][key],
                "draft": tallies["draft"][key] if has_draft else None,
            }
            for key in most[:BUSIEST]
        ]


def tickets_of(deeds: Sequence[Deed]) -> dict[str, list[list[Deed]]]:
    """The tickets of each condition: a list of what was done to each, by whose cause."""
    found: dict[str, list[list[Deed]]] = defaultdict(list)
    for deed in deeds:
        if deed.word not in DEEDS:
            continue
        if deed.word == "opened" or not found[deed.subject]:
            found[deed.subject].append([])
        found[deed.subject][-1].append(deed)
    return found


def sameness(deeds: Sequence[Deed] | None) -> list[tuple[Any, ...]] | None:
    """Tickets are the same when the same events caused the same, in the same order; when that was does not matter.

    The portal's own events about storms are made anew in a replay: of them only what was done counts.
    """
    if deeds is None:
        return None
    return [(deed.word, None if deed.type == stormtickets.TYPE else deed.event_id) for deed in deeds]


def told(deeds: Sequence[Deed] | None) -> str:
    if not deeds:
        return "no ticket"
    return ", ".join(f"{deed.word} {deed.at:%Y-%m-%d %H:%M}" for deed in deeds)


def why(today: Sequence[Mapping[str, Any]], draft: Sequence[Mapping[str, Any]]) -> str:
    """What the draft's trace says that today's does not, the first sentence of it."""
    known = {(step.get("step"), step.get("name"), step.get("text")) for step in today}
    for step in draft:
        if (step.get("step"), step.get("name"), step.get("text")) not in known:
            name = f"“{step['name']}”: " if step.get("name") else ""
            return f"{name}{step.get('text', '')}"
    gone = [step for step in today if step not in draft]
    return f"No longer: {gone[0].get('text', '')}" if gone else "It follows from what the rules said before."


def sample_of(sample: Sample, lab: Lab) -> dict[str, Any]:
    """A ticket as it would be opened, with the names of what is chosen of the PSA's lists."""
    settings = lab.settings
    level = level_of(sample.condition)

    def name_of(choice: object) -> str | None:
        return choice.name if isinstance(choice, Choice) else None

    names = {field: name_of(settings.value(field, level).value) for field in SHOWN}
    return {
        "client": sample.condition.client.name,
        "event_type": sample.event.type if sample.event else "",
        "severity": sample.condition.severity,
        "event": str(sample.event.pk) if sample.event else None,
        "summary": sample.wanted.summary,
        "description": sample.wanted.description,
        "priority": name_of(settings.priority(sample.condition.severity, level).value),
        **names,
        "due_at": sample.wanted.due_at.isoformat() if sample.wanted.due_at else None,
    }


def of_span(
    partner: Partner, since: datetime, until: datetime, draft: RuleSet | None = None, **more: Any
) -> dict[str, Any]:
    """The result of one replay."""
    return Comparison(partner, since, min(until, clock.now()), draft, **more).run()
