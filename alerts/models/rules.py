"""Which events lead to which action: a partner's notifications."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models import Action
from integrations.models.eventlog import Severity
from portal import clock
from portal.models import Client, Organization
from portal.tenancy import TenantModel


def default_severities() -> list[str]:
    return [Severity.WARNING.value, Severity.ERROR.value]


class Notification(TenantModel):
    """A partner's rule: which events lead to which action. `version` grows with each change and is kept in traces."""

    name = models.CharField(max_length=200)
    action = models.CharField("notification action", max_length=20, choices=Action)
    severities = models.JSONField(default=default_severities)
    all_event_types = models.BooleanField("subscribe to all event types", default=True)
    event_types = models.JSONField(default=list, blank=True)
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="notifications"
    )
    client = models.ForeignKey(
        Client, null=True, blank=True, on_delete=models.CASCADE, related_name="notifications"
    )
    is_enabled = models.BooleanField("enabled", default=True)
    position = models.PositiveIntegerField(default=100)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("position", "created_at")
        constraints = (
            models.CheckConstraint(
                condition=Q(organization=None) | Q(client=None), name="notification_has_one_scope_at_most"
            ),
        )

    def __str__(self) -> str:
        return self.name
