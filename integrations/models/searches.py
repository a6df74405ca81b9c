"""Searches of the event log that are kept, and reprocessing of all that a search finds."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from portal import clock
from portal.tenancy import TenantModel


class SavedSearch(TenantModel):
    """A search of the event log under a name; `is_shared` shows it to everybody of the partner.

    One without an `owner` was made by a machine, and is everybody's.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    name = models.CharField(max_length=100)
    is_shared = models.BooleanField("shared", default=False)
    wanted = models.JSONField()
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name_plural = "saved searches"
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(fields=["partner", "owner", "name"], name="one_saved_search_per_name"),
            models.UniqueConstraint(
                fields=["partner", "name"], condition=Q(owner=None), name="one_machines_search_per_name"
            ),
            models.CheckConstraint(
                condition=Q(owner__isnull=False) | Q(is_shared=True), name="machines_search_is_everybodys"
            ),
        )

    def __str__(self) -> str:
        return self.name


class BulkReprocess(TenantModel):
    """All deliveries of the events that a search finds are tried again, or with `is_dry_run` only counted.

    The worker walks from `cursor_at` and `cursor` (when an event was received, and its id) to older events, a step at a
    time; what comes in after it was asked for is not touched. `verdicts` counts deliveries by what becomes of them.
    `case` is the same for what staff asked for at several partners after an incident, with the `reason` they gave.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"

    wanted = models.JSONField()
    is_dry_run = models.BooleanField("dry run", default=True)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField(default=clock.now)
    cursor_at = models.DateTimeField(default=clock.now)
    cursor = models.UUIDField(default=clock.new_id)
    events = models.PositiveIntegerField(default=0)
    verdicts = models.JSONField(default=dict)
    moved_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)
    case = models.UUIDField(null=True, editable=False)
    reason = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "bulk reprocesses"
        ordering = ("-asked_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(state="running", finished_at=None)
                | ~Q(state="running") & Q(finished_at__isnull=False),
                name="finished_bulk_reprocess_has_its_moment",
            ),
        )
        indexes = (
            models.Index(fields=["state", "moved_at"], name="bulk_reprocess_running"),
            models.Index(fields=["case"], name="bulk_reprocess_of_case"),
        )

    def __str__(self) -> str:
        return f"{'Dry run' if self.is_dry_run else 'Reprocess'} of {self.asked_at:%Y-%m-%d %H:%M}"
