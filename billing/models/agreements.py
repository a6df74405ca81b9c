"""Which agreement a client is billed on."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.urls import reverse

from billing.models.catalogue import Service
from integrations.models import Choice, Credentials
from portal import clock
from portal.models import Client, User
from portal.tenancy import TenantModel


class AgreementLink(TenantModel):
    """Which agreement a client's services are billed on; `service` null stands for all services without their own.

    `line_id` names the line of that service, where somebody chose one of several."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="agreement_links")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    agreement = models.ForeignKey(Choice, on_delete=models.PROTECT, related_name="+")
    creates_lines = models.BooleanField("create missing lines", default=False)
    line_id = models.CharField("line in the PSA", max_length=50, blank=True)
    updated_at = models.DateTimeField(default=clock.now, editable=False)
    updated_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(line_id="") | Q(service__isnull=False), name="line_is_of_one_service"
            ),
            models.UniqueConstraint(
                fields=["client", "credentials", "service"], name="one_agreement_per_client_and_service"
            ),
            models.UniqueConstraint(
                fields=["client", "credentials"],
                condition=Q(service=None),
                name="one_agreement_per_client_for_the_rest",
            ),
        )

    def __str__(self) -> str:
        return self.agreement.name

    def get_absolute_url(self) -> str:
        return reverse("client_agreement", args=[self.client_id])
