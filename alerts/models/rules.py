"""Which events lead to which action: a partner's notifications, and how each of them was worded before."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from alerts.models.outbound import WebhookEndpoint
from integrations.models import Action
from integrations.models.eventlog import Severity
from portal import clock
from portal.models import Client, Organization
from portal.tenancy import TenantModel


def default_severities() -> list[str]:
    """What people usually want a ticket for, and what is worse than that."""
    return [Severity.WARNING.value, Severity.ERROR.value, Severity.CRITICAL.value]


class Grouping(models.TextChoices):
    """Which failing conditions share one ticket."""

    NONE = "", "Each problem has its own ticket"
    CLIENT = "client", "One ticket a client"
    SITE = "site", "One ticket a site (“site” in the event's data)"
    CAUSE = "cause", "One ticket a cause (“cause” in the event's data, else the kind of problem)"


class Notification(TenantModel):
    """A partner's rule: which events lead to which action. `version` grows with each change and is kept in traces.

    Rules are asked in the order of `position`. `stops` ends the asking when it matched; a `catch_all` matches only what
    no rule before it did. `min_minutes` is how long something must fail before it gets a ticket. `recipients` are
    addresses, `members` ids of people. `origin` names the e-mail setting that keeps this rule, if one does.
    `matched_at` is when it last matched, an hour fine.
    """

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
    stops = models.BooleanField("stop after match", default=False)
    catch_all = models.BooleanField("only what no other matched", default=False)
    min_minutes = models.PositiveIntegerField("minutes of failing before a ticket", default=0)
    grouping = models.CharField(max_length=10, choices=Grouping, default=Grouping.NONE, blank=True)
    recipients = models.JSONField(default=list, blank=True)
    members = models.JSONField(default=list, blank=True)
    webhook = models.ForeignKey(
        WebhookEndpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="notifications"
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    origin = models.CharField(max_length=30, blank=True, editable=False)
    matched_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("position", "created_at")
        constraints = (
            models.CheckConstraint(
                condition=Q(organization=None) | Q(client=None), name="notification_has_one_scope_at_most"
            ),
            models.UniqueConstraint(
                fields=["partner", "origin"],
                condition=~Q(origin=""),
                name="one_notification_per_mail_setting",
            ),
            models.CheckConstraint(
                condition=~Q(action="webhook") | Q(webhook__isnull=False),
                name="webhook_notification_has_an_endpoint",
            ),
        )

    def __str__(self) -> str:
        return self.name


class NotificationVersion(TenantModel):
    """How a notification was worded in one version. Outlives the notification, because traces name the version."""

    notification_id = models.UUIDField()
    version = models.PositiveIntegerField()
    document = models.JSONField()
    saved_at = models.DateTimeField(default=clock.now)
    saved_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ("-version",)
        constraints = (
            models.UniqueConstraint(
                fields=["notification_id", "version"], name="one_wording_per_notification_version"
            ),
        )

    def __str__(self) -> str:
        return f"{self.document.get('name', '')}, version {self.version}"
