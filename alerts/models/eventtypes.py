"""What sources speak of: the kinds of events."""

from __future__ import annotations

from django.db import models

from portal.tenancy import Identified


class EventType(Identified):
    """A kind of event that sources send. Types of one `family` speak of the same condition.

    `condition_fields` are the entries of an event's `data` that, with client and account, tell conditions apart.
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

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.title
