"""What is wrong over time, and the PSA tickets about it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from integrations.models import Choice, Credentials
from integrations.models.eventlog import Severity
from portal import clock
from portal.models import Account, Client
from portal.tenancy import TenantModel


class Condition(TenantModel):
    """What is wrong with a client over time. `episode` counts its spells of failing.

    `decided_at` is when the event that decided the present state occurred; older events do not change it.
    `wants_ticket` is set when a notification asked for a ticket in this episode. `decided_ahead_at` is set when the
    deciding event was ahead of our clock: its moment as its source told it.
    """

    class State(models.TextChoices):
        FINE = "fine"
        FAILING = "failing"

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="conditions")
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL, related_name="+")
    key = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=State, default=State.FINE)
    episode = models.PositiveIntegerField(default=0)
    wants_ticket = models.BooleanField(default=False)
    repeats = models.PositiveIntegerField(default=0)
    severity = models.CharField(max_length=10, choices=Severity, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.UUIDField(null=True)
    opened_by = models.UUIDField(null=True)
    since = models.DateTimeField(null=True)
    decided_ahead_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-since",)
        constraints = (
            models.UniqueConstraint(fields=["client", "key"], name="one_condition_per_client_and_key"),
        )
        indexes = (models.Index(fields=["partner", "state"], name="condition_by_state"),)

    def __str__(self) -> str:
        return self.key


class ClosingStatus(TenantModel):
    """The status that closes tickets of one board, for those that people moved there; else the PSA's own choice."""

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    board = models.ForeignKey(Choice, on_delete=models.CASCADE, related_name="+")
    status = models.ForeignKey(Choice, on_delete=models.CASCADE, related_name="+")

    class Meta:
        verbose_name_plural = "closing statuses"
        constraints = (
            models.UniqueConstraint(fields=["credentials", "board"], name="one_closing_status_per_board"),
        )

    def __str__(self) -> str:
        return f"{self.board}: {self.status}"

    def get_absolute_url(self) -> str:
        return reverse("admin:alerts_closingstatus_change", args=[self.pk])


class Ticket(TenantModel):
    """The PSA ticket of one spell of failing. Stored before anything is sent; `external_ref` is our key at the PSA.

    `sent_at` is set with the intent to create and taken back only by an answer that says "no": while it is set and
    `psa_id` is empty, the ticket may exist and must be searched for. `misses` counts such searches that found nothing;
    `was_answered` when the PSA itself said that the create failed, so that it is done with it. Once the `psa_id` is
    known, `sent_at` is the moment of the last intent to close or to open again.

    From `seen_at` on: how it was when the PSA last showed it, and `news`, what somebody there did to it. They are facts
    and not states of ours: a ticket that a technician closed is open here until an attempt has read it again. Boards,
    companies and other tickets are the PSA's ids; `board_id` and `company_id` are those it had at first.

    `episode` is the condition's that it is open for. `first` is how it was at first (`psa.port.OWNED`), to know what
    people changed; `touched_by` is who did when nothing else shows it. `left_at` since when it is left to people
    although its problem is over; `acknowledged_at` when a technician closed it although its problem went on.
    `pending_note` is a note that was meant to be written and may be there; `notes_used` are those since `notes_from`.
    """

    class State(models.TextChoices):
        OPENING = "opening"
        OPEN = "open"
        CLOSED = "closed"
        GONE = "gone"

    condition = models.ForeignKey(Condition, on_delete=models.CASCADE, related_name="tickets")
    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="+")
    generation = models.PositiveIntegerField()
    external_ref = models.CharField(max_length=100, unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.OPENING)
    psa_id = models.CharField(max_length=50, blank=True)
    number = models.CharField(max_length=50, blank=True)
    url = models.URLField(max_length=500, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    sent_at = models.DateTimeField(null=True)
    misses = models.PositiveSmallIntegerField(default=0)
    was_answered = models.BooleanField(default=False, db_default=False)
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    changed_by = models.CharField(max_length=100, blank=True)
    psa_status_id = models.CharField(max_length=50, blank=True)
    psa_status = models.CharField(max_length=100, blank=True)
    psa_closed_at = models.DateTimeField(null=True)
    board_id = models.CharField(max_length=50, blank=True)
    moved_to = models.CharField(max_length=50, blank=True)
    merged_into = models.CharField(max_length=50, blank=True)
    child_of = models.CharField(max_length=50, blank=True)
    company_id = models.CharField(max_length=50, blank=True)
    moved_to_company = models.CharField(max_length=50, blank=True)
    gone_at = models.DateTimeField(null=True)
    news = models.CharField(max_length=300, blank=True)
    news_at = models.DateTimeField(null=True)
    episode = models.PositiveIntegerField(default=0)
    first = models.JSONField(default=dict)
    touched_by = models.CharField(max_length=100, blank=True)
    was_written_to = models.BooleanField(default=False)
    left_at = models.DateTimeField(null=True)
    left_why = models.CharField(max_length=300, blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)
    pending_note = models.TextField(blank=True)
    noted_repeats = models.PositiveIntegerField(default=0)
    notes_from = models.DateTimeField(null=True)
    notes_used = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.UniqueConstraint(
                fields=["condition"], condition=Q(closed_at=None), name="one_open_ticket_per_condition"
            ),
            models.UniqueConstraint(fields=["condition", "generation"], name="one_ticket_per_generation"),
            models.UniqueConstraint(
                fields=["credentials", "psa_id"], condition=~Q(psa_id=""), name="one_row_per_psa_ticket"
            ),
            models.CheckConstraint(
                condition=Q(gone_at=None) | Q(closed_at__isnull=False), name="gone_ticket_is_not_open"
            ),
            models.CheckConstraint(condition=Q(seen_at=None) | ~Q(psa_id=""), name="seen_ticket_has_an_id"),
            models.CheckConstraint(
                condition=Q(merged_into="") | ~Q(merged_into=F("psa_id")),
                name="ticket_is_not_merged_into_itself",
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_at=None) | Q(closed_at__isnull=False),
                name="acknowledged_ticket_is_not_open",
            ),
            models.CheckConstraint(
                condition=Q(moved_to="") | ~Q(moved_to=F("board_id")), name="moved_ticket_left_its_board"
            ),
        )

    def __str__(self) -> str:
        return f"#{self.number}" if self.number else self.external_ref
