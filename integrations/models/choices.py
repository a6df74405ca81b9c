"""What a connection's PSA offers for pickers, how old each list is, and each reading of them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models.connections import Credentials
from portal import clock
from portal.tenancy import TenantModel


class Choice(TenantModel):
    """One value that a connection's PSA offers for a picker: a board, a status of a board, a product, an agreement.

    A row is found again by the PSA's id and never deleted while the connection lives: `vanished_at` says since when
    the PSA does not offer it any more. `changed_at` is when the row was last written; an unchanged one is not.
    `digest` stands for name and data, so that thousands can be compared without reading them; empty while gone.
    """

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="choices")
    kind = models.CharField(max_length=20)
    within = models.CharField(max_length=50, blank=True)
    psa_id = models.CharField(max_length=50)
    name = models.CharField(max_length=300)
    data = models.JSONField(default=dict)
    digest = models.CharField(max_length=32, blank=True)
    changed_at = models.DateTimeField(default=clock.now)
    vanished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("kind", "name")
        constraints = (
            models.UniqueConstraint(
                fields=["credentials", "kind", "within", "psa_id"], name="one_choice_per_psa_record"
            ),
        )

    def __str__(self) -> str:
        return self.name


class ChoiceList(TenantModel):
    """One list of a PSA that we keep a copy of: all of a kind, or what belongs to one board (kind `of_board`).

    `read_at` is when we last heard of it, `full_at` when it was last read from end to end. `since` is where the next
    look for changes begins. `is_doubted`: the last full reading lacked so much that nothing was believed to be gone.
    `trouble` tells why the last attempt came to nothing.
    """

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="choice_lists")
    kind = models.CharField(max_length=20)
    within = models.CharField(max_length=50, blank=True)
    since = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    full_at = models.DateTimeField(null=True)
    is_doubted = models.BooleanField(default=False)
    trouble = models.TextField(blank=True)
    advice = models.TextField(blank=True)

    class Meta:
        ordering = ("kind", "within")
        constraints = (
            models.UniqueConstraint(
                fields=["credentials", "kind", "within"], name="one_choice_list_per_connection"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.within}".strip()


class Reload(TenantModel):
    """One "Reload Options from PSA": what was asked, how far it is, and what it changed.

    It is carried out list by list, in turns of the worker: `done` names the lists that are settled, `boards` those
    whose lists belong to it. Whoever carries it out is `holder`, and shows that he lives by `beat_at`; `lost` counts
    holders that were never heard of again. `counts` maps a kind to numbers; `diff` holds the first of what changed.
    """

    class Mode(models.TextChoices):
        FULL = "full", "Everything"
        CHANGES = "changes", "What changed"

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        PARTLY = "partly"
        FAILED = "failed"

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="reloads")
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.FULL)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField(default=clock.now)
    asked_by = models.CharField(max_length=254, blank=True)
    due_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    holder = models.UUIDField(null=True)
    beat_at = models.DateTimeField(null=True)
    lost = models.PositiveSmallIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=20, blank=True)
    read = models.PositiveIntegerField(default=0)
    calls = models.PositiveIntegerField(default=0)
    done = models.JSONField(default=list)
    boards = models.JSONField(default=list)
    counts = models.JSONField(default=dict)
    diff = models.JSONField(default=list)
    troubles = models.JSONField(default=list)
    left = models.JSONField(default=list)
    error_kind = models.CharField(max_length=30, blank=True)
    error_text = models.TextField(blank=True)
    advice = models.TextField(blank=True)

    class Meta:
        ordering = ("-asked_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["credentials"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_reload_under_way_per_connection",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(holder__isnull=False, beat_at__isnull=False),
                name="running_reload_has_a_holder",
            ),
        )
        indexes = (
            models.Index(fields=["credentials", "-asked_at"], name="reload_of_connection"),
            models.Index(fields=["state", "due_at"], name="reload_due"),
        )

    def __str__(self) -> str:
        return f"{self.get_mode_display()}, {self.asked_at:%Y-%m-%d %H:%M}"
