"""What happens by itself, and how often. A line here is all that a recurring job needs."""

from __future__ import annotations

from django_q.models import Schedule

EVERY: dict[str, int] = {
    "alerts.jobs.take_in_parked": 1,
    "alerts.jobs.sweep": 10,
    "portal.jobs.clean_up": 60,
}
"""Dotted job -> minutes between runs."""


def store() -> None:
    """Make the worker's table say what is written here; called when the supervisor starts."""
    for function, minutes in EVERY.items():
        Schedule.objects.update_or_create(
            name=function,
            defaults={
                "func": function,
                "schedule_type": Schedule.MINUTES,
                "minutes": minutes,
                "repeats": -1,
            },
        )
    Schedule.objects.filter(name__contains=".jobs.").exclude(name__in=EVERY).delete()
