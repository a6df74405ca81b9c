"""What sources speak of: the kinds of events."""

from __future__ import annotations

from django.db import models

from portal import clock
from portal.models import Client
from portal.tenancy import Identified, TenantModel


class EventType(Identified):
    """A kind of event that sources send. Types of one `family` speak of the same condition.

    `condition_fields` are the entries of an event's `data` that, with client and account, tell conditions apart.
    `each_is_its_own`: every event is a problem of its own, so keys that never come twice are as they should be.
    """

    class DefaultAction(models.TextChoices):
        TRIGGER = "trigger"
        RESOLVE = "resolve"
        NONE = "none"

    name = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    family = models.CharField(max_length=100)
    default_action = models.CharField(max_length=10, choices=DefaultAction)
    condition_fields = models.JSONField(default=list, blank=True)
    each_is_its_own = models.BooleanField("each event is a problem of its own", default=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.title


class KeyShape(TenantModel):
    """Condition keys of one source, type and client that differ only in parts that look volatile.

    `shape` is the key with these parts replaced by what they look like (`{timestamp}`, `{guid}`, `{hash}`,
    `{number}`); `keys` are the last distinct ones, `distinct` how many there were, `repeats` how often a key came
    again (not counted beyond what settles the matter). `suspicion` says in words what seems to be wrong.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=100)
    type = models.CharField(max_length=100)
    shape = models.CharField(max_length=300)
    keys = models.JSONField(default=list)
    distinct = models.PositiveIntegerField(default=0)
    repeats = models.PositiveIntegerField(default=0)
    suspicion = models.CharField(max_length=300, blank=True)
    first_at = models.DateTimeField(default=clock.now)
    last_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("-last_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["client", "source", "type", "shape"], name="one_row_per_shape_of_keys"
            ),
        )
        indexes = (models.Index(fields=["partner", "-last_at", "-id"], name="key_shape_page"),)

    def __str__(self) -> str:
        return self.shape
