"""The ledger: what clients used, day by day."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models.catalogue import Service
from portal import clock
from portal.models import Account, Client
from portal.tenancy import TenantModel


class Usage(TenantModel):
    """What one account used of one service on one day, as one source told it. Rows are never changed, except that a
    later word for the same day takes `is_current` from the earlier one."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="usage")
    account = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="usage")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    measured_on = models.DateField()
    quantity = models.DecimalField(max_digits=18, decimal_places=4)
    source = models.CharField(max_length=100, blank=True)
    recorded_at = models.DateTimeField(default=clock.now)
    is_current = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "usage"
        ordering = ("-measured_on", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "account", "service", "measured_on"],
                condition=Q(is_current=True, account__isnull=False),
                name="one_current_usage_per_account_service_day",
            ),
            models.UniqueConstraint(
                fields=["client", "service", "measured_on"],
                condition=Q(is_current=True, account=None),
                name="one_current_usage_per_client_service_day",
            ),
            models.CheckConstraint(condition=Q(quantity__gte=0), name="usage_is_not_negative"),
        )
        indexes = (
            models.Index(
                fields=["client", "service", "-measured_on"],
                condition=Q(is_current=True),
                name="usage_current",
            ),
        )

    def __str__(self) -> str:
        return f"{self.service}: {self.quantity} on {self.measured_on}"
