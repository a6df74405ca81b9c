"""The storm brake: above so many new tickets the rest goes into one (asked by noise)."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q

from alerts.models import Condition, NoiseSettings, Storm
from alerts.models.noise import HoldKind
from alerts.reasons import Reason
from integrations.models import Action, Delivery
from portal import database
from portal.models import Client

if TYPE_CHECKING:
    from alerts.noise import Noise


class Brakes:
    """The brakes of one batch's partners: new tickets so far, and storms that are on. Read when first asked for."""

    storm_row: Any = Storm

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        self.by_client: Counter[uuid.UUID] | None = None
        self.by_partner: Counter[uuid.UUID] = Counter()
        self.on: dict[uuid.UUID, Storm] = {}
        self.held: Counter[uuid.UUID] = Counter()

    def settings_of(self, condition: Condition) -> NoiseSettings | None:
        settings = self.noise.settings.get(condition.partner_id)
        has_brake = settings and (settings.storm_client_tickets or settings.storm_partner_tickets)
        return settings if has_brake else None

    def over(self, condition: Condition, client: Client) -> Reason | None:
        """The brake that this ticket would be too many for."""
        settings = self.settings_of(condition)
        if settings is None:
            return None
        self.count()
        assert self.by_client is not None
        for scope, so_far, most in (
            (client, self.by_client[client.pk], settings.storm_client_tickets),
            (None, self.by_partner[condition.partner_id], settings.storm_partner_tickets),
        ):
            if most and so_far >= most:
                storm = self.storm_of(settings, scope, client)
                whose = f"for {client.name}" if scope else "for all clients together"
                text = (
                    f"More than {most} new tickets {whose} within {settings.storm_minutes} minutes: "
                    "it is listed in the storm’s ticket."
                )
                return Reason(HoldKind.STORM, text, settings.pk, "storm brake", storm=storm.pk)
        return None

    def opened(self, condition: Condition) -> None:
        """A ticket is ordered: one more."""
        if self.settings_of(condition) is not None:
            self.count()
            assert self.by_client is not None
            self.by_client[condition.client_id] += 1
            self.by_partner[condition.partner_id] += 1

    def count(self) -> None:
        """Tickets that rules ordered lately, by client and partner; one query for all partners with a brake."""
        if self.by_client is not None:
            return
        self.by_client = Counter()
        lately = Q()
        for partner, settings in self.noise.settings.items():
            if settings.storm_client_tickets or settings.storm_partner_tickets:
                since = self.noise.now - timedelta(minutes=settings.storm_minutes)
                lately |= Q(partner=partner, created_at__gt=since)
        rows = Delivery.objects.filter(lately, action=Action.TICKET, notification_version__gt=0).order_by()
        for partner, client, number in rows.values_list("partner", "client").annotate(number=Count("pk")):
            self.by_client[client] += number
            self.by_partner[partner] += number
        for storm in Storm.objects.filter(partner__in=list(self.noise.settings), ended_at=None):
            self.on[storm.client_id or storm.partner_id] = storm

    def storm_of(self, settings: NoiseSettings, scope: Client | None, client: Client) -> Storm:
        key = scope.pk if scope else settings.partner_id
        if key not in self.on:
            home = client.pk if scope else settings.storm_client_id or client.pk
            self.on[key] = self.storm_row(
                partner_id=settings.partner_id,
                client=scope,
                home_id=home,
                began_at=self.noise.now,
                last_at=self.noise.now,
            )
        return self.on[key]

    def store(self) -> bool:
        """False when somebody else noticed the same storm first."""
        new = [row for row in self.on.values() if row._state.adding and self.is_used(row)]
        if len(database.insert_new(new)) != len(new):
            return False
        if self.held:
            Storm.objects.filter(pk__in=self.held).update(last_at=self.noise.now)
        return True

    def is_used(self, row: Storm) -> bool:
        return any(hold.storm_id == row.pk for hold in self.noise.kept.values())
