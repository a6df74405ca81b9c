"""What should come regularly, and when it last came."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal import clock
from portal.models import Account, Client
from portal.tenancy import TenantModel


class Expectation(TenantModel):
    """Successes that are expected from a client, for one account or for all of it together.

    Set by a person (`is_set`), or learnt: `every_hours` is then the median pause between `learnt_from` successes of
    the last 30 days. It is missing when none came for `every_hours` times `tolerance`. `seen_at` is when one last
    came. `missing` tells what was reported: no backup at all, or none without errors; `changes` counts such reports.
    """

    class Missing(models.TextChoices):
        NOTHING = "", "comes as expected"
        BACKUP = "backup", "no backup"
        ERROR_FREE = "error_free", "no error-free backup"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    account = models.ForeignKey(Account, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    event_type = models.CharField(max_length=100, default="backup.succeeded")
    is_enabled = models.BooleanField("enabled", default=True)
    is_set = models.BooleanField("set by hand", default=False)
    every_hours = models.DecimalField(max_digits=8, decimal_places=2, null=True, blank=True)
    tolerance = models.DecimalField(max_digits=4, decimal_places=2, default=2)
    seen_at = models.DateTimeField(null=True, editable=False)
    learnt_from = models.PositiveIntegerField(default=0, editable=False)
    missing = models.CharField(max_length=20, choices=Missing, blank=True, editable=False)
    missing_since = models.DateTimeField(null=True, editable=False)
    changes = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["client", "account", "event_type"],
                condition=Q(account__isnull=False),
                name="one_expectation_per_account",
            ),
            models.UniqueConstraint(
                fields=["client", "event_type"], condition=Q(account=None), name="one_expectation_per_client"
            ),
            models.CheckConstraint(
                condition=Q(is_set=False) | Q(every_hours__isnull=False),
                name="set_expectation_says_how_often",
            ),
            models.CheckConstraint(
                condition=Q(tolerance__gte=1) & (Q(every_hours=None) | Q(every_hours__gt=0)),
                name="expectation_can_be_met",
            ),
            models.CheckConstraint(
                condition=Q(missing="", missing_since=None)
                | (~Q(missing="") & Q(missing_since__isnull=False)),
                name="missing_since_some_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.event_type} of {self.account or self.client}"
