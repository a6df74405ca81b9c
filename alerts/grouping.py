"""Which ticket already stands for a problem: that of its account's outage, or that of its group (asked by noise)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, F, OuterRef

from alerts.eventtypes import family_of
from alerts.models import Condition, Grouping, GroupLead, Hold, Notification, Ticket
from alerts.models.noise import HoldKind
from alerts.reasons import Reason
from integrations.models import Event
from portal import database

if TYPE_CHECKING:
    from alerts.noise import Noise

Key = tuple[uuid.UUID, uuid.UUID, str]


def value_of(event: Event, rule: Notification) -> str:
    """What the members of a group have in common."""
    if rule.grouping == Grouping.SITE:
        return str(event.data.get("site") or event.account_reference)[:200]
    if rule.grouping == Grouping.CAUSE:
        return str(event.data.get("cause") or family_of(event.type))[:200]
    return ""


class Groups:
    """Leads and outages for one batch; read when they are first asked for, all at once."""

    lead_row: Any = GroupLead

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.leads: dict[Key, GroupLead] | None = None
        self.acknowledged: dict[uuid.UUID, datetime] = {}
        self.changed: dict[Key, GroupLead] = {}
        self.outages: dict[uuid.UUID, list[uuid.UUID]] | None = None
        self.outside: dict[uuid.UUID, Condition] = {}
        self.types: dict[uuid.UUID, str] = {}

    # --- Groups -------------------------------------------------------------------------------------------------------

    def lead_of(self, event: Event, condition: Condition, rule: Notification) -> Reason | None:
        """The other condition whose ticket stands for this one's group.

        One that a technician closed stands for what had failed until then; what fails later gets a new one.
        """
        if not rule.grouping:
            return None
        lead = self.known().get(key_of(event, condition, rule))
        if lead is None or lead.condition_id == condition.pk:
            return None
        other = self.noise.conditions.get(lead.condition_id) or lead.condition
        if other.state != Condition.State.FAILING or not other.wants_ticket:
            return None
        closed_at = self.acknowledged.get(other.pk)
        if closed_at is not None and condition.since is not None and condition.since > closed_at:
            return None
        text = f"One ticket for the group: that of “{other.summary}” stands for it."
        return Reason(HoldKind.GROUP, text, rule.pk, rule.name, parent=other.pk)

    def lead(self, event: Event, condition: Condition, rule: Notification) -> None:
        """This condition's ticket stands for its group from now on."""
        if not rule.grouping:
            return
        key = key_of(event, condition, rule)
        row = self.known().get(key) or self.lead_row(
            partner_id=condition.partner_id, client_id=key[0], notification_id=key[1], value=key[2]
        )
        row.condition = condition
        self.known()[key] = self.changed[key] = row

    def known(self) -> dict[Key, GroupLead]:
        if self.leads is None:
            clients = sorted({row.client_id for row in self.noise.conditions.values()})
            rows = GroupLead.objects.select_for_update(no_key=True, of=("self",)).filter(client__in=clients)
            self.leads = {
                (row.client_id, row.notification_id, row.value): row
                for row in rows.select_related("condition").order_by("pk")
            }
            newer = Ticket.objects.filter(
                condition=OuterRef("condition"), generation__gt=OuterRef("generation")
            )
            closed = Ticket.objects.filter(
                ~Exists(newer),
                condition__in={row.condition_id for row in self.leads.values()},
                acknowledged_at__isnull=False,
                episode=F("condition__episode"),
            )
            self.acknowledged = {
                row.condition_id: row.acknowledged_at for row in closed if row.acknowledged_at is not None
            }
        return self.leads

    def store(self) -> bool:
        """False when somebody else made the same group."""
        new = [row for row in self.changed.values() if row._state.adding]
        if len(database.insert_new(new)) != len(new):
            return False
        database.save_all([row for row in self.changed.values() if not row._state.adding], ["condition"])
        return True

    # --- Outages of a whole account -----------------------------------------------------------------------------------

    def parent_of(self, event: Event, condition: Condition) -> Reason | None:
        """The outage of the account that explains this problem."""
        settings = self.noise.settings.get(condition.partner_id)
        if settings is None or not settings.parent_types or condition.account_id is None:
            return None
        self.types[event.pk] = event.type
        if event.type in settings.parent_types:
            return None
        for key in self.outages_of(condition.account_id, event):
            other = self.noise.conditions.get(key) or self.outside[key]
            if other.pk != condition.pk and self.is_outage(other, settings.parent_types):
                text = f"“{other.summary}” explains it: what still fails afterwards gets its ticket."
                return Reason(
                    HoldKind.PARENT, text, settings.pk, "outage of the whole account", parent=other.pk
                )
        return None

    def is_outage(self, other: Condition, types: list[str]) -> bool:
        """Failing, of such a type, and itself with a ticket or about to get one."""
        if other.state != Condition.State.FAILING or self.types.get(other.opened_by or other.pk) not in types:
            return False
        has_hold = self.noise.current_hold(other) is not None or getattr(other, "has_hold", False)
        return bool(other.wants_ticket or has_hold)

    def outages_of(self, account_id: uuid.UUID, event: Event) -> list[uuid.UUID]:
        """Conditions of this account that may be outages: those stored, and those of this batch."""
        if self.outages is None:
            self.outages = {}
            accounts = sorted({row.account_id for row in self.noise.conditions.values() if row.account_id})
            rows = Condition.objects.filter(account__in=accounts, state=Condition.State.FAILING)
            rows = rows.annotate(has_hold=Exists(Hold.objects.filter(condition=OuterRef("pk"))))
            for row in rows:
                self.outside[row.pk] = row
                if row.account_id is not None:
                    self.outages.setdefault(row.account_id, []).append(row.pk)
            openers = [row.opened_by for row in self.outside.values() if row.opened_by]
            self.types |= dict(Event.objects.filter(pk__in=openers).values_list("pk", "type"))
        here = [row.pk for row in self.noise.conditions.values() if row.account_id == account_id]
        return list(dict.fromkeys([*self.outages.get(account_id, []), *here]))


def key_of(event: Event, condition: Condition, rule: Notification) -> Key:
    return (condition.client_id, rule.pk, value_of(event, rule))
