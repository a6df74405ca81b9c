"""Whose row is this, and who may see it (asked by every model, page and API call).

Every model of ours carries its partner's key. Rows are read through `visible_to(actor)` or from an object that was;
what is not yours looks as if it did not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models

from portal import access, clock

if TYPE_CHECKING:
    from portal.models import Partner


class TenantQuerySet(models.QuerySet[Any]):
    """Rows that belong to partners."""

    def visible_to(self, actor: access.Actor) -> Self:
        """The rows this user or token may see; nobody sees nothing, vendor staff and vendor tokens see all."""
        partners = access.partner_ids_of(actor)
        if partners is access.EVERY_PARTNER:
            return self
        return self.filter(partner_id__in=partners)

    def of(self, partner: Partner) -> Self:
        return self.filter(partner=partner)


TenantManager = models.Manager.from_queryset(TenantQuerySet)


class Identified(models.Model):
    """A row with a time-ordered UUID that is its one name in pages, API, logs and jobs."""

    id = models.UUIDField(primary_key=True, default=clock.new_id, editable=False)

    class Meta:
        abstract = True


class TenantModel(Identified):
    """A row that belongs to one partner."""

    partner = models.ForeignKey("portal.Partner", on_delete=models.CASCADE, related_name="+")

    objects = TenantManager()

    class Meta:
        abstract = True
