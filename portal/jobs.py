"""What the worker does for this room."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django_q.models import Failure, Success

from portal import clock, idempotency, ratelimits
from portal.models import Heartbeat

KEPT = timedelta(days=14)


def beat() -> None:
    """Does nothing: that it was carried out and acknowledged is the sign of life the supervisor waits for."""


def clean_up() -> None:
    """Old sessions, answers kept for repeats, counts of past minutes, the worker's results, and signs of life of
    processes long gone."""
    long_ago = clock.now() - KEPT
    Session.objects.filter(expire_date__lt=clock.now()).delete()
    Success.objects.filter(stopped__lt=long_ago).delete()
    Failure.objects.filter(stopped__lt=long_ago).delete()
    idempotency.forget()
    ratelimits.forget()
    Heartbeat.objects.filter(beat_at__lt=clock.now() - timedelta(days=1)).delete()
