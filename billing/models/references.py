"""What was written into a PSA's own table of cross-references, line by line."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models import Credentials
from portal import clock
from portal.models import User
from portal.tenancy import TenantModel


class ReferenceRun(TenantModel):
    """Somebody confirmed a comparison with a PSA's own cross-references: what is written, and what came of it.

    `plan` is what was confirmed; `lines` are its writes, each with `state` (`planned`, `sent`, `done`, `failed`,
    `in_doubt`), `text` and `advice`. `sent_at` stands while a write may be under way or may yet be carried out. `turn`
    grows with each process that takes the run up, `taken_at` is that one's last sign of life.
    """

    class State(models.TextChoices):
        PLANNED = "planned", "Being written"
        IN_DOUBT = "in_doubt", "In doubt"
        DONE = "done"
        PARTLY = "partly"
        FAILED = "failed"
        OBSERVED = "observed"

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="reference_runs")
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    plan = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)
    lines = models.JSONField(default=list)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_as = models.CharField("asked by (name)", max_length=254)
    asked_at = models.DateTimeField(default=clock.now)
    due_at = models.DateTimeField(default=clock.now)
    taken_at = models.DateTimeField(null=True)
    turn = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error_text = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    exchanges = models.JSONField(default=list)

    class Meta:
        ordering = ("-asked_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["credentials"],
                condition=Q(finished_at=None),
                name="one_reference_run_at_a_time_per_connection",
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None, state__in=["planned", "in_doubt"])
                | Q(finished_at__isnull=False, state__in=["done", "partly", "failed", "observed"]),
                name="reference_run_is_open_or_finished",
            ),
            models.CheckConstraint(
                condition=~Q(state="observed") | Q(sent_at=None), name="observed_reference_run_sent_nothing"
            ),
        )
        indexes = (
            models.Index(fields=["credentials", "-asked_at"], name="reference_run_of_connection"),
            models.Index(fields=["due_at"], condition=Q(finished_at=None), name="reference_run_due"),
        )

    def __str__(self) -> str:
        return f"{self.credentials_id} {self.asked_at:%Y-%m-%d %H:%M}"

    @property
    def is_running(self) -> bool:
        return self.finished_at is None
