"""What was held back gets its ticket when that is over (asked by the worker, and when a window ends early).

Each hold is judged anew by the rules of the moment, under the lock of its condition: twice, late or beside itself, a
condition that still fails gets one ticket, and one that is fine gets none.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import OperationalError
from django.db.models import Exists, OuterRef, Q, QuerySet

from alerts import conditions, intake, routing, stormtickets
from alerts.models import Condition, Hold, Storm
from alerts.models.noise import HoldKind
from alerts.noise import Noise
from integrations.models import Action, Event
from portal import chaos, clock, database, onebyone

logger = logging.getLogger(__name__)
AT_ONCE = 100
MOST = 5000


def due() -> QuerySet[Hold]:
    """Holds whose reason may be over: their time has come, or what they wait for is gone."""
    now = clock.now()
    lead_has_hold = Hold.objects.filter(condition=OuterRef("parent"))
    lead_is_over = (
        Q(parent=None)
        | Q(parent__state=Condition.State.FINE)
        | (Q(parent__wants_ticket=False) & ~Exists(lead_has_hold))
    )
    return Hold.objects.filter(
        Q(until__lte=now)
        | (Q(kind__in=[HoldKind.PARENT, HoldKind.GROUP]) & lead_is_over)
        | (Q(kind=HoldKind.STORM) & (Q(storm=None) | Q(storm__ended_at__isnull=False)))
        | (~Q(kind=HoldKind.FLAPPING) & Q(condition__state=Condition.State.FINE))
    )


def is_due(hold: Hold, *, lead_is_over: bool, is_fine: bool, storm_is_over: bool, now: datetime) -> bool:
    """What `due` asks of one hold, of facts that are at hand (asked by the replay lab)."""
    return (
        (hold.until is not None and hold.until <= now)
        or (hold.kind in (HoldKind.PARENT, HoldKind.GROUP) and lead_is_over)
        or (hold.kind == HoldKind.STORM and storm_is_over)
        or (hold.kind != HoldKind.FLAPPING and is_fine)
    )


def release_due() -> int:
    """Judge what is due anew; returns how many holds ended."""
    keys = list(due().order_by("pk").values_list("pk", flat=True)[:MOST])
    storms = Storm.objects.filter(ended_at=None).values_list("pk", flat=True)
    try:
        onebyone.each(storms, lambda storm: keys.extend(stormtickets.look_after(storm)), what="Storms")
    finally:
        keys = list(dict.fromkeys(keys))
        ended = sum(
            release_patiently(keys[start : start + AT_ONCE]) for start in range(0, len(keys), AT_ONCE)
        )
    return ended


def release_patiently(keys: Sequence[uuid.UUID]) -> int:
    """As `release`; one hold that cannot be judged, by a mistake of ours, does not keep the others."""
    try:
        return release(keys)
    except OperationalError:
        raise
    except Exception:
        if len(keys) == 1:
            logger.exception("Hold %s cannot be judged; it stays until the next look", keys[0])
            return 0
        return sum(release_patiently([key]) for key in keys)


def release(keys: Sequence[uuid.UUID]) -> int:
    """Judge these holds anew, in one transaction."""
    for attempt in range(intake.MOST_TRIES):
        try:
            with database.writing():
                ended = release_once(keys)
                chaos.point("before-release-commit")
            return ended
        except intake.Raced:
            if attempt == intake.MOST_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def release_once(keys: Sequence[uuid.UUID]) -> int:
    rows = Condition.objects.select_for_update(no_key=True, of=("self",)).filter(hold__pk__in=keys)
    locked = {row.pk: row for row in rows.order_by("pk")}
    holds = list(
        Hold.objects.filter(pk__in=keys, condition__in=locked)
        .select_related("event__client")
        .order_by("since", "pk")
    )
    if not holds:
        return 0
    partners = {row.partner_id for row in holds}
    rules = routing.Rules.of(partners)
    noise = Noise.of(partners, locked.values(), rules.trees, is_release=True)
    noise.holds = {row.condition_id: row for row in holds}
    orders = intake.Orders({})
    for hold in holds:
        release_one(hold, locked[hold.condition_id], rules, noise, orders)
    intake.save_conditions(locked.values())
    if not noise.store():
        raise intake.Raced
    orders.store()
    database.save_all(list({row.event.pk: row.event for row in holds}.values()), ["trace"])
    return len(noise.gone)


def release_one(
    hold: Hold, condition: Condition, rules: routing.Rules, noise: Noise, orders: intake.Orders
) -> None:
    event = hold.event
    if hold.kind == HoldKind.FLAPPING:
        if hold.until is not None and hold.until <= noise.now:
            noise.let_go(hold)
            tell(event, "It was quiet for long enough: the ticket follows the problem again.")
            orders.add(event, Action.TICKET, conditions.subject_of(condition.pk), None, at=noise.now)
        return
    if condition.state == Condition.State.FINE:
        noise.let_go(hold)
        return
    if hold.until is not None and hold.until > noise.now and hold.kind != HoldKind.STORM:
        return
    judge_again(hold, event, condition, rules, noise, orders)


def judge_again(
    hold: Hold, event: Event, condition: Condition, rules: routing.Rules, noise: Noise, orders: intake.Orders
) -> None:
    client = intake.known_client(event)
    if (dropping := noise.filter_for(event, client, condition)) is not None:
        noise.let_go(hold)
        return tell(event, f"No longer held; the filter “{dropping.name}” drops such events by now.")
    matched = [answer.notification for answer in rules.ask(event, client) if not answer.why_not]
    wanting = next((rule for rule in matched if rule.action == Action.TICKET), None)
    if wanting is None:
        noise.let_go(hold)
        return tell(event, "No longer held; no notification asks for a ticket any more.")
    if noise.holds_back(event, condition, wanting):
        return None
    condition.wants_ticket = True
    tell(event, f"It still fails, and “{hold.rule_name or hold.get_kind_display()}” holds it no longer.")
    orders.add(event, Action.TICKET, conditions.subject_of(condition.pk), wanting, at=noise.now)
    return None


def tell(event: Event, text: str) -> None:
    event.trace.append({"step": "released", "text": text})
