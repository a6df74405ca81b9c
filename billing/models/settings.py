"""How and when a level's clients are pushed, and which changes are a question first."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse

from portal import clock
from portal.models import Client, Organization, User
from portal.tenancy import TenantModel


class Schedule(models.TextChoices):
    """When quantities are pushed by themselves."""

    CONTINUOUS = "continuous", "Whenever usage comes in (at most once in 12 hours)"
    DAY = "day", "On a day of the month"
    LAST_DAY = "last_day", "On the last day of the month"
    BEFORE_INVOICE = "before_invoice", "Days before the agreement's next invoice"
    ON_DEMAND = "on_demand", "Only when somebody asks"


class BillingSettings(TenantModel):
    """Billing at one level; null inherits from the level above, and above the top from `billing.terms.DEFAULTS`."""

    organization = models.OneToOneField(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="billing_settings"
    )
    client = models.OneToOneField(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="billing_settings"
    )
    is_enabled = models.BooleanField("billing enabled", null=True, blank=True)
    schedule = models.CharField("push date", max_length=20, choices=Schedule, null=True, blank=True)
    push_day = models.PositiveSmallIntegerField(
        "day of the month", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(31)]
    )
    days_before_invoice = models.PositiveSmallIntegerField(
        "days before the next invoice", null=True, blank=True, validators=[MaxValueValidator(28)]
    )
    jump_percent = models.PositiveIntegerField(
        "ask when a quantity changes by more than (%)", null=True, blank=True
    )
    jump_least = models.PositiveIntegerField("... and by more than (units)", null=True, blank=True)
    jump_units = models.PositiveIntegerField(
        "ask when it changes by more than (units)", null=True, blank=True
    )
    invoice_window_days = models.PositiveSmallIntegerField(
        "ask within so many days before an invoice", null=True, blank=True, validators=[MaxValueValidator(28)]
    )
    fleet_clients = models.PositiveIntegerField(
        "ask when more clients than this change at once", null=True, blank=True
    )
    four_eyes = models.BooleanField("four eyes", null=True, blank=True)
    updates_descriptions = models.BooleanField("update invoice descriptions", null=True, blank=True)
    description_template = models.TextField("invoice description", null=True, blank=True, max_length=2000)
    scheduled_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)
    updated_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    class Meta:
        verbose_name_plural = "billing settings"
        constraints = (
            models.CheckConstraint(
                condition=Q(organization=None, client__isnull=False)
                | Q(organization__isnull=False, client=None),
                name="billing_settings_of_an_organization_or_a_client",
            ),
            models.CheckConstraint(
                condition=Q(push_day=None) | Q(push_day__gte=1, push_day__lte=31), name="push_day_of_a_month"
            ),
        )

    def __str__(self) -> str:
        return f"Billing of {self.client or self.organization}"

    def get_absolute_url(self) -> str:
        return reverse(
            "billing_settings",
            args=["client" if self.client_id else "organization", self.client_id or self.organization_id],
        )


class SettingsHand(TenantModel):
    """When a person last changed, reset or removed something of billing at a level; so they are no second pair of eyes.

    `level_id` is an organization's or a client's, `service` empty for what holds for all.
    """

    level_id = models.UUIDField(editable=False)
    service = models.CharField(max_length=80, blank=True, editable=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", editable=False)
    changed_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("-changed_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["level_id", "service", "person"], name="one_hand_per_level_service_and_person"
            ),
        )

    def __str__(self) -> str:
        return f"{self.person}: {self.service or 'all services'}"


class PushDay(TenantModel):
    """A push day that came for a client: it is pushed once, on the day or late, never twice."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="push_days")
    due_on = models.DateField()
    asked_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("-due_on", "-id")
        constraints = (
            models.UniqueConstraint(fields=["client", "due_on"], name="one_push_per_client_and_push_day"),
        )

    def __str__(self) -> str:
        return f"{self.client} {self.due_on}"
