"""What a PSA tells us by itself, and how far we have followed it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from integrations.models.connections import Credentials
from portal import clock
from portal.encryption import EncryptedJSONField
from portal.tenancy import TenantModel


class Following(TenantModel):
    """Whether, and how far, the tickets of one connection are followed in the PSA.

    Found by `token_digest` (SHA-256 of the token in our public address). `secret` is `{"id", "token", "keys"}`, newest
    key first; `signing_keys` is `{"id", "keys": [{"url", "site", "key", "at"}]}`, the PSA's own. Each is wrapped with
    this row's id: a value copied to another row is refused on read. `registration` is what the PSA knows of us (`asked`
    stands before the first write: it may know); `check_due_at` is when that is compared next. `changed_until` is how
    far the poll has read, by the PSA's clock. The three `..._until` are leases: one process at a time takes in,
    polls, registers.
    """

    class Registration(models.TextChoices):
        NONE = "none", "not registered"
        ASKED = "asked", "being registered"
        REGISTERED = "registered", "registered"
        FAILED = "failed", "not registered"

    credentials = models.OneToOneField(Credentials, on_delete=models.CASCADE, related_name="following")
    is_enabled = models.BooleanField("changes made in the PSA are followed", default=False)
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    secret = EncryptedJSONField(editable=False)
    signing_keys = EncryptedJSONField(null=True, editable=False)
    key_url = models.CharField(max_length=500, blank=True, editable=False)
    key_asked_at = models.DateTimeField(null=True, editable=False)

    registration = models.CharField(
        max_length=12, choices=Registration, default=Registration.NONE, editable=False
    )
    registered_id = models.CharField(max_length=50, blank=True, editable=False)
    registered_site = models.CharField(max_length=300, blank=True, editable=False)
    registered_at = models.DateTimeField(null=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    check_due_at = models.DateTimeField(null=True, editable=False)
    problem = models.TextField(blank=True, editable=False)
    advice = models.TextField(blank=True, editable=False)
    written = models.JSONField(default=list, editable=False)
    renew_asked_at = models.DateTimeField(null=True, editable=False)
    renewed_at = models.DateTimeField(null=True, editable=False)

    callbacks = models.PositiveBigIntegerField(default=0, editable=False)
    callback_at = models.DateTimeField(null=True, editable=False)
    refused = models.PositiveBigIntegerField(default=0, editable=False)
    refused_at = models.DateTimeField(null=True, editable=False)
    refused_because = models.CharField(max_length=200, blank=True, editable=False)
    woken_at = models.DateTimeField(null=True, editable=False)

    changed_until = models.DateTimeField(null=True, editable=False)
    polled_at = models.DateTimeField(null=True, editable=False)
    poll_tried_at = models.DateTimeField(null=True, editable=False)
    poll_problem = models.TextField(blank=True, editable=False)
    found_by_callback = models.PositiveBigIntegerField(default=0, editable=False)
    found_by_poll = models.PositiveBigIntegerField(default=0, editable=False)

    taking_until = models.DateTimeField(null=True, editable=False)
    polling_until = models.DateTimeField(null=True, editable=False)
    registering_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "followings"
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(
                condition=~Q(registration="registered") | ~Q(registered_id=""),
                name="registered_callback_has_an_id",
            ),
            models.CheckConstraint(
                condition=~Q(is_enabled=True) | ~Q(token_digest=""), name="followed_connection_has_a_token"
            ),
        )

    def __str__(self) -> str:
        return f"Following of {self.credentials_id}"


class InboundMessage(TenantModel):
    """One call of a PSA, signed and new: a hint that a record should be read again. Its content is not kept.

    `source_id` is the same for all repetitions of a call.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"

    credentials = models.ForeignKey(Credentials, on_delete=models.CASCADE, related_name="inbound")
    source_id = models.CharField(max_length=200)
    record = models.CharField(max_length=20)
    record_id = models.CharField(max_length=50)
    action = models.CharField(max_length=20, blank=True)
    occurred_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(default=clock.now)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=clock.now)
    settled_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-received_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["credentials", "source_id"], name="one_inbound_message_per_source_id"
            ),
            models.CheckConstraint(
                condition=Q(status="waiting", settled_at=None)
                | (~Q(status="waiting") & Q(settled_at__isnull=False)),
                name="settled_inbound_message_has_its_time",
            ),
        )
        indexes = (
            models.Index(fields=["credentials", "status", "due_at"], name="inbound_due"),
            models.Index(fields=["received_at"], name="inbound_age"),
        )

    def __str__(self) -> str:
        return f"{self.record} {self.record_id} {self.action}"
