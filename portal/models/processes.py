"""What the supervisor knows of the processes it watches."""

from __future__ import annotations

from django.db import models

from portal import clock


class Heartbeat(models.Model):
    """The last sign of life of one process kind on one host."""

    name = models.CharField(max_length=100, primary_key=True)
    beat_at = models.DateTimeField(default=clock.now)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
