"""The configuration document that a partner applied last, and what has drifted from it."""

from __future__ import annotations

from django.db import models

from portal import clock
from portal.tenancy import TenantModel


class ConfigState(TenantModel):
    """What a partner's set-up is compared with, and the last comparison.

    `document` is the text that was applied last, as it was sent; empty while none was. `drift` is what the last look
    found: `{"differences": [...], "findings": [...], "faults": [...]}`.
    """

    document = models.TextField(blank=True)
    applied_at = models.DateTimeField(null=True)
    applied_by = models.CharField(max_length=300, blank=True)
    drift = models.JSONField(default=dict)
    looked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["partner"], name="one_config_state_per_partner"),)

    def __str__(self) -> str:
        return f"Configuration of {self.partner}"
