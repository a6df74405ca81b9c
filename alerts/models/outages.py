"""Times in which a PSA could not be told anything, and what came of them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from integrations.models import Credentials
from portal import clock
from portal.tenancy import TenantModel


class Outage(TenantModel):
    """One time that a connection was stopped: the PSA did not answer, refused the keys, or somebody paused it.

    `until` is set when it answers again, `settled_at` when everything that had waited went out: then the counts are
    final. `passed` are episodes that began and ended without a ticket meanwhile, `opened` tickets that were opened
    afterwards, `closed` those that were closed. `told_at` is when the managers got the one summary.
    """

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    cause = models.CharField(max_length=30)
    text = models.TextField(blank=True)
    since = models.DateTimeField(default=clock.now)
    until = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    events = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    opened = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    examples = models.JSONField(default=list)

    class Meta:
        ordering = ("-since", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["credentials"], condition=Q(until=None), name="one_running_outage_per_connection"
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")), name="outage_ends_after_it_began"
            ),
            models.CheckConstraint(
                condition=Q(settled_at=None) | Q(until__isnull=False), name="settled_outage_is_over"
            ),
        )
        indexes = (models.Index(fields=["partner", "-since", "-id"], name="outage_page"),)

    def __str__(self) -> str:
        return f"Outage since {self.since:%Y-%m-%d %H:%M} UTC"
