"""What people say about a step that did not work for them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal import clock
from portal.tenancy import TenantModel


class StepRemark(TenantModel):
    """A step of a guide did not match somebody's PSA; kept for staff, who answer and correct the guide.

    `place` is the guide and what it is about, `step` the title of the step as it was shown.
    """

    place = models.CharField(max_length=200)
    step = models.CharField(max_length=200)
    text = models.TextField(max_length=2000)
    said_by = models.CharField(max_length=254)
    said_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ("-said_at", "-id")
        constraints = (models.CheckConstraint(condition=~Q(text=""), name="a_remark_says_something"),)

    def __str__(self) -> str:
        return f"{self.place}: {self.step}"
