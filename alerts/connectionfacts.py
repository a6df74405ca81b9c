"""What the tables say about each connection of a partner (asked by the guided set-up and the health score).

Everything is read for all connections together, so that the number of queries does not depend on how many there are.
No PSA is asked.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings as deployment
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q

from alerts.models import Notification, Outage, TicketTest, WebhookEndpoint
from alerts.ticketsettings import SettingsOf
from billing.models import AgreementLink, CrossReference, PushDay, PushRun, Question, Usage
from integrations import gonechoices, mapping
from integrations.models import Choice, ChoiceList, CompanyLink, Credentials, Delivery, Event, Lane, Status
from portal import clock
from portal.models import Client, Partner

RECENT = timedelta(days=7)
PUSH_DAYS = timedelta(days=35)
MOST = 1000
"""Failed deliveries are counted up to here."""


@dataclass(frozen=True)
class Facts:
    """One connection. Counts of deliveries are of the last seven days and stop at a thousand for all together.

    `board`, `new_status` and `closing_status` are those in effect where the connection is set.
    """

    row: Credentials
    lane: Lane
    clients: int
    decided: int
    mapped: int
    options_read_at: datetime | None
    options_trouble: int
    gone: int
    board: Choice | None
    new_status: Choice | None
    closing_status: Choice | None
    test_passed_at: datetime | None
    test_failed_at: datetime | None
    failed: int
    questions: int
    asking_since: datetime | None
    products: int
    linked: int
    stale: int
    missed_days: int
    missed_since: date | None
    outages: int

    @property
    def unmapped(self) -> int:
        return self.clients - self.decided

    @property
    def title(self) -> str:
        return f"{self.row.get_kind_display()} of {self.row.level}"


@dataclass(frozen=True)
class PartnerFacts:
    """What is the partner's and no connection's, and each of its connections."""

    partner: Partner
    ticket_rules: int
    rules: int
    webhooks: int
    webhooks_failing: int
    parked: int
    connections: Sequence[Facts] = field(default_factory=list)


def of(partner: Partner) -> PartnerFacts:
    """All of it, in a number of queries that is the same for one connection and for fifty."""
    overview = mapping.overview(partner.pk)
    rules = Counter(
        Notification.objects.filter(partner=partner, is_enabled=True).values_list("action", flat=True)
    )
    webhooks = WebhookEndpoint.objects.filter(partner=partner, is_enabled=True).aggregate(
        all=Count("pk"), failing=Count("pk", filter=Q(failures__gt=0))
    )
    parked = Event.objects.filter(partner=partner, client=None, state=Event.State.PARKED)
    return PartnerFacts(
        partner=partner,
        ticket_rules=rules["ticket"],
        rules=sum(rules.values()),
        webhooks=webhooks["all"],
        webhooks_failing=webhooks["failing"],
        parked=len(parked.order_by().values_list("pk")[: MOST + 1]),
        connections=_connections(partner, overview) if overview else [],
    )


def _connections(partner: Partner, overview: Sequence[mapping.Overview]) -> list[Facts]:
    keys = [row.credentials.pk for row in overview]
    lanes = {lane.credentials_id: lane for lane in Lane.objects.filter(credentials__in=keys)}
    mapped = counted(CompanyLink.objects.filter(credentials__in=keys).exclude(psa_company_id=""))
    options = _options(keys)
    gone = _gone(partner, keys)
    settings_of = SettingsOf.of(partner.pk)
    tests = _tests(keys)
    failed = _failed(partner)
    questions, approvals = _asked(keys)
    products = counted(
        CrossReference.objects.filter(partner=partner, product__isnull=False, is_billed=True),
        by="product__credentials",
    )
    linked, stale = _linked(partner, keys)
    missed = _missed(partner, keys)
    outages = counted(
        Outage.objects.filter(partner=partner, since__gt=clock.now() - RECENT), by="credentials"
    )
    found = []
    for line in overview:
        row = line.credentials
        lane = lanes[row.pk]
        in_effect = {
            name: settings_of.value(name, row.level).value
            for name in ("board", "new_status", "closing_status")
        }
        ours = {
            name: value if value is not None and value.credentials_id == row.pk else None
            for name, value in in_effect.items()
        }
        option = options.get(row.pk, {})
        test = tests.get(row.pk, {})
        asked = [rows[row.pk] for rows in (questions, approvals) if row.pk in rows]
        missing = missed.get(row.pk, {})
        found.append(
            Facts(
                row=row,
                lane=lane,
                clients=line.clients,
                decided=line.decided,
                mapped=mapped[row.pk],
                options_read_at=option.get("oldest"),
                options_trouble=option.get("troubled", 0),
                gone=gone[row.pk],
                board=ours["board"],
                new_status=ours["new_status"],
                closing_status=ours["closing_status"],
                test_passed_at=test.get("passed"),
                test_failed_at=test.get("failed"),
                failed=failed[lane.pk],
                questions=sum(one["count"] for one in asked),
                asking_since=min((one["since"] for one in asked), default=None),
                products=products[row.pk],
                linked=linked[row.pk],
                stale=stale[row.pk],
                missed_days=missing.get("count", 0),
                missed_since=missing.get("since"),
                outages=outages[row.pk],
            )
        )
    return found


def counted(rows: Any, *, by: str = "credentials") -> Counter[Any]:
    """How many of these rows each connection has; one query."""
    return Counter(dict(rows.order_by().values_list(by).annotate(count=Count("pk"))))


def _options(keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mapping[str, Any]]:
    """When the oldest list was read, and how many could not be read the last time."""
    lists = ChoiceList.objects.filter(
        credentials__in=keys, kind__in=("board", "company", "product"), within=""
    )
    found = lists.order_by().values("credentials")
    return {
        row["credentials"]: row
        for row in found.annotate(oldest=Min("read_at"), troubled=Count("pk", filter=~Q(trouble="")))
    }


def _gone(partner: Partner, keys: Sequence[uuid.UUID]) -> Counter[Any]:
    """Choices in use that the PSA does not offer any more; whoever refers to them is found through the models."""
    link = CompanyLink.objects.filter(credentials=OuterRef("credentials"), psa_company_id=OuterRef("psa_id"))
    is_used = Q(Exists(link), kind="company")
    for relation in gonechoices.referring_fields():
        rows = relation.model._default_manager.filter(**{"partner": partner, relation.name: OuterRef("pk")})
        is_used |= Q(Exists(rows))
    return counted(Choice.objects.filter(is_used, credentials__in=keys, vanished_at__isnull=False))


def _tests(keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mapping[str, Any]]:
    found = TicketTest.objects.filter(credentials__in=keys).order_by().values("credentials")
    state = TicketTest.State
    return {
        row["credentials"]: row
        for row in found.annotate(
            passed=Max("finished_at", filter=Q(state=state.PASSED)),
            failed=Max("finished_at", filter=Q(state=state.FAILED)),
        )
    }


def _failed(partner: Partner) -> Counter[Any]:
    """By lane. Only deliveries with an error's text are looked at: for those there is an index."""
    rows = Delivery.objects.filter(partner=partner, created_at__gt=clock.now() - RECENT).exclude(
        error_text=""
    )
    newest = rows.filter(status=Status.FAILED).order_by("-created_at")
    return Counter(newest.values_list("lane", flat=True)[:MOST])


def _asked(keys: Sequence[uuid.UUID]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Questions without an answer, and plans that wait for a yes."""
    questions = Question.objects.filter(credentials__in=keys, answer="", settled_at=None).order_by()
    runs = PushRun.objects.filter(credentials__in=keys, state=PushRun.State.WAITING).order_by()
    asked = questions.values("credentials").annotate(count=Count("pk"), since=Min("asked_at"))
    waiting = runs.values("credentials").annotate(count=Count("pk"), since=Min("started_at"))
    return {row["credentials"]: row for row in asked}, {row["credentials"]: row for row in waiting}


def _linked(partner: Partner, keys: Sequence[uuid.UUID]) -> tuple[Counter[Any], Counter[Any]]:
    """Clients with an agreement, and those of them whose newest usage is too old to bill by."""
    links = AgreementLink.objects.filter(credentials__in=keys, client__is_active=True)
    pairs = links.order_by().values_list("credentials", "client").distinct()
    oldest = clock.today_in(partner.time_zone) - timedelta(days=deployment.USAGE_FRESH_DAYS)
    fresh = Usage.objects.filter(client=OuterRef("client"), is_current=True, measured_on__gte=oldest)
    linked = Counter(key for key, _ in pairs)
    return linked, Counter(key for key, _ in pairs.filter(~Exists(fresh)))


def _missed(partner: Partner, keys: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mapping[str, Any]]:
    """Push days that are over and were asked for, without a success of the client's since."""
    today = clock.today_in(partner.time_zone)
    days = PushDay.objects.filter(partner=partner, due_on__gt=today - PUSH_DAYS, due_on__lt=today)
    late = Q(client__synchronize_window=None) | Q(client__synchronize_window__last_success_at=None)
    late |= Q(client__synchronize_window__last_success_at__date__lt=F("due_on"))
    rows = days.filter(late, client__agreement_links__credentials__in=keys).order_by()
    found = rows.values("client__agreement_links__credentials").annotate(
        count=Count("client", distinct=True), since=Min("due_on")
    )
    return {row["client__agreement_links__credentials"]: row for row in found}


def mapped_clients(row: Credentials, most: int) -> list[Client]:
    """The first of a connection's clients by name that are mapped to a company."""
    links = CompanyLink.objects.filter(credentials=row, client__is_active=True).exclude(psa_company_id="")
    return [link.client for link in links.select_related("client").order_by("client__name", "pk")[:most]]
