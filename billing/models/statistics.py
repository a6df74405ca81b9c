"""Backup statistics: what was told, day by day, and what the PSA's management report was made to show."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models import Credentials, Delivery
from portal import clock
from portal.models import Account, Client, User
from portal.tenancy import TenantModel


class BackupStatistics(TenantModel):
    """What the backups of one account (a device) did on one day, as one source told it. Rows are never changed, except
    that a later word for the same day takes `is_current` from the earlier one."""

    class DeviceKind(models.TextChoices):
        SERVER = "server", "Server"
        WORKSTATION = "workstation", "Workstation"
        OTHER = "", "Not told"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="backup_statistics")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="backup_statistics")
    measured_on = models.DateField()
    successful_jobs = models.PositiveIntegerField()
    failed_jobs = models.PositiveIntegerField()
    is_protected = models.BooleanField("protected", default=True)
    device_kind = models.CharField("kind", max_length=15, choices=DeviceKind, blank=True)
    serial_number = models.CharField(max_length=100, blank=True)
    last_backup_at = models.DateTimeField(null=True)
    used_gb = models.DecimalField("storage (GB)", max_digits=18, decimal_places=4, null=True)
    source = models.CharField(max_length=100, blank=True)
    recorded_at = models.DateTimeField(default=clock.now)
    is_current = models.BooleanField(default=True)

    class Meta:
        verbose_name = verbose_name_plural = "backup statistics"
        ordering = ("-measured_on", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "account", "measured_on"],
                condition=Q(is_current=True),
                name="one_current_statistics_per_account_day",
            ),
            models.CheckConstraint(
                condition=Q(used_gb=None) | Q(used_gb__gte=0), name="statistics_storage_not_negative"
            ),
        )
        indexes = (
            models.Index(
                fields=["client", "-measured_on"], condition=Q(is_current=True), name="statistics_current"
            ),
        )

    def __str__(self) -> str:
        return f"{self.account} on {self.measured_on}"


class ReportWindow(TenantModel):
    """When a client's statistics last went to the PSA; their 12 h count from there. Only successes move it."""

    client = models.OneToOneField(Client, on_delete=models.CASCADE, related_name="report_window")
    last_success_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.client}: next not before {self.next_at}"


class ReportRun(TenantModel):
    """One update of one client's management report: what it should show, what was planned and what came of it."""

    class State(models.TextChoices):
        PLANNED = "planned"
        DONE = "done"
        UNCHANGED = "unchanged"
        PARTLY = "partly"
        FAILED = "failed"
        IN_DOUBT = "in_doubt", "In doubt"
        OBSERVED = "observed"
        PROPOSED = "proposed", "Waits for approval"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="report_runs")
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.SET_NULL, related_name="report_runs")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    month = models.DateField()
    numbers = models.JSONField(default=dict)
    plan = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    broken = models.TextField("what is wrong in the PSA", blank=True)
    advice = models.TextField(blank=True)
    error_text = models.TextField(blank=True)
    approved_by = models.CharField(max_length=254, blank=True)
    started_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-started_at", "-id")
        indexes = (models.Index(fields=["client", "-started_at"], name="report_run_of_client"),)

    def __str__(self) -> str:
        return f"{self.client} {self.started_at:%Y-%m-%d %H:%M}"


class ReportSetup(TenantModel):
    """What the PSA's own set-up for the management report looked like when it was last verified."""

    credentials = models.OneToOneField(Credentials, on_delete=models.CASCADE, related_name="report_setup")
    lines = models.JSONField(default=list)
    error_text = models.TextField(blank=True)
    asked_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.credentials}: {len(self.lines)} lines"


class ReportTick(TenantModel):
    """A person has looked: a line of the checklist that no API verifies is as it must be in the PSA."""

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="report_ticks")
    line = models.CharField(max_length=200)
    ticked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    ticked_as = models.CharField("ticked by (name)", max_length=254)
    ticked_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["credentials", "line"], name="one_tick_per_line_of_a_checklist"),
        )

    def __str__(self) -> str:
        return f"{self.line}: {self.ticked_as}"
