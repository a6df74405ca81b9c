"""Rules that are only tried out, and what they would have made of the past."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from portal import clock
from portal.tenancy import TenantModel


class RuleDraft(TenantModel):
    """Rules, filters, windows, noise and ticket settings that somebody wants to try. Nothing reads them but a replay.

    `document` is what `alerts.drafts` writes and reads. It begins as a copy of what is in effect, kept as `origin`, so
    that one sees what was changed in the draft and not what has changed in the world since.
    """

    name = models.CharField(max_length=200)
    document = models.JSONField()
    origin = models.JSONField()
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.CharField(max_length=254, blank=True, editable=False)
    changed_at = models.DateTimeField(default=clock.now, editable=False)
    changed_by = models.CharField(max_length=254, blank=True, editable=False)

    class Meta:
        ordering = ("-created_at",)
        constraints = (models.UniqueConstraint(fields=["partner", "name"], name="one_rule_draft_of_a_name"),)

    def __str__(self) -> str:
        return self.name


class Replay(TenantModel):
    """A span of the past through today's rules and, if there is one, a draft's as it was when it was asked for.

    `events` are those read so far, `result` is what `alerts.labresult` says; `trouble` why there is none.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    since = models.DateTimeField()
    until = models.DateTimeField()
    draft = models.ForeignKey(RuleDraft, null=True, on_delete=models.SET_NULL, related_name="replays")
    draft_name = models.CharField(max_length=200, blank=True)
    document = models.JSONField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    events = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True)
    trouble = models.CharField(max_length=500, blank=True)
    asked_at = models.DateTimeField(default=clock.now, editable=False)
    asked_by = models.CharField(max_length=254, blank=True, editable=False)
    moved_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-asked_at",)
        constraints = (
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="replay_ends_after_it_begins"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running"], finished_at=None)
                | Q(state__in=["done", "failed"], finished_at__isnull=False),
                name="finished_replay_has_its_moment",
            ),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(result__isnull=False), name="done_replay_has_a_result"
            ),
        )
        indexes = (models.Index(fields=["partner", "-asked_at", "-id"], name="replay_page"),)

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}"
