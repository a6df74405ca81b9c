"""Which notifications does an event lead to, and why not the others (asked by intake and by the trace page)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alerts.models import Notification
from integrations.models import Event
from portal import database
from portal.inheritance import Tree
from portal.models import Client


@dataclass(frozen=True)
class Answer:
    """What one notification said to an event; `why_not` is empty when it matched."""

    notification: Notification
    why_not: str

    def as_json(self) -> dict[str, object]:
        return {
            "step": "notification",
            "id": str(self.notification.pk),
            "name": self.notification.name,
            "version": self.notification.version,
            "action": self.notification.action,
            "matched": not self.why_not,
            "text": self.why_not or "matched",
        }


_rules_of = database.Prepared(
    lambda partners: Notification.objects.filter(partner_id__in=partners).order_by(
        "position", "created_at", "pk"
    )
)


@dataclass(frozen=True)
class Rules:
    """All enabled and disabled notifications of some partners, read once for a batch."""

    by_partner: dict[uuid.UUID, list[Notification]]
    trees: dict[uuid.UUID, Tree]

    @classmethod
    def of(cls, partner_ids: Iterable[uuid.UUID]) -> Rules:
        """One query, and one more a partner that has rules for an organization."""
        by_partner: dict[uuid.UUID, list[Notification]] = {pk: [] for pk in partner_ids}
        for row in _rules_of(by_partner):
            by_partner[row.partner_id].append(row)
        scoped = {pk for pk, rows in by_partner.items() if any(row.organization_id for row in rows)}
        return cls(by_partner, {pk: Tree.of(pk) for pk in scoped})

    def ask(self, event: Event, client: Client) -> list[Answer]:
        """What each notification of the client's partner says, in their order."""
        answers: list[Answer] = []
        first = stopper = ""
        for row in self.by_partner.get(client.partner_id, []):
            reason = why_not(row, event, client, self.trees.get(client.partner_id))
            if not reason and stopper:
                reason = f"“{stopper}” matched before, and stops there."
            elif not reason and row.catch_all and first:
                reason = f"It is only for what no other notification matched; “{first}” did."
            answers.append(Answer(row, reason))
            if not reason:
                first = first or row.name
                stopper = row.name if row.stops else ""
        return answers


def why_not(rule: Notification, event: Event, client: Client, tree: Tree | None) -> str:
    """The first reason why a notification does not apply, as a sentence; empty when it does."""
    if not rule.is_enabled:
        return "The notification is switched off."
    if rule.client_id and rule.client_id != client.pk:
        return "The notification is for another client."
    if rule.organization_id and not is_within(rule.organization_id, client, tree):
        return "The notification is for another organization."
    if event.severity not in rule.severities:
        return f"Severity {event.severity} is not among {', '.join(rule.severities) or 'none'}."
    if not rule.all_event_types and event.type not in rule.event_types:
        return f"Event type {event.type} is not subscribed to."
    return ""


def is_within(organization_id: uuid.UUID, client: Client, tree: Tree | None) -> bool:
    levels: Sequence[object] = tree.upwards(client.organization_id) if tree else ()
    return any(getattr(level, "pk", None) == organization_id for level in levels)
