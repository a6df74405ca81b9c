"""What is remembered of requests to the REST API: answers to repeat, and how many a token may still send."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal import clock
from portal.models.people import ApiToken
from portal.tenancy import Identified


class IdempotentRequest(Identified):
    """A write that came with an Idempotency-Key, and its answer. `status` is null while it is under way."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    begun_at = models.DateTimeField(default=clock.now)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    answer = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["token", "key"], name="one_request_per_idempotency_key"),
        )
        indexes = (models.Index(fields=["begun_at"], name="idempotent_request_age"),)

    def __str__(self) -> str:
        return self.key


class Allowance(Identified):
    """How many requests of a token's minute were set aside by the web's processes. `minute` counts from 1970, UTC."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    minute = models.PositiveBigIntegerField()
    taken = models.PositiveIntegerField(default=0)
    most = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["token", "minute"], name="one_allowance_per_token_and_minute"),
            models.CheckConstraint(
                condition=Q(taken__lte=models.F("most")), name="allowance_is_not_exceeded"
            ),
        )

    def __str__(self) -> str:
        return f"{self.token}: {self.taken} of {self.most}"
