"""How tickets look, level by level."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from integrations.models import Choice
from portal import clock
from portal.models import Client, Organization
from portal.tenancy import TenantModel


class TicketSettings(TenantModel):
    """How tickets look at one level; every null inherits from the level above. Choices are PSA records by id."""

    organization = models.OneToOneField(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="ticket_settings"
    )
    client = models.OneToOneField(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="ticket_settings"
    )
    board = models.ForeignKey(
        Choice,
        verbose_name="service board",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    new_status = models.ForeignKey(
        Choice,
        verbose_name="initial status",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    closing_status = models.ForeignKey(
        Choice, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    type = models.ForeignKey(
        Choice, verbose_name="service type", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    subtype = models.ForeignKey(Choice, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    priority = models.ForeignKey(
        Choice,
        verbose_name="ticket priority",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    source = models.ForeignKey(Choice, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    automatic_closure = models.BooleanField("automatic ticket closure", null=True, blank=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = "ticket settings"
        constraints = (
            models.CheckConstraint(
                condition=Q(organization=None, client__isnull=False)
                | Q(organization__isnull=False, client=None),
                name="ticket_settings_of_an_organization_or_a_client",
            ),
        )

    def __str__(self) -> str:
        return f"Ticket settings of {self.organization or self.client}"

    def get_absolute_url(self) -> str:
        if self.client_id:
            return reverse("client_settings", args=[self.client_id])
        return reverse("setup_of", args=[self.organization_id])
