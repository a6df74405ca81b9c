"""Who changed what, as a chain that shows when somebody touched it."""

from __future__ import annotations

from django.db import models

from portal import clock
from portal.tenancy import Identified, TenantQuerySet


class AuditEntry(Identified):
    """One change or one act of staff. Rows are only ever added: triggers in the database refuse anything else.

    Each partner has a chain of its own, the installation has one under the nil UUID. `hash` covers the row and
    `previous`, the hash of the entry before it. There is no foreign key: the log outlives what it tells of.
    """

    partner_id = models.UUIDField(editable=False)
    number = models.PositiveBigIntegerField(editable=False)
    at = models.DateTimeField(editable=False)
    actor = models.CharField(max_length=300, editable=False)
    actor_id = models.CharField(max_length=64, editable=False)
    on_behalf_of = models.CharField(max_length=300, blank=True, editable=False)
    action = models.CharField(max_length=100, editable=False)
    target = models.CharField(max_length=300, blank=True, editable=False)
    details = models.JSONField(default=dict, editable=False)
    request_id = models.CharField(max_length=64, blank=True, editable=False)
    previous = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, editable=False)

    objects = models.Manager.from_queryset(TenantQuerySet)()

    class Meta:
        verbose_name_plural = "audit log"
        ordering = ("-at", "-number")
        constraints = (
            models.UniqueConstraint(fields=["partner_id", "number"], name="one_audit_entry_per_number"),
        )
        indexes = (models.Index(fields=["partner_id", "at"], name="audit_of_a_time"),)

    def __str__(self) -> str:
        return f"{self.action} {self.target}".strip()


class AuditChain(models.Model):
    """Where a partner's chain ends. Holding its row is holding the pen."""

    partner_id = models.UUIDField(primary_key=True)
    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="")
    moved_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.partner_id}: {self.number}"
