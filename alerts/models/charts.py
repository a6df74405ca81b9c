"""What charts are drawn from: numbers of a day and of a month, so that no page counts a million events."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models import Service
from portal import clock
from portal.tenancy import TenantModel


class DailyFigures(TenantModel):
    """One day of a partner, in the partner's time zone. The last days are counted again until they are over.

    `outcomes` maps a delivery's status to how many that were made on that day have it. `half_within` and
    `most_within` are seconds from an event's arrival to its ticket, of half and of 95 of 100 tickets opened on that
    day; `timed` is how many tickets could be timed.
    """

    day = models.DateField()
    events = models.PositiveIntegerField(default=0)
    deliveries = models.PositiveIntegerField(default=0)
    opened = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    outcomes = models.JSONField(default=dict)
    timed = models.PositiveIntegerField(default=0)
    half_within = models.FloatField(null=True)
    most_within = models.FloatField(null=True)
    counted_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name_plural = "daily figures"
        ordering = ("-day",)
        indexes = (models.Index(fields=["day"], name="figures_of_a_day"),)
        constraints = (
            models.UniqueConstraint(fields=["partner", "day"], name="one_row_of_figures_per_day"),
            models.CheckConstraint(
                condition=Q(timed=0) | Q(half_within__isnull=False, most_within__isnull=False),
                name="timed_day_has_its_times",
            ),
        )

    def __str__(self) -> str:
        return f"{self.partner} on {self.day}"


class MonthlyUsage(TenantModel):
    """How much of a service all clients of a partner used in a month: the newest word of each account, summed."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="+")
    month = models.DateField()
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    clients = models.PositiveIntegerField(default=0)
    counted_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name_plural = "monthly usage"
        ordering = ("-month", "service")
        constraints = (
            models.UniqueConstraint(
                fields=["partner", "service", "month"], name="one_row_of_usage_per_service_and_month"
            ),
        )

    def __str__(self) -> str:
        return f"{self.service}: {self.quantity} in {self.month:%Y-%m}"
