"""What happens by itself, and how often. A line here is all that a recurring job needs."""

from __future__ import annotations

from django.db import transaction
from django_q.models import Schedule

EVERY: dict[str, int] = {
    "alerts.jobs.count_days": 10,
    "alerts.jobs.count_months": 360,
    "alerts.jobs.learn_expectations": 720,
    "alerts.jobs.look_for_absences": 5,
    "alerts.jobs.release_due": 1,
    "alerts.jobs.send_outbound": 1,
    "alerts.jobs.end_disablings": 1,
    "alerts.jobs.fill_addresses": 10,
    "alerts.jobs.take_in_parked": 1,
    "alerts.jobs.look_after_outages": 1,
    "alerts.jobs.look_after_replays": 2,
    "alerts.jobs.look_after_tickets": 1,
    "alerts.jobs.sweep": 10,
    "billing.jobs.report_due": 60,
    "billing.jobs.look_after_months": 10,
    "billing.jobs.look_after_references": 1,
    "billing.jobs.push_days": 5,
    "billing.jobs.synchronize_due": 60,
    "integrations.jobs.follow": 1,
    "integrations.jobs.forget_inbound": 60,
    "integrations.jobs.look_after_reloads": 1,
    "integrations.jobs.look_after_bulk": 1,
    "integrations.jobs.look_over": 1,
    "integrations.jobs.release_decided": 1,
    "integrations.jobs.suggest_companies": 60,
    "integrations.jobs.tell_partners": 2,
    "portal.jobs.clean_up": 60,
    "portal.jobs.look_for_drift": 1440,
}
"""Dotted job -> minutes between runs."""


def store() -> None:
    """Make the worker's table say what is written here; called when the supervisor starts."""
    with transaction.atomic():
        for function, minutes in EVERY.items():
            store_one(function, minutes)
        Schedule.objects.filter(name__contains=".jobs.").exclude(name__in=EVERY).delete()


def store_one(function: str, minutes: int) -> None:
    """One row a job: names are not unique there, and several supervisors may start at the same time."""
    wanted = {"func": function, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1}
    first = Schedule.objects.filter(name=function).order_by("pk").first()
    if first is None:
        Schedule.objects.create(name=function, **wanted)
    else:
        Schedule.objects.filter(pk=first.pk).update(**wanted)
        Schedule.objects.filter(name=function, pk__gt=first.pk).delete()
