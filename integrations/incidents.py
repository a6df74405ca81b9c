"""The same error at many partners: since when, at whom, and reprocessing it after the incident (asked by staff).

Errors are the same when they are of one kind and their texts differ only in names, numbers and addresses. Reprocessing
is a bulk reprocess for each partner that was chosen: counted first, then carried out, with a reason in each one's audit
log.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from integrations import bulkreprocess
from integrations.eventgrammar import LIKE, MORE, MOST_LETTERS, Condition
from integrations.eventsearch import EventFilter
from integrations.models import BulkReprocess, Delivery, Status
from portal import audit, clock
from portal.models import Partner, User

RECENT = timedelta(days=7)
LOOKED_AT = 100_000
"""So many of the newest deliveries are looked at, whatever their age."""
MOST_FAILED = 5_000
MOST_SHOWN = 30
CHANGING = re.compile(
    r"“[^”]*”|\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)"  # names
    r"|https?://\S+"
    r"|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b"
    r"|#?\b\w*\d[\w.:/+-]*"  # numbers, moments, ids
)


@dataclass
class Group:
    """One error: its kind, what is the same in its texts (`*` for what is not), and whom it concerns."""

    kind: str
    pattern: str
    count: int = 0
    since: datetime | None = None
    last: datetime | None = None
    example: str = ""
    example_event: uuid.UUID | None = None
    partners: dict[uuid.UUID, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names the group in addresses and forms."""
        return hashlib.sha256(f"{self.kind}\n{self.pattern}".encode()).hexdigest()[:16]


def pattern_of(text: str) -> str:
    """The text with a `*` for everything that differs from case to case; at most what a search may be long."""
    plain = re.sub(r"\s{2,}|[\n\t\r]", "*", text.strip())
    plain = re.sub(r"[*?\s]*\*[*?\s]*", "*", CHANGING.sub("*", plain))
    return plain if len(plain) <= MOST_LETTERS else plain[: MOST_LETTERS - 1] + "*"


def groups() -> list[Group]:
    """Failed deliveries of all partners within seven days, the errors of most partners first. Two queries."""
    found: dict[tuple[str, str], Group] = {}
    for kind, text, partner, at, event in failures():
        pattern = pattern_of(text)
        group = found.setdefault(
            (kind, pattern), Group(kind, pattern, last=at, example=text, example_event=event)
        )
        group.count += 1
        group.since = at
        group.partners[partner] = group.partners.get(partner, 0) + 1
    return sorted(found.values(), key=lambda one: (-len(one.partners), -one.count))


def failures() -> list[tuple[str, str, uuid.UUID, datetime, uuid.UUID]]:
    """The newest first. By the primary key, which grows with time: no index is over all partners."""
    since = uuid.UUID(int=int((clock.now() - RECENT).timestamp() * 1000) << 80)
    floor = Delivery.objects.order_by("-pk").values_list("pk", flat=True)[LOOKED_AT : LOOKED_AT + 1]
    oldest = max([since, *floor])
    rows = (
        Delivery.objects.filter(pk__gte=oldest, status=Status.FAILED).exclude(error_text="").order_by("-pk")
    )
    return list(rows.values_list("error_kind", "error_text", "partner", "created_at", "event")[:MOST_FAILED])


def find_group(key: str) -> Group | None:
    return next((group for group in groups() if group.key == key), None)


def filter_of(group: Group) -> EventFilter:
    """What finds the group's events in one partner's log; since the day it was first seen within the week."""
    conditions = [Condition("error_list", LIKE, group.pattern)]
    if group.kind:
        conditions.append(Condition("error_kind", "=", group.kind))
    if group.since is not None:
        conditions.append(Condition("received", MORE, f"{group.since - timedelta(days=2):%Y-%m-%d}"))
    return EventFilter(status=Status.FAILED, conditions=tuple(conditions))


def begin(
    wanted: EventFilter,
    partners: Iterable[Partner],
    *,
    reason: str,
    by: User,
    is_dry_run: bool = True,
    case: uuid.UUID | None = None,
) -> uuid.UUID:
    """A run for each partner, all under one case; each partner's audit log says who, why and what was searched."""
    case = case or clock.new_id()
    with transaction.atomic():
        for partner in partners:
            run = bulkreprocess.begin(partner, wanted, is_dry_run=is_dry_run, by=by.email)
            BulkReprocess.objects.filter(pk=run.pk).update(case=case, reason=reason)
            audit.note(
                "incident dry run" if is_dry_run else "incident reprocess",
                actor=by,
                partner_id=partner.pk,
                target=str(wanted)[:300],
                details={"case": str(case), "reason": reason},
            )
    return case


@dataclass(frozen=True)
class Case:
    """What belongs together: dry runs of an incident, and the runs that carried them out."""

    key: uuid.UUID
    runs: Sequence[BulkReprocess]

    @property
    def reason(self) -> str:
        return self.runs[0].reason

    @property
    def wanted(self) -> EventFilter:
        return EventFilter.of_json(self.runs[0].wanted)

    @property
    def is_running(self) -> bool:
        return any(run.state == BulkReprocess.State.RUNNING for run in self.runs)

    @property
    def is_carried_out(self) -> bool:
        return any(not run.is_dry_run for run in self.runs)

    @property
    def to_do(self) -> int:
        return sum(bulkreprocess.to_do(run) for run in self.runs if run.is_dry_run)

    @property
    def may_be_carried_out(self) -> bool:
        return not self.is_running and not self.is_carried_out and self.to_do > 0


def find_case(key: uuid.UUID) -> Case | None:
    runs = list(
        BulkReprocess.objects.filter(case=key)
        .select_related("partner")
        .order_by("is_dry_run", "partner__name")
    )
    return Case(key, runs) if runs else None


def carry_out(case: Case, *, by: User) -> bool:
    """Do what the dry runs counted, for the partners where they found something. False when it was done already."""
    with transaction.atomic():
        rows = BulkReprocess.objects.filter(case=case.key)
        list(rows.select_for_update().order_by("pk").values_list("pk"))
        now = find_case(case.key)  # read once more: who waited for the lock sees what the other one began
        if now is None or not now.may_be_carried_out:
            return False
        partners = [run.partner for run in now.runs if bulkreprocess.to_do(run)]
        begin(now.wanted, partners, reason=now.reason, by=by, is_dry_run=False, case=case.key)
    return True
