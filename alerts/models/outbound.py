"""Where events go besides the PSA: webhooks, and who is written to."""

from __future__ import annotations

from django.db import models

from portal import clock
from portal.encryption import EncryptedJSONField
from portal.tenancy import TenantModel


class WebhookEndpoint(TenantModel):
    """An address that is told of events, signed with a secret of its own (Standard Webhooks).

    `secret` is `{"id": <id of this row>, "secret": "whsec_…"}`. The breaker is open until `open_until` after
    `failures` calls in a row came to nothing; `held_until` is one worker's time to send to it.
    """

    name = models.CharField(max_length=200)
    url = models.CharField("URL", max_length=500)
    secret = EncryptedJSONField(null=True, editable=False)
    secret_hint = models.CharField(max_length=4, blank=True, editable=False)
    is_enabled = models.BooleanField("enabled", default=True)
    failures = models.PositiveIntegerField(default=0, editable=False)
    open_until = models.DateTimeField(null=True, editable=False)
    trouble = models.TextField(blank=True, editable=False)
    held_until = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(fields=["partner", "url"], name="one_webhook_endpoint_per_url"),
        )

    def __str__(self) -> str:
        return self.name


class MailSettings(TenantModel):
    """Whom the e-mail settings of a partner write to, and which addresses its PSA makes tickets from.

    Whether a setting is on is told by the notification that it keeps (`Notification.origin`).
    """

    address = models.EmailField("Email Address", blank=True)
    external_address = models.EmailField("External ticketing address", blank=True)
    connector_addresses = models.JSONField(
        "addresses that the PSA makes tickets from", default=list, blank=True
    )
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = "mail settings"
        constraints = (models.UniqueConstraint(fields=["partner"], name="one_mail_settings_per_partner"),)

    def __str__(self) -> str:
        return f"Mail settings of {self.partner}"
