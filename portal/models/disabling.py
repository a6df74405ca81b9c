"""Clients for whom nothing shall be written to a PSA for a while."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from portal import clock
from portal.models.partners import Client
from portal.tenancy import TenantModel


class Disabling(TenantModel):
    """A time in which the PSA integration is switched off for one client: from when, by whom, until when, and why.

    `until` null lasts until somebody ends it. After `until` it is over although `ended_at` may not be written yet.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="disablings")
    began_at = models.DateTimeField(default=clock.now)
    began_by = models.CharField(max_length=254, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ("-began_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["client"], condition=Q(ended_at=None), name="one_disabling_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gt=F("began_at")), name="disabling_ends_after_it_began"
            ),
        )
        indexes = (models.Index(fields=["ended_at", "until"], name="disabling_to_end"),)

    def __str__(self) -> str:
        return f"PSA switched off for {self.client}"

    @property
    def sentence(self) -> str:
        """What traces and held deliveries say."""
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        why = f": {self.reason}" if self.reason else "."
        return f"The PSA integration is disabled for this client{until}{why}"
