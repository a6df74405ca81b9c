"""When clients are synchronized, and what was pushed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from billing.models.catalogue import Service
from integrations.models import Credentials, Delivery
from portal import clock
from portal.models import Client
from portal.tenancy import TenantModel


class SynchronizeWindow(TenantModel):
    """When a client was last synchronized; the 12 h rule counts from there. Only successes move it."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="synchronize_window")
    last_success_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.client}: next not before {self.next_at}"


class PushRun(TenantModel):
    """One synchronization of one client's agreement: what was wanted, planned and done. The unit of undo.

    `sent_at` is set while a write of it may be on its way to the PSA: from before the first byte until a clear answer,
    or until no late one can come any more. `in doubt` says that whether its last write was carried out was never told.
    """

    class State(models.TextChoices):
        PLANNED = "planned"
        DONE = "done"
        PARTLY = "partly"
        FAILED = "failed"
        IN_DOUBT = "in_doubt", "In doubt"
        OBSERVED = "observed"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="push_runs")
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="push_runs")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    agreement_id = models.CharField(max_length=50)
    agreement_name = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    plan = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True)
    error_text = models.TextField(blank=True)

    class Meta:
        ordering = ("-started_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "credentials", "agreement_id"],
                condition=Q(sent_at__isnull=False),
                name="one_push_on_its_way_per_agreement",
            ),
            models.CheckConstraint(
                condition=Q(sent_at=None) | Q(state__in=("planned", "in_doubt")),
                name="finished_push_is_not_on_its_way",
            ),
        )
        indexes = (models.Index(fields=["client", "-started_at"], name="push_run_of_client"),)

    def __str__(self) -> str:
        return f"{self.client} {self.started_at:%Y-%m-%d %H:%M}"


class PushItem(TenantModel):
    """One service in a push run: before, after, the line's id in the PSA, and what came of it."""

    class State(models.TextChoices):
        PLANNED = "planned"
        DONE = "done"
        UNCHANGED = "unchanged"
        HELD = "held"
        FAILED = "failed"
        IN_DOUBT = "in_doubt", "In doubt"

    run = models.ForeignKey(PushRun, on_delete=models.CASCADE, related_name="items")
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    line_id = models.CharField(max_length=50, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    text = models.TextField(blank=True)

    class Meta:
        ordering = ("service__name",)
        constraints = (
            models.UniqueConstraint(fields=["run", "service"], name="one_item_per_run_and_service"),
        )

    def __str__(self) -> str:
        return f"{self.service}: {self.state}"
