"""What a set of rules makes of stored events, in memory (asked by `alerts.replays`).

The product's own decisions are asked: `intake.judge_one`, `noise`, `release`, `ticketdecisions`. Only where they read
and write rows they find dictionaries here, and a PSA on paper that does as it is told. Nothing is written anywhere.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from alerts import conditions, intake, portalevents, release, routing, stormtickets, windows
from alerts.circumstances import Circumstances, Facts
from alerts.conditions import Transition
from alerts.grouping import Groups, Key
from alerts.labrows import (
    PaperCondition,
    PaperDelivery,
    PaperHold,
    PaperLead,
    PaperStorm,
    PaperSwings,
    PaperTicket,
)
from alerts.lifecycle import Lifecycle
from alerts.models import (
    Condition,
    DropFilter,
    GroupLead,
    Hold,
    MaintenanceWindow,
    NoiseSettings,
    Notification,
    Storm,
    Ticket,
    TicketSettings,
)
from alerts.models.noise import HoldKind
from alerts.models.settings import Level
from alerts.noise import Noise
from alerts.reasons import Reason
from alerts.storms import Brakes
from alerts.ticketattempts import TicketTask, came_of_it
from alerts.ticketdecisions import decide
from alerts.tickets import note
from alerts.ticketsettings import SettingsOf
from integrations import outcomes
from integrations.models import Action, Credentials, Delivery, Event, Lane, Status
from integrations.models.eventlog import UNSETTLED, EventAction
from integrations.outcomes import Outcome
from integrations.psa.plan import Applied, AppliedItem, Plan, PlanItem, Request
from integrations.psa.port import TicketState
from integrations.psa.wanted import WantedTicket
from portal import clock, disabled
from portal.inheritance import Effective, Tree, level_id
from portal.models import Account, Client, Disabling, Partner

MINUTE = timedelta(minutes=1)
USUAL_WAIT = timedelta(seconds=2)
"""After so long an attempt is made at an order that was never made in truth."""
MOST_TRIES = 20
WAITING_FOR_OTHERS = {HoldKind.PARENT, HoldKind.GROUP, HoldKind.STORM}


@dataclass
class RuleSet:
    """All that decides about a partner's tickets. The rows need not be stored."""

    notifications: list[Notification]
    filters: list[DropFilter]
    windows: list[MaintenanceWindow]
    noise: NoiseSettings | None
    settings: list[TicketSettings]


class Off(Mapping[uuid.UUID, Disabling]):
    """The clients whose PSA was switched off at the moment `now`."""

    def __init__(self, rows: Sequence[Disabling]) -> None:
        self.now: datetime | None = None
        self.rows: dict[uuid.UUID, list[Disabling]] = defaultdict(list)
        for row in rows:
            self.rows[row.client_id].append(row)

    def get(self, key: uuid.UUID, default: Any = None) -> Any:
        return (
            next((row for row in self.rows[key] if self.is_on(row)), default) if key in self.rows else default
        )

    def is_on(self, row: Disabling) -> bool:
        assert self.now is not None
        return row.began_at <= self.now < (self.end_of(row) or self.now + MINUTE)

    @staticmethod
    def end_of(row: Disabling) -> datetime | None:
        return min((moment for moment in (row.until, row.ended_at) if moment is not None), default=None)

    def __getitem__(self, key: uuid.UUID) -> Disabling:
        found: Disabling | None = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[uuid.UUID]:
        return (key for key in self.rows if self.get(key))

    def __len__(self) -> int:
        return sum(1 for _ in self)


# --- What the product reads of the database ---------------------------------------------------------------------------


@dataclass(frozen=True)
class KnownRules(routing.Rules):
    """What rules say depends on client, severity and type only: asked once for each of these."""

    answers: dict[tuple[uuid.UUID, str, str], list[routing.Answer]] = field(default_factory=dict)

    def ask(self, event: Event, client: Client) -> list[routing.Answer]:
        key = (client.pk, event.severity, event.type)
        found = self.answers.get(key)
        if found is None:
            found = [KnownAnswer.of(one) for one in super().ask(event, client)]
            self.answers[key] = found
        return found


@dataclass(frozen=True)
class KnownAnswer(routing.Answer):
    """An answer whose words are made once."""

    said: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: routing.Answer) -> KnownAnswer:
        return cls(answer.notification, answer.why_not, answer.as_json())

    def as_json(self) -> dict[str, object]:
        return self.said  # type: ignore[return-value]


@dataclass(frozen=True)
class KnownTree(Tree):
    """Who inherits from whom, found out once a client."""

    known: dict[uuid.UUID, list[Any]] = field(default_factory=dict)

    def levels_of(self, client: Client) -> list[Any]:
        found = self.known.get(client.pk)
        if found is None:
            found = self.known[client.pk] = super().levels_of(client)
        return found


@dataclass(frozen=True)
class KnownSettings(SettingsOf):
    """Settings in effect, found out once a level: they are the same for a whole replay."""

    known: dict[tuple[str, uuid.UUID], Effective[Any]] = field(default_factory=dict)

    def value(self, field: str, level: Level) -> Effective[Any]:
        found = self.known.get((field, level.pk))
        if found is None:
            found = self.known[field, level.pk] = super().value(field, level)
        return found


class PaperGroups(Groups):
    """Leads and outages that are all at hand."""

    lead_row = PaperLead

    def __init__(self, noise: PaperNoise) -> None:
        super().__init__(noise)
        self.leads = {}
        self.failing: dict[uuid.UUID, dict[uuid.UUID, Condition]] = defaultdict(dict)

    def known(self) -> dict[Key, GroupLead]:
        assert self.leads is not None
        return self.leads

    def outages_of(self, account_id: uuid.UUID, event: Event) -> list[uuid.UUID]:
        rows = sorted(
            self.failing[account_id].values(), key=lambda row: row.since or event.received_at, reverse=True
        )
        return [row.pk for row in rows]

    def moved(self, condition: Condition, event: Event, transition: Transition) -> None:
        """Keep which conditions of an account fail, and with what they began."""
        if transition is Transition.OPENED:
            self.types[event.pk] = event.type
        if condition.account_id is not None:
            if condition.state == Condition.State.FAILING:
                self.failing[condition.account_id][condition.pk] = condition
            else:
                self.failing[condition.account_id].pop(condition.pk, None)


class PaperBrakes(Brakes):
    """New tickets of the brake's last minutes, counted as they are ordered."""

    storm_row = PaperStorm

    def __init__(self, noise: PaperNoise) -> None:
        super().__init__(noise)
        self.by_client = Counter()
        self.lately: deque[tuple[datetime, uuid.UUID, uuid.UUID]] = deque()
        self.in_batch: list[Condition] = []

    def ordered(self, delivery: Delivery) -> None:
        """As the product counts: tickets that rules ordered."""
        if delivery.notification_version > 0 and self.noise.settings:
            assert self.by_client is not None
            self.lately.append((delivery.created_at, delivery.client_id, delivery.partner_id))
            self.by_client[delivery.client_id] += 1
            self.by_partner[delivery.partner_id] += 1

    def opened(self, condition: Condition) -> None:
        """Counted at once for the rest of its batch; from then on, as an order."""
        super().opened(condition)
        if self.settings_of(condition) is not None:
            self.in_batch.append(condition)

    def keep(self) -> None:
        """The batch is over: its orders are counted from now on."""
        assert self.by_client is not None
        for condition in self.in_batch:
            self.by_client[condition.client_id] -= 1
            self.by_partner[condition.partner_id] -= 1
        self.in_batch.clear()

    def count(self) -> None:
        assert self.by_client is not None
        for settings in self.noise.settings.values():
            since = self.noise.now - timedelta(minutes=settings.storm_minutes)
            while self.lately and self.lately[0][0] <= since:
                _, client, partner = self.lately.popleft()
                self.by_client[client] -= 1
                self.by_partner[partner] -= 1


class PaperNoise(Noise):
    """The noise of one partner over time: what one batch leaves behind is there for the next."""

    groups: PaperGroups
    storms: PaperBrakes
    hold_row, swings_row = PaperHold, PaperSwings

    def __init__(self, rules: RuleSet, around: Surroundings, known: Mapping[uuid.UUID, Condition]) -> None:
        super().__init__(around.since, trees={around.partner.pk: around.tree}, conditions=known)
        partner = around.partner.pk
        self.all_windows, self.zone = rules.windows, around.zone
        self.zones = {partner: around.zone}
        self.filters[partner] = [row for row in rules.filters if row.is_enabled]
        if rules.noise is not None:
            self.settings = {partner: rules.noise}
        self.levels: dict[uuid.UUID, list[uuid.UUID]] = {}
        self.in_window: dict[tuple[uuid.UUID, uuid.UUID | None], Reason | None] = {}
        self.counted: Counter[tuple[str, str]] = Counter()
        self.turns = deque(turns_of(rules.windows, around.zone, around.since, around.until))
        self.look_at_windows()

    def __post_init__(self) -> None:
        self.groups = PaperGroups(self)
        self.storms = PaperBrakes(self)

    def go_to(self, now: datetime) -> None:
        """It is `now`: windows open and close."""
        self.now = now
        if self.turns and self.turns[0] <= now:
            while self.turns and self.turns[0] <= now:
                self.turns.popleft()
            self.look_at_windows()

    def look_at_windows(self) -> None:
        self.windows.clear()
        self.in_window.clear()
        for row in self.all_windows:
            if (span := windows.current(row, self.now, self.zone)) is not None:
                self.windows[row.partner_id].append((row, span))

    def window_for(self, client: Client, account_id: uuid.UUID | None) -> Reason | None:
        """The same until a window opens or closes."""
        key = (client.pk, account_id)
        if key not in self.in_window:
            self.in_window[key] = super().window_for(client, account_id)
        return self.in_window[key]

    def levels_above(self, client: Client) -> list[uuid.UUID]:
        if client.pk not in self.levels:
            self.levels[client.pk] = super().levels_above(client)
        return self.levels[client.pk]

    def note(self, event: Event, kind: str, rule_id: uuid.UUID | None, rule_name: str) -> None:
        self.counted[str(kind), rule_name] += 1

    def note_match(self, rule: Notification) -> None:
        """Nobody asks a lab when a rule last matched."""

    def keep(self) -> None:
        """What `store` does, and the next batch reads."""
        self.holds |= self.kept
        self.kept.clear()
        self.gone.clear()
        self.swung.clear()
        self.groups.changed.clear()
        self.storms.keep()
        for storm in self.storms.on.values():
            if storm.pk in self.storms.held:
                storm.last_at = self.now
        self.storms.held.clear()


def turns_of(
    rows: Sequence[MaintenanceWindow], zone: ZoneInfo, since: datetime, until: datetime
) -> list[datetime]:
    """All moments of the span at which a window begins or ends."""
    begin = since.astimezone(zone).date() - timedelta(days=windows.LONGEST_DAYS + 1)
    end = until.astimezone(zone).date() + timedelta(days=1)
    found: set[datetime] = set()
    for row in rows:
        found |= {one for span in windows.spans(row, zone, begin, end) for one in (span.start, span.end)}
        found |= {one for one in (row.over_at, row.changed_start, row.changed_end) if one is not None}
    return sorted(one for one in found if since < one <= until)


class PaperOrders(intake.Orders):
    """Orders whose fruitless ones are known of each condition."""

    delivery_row = PaperDelivery

    def store(self) -> None:
        raise AssertionError("Nothing is stored in the lab.")


class PaperCircumstances(Circumstances):
    """What surrounds tickets of one connection, of which all is at hand; `settings` are those of the rules."""

    lab: Lab
    ticket_row = PaperTicket

    def life_of(self, condition: Condition) -> Lifecycle:
        """The same for all problems of an account."""
        key = condition.account_id or condition.client_id
        if key not in self.lab.lives:
            self.lab.lives[key] = super().life_of(condition)
        return self.lab.lives[key]

    def wanted(
        self, condition: Condition, ticket: Ticket, company: str, state: Literal["open", "closed"]
    ) -> WantedTicket:
        """How it looks matters for a few samples only."""
        if state == "open" and not ticket.psa_id and self.lab.wants_sample(condition):
            event = self.lab.openers.get(condition.pk)
            self.events = {event.pk: whole(event)} if event else {}
            wanted = super().wanted(condition, ticket, company, state)
            self.lab.samples.append(Sample(copy.copy(condition), event, self.credentials, wanted))
            return wanted
        return WantedTicket(
            external_ref=ticket.external_ref,
            state=state,
            company_id=company,
            summary=condition.summary,
            known_id=ticket.psa_id or None,
        )


def whole(event: Any) -> Event:
    """With all its columns, of which a template may name any."""
    found: Event = (
        event if isinstance(event, Event) else Event.objects.select_related("client").get(pk=event.pk)
    )
    return found


class PaperPsa:
    """A PSA at which nobody else does anything, and that does at once as it is told."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)

    def ticket(self, ticket_id: str) -> TicketState:
        return TicketState(
            id=ticket_id, number=ticket_id, url="", external_ref="", summary="", is_closed=False, board_id=None,
            status_id=None, company_id=None,
        )  # fmt: skip

    def find_tickets(self, external_ref: str) -> list[TicketState]:
        return []

    def plan_ticket(self, wanted: WantedTicket) -> Plan:
        return Plan(subject=wanted.external_ref, items=(SOMETHING,), found={"known_id": wanted.known_id})

    def apply(self, plan: Plan) -> Applied:
        number = plan.found["known_id"] or str(next(self.numbers))
        item = AppliedItem(key="", action="update", record_id=number, answer={"number": number})
        return Applied(items=(item,))


SOMETHING = PlanItem(
    key="",
    action="update",
    record="ticket",
    record_id=None,
    before={},
    after={},
    reason="",
    request=Request(method="POST", path="", body=None),
)


# --- The lab ----------------------------------------------------------------------------------------------------------


@dataclass
class Surroundings:
    """What the lab takes from today: the partner's clients, connections and mappings, and when a PSA was off."""

    partner: Partner
    since: datetime
    until: datetime
    clients: dict[uuid.UUID, Client]
    accounts: dict[uuid.UUID, Account]
    tree: Tree
    lanes: dict[uuid.UUID, Lane | None]
    credentials: dict[uuid.UUID, Credentials]
    links: dict[tuple[uuid.UUID, uuid.UUID], str]
    caught: dict[uuid.UUID, str]
    disablings: list[Disabling]
    settings: SettingsOf
    conditions: dict[tuple[uuid.UUID, str], uuid.UUID]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.partner.time_zone)


@dataclass
class Sample:
    """A ticket as these rules would have it, when it is opened."""

    condition: Condition
    event: Event | None
    credentials: Credentials
    wanted: WantedTicket


@dataclass(frozen=True)
class Deed:
    """What was done to a ticket, because of which event."""

    at: datetime
    subject: str
    client_id: uuid.UUID
    event_id: uuid.UUID
    word: str
    type: str = ""


class Lab:
    """One set of rules, from the beginning of a span on. Events are given one by one, in the order of their arrival."""

    def __init__(self, rules: RuleSet, around: Surroundings, *, samples: int = 0) -> None:
        self.around, self.most_samples = around, samples
        self.now = around.since
        self.by_key: dict[tuple[uuid.UUID, str], Condition] = {}
        self.by_pk: dict[uuid.UUID, Condition] = {}
        self.tickets: dict[uuid.UUID, list[Ticket]] = defaultdict(list)
        self.last_order: dict[uuid.UUID, Delivery] = {}
        self.by_subject: dict[str, Condition] = {}
        self.lives: dict[uuid.UUID, Lifecycle] = {}
        self.openers: dict[uuid.UUID, Event] = {}
        self.samples: list[Sample] = []
        self.deeds: list[Deed] = []
        self.orders: Counter[str] = Counter()
        self.came: Counter[str] = Counter()
        self.off = Off(around.disablings)
        scoped = any(row.organization_id for row in rules.notifications)
        partner = around.partner.pk
        self.rules = KnownRules({partner: rules.notifications}, {partner: around.tree} if scoped else {})
        self.noise = PaperNoise(rules, around, self.by_pk)
        self.settings = KnownSettings(
            {level_id(row): row for row in rules.settings},
            KnownTree(around.tree.by_id),
            around.settings.addresses,
            around.settings.boardless,
        )
        self.psa = PaperPsa()
        self.circumstances = {key: self.circumstances_at(row) for key, row in around.credentials.items()}
        self.due: list[tuple[datetime, int, int, Delivery, Event]] = []
        self.places = itertools.count()
        self.next_look: datetime | None = None
        self.last_look: datetime | None = None
        self.has_moved = False
        self.guide: Mapping[tuple[uuid.UUID, str], datetime] = {}

    def circumstances_at(self, credentials: Credentials) -> PaperCircumstances:
        found = PaperCircumstances(credentials, self.now)
        found.lab = self
        found.lanes, found.companies = self.around.lanes, self.around.links
        found.catch_all = self.around.caught.get(credentials.pk)
        found.disabled = self.off
        found.settings = {self.around.partner.pk: self.settings}
        return found

    # --- Time

    def go_to(self, now: datetime) -> None:
        """All that happens by itself before this moment: attempts, and what is released every minute."""
        while True:
            moments = [self.due[0][0]] if self.due else []
            if self.next_look is not None:
                moments.append(self.next_look)
            at = min(moments, default=now)
            if at >= now:
                break
            self.set_now(at)
            if self.next_look is not None and self.next_look <= at:
                self.look()
            else:
                *_, delivery, event = heapq.heappop(self.due)
                self.attempt(delivery, event)
        self.set_now(now)

    def set_now(self, now: datetime) -> None:
        self.now = self.off.now = now
        self.noise.go_to(now)

    def look_at(self, moment: datetime) -> None:
        """The worker looks at what is held each full minute; here only when something may be over."""
        full = moment.replace(second=0, microsecond=0)
        full = full if full >= moment else full + MINUTE
        if self.last_look is not None and full <= self.last_look:
            full = self.last_look + MINUTE
        self.next_look = full if self.next_look is None else min(self.next_look, full)

    # --- Events

    def take(self, event: Event) -> None:
        """Judge it; its trace says what came of it."""
        self.go_to(event.received_at)
        speaks = event.action != EventAction.NONE
        condition = self.condition_of(event) if speaks else None
        orders = PaperOrders(self.fruitless(condition))
        self.judge(event, condition, orders)
        self.keep(orders)

    def judge(self, event: Event, condition: Condition | None, orders: PaperOrders) -> None:
        before = (condition.state, condition.episode) if condition else None
        wanted = condition.wants_ticket if condition else False
        held = len(self.noise.holds)
        intake.judge_one(event, condition, self.rules, self.noise, orders, self.off)
        if condition is None or condition.decided_at is None:
            return
        if condition.pk not in self.by_pk:
            self.know(condition)
        if wanted != condition.wants_ticket or held != len(self.noise.holds):
            self.has_moved = True
        if before != (condition.state, condition.episode):
            self.has_moved = True
            has_begun = condition.state == Condition.State.FAILING
            if has_begun:
                self.openers[condition.pk] = event
            else:
                self.openers.pop(condition.pk, None)
            self.noise.groups.moved(
                condition, event, Transition.OPENED if has_begun else Transition.RECOVERED
            )

    def know(self, condition: Condition) -> None:
        self.by_key[condition.client_id, condition.key] = condition
        self.by_pk[condition.pk] = condition
        self.by_subject[conditions.subject_of(condition.pk)] = condition

    def condition_of(self, event: Event) -> Condition:
        client = intake.known_client(event)
        found = self.by_key.get((client.pk, event.condition_key))
        if found is None:
            known = self.around.conditions.get((client.pk, event.condition_key))
            account = self.around.accounts.get(event.account_id) if event.account_id else None
            paper = PaperCondition(
                partner_id=client.partner_id,
                client=client,
                client_id=client.pk,
                account=account,
                account_id=account.pk if account else None,
                key=event.condition_key,
                pk=known or clock.new_id(),
            )
            found = cast(Condition, paper)
        return found

    def begin_with(self, condition: Condition, tickets: Sequence[Ticket]) -> None:
        """Something that was there before the span."""
        self.know(condition)
        self.tickets[condition.pk] = [copy.copy(ticket) for ticket in tickets]
        if condition.account_id is not None and condition.state == Condition.State.FAILING:
            self.noise.groups.failing[condition.account_id][condition.pk] = condition

    def fruitless(self, condition: Condition | None) -> dict[uuid.UUID, intake.Fruitless]:
        """As `intake.ticketless`, of one condition."""
        if condition is None or not condition.wants_ticket or condition.state != Condition.State.FAILING:
            return {}
        if any(ticket.closed_at is None and ticket.psa_id for ticket in self.tickets[condition.pk]):
            return {}
        order = self.last_order.get(condition.pk)
        if order is None or order.status not in intake.AGAIN_AFTER:
            return {}
        return {condition.pk: intake.fruitless(order)}

    def keep(self, orders: PaperOrders) -> None:
        for hold in self.noise.kept.values():
            self.has_moved = True
            if hold.until is not None:
                self.look_at(max(hold.until, self.now))
        self.noise.keep()
        for event, delivery in orders.rows:
            self.orders[delivery.action] += 1
            event.trace.append(intake.delivery_step(delivery, True))
            if delivery.action == Action.TICKET:
                self.noise.storms.ordered(delivery)
                self.order(delivery, event)
        if self.noise.holds and self.has_moved:
            self.look_at(self.now)
        self.has_moved = False

    # --- Tickets

    def order(self, delivery: Delivery, event: Event) -> None:
        self.last_order[self.by_subject[delivery.subject].pk] = delivery
        delivery.lane = self.around.lanes.get(delivery.client_id)
        if delivery.lane is None:
            return self.came_to(delivery, event, outcomes.without_psa())
        at = self.guide.get((delivery.event_id, delivery.subject), self.now + USUAL_WAIT)
        return self.attempt_at(max(at, self.now), delivery, event)

    def attempt_at(self, at: datetime, delivery: Delivery, event: Event) -> None:
        """What is due at one moment is claimed by priority, as by `lanes.claim`."""
        heapq.heappush(self.due, (at, delivery.priority, next(self.places), delivery, event))

    def attempt(self, delivery: Delivery, event: Event) -> None:
        """One attempt as the dispatcher makes it, at the PSA on paper."""
        condition = self.by_subject[delivery.subject]
        rows = self.tickets[condition.pk]
        assert delivery.lane is not None
        around = self.circumstances[delivery.lane.credentials_id]
        around.now = self.now
        closed = [row for row in rows if row.closed_at is not None]
        around.former = {condition.pk: closed[-1]} if closed else {}
        ticket = next((row for row in rows if row.closed_at is None), None)
        delivery.attempts += 1
        answer = decide(Facts(delivery, condition, ticket), around)
        rows += around.new
        around.new.clear()
        around.touched.clear()
        if isinstance(answer, TicketTask):
            ticket, answer = answer.ticket, answer.run(self.psa)  # type: ignore[arg-type]
        if ticket is not None and answer.facts:
            note(ticket, answer, self.now)
        self.came_to(delivery, event, answer)

    def came_to(self, delivery: Delivery, event: Event, outcome: Outcome) -> None:
        delivery.status, delivery.reason, delivery.outcome = outcome.status, outcome.reason, outcome.text
        if outcome.status in UNSETTLED and delivery.attempts < MOST_TRIES:
            self.attempt_at(self.now + timedelta(seconds=outcome.again_in or 0), delivery, event)
            return
        if outcome.status == Status.HELD and outcome.reason == disabled.REASON:
            end = self.off.end_of(self.off[delivery.client_id])
            if end is not None and end < self.around.until:
                self.attempt_at(max(end, self.now), delivery, event)
                return
        word = came_of_it(outcome.status, outcome.reason, outcome.text)
        self.came[word] += 1
        self.deeds.append(
            Deed(self.now, delivery.subject, delivery.client_id, delivery.event_id, word, event.type)
        )

    def wants_sample(self, condition: Condition) -> bool:
        """The first ticket of each kind of problem."""
        if len(self.samples) >= self.most_samples:
            return False
        event = self.openers.get(condition.pk)
        return not any(one.event and event and one.event.type == event.type for one in self.samples)

    # --- What is held

    def look(self) -> None:
        """What the worker does every minute."""
        self.next_look, self.last_look = None, self.now
        due = sorted(filter(self.is_due, self.may_be_due()), key=lambda hold: hold.pk)
        for storm in list(self.noise.storms.on.values()):
            due += self.look_after(storm)
        due = list({hold.pk: hold for hold in due}.values())[: release.MOST]
        for start in range(0, len(due), release.AT_ONCE):
            self.release(due[start : start + release.AT_ONCE])
        if due or self.noise.storms.on:  # what was let go may have held others
            self.look_at(self.now + MINUTE)
        soonest = min((hold.until for hold in self.noise.holds.values() if hold.until), default=None)
        if soonest is not None:
            self.look_at(max(soonest, self.now + timedelta(seconds=1)))

    def may_be_due(self) -> list[Hold]:
        """All for which `release.is_due` has a reason to look at more than the hold itself: of most there is none."""
        return [
            hold
            for hold in self.noise.holds.values()
            if (hold.until is not None and hold.until <= self.now)
            or hold.kind in WAITING_FOR_OTHERS
            or hold.condition.state == Condition.State.FINE
        ]

    def is_due(self, hold: Hold) -> bool:
        lead = self.by_pk.get(hold.parent_id) if hold.parent_id else None
        lead_is_over = (
            lead is None
            or lead.state == Condition.State.FINE
            or (not lead.wants_ticket and lead.pk not in self.noise.holds)
        )
        return release.is_due(
            hold,
            lead_is_over=lead_is_over,
            is_fine=hold.condition.state == Condition.State.FINE,
            storm_is_over=all(storm.pk != hold.storm_id for storm in self.noise.storms.on.values()),
            now=self.now,
        )

    def release(self, holds: Sequence[Hold]) -> None:
        """As `release.release_once`."""
        orders = PaperOrders({})
        self.noise.is_release = True
        for hold in sorted(holds, key=lambda hold: (hold.since, hold.pk)):
            if self.noise.holds.get(hold.condition_id) is hold:
                release.release_one(hold, hold.condition, self.rules, self.noise, orders)
        self.noise.is_release = False
        self.keep(orders)

    def look_after(self, storm: Storm) -> list[Hold]:
        """As `stormtickets.look_after`; the notes that a storm's ticket gets later are not written down here."""
        held = sorted(
            (hold for hold in self.noise.holds.values() if hold.storm_id == storm.pk),
            key=lambda hold: (hold.since, hold.pk),
        )
        settings = self.noise.settings.get(storm.partner_id)
        if (
            settings is not None
            and stormtickets.is_braking(storm, settings)
            and held
            and storm.condition is None
        ):
            self.tell(storm, is_over=False)
        if not held:
            del self.noise.storms.on[storm.client_id or storm.partner_id]
            if storm.condition is not None:
                self.tell(storm, is_over=True)
            return []
        return held[: stormtickets.let_through(storm, settings, self.now)]

    def tell(self, storm: Storm, *, is_over: bool) -> None:
        """The storm's own condition fails, with a ticket whatever the rules say, or is fine again."""
        home = self.around.clients[storm.home_id]
        event = portalevents.make_event(
            home,
            type_name=stormtickets.TYPE,
            severity="success" if is_over else "error",
            action="resolve" if is_over else "trigger",
            condition_key=stormtickets.key_of(storm),
            source_id=f"storm:{storm.pk}:{is_over}",
            summary=f"Storm of problems at {home.name if storm.client_id else 'all clients'}",
        )
        event.occurred_at = event.received_at = self.now
        condition = self.condition_of(event)
        orders = PaperOrders({})
        if is_over:
            self.judge(event, condition, orders)
        else:
            conditions.move(condition, event)
            self.know(condition)
            self.has_moved = True
            self.openers[condition.pk] = event
            storm.condition = condition
            if not condition.wants_ticket:
                condition.wants_ticket = True
                because = portalevents.Because("storm brake")
                orders.add(event, Action.TICKET, conditions.subject_of(condition.pk), because)
        self.keep(orders)
