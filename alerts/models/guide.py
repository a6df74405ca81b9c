"""What the guided set-up has to remember, because no other table says it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models import Credentials
from portal import clock
from portal.models import Client
from portal.tenancy import TenantModel


class GuidedSetup(TenantModel):
    """One connection on its way: which steps somebody left out, and what came of the last first preview.

    Whether a step is done is asked of the tables it is about; here is only what none of them knows. A preview writes
    and stores nothing, so that its result is kept here: `preview_passed` is null while none was carried out.
    """

    credentials = models.OneToOneField(Credentials, on_delete=models.CASCADE, related_name="guided_setup")
    left_out = models.JSONField(default=list)
    preview_client = models.ForeignKey(Client, null=True, on_delete=models.SET_NULL, related_name="+")
    preview_asked_at = models.DateTimeField(null=True)
    preview_done_at = models.DateTimeField(null=True)
    preview_passed = models.BooleanField(null=True)
    preview_text = models.TextField(blank=True)
    begun_at = models.DateTimeField(default=clock.now)
    begun_by = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(preview_passed=None) | Q(preview_done_at__isnull=False),
                name="guided_preview_has_its_moment",
            ),
        )

    def __str__(self) -> str:
        return f"Guided set-up of {self.credentials_id}"
