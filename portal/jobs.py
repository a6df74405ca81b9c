"""What the worker does for this room."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.contrib.sessions.models import Session
from django_q.models import Failure, Success

from portal import clock, configuration, idempotency, letters, onebyone, ratelimits, sessions, throttle
from portal.models import Heartbeat, Partner, User

logger = logging.getLogger(__name__)
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
    throttle.forget()
    sessions.forget()
    Heartbeat.objects.filter(beat_at__lt=clock.now() - timedelta(days=1)).delete()


def mail_way_back(email: str) -> None:
    """The link for a new password, if this is somebody's address who may sign in."""
    person = User.objects.filter(email__iexact=email, is_active=True).first()
    if person is None:
        return
    try:
        letters.send_way_in(person, "way_back")
    except OSError:  # also what smtplib raises; the person can ask again
        logger.exception("The link for a new password of %s could not be mailed", person.pk)


def tell_person(key: str, letter: str, reason: str) -> None:
    """What was changed about a person's sign-in."""
    person = User.objects.filter(pk=key).first()
    if person is None:
        return
    try:
        letters.send(person, letter, reason=reason)
    except OSError:
        logger.exception("%s could not be told: %s", person.pk, letter)


def look_for_drift() -> None:
    """Each partner's set-up beside the document applied last, and beside what its PSA offers."""
    partners = Partner.objects.filter(is_active=True).order_by("pk").iterator(100)
    onebyone.each(partners, configuration.look_for_drift, what="the look for drift")
