"""How healthy is a partner's integration, line by line, and what would help most (asked by the Dashboard and REST).

The score is a sum that anybody can check: each line has a weight and earns all, some or none of it by one stated fact.
Lines that do not apply are shown and not counted. No PSA is asked; what the tables say is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse

from alerts import connectionfacts, guide
from alerts import setup as ticketsetup
from alerts.connectionfacts import Facts, PartnerFacts
from portal import clock
from portal.models import Partner

VERDICT_FRESH = timedelta(days=30)
OPTIONS_FRESH = timedelta(days=3)
FEW = 5
SOON = timedelta(days=3)
LATE = timedelta(days=14)


@dataclass(frozen=True)
class Line:
    """One line of the sum. `share` is how much of the weight it earns, 0 to 1; None when it does not apply.

    `step` is what would make it whole, and `url` where.
    """

    key: str
    title: str
    weight: int
    share: float | None
    fact: str
    url: str
    step: str = ""
    of: str = ""

    @property
    def points(self) -> float:
        return self.weight * (self.share or 0.0)

    @property
    def lost(self) -> float:
        return 0.0 if self.share is None else self.weight - self.points

    @property
    def tone(self) -> str:
        if self.share is None:
            return "calm"
        return "good" if self.share == 1 else "bad" if self.share == 0 else "warn"

    @property
    def word(self) -> str:
        return {"calm": "not counted", "good": "good", "bad": "bad", "warn": "could be better"}[self.tone]

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "title": self.title,
            "weight": self.weight,
            "points": None if self.share is None else round(self.points, 2),
            "fact": self.fact,
            "step": self.step,
            "url": self.url,
        }


@dataclass(frozen=True)
class Score:
    """The lines of one connection, or of a partner with all its connections. `points` of `most` is the score."""

    lines: Sequence[Line]

    @property
    def most(self) -> int:
        return sum(line.weight for line in self.lines if line.share is not None)

    @property
    def points(self) -> float:
        return sum(line.points for line in self.lines)

    @property
    def percent(self) -> int:
        """0 to 100; 100 only when nothing is missing."""
        return int(self.points * 100 / self.most + 1e-9) if self.most else 0

    @property
    def tone(self) -> str:
        return "good" if self.percent >= 90 else "warn" if self.percent >= 60 else "bad"

    @property
    def next(self) -> Line | None:
        """What would help most: the line that loses most; of several the one that stands first."""
        losing = [line for line in self.lines if line.lost > 0]
        return max(losing, key=lambda line: line.lost, default=None)


@dataclass(frozen=True)
class Health:
    """A partner's health: its own lines, and each connection's."""

    partner: Partner
    own: Score
    connections: Sequence[tuple[Facts, Score]]

    @property
    def whole(self) -> Score:
        return Score([*self.own.lines, *(line for _, score in self.connections for line in score.lines)])


def of(partner: Partner) -> Health:
    """In the number of queries that `connectionfacts.of` needs, whatever there is."""
    return judged(connectionfacts.of(partner))


def judged(found: PartnerFacts) -> Health:
    scores = [(facts, Score(list(lines_of(facts)))) for facts in found.connections]
    return Health(found.partner, Score(list(own_lines(found))), scores)


# --- The partner's lines ---------------------------------------------------------------------------------------------


def own_lines(found: PartnerFacts) -> Iterable[Line]:
    yield Line(
        "connected",
        "A PSA is connected",
        20,
        1.0 if found.connections else 0.0,
        count(len(found.connections), "connection") + ".",
        reverse("guided_setup"),
        "Begin the guided set-up.",
    )
    yield Line(
        "rule",
        "A notification opens tickets",
        15,
        1.0 if found.ticket_rules else 0.0,
        count(found.ticket_rules, "notification") + " that may open tickets.",
        reverse("notifications"),
        "Create a notification that opens tickets.",
    )
    yield Line(
        "webhooks",
        "Webhooks are answered",
        5,
        1 - found.webhooks_failing / found.webhooks if found.webhooks else None,
        f"{found.webhooks_failing} of {found.webhooks} fail." if found.webhooks else "There is none.",
        reverse("webhooks"),
        "Look at the webhooks that fail.",
    )
    yield Line(
        "parked",
        "Every event has its client",
        5,
        0.0 if found.parked else 1.0,
        f"{most(found.parked)} parked.",
        reverse("parked_events"),
        "Make or rename the clients that parked events speak of.",
    )


# --- A connection's lines --------------------------------------------------------------------------------------------


def lines_of(facts: Facts) -> Iterable[Line]:
    now = clock.now()
    for line in (
        keys(facts),
        answers(facts),
        rights(facts),
        verdicts(facts, now),
        mapped(facts),
        options(facts, now),
        gone(facts),
        tickets(facts),
        deliveries(facts),
        test_ticket(facts),
        held(facts, now),
        push_days(facts),
        usage(facts),
        outages(facts),
    ):
        yield Line(**{**line.__dict__, "of": facts.title})


def keys(facts: Facts) -> Line:
    passed = facts.row.test_passed
    fact = {
        True: "The last test passed.",
        False: "The last test failed.",
        None: "Not tested since it was changed.",
    }
    share = 1.0 if passed else 0.0
    if facts.lane.breaker == "sign_in_refused":
        return Line(
            "keys",
            "The keys are valid",
            20,
            0.0,
            facts.lane.breaker_text,
            guide.place(facts.row),
            "Renew the keys.",
        )
    return Line(
        "keys",
        "The keys are valid",
        20,
        share,
        fact[passed],
        guide.place(facts.row, "#test"),
        "Press Test It.",
    )


def answers(facts: Facts) -> Line:
    lane, url = facts.lane, guide.place(facts.row)
    title = "The PSA is told what happens"
    if lane.is_paused:
        return Line("answers", title, 15, 0.0, "The connection is paused.", url, "Have it resumed.")
    if lane.breaker:
        return Line(
            "answers", title, 15, 0.0, lane.breaker_text or "The connection is stopped.", url,
            "See why it is stopped; it goes on by itself once the PSA answers.",
        )  # fmt: skip
    return Line("answers", title, 15, 1.0, "The connection is open.", url)


def rights(facts: Facts) -> Line:
    blocked = sorted(facts.lane.blocked)
    fact = f"Not permitted: {', '.join(blocked)}." if blocked else "Nothing was refused for a missing right."
    url = reverse("work_order", args=[facts.row.pk])
    step = "Give the work order to the PSA’s administrator."
    return Line("rights", "Every right is there", 10, 0.0 if blocked else 1.0, fact, url, step)


def verdicts(facts: Facts, now: datetime) -> Line:
    at = facts.row.tested_at
    is_fresh = at is not None and now - at < VERDICT_FRESH
    fact = f"Tested {age(at, now)}." if at else "Never tested."
    return Line(
        "verdicts", "The test is not old", 5, 1.0 if is_fresh else 0.0, fact, guide.place(facts.row, "#test"),
        "Press Test It: rights may have been taken away since.",
    )  # fmt: skip


def mapped(facts: Facts) -> Line:
    url = reverse("mapping", args=[facts.row.pk])
    if not facts.clients:
        return Line("mapping", "Clients are mapped", 15, None, "There is no client.", url)
    fact = f"{facts.unmapped} of {count(facts.clients, 'client')} unmapped."
    return Line(
        "mapping", "Clients are mapped", 15, facts.decided / facts.clients, fact, f"{url}?show=unmapped",
        f"Map or skip {count(facts.unmapped, 'client')}.",
    )  # fmt: skip


def options(facts: Facts, now: datetime) -> Line:
    at, url = facts.options_read_at, reverse("options_of", args=[facts.row.pk])
    title, step = "Options are up to date", "Reload the options from the PSA."
    if at is None:
        return Line("options", title, 5, 0.0, "They were never read.", url, step)
    if facts.options_trouble:
        fact = f"{count(facts.options_trouble, 'list')} could not be read the last time."
        return Line("options", title, 5, 0.5, fact, url, step)
    share = 1.0 if now - at < OPTIONS_FRESH else 0.0
    return Line("options", title, 5, share, f"The oldest list was read {age(at, now)}.", url, step)


def gone(facts: Facts) -> Line:
    url = reverse("options_of", args=[facts.row.pk]) + "#in-use"
    fact = f"{facts.gone} in use that the PSA does not offer any more."
    share, step = 0.0 if facts.gone else 1.0, "Choose others in their place."
    return Line("gone", "What was chosen is still there", 10, share, fact, url, step)


def tickets(facts: Facts) -> Line:
    missing, gone_names = guide.ticket_choices(facts)
    fact = (
        f"Not chosen: {', '.join(ticketsetup.label(name, facts.row) for name in missing)}."
        if missing
        else "All is chosen."
    )
    if gone_names:
        fact = f"No longer in the PSA: {', '.join(gone_names)}."
    share = 0.0 if missing else 1.0
    url, step = guide.settings_page(facts.row), "Choose a board and its statuses."
    return Line("tickets", "It is said how tickets look", 10, share, fact, url, step)


def deliveries(facts: Facts) -> Line:
    share = 1.0 if not facts.failed else 0.5 if facts.failed <= FEW else 0.0
    fact = f"{most(facts.failed)} failed within seven days and were not made good."
    return Line(
        "deliveries", "Deliveries arrive", 15, share, fact, reverse("event_log") + "?status=failed",
        "See why they failed, mend it, reprocess them.",
    )  # fmt: skip


def test_ticket(facts: Facts) -> Line:
    passed, failed = facts.test_passed_at, facts.test_failed_at
    is_fine = passed is not None and not (failed and failed > passed)
    fact = (
        "The last one went well." if is_fine else "The last one failed." if failed else "None was opened yet."
    )
    url = reverse("guided_setup_of", args=[facts.row.pk])
    return Line(
        "test_ticket", "A test ticket went well", 5, 1.0 if is_fine else 0.0, fact, url, "Open a test ticket."
    )


def held(facts: Facts, now: datetime) -> Line:
    title, url = "Nobody is waited for", reverse("approvals")
    if facts.asking_since is None:
        return Line("held", title, 5, 1.0, "No question and no plan waits for an answer.", url)
    waits = now - facts.asking_since
    share = 0.75 if waits < SOON else 0.5 if waits < LATE else 0.0
    fact = f"Questions and plans that wait: {facts.questions}; the oldest was asked {age(facts.asking_since, now)}."
    return Line("held", title, 5, share, fact, url, "Answer what waits for you.")


def push_days(facts: Facts) -> Line:
    title, url = "Push days are kept", reverse("push_runs")
    if not facts.linked:
        return Line("push_days", title, 10, None, "No client has an agreement.", url)
    if not facts.missed_days:
        return Line("push_days", title, 10, 1.0, "No push day was missed within five weeks.", url)
    fact = f"{count(facts.missed_days, 'client')} not pushed since a push day; the first was {facts.missed_since}."
    return Line("push_days", title, 10, 0.0, fact, url, "See what holds the pushes, then synchronize.")


def usage(facts: Facts) -> Line:
    title, url = "Usage comes in", reverse("usage")
    if not facts.linked:
        return Line("usage", title, 10, None, "No client has an agreement.", url)
    fact = f"{facts.stale} of {facts.linked} clients with an agreement have no fresh usage."
    return Line(
        "usage", title, 10, 1 - facts.stale / facts.linked, fact, url,
        "Ask the source why it sends no usage; old quantities are never pushed.",
    )  # fmt: skip


def outages(facts: Facts) -> Line:
    fact = f"{count(facts.outages, 'outage')} within seven days."
    share = 1.0 if not facts.outages else 0.5 if facts.outages <= 2 else 0.0
    return Line("outages", "No outages", 5, share, fact, reverse("status"), "Look at what stopped it.")


def count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def most(number: int) -> str:
    return f"{number}" if number < connectionfacts.MOST else f"{connectionfacts.MOST:,} or more"


def age(at: datetime, now: datetime) -> str:
    days = (now - at).days
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"
