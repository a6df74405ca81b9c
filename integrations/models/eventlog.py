"""The event log: what happened, and what each PSA was told because of it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models.connections import Lane
from portal import clock
from portal.models import Account, Client, Partner
from portal.tenancy import TenantModel


class Severity(models.TextChoices):
    """How bad an event is."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class EventAction(models.TextChoices):
    """What an event does to its condition."""

    TRIGGER = "trigger"
    RESOLVE = "resolve"
    NONE = "none"


class Event(TenantModel):
    """Something that happened, as a source told us or the portal itself noticed.

    `scope` is who sent it (a partner's id, or the nil UUID for vendor-wide tokens): `source_id` is unique within scope
    and source. `partner` and `client` are null while the client is not known (parked). `trace` tells which rules were
    asked and what they said.
    """

    class State(models.TextChoices):
        ACCEPTED = "accepted"
        PARKED = "parked"

    partner = models.ForeignKey(  # type: ignore[assignment]
        Partner, null=True, on_delete=models.CASCADE, related_name="+"
    )
    client = models.ForeignKey(Client, null=True, on_delete=models.SET_NULL, related_name="events")
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL, related_name="+")
    scope = models.UUIDField(editable=False)
    source = models.CharField(max_length=100)
    source_id = models.CharField(max_length=200)
    body_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.ACCEPTED)
    type = models.CharField(max_length=100)
    severity = models.CharField(max_length=10, choices=Severity)
    action = models.CharField(max_length=10, choices=EventAction)
    client_reference = models.CharField(max_length=100, blank=True)
    account_reference = models.CharField(max_length=100, blank=True)
    condition_key = models.CharField(max_length=300, blank=True)
    summary = models.CharField(max_length=500, blank=True)
    details = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=clock.now)
    trace = models.JSONField(default=list)

    class Meta:
        ordering = ("-received_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["scope", "source", "source_id"], name="one_event_per_source_and_id"
            ),
        )
        indexes = (
            models.Index(fields=["partner", "-received_at", "-id"], name="event_page"),
            models.Index(fields=["client", "-received_at", "-id"], name="event_page_of_client"),
            models.Index(
                fields=["partner", "state"], condition=Q(client__isnull=True), name="event_without_client"
            ),
        )

    def __str__(self) -> str:
        return self.summary or self.type


class Action(models.TextChoices):
    """What a notification leads to; the seeds' words."""

    TICKET = "ticket", "Open a PSA ticket"
    SYNCHRONIZE = "synchronize", "Synchronize with PSA"
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


OUTBOUND = (Action.EMAIL, Action.WEBHOOK)
"""Actions that go past the PSAs: the worker sends them, no lane has to do with it (decision record 0013)."""


class Status(models.TextChoices):
    """Where a delivery is. `waiting`, `running` and `unknown` are on their way; the others are at rest."""

    WAITING = "waiting"
    RUNNING = "running"
    UNKNOWN = "unknown"
    DONE = "done"
    SKIPPED = "skipped"
    HELD = "held"
    FAILED = "failed"


UNSETTLED = (Status.WAITING, Status.RUNNING, Status.UNKNOWN)
IN_FLIGHT = (Status.RUNNING, Status.UNKNOWN)


class Delivery(TenantModel):
    """One thing that a PSA should be told because of an event, and what came of it.

    `subject` is what it is about (`ticket:<condition>`, `sync:<client>`): of one subject at most one delivery is in
    flight. Its payload is nowhere: each attempt computes what should be true at that moment. `fence` is the lane's
    fence under which it runs. `search_first` is set by Reprocess: look for our key at the PSA before anything else.
    """

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="deliveries")
    lane = models.ForeignKey(Lane, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    action = models.CharField(max_length=20, choices=Action)
    subject = models.CharField(max_length=80)
    notification_id = models.UUIDField(null=True)
    notification_name = models.CharField(max_length=200, blank=True)
    notification_version = models.PositiveIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    reason = models.CharField(max_length=40, blank=True)
    priority = models.PositiveSmallIntegerField(default=50)
    due_at = models.DateTimeField(default=clock.now)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    search_first = models.BooleanField(default=False)
    fence = models.PositiveBigIntegerField(null=True)
    outcome = models.TextField(blank=True)
    error_kind = models.CharField(max_length=30, blank=True)
    error_text = models.TextField(blank=True)
    advice = models.TextField(blank=True)
    plan = models.JSONField(null=True)
    exchanges = models.JSONField(default=list)
    milliseconds = models.PositiveIntegerField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-created_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["partner", "subject"],
                condition=Q(status__in=IN_FLIGHT),
                name="one_delivery_in_flight_per_subject",
            ),
            models.UniqueConstraint(
                fields=["partner", "subject"],
                condition=Q(status="waiting", action="synchronize"),
                name="one_waiting_synchronization_per_client",
            ),
            models.CheckConstraint(
                condition=~Q(status="running")
                | Q(lane__isnull=False, fence__isnull=False)
                | Q(action__in=["email", "webhook"], lane=None),
                name="running_delivery_has_lane_and_fence",
            ),
        )
        indexes = (
            # Not partial: SQLite cannot use a partial index for a condition whose value is a parameter.
            models.Index(fields=["lane", "status", "due_at"], name="delivery_due"),
            models.Index(fields=["lane", "status", "priority", "id"], name="delivery_next"),
            models.Index(fields=["subject", "status"], name="delivery_subject"),
            models.Index(fields=["partner", "-created_at", "-id"], name="delivery_page"),
            models.Index(
                fields=["partner", "-created_at"], condition=~Q(error_text=""), name="delivery_errors_page"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.status}"
