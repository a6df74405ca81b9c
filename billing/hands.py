"""Who changed what a client is billed by, and so is no second pair of eyes (asked by proposals; told by every change).

A row of settings says who changed it last; what they changed before, and what was reset or removed, only stands here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q

from billing.models import AgreementLink, CrossReference, PushItem, PushRun, SettingsHand
from portal import clock
from portal.inheritance import Tree, level_id
from portal.models import User

WENT = (PushItem.State.DONE, PushItem.State.IN_DOUBT)


def note(rows: Iterable[Any], by: User | None) -> None:
    """They changed, reset or removed these: billing settings, cross-references, agreements. One query."""
    if by is None:
        return
    now = clock.now()
    found = {
        (level_id(row), service_of(row)): SettingsHand(
            partner_id=row.partner_id,
            level_id=level_id(row),
            service=service_of(row),
            person=by,
            changed_at=now,
        )
        for row in rows
    }
    SettingsHand.objects.bulk_create(
        found.values(),
        batch_size=500,
        update_conflicts=True,
        unique_fields=["level_id", "service", "person"],
        update_fields=["changed_at"],
    )


def service_of(row: Any) -> str:
    """Empty: all services."""
    is_of_one = isinstance(row, CrossReference | AgreementLink) and row.service is not None
    return row.service.key if is_of_one else ""


def on_plans(runs: Sequence[PushRun]) -> dict[uuid.UUID, set[uuid.UUID]]:
    """By run, the people who changed something that its plan depends on since a plan for the same agreement was
    approved or went out. Three queries a partner.
    """
    found: dict[uuid.UUID, set[uuid.UUID]] = {}
    for partner in {run.partner_id for run in runs}:
        theirs = [run for run in runs if run.partner_id == partner and run.undoes_id is None]
        tree = Tree.of(partner)
        levels = {run.pk: {level.pk for level in tree.levels_of(run.client)} for run in theirs}
        hands = list(SettingsHand.objects.filter(partner=partner, level_id__in=set().union(*levels.values())))
        began = last_agreed(theirs) if hands else {}
        for run in theirs:
            services = {"", *(item["key"].partition(":")[0] for item in run.plan.get("items", ()))}
            since = began.get((run.client_id, run.credentials_id, run.agreement_id))
            found[run.pk] = {
                hand.person_id
                for hand in hands
                if hand.level_id in levels[run.pk]
                and hand.service in services
                and (since is None or hand.changed_at > since)
            }
    return found


def last_agreed(runs: Iterable[PushRun]) -> dict[tuple[Any, ...], Any]:
    """By client, connection and agreement, when the last plan was made that was approved or has written something."""
    wrote = PushItem.objects.filter(run=OuterRef("pk"), state__in=WENT)
    rows = PushRun.objects.filter(client__in={run.client_id for run in runs}, undoes=None)
    rows = rows.filter(~Q(approved_digest="") | Exists(wrote))
    keys = ("client", "credentials", "agreement_id")
    grouped = rows.order_by().values_list(*keys).annotate(newest=Max("started_at"))
    return {tuple(key): newest for *key, newest in grouped}
