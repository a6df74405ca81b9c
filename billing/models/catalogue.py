"""What is metered, and what it is in the PSA."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from integrations.models import Choice
from portal import clock
from portal.models import Client, Organization, User
from portal.tenancy import Identified, TenantModel


class Service(Identified):
    """What the vendor meters and sells, the same for all partners."""

    class Aggregation(models.TextChoices):
        LAST = "last", "Last value"
        PEAK = "peak", "Highest value"
        AVERAGE = "average", "Average"
        PERCENTILE = "p95", "95th percentile"
        SUM = "sum", "Sum"

    class Rounding(models.TextChoices):
        UP = "up", "Up to whole units"
        DOWN = "down", "Down to whole units"
        NEAREST = "nearest", "To the nearest whole unit"
        STEP = "step", "Up to a multiple of the step"
        NONE = "none", "Not at all"

    key = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    unit = models.CharField(max_length=30)
    aggregation = models.CharField(max_length=10, choices=Aggregation, default=Aggregation.LAST)
    rounding = models.CharField(max_length=10, choices=Rounding, default=Rounding.UP)
    step = models.PositiveIntegerField(
        "step",
        default=1,
        validators=[MinValueValidator(1)],
        help_text="Units sold together, for the rounding “step”.",
    )
    billed_by_default = models.BooleanField(default=True)
    is_yes_no = models.BooleanField("yes/no service", default=False)
    help_text = models.TextField(blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.CheckConstraint(condition=Q(step__gte=1), name="step_of_a_service_is_whole"),)

    def __str__(self) -> str:
        return self.name


class CrossReference(TenantModel):
    """Which PSA product a service is, at one level; lower levels inherit. `is_billed` False means "unticked"."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="cross_references")
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="cross_references"
    )
    client = models.ForeignKey(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="cross_references"
    )
    product = models.ForeignKey(Choice, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_billed = models.BooleanField("billed", default=True)
    level = models.CharField(max_length=255, blank=True)
    type = models.CharField(max_length=255, blank=True)
    configuration_type = models.CharField(max_length=255, blank=True)
    agreement_type = models.CharField(max_length=255, blank=True)
    updates_description = models.BooleanField("update invoice descriptions", default=True)
    jump_percent = models.PositiveIntegerField("ask above (%)", null=True, blank=True)
    jump_units = models.PositiveIntegerField("ask above (units)", null=True, blank=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)
    updated_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    class Meta:
        ordering = ("service__name",)
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "service"],
                condition=Q(client=None),
                name="one_cross_reference_per_organization_and_service",
            ),
            models.UniqueConstraint(
                fields=["client", "service"],
                condition=Q(organization=None),
                name="one_cross_reference_per_client_and_service",
            ),
            models.CheckConstraint(
                condition=Q(organization=None, client__isnull=False)
                | Q(organization__isnull=False, client=None),
                name="cross_reference_of_an_organization_or_a_client",
            ),
        )

    def __str__(self) -> str:
        return f"{self.service} → {self.product or 'no product'}"

    def get_absolute_url(self) -> str:
        return reverse("cross_references")
