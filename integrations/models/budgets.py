"""How many calls all processes together have made at a PSA that counts them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from integrations.models.connections import Kind
from portal.tenancy import TenantModel


class CallBudget(TenantModel):
    """Calls set aside at one PSA account in the running hour, by all processes.

    `account` is what the PSA counts for (Autotask: the database, told by the API user's domain). `slices` maps the
    number of a slice of time since 1970 to calls, `used` is their sum. `seat_holder` is the one page or job that may
    call beside the lane, until `seat_until`.
    """

    kind = models.CharField(max_length=20, choices=Kind)
    account = models.CharField(max_length=100)
    slices = models.JSONField(default=dict)
    used = models.PositiveIntegerField(default=0)
    most = models.PositiveIntegerField(default=0)
    seat_holder = models.UUIDField(null=True)
    seat_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("account",)
        constraints = (
            models.UniqueConstraint(
                fields=["partner", "kind", "account"], name="one_call_budget_per_account"
            ),
            models.CheckConstraint(condition=Q(used__lte=F("most")), name="calls_within_the_budget"),
        )

    def __str__(self) -> str:
        return f"{self.account}: {self.used} of {self.most}"
